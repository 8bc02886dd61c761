"""A stream into a file, frame by frame, and the file read back to see that it is what was meant."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from PIL import Image

from sorakit import provenance, videofile

from .finish import enlarge
from .stream import Stream

THUMBNAIL = 32, 18                   # width, height at which colours are compared
COLOUR_ERROR = 3.0                   # levels, of the mean over thumbnails, that encoding may cost
LARGE = 144                          # pixels of the short side from which on that holds
GIF_BYTES = 2**30                    # of frames, which Pillow wants all at once
FRAME = re.compile(r"\d{6}\.png")


@dataclass(frozen=True)
class Encoded:
    """A file that was written and read back; `colour_error` is in levels of 0 to 255."""

    path: Path
    codec: str
    count: int
    height: int
    width: int
    fps: float
    colour_error: float
    seconds: float                   # that writing took, with all that made the frames


def write(path: str | Path, stream: Stream, *, codec: str | None = None, quality: int | None = None,
          size: tuple[int, int] | None = None, metadata: dict[str, str] | None = None, poster: str | Path | None = None,
          origin: provenance.Origin | None = None,
          progress: Callable[[int, int, float], None] | None = None) -> Encoded:
    """Encode beside `path` and rename, so that there is a whole film or none, whatever interrupts it.

    Args:
        codec: one of `videofile.CODECS`; by default the suffix decides (a path without one becomes a folder of PNG
            frames).
        quality: constant quality on the codec's own scale (crf, for most: less is better).
        size: height and width that ffmpeg resamples to (Lanczos) after cropping about the centre: faster than in
            Python, and less goes through the pipe.
        poster: a PNG or JPEG of the frame at a third of the film is written there too, once the film is whole.
        origin: the file is signed with it, which a folder of PNG frames cannot be.
        progress: called with (frames done, frames in all, seconds left).

    Raises ValueError for a codec or suffix that do not fit, OSError if the file cannot be written or signed, or does
    not read back with the same frames, rate, size and colours.
    """
    path = Path(path).expanduser().absolute()
    name, chosen, level = videofile.choose(path, codec, quality)
    if origin is not None and name == "png":
        raise ValueError(f"path={path.name!r} becomes a folder of PNG frames, which cannot be signed as a film; "
                         f"{', '.join(videofile.SUFFIXES)} can")
    height, width = size or (stream.height, stream.width)
    height, width = height + height % 2, width + width % 2                # 4:2:0 wants even sizes
    poster = poster and Path(poster).expanduser().absolute()
    picture = poster and poster.with_name(f".{poster.stem}.{os.getpid()}{poster.suffix}")
    thumbnails, started = [], time.perf_counter()

    def frames():
        for number, frame in enumerate(stream):
            if poster and number == stream.count // 3:
                Image.fromarray(frame).save(picture)
            thumbnails.append(cv2.resize(_covering(frame, height / width), THUMBNAIL, interpolation=cv2.INTER_AREA))
            yield frame
            if progress:
                spent = time.perf_counter() - started
                progress(number + 1, stream.count, spent / (number + 1) * (stream.count - number - 1))

    if name == "gif" and stream.count * height * width * 3 > GIF_BYTES:
        raise ValueError(f"path={path.name!r}: {stream.count} frames of {height} x {width} are too much for a GIF; "
                         "make it shorter or smaller, or write .webp")
    if path.is_dir() and (name != "png" or not all(FRAME.fullmatch(file.name) for file in path.iterdir())):
        raise IsADirectoryError(f"path={str(path)!r} is a folder that holds more than frames; pass another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        if name == "gif":
            small = [enlarge(frame[None], height, width)[0] for frame in frames()]
            videofile.write(partial, np.stack(small), stream.fps, metadata or {})
        elif name == "png":
            partial.mkdir()
            for number, frame in enumerate(frames()):
                small = Image.fromarray(enlarge(frame[None], height, width)[0])
                small.save(partial / f"{number:06d}.png", compress_level=3)
        else:
            _pipe(partial, stream, frames(), chosen, level, (height, width), metadata or {})
        colour_error = _check(partial, name, stream, height, width, thumbnails)
        videofile.sign(partial, path, origin)
        if path.is_dir():
            shutil.rmtree(path)
        os.replace(partial, path)
        if poster:
            os.replace(picture, poster)
    finally:
        shutil.rmtree(partial, ignore_errors=True) if partial.is_dir() else partial.unlink(missing_ok=True)
        if poster:
            picture.unlink(missing_ok=True)
    return Encoded(path, name, stream.count, height, width, stream.fps, colour_error, time.perf_counter() - started)


def _pipe(path, stream, frames, codec, level, size, metadata):
    """Feed ffmpeg as fast as it eats. Whatever happens on the way, it is not left running."""
    height, width = size
    crop = _covering_size(stream.height, stream.width, height / width)
    scale = f"crop={crop[1]}:{crop[0]},{videofile.from_srgb(codec, f'{width}:{height}:', 'lanczos+')}"
    rate = Fraction(stream.fps).limit_denominator(1001)
    command = [videofile.find_ffmpeg(), "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
               "-s", f"{stream.width}x{stream.height}", "-r", str(rate), "-i", "-", "-vf", scale,
               *videofile.arguments(path, codec, level, metadata)]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said, stdout=subprocess.DEVNULL)
        try:
            try:
                for frame in frames:
                    process.stdin.write(np.ascontiguousarray(frame).data)
                process.stdin.close()
            except BrokenPipeError:                                          # ffmpeg has given up, and says why
                pass
            process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode:
            said.seek(0)
            raise OSError(f"ffmpeg could not write {path.name}: {said.read().decode(errors='replace').strip()}")


def _check(path, name, stream, height, width, thumbnails) -> float:
    """Mean difference in levels to the frames that went in. Raises OSError where more than that is not the same."""
    if name == "png":
        small, found, files = [], set(), sorted(path.iterdir())
        for file in files:
            with Image.open(file) as picture:
                frame = np.asarray(picture)
            found.add((frame.shape[:2], len(files)))
            small.append(cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA))
        small, rate = np.array(small), stream.fps
    else:
        if name in ("webp", "gif"):              # ffmpeg writes WebP and does not read it; equal neighbours are one
            with Image.open(path) as film:
                size, small, times = film.size[::-1], [], []
                for k in range(film.n_frames):
                    film.seek(k), film.load()
                    small.append(cv2.resize(np.array(film.convert("RGB")), THUMBNAIL, interpolation=cv2.INTER_AREA))
                    times.append(film.info.get("duration", 0))
            ends = np.round(np.cumsum(times) * stream.fps / 1000).astype(int) if len(times) > 1 else [stream.count]
            small, rate = np.repeat(np.array(small), np.diff(ends, prepend=0), 0), stream.fps
        else:
            size, rate = _described(path)
            shrink = "scale={}:{}:flags=area+accurate_rnd+full_chroma_int+full_chroma_inp".format(*THUMBNAIL)
            read = [videofile.find_ffmpeg(), "-v", "error", "-i", str(path), "-an", "-fps_mode", "passthrough",
                    "-vf", shrink, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
            done = subprocess.run(read, capture_output=True, check=True)
            small = np.frombuffer(done.stdout, np.uint8).reshape(-1, *THUMBNAIL[::-1], 3)
        found = {(tuple(size), len(small))}
    if found != {((height, width), stream.count)} or abs(rate / stream.fps - 1) > 0.05:
        raise OSError(f"{path.name} does not read back as it was written: {found} at {rate:g} frames a second instead "
                      f"of {stream.count} of {(height, width)} at {stream.fps:g}")
    error = float(np.abs(small.astype(np.float32) - np.array(thumbnails)).mean())
    few = max(1.0, LARGE / min(height, width))                # pixels to a thumbnail's: their noise does not even out
    if error > COLOUR_ERROR * few * (3 if name == "gif" else 1):
        raise OSError(f"{path.name} reads back with other colours: {error:.1f} levels off")
    return error


def _described(path):
    """Height and width, and frames a second, as the file says."""
    reader = imageio_ffmpeg.read_frames(str(path))
    about = next(reader)
    reader.close()
    return about["size"][::-1], about["fps"]


def _covering_size(h, w, shape):
    """The largest part of h x w with this height by width."""
    return (min(h, round(w * shape)), min(w, round(h / shape)))


def _covering(frame, shape):
    h, w = frame.shape[:2]
    height, width = _covering_size(h, w, shape)
    top, left = (h - height) // 2, (w - width) // 2
    return frame[top:top + height, left:left + width]
