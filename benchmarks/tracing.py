"""Measures what looking inside costs, on an idle machine: medians of what takes turns.

    python benchmarks/tracing.py --weights nano

A film's seconds scatter by a tenth on most machines, so that what costs a fiftieth is looked for a step at a time:
every other step is bare, with every place where the model can be watched taken out of it, and is compared with its
neighbour. `off` is a plain film, `default` a trace that keeps what a trace keeps, `attention` one that keeps every
attention. All have 25 guided steps, which give the most to look at.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import statistics
import time

import torch
from speed import wait
from torch.nn import functional as F

PROMPT = "A golden retriever runs through a field of wildflowers with the sun setting in the background."
STEPS = 25
LIMITS = {"off": 1.02, "default": 1.3}               # times a bare step, and times a plain film
ATTENTION_MB = 500


class Unwatched:
    """Stands where a model's probes stand, and does nothing."""

    active = ()

    def wants(self, name: str) -> bool:
        return False

    def __call__(self, name: str, value):
        return value


@contextlib.contextmanager
def bare(pipe):
    """The pipeline's networks without probes, and with attention that asks nobody. (`pipe.sampler.skip` is a probe,
    too: it is off in all that is measured here.)"""
    from sorakit.transformer import model

    networks, attend = [network for network in (pipe.transformer, pipe.few_step) if network is not None], model.attend
    probes = [network.probes for network in networks]
    for network in networks:
        network.probes = Unwatched()
    model.attend = lambda q, k, v, mask, see, name, batch: F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    try:
        yield
    finally:
        model.attend = attend
        for network, own in zip(networks, probes):
            network.probes = own


def seconds(work) -> float:
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


def off_times_bare(pipe, films: int) -> tuple[float, float, float]:
    """Median of a step's seconds as it is over its neighbour's without probes, and the median's 95% interval."""
    forward, took = pipe.transformer.forward, []

    def timed(*args, **kwargs):
        is_bare = len(took) % 2 == 1
        with bare(pipe) if is_bare else contextlib.nullcontext():
            wait()
            started = time.perf_counter()
            out = forward(*args, **kwargs)
            wait()
            took.append(time.perf_counter() - started)
        return out

    pipe(PROMPT, steps=STEPS)                         # warms up
    pipe.transformer.forward = timed
    try:
        for _ in range(films):                        # of 25 steps each, so that every second film begins with a bare
            pipe(PROMPT, steps=STEPS)
    finally:
        del pipe.transformer.forward
    pairs = torch.tensor(took[:len(took) // 2 * 2]).view(-1, 2)
    ratios = pairs[:, 0] / pairs[:, 1]
    draws = torch.randint(len(ratios), (2000, len(ratios)), generator=torch.Generator().manual_seed(0))
    low, high = ratios[draws].median(1).values.quantile(torch.tensor([0.025, 0.975])).tolist()
    return ratios.median().item(), low, high


def times(pipe, runs: int) -> dict[str, float]:
    """Median seconds of a two-second film of each kind. The kinds take turns, so that what slows the machine down for
    a while slows all of them, and in every six rounds each comes twice before and after each other."""
    kinds = {"off": lambda: pipe(PROMPT, steps=STEPS), "default": lambda: pipe.trace(PROMPT, steps=STEPS),
             "attention": lambda: pipe.trace(PROMPT, keep="blocks.*.attention", steps=STEPS)}
    took, orders = {name: [] for name in kinds}, list(itertools.permutations(kinds))
    for k in range(runs):
        for name in orders[k % len(orders)]:
            took[name].append(seconds(kinds[name]))
    return {name: statistics.median(values) for name, values in took.items()}


def attention_bytes(pipe) -> int:
    """Bytes of every attention of a two-second film, as a run keeps them."""
    run = pipe.trace(PROMPT, keep="blocks.*.attention", steps=STEPS)
    return sum(value.nbytes for step in run.steps for value in step.attention.values())


def main(weights: str, runs: int) -> None:
    import sorakit as sk

    pipe = sk.load(weights)
    pipe.sampler.skip = None
    off, low, high = off_times_bare(pipe, runs)
    median = times(pipe, runs)
    kept = attention_bytes(pipe) / 1e6
    print(f"{os.cpu_count()} cores, {runs} films of each kind")
    for name, value in median.items():
        print(f"{name:<12} {value:8.3f} s")
    default = median["default"] / median["off"]
    print(f"tracing off, 95% interval  {low:8.3f} - {high:.3f}")
    for name, value, most in (("tracing off, times bare", off, LIMITS["off"]),
                              ("default trace, times off", default, LIMITS["default"]),
                              ("every attention, MB", kept, ATTENTION_MB)):
        print(f"{name:<26} {value:8.3f}   {'within' if value < most else 'OVER'} {most}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--runs", type=int, default=12)
    arguments = parser.parse_args()
    main(arguments.weights, arguments.runs)
