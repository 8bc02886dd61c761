"""Films made longer, forwards and backwards, and films of any length that never are in memory as a whole."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sorakit import provenance
from sorakit.formats import Format, fitted
from sorakit.latent.autoencoder import TIME
from sorakit.pipeline import MAX_SECONDS, Pipeline, check_number
from sorakit.prompt.files import read_image
from sorakit.synthesis.encode import Encoded
from sorakit.synthesis.finish import to_bytes
from sorakit.synthesis.stream import Stream
from sorakit.tools.carry import FOLLOW
from sorakit.tools.shot import (
    PER_SECOND,
    Take,
    decode,
    deliver,
    encode_still,
    format_of,
    latent_count,
    phase,
    prompt_for,
    prompt_of,
    read,
    screened,
    within,
)
from sorakit.tools.windows import CONTEXT, WINDOW, Timeline, decoded, fill, grow, seed_of, spans
from sorakit.types import NATIVE_FPS, Verdict

LONGEST_REEL = 3600.0            # seconds


def extend(pipe: Pipeline, film, seconds: float = 0.0, prompt: str = "", *, before: float = 0.0, seed: int = 0,
           negative: str = "", steps: int | None = None, guidance: float | None = None, keep=(), progress=None,
           file=None) -> Take:
    """The film with `seconds` of new content after it, and `before` seconds of it before it, going on as it moves.

    >>> extend(pipe, "waves.mp4", 2.0)                                                    # doctest: +SKIP
    >>> extend(pipe, take, 1.0, "the dog turns round", before=1.0)                        # doctest: +SKIP

    The film's own latents stay as they are: of a `Take` nothing is encoded anew. Windows of 2 s know the last second,
    and start from its motion carried on (`carry`); with a new prompt they only lead over from it. For lengths that do
    not fit into memory there is `reel`. `file` is what a Video was read from, if that is known.

    Raises ValueError for lengths that do not fit.
    """
    file = film if file is None else file
    if not seconds and not before:
        raise ValueError("seconds=0 and before=0: there is nothing to add; pass seconds for one of them")
    after = latent_count("seconds", seconds) if seconds else 0
    ahead = latent_count("before", before) if before else 0
    with phase(progress, "read"):
        source = read(pipe, "film", film, file=file)
        onward = FOLLOW if prompt in ("", source.prompt) else 1.0
        prompt, notes = prompt_for(prompt, source, pipe)
    verdict = screened(pipe, prompt, negative, films=(source,))
    latents, runs, count = source.latents, (), source.latents.shape[2]
    timeline = Timeline.empty(pipe, source.format, count + after, prompt, verdict)
    timeline.known[:, :, :count], timeline.mask[:, :count] = latents, True
    windows = len(spans(timeline.mask, timeline.prompts)) + -(-ahead // room(count + after))
    how = {"negative": negative, "steps": steps, "guidance": guidance, "keep": keep, "progress": progress,
           "windows": windows, "onward": onward}
    with within(pipe, count + after + ahead, source.format):
        latents, runs = fill(pipe, timeline, seed=seed, **how)
        while ahead:
            latents, more, added = led_up_to(pipe, latents, ahead, prompt, source.format, verdict,
                                             seed=seed_of(seed, len(runs)), past=len(runs), **how)
            ahead, runs = ahead - added, runs + more
        with phase(progress, "finish"):
            video = deliver(pipe, decode(pipe, latents), source.format, prompt=prompt, seed=seed, verdict=verdict,
                            made_from=provenance.sources_of(file), edited=bool(provenance.path_of(file)))
    asked = {"seconds": seconds, "before": before, "prompt": prompt, "seed": seed}
    return Take(video, "extend", asked, runs, latents, source.notes + notes)


def room(latents: int) -> int:
    """New latents that one window has room for before a film of so many."""
    return WINDOW - 1 - min(CONTEXT, latents - 1)


def led_up_to(pipe: Pipeline, latents: Float[Tensor, "1 c k i j"], count: int, prompt: str, format: Format,
              verdict: Verdict | None, **how):
    """Up to `count` new latents before a film, as far as one window goes: latents, run, and how many were added.

    A film's first latent stands alone. In the longer film it does not, so it is encoded anew from the frame that now
    comes before it and its own; all others stay.
    """
    context = min(CONTEXT, latents.shape[2] - 1)
    new = min(count, room(latents.shape[2]))
    timeline = Timeline.empty(pipe, format, new + 1 + context, prompt, verdict)
    first = pipe.autoencoder.decode(latents[:, :, :1])                                       # (1, 3, 1, h, w)
    if context:
        timeline.known[:, :, new + 1:], timeline.mask[:, new + 1:] = latents[:, :, 1:1 + context], True
    else:
        timeline.known[:, :, new:], timeline.mask[:, new:] = encode_still(pipe, to_bytes(first)[0], first=False), True
    made, runs = fill(pipe, timeline, **how)
    with torch.no_grad():
        frames = torch.cat([pipe.autoencoder.decode(made[:, :, :new + 1])[:, :, :-1], first], 2)
        joint = pipe.autoencoder.encode(frames)[:, :, -1:]
    return torch.cat([made[:, :, :new], joint, latents[:, :, 1:]], 2), runs, new


# --- films that are never in memory as a whole ----------------------------------------------------------


def reel(pipe: Pipeline, prompt: str = "", seconds: float = 20.0, *, image=None, aspect: str | None = None,
         height: int | None = None, width: int | None = None, seed: int = 0, negative: str = "",
         steps: int | None = None, guidance: float | None = None, window: float = 2.0, progress=None) -> Reel:
    """A film of up to an hour, made a window at a time while it is looked at or written.

    >>> reel(pipe, "a boat sails on the open sea", 20).save("boat.mp4")                   # doctest: +SKIP

    Each window carries the prompt and the last second's latents. Memory does not grow with length; the model's frames
    are kept in a temporary file, as parts of the finish may want to see them twice.

    Args:
        window: seconds that are made at once, from 1.5 to 10. The models learned 2; with all of the film's it is the
            film of the plain pipeline.
    """
    count = latent_count("seconds", seconds, LONGEST_REEL)
    check_number("window", window, 1.5, MAX_SECONDS)
    format = format_of(pipe, None, aspect, height, width)
    picture = None if image is None else read_image(image)
    prompt, notes = prompt_of(prompt, picture)
    verdict = screened(pipe, prompt, negative, () if picture is None else (picture,))
    pipe.plan(steps, guidance, negative)
    if pipe.limits:                              # said now, not when the film is first looked at
        pipe.limits.check(seconds=count / PER_SECOND, height=format.height, width=format.width)
    start = None
    if picture is not None:
        frame = fitted(picture[None], format.native_height, format.native_width)[0]
        start = encode_still(pipe, frame, first=True)

    def frames() -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        chunks = grow(pipe, start, count + (start is None), prompt, format, seed=seed, negative=negative, steps=steps,
                      guidance=guidance, window=1 + latent_count("window", window), progress=progress)
        with within(pipe, 1 + count, format):
            for part in decoded(pipe, chunks if start is None else chain([start], chunks)):
                yield from to_bytes(part)

    return Reel(pipe, prompt, format, seed, Spool(frames, (format.native_height, format.native_width, 3)),
                1 + TIME * count, verdict, provenance.path_of(image), notes + verdict.notes)


@dataclass(eq=False)
class Reel:
    """A film that is made while it is read: `for frame in reel`, `reel.save("film.mp4")`."""

    pipe: Pipeline = field(repr=False)
    prompt: str
    format: Format
    seed: int
    spool: Spool = field(repr=False)
    count: int                                   # frames as the models draw them, 8 a second
    verdict: Verdict | None = field(default=None, repr=False)
    made_from: tuple[str, ...] = ()              # the picture's path, if it came as a file
    notes: tuple[str, ...] = ()                  # how it differs from what was asked

    @property
    def seconds(self) -> float:
        return self.count / NATIVE_FPS

    def native(self) -> Stream:
        """The frames as the models draw them."""
        return Stream(self.spool.__iter__, self.count, NATIVE_FPS, self.format.native_height, self.format.native_width)

    def stream(self) -> Stream:
        """The finished and marked frames."""
        size = self.format.height, self.format.width
        done = self.pipe.synthesis.finished(self.pipe.synthesis.stream(self.native(), size), size)
        return done.then(lambda: self.pipe.safety.released(done, done.fps, done.count, self.origin, self.verdict))

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        return iter(self.stream())

    def save(self, path: str | Path, *, progress=None, **encoding) -> Encoded:
        """Write it; there is a whole file or none. See `Pipeline.save` for progress, encoding and errors."""
        for _ in self.native():                  # all is drawn before it is finished: how long each takes can be told
            pass
        return self.pipe.save(self.native(), path, origin=self.origin, verdict=self.verdict, progress=progress,
                              height=self.format.height, width=self.format.width, **encoding)

    @property
    def origin(self) -> provenance.Origin:
        """What its file says of where it comes from."""
        shown = self.pipe.safety.judge(self.prompt).brief.prompt
        return self.pipe.safety.origin(shown, self.pipe.model, self.seed, made_from=self.made_from)


class Spool:
    """Frames that are made once, when they are first asked for, and then read from a temporary file."""

    def __init__(self, make: Callable[[], Iterator[UInt8[np.ndarray, "h w 3"]]], shape: tuple[int, int, int]):
        self.make, self.shape, self.source, self.file, self.written = make, shape, None, None, 0

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        if self.source is None:
            self.source, self.file = self.make(), tempfile.TemporaryFile()      # noqa: SIM115
        number, size = 0, int(np.prod(self.shape))
        while True:
            if number == self.written:
                try:
                    frame = next(self.source, None)
                except BaseException:                            # the next reader begins anew
                    self.source, self.written = None, 0
                    raise
                if frame is None:
                    return
                self.file.seek(number * size)
                self.file.write(frame.tobytes())
                self.written += 1
            self.file.seek(number * size)
            yield np.frombuffer(self.file.read(size), np.uint8).reshape(self.shape)
            number += 1
