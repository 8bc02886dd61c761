"""Opens each explorer in JupyterLab, in a real Chromium, moves it, and takes pictures. Not part of the fast suite:

    pip install playwright && python tests/browser/explorers.py --out screenshots

Wants chromium on the PATH. Ends with 1 if anything does not work.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[2]
TOKEN = "sorakit"
SETTINGS = {"apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False,
                                                "doNotDisturbMode": True},
            "notebook-extension/tracker": {"windowingMode": "none"}}
SETUP = """\
import sorakit as sk
{pipe}
run = pipe.trace("a red car on a highway at night", keep="blocks.*.attention", seconds=1.0, steps=4)
run"""
STILL = ("brief", "lorry", "film", "board", "recipe")
TYPED = {"reading": "a lorry in the snow at dusk", "text-two prompts": "a horse runs", "text-attention": "a horse runs"}
CELLS = {"brief": "run.brief", "lorry": "pipe.prompt('a lorry on a highway at night')",
         "film": "pipe('a lorry on a highway at night', seconds=0.5, steps=2)",
         "run": "view = run.explore(); view", "latents": "run.latents.explore(pipe.autoencoder)",
         "video": "run.video.explore()", "step": "run.steps[2].explore()", "sampler": "pipe.sampler.explore()",
         "reading": "run.brief.explore()", "words": "run.conditioning.explore(pipe.text_encoder)",
         "text": "pipe.text_encoder.explore()", "transformer": "pipe.transformer.explore(run)",
         "autoencoder": "pipe.autoencoder.explore(run.video)",
         "board": "from sorakit.tools.storyboard import Card, Storyboard\n"
                  "Storyboard((Card(0, 'a fox in the snow'), Card(2, 'a lake', transition='cut')), seconds=4)",
         "recipe": "from sorakit.synthesis.recipe import Synthesis\nSynthesis.preset('cinema')"}


def notebook(path: Path, weights: str | None) -> None:
    pipe = f"pipe = sk.load({weights!r}, 'cpu')" if weights else \
        "from sorakit.views.atlas import untrained\npipe = untrained('nano')"
    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP.format(pipe=pipe), *CELLS.values())]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


def server(home: Path) -> tuple[subprocess.Popen, int]:
    """JupyterLab on a free port, with a home of its own."""
    for name, settings in SETTINGS.items():
        path = home / "lab" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    runtime = home / "runtime"
    environment = os.environ | {
        "HOME": str(home), "JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTERLAB_SETTINGS_DIR": str(home / "lab"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"), "MPLCONFIGDIR": str(home / "mpl"),
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1",
         "--ServerApp.port=0", f"--IdentityProvider.token={TOKEN}", "--LabApp.news_url=None",
         "--LabApp.extension_manager=readonly", "--expose-app-in-browser"],
        cwd=home, env=environment, stdout=(home / "server.log").open("w"), stderr=subprocess.STDOUT)
    about = runtime / f"jpserver-{process.pid}.json"
    for _ in range(600):
        if about.exists() and about.read_text():
            return process, json.loads(about.read_text())["port"]
        if process.poll() is not None:
            break
        time.sleep(0.5)
    raise RuntimeError("JupyterLab did not start:\n" + (home / "server.log").read_text()[-2000:])


def run_all(page: Page, port: int, patience: float) -> None:
    page.goto(f"http://127.0.0.1:{port}/lab/tree/explorers.ipynb?token={TOKEN}")
    page.wait_for_function("document.querySelector('#jp-main-statusbar')?.textContent.includes('| Idle')",
                           timeout=patience)
    page.click("#jp-MainMenu >> text=Run")
    page.click(".lm-Menu [data-command='runmenu:run-all']")
    page.wait_for_function(
        r"[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].every(p => /\[\d+\]:/.test(p.textContent))",
        timeout=patience)


def look(page: Page, out: Path, patience: float) -> list[str]:
    """Move each explorer; returns what is wrong."""
    wrong = []
    errors = page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
    wrong += [f"a cell wrote to stderr: {text[:300]}" for text in errors.all_text_contents()]
    cells = page.locator(".jp-CodeCell")
    for k, name in enumerate(CELLS, start=1):
        cell = cells.nth(k)
        cell.scroll_into_view_if_needed()
        tabs = cell.locator(".jupyter-widgets .lm-TabBar-tab")
        for t in range(max(1, tabs.count())):
            title = name
            if tabs.count():
                tabs.nth(t).click()
                title = f"{name}-{tabs.nth(t).inner_text().strip()}"
            if name not in STILL:
                wrong += [f"{title}: {problem}" for problem in move(page, cell, title, out, patience)]
            cell.screenshot(path=out / f"{title}.png")
    page.locator(".jp-CodeCell").nth(0).screenshot(path=out / "cell-run.png")
    return wrong


def move(page: Page, cell, title: str, out: Path, patience: float) -> list[str]:
    """Move the first slider to its end and back, choose the last of each list, type another prompt, and click the
    picture of an attention."""
    explorer = cell.locator(".sorakit-explorer:visible").first
    picture = explorer.locator("img.sorakit-picture")
    picture.wait_for(timeout=patience)
    source = lambda: picture.get_attribute("src")
    changed = lambda before: page.wait_for_function(
        "([image, before]) => image.src !== before && image.complete && image.naturalWidth > 300",
        arg=[picture.element_handle(), before], timeout=patience)
    wrong = []
    if "latents" in title and explorer.locator("select").count():                 # else the channel does nothing
        before = source()
        explorer.locator("select").first.select_option("channel")
        changed(before)
    sliders = explorer.locator("[role=slider]:visible")
    if sliders.count():
        for key in ("End", "Home"):
            before = source()
            sliders.first.focus()
            page.keyboard.press(key)
            try:
                changed(before)
            except Exception:                                     # whatever went wrong, the report names it
                wrong.append(f"the slider's {key} changed nothing")
            if key == "End":
                cell.screenshot(path=out / f"{title}-end.png")
    if title in TYPED:
        before = source()
        explorer.locator("textarea").first.fill(TYPED[title])
        try:
            changed(before)
        except Exception:
            wrong.append("typing changed nothing")
    if title.startswith(("words", "transformer")):
        for k in range(explorer.locator("select").count()):
            before, choice = source(), explorer.locator("select").nth(k)
            choice.select_option(index=choice.locator("option").count() - 1)
            try:
                changed(before)
            except Exception:
                wrong.append(f"list {k} changed nothing")
    if title.endswith("attention") and title not in TYPED:
        before, box = source(), picture.bounding_box()
        picture.click(position={"x": box["width"] * 0.05, "y": box["height"] * 0.2})
        try:
            changed(before)
        except Exception:
            wrong.append("a click changed nothing")
    return wrong


def main(out: Path, weights: str | None, patience: float) -> int:
    out.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("chromium is not on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        notebook(home / "explorers.ipynb", weights)
        process, port = server(home)
        trouble = []
        try:
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium, args=[
                    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"])
                page = browser.new_page(viewport={"width": 1280, "height": 1000})
                page.set_default_timeout(patience)
                page.on("pageerror", lambda error: trouble.append(f"page: {error}"))
                try:
                    run_all(page, port, patience)
                    trouble += look(page, out, patience)
                finally:
                    if not page.is_closed():
                        page.screenshot(path=out / "last.png")
                    browser.close()
        finally:
            process.terminate()
            process.wait(60)
    for line in trouble:
        print(line)
    print(f"{len(trouble)} problems; pictures are in {out}")
    return bool(trouble)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for anything")
    parser.add_argument("--weights", help="a preset or a folder; without it random ones of the size of nano")
    arguments = parser.parse_args()
    sys.exit(main(arguments.out, arguments.weights, 1000 * arguments.patience))
