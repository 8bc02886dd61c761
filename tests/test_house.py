"""The house keeps its own rules: pins agree, the README's commands exist, layers hold, the notebooks are in order."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import typer
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from sorakit.cli import app

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines() if line]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def asked_for():
    extras = [line for extra in PROJECT["optional-dependencies"].values() for line in extra]
    return [Requirement(line) for line in PROJECT["dependencies"] + extras]


def pins():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def test_every_dependency_has_one_exact_pin_that_it_allows_and_nothing_else_is_pinned():
    assert {canonicalize_name(requirement.name) for requirement in asked_for()} == set(pins())
    for requirement in asked_for():
        assert pins()[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_pip_conda_make_and_ci_install_the_same_pins_and_extras():
    everything = "[" + ",".join(PROJECT["optional-dependencies"]) + "]"
    conda = (ROOT / "environment.yml").read_text()
    assert re.findall(r"- (-[ce] \S+)", conda) == ["-c constraints.txt", f"-e .{everything}"]
    assert "==" not in conda                                        # pins stand in constraints.txt only
    for name in ("Makefile", ".ci/run", "README.md"):
        text = (ROOT / name).read_text()
        assert f"pip install -c constraints.txt -e '.{everything}'" in text.replace("--quiet ", ""), name


def test_make_ci_and_readme_run_the_same_tests():
    for name in ("Makefile", ".ci/run", "README.md"):
        assert re.search(r"python -m pytest$", (ROOT / name).read_text(), re.M), name


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")
@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake (\w+)", README))))
def test_each_make_target_of_the_readme_exists(target):
    done = subprocess.run(["make", "--dry-run", "--always-make", target], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_each_sorakit_command_of_the_readme_takes_the_options_it_shows():
    commands = [shlex.split(line, comments=True) for line in COMMANDS if line.startswith("sorakit ")]
    assert len(commands) >= 3
    for _, *args in commands:
        path, group = [], typer.main.get_command(app)
        for arg in args:
            if arg not in getattr(group, "commands", {}):
                break
            path, group = [*path, arg], group.commands[arg]
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "160", "TERM": "dumb"})
        assert shown.exit_code == 0, args
        assert all(arg in shown.stdout for arg in args if arg.startswith("-")), args


def test_files_that_the_readme_links_to_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    missing = [link for link in links if not (ROOT / link).exists()]
    assert links and not missing


def test_the_version_is_the_same_everywhere():
    import sorakit

    assert sorakit.__version__ == PROJECT["version"]


def test_importing_sorakit_is_light_and_its_names_are_there():
    code = ("import sys, sorakit; assert 'torch' not in sys.modules and 'numpy' not in sys.modules\n"
            "assert [getattr(sorakit, name) for name in sorakit.__all__]\n"
            "assert set(sorakit.__all__) <= set(dir(sorakit))")
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_ruff_is_content():
    done = subprocess.run([sys.executable, "-m", "ruff", "check", "sorakit", "tests"], cwd=ROOT, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_layers_hold():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_package_data_is_named_so_that_a_wheel_has_it():
    files = [p.relative_to(ROOT / "sorakit") for p in (ROOT / "sorakit").rglob("*")
             if p.is_file() and p.suffix not in (".py", ".pyc")]
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["sorakit"]
    have = {p.relative_to(ROOT / "sorakit") for pattern in named for p in (ROOT / "sorakit").glob(pattern)}
    assert files and set(files) <= have


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_are_short_celled_executed_and_without_errors(path):
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata.kernelspec.name == "python3"            # without it JupyterLab asks
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert max(len(cell.source.splitlines()) for cell in code) <= 12
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run: make notebooks"
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in code for output in cell.outputs if output.get("name") == "stderr"]
