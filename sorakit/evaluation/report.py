"""One command, one report: films of the benchmark's prompts, read by the referee, beside their ceiling and their floor.

The ceiling is the referee's own reading of renders of the same scenes, about what a perfect model would score. The
floor is the films judged by other films' prompts: what is right by chance of the scene, but not of a guess between two,
as colour, count, action and direction count only where their subject is seen.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from ..pipeline import Pipeline, digest_of, load
from ..types import NATIVE_FPS, NATIVE_SIZES, Conditioning
from ..weights import load_weights
from ..whole import whole
from ..world.render import render
from ..world.scene import Scene
from . import measures
from .adherence import Share, describe, judge, scenes_to_ask, shares_of
from .referee import Features, Reading, Referee

SECONDS = 2.0
ASPECT = "16:9"
REFERENCE = 256          # other renders that films are compared with
SHEET = 16               # films on the sheet
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Part:
    """What was found for one list of scenes: shares by attribute, and measures by name."""

    scenes: list[Scene]
    seeds: int
    adherence: dict[str, Share]
    ceiling: dict[str, Share]
    floor: dict[str, Share]
    measures: dict[str, dict[str, float | None]]      # of "films" and of "renders"
    judged: list[list[dict[str, bool]]]               # by prompt, then by seed
    films: list[UInt8[np.ndarray, "t h w 3"]]         # of each prompt its seeds
    readings: list[Reading]
    seconds: float                                    # that making the films took


def evaluate(weights: str | Path = "nano", prompts: str | Sequence[Scene] = "both", seeds: int = 2, films: int = 100,
             out: str | Path | None = "docs", *, steps: int | None = None, guidance: float | None = None,
             batch: int = 8, seed: int = 0, data: str | Path = "checkpoints/data",
             referee: Referee | str | Path | None = None, device: str | None = None,
             progress: Progress | None = None) -> dict[str, Part]:
    """Make films, read them, and write `benchmark.md`, `.json`, `.png` and `benchmark_films.jpg` to the folder `out`.

    Args:
        prompts: "seen" or "held-out" combinations, "both", or scenes of your own.
        seeds: films of each prompt.
        films: in each list of prompts, all seeds together; scenes of your own are all taken.
        out: nothing is written if None.
        steps, guidance: as of a call of the pipeline: few steps where the weights know them, unless steps are more
            than 8 or guidance is given. The report says which.
        data: folder of the last training's clips, for the nearest of them; left out where it has none.
        referee: one that was loaded, or a folder with its weights; by default the one that ships.
        progress: called with (what, done, in all).

    Raises ValueError for other prompts, fewer films than seeds, or weights that are missing or damaged.
    """
    if seeds < 1 or films < seeds:
        raise ValueError(f"films={films!r} and seeds={seeds!r} do not fit: they take 1 seed or more, and as many films")
    number = films // seeds
    lists = {name: scenes_to_ask(number, held_out=name == "held-out", seed=seed) for name in ("seen", "held-out")}
    if isinstance(prompts, str):
        if prompts not in (*lists, "both"):
            raise ValueError(f"prompts={prompts!r} is not one of seen, held-out, both; or pass a list of scenes")
        lists = lists if prompts == "both" else {prompts: lists[prompts]}
    else:
        if not prompts:
            raise ValueError("prompts is empty; it takes one scene or more")
        lists = {"given": list(prompts)}
    progress = progress or (lambda *_: None)
    referee = referee if isinstance(referee, Referee) else Referee.load(referee)
    pipe = load(weights, device)
    referee = referee.to(pipe.device)
    seen = load_weights(weights).card.get("flow_training", {})
    training = _remember_training(referee, data, seen.get("data_seed", 1))
    parts = {}
    for name, scenes in lists.items():
        others = scenes_to_ask(max(REFERENCE, len(scenes)), held_out=name == "held-out", seed=seed + 1)
        parts[name] = _part(pipe, referee, scenes, seeds, _remember_renders(referee, others, progress), training,
                            progress, steps=steps, guidance=guidance, batch=batch)
    if out is not None:
        sampler, _, taken, scale = pipe.plan(steps, guidance)
        how = {"made": pipe.planned(steps, guidance), "steps": taken,
               "guidance": None if sampler.method == "few_step" else scale}
        write(parts, out, about(weights, seed, pipe.device) | how | {"referee": referee.accuracy})
    return parts


def _part(pipe, referee, scenes, seeds, reference, training, progress, **how) -> Part:
    texts = [describe(scene) for scene in scenes]
    started = time.perf_counter()
    films = list(make_films(pipe, texts, seeds, progress=progress, **how))
    seconds = time.perf_counter() - started
    renders = [render(scene, *NATIVE_SIZES[ASPECT], SECONDS, NATIVE_FPS).frames for scene in scenes]
    readings = referee.read(films)
    rows = [readings[k:k + seeds] for k in range(0, len(readings), seeds)]
    judged = [[judge(scene, reading) for reading in row] for scene, row in zip(scenes, rows)]
    away = max(1, len(rows) // 2)                                       # each prompt is judged by a far one's films
    others = rows[away:] + rows[:away]
    floor = [[judge(scene, reading) for reading in row] for scene, row in zip(scenes, others)]
    ceiling = [[judge(scene, reading)] for scene, reading in zip(scenes, referee.read(renders))]
    still = [scene.camera == "static" for scene in scenes]
    taken = {"films": measure(films, np.repeat(still, seeds), referee.remember(films), reference, training, seeds),
             "renders": measure(renders, np.array(still), referee.remember(renders), reference, training)}
    return Part(list(scenes), seeds, shares_of(judged), shares_of(ceiling), shares_of(floor), taken, judged, films,
                readings, seconds)


@torch.no_grad()
def make_films(pipe: Pipeline, texts: Sequence[str], seeds: int, *, batch: int = 8, steps: int | None = None,
               guidance: float | None = None, progress: Progress | None = None
               ) -> Iterator[UInt8[np.ndarray, "t h w 3"]]:
    """Films as the models draw them, not enlarged: of each text, seeds 0, 1, ... in turn.

    The same films as `pipe(text, seed=...)` makes, in batches.
    """
    jobs = [(text, seed) for text in texts for seed in range(seeds)]
    told = {job: pipe.text_encoder(pipe.prompt(job[0], seed=job[1])) for job in jobs}
    sampler, network, steps, guidance = pipe.plan(steps, guidance)
    for k in range(0, len(jobs), batch):
        these = jobs[k:k + batch]
        noise = torch.cat([pipe.noise(SECONDS, ASPECT, seed) for _, seed in these])
        latents = sampler(network, noise, Conditioning.together([told[job] for job in these]), steps=steps,
                          guidance=guidance, fps=NATIVE_FPS)
        frames = (pipe.autoencoder.decode(latents.values).float().clamp(-1, 1) + 1) * 127.5      # (b, 3, t, h, w)
        yield from frames.round().byte().permute(0, 2, 3, 4, 1).cpu().numpy()
        if progress:
            progress("films", min(k + batch, len(jobs)), len(jobs))


def measure(films: Sequence[UInt8[np.ndarray, "t h w 3"]], still, features: Features, reference: np.ndarray,
            training: np.ndarray | None, seeds: int = 1) -> dict[str, float | None]:
    """Means of each of the measures, None where there is nothing to measure.

    Flicker is that of films whose camera was asked to stand still (`still`), as VBench does. The Fréchet distance
    takes one film of each prompt, so that films and renders are as many.
    """
    flows = [measures.optical_flow(film) for film in films]
    mean = lambda values: float(np.nanmean(values)) if len(values) else None
    return {
        "flicker": mean([measures.flicker(film) for film, standing in zip(films, still) if standing]),
        "warping error": mean([measures.warping_error(film) for film in films]),
        "subject consistency": mean([measures.subject_consistency(vectors) for vectors in features.subject]),
        "motion magnitude": mean([measures.motion_magnitude(film, NATIVE_FPS, flow)
                                  for film, flow in zip(films, flows)]),
        "dynamic degree": mean([measures.is_dynamic(film, NATIVE_FPS, flow) for film, flow in zip(films, flows)]),
        "Fréchet distance": measures.frechet_distance(features.film[::seeds], reference)
        if len(films) > seeds else None,
        "nearest training clip": None if training is None else
        mean(measures.nearest_neighbours(features.film, training)[0]),
    }


def _remember_renders(referee, scenes, progress) -> np.ndarray:
    frames = []
    for k, scene in enumerate(scenes):
        frames.append(render(scene, *NATIVE_SIZES[ASPECT], SECONDS, NATIVE_FPS).frames)
        progress("renders", k + 1, len(scenes))
    return referee.remember(frames).film


def _remember_training(referee, data, seed: int) -> np.ndarray | None:
    """Features of the clips in a folder of shards of `sorakit.training.data`, those of a data seed; None without."""
    from ..training.data import load_shard

    paths = sorted(Path(data).glob(f"{seed}-?????.npz"))
    return np.concatenate([referee.remember(list(load_shard(path)[0])).film for path in paths]) if paths else None


# --- the report ---------------------------------------------------------------------------------


def about(weights: str | Path, seed: int, device: torch.device) -> dict:
    """What was measured, and where."""
    card = load_weights(weights).card
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"weights": Path(weights).name, "weights_hash": digest_of(card)[:16], "training": card.get("flow_training"),
            "seed": seed, "machine": f"{platform.system()} {chip}, {os.cpu_count()} cores, torch {torch.__version__}, "
            f"{torch.get_num_threads()} threads", "date": time.strftime("%Y-%m-%d")}


def write(parts: dict[str, Part], out: str | Path, about: dict) -> Path:
    """The report in four files; returns that to read first."""
    from PIL import Image

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    table = {**about, "parts": {name: as_json(part) for name, part in parts.items()}}
    with whole(out / "benchmark.json") as beside:
        beside.write_text(json.dumps(table, indent=2, allow_nan=False), encoding="utf-8")
    with whole(out / "benchmark.png") as beside:
        plot(parts).savefig(beside, dpi=120)
    with whole(out / "benchmark_films.jpg") as beside:
        Image.fromarray(sheet(parts)).save(beside, quality=85)
    with whole(out / "benchmark.md") as beside:
        beside.write_text(as_markdown(parts, about, out), encoding="utf-8")
    return out / "benchmark.md"


def as_json(part: Part) -> dict:
    shares = lambda table: {name: dataclasses.asdict(share) for name, share in table.items()}
    return {"prompts": [describe(scene) for scene in part.scenes], "seeds": part.seeds,
            "seconds": round(part.seconds, 1), "adherence": shares(part.adherence), "ceiling": shares(part.ceiling),
            "floor": shares(part.floor), "measures": part.measures, "judged": part.judged}


def as_markdown(parts: dict[str, Part], about: dict, out: Path) -> str:
    """The report as a page: tables of shares with 95% intervals and of measures, and how to make it again."""
    which = next(iter(parts)) if len(parts) == 1 else "both"
    training = about["training"] or {}
    guided = "" if about["guidance"] is None else f" --guidance {about['guidance']:g}"
    lines = ["# How good the films are", "",
             f"Weights `{about['weights']}` (sha256 {about['weights_hash']}"
             + (f", {training['clips_seen']:,} clips seen" if "clips_seen" in training else "") + "), "
             f"{about['made']}, seed {about['seed']}, {about['date']}. "
             f"{about['machine']}.", "",
             "Films of two seconds, 16:9, asked for in one sentence that says everything, and read back by the referee "
             "(`sorakit/evaluation/referee.py`). Percent of the films that are right, with 95% intervals. Ceiling: the "
             "referee's reading of renders of the same scenes. Floor: the films judged by other films' prompts. "
             "Colour, count, action and direction count only where their subject is seen: who guesses between left and "
             "right is right in about half of the films whose subject is, not in the floor's share.", ""]
    for name, part in parts.items():
        films = len(part.films)
        lines += [f"## {name[0].upper() + name[1:]} combinations" if name != "given" else "## The scenes given", "",
                  f"{len(part.scenes)} prompts, {part.seeds} {'seed' if part.seeds == 1 else 'seeds'} each; {films} "
                  f"films in {part.seconds:.0f} s ({part.seconds / films:.2f} s a film).", "",
                  "| | films | ceiling | floor | films judged |", "|---|---|---|---|---|"]
        lines += [f"| {key} | {share} | {part.ceiling[key]} | {part.floor[key]} | {share.films} |"
                  for key, share in part.adherence.items()]
        lines += ["", "| | films | renders |", "|---|---|---|"]
        lines += [f"| {key} | {_figure(value)} | {_figure(part.measures['renders'][key])} |"
                  for key, value in part.measures["films"].items()]
        lines.append("")
    if about["referee"]:
        tests = about["referee"]
        lines += ["## The referee itself", "", "How often it reads an attribute of clips right that it never saw: of "
                  "renders, and of these as they come out of the autoencoder.", "",
                  "| | " + " | ".join(tests) + " |", "|---" * (1 + len(tests)) + "|"]
        lines += [f"| {key} | " + " | ".join(str(Share(**test[key])) if key in test else "" for test in tests.values())
                  + " |" for key in dict.fromkeys(key for test in tests.values() for key in test)]
        lines.append("")
    lines += ["Flicker: mean difference of successive frames where the camera was asked to stand still. Warping error: "
              "after moving each frame along the optical flow. Motion: frame heights a second. Dynamic degree: share "
              "of films that move. Fréchet distance: in the referee's features, from held-out renders. Nearest "
              "training clip: 1 - cosine; far below the renders' would mean that films are recited. Sources: "
              "`sorakit/evaluation/measures.py`.", "",
              "![Shares of films that are right](benchmark.png)", "",
              "![Films, first and last frames; a green edge where the whole scene is right](benchmark_films.jpg)", "",
              f"Again: `sorakit evaluate --weights {about['weights']} --prompts {which} --seeds "
              f"{next(iter(parts.values())).seeds} --films {len(next(iter(parts.values())).films)} "
              f"--steps {about['steps']}{guided} --out {out}`", ""]
    return "\n".join(lines)


def plot(parts: dict[str, Part]):
    """A row of bars for each list of prompts, between its floor and its ceiling; a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2 * len(parts)), layout="constrained")
    for axes, (name, part) in zip(np.ravel(figure.subplots(len(parts), squeeze=False)), parts.items()):
        keys, at = list(part.adherence), np.arange(len(part.adherence))
        shares = list(part.adherence.values())
        error = [[100 * (s.share - s.low) for s in shares], [100 * (s.high - s.share) for s in shares]]
        axes.bar(at, [100 * s.share for s in shares], 0.6, yerr=error, capsize=3, color="tab:blue", label="films")
        for table, mark, label in ((part.ceiling, "tab:green", "ceiling"), (part.floor, "tab:red", "floor")):
            axes.hlines([100 * table[key].share for key in keys], at - 0.38, at + 0.38, colors=mark, label=label)
        axes.set(title=name, ylabel="% right", ylim=(0, 101), xticks=at)
        axes.set_xticklabels(keys, rotation=30, ha="right")
        axes.legend(fontsize="small", ncols=3)
    return figure


def sheet(parts: dict[str, Part]) -> UInt8[np.ndarray, "h w 3"]:
    """The first and last frames of the first films, not picked; a green edge where the whole scene is right."""
    tiles = []
    for part in parts.values():
        right = [film["scene"] for row in part.judged for film in row]
        for film, good in list(zip(part.films, right))[:SHEET]:
            tile = np.concatenate([film[0], film[-1]], 1)
            tiles.append(np.pad(tile, ((3, 3), (3, 3), (0, 0))))
            edge = np.ones(tiles[-1].shape[:2], bool)
            edge[3:-3, 3:-3] = False
            tiles[-1][edge] = (60, 170, 80) if good else (255, 255, 255)
    columns = 4
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % columns)
    return np.concatenate([np.concatenate(tiles[k:k + columns], 1) for k in range(0, len(tiles), columns)])


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
