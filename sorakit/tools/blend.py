"""Two films into one, with a curve over time: mixed in latent space, and what is mixed is drawn anew."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from sorakit.pipeline import Pipeline
from sorakit.provenance import sources_of
from sorakit.tools.remix import strength_of
from sorakit.tools.shot import (
    Source,
    Take,
    decode,
    deliver,
    encode_still,
    latent_count,
    phase,
    prompt_for,
    read,
    screened,
    within,
)
from sorakit.tools.windows import Timeline, fill

CURVES: dict[str, tuple[tuple[float, float], ...]] = {       # (time, share of the second film), both from 0 to 1
    "transition": ((0, 0), (0.2, 0), (0.35, 0.2), (0.65, 0.8), (0.8, 1), (1, 1)),
    "mix": ((0, 0.5), (1, 0.5)),
    "sample": ((0, 0), (0.15, 0), (0.4, 0.5), (0.6, 0.5), (0.85, 0), (1, 0)),
}


def blend(pipe: Pipeline, a, b, prompt: str = "", *, curve: str | Sequence[tuple[float, float]] = "transition",
          overlap: float | None = None, strength: str | float = "mild", aspect: str | None = None,
          height: int | None = None, width: int | None = None, fit: str = "crop", seed: int = 0, negative: str = "",
          steps: int | None = None, guidance: float | None = None, keep=(), progress=None) -> Take:
    """A film that is partly the one and partly the other.

    >>> blend(pipe, "forest.mp4", "creature.mp4")                                         # doctest: +SKIP
    >>> blend(pipe, a, b, curve=[(0, 0), (0.5, 0.8), (1, 0)], overlap=2.0)                # doctest: +SKIP

    Args:
        a, b: paths, `Video`s, `Take`s or `Run`s; rates may differ, shapes only with an aspect or size given.
        curve: the share of b over the time in which both are there: "transition" (from a to b), "mix" (half of each),
            "sample" (a, and something of b in the midst), or your own points (time, share).
        overlap: seconds in which both are there: b begins so long before a ends. By default all of the shorter one.
        strength: how far what is mixed is drawn anew, as of `remix`; 0 is a plain cross-fade of latents.

    Where the share is 0 or 1, the film's own latents stay. Raises ValueError for what does not fit, such as an overlap
    that has no other share.
    """
    points, share = points_of(curve), strength_of(strength)
    with phase(progress, "read"):
        first, second = (read(pipe, name, film, None, fit, aspect=aspect, height=height, width=width)
                         for name, film in (("a", a), ("b", b)))
    if first.format.cells != second.format.cells:
        raise ValueError(f"a is {first.format.height} x {first.format.width} and b is {second.format.height} x "
                         f"{second.format.width}: pass aspect= or height= and width= to bring both to one shape")
    both = min(first.latents.shape[2], second.latents.shape[2])
    if overlap is not None:
        wanted = latent_count("overlap", overlap)
        if wanted > both:
            raise ValueError(f"overlap={overlap!r} is longer than the shorter of the two films")
        both = wanted
    mixed, shares = laid_over(pipe, first, second, both, points)
    prompts = [prompt_for(prompt, source, pipe) for source in (first, second)]
    words = prompt or f"{prompts[0][0]}, then {prompts[1][0]}"
    settled = torch.minimum(shares, 1 - shares) < 1e-6
    if share and settled.all():
        raise ValueError(f"overlap={overlap!r} and curve={curve!r} leave nothing to mix: it would be a cut; take an "
                         "overlap of 0.75 s or more, or longer films")
    mask = (settled | (share == 0)).to(mixed.device).view(1, -1, 1, 1).expand(mixed[:, 0].shape).clone()
    verdict = screened(pipe, words, negative, films=(first, second))
    timeline = Timeline(first.format, mixed, mask, ((0, words),), mixed if share < 1 else None, share or 1.0,
                        verdict=verdict)
    with within(pipe, mixed.shape[2], first.format):
        latents, runs = fill(pipe, timeline, seed=seed, negative=negative, steps=steps, guidance=guidance, keep=keep,
                             progress=progress)
        with phase(progress, "finish"):
            video = deliver(pipe, decode(pipe, latents), first.format, prompt=words, seed=seed, verdict=verdict,
                            made_from=tuple(dict.fromkeys(sources_of(a) + sources_of(b))))
    notes = tuple(dict.fromkeys((*first.notes, *second.notes, *(note for _, made in prompts for note in made))))
    asked = {"prompt": words, "curve": points, "overlap": overlap, "strength": share, "seed": seed}
    return Take(video, "blend", asked, runs, latents, notes)


def laid_over(pipe: Pipeline, a: Source, b: Source, both: int, points):
    """The two films' latents mixed by the curve, b beginning `both` latents before a ends; and b's share of each."""
    alone = a.latents.shape[2] - both
    end, count = a.latents.shape[2], alone + b.latents.shape[2]          # a ends first, if at another time
    shares = torch.ones(count)
    shares[:alone] = 0
    shares[alone:end] = torch.from_numpy(curve_at(points, end - alone))
    other = b.latents
    if alone:                                    # b's first latent stands alone only where a film begins
        still = encode_still(pipe, b.pictures(pipe)[0], first=False)
        other = torch.cat([still, other[:, :, 1:]], 2)
    mixed = torch.cat([a.latents, other[:, :, end - alone:]], 2).clone()
    weight = shares[alone:end].to(mixed).view(1, 1, -1, 1, 1)
    mixed[:, :, alone:end] = (1 - weight) * a.latents[:, :, alone:end] + weight * other[:, :, :end - alone]
    return mixed, shares


def curve_at(points, count: int) -> Float[np.ndarray, " count"]:
    """The curve at evenly spread times, first and last included."""
    return np.interp(np.linspace(0, 1, count), *zip(*points)).astype(np.float32)


def points_of(curve) -> tuple[tuple[float, float], ...]:
    """Raises ValueError for another name, or points that do not rise in time or leave 0 to 1."""
    if isinstance(curve, str):
        if curve not in CURVES:
            raise ValueError(f"curve={curve!r} is not one of {', '.join(CURVES)}; it also takes points (time, share)")
        return CURVES[curve]
    try:
        points = tuple((float(when), float(share)) for when, share in curve)
    except (TypeError, ValueError):
        raise ValueError(f"curve={curve!r} is no list of points (time, share)") from None
    times = [when for when, _ in points]
    inside = all(0 <= value <= 1 for point in points for value in point)
    if len(points) < 2 or not inside or any(p >= q for p, q in zip(times, times[1:])):
        raise ValueError(f"curve={curve!r} does not fit; it takes two points (time, share) or more, all from 0 to 1, "
                         "with times that rise")
    return points
