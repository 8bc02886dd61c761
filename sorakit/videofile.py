"""Frames to a film on disk: with the ffmpeg binary of imageio-ffmpeg, GIF with Pillow."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from sorakit import provenance


@dataclass(frozen=True)
class Codec:
    """How ffmpeg is told to write; `quality` is the option for constant quality, its default, and its range."""

    suffixes: tuple[str, ...]
    options: tuple[str, ...]
    quality: tuple[str, int, int, int]
    pixels: str = "yuv420p"
    name: str = ""                   # that ffmpeg gives the stream when it reads it back
    matrix: str = "bt709"            # from RGB to YUV; a WebP cannot say which, and readers take BT.601


CODECS = {
    "h264": Codec((".mp4", ".mov"), ("-c:v", "libx264", "-preset", "veryfast"),
                  ("-crf", 17, 0, 51), name="h264"),
    "h265": Codec((".mp4", ".mov"), ("-c:v", "libx265", "-preset", "fast", "-tag:v", "hvc1", "-x265-params",
                                     "log-level=error"), ("-crf", 20, 0, 51), name="hevc"),
    "vp9": Codec((".webm",), ("-c:v", "libvpx-vp9", "-b:v", "0", "-row-mt", "1", "-cpu-used", "4"),
                 ("-crf", 22, 0, 63), name="vp9"),
    "av1": Codec((".mp4", ".webm"), ("-c:v", "libsvtav1", "-preset", "9", "-svtav1-params", "tune=0"),
                 ("-crf", 26, 0, 63), name="av1"),
    "prores": Codec((".mov",), ("-c:v", "prores_ks", "-profile:v", "3", "-vendor", "apl0"), ("-qscale:v", 5, 1, 31),
                    "yuv422p10le", "prores"),
    "webp": Codec((".webp",), ("-c:v", "libwebp_anim", "-loop", "0"), ("-quality", 85, 0, 100), name="webp",
                  matrix="smpte170m"),
    "gif": Codec((".gif",), (), ("", 0, 0, 0), name="gif"),
    "png": Codec(("",), (), ("", 0, 0, 0), "rgb24", "png"),
}
DEFAULTS = {".mp4": "h264", ".mov": "prores", ".webm": "vp9", ".webp": "webp", ".gif": "gif", "": "png"}
SUFFIXES = tuple(filter(None, DEFAULTS))


def write(path: str | Path, frames: UInt8[np.ndarray, "t h w 3"], fps: float, metadata: dict[str, str],
          origin: provenance.Origin | None = None, codec: str | None = None) -> Path:
    """Encode beside `path` and rename, so that there is a whole film or none. Missing folders are made.

    With an origin the file is signed, and the signature is checked on read-back; WebM has its manifest beside it.

    Raises ValueError for an unknown suffix, or a codec that does not go into it; OSError if the file cannot be written
    or signed, or there is no ffmpeg.
    """
    path = check_path(path, codec)
    name, chosen, level = choose(path, codec)
    partial = _partial(path)
    try:
        if name == "gif":
            _write_gif(partial, frames, fps, metadata)
        else:
            _write_video(partial, frames, fps, chosen, level, metadata)
        sign(partial, path, origin)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def sign(partial: Path, path: Path, origin: provenance.Origin | None) -> None:
    """Sign a film that is to get the name `path`, if it has an origin."""
    if origin is not None:
        provenance.sign(partial, origin, name=path.name)
    elif path.suffix.lower() in provenance.BESIDE:
        provenance.beside(path).unlink(missing_ok=True)              # of the film that was there before


def check_path(path: str | Path, codec: str | None = None) -> Path:
    """The absolute path, once a film can really be written there; call it before long work. Raises as `write`."""
    path = Path(path).expanduser().absolute()
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"path={path.name!r} does not end in one of {', '.join(SUFFIXES)}")
    choose(path, codec)
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder; pass the name of a file in it")
    if path.suffix.lower() != ".gif":
        find_ffmpeg()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _partial(path).touch()
        _partial(path).unlink()
    except OSError as error:
        raise OSError(f"path={str(path)!r} cannot be written: {error.strerror}") from error
    return path


def choose(path: Path, codec: str | None = None, quality: int | None = None) -> tuple[str, Codec, int]:
    """A codec's name, what it is and its quality; by default those that go with the path's suffix. Raises ValueError
    for what does not fit."""
    suffix = path.suffix.lower()
    name = codec or DEFAULTS.get(suffix)
    if name not in CODECS:
        raise ValueError(f"codec={codec!r} is not one of {', '.join(CODECS)}" if codec else
                         f"path={path.name!r} does not end in one of {', '.join(filter(None, DEFAULTS))}")
    chosen = CODECS[name]
    if suffix not in chosen.suffixes:
        raise ValueError(f"path={path.name!r} does not fit codec={name!r}, which goes into "
                         f"{', '.join(chosen.suffixes) if name != 'png' else 'a folder: a name without a suffix'}")
    option, default, lowest, highest = chosen.quality
    if quality is not None and (not option or not isinstance(quality, int) or not lowest <= quality <= highest):
        raise ValueError(f"quality={quality!r} does not fit; {name} takes " +
                         (f"a whole number from {lowest} to {highest}" if option else "none"))
    return name, chosen, default if quality is None else quality


def arguments(path: Path, codec: Codec, level: int, metadata: dict[str, str]) -> list[str]:
    """What ffmpeg is told of the file that it is to write."""
    return [*codec.options,
            *(["-movflags", "+faststart"] if path.suffix.lower() in (".mp4", ".mov") else []),       # index in front
            codec.quality[0], str(level), "-pix_fmt", codec.pixels, "-color_range", "tv", "-colorspace", codec.matrix,
            "-color_primaries", "bt709", "-color_trc", "bt709",
            *(word for key, value in metadata.items() for word in ("-metadata", f"{key}={value}")), str(path)]


def from_srgb(codec: Codec, size: str = "", flags: str = "") -> str:
    """A filter: sRGB frames become BT.709 video, and the file says so. Players otherwise guess by size, and colours
    shift."""
    return (f"scale={size}out_color_matrix={codec.matrix}:out_range=tv:flags={flags}accurate_rnd+full_chroma_int,"
            f"setparams=range=tv:colorspace={codec.matrix}:color_primaries=bt709:color_trc=bt709")


def find_ffmpeg() -> str:
    """Where ffmpeg is. Raises FileNotFoundError if there is none that runs."""
    try:
        ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
        subprocess.run([ffmpeg, "-version"], check=True, capture_output=True)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        raise FileNotFoundError("no ffmpeg that runs was found; `pip install imageio-ffmpeg` brings one, or set "
                                "IMAGEIO_FFMPEG_EXE to yours") from error
    return ffmpeg


def _write_video(path, frames, fps, codec, level, metadata):
    if frames.shape[1] % 2 or frames.shape[2] % 2:       # 4:2:0, the one kind that every player takes, needs even sizes
        frames = np.pad(frames, ((0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)), mode="edge")
    _, height, width, _ = frames.shape
    command = [find_ffmpeg(), "-y", "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
               "-r", str(fps), "-i", "-", "-vf", from_srgb(codec), *arguments(path, codec, level, metadata)]
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
    return path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
