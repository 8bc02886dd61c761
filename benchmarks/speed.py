"""Measures how fast the world is drawn and a film is made, on an idle machine: medians of repeated runs.

    python benchmarks/speed.py --weights nano
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

PROMPT = "A golden retriever runs through a field of wildflowers with the sun setting in the background."


def timed(work, runs: int) -> float:
    """Median seconds of a call."""
    took = []
    for _ in range(runs):
        started = time.perf_counter()
        work()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def world(clips: int = 96) -> dict[str, float]:
    """Clips of 17 frames that one core draws in a second."""
    import numpy as np

    from sorakit.world.render import render
    from sorakit.world.scene import sample

    scenes = [sample(np.random.default_rng([5, i])) for i in range(clips)]
    rate = lambda draw, height, width: clips / timed(lambda: [draw(render(s, height, width)) for s in scenes], 1)
    return {"clips drawn a second, 64 x 112": rate(lambda clip: clip, 64, 112),
            "clips drawn a second, 80 x 144": rate(lambda clip: clip, 80, 144),
            "the same, with subject masks": rate(lambda clip: clip.subject_mask, 80, 144),
            "clips drawn a second, 96 x 170": rate(lambda clip: clip, 96, 170)}


def film(weights: str, runs: int = 5) -> dict[str, float]:
    """Seconds of each stage of a two-second film, from a warm pipeline."""
    import sorakit as sk

    rows = {"load": timed(lambda: sk.load(weights), 3)}
    pipe = sk.load(weights)
    pipe(PROMPT)
    films = []
    rows["film, 25 steps with guidance"] = timed(lambda: films.append(pipe(PROMPT)), runs)
    for stage in films[0].timings:
        rows[f"  {stage}"] = statistics.median(video.timings[stage] for video in films)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores")
    for name, value in {**world(), **film(arguments.weights)}.items():
        print(f"{name:<36} {value:8.2f}")
