"""Pictures and films that a person gives, whatever is in the file, within bounded memory and with errors that say why.

Pictures are read with Pillow and made smaller while they are decoded; films are streamed from ffmpeg, which applies
their rotation and evens out varying frame rates, frame by frame and at reduced size.
"""

from __future__ import annotations

import re
import subprocess
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from sorakit.types import Video
from sorakit.videofile import find_ffmpeg

MAX_PIXELS = 120_000_000       # of a picture in a file: a 100-megapixel camera's, but no decompression bomb
MAX_SIDE = 2048                # of a picture once read; more than any film that is made of it
WATCHED_SIDE = 256             # longer side at which films are looked at
WATCHED_SECONDS = 60.0
WATCHED_FPS = 12.0
WATCHED_PIXELS = 100_000_000   # of a film's frame: above, ffmpeg would need gigabytes
TIMEOUT = 120                  # seconds for ffmpeg to open a file
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif")


def read_image(image, max_side: int = MAX_SIDE) -> UInt8[np.ndarray, "h w 3"]:
    """A path, PIL image or array as upright RGB; larger files come reduced to `max_side`, see-through parts on white.

    Raises:
        ValueError: for anything else; a file that is no picture, damaged, of more than 120 megapixels, or HEIC.
        FileNotFoundError: for no file.
    """
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3 \
            and image.size:
        return image
    if isinstance(image, (str, Path)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)      # the limit here is our own, and hard
            return _read_picture(Path(image).expanduser(), max_side)
    if isinstance(image, Image.Image):
        _check_size(repr(image), image.size)
        return _upright(image, max_side)
    got = f"{image.dtype} array of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise ValueError(f"image is a {got}; it takes a path, a PIL image or a uint8 array (h, w, 3)")


def _read_picture(path: Path, max_side: int) -> np.ndarray:
    name = repr(str(path))
    try:
        if path.is_file():
            _refuse_heif(path)
        with Image.open(path) as picture:
            _check_size(name, picture.size)
            picture.draft("RGB", (max_side, max_side))               # JPEGs are decoded at 1/2, 1/4 or 1/8
            picture.load()
            return _upright(picture, max_side)
    except (UnidentifiedImageError, IsADirectoryError) as error:
        raise ValueError(f"image={name} is not a picture that Pillow can read; PNG, JPEG, WebP, GIF and TIFF are") \
            from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"image={name} has more than {MAX_PIXELS // 1_000_000} megapixels; make it smaller") from error
    except (OSError, SyntaxError, EOFError) as error:
        if isinstance(error, (FileNotFoundError, PermissionError)):
            raise
        raise ValueError(f"image={name} is damaged or cut off: {error}") from error


