"""The creative tools on films of the drawn world: does what must stay stay, and does what must change change? Writes
tools.md with a table for each tool, tools.json, and a sheet of each tool's first film.

    python benchmarks/tools.py --weights nano --films 10
    python benchmarks/tools.py --weights nano --films 2 --only loop extend --steps 4 --out /tmp/tools

Each source is drawn, not generated, so that a tool is not measured by how well the model drew what went in. Ratios
compare the seam with the steps on either side of it, in the same film. Where the referee's weights do not ship, what
only it can say is left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from sorakit import tools
from sorakit.evaluation import measures
from sorakit.evaluation.adherence import describe, scenes_to_ask
from sorakit.pipeline import Pipeline, load
from sorakit.synthesis.finish import to_bytes
from sorakit.synthesis.measures import psnr
from sorakit.tools.loop import SEAMS, closed
from sorakit.tools.shot import decode, decode_loop, encode_still, read
from sorakit.types import NATIVE_FPS, NATIVE_SIZES, Video
from sorakit.weights import WeightsError
from sorakit.world.render import render
from sorakit.world.scene import Scene

SIZE = dict(zip(("height", "width"), NATIVE_SIZES["16:9"]))
STRENGTHS = (0.0, 0.15, 0.3, 0.5, 0.65, 0.8, 1.0)
LONG = 20.0
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
        frames = bench.show("animate", take)
        alone = to_bytes(bench.pipe.autoencoder.decode(encode_still(bench.pipe, film.frames[0], first=True)))
        rows.append({"of": "all", "PSNR of the first frame": psnr(frames[:1], film.frames[:1]),
                     "autoencoder's own": psnr(alone, film.frames[:1]),
                     "motion": measures.motion_magnitude(frames, NATIVE_FPS),
                     "the scene's own motion": measures.motion_magnitude(film.frames, NATIVE_FPS)})
    return rows


@benchmark
def remix(bench: Bench) -> Rows:
    """The seed's two examples by strength. Layout: correlation of brightness patterns of 9 x 16 cells, each frame with
    the source's. Motion: mean cosine of the optical flow with the source's where that moves. Changed: share of what
    was asked (time, weather, style) that the referee sees."""
    rows = []
    for name, (setting, prompt, style, asked) in EXAMPLES.items():
        for k in range(bench.films):
            film = bench.drawn(Scene((), setting, camera="pan right", seed=k))
            for strength in STRENGTHS:
                take = tools.remix(bench.pipe, film, prompt, style=style, strength=strength, seed=k, **bench.how)
                frames = bench.show(f"remix_{setting.replace(' ', '_')}_{strength:g}", take)
                rows.append({"of": f"{name}, strength {strength:g}", "layout": layout(frames, film.frames),
                             "motion": flow_agreement(frames, film.frames),
                             **bench.seen(take.video.frames, asked)})
    return rows


@benchmark
def extend(bench: Bench) -> Rows:
    """One second more, after and before: change and flow across the seam, against the mean of the drawn film's own
    steps. At most 1.3 is asked for."""
    rows = []
    for scene, film in bench.sources():
        for which, asked, seam in (("after", {"seconds": 1.0}, 16), ("before", {"before": 1.0}, 7)):
            take = tools.extend(bench.pipe, film, prompt=describe(scene), **asked, **bench.how)
            frames = bench.show(f"extend_{which}", take)
            own = range(16) if which == "after" else range(8, len(frames) - 1)
            rows.append({"of": which, **across(frames, seam, own)})
    return rows


@benchmark
def loop(bench: Bench) -> Rows:
    """Last frame to first, against the two steps before and after it; at most 1.2 is asked for. A ring has no seam."""
    rows = []
    for k, (scene, film) in enumerate(bench.sources()):
        latents = read(bench.pipe, "film", film)
        for name, seam in SEAMS.items():
            ring, _ = closed(bench.pipe, latents.latents, seam, describe(scene), latents.format, seed=k, **bench.how)
            frames = to_bytes(decode_loop(bench.pipe, ring))
            joint = 2 * (latents.latents.shape[2] - 1)
            bench.sheet(f"loop_{name}", frames)
            rows += [{"of": f"{name} seam, into it", **around(frames, joint)},
                     {"of": f"{name} seam, last to first", **around(frames, 0)}]
        take = tools.loop(bench.pipe, prompt=describe(scene), seed=k, **SIZE, **bench.how)
        frames = to_bytes(take.run.frames)
        if not k:
            tools.repeated(Video(frames, NATIVE_FPS), 10).save(bench.out / "tools_loop.gif")
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
        take = tools.blend(bench.pipe, a, b, words, seed=k, **bench.how)
        for name, frames in (("blend", bench.show("blend", take)), ("cross-fade", plain)):
            middle = len(frames) // 2
            rows.append({"of": name,
                         "ends": (psnr(frames[:1], a.frames[:1]) + psnr(frames[-1:], b.frames[-1:])) / 2,
                         "ghosts": explained(frames[middle], a.frames[middle], b.frames[middle]),
                         "warping error": measures.warping_error(frames)})
    return rows


@benchmark
def long(bench: Bench) -> Rows:
    """20 s in windows, against the same scene drawn for as long: from the first two seconds to the last two, change of
    the mean colour in levels, correlation of layout, cosine of the referee's view of the subject, and whether place
    and time of day are still read as the same."""
    rows = []
    for k, scene in enumerate(bench.scenes):
        made = tools.reel(bench.pipe, describe(scene), LONG, seed=k, **bench.how)
        films = {"generated": np.stack(list(made.native())),
                 "drawn": render(scene, *NATIVE_SIZES["16:9"], LONG, NATIVE_FPS).frames}
        bench.sheet("long", films["generated"])
        for name, frames in films.items():
            first, last = frames[:17], frames[-17:]
            rows.append({"of": name, "colour drift": float(np.abs(first.mean((0, 1, 2)) - last.mean((0, 1, 2))).mean()),
                         "layout": layout(last, first), **bench.same(first, last)})
    return rows


@benchmark
def storyboard(bench: Bench) -> Rows:
    """Two cards that share a subject, smooth and cut: how alike the referee finds the subject in the two shots, and in
    shots of two different scenes' boards."""
    rows = []
    for k, scene in enumerate(bench.scenes):
        subject = describe(scene)
        halves = {}
        for transition in ("smooth", "cut"):
            board = tools.Storyboard((tools.Card(0, "by day"), tools.Card(2.0, "at night")), seconds=4.0,
                                     prompt=subject, transition=transition, seed=k, **SIZE)
            take = board.film(bench.pipe, steps=bench.how.get("steps"))
            bench.sheet(f"storyboard_{transition}", take.video.frames)
            halves[transition] = take.video.frames[:17], take.video.frames[-17:]
            rows.append({"of": transition, **bench.same(*halves[transition])})
        other = tools.Storyboard((tools.Card(0, describe(bench.scenes[(k + 1) % len(bench.scenes)])),), seconds=2.0,
                                 seed=k, **SIZE).film(bench.pipe, steps=bench.how.get("steps"))
        rows.append({"of": "another scene", **bench.same(halves["cut"][0], other.video.frames[:17])})
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
    """Mean correlation of the brightness patterns of frames at the same moment."""
    def cells(picture):
        small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (16, 9), interpolation=cv2.INTER_AREA)
        return small.astype(np.float64).ravel()

    pairs = [(cells(a), cells(b)) for a, b in zip(frames, source)]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in pairs if a.std() and b.std()] or [np.nan]))


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
    """The step of a ring that leads to frame `first` against the two on either side of it."""
    ring = np.roll(frames, 3 - first, 0)[:6]                     # the step is that from 2 to 3
    change, flow, colour = steps_between(ring)
    beside = [0, 1, 3, 4]
    return {"flicker ratio": float(change[2] / max(change[beside].mean(), 0.1)),
            "flow ratio": float(flow[2] / max(flow[beside].mean(), 0.02)),
            "colour ratio": float(colour[2] / max(colour[beside].mean(), 0.1))}


