"""How well stage 1 reads: prompts against labels, pictures and films against the drawn world's ground truth.

    python benchmarks/reading.py prompts --half test
    python benchmarks/reading.py all --clips 60 --out reading.json
    python benchmarks/reading.py fit-depth --clips 120              # weights for sorakit/prompt/image.py
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import Counter
from pathlib import Path

from lemminflect import getLemma

from sorakit.prompt.lexicon import COLOURS

LABELS = Path(__file__).parents[1] / "tests" / "data" / "prompts.jsonl"
ROLES = ("setting", "time", "weather", "style", "mood", "camera", "negations")
SMALL = {"a", "an", "the", "in", "on", "at", "s"}


# --- prompts ------------------------------------------------------------------------------------


def labelled(half: str) -> list[dict]:
    """The labels of one half; "fresh" is a third part, written last and looked at once."""
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if half in (row["split"], "all")]


def same(a: str, b: str) -> bool:
    """Whether all words of the one phrase are in the other; singular and plural, "gray" and "grey" are the same."""
    if a == b:
        return True
    a, b = ({"leaf" if word == "leaves" else getLemma(word, "NOUN")[0]                        # it says "leave"
             for word in re.findall(r"[\w-]+", text.lower())} - SMALL for text in (a, b))
    return bool(a and b) and (a <= b or b <= a)


def facts(brief) -> dict[str, list[tuple[str, ...]]]:
    """A reading as (words, ...) by role, the form that labels are compared in."""
    found: dict[str, list[tuple[str, ...]]] = {"subject": [(s.name,) for s in brief.subjects]}
    found["colour"] = [(s.name, s.colour) for s in brief.subjects if s.colour]
    found["count"] = [(s.name, str(s.count)) for s in brief.subjects if s.count not in (None, 1)]
    found["attribute"] = [(s.name, a) for s in brief.subjects for a in s.attributes]
    found["action"] = [(s.name, a) for s in brief.subjects for a in s.actions]
    found["direction"] = [(s.name, s.direction) for s in brief.subjects if s.direction]
    for role in ROLES:
        found[role] = [(e.name,) for e in brief.all(role.removesuffix("s") if role == "negations" else role)]
    found["relation"] = [(r.subject, r.relation, r.object) for r in brief.relations]
    return found


def labels(row: dict) -> dict[str, list[tuple[str, ...]]]:
    """The same of a line of labels."""
    subjects = row["subjects"]
    found = {"subject": [(s["name"],) for s in subjects]}
    found["colour"] = [(s["name"], COLOURS[s["colour"]]) for s in subjects if "colour" in s]
    found["count"] = [(s["name"], str(s["count"])) for s in subjects if s.get("count") not in (None, 1)]
    found["attribute"] = [(s["name"], a) for s in subjects for a in s.get("attributes", ())]
    found["action"] = [(s["name"], a) for s in subjects for a in s.get("actions", ())]
    found["direction"] = [(s["name"], s["direction"]) for s in subjects if "direction" in s]
    found |= {role: [(name,) for name in row.get(role, ())] for role in ROLES}
    found["relation"] = [tuple(r) for r in row.get("relations", ())]
    return found


def compare(predicted: list[tuple[str, ...]], true: list[tuple[str, ...]]) -> tuple[int, list, list]:
    """How many match one to one; what is left over of either."""
    left, wrong, hits = list(true), [], 0
    for fact in predicted:
        match = next((other for other in left if all(same(a, b) for a, b in zip(fact, other))), None)
        if match is None:
            wrong.append(fact)
        else:
            hits += 1
            left.remove(match)
    return hits, wrong, left


def score(read, rows: list[dict], show: bool = False) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 by role; `read` takes a prompt to a `Brief`."""
    counts: dict[str, Counter] = {}
    for row in rows:
        predicted, true = facts(read(row["prompt"])), labels(row)
        errors = []
        for role in predicted:
            hits, wrong, missed = compare(predicted[role], true[role])
            counts.setdefault(role, Counter()).update(hit=hits, wrong=len(wrong), missed=len(missed))
            errors += [f"    {role}: read {wrong}, label {missed}"] if wrong or missed else []
        if show and errors:
            print(row["prompt"], *errors, sep="\n")
    table = {}
    for role, count in counts.items():
        precision = count["hit"] / max(1, count["hit"] + count["wrong"])
        recall = count["hit"] / max(1, count["hit"] + count["missed"])
        table[role] = {"precision": precision, "recall": recall, "labels": count["hit"] + count["missed"],
                       "f1": 2 * count["hit"] / max(1, 2 * count["hit"] + count["wrong"] + count["missed"])}
    return table