def _check_size(name: str, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise ValueError(f"image={name} has {size[0] * size[1] / 1e6:,.0f} megapixels; it takes up to "
                         f"{MAX_PIXELS // 1_000_000}; make it smaller")
    if not all(size):
        raise ValueError(f"image={name} has no pixels ({size[0]} x {size[1]})")


def _refuse_heif(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS[:-1]:
        raise ValueError(f"image={str(path)!r} is a HEIC picture, which is not read; save it as JPEG or PNG "
                         "(on an iPhone: Settings, Camera, Formats, Most Compatible)")


def _upright(picture: Image.Image, max_side: int) -> np.ndarray:
    """Turned as its EXIF data says, 8 bits a channel, RGB on white."""
    if max(picture.size) > max_side and not picture.mode.startswith(("I", "F")):
        if picture.mode in ("P", "1"):
            picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
        size = [max(1, round(side * max_side / max(picture.size))) for side in picture.size]
        exif = picture.getexif()
        picture = picture.resize(size, Image.Resampling.BOX)
        picture.info["exif"] = exif.tobytes() if exif else b""
        picture.getexif().load(picture.info["exif"])
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):                          # 16 bits and more: Pillow's own convert clips
        values = np.asarray(picture, np.float64)
        top = 65535 if values.max() > 255 else 255 if values.max() > 1 or picture.mode != "F" else 1
        grey = np.clip(values / top * 255, 0, 255).round().astype(np.uint8)
        picture = Image.fromarray(grey)
        picture.thumbnail((max_side, max_side))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"))


# --- films --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FilmFile:
    """What a film's file says of itself; height and width are upright."""

    path: Path
    height: int
    width: int
    fps: float
    seconds: float              # 0 where the file does not say


def open_film(video: str | Path) -> FilmFile:
    """Look into a film's file without decoding it.

    Raises:
        ValueError: for a file that has no moving picture, is damaged, or is too large in pixels.
        FileNotFoundError: for no file, or no ffmpeg.
    """
    path = Path(video).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"video={str(path)!r} does not exist")
    if path.is_dir():
        raise ValueError(f"video={str(path)!r} is a folder; pass the name of a file in it")
    command = [find_ffmpeg(), "-hide_banner", "-protocol_whitelist", "file", "-i", _safe(path)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"video={str(path)!r} could not be opened in {TIMEOUT} s") from error
    said = done.stderr.decode(errors="replace")
    if "Input #0" not in said:
        why = "it is cut off: the index at its end is missing" if "moov atom not found" in said \
            else "it is no film, or damaged"
        raise ValueError(f"video={str(path)!r} cannot be read: {why}")
    stream = re.search(r"Stream #0.*?: Video: (?!.*attached pic).*?, (\d+)x(\d+)[^\n]*", said)
    if not stream:
        others = dict.fromkeys(re.findall(r"Stream #0.*?: (Audio|Subtitle|Data)", said))
        raise ValueError(f"video={str(path)!r} has no moving picture, only {', '.join(others).lower() or 'data'}")
    width, height = int(stream[1]), int(stream[2])
    if width * height > WATCHED_PIXELS:
        raise ValueError(f"video={str(path)!r} has frames of {width} x {height}; it takes up to "
                         f"{WATCHED_PIXELS // 1_000_000} megapixels")
    turned = re.search(r"rotation of (-?[\d.]+) degrees", said)
    if turned and round(abs(float(turned[1]))) % 180 == 90:
        width, height = height, width
    rate = re.search(r"([\d.]+)(k?) fps", stream[0]) or re.search(r"([\d.]+)(k?) tbr", stream[0])
    fps = float(rate[1]) * (1000 if rate[2] else 1) if rate else WATCHED_FPS
    length = re.search(r"Duration: (\d+):(\d+):([\d.]+)", said)
    seconds = int(length[1]) * 3600 + int(length[2]) * 60 + float(length[3]) if length else 0.0
    return FilmFile(path, height, width, fps, seconds)


def stream_frames(film: FilmFile, *, fps: float | None = None, side: int = WATCHED_SIDE,
                  seconds: float = WATCHED_SECONDS) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The film's first `seconds` as frames of an even rate, the longer side reduced to `side` pixels, one at a time.

    Raises ValueError if not one frame can be decoded.
    """
    shrink = min(1.0, side / max(film.height, film.width))
    height, width = (max(1, round(n * shrink)) for n in (film.height, film.width))
    fps = fps or min(film.fps, WATCHED_FPS)
    command = [find_ffmpeg(), "-v", "error", "-nostdin", "-protocol_whitelist", "file,pipe", "-i", _safe(film.path),
               "-map", "0:V:0", "-t", str(seconds), "-vf", f"fps={fps},scale={width}:{height}:flags=area",
               "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    count, size = 0, height * width * 3
    try:
        while len(data := process.stdout.read(size)) == size:
            count += 1
            yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
    if not count:
        raise ValueError(f"video={str(film.path)!r} has no frame that can be decoded; it is damaged or cut off")


def read_film(video, *, side: int = WATCHED_SIDE, seconds: float = WATCHED_SECONDS) -> tuple[Video, tuple[int, int]]:
    """A path or a `Video` as a small film of at most 12 frames a second, and the original's height and width.

    Raises ValueError for anything else, and as `open_film`.
    """
    if isinstance(video, Video):
        import cv2

        shrink = min(1.0, side / max(video.height, video.width))
        size = max(1, round(video.width * shrink)), max(1, round(video.height * shrink))
        step = max(1, round(video.fps / WATCHED_FPS))
        frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                  for frame in video.frames[:max(1, int(seconds * video.fps)):step]]
        return Video(np.stack(frames), video.fps / step), (video.height, video.width)
    if not isinstance(video, (str, Path)):
        raise ValueError(f"video is of type {type(video).__name__}; it takes a path or a Video")
    film = open_film(video)
    fps = min(film.fps, WATCHED_FPS)
    frames = np.stack(list(stream_frames(film, fps=fps, side=side, seconds=seconds)))
    return Video(frames, fps), (film.height, film.width)


def _safe(path: Path) -> str:
    """A path that ffmpeg takes for a file, even if it looks like an option or an address."""
    return f"file:{path.absolute()}"
