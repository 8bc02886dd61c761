"""Loops without a seam: of a film, by new latents from its end to its beginning; or made as a ring from the start."""

from __future__ import annotations

import numpy as np
import torch

from sorakit.formats import Format
from sorakit.pipeline import Pipeline
from sorakit.provenance import path_of, sources_of
from sorakit.run import Run
from sorakit.tools.carry import FOLLOW
from sorakit.tools.shot import (
    PER_SECOND,
    Given,
    Guided,
    Take,
    decode_loop,
    deliver,
    format_of,
    latent_count,
    phase,
    prompt_for,
    read,
    recorded,
    screened,
    within,
)
from sorakit.tools.windows import WINDOW, Timeline, Told, fill, restarted, small
from sorakit.types import Verdict, Video

SEAMS = {"short": 2, "normal": 4, "long": 6}     # latents from the end to the beginning, a quarter second each
LONGEST = 10.0                                   # seconds that are made as one ring
LEAST = 4                                        # latents of a loop


def loop(pipe: Pipeline, film=None, prompt: str = "", *, seconds: float | None = None, seam: str = "normal",
         aspect: str | None = None, height: int | None = None, width: int | None = None, seed: int = 0,
         negative: str = "", steps: int | None = None, guidance: float | None = None, keep=(), progress=None) -> Take:
    """A film whose end leads into its beginning.

    >>> loop(pipe, prompt="a planet rotates in outer space", seconds=3)                   # doctest: +SKIP
    >>> loop(pipe, "waves.mp4", seam="long")                                              # doctest: +SKIP

    Args:
        film: what to close; without it, the film is made as a ring from the prompt, and there is no seam at all.
        seconds: of the loop, seam and all. By default the whole film and its seam; 2 s without a film.
        seam: "short" (0.5 s), "normal" (1 s) or "long" (1.5 s) of new content from the film's end to its beginning.
        aspect, height, width: shape or size; by default those of `pipe.synthesis`, else a given film's own.

    `take.latents` is None: a ring's first latent leans on its last. Raises ValueError for a film too short to loop and
    for what else does not fit.
    """
    if seam not in SEAMS:
        raise ValueError(f"seam={seam!r} is not one of {', '.join(SEAMS)}")
    how = {"seed": seed, "negative": negative, "steps": steps, "guidance": guidance, "keep": keep, "progress": progress}
    asked, new = {"seconds": seconds, "seam": seam, "seed": seed}, SEAMS[seam]
    if film is None:
        new = 0
        count = max(LEAST, latent_count("seconds", 2.0 if seconds is None else seconds, LONGEST))
        format = format_of(pipe, None, aspect, height, width)
        latents, notes, verdict = None, (), None
    else:
        with phase(progress, "read"):
            source = read(pipe, "film", film, aspect=aspect, height=height, width=width)
            onward = FOLLOW if prompt in ("", source.prompt) else 1.0
            prompt, notes = prompt_for(prompt, source, pipe)
        verdict = screened(pipe, prompt, negative, films=(source,))
        latents, format, notes = source.latents, source.format, source.notes + notes
        if seconds is not None:
            latents = cut_to(latents, latent_count("seconds", seconds) - new, seconds)
        count = latents.shape[2] - 1 + new
    with within(pipe, 1 + count, format):
        ring, runs = round_from_start(pipe, count, prompt, format, **how) if film is None \
            else closed(pipe, latents, new, prompt, format, verdict, onward, **how)
        with phase(progress, "finish"):
            video = deliver(pipe, decode_loop(pipe, ring, new), format, prompt=prompt, seed=seed,
                            verdict=verdict or runs[-1].verdict, made_from=sources_of(film),
                            edited=bool(path_of(film)), ring=True)
    return Take(video, "loop", {"prompt": prompt, **asked}, runs, None, notes)


def round_from_start(pipe: Pipeline, count: int, prompt: str, format: Format, *, keep=(), progress=None, **request):
    """A ring of `count` latents, and the run that made it."""
    empty = Timeline.empty(pipe, format, count, prompt)
    guided = Guided.of(pipe, Given(small(format), empty.known, empty.mask, circular=True))
    request = {"prompt": prompt, **request}
    run = Run.record(guided, keep, request, Told(guided, keep, progress))
    return run.latents.values, (run,)


def cut_to(latents, length: int, seconds: float):
    """A film's first latent and `length` more."""
    longest = latents.shape[2] - 1
    if not 2 <= length <= longest:
        raise ValueError(f"seconds={seconds!r} leaves {length / PER_SECOND:g} s for the film beside the seam; it has "
                         f"{longest / PER_SECOND:g} s, and 0.5 s are the least; take another length or seam")
    return latents[:, :, :1 + length]


def closed(pipe: Pipeline, latents, seam: int, prompt: str, format: Format, verdict: Verdict | None = None,
           onward: float = FOLLOW, **how):
    """A ring of all of a film's latents but the first, which stands alone, and `seam` new ones; and the run of these.

    The window knows the film's end before the seam and its beginning after it, and starts from the motion of both; see
    `fill` for onward.
    """
    room = WINDOW - 1 - seam
    before, after = (room + 1) // 2, room // 2
    length, least = latents.shape[2] - 1, max(2, before)
    if length < least:
        raise ValueError(f"film is too short to loop with a seam of {seam / PER_SECOND:g} s: it has "
                         f"{length / PER_SECOND:g} s, and {least / PER_SECOND:g} s are the least; extend it first, or "
                         "make it as a loop from its prompt")
    timeline = Timeline.empty(pipe, format, WINDOW, prompt, verdict)
    known, mask = timeline.known, timeline.mask
    known[:, :, :1] = restarted(pipe, latents[:, :, :latents.shape[2] - before])
    known[:, :, 1:1 + before] = latents[:, :, -before:]
    known[:, :, WINDOW - after:] = latents[:, :, 1:1 + after]
    mask[:, :1 + before], mask[:, WINDOW - after:] = True, True
    made, runs = fill(pipe, timeline, window=WINDOW, context=before, onward=onward, **how)
    return torch.cat([latents[:, :, 1:], made[:, :, 1 + before:1 + before + seam]], 2), runs


def repeated(video: Video, times: int = 10) -> Video:
    """A loop several times over, to see that it has no seam."""
    if not isinstance(times, int) or isinstance(times, bool) or not 1 <= times <= 1000:
        raise ValueError(f"times={times!r} does not fit; it takes a whole number from 1 to 1,000")
    return recorded(video, np.tile(video.frames, (times, 1, 1, 1))) if times > 1 else video
