"""The creative tools on films of the drawn world: does what must stay stay, and does what must change change?

    python benchmarks/tools.py                    # all tools, ten films each, into the tables of docs/tools.md
    python benchmarks/tools.py sheets             # frames of each tool into docs/, with all steps
    python benchmarks/tools.py --films 2 --only loop extend --steps 4 --out /tmp/tools

Each tool's figures are kept in tools.json as soon as they are there: the same command goes on with what is missing,
or what was measured with other weights, films or steps (`--again` measures anew). Each source is drawn, not generated,
so that a tool is not measured by how well the model drew what went in. Where the referee's weights do not ship, what
only it can say is left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from sorakit import tools
from sorakit.evaluation import measures
from sorakit.evaluation.adherence import describe, scenes_to_ask
from sorakit.pipeline import Pipeline, digest_of, load
from sorakit.synthesis.finish import to_bytes
from sorakit.synthesis.measures import psnr
from sorakit.tools.loop import SEAMS, closed
from sorakit.tools.shot import decode, decode_loop, encode_still, read
from sorakit.tools.windows import Timeline, fill
from sorakit.types import NATIVE_FPS, NATIVE_SIZES, Video
from sorakit.weights import WeightsError, load_weights
from sorakit.world.render import render
from sorakit.world.scene import Scene, Subject

SIZE = dict(zip(("height", "width"), NATIVE_SIZES["16:9"]))
STRENGTHS = (0.0, *tools.STRENGTHS.values(), 1.0)
LONG = 20.0
STEPS = 12                                       # of these, for time's sake; of the others what `pipe(prompt)` takes
PART_NOISED = ("remix", "blend")
DOCS = Path(__file__).parents[1] / "docs"
MARKS = "<!-- measured: from here", "<!-- measured: to here -->"
EXAMPLES = {                                     # the seed's two, as (source, prompt, style, part of the scene: value)
    "city by day to cyberpunk night in the rain": (
        "city street", "a city street at night in the rain", "cyberpunk",
        {"time": "night", "weather": "rain", "style": "cyberpunk"}),
    "landscape by day to starry night": (
        "mountain lake", "a mountain lake under a starry night sky with moonlight", None, {"time": "night"}),
}
Rows = list[dict[str, float | str]]
BENCHMARKS: dict[str, Callable[..., Rows]] = {}


def benchmark(work: Callable[..., Rows]) -> Callable[..., Rows]:
    BENCHMARKS[work.__name__] = work
    return work


@benchmark
def animate(bench: Bench) -> Rows:
    """A drawn first frame, animated with the scene's own words: the first frame of the film against the picture, what
    the autoencoder alone gives back of it, and how much the film moves, in frame heights a second."""
    rows = []
    for scene, film in bench.sources():
        take = tools.animate(bench.pipe, film.frames[0], describe(scene), **SIZE, **bench.how)
        frames = to_bytes(decode(bench.pipe, take.latents))
        alone = to_bytes(bench.pipe.autoencoder.decode(encode_still(bench.pipe, film.frames[0], first=True)))
        rows.append({"of": "all", "PSNR of the first frame": psnr(frames[:1], film.frames[:1]),
                     "autoencoder's own": psnr(alone, film.frames[:1]),
                     "motion": measures.motion_magnitude(frames, NATIVE_FPS),
                     "the scene's own motion": measures.motion_magnitude(film.frames, NATIVE_FPS)})
    return rows


@benchmark
def remix(bench: Bench) -> Rows:
    """The seed's two examples by strength, half of the films each; "let go" is the plain way, where the film is only
    noised and denoised. Layout: rank correlation of where edges are (cells of 5 pixels, each frame with the source's),
    which light does not change. Motion: mean cosine of the optical flow with the source's where that moves. Darker:
    levels by which the film's mean brightness falls. Changed: share of what was asked (time, weather, style) that the
    referee sees."""
    rows = []
    for name, (setting, prompt, style, asked) in EXAMPLES.items():
        for k in range(-(-bench.films // len(EXAMPLES))):
            film = bench.drawn(Scene((), setting, camera="pan right", seed=k))
            measured = lambda frames, film=film: {
                "layout": layout(frames, film.frames), "motion": flow_agreement(frames, film.frames),
                "darker": float(film.frames.mean() - frames.mean())}
            for strength in STRENGTHS:
                take = tools.remix(bench.pipe, film, prompt, style=style, strength=strength, seed=k, **bench.part)
                frames = to_bytes(decode(bench.pipe, take.latents))
                rows.append({"of": f"{name}, {named(strength)}", **measured(frames),
                             **bench.seen(take.video.frames, asked)})
            strength = tools.STRENGTHS["strong"]
            frames = let_go(bench, film, prompt, strength, k)
            rows.append({"of": f"{name}, {named(strength)}, let go", **measured(frames), **bench.seen(frames, asked)})
    return rows


def named(strength: float) -> str:
    return next((f"{name} ({value:g})" for name, value in tools.STRENGTHS.items() if value == strength),
                f"strength {strength:g}")


def let_go(bench: Bench, film: Video, prompt: str, strength: float, seed: int) -> np.ndarray:
    """The film part-noised and denoised with the prompt, and nothing held on to."""
    source = read(bench.pipe, "film", film)
    free = np.zeros(source.latents[:, 0].shape, bool)
    timeline = Timeline(source.format, source.latents, torch.from_numpy(free), ((0, prompt),), source.latents, strength)
    return to_bytes(decode(bench.pipe, fill(bench.pipe, timeline, seed=seed, **bench.part)[0]))


@benchmark
def extend(bench: Bench) -> Rows:
    """One second more, after and before: change and flow across the seam, against the mean of the drawn film's own
    steps. At most 1.3 is asked for."""
    rows = []
    for scene, film in bench.sources():
        for which, asked, seam in (("after", {"seconds": 1.0}, 16), ("before", {"before": 1.0}, 7)):
            take = tools.extend(bench.pipe, film, prompt=describe(scene), **asked, **bench.how)
            frames = to_bytes(decode(bench.pipe, take.latents))
            own = range(16) if which == "after" else range(8, len(frames) - 1)
            rows.append({"of": which, **across(frames, seam, own)})
    return rows


@benchmark
def loop(bench: Bench) -> Rows:
    """Last frame to first, against the two steps before and after it; at most 1.2 is asked for. "Like": against only
    those two before and after that lead from one latent to the next, as it does itself. A ring has no seam. "No seam"
    is the middle of the film itself, as the autoencoder gives it back: from one latent to the next."""
    rows = []
    for k, (scene, film) in enumerate(bench.sources()):
        latents = read(bench.pipe, "film", film)
        for name, seam in SEAMS.items():
            ring, _ = closed(bench.pipe, latents.latents, seam, describe(scene), latents.format, seed=k, **bench.how)
            frames = to_bytes(decode_loop(bench.pipe, ring, seam))
            joint = 2 * (latents.latents.shape[2] - 1)
            rows += [{"of": f"{name} seam, into it", **around(frames, joint)},
                     {"of": f"{name} seam, last to first", **around(frames, 0)}]
        rows.append({"of": "no seam", **around(to_bytes(decode(bench.pipe, latents.latents)), 9)})
        take = tools.loop(bench.pipe, prompt=describe(scene), seed=k, **SIZE, **bench.how)
        frames = to_bytes(take.run.frames)
        rows.append({"of": "ring, last to first", **around(frames, 0)})
    return rows


@benchmark
def blend(bench: Bench) -> Rows:
    """From one drawn film to another, against a plain cross-fade of their pixels. Ends: PSNR of the first and last
    frame with the films'. Ghosts: how well the middle frame is explained as a mix of the two films' frames (R squared;
    1 is a double exposure). Warping error: of the whole film, from 0 to 1."""
    rows, films = [], bench.sources()
    for k, (scene, a) in enumerate(films):
        other, b = films[(k + 1) % len(films)]
        words = f"{describe(scene)}, then {describe(other)}"
        fade = np.linspace(0, 1, len(a.frames))[:, None, None, None]
        plain = ((1 - fade) * a.frames + fade * b.frames).round().astype(np.uint8)
        take = tools.blend(bench.pipe, a, b, words, seed=k, **bench.part)
        for name, frames in (("blend", to_bytes(decode(bench.pipe, take.latents))), ("cross-fade", plain)):
            middle = len(frames) // 2
            rows.append({"of": name,
                         "ends": (psnr(frames[:1], a.frames[:1]) + psnr(frames[-1:], b.frames[-1:])) / 2,
                         "ghosts": explained(frames[middle], a.frames[middle], b.frames[middle]),
                         "warping error": measures.warping_error(frames)})
    return rows


@benchmark
def long(bench: Bench) -> Rows:
    """20 s in windows (of half of the steps, but 4 at least), against the same scene drawn for as long: from the first
    two seconds to the last two, change of the mean colour in levels, layout as of remix, cosine of the referee's view
    of the subject, and whether place and time of day are still read as the same."""
    rows = []
    for k, scene in enumerate(bench.scenes):
        steps = min(bench.how["steps"], max(4, bench.how["steps"] // 2))
        made = tools.reel(bench.pipe, describe(scene), LONG, seed=k, steps=steps)
        films = {"generated": np.stack(list(made.native())),
                 "drawn": render(scene, *NATIVE_SIZES["16:9"], LONG, NATIVE_FPS).frames}
        for name, frames in films.items():
            first, last = frames[:17], frames[-17:]
            rows.append({"of": name, "colour drift": float(np.abs(first.mean((0, 1, 2)) - last.mean((0, 1, 2))).mean()),
                         "layout": layout(last, first), **bench.same(first, last)})
    return rows


@benchmark
def storyboard(bench: Bench) -> Rows:
    """Two cards that share a subject, by day and at night, smooth and cut: how alike the layout is (as of remix), and
    how alike the referee finds the subject in the two shots, and in shots of two different scenes' boards."""
    rows = []
    for k, scene in enumerate(bench.scenes):
        subject = describe(scene)
        halves = {}
        for transition in ("smooth", "cut"):
            board = tools.Storyboard((tools.Card(0, "by day"), tools.Card(2.0, "at night")), seconds=4.0,
                                     prompt=subject, transition=transition, seed=k, **SIZE)
            take = board.film(bench.pipe, **bench.how)
            halves[transition] = take.video.frames[:17], take.video.frames[-17:]
            rows.append({"of": transition, "layout": layout(*halves[transition]), **bench.same(*halves[transition])})
        other = tools.Storyboard((tools.Card(0, describe(bench.scenes[(k + 1) % len(bench.scenes)])),), seconds=2.0,
                                 seed=k, **SIZE).film(bench.pipe, **bench.how).video.frames[:17]
        rows.append({"of": "another scene", "layout": layout(halves["cut"][0], other),
                     **bench.same(halves["cut"][0], other)})
    return rows


@benchmark
def pace(bench: Bench) -> Rows:
    """Half the pace against the same scene drawn at twice the rate: PSNR of the frames in between, interpolated along
    the flow, and faded."""
    rows = []
    for scene in bench.scenes:
        truth = render(scene, *NATIVE_SIZES["16:9"], 2.0, 2 * NATIVE_FPS).frames
        slow = tools.pace(Video(truth[::2], NATIVE_FPS), 0.5).frames
        fade = ((truth[:-1:2].astype(float) + truth[2::2]) / 2).round().astype(np.uint8)
        rows += [{"of": "along the flow", "PSNR": psnr(slow[1::2], truth[1::2])},
                 {"of": "faded", "PSNR": psnr(fade, truth[1::2])}]
    return rows


# --- measures ---------------------------------------------------------------------------------------


def layout(frames: np.ndarray, source: np.ndarray) -> float:
    """Mean rank correlation (Spearman) of where the edges of frames at the same moment are."""
    def ranks(picture):
        grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1)
        edges = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        cells = cv2.resize(edges, (picture.shape[1] // 5, picture.shape[0] // 5), interpolation=cv2.INTER_AREA)
        return cells.ravel().argsort().argsort()

    return float(np.mean([np.corrcoef(ranks(a), ranks(b))[0, 1] for a, b in zip(frames, source)]))


def flow_agreement(frames: np.ndarray, source: np.ndarray) -> float:
    """Mean cosine of the flow with the source's where that is more than half a pixel."""
    n = min(len(frames), len(source))
    ours, theirs = measures.optical_flow(frames[:n]), measures.optical_flow(source[:n])
    length = np.linalg.norm(theirs, axis=-1)
    moves = length > 0.5
    if not moves.any():
        return float("nan")
    return float(((ours * theirs).sum(-1) / (np.linalg.norm(ours, axis=-1) * length + 0.05))[moves].mean())


def steps_between(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each step to the next frame: change in levels, length of flow in pixels, and change of the mean colour."""
    change = np.abs(np.diff(frames.astype(np.float32), axis=0)).mean((1, 2, 3))
    flow = np.linalg.norm(measures.optical_flow(frames), axis=-1).mean((1, 2))
    colour = np.abs(np.diff(frames.astype(np.float32).mean((1, 2)), axis=0)).mean(-1)
    return change, flow, colour


def across(frames: np.ndarray, seam: int, own: range) -> dict[str, float]:
    """The step from frame `seam` to the next against the mean of the film's own steps."""
    change, flow, _ = steps_between(frames)
    kept = [k for k in own if k != seam]
    return {"flicker ratio": float(change[seam] / max(change[kept].mean(), 0.1)),
            "flow ratio": float(flow[seam] / max(flow[kept].mean(), 0.02))}


def around(frames: np.ndarray, first: int) -> dict[str, float]:
    """The step of a ring that leads to frame `first` against the two on either side of it, and against the two on
    either side that lead from latent to latent, every other one."""
    ring = np.roll(frames, 5 - first, 0)[:10]                    # the step is that from 4 to 5
    steps, least = steps_between(ring), (0.1, 0.02, 0.1)
    return {f"{name} ratio{like}": float(step[4] / max(step[beside].mean(), floor))
            for like, beside in (("", [2, 3, 5, 6]), (", like", [0, 2, 6, 8]))
            for name, step, floor in zip(("flicker", "flow", "colour"), steps, least)}


def explained(frame: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Share of a frame's variance that the best mix of two others explains."""
    parts = np.stack([a.ravel(), b.ravel(), np.ones(a.size)], 1).astype(np.float64)
    values = frame.ravel().astype(np.float64)
    fit, *_ = np.linalg.lstsq(parts, values, rcond=None)
    return float(1 - np.square(values - parts @ fit).mean() / max(values.var(), 1e-9))


class Bench:
    """The pipeline, the scenes, and the referee if its weights are here."""

    def __init__(self, pipe: Pipeline, films: int, steps: int | None):
        self.pipe, self.films = pipe, films
        self.how = {"steps": steps or pipe.plan(None, None)[2]}
        self.part = {"steps": steps or STEPS}                # of films that are part-noised
        self.scenes: Sequence[Scene] = scenes_to_ask(films, held_out=False)
        try:
            from sorakit.evaluation.referee import Referee

            self.referee = Referee.load()
        except (WeightsError, OSError):
            self.referee = None

    def drawn(self, scene: Scene) -> Video:
        return Video(render(scene, *NATIVE_SIZES["16:9"], 2.0, NATIVE_FPS).frames, NATIVE_FPS, describe(scene))

    def sources(self) -> list[tuple[Scene, Video]]:
        return [(scene, self.drawn(scene)) for scene in self.scenes]

    def seen(self, frames: np.ndarray, asked: dict[str, str]) -> dict[str, float]:
        if self.referee is None:
            return {}
        best = self.referee.read([frames])[0].best()
        return {"changed": float(np.mean([getattr(best, part) == value for part, value in asked.items()]))}

    def same(self, one: np.ndarray, two: np.ndarray) -> dict[str, float]:
        if self.referee is None:
            return {}
        subjects = [np.nanmean(vectors, 0) for vectors in self.referee.remember([one, two]).subject]
        a, b = (vector / (np.linalg.norm(vector) + 1e-9) for vector in subjects)
        first, second = (reading.best() for reading in self.referee.read([one, two]))
        return {"subject": float(a @ b), "same place": float(first.setting == second.setting),
                "same time": float(first.time == second.time)}


# --- sheets -----------------------------------------------------------------------------------------

Sheet = Callable[[Pipeline, dict, Path], None]
SHEETS: dict[str, Sheet] = {}
SEEN = {"height": 240, "width": 432}             # of the films in sheets
LAKE = Scene((), "mountain lake", camera="pan right", seed=1)
STREET = Scene((Subject("car", "red", action="drive", direction="right"),), "city street", seed=3)


def shown(make: Callable[..., dict[str, Video]]) -> Callable[..., dict[str, Video]]:
    """A function that gives films by name, of which each becomes a row of six frames."""
    def sheet(pipe: Pipeline, how: dict, out: Path) -> None:
        rows = [strip(film) for film in make(pipe, how, out).values()]
        Image.fromarray(np.concatenate(rows)).save(out / f"tools_{make.__name__.removeprefix('show_')}.jpg", quality=86)

    SHEETS[make.__name__.removeprefix("show_")] = sheet
    return make


def strip(film: Video, n: int = 6, height: int = 90) -> np.ndarray:
    """Frames evenly from first to last in a row, on white."""
    chosen = np.linspace(0, len(film.frames) - 1, n).round().astype(int)
    tiles = [cv2.resize(film.frames[k], (160, height), interpolation=cv2.INTER_AREA) for k in chosen]
    return np.concatenate([cv2.copyMakeBorder(tile, 0, 4, 0, 4, cv2.BORDER_CONSTANT, value=(255,) * 3)
                           for tile in tiles], 1)


def seen(scene: Scene) -> Video:
    return Video(render(scene, SEEN["height"], SEEN["width"], 2.0, NATIVE_FPS).frames, NATIVE_FPS, describe(scene))


@shown
def show_animate(pipe, how, out):
    film = seen(LAKE)
    still = Video(film.frames[:1].repeat(6, 0), NATIVE_FPS)
    return {"picture": still, "animated": tools.animate(pipe, film.frames[0], film.prompt, seed=1, **how).video}


@shown
def show_remix(pipe, how, out):
    films = {}
    for scene, (_, prompt, style, _) in ((STREET, [*EXAMPLES.values()][0]), (LAKE, [*EXAMPLES.values()][1])):
        films[f"{prompt}, before"] = film = seen(scene)
        for strength in ("mild", "strong"):
            films[f"{prompt}, {strength}"] = tools.remix(pipe, film, prompt, style=style, strength=strength, seed=1,
                                                         **how).video
    return films


@shown
def show_extend(pipe, how, out):
    film = seen(STREET)
    return {"before": film, "after": tools.extend(pipe, film, 1.0, before=1.0, seed=1, **how).video}


@shown
def show_loop(pipe, how, out):
    ring = tools.loop(pipe, prompt="a planet rotates in outer space", seed=1, **SIZE, **how).video
    tools.repeated(ring, 10).save(out / "tools_loop.gif")
    film = seen(LAKE)
    return {"ring": ring, "film": film, "closed": tools.loop(pipe, film, seed=1, **how).video}


@shown
def show_blend(pipe, how, out):
    a, b = seen(LAKE), seen(STREET)
    share = np.linspace(0, 1, len(a.frames))[:, None, None, None]
    fade = ((1 - share) * a.frames + share * b.frames).round().astype(np.uint8)
    words = "a mountain lake, then a city street"
    return {"a": a, "b": b, "cross-fade": Video(fade, NATIVE_FPS),
            "blend": tools.blend(pipe, a, b, words, seed=1, **how).video}


@shown
def show_storyboard(pipe, how, out):
    picture = seen(LAKE).frames[0]
    board = lambda transition: tools.Storyboard(
        (tools.Card(0, "a mountain lake by day", image=picture), tools.Card(2.0, "a mountain lake at night")), 4.0,
        transition=transition, seed=1, **SEEN)
    return {transition: board(transition).film(pipe, **how).video for transition in ("smooth", "cut")}


@shown
def show_pace(pipe, how, out):
    film = seen(STREET)
    return {"film": film[0.5:1.25], "half the pace": tools.pace(film[0.5:1.25], 0.5),
            "parts": tools.recut(pipe, film, [(0.0, 0.5), (1.5, None)]).video}


@shown
def show_long(pipe, how, out):
    frames = np.stack(list(tools.reel(pipe, "the open sea at sunset", LONG, seed=1, **SEEN, **how)))
    return {"0 to 10 s": Video(frames[:81], NATIVE_FPS), "10 to 20 s": Video(frames[81:], NATIVE_FPS)}


@shown
def show_variations(pipe, how, out):
    takes = tools.variations(pipe, "a mountain lake at sunset", 4, seed=1, **SEEN, **how)
    return {f"seed {1 + k}": take.video for k, take in enumerate(takes)}


# --- report -----------------------------------------------------------------------------------------


def table(rows: Rows) -> str:
    """Means over films, with the standard error, of each group in the order in which they came."""
    groups = dict.fromkeys(row["of"] for row in rows)
    columns = list(dict.fromkeys(name for row in rows for name in row if name != "of"))
    lines = ["| | " + " | ".join(columns) + " | films |", "|---" * (len(columns) + 2) + "|"]
    for group in groups:
        cells, these = [], [row for row in rows if row["of"] == group]
        for name in columns:
            values = np.array([row.get(name, np.nan) for row in these], float)
            values = values[np.isfinite(values)]
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
            cells.append(f"{values.mean():.2f} ± {error:.2f}" if len(values) else "")
        lines.append(f"| {group} | " + " | ".join(cells) + f" | {len(these)} |")
    return "\n".join(lines)


def report(out: Path, kept: dict) -> None:
    """The tables into the marked part of tools.md, the rest of which is written by hand."""
    parts = [f"{MARKS[0]}, written by benchmarks/tools.py -->", ""]
    for name in dict.fromkeys([*BENCHMARKS, *SHEETS]):
        shots = [f"![{name}]({path.name})\n" for path in (out / f"tools_{name}.jpg", out / f"tools_{name}.gif")
                 if path.exists()]
        if name in kept:
            about, words = kept[name], " ".join(BENCHMARKS[name].__doc__.split())
            parts += [f"### {name}", "", words, "", table(about["rows"]), "",
                      f"Weights `{about['weights']}` ({about['sha256'][:8]}), {about['films']} films, {about['steps']} "
                      f"steps, {about['minutes']:.1f} minutes on {about['threads']} threads.", ""]
        elif shots:
            parts += [f"### {name}", ""]
        parts += shots
    path = out / "tools.md"
    text = path.read_text(encoding="utf-8") if path.exists() else f"{MARKS[0]} -->\n{MARKS[1]}\n"
    before, rest = text.split(MARKS[0], 1)
    written(path, before + "\n".join(parts) + MARKS[1] + rest.split(MARKS[1], 1)[1])


def written(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["measure", "sheets"], default="measure")
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--films", type=int, default=10)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--only", nargs="+", choices=[*dict.fromkeys([*BENCHMARKS, *SHEETS])])
    parser.add_argument("--again", action="store_true", help="measure anew what is there already")
    parser.add_argument("--out", type=Path, default=DOCS)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    pipe, path = load(asked.weights), asked.out / "tools.json"
    pipe.safety.policy = dataclasses.replace(pipe.safety.policy, faces="allow")       # who is drawn here is nobody
    kept = json.loads(path.read_text()) if path.exists() else {}
    if asked.what == "sheets":
        for name in (bar := tqdm([name for name in SHEETS if name in (asked.only or SHEETS)])):
            bar.set_description(name)
            SHEETS[name](pipe, {"steps": asked.steps} if asked.steps else {}, asked.out)
    else:
        bench = Bench(pipe, asked.films, asked.steps)
        about = {"weights": asked.weights, "sha256": digest_of(load_weights(asked.weights).card), "films": asked.films,
                 "referee": bench.referee is not None, "threads": torch.get_num_threads()}
        for name in (bar := tqdm([name for name in BENCHMARKS if name in (asked.only or BENCHMARKS)])):
            bar.set_description(name)
            about |= bench.part if name in PART_NOISED else bench.how
            if not asked.again and all(kept.get(name, {}).get(key) == value for key, value in about.items()):
                continue
            started = time.perf_counter()
            rows = BENCHMARKS[name](bench)
            kept[name] = {**about, "minutes": (time.perf_counter() - started) / 60, "rows": rows}
            written(path, json.dumps(kept, indent=1) + "\n")
            report(asked.out, kept)
    report(asked.out, kept)


if __name__ == "__main__":
    main()
