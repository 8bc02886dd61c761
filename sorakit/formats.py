"""Shapes of films: what is delivered, and the size near it that the models draw at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from sorakit.latent.autoencoder import SPACE
from sorakit.synthesis.finish import enlarge, output_size
from sorakit.types import ASPECTS, NATIVE_SIZES

PATCHES = 36, 47, 60           # fewest, best and most patches of a frame; the models learned at 45 to 49
FITS = ("crop", "pad")


@dataclass(frozen=True)
class Format:
    """What a film measures, in pixels: as delivered, and as the models draw it."""

    height: int
    width: int
    native_height: int
    native_width: int

    @classmethod
    def of(cls, aspect: str = "16:9", height: int | None = None, width: int | None = None) -> Format:
        """An aspect ("16:9", "4:3", "21:9", any "width:height"), with a height or not; or exactly height and width.

        >>> Format.of("21:9", height=432)
        Format(height=432, width=1008, native_height=80, native_width=192)

        Raises ValueError as `output_size`.
        """
        height, width = output_size(aspect, height, width)
        return cls(height, width, *native_size(width / height))

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of latents."""
        return self.native_height // SPACE, self.native_width // SPACE


def native_size(ratio: float) -> tuple[int, int]:
    """Height and width that the models draw a width-to-height ratio at: what they learned, or multiples of 16 near it
    with about as many patches."""
    for aspect, (across, down) in ASPECTS.items():
        if abs(math.log(across / down / ratio)) < 0.02:
            return NATIVE_SIZES[aspect]
    fewest, best, most = PATCHES
    sizes = [(i, j) for i in range(2, most) for j in range(2, most) if fewest <= i * j <= most]
    i, j = min(sizes, key=lambda s: abs(math.log(s[1] / s[0] / ratio)) + 0.25 * abs(math.log(s[0] * s[1] / best)))
    return i * SPACE, j * SPACE


def fitted(frames: UInt8[np.ndarray, "t h w 3"], height: int, width: int, fit: str = "crop"
           ) -> UInt8[np.ndarray, "t height width 3"]:
    """Frames of another shape: cropped about the centre, or whole, with a blurred copy around them."""
    if fit not in FITS:
        raise ValueError(f"fit={fit!r} is not one of {', '.join(FITS)}; for the picture's own shape pass no aspect")
    covered = enlarge(frames, height, width)
    if fit == "crop":
        return covered
    h, w = frames.shape[1:3]
    scale = min(height / h, width / w)
    size = max(1, round(w * scale)), max(1, round(h * scale))
    top, left = (height - size[1]) // 2, (width - size[0]) // 2
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4
    out = np.stack([cv2.GaussianBlur(frame, (0, 0), max(height, width) / 20) for frame in covered])
    for k, frame in enumerate(frames):
        out[k, top:top + size[1], left:left + size[0]] = cv2.resize(frame, size, interpolation=method)
    return out
