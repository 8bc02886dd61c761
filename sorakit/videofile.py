"""Frames to a film on disk: MP4 and WebM with the ffmpeg binary of imageio-ffmpeg, GIF with Pillow."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sorakit import provenance

# sRGB frames become BT.709 video, and the file says so: players otherwise guess by size, and colours shift.
_BT709 = ("scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,"
          "setparams=range=tv:colorspace=bt709:color_primaries=bt709:color_trc=bt709")
CODECS = {
    ".mp4": ["-f", "mp4", "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-movflags", "+faststart"],
    ".webm": ["-f", "webm", "-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-row-mt", "1", "-cpu-used", "3"],
}
SUFFIXES = (*CODECS, ".gif")


def write(path: str | Path, frames: UInt8[np.ndarray, "t h w 3"], fps: float, metadata: dict[str, str],
          origin: provenance.Origin | None = None) -> Path:
    """Encode beside `path` and rename, so that there is a whole film or none. Missing folders are made.

    With an origin the file is signed, and the signature is checked on read-back; WebM has its manifest beside it.

    Raises ValueError for an unknown suffix; OSError if the file cannot be written or signed, or there is no ffmpeg.
    """
    path = check_path(path)
    partial = _partial(path)
    try:
        if path.suffix.lower() == ".gif":
            _write_gif(partial, frames, fps, metadata)
        else:
            _write_video(partial, frames, fps, metadata, CODECS[path.suffix.lower()])
        if origin is not None:
            provenance.sign(partial, origin, name=path.name)
        elif path.suffix.lower() in provenance.BESIDE:
            provenance.beside(path).unlink(missing_ok=True)          # of the film that was there before
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def check_path(path: str | Path) -> Path:
    """The absolute path, once a film can really be written there; call it before long work. Raises as `write`."""
    path = Path(path).expanduser().absolute()
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"path={path.name!r} does not end in one of {', '.join(SUFFIXES)}")
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder; pass the name of a file in it")
    if path.suffix.lower() in CODECS:
        find_ffmpeg()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _partial(path).touch()
        _partial(path).unlink()
    except OSError as error:
        raise OSError(f"path={str(path)!r} cannot be written: {error.strerror}") from error
    return path


def find_ffmpeg() -> str:
    """Where ffmpeg is. Raises FileNotFoundError if there is none that runs."""
    try:
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        subprocess.run([ffmpeg, "-version"], check=True, capture_output=True)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        raise FileNotFoundError("no ffmpeg that runs was found; `pip install imageio-ffmpeg` brings one, or set "
                                "IMAGEIO_FFMPEG_EXE to yours") from error
    return ffmpeg


def _write_video(path, frames, fps, metadata, codec):
    if frames.shape[1] % 2 or frames.shape[2] % 2:       # 4:2:0, the one kind that every player takes, needs even sizes
        frames = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    _, height, width, _ = frames.shape
    command = [find_ffmpeg(), "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
               "-r", str(fps), "-i", "-", *codec, "-pix_fmt", "yuv420p", "-vf", _BT709,
               *(arg for key, value in metadata.items() for arg in ("-metadata", f"{key}={value}")), str(path)]
    data = memoryview(np.ascontiguousarray(frames)).cast("B")
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        raise OSError(f"ffmpeg could not write {path}: {done.stderr.decode(errors='replace').strip()}")


def _write_gif(path, frames, fps, metadata):
    """One palette for all frames, so that still parts stay still."""
    some = np.concatenate([frame[::4, ::4] for frame in frames])
    palette = Image.fromarray(some).quantize(256, method=Image.Quantize.MEDIANCUT)
    pictures = [Image.fromarray(frame).quantize(palette=palette) for frame in frames]
    ends = np.round(np.arange(len(frames) + 1) / fps * 100).astype(int)         # GIF counts in hundredths of a second
    pictures[0].save(path, format="GIF", save_all=True, append_images=pictures[1:], loop=0,
                     duration=(np.diff(ends) * 10).tolist(), comment="\n".join(metadata.values()).encode())


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")
