"""Re-cut: keep parts of a film, change its pace, and let the model go on from its end or lead up to its beginning."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorakit.pipeline import Pipeline
from sorakit.prompt.files import open_film, stream_frames
from sorakit.provenance import path_of
from sorakit.run import Run
from sorakit.synthesis.rate import FrameRate
from sorakit.synthesis.stream import Stream, find_cuts
from sorakit.tools.extend import extend
from sorakit.tools.finish import origin_of
from sorakit.tools.shot import Take, about_sound, hash_of, recorded, release
from sorakit.types import Brief, Video

UNITS = ("seconds", "frames")
PACES = 0.1, 10.0
SHUTTER = 4                      # moments that a frame of a faster film is the mean of
MOST_BYTES = 2**31               # of frames that are kept of a film in a file
SIDE = 1920                      # longer side of what is read from a file
LONG = 3600.0                    # seconds that are counted where a file does not say how long it is


def recut(pipe: Pipeline, film, keep: Sequence[tuple[float | None, float | None]] | None = None, *,
          unit: str = "seconds", speed: float = 1.0, after: float = 0.0, before: float = 0.0, prompt: str = "",
          seed: int = 0, negative: str = "", steps: int | None = None, guidance: float | None = None, progress=None
          ) -> Take:
    """Parts of a film, in order, at another pace, made longer.

    >>> recut(pipe, "intro.mp4", [(0.5, 2.0), (4.0, None)])                               # doctest: +SKIP
    >>> recut(pipe, take, speed=0.5, after=1.0)                                           # doctest: +SKIP

    Args:
        keep: (start, stop) of each part; None stands for the film's beginning or end.
        unit: of these: "seconds" or "frames" (the first is 0, and stop is left out, as in a list).
        speed: 2 is twice as fast, 0.5 half as fast; see `pace`.
        after, before: seconds of new content, see `extend`. Frames then come from the model's own decoder; without,
            those that are kept are untouched, in size, rate and every pixel, but for the marks of a film that has none.

    Raises ValueError for parts of no length, reversed, or beyond the film, and Refused for faces without consent.
    """
    if unit not in UNITS:
        raise ValueError(f"unit={unit!r} is not one of {', '.join(UNITS)}")
    check_speed(speed)
    if keep is not None and (not isinstance(keep, Sequence) or isinstance(keep, str) or not len(keep)):
        raise ValueError(f"keep={keep!r} does not fit; it takes a list of parts (start, stop), one or more")
    whole = keep is None and speed == 1
    if whole and not (after or before):
        raise ValueError("nothing is asked for; pass keep=, speed=, after= or before=")
    video, notes = (None, ()) if whole else parts_of(film, keep or [(None, None)], unit, speed)
    if video is not None and speed != 1:
        video = pace(video, speed)
    asked = {"keep": keep, "unit": unit, "speed": speed, "after": after, "before": before}
    if not (after or before):
        video = video if video.origin else cut_from(pipe, video, film, seed)
        return Take(video, "recut", asked, notes=notes)
    take = extend(pipe, film if whole else video, after, prompt, before=before, seed=seed, negative=negative,
                  steps=steps, guidance=guidance, progress=progress, file=film)
    return dataclasses.replace(take, tool="recut", asked={**asked, "prompt": take.asked["prompt"], "seed": seed},
                               notes=tuple(dict.fromkeys(notes + take.notes)))


def cut_from(pipe: Pipeline, video: Video, film, seed: int) -> Video:
    """Stage 6 for parts of a film that it has not released: screened, marked unless they are already, and signed, as
    what the film's own file says that it is."""
    verdict = pipe.safety.screen(Brief(video.prompt, film=hash_of(film)))
    video = dataclasses.replace(video, prompt=verdict.brief.prompt, notes=verdict.notes)
    video = release(pipe, video, seed, verdict, path_of(film), edited=True, cut=True)
    if not isinstance(film, (str, Path)):
        return video
    if video.origin is None:                                     # a stage 6 of somebody's own, which marks nothing
        return video
    origin = origin_of(pipe, Path(film).expanduser(), video.origin.watermark)
    return dataclasses.replace(video, origin=origin, metadata=pipe.safety.said(origin))