def prompts(half: str, show: bool = False) -> dict[str, dict[str, float]]:
    from sorakit.prompt.reader import Reader
    from sorakit.prompt.words import Words

    return score(Reader(Words.load()), labelled(half), show)


# --- pictures and films: the drawn world knows what is true ------------------------------------------


def pictures(clips: int, seed: int = 2077) -> dict[str, float]:
    """Depth order, horizon, time of day and palette of first frames, 96 x 170."""
    import numpy as np

    from sorakit.prompt import image
    from sorakit.world.render import render
    from sorakit.world.scene import NO_TIME, sample

    rng = np.random.default_rng(seed)
    order, rows_order, off, times, near = [], [], [], [], []
    for i in range(clips):
        scene = sample(np.random.default_rng([seed, i]))
        clip = render(scene, 96, 170, seconds=0)
        lab, depth = image.to_lab(clip.frames[0]), clip.depth[0]
        horizon = image.find_horizon(lab)
        guess = image.estimate_depth(lab, horizon)
        a, b = rng.integers(depth.size, size=(2, 5000))
        apart = np.abs(depth.ravel()[a] - depth.ravel()[b]) > 0.05
        if apart.any():
            true = np.sign(depth.ravel()[a] - depth.ravel()[b])[apart]
            order.append(float((np.sign(guess.ravel()[a] - guess.ravel()[b])[apart] == true).mean()))
            rows_order.append(float((np.sign(b // 170 - a // 170)[apart] == true).mean()))
        if clip._film.backdrop.sky and horizon is not None:
            off.append(abs(horizon - clip._film.backdrop.horizon))
        if scene.setting not in NO_TIME:
            times.append(image.time_of_day(lab) == scene.time)
        swatches = np.array([swatch.rgb for swatch in image.palette(clip.frames[0])], np.uint8)
        there, asked = image.to_lab(clip.frames[0]).reshape(-1, 1, 3), image.to_lab(swatches[None])
        near.append(float(np.linalg.norm(there - asked, axis=-1).min(1).mean()))
    return {"pictures": clips, "depth order right": float(np.mean(order)),
            "  if lower were nearer": float(np.mean(rows_order)),
            "horizon off, median, of the height": float(np.median(off)),
            "horizon off by at most 0.1": float(np.mean(np.array(off) <= 0.1)),
            "time of day right": float(np.mean(times)),
            "palette: mean distance of pixels (CIELAB)": float(np.mean(near))}


def fit_depth(clips: int, seed: int = 515) -> dict[str, float]:
    """The weights of `image.DEPTH` by least squares: 1,500 pixels of each of so many scenes that no figure is from."""
    import numpy as np

    from sorakit.prompt import image
    from sorakit.world.render import render
    from sorakit.world.scene import sample

    rng, measures, depths = np.random.default_rng(0), [], []
    for i in range(clips):
        clip = render(sample(np.random.default_rng([seed, i])), 96, 170, seconds=0)
        lab, chosen = image.to_lab(clip.frames[0]), rng.integers(96 * 170, size=1500)
        found = image.depth_measures(lab, image.find_horizon(lab))
        measures.append(np.stack([np.ones(1500), *(found[name].ravel()[chosen] for name in image.DEPTH)], 1))
        depths.append(clip.depth[0].ravel()[chosen])
    x, y = np.concatenate(measures), np.concatenate(depths)
    weights = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ y)
    return dict(zip(image.DEPTH, weights[1:].round(3).tolist()))


def films(clips: int, seed: int = 2078) -> dict[str, float]:
    """The camera's motion, flow, cuts and dissolves of 2 s films, 90 x 160; each pair is cut and dissolved."""
    import dataclasses

    import numpy as np

    from sorakit.prompt import video
    from sorakit.world.render import render
    from sorakit.world.scene import sample

    cameras = ("static", "pan left", "pan right", "zoom in", "zoom out")
    shots, named, false = [], [], {"cuts": 0, "dissolves": 0}
    for i in range(clips):
        scene = dataclasses.replace(sample(np.random.default_rng([seed, i])), camera=cameras[i % len(cameras)])
        frames = render(scene, 90, 160).frames
        shots.append(frames)
        named.append(video.measure_motion(frames, 8.0).camera == scene.camera)
        false["cuts"] += len(video.find_cuts(frames, 8.0))
        false["dissolves"] += len(video.find_dissolves(frames, 8.0))
    cut, extra_cuts, dissolved, extra_dissolves, pairs = 0, 0, 0, 0, 0
    for a, b in zip(shots[::2], shots[1::2]):
        pairs += 1
        found = video.find_cuts(np.concatenate([a, b]), 8.0)
        hits = sum(abs(t - len(a) / 8) < 0.07 for t in found)
        cut, extra_cuts = cut + min(1, hits), extra_cuts + len(found) - min(1, hits)
        n = 8
        share = (np.arange(1, n + 1) / (n + 1))[:, None, None, None]
        mixed = ((1 - share) * a[-n:] + share * b[:n]).round().astype(np.uint8)
        first, last = (len(a) - n - 1) / 8, len(a) / 8
        spans = video.find_dissolves(np.concatenate([a[:-n], mixed, b[n:]]), 8.0)
        hits = sum(min(y, last) - max(x, first) > 0.5 * (last - first) for x, y in spans)
        dissolved, extra_dissolves = dissolved + min(1, hits), extra_dissolves + len(spans) - min(1, hits)
    return {"films": clips, "camera named right": float(np.mean(named)), "cuts found": cut / pairs,
            "dissolves found": dissolved / pairs, "cuts too many, a pair": extra_cuts / pairs,
            "dissolves too many, a pair": extra_dissolves / pairs,
            "cuts in a single shot": false["cuts"] / clips, "dissolves in a single shot": false["dissolves"] / clips}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("prompts", "pictures", "films", "all", "fit-depth"), nargs="?", default="all")
    parser.add_argument("--half", choices=("tune", "test", "fresh", "all"), default="test",
                        help="part of the labels: what the grammar was written by, or one of two that it was not")
    parser.add_argument("--show", action="store_true", help="print where prompts are misread")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    arguments = parser.parse_args()
    figures: dict[str, dict] = {}
    if arguments.what in ("prompts", "all"):
        figures["prompts"] = {"half": arguments.half, "roles": prompts(arguments.half, arguments.show)}
        for role, row in figures["prompts"]["roles"].items():
            print(f"{role:<12} F1 {row['f1']:.3f}  precision {row['precision']:.3f}  recall {row['recall']:.3f}  "
                  f"labels {row['labels']}")
    for what, measure in (("pictures", pictures), ("films", films), ("fit-depth", fit_depth)):
        if arguments.what == what or arguments.what == "all" and what != "fit-depth":
            figures[what] = measure(arguments.clips)
            print(*(f"{name:<44} {value:8.3f}" for name, value in figures[what].items()), sep="\n")
    if arguments.out:
        partial = arguments.out.with_name(f".{arguments.out.name}.{os.getpid()}")
        partial.write_text(json.dumps(figures, indent=1))
        os.replace(partial, arguments.out)
