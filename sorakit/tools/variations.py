"""Several films of one prompt at once, and a view of them side by side."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sorakit.pipeline import Pipeline, check_number
from sorakit.run import Record, Recorder, Run
from sorakit.safety.watermark import embed
from sorakit.tools.shot import Given, Guided, Take, format_of, latent_count, phase, recorded, within
from sorakit.tools.windows import Timeline, Told
from sorakit.types import Brief, Conditioning, DenoisingStep, Latents, Verdict, Video

MOST = 4
GAP = 4                          # pixels between the films of a grid


def variations(pipe: Pipeline, prompt: str, n: int = 4, *, seconds: float = 2.0, aspect: str | None = None,
               height: int | None = None, width: int | None = None, seed: int = 0, negative: str = "",
               steps: int | None = None, guidance: float | None = None, progress=None) -> list[Take]:
    """1 to 4 films from consecutive seeds, in one batch: the same films as one after the other.

    >>> grid([take.video for take in variations(pipe, "a red car on a highway", 4)])      # doctest: +SKIP

    Raises ValueError for what does not fit, naming the argument.
    """
    check_number("n", n, 1, MOST, numbers.Integral)
    check_number("seed", seed, 0, 2**63 - n, numbers.Integral)
    format = format_of(pipe, None, aspect, height, width)
    empty = Timeline.empty(pipe, format, 1 + latent_count("seconds", seconds, 10.0), prompt)
    guided = Guided.of(pipe, Given(format, empty.known, empty.mask))
    request = {"prompt": prompt, "negative": negative, "steps": steps, "guidance": guidance}
    with within(pipe, empty.known.shape[2], format, n):
        recorder = Told(guided, (), progress)
        noises = [guided.drawn(seed + k) for k in range(n)]
        briefs = [guided.prompt(prompt, negative=negative, seed=seed + k) for k in range(n)]
        guided.drawn = lambda seed: torch.cat(noises)                    # of all films at once, this one time
        guided.text_encoder = lambda brief: Conditioning.together(
            [pipe.text_encoder(one) for one in (briefs if brief.said else [brief])])
        guided.sample(recorder, **request, seed=seed)
        del guided.drawn
        guided.text_encoder = pipe.text_encoder
        takes = []
        with phase(progress, "finish"):
            for k in range(n):
                one = Recorder(guided, ())
                one.taken = {name: part(record, k, n, briefs[k]) for name, record in recorder.records.items()}
                one.steps = [step_of(step, k) for step in recorder.steps]
                run = Run.record(guided, (), {**request, "seed": seed + k}, one)
                takes.append(Take(run.video, "variations", {**request, "seed": seed + k}, (run,), run.latents.values))
    return takes


def part(record: Record, k: int, n: int, brief: Brief) -> Record:
    """A stage of the batch as one of its films had it, with its brief; its share of the time, too."""
    output = record.output
    if isinstance(output, Latents):
        output = dataclasses.replace(output, values=output.values[k:k + 1])
    elif isinstance(output, Conditioning) and len(output.vectors) > 1:
        here = output.mask[k]
        output = Conditioning(output.vectors[k:k + 1, here], output.mask[k:k + 1, here], output.null_vectors[:1],
                              output.null_mask[:1], brief.tokens)
    elif isinstance(output, Brief) and output.said:
        output = brief
    elif isinstance(output, Verdict) and output.brief.said:
        output = dataclasses.replace(output, brief=brief)
    return dataclasses.replace(record, output=output, seconds=record.seconds / n)


def step_of(step: DenoisingStep, k: int) -> DenoisingStep:
    one: dict[str, Float[Tensor, "1 c t h w"]] = {
        name: getattr(step, name)[k:k + 1]
        for name in ("x", "velocity", "x0", "x_next", "conditional", "unconditional", "skipped")
        if getattr(step, name) is not None}
    return dataclasses.replace(step, **one)


def grid(videos: Sequence[Video]) -> Video:
    """Films of one size and rate side by side, the shorter ones waiting in their last frame."""
    if not videos:
        raise ValueError("videos is empty; it takes one film or more")
    first = videos[0]
    for video in videos:
        if (video.height, video.width, video.fps) != (first.height, first.width, first.fps):
            raise ValueError(f"videos differ: {video!r} and {first!r}; a grid takes films of one size and rate")
    columns = math.ceil(math.sqrt(len(videos))) if first.width <= first.height or len(videos) > 2 else 1
    rows = math.ceil(len(videos) / columns)
    t, h, w = max(len(video.frames) for video in videos), first.height, first.width
    frames = np.full((t, rows * (h + GAP) - GAP, columns * (w + GAP) - GAP, 3), 255, np.uint8)
    for k, video in enumerate(videos):
        y, x = k // columns * (h + GAP), k % columns * (w + GAP)
        shown = video.frames[np.minimum(np.arange(t), len(video.frames) - 1)]
        frames[:, y:y + h, x:x + w] = shown
    if first.origin and first.origin.watermark is not None:           # the films' own are too small to be read in it
        frames = embed(frames, first.origin.watermark)
    return recorded(first, frames)


