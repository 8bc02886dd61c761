"""Sizes: what a film may be asked to have, and how frames come to have it."""

from __future__ import annotations

import cv2
import numpy as np
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from sorakit.types import ASPECTS, check_aspect

SHORT_SIDE = 432                 # pixels, when no height is asked for: 16:9 is then exactly 432 x 768
HEIGHTS = (64, 2160)             # lowest and highest


def to_bytes(frames: Float[Tensor, "1 3 t h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """[-1, 1] to 0 ... 255; what lies outside is clipped."""
    frames = rearrange(frames[0], "c t h w -> t h w c").float().cpu()
    return ((frames.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def output_size(aspect: str, height: int | None = None) -> tuple[int, int]:
    """Height and width in pixels, both even, as video takes them; by default the short side has 432."""
    check_aspect(aspect)
    x, y = ASPECTS[aspect]
    if height is None:
        height = SHORT_SIDE * y // min(x, y)
    lowest, highest = HEIGHTS
    if not isinstance(height, int) or not lowest <= height <= highest or height % 2:
        raise ValueError(f"height={height!r} does not fit; it takes an even number of pixels from {lowest} to "
                         f"{highest}")
    return height, round(height * x / y / 2) * 2


def enlarge(frames: UInt8[np.ndarray, "t h w 3"], height: int, width: int) -> UInt8[np.ndarray, "t height width 3"]:
    """Lanczos resampling until the frame is covered, then a crop about the centre. Shrinking averages areas."""
    h, w = frames.shape[1:3]
    scale = max(height / h, width / w)
    size = max(width, round(w * scale)), max(height, round(h * scale))
    method = cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.stack([cv2.resize(frame, size, interpolation=method)[top:top + height, left:left + width]
                     for frame in frames])