def parts_of(film, keep, unit: str, speed: float = 1.0) -> tuple[Video, tuple[str, ...]]:
    """The parts one after the other, as they are; and what is to be said of it."""
    if isinstance(film, (Take, Run)):
        film = film.video
    if isinstance(film, Video):
        spans = [frames_of(part, unit, film.fps, len(film.frames)) for part in keep]
        frames = np.concatenate([film.frames[a:b] for a, b in spans])
        return recorded(film, frames), ()
    if not isinstance(film, (str, Path)):
        raise ValueError(f"film is of type {type(film).__name__}; it takes a path, a Video, a Take or a Run")
    file = open_film(film)
    total = round(file.seconds * file.fps) or sum(1 for _ in stream_frames(file, fps=file.fps, side=32, seconds=LONG))
    spans = [frames_of(part, unit, file.fps, total) for part in keep]
    last = max(stop for _, stop in spans)
    shrink = min(1.0, SIDE / max(file.height, file.width))
    grows = 1 if speed == 1 else 1 + 2 * (SHUTTER if speed > 1 else 1) / speed       # the moments in between
    if grows * sum(b - a for a, b in spans) * file.height * file.width * 3 * shrink**2 > MOST_BYTES:
        raise ValueError(f"keep has more of {file.path.name} than fits into 2 GiB at speed={speed:g}; keep less at a "
                         "time")
    stream = stream_frames(file, fps=file.fps, side=SIDE, seconds=(last + 1) / file.fps)
    kept = {number: frame for number, frame in enumerate(stream) if any(a <= number < b for a, b in spans)}
    frames = [kept[k] for a, b in spans for k in range(a, b) if k in kept]
    if not frames:
        raise ValueError(f"keep has nothing of {file.path.name} that can be decoded: it is shorter than it says")
    return Video(np.stack(frames), file.fps), about_sound(file.path)


def frames_of(part, unit: str, fps: float, count: int) -> tuple[int, int]:
    """First frame and one past the last of a part. Raises ValueError for one that is empty or not there."""
    try:
        start, stop = part
    except (TypeError, ValueError):
        raise ValueError(f"keep has {part!r}; each part is (start, stop)") from None
    kind, scale = (numbers.Integral, 1) if unit == "frames" else (numbers.Real, fps)
    for value in (start, stop):
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool) or not 0 <= value < 1e9):
            raise ValueError(f"keep has {part!r}; with unit={unit!r} it takes numbers of 0 or more, or None"
                             + (", whole ones" if unit == "frames" else ""))
    first = 0 if start is None else round(start * scale)
    last = count if stop is None else round(stop * scale)
    if not 0 <= first < last <= count:
        why = "ends before it starts" if last < first else "lies beyond the film" if last > count or first >= count \
            else "has no length"
        raise ValueError(f"keep has {part!r}, which {why}: the film has {count} frames, {count / fps:g} s")
    return first, last


def check_speed(speed) -> None:
    lowest, highest = PACES
    if not isinstance(speed, numbers.Real) or isinstance(speed, bool) or not lowest <= speed <= highest:
        raise ValueError(f"speed={speed!r} does not fit; it takes {lowest:g} to {highest:g}")


def pace(video: Video, speed: float) -> Video:
    """The film slower (speed below 1) or faster, at the same rate.

    Slower: what lies between frames is interpolated along the optical flow. Faster: each frame is the mean of moments
    over all of its time, as a shutter would have seen it, so that no frame is dropped. Cuts stay cuts.
    """
    check_speed(speed)
    stream = find_cuts(Stream.of(video))
    relabelled = dataclasses.replace(stream, fps=stream.fps * speed)
    if speed <= 1:
        frames = resampled(relabelled, video.fps)
    else:
        moments = resampled(relabelled, SHUTTER * video.fps)
        count = 1 + int((len(video.frames) - 1) / speed + 1e-6)
        cuts = cuts_at(relabelled, SHUTTER * video.fps)
        frames = np.stack([exposed(moments, cuts, SHUTTER * k) for k in range(count)])
    return recorded(video, frames)


def resampled(stream: Stream, fps: float) -> UInt8[np.ndarray, "t h w 3"]:
    """Frames of a stream at another rate, whatever that rate is."""
    unit = fps / 24                              # FrameRate takes 1 to 240 a second; only the ratio counts here
    return FrameRate(24.0)(dataclasses.replace(stream, fps=stream.fps / unit)).frames()


def cuts_at(stream: Stream, fps: float) -> frozenset[int]:
    return frozenset(int(np.ceil((cut - 0.5) / stream.fps * fps)) for cut in stream.cuts)


def exposed(moments: UInt8[np.ndarray, "t h w 3"], cuts: frozenset[int], middle: int) -> UInt8[np.ndarray, "h w 3"]:
    """The mean of the moments about one of them, on its side of any cut."""
    first, last = middle - SHUTTER // 2, middle + SHUTTER // 2
    first = max([0, first, *(cut for cut in cuts if first < cut <= middle)])
    last = min([len(moments) - 1, last, *(cut - 1 for cut in cuts if middle < cut <= last)])
    return np.mean(moments[first:last + 1], 0, dtype=np.float32).round().astype(np.uint8)