def explained(frame: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """Share of a frame's variance that the best mix of two others explains."""
    parts = np.stack([a.ravel(), b.ravel(), np.ones(a.size)], 1).astype(np.float64)
    values = frame.ravel().astype(np.float64)
    fit, *_ = np.linalg.lstsq(parts, values, rcond=None)
    return float(1 - np.square(values - parts @ fit).mean() / max(values.var(), 1e-9))


class Bench:
    """The pipeline, the scenes, and the referee if its weights are here."""

    def __init__(self, pipe: Pipeline, films: int, steps: int | None, out: Path):
        self.pipe, self.films, self.out, self.how = pipe, films, out, {"steps": steps} if steps else {}
        self.scenes: Sequence[Scene] = scenes_to_ask(films, held_out=False)
        self.shown: set[str] = set()
        try:
            from sorakit.evaluation.referee import Referee

            self.referee = Referee.load()
        except (WeightsError, OSError):
            self.referee = None

    def drawn(self, scene: Scene) -> Video:
        return Video(render(scene, *NATIVE_SIZES["16:9"], 2.0, NATIVE_FPS).frames, NATIVE_FPS, describe(scene))

    def sources(self) -> list[tuple[Scene, Video]]:
        return [(scene, self.drawn(scene)) for scene in self.scenes]

    def show(self, name: str, take: tools.Take) -> np.ndarray:
        """A take's frames without mark and grade; the first of each name goes into a sheet, as delivered."""
        self.sheet(name, take.video.frames)
        return to_bytes(decode(self.pipe, take.latents))

    def sheet(self, name: str, frames: np.ndarray) -> None:
        if name not in self.shown:
            self.shown.add(name)
            sheet = Video(frames, NATIVE_FPS).contact_sheet(8, 120)
            Image.fromarray(sheet).save(self.out / f"tools_{name}.jpg", quality=88)

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--films", type=int, default=10)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--only", nargs="+", choices=[*BENCHMARKS], default=[*BENCHMARKS])
    parser.add_argument("--out", type=Path, default=Path("docs"))
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(load(asked.weights), asked.films, asked.steps, asked.out)
    results = {}
    for name in tqdm(asked.only):
        results[name] = BENCHMARKS[name](bench)
    steps = f"{asked.steps} steps" if asked.steps else "the weights' own number of steps"
    parts = ["# The creative tools, measured", "",
             f"`python benchmarks/tools.py --weights {asked.weights} --films {asked.films}`: {asked.films} films of "
             f"the drawn world for each figure, {steps}; means ± standard errors.", ""]
    for name, rows in results.items():
        sheets = [f"![{shown}](tools_{shown}.jpg)" for shown in sorted(bench.shown) if shown.split("_")[0] == name]
        parts += [f"## {name}", "", " ".join(BENCHMARKS[name].__doc__.split()), "", table(rows), "", *sheets, ""]
    for path, text in ((asked.out / "tools.md", "\n".join(parts)),
                       (asked.out / "tools.json", json.dumps(results, indent=1) + "\n")):
        beside = path.with_suffix(".tmp")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)


if __name__ == "__main__":
    main()
