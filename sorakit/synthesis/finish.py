"""Sizes: what a film may be asked to have, and how frames come to have it."""

from __future__ import annotations

import re

import cv2
import numpy as np
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

SHORT_SIDE = 432                 # pixels, when no size is asked for: 16:9 is then exactly 432 x 768
SIDES = (64, 2160)               # least and most of the short side
WIDEST = 4.0                     # long side to short side


def to_bytes(frames: Float[Tensor, "1 3 t h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """[-1, 1] to 0 ... 255; what lies outside is clipped."""
    frames = rearrange(frames[0], "c t h w -> t h w c").float().cpu()
    return ((frames.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def output_size(aspect: str = "16:9", height: int | None = None, width: int | None = None,
                short: int = SHORT_SIDE) -> tuple[int, int]:
    """Height and width in pixels, both even, as video takes them: of any "width:height" up to 4:1 with its short side
    or its height given, or exactly `height` and `width`.

    Raises ValueError for an aspect that is none or beyond 4:1, and for odd or extreme sizes.
    """
    across, down = shape_of(aspect)
    if width is not None and height is None:
        raise ValueError(f"width={width!r} comes without a height; pass both, or an aspect")
    if height is None:
        long = 2 * round(short * max(across, down) / min(across, down) / 2)
        height, width = (short, long) if across >= down else (long, short)
    check_side("height", height)
    if width is None:
        width = 2 * round(height * across / down / 2)
    check_side("width", width)
    if not SIDES[0] <= min(height, width) <= SIDES[1]:
        raise ValueError(f"height={height!r} makes a film of {height} x {width}; its short side takes {SIDES[0]} to "
                         f"{SIDES[1]} pixels")
    if max(height, width) > WIDEST * min(height, width):
        raise ValueError(f"height={height!r} and width={width!r} are too far apart; it takes up to {WIDEST:g}:1")
    return height, width


def shape_of(aspect: str) -> tuple[float, float]:
    """Width and height of "width:height". Raises ValueError for what is not that."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)", aspect) if isinstance(aspect, str) else None
    across, down = map(float, found.groups()) if found else (0, 0)
    if not (across and down and 1 / WIDEST <= across / down <= WIDEST):
        raise ValueError(f"aspect={aspect!r} is not a shape such as 16:9, 9:16, 1:1, 4:3, 3:4 or 21:9, up to "
                         f"{WIDEST:g}:1")
    return across, down


def check_side(name: str, side) -> None:
    most = round(WIDEST * SIDES[1])
    if not isinstance(side, int) or isinstance(side, bool) or not 0 < side <= most or side % 2:
        raise ValueError(f"{name}={side!r} does not fit; it takes an even number of pixels up to {most}, the short "
                         f"side {SIDES[0]} to {SIDES[1]}")


def enlarge(frames: UInt8[np.ndarray, "t h w 3"], height: int, width: int) -> UInt8[np.ndarray, "t height width 3"]:
    """Lanczos resampling until the frame is covered, then a crop about the centre. Shrinking averages areas."""
    h, w = frames.shape[1:3]
    scale = max(height / h, width / w)
    size = max(width, round(w * scale)), max(height, round(h * scale))
    method = cv2.INTER_LANCZOS4 if scale > 1 else cv2.INTER_AREA
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    return np.stack([cv2.resize(frame, size, interpolation=method)[top:top + height, left:left + width]
                     for frame in frames])
