"""Image to video: pictures at the first second, the last, both, or any."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping

import numpy as np

from sorakit.formats import FITS, fitted
from sorakit.pipeline import Pipeline
from sorakit.prompt.files import read_image
from sorakit.provenance import path_of
from sorakit.tools.shot import (
    PER_SECOND,
    Take,
    decode,
    deliver,
    encode_still,
    format_of,
    latent_count,
    phase,
    prompt_of,
    screened,
    within,
)
from sorakit.tools.windows import Timeline, fill


def animate(pipe: Pipeline, image, prompt: str = "", *, at: str | float = "first", seconds: float = 2.0,
            aspect: str | None = None, height: int | None = None, width: int | None = None, fit: str = "crop",
            seed: int = 0, negative: str = "", steps: int | None = None, guidance: float | None = None, keep=(),
            progress=None) -> Take:
    """A film that shows a picture, and moves from it as the prompt says.

    >>> take = animate(pipe, "beach.jpg", "gentle waves, a seagull flies past")           # doctest: +SKIP
    >>> take = animate(pipe, {"first": "seed.png", "last": "flower.png"}, "it grows")     # doctest: +SKIP

    Args:
        image: a path, PIL image or uint8 array (h, w, 3); or several, by the second that each is for.
        prompt: without one, it is made from what the first picture is seen to show, and said in `take.notes`.
        at: where one picture goes: "first", "last", "both" or a second.
        aspect, height, width: the film's shape, such as "4:3", or its size; by default those of `pipe.synthesis`, else
            the picture's own.
        fit: of a picture of another shape: "crop" about the centre, or "pad" with a blurred copy around it.

    The first decoded frame is the picture as the autoencoder gives it back. Raises ValueError for what does not fit,
    naming the argument.
    """
    count = 1 + latent_count("seconds", seconds)
    wanted = {at: image} if not isinstance(image, Mapping) else image
    if not wanted:
        raise ValueError("image is an empty mapping; it takes {second: picture}, such as {'first': 'a.png'}")
    pictures = {}
    for when, picture in wanted.items():
        picture = read_image(picture)
        for place in places(when, count):
            if place in pictures:
                raise ValueError(f"at={when!r} is where another picture is already; a film has {PER_SECOND:g} places a "
                                 "second")
            pictures[place] = picture
    one = pictures[min(pictures)]
    if fit not in FITS:
        raise ValueError(f"fit={fit!r} is not one of {', '.join(FITS)}")
    format = format_of(pipe, one.shape[:2], aspect, height, width)
    prompt, notes = prompt_of(prompt, one)
    verdict = screened(pipe, prompt, negative, pictures.values())
    with within(pipe, count, format):
        timeline = with_pictures(pipe, Timeline.empty(pipe, format, count, prompt, verdict), pictures, fit)
        latents, runs = fill(pipe, timeline, seed=seed, negative=negative, steps=steps, guidance=guidance, keep=keep,
                             progress=progress)
        with phase(progress, "finish"):
            video = deliver(pipe, decode(pipe, latents), format, prompt=prompt, seed=seed, verdict=verdict,
                            made_from=tuple(path for given in wanted.values() for path in path_of(given)))
    asked = {"prompt": prompt, "at": sorted(pictures), "seconds": seconds, "fit": fit, "seed": seed}
    return Take(video, "animate", asked, runs, latents, notes)


def places(when: str | float, count: int) -> tuple[int, ...]:
    """The latents that "first", "last", "both" or a second stand for. Raises ValueError for anything else."""
    names = {"first": (0,), "last": (count - 1,), "both": (0, count - 1)}
    if isinstance(when, str) and when in names:
        return tuple(dict.fromkeys(names[when]))
    longest = (count - 1) / PER_SECOND
    if isinstance(when, numbers.Real) and not isinstance(when, bool) and 0 <= when <= longest:
        return (math.floor(when * PER_SECOND + 0.5),)
    raise ValueError(f"at={when!r} does not fit; it takes first, last, both, or a second from 0 to {longest:g}")


def with_pictures(pipe: Pipeline, timeline: Timeline, pictures: Mapping[int, np.ndarray], fit: str) -> Timeline:
    """The timeline with pictures laid at latents."""
    known, mask = timeline.known.clone(), timeline.mask.clone()
    for place, picture in pictures.items():
        frame = fitted(picture[None], timeline.format.native_height, timeline.format.native_width, fit)[0]
        known[:, :, place:place + 1], mask[:, place] = encode_still(pipe, frame, first=place == 0), True
    return dataclasses.replace(timeline, known=known, mask=mask)
