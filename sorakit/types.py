"""The values that flow between the stages. Stages know these and nothing of each other.

Axes are named as in einops: b batch, t time, h height, w width, c channels, l words. Model tensors are
`(b, c, t, h, w)` float; frames are `(t, h, w, 3)` uint8; times are seconds; diffusion time is in [0, 1], 1 is noise.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sorakit import videofile

ASPECTS = {"16:9": (16, 9), "9:16": (9, 16), "1:1": (1, 1)}                        # width, height
NATIVE_SIZES = {"16:9": (80, 144), "9:16": (144, 80), "1:1": (112, 112)}           # height, width that models draw at
NATIVE_FPS = 8.0


def check_aspect(aspect: str) -> None:
    """Raises ValueError for a shape that the models do not draw."""
    if aspect not in ASPECTS:
        raise ValueError(f"aspect={aspect!r} is not one of {', '.join(ASPECTS)}")


@dataclass(frozen=True)
class Brief:
    """What is asked for: stage 1's reading of the request."""

    prompt: str
    negative: str = ""
    tokens: tuple[str, ...] = ()      # the prompt as the model reads it
    image: UInt8[np.ndarray, "h w 3"] | None = field(default=None, repr=False, compare=False)   # the film's first frame


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The prompt as vectors, one a token, and the same for what guidance steers away from."""

    vectors: Float[Tensor, "b l d"]
    mask: Bool[Tensor, "b l"]                    # True where there is a token
    null_vectors: Float[Tensor, "b l2 d"]
    null_mask: Bool[Tensor, "b l2"]
    tokens: tuple[str, ...] = ()

    def __repr__(self):
        return f"Conditioning({_shape(self.vectors)}, {int(self.mask.sum())} tokens, null {_shape(self.null_vectors)})"


@dataclass(frozen=True, eq=False)
class Latents:
    """A film in the autoencoder's space: each channel has mean 0, all together have standard deviation 1."""

    values: Float[Tensor, "b c t h w"]
    fps: float = NATIVE_FPS                      # of the frames that it decodes to

    def __repr__(self):
        return f"Latents({_shape(self.values)}, decodes to {self.fps:g} frames a second)"


@dataclass(frozen=True, eq=False)
class DenoisingStep:
    """One step of the sampler, from time t to t_next; what follows uses `x_next`."""

    index: int
    t: float
    t_next: float
    x: Float[Tensor, "b c t h w"]                # x_t, what went in
    velocity: Float[Tensor, "b c t h w"]         # after guidance
    x0: Float[Tensor, "b c t h w"]               # the film that this velocity points to
    x_next: Float[Tensor, "b c t h w"]
    conditional: Float[Tensor, "b c t h w"]      # velocity with the prompt
    unconditional: Float[Tensor, "b c t h w"] | None   # without it (None when guidance is 1)
    guidance: float

    def __repr__(self):
        return (f"DenoisingStep({self.index}: t {self.t:.3f} to {self.t_next:.3f}, {_shape(self.x)}, "
                f"guidance {self.guidance:g})")


@dataclass(frozen=True)
class Reason:
    """One rule that fired, and the words of the prompt that it fired on."""

    category: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the safety stage decided of a request, and why."""

    decision: str                                # "allow", "alter" or "refuse"
    brief: Brief
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, eq=False)
class Video:
    """A film: frames and their rate. Slices by seconds: `video[0.5:1.5]`."""

    frames: UInt8[np.ndarray, "t h w 3"]
    fps: float
    prompt: str = ""
    timings: dict[str, float] = field(default_factory=dict)    # stage: seconds it took
    metadata: dict[str, str] = field(default_factory=dict)     # title and comment, written into files

    def __post_init__(self):
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            got = f"{frames.dtype} array" if isinstance(frames, np.ndarray) else type(frames).__name__
            raise ValueError(f"frames is a {got}; a Video takes a uint8 array (t, h, w, 3) of values 0 to 255")
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise ValueError(f"frames has shape {frames.shape}; a Video takes (t, h, w, 3) with at least one frame")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps={self.fps} is not a positive number of frames a second")

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps

    @property
    def height(self) -> int:
        return self.frames.shape[1]

    @property
    def width(self) -> int:
        return self.frames.shape[2]

    def __getitem__(self, span: slice) -> Video:
        """The part between two times in seconds; negative times count from the end, as in a list."""
        if not isinstance(span, slice) or span.step is not None:
            raise TypeError("a Video is sliced by seconds, video[0.5:1.5]; single frames are in video.frames")
        first, last = (None if s is None else round(s * self.fps) for s in (span.start, span.stop))
        frames = self.frames[first:last]
        if not len(frames):
            raise ValueError(f"no frame lies between {span.start} and {span.stop} s: the film is {self.seconds:g} s "
                             "long")
        return dataclasses.replace(self, frames=frames)

    def save(self, path: str | Path) -> Path:
        """Write the film as H.264 MP4, VP9 WebM or GIF, by the path's suffix. There is a whole file or none.

        Raises:
            ValueError: for another suffix.
            OSError: if the file cannot be written there, or there is no ffmpeg.
        """
        return videofile.write(path, self.frames, self.fps, self.metadata)

    def contact_sheet(self, n: int = 8, tile: int = 160) -> UInt8[np.ndarray, "h w 3"]:
        """Frames evenly from first to last (n, or all of a shorter film), side by side, each `tile` pixels high."""
        if n < 1:
            raise ValueError(f"n={n} is less than 1; pass the number of frames to show")
        chosen = np.linspace(0, len(self.frames) - 1, min(n, len(self.frames))).round().astype(int)
        size = (max(1, round(tile * self.width / self.height)), tile)
        method = cv2.INTER_AREA if tile < self.height else cv2.INTER_CUBIC
        tiles = [cv2.resize(self.frames[i], size, interpolation=method) for i in chosen]
        rows = 2 if self.width > self.height and len(tiles) > 4 else 1
        columns = math.ceil(len(tiles) / rows)
        gap = 4
        sheet = np.full((rows * (tile + gap) - gap, columns * (size[0] + gap) - gap, 3), 255, np.uint8)
        for i, picture in enumerate(tiles):
            y, x = i // columns * (tile + gap), i % columns * (size[0] + gap)
            sheet[y:y + tile, x:x + size[0]] = picture
        return sheet

    def __repr__(self):
        prompt = f", {self.prompt!r}" if self.prompt else ""
        return f"Video({len(self.frames)} frames of {self.height} x {self.width}, {self.fps:g} a second{prompt})"


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))
