"""Measures what looking inside costs, on an idle machine: medians of runs that take turns.

    python benchmarks/tracing.py --weights nano

`bare` is the same film with every place where a model can be watched taken out of it; `off` is a plain call, `default`
a trace that keeps what a trace keeps, `attention` one that keeps every attention. All have 25 guided steps, which give
the most to look at.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time

from torch.nn import functional as F

PROMPT = "A golden retriever runs through a field of wildflowers with the sun setting in the background."
STEPS = 25
LIMITS = {"off": 1.02, "default": 1.3}               # times a bare film, and times a plain call
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
    """The pipeline's networks without probes, and with attention that asks nobody."""
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
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def times(pipe, runs: int) -> dict[str, float]:
    """Median seconds of a two-second film of each kind. The kinds take turns, so that what slows the machine down for
    a while slows all of them."""
    def without():
        with bare(pipe):
            pipe(PROMPT, steps=STEPS)

    kinds = {"bare": without, "off": lambda: pipe(PROMPT, steps=STEPS),
             "default": lambda: pipe.trace(PROMPT, steps=STEPS),
             "attention": lambda: pipe.trace(PROMPT, keep="blocks.*.attention", steps=STEPS)}
    took = {name: [] for name in kinds}
    for k in range(runs + 1):
        for name, work in kinds.items():
            spent = seconds(work)
            if k:                                     # the first round warms up
                took[name].append(spent)
    return {name: statistics.median(values) for name, values in took.items()}


def attention_bytes(pipe) -> int:
    """Bytes of every attention of a two-second film, as a run keeps them."""
    run = pipe.trace(PROMPT, keep="blocks.*.attention", steps=STEPS)
    return sum(value.nbytes for step in run.steps for value in step.attention.values())


def main(weights: str, runs: int) -> None:
    import sorakit as sk

    pipe = sk.load(weights)
    median = times(pipe, runs)
    kept = attention_bytes(pipe) / 1e6
    print(f"{os.cpu_count()} cores, {runs} films of each kind")
    for name, value in median.items():
        print(f"{name:<12} {value:8.3f} s")
    off, default = median["off"] / median["bare"], median["default"] / median["off"]
    for name, value, most in (("tracing off, times bare", off, LIMITS["off"]),
                              ("default trace, times off", default, LIMITS["default"]),
                              ("every attention, MB", kept, ATTENTION_MB)):
        print(f"{name:<26} {value:8.3f}   {'within' if value < most else 'OVER'} {most}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    main(arguments.weights, arguments.runs)
