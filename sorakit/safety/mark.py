"""The visible mark that every film carries. It drifts, so that no one crop takes it off a whole film."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ACROSS, UP = 17.0, 9.0                # seconds that the mark takes from side to side, and from bottom to top
SMALLEST = 10                         # pixels of its height, where the picture is as high


@dataclass(frozen=True)
class Style:
    """How the mark looks. Raises ValueError for a style in which it could not be read."""

    text: str = "AI-generated"
    size: float = 0.05                # height in parts of the picture's shorter side
    light: float = 0.6                # of the letters, which are white: how much they cover
    dark: float = 0.45                # of their shadow

    def __post_init__(self):
        if not self.text.strip():
            raise ValueError("text='' says nothing; the mark takes words such as 'AI-generated'")
        for name, least, most in (("size", 0.03, 0.2), ("light", 0.4, 1), ("dark", 0.3, 1)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)!r} does not fit; a mark that can be read takes "
                                 f"{least} to {most}")


def marked(frames: UInt8[np.ndarray, "t h w 3"], fps: float = 8.0, style: Style = Style(),
           start: float = 0.0) -> UInt8[np.ndarray, "t h w 3"]:
    """The frames with translucent white words on a soft shadow, which show on light and on dark.

    At second 0 they stand in the lower right corner; from there they drift up and to the left, and turn back at the
    edges. `start` is the second of the first frame.
    """
    h, w = frames.shape[1:3]
    shadow, letters = stencil(style.text)
    height = min(max(SMALLEST, round(min(h, w) * style.size)), h)
    width = min(round(height * letters.width / letters.height), w)
    shadow, letters = (np.asarray(layer.resize((width, height), Image.Resampling.LANCZOS), np.float32)[..., None] / 255
                       for layer in (shadow, letters))
    kept, covered = 1 - style.dark * shadow, style.light * letters
    frames = frames.copy()
    for k, frame in enumerate(frames):
        top, left = place(start + k / fps, (h, w), (height, width))
        part = frame[top:top + height, left:left + width]
        part[:] = (part * (kept * (1 - covered)) + 255 * covered).round()
    return frames


def place(second: float, picture: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Top and left of the mark at a time, in pixels; picture and size are (height, width)."""
    margin = size[0] // 3
    where = []
    for room, period in ((picture[0] - size[0], UP), (picture[1] - size[1], ACROSS)):
        edge = min(margin, room // 2)
        back = abs((second / period + 1) % 2 - 1)                          # 0 to 1 and back
        where.append(round(room - edge - back * (room - 2 * edge)))
    return where[0], where[1]


def stencil(text: str, size: int = 96) -> tuple[Image.Image, Image.Image]:
    """The words drawn large, and their shadow, as coverage from 0 to 255."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(text)
    edge = size // 4
    letters = Image.new("L", (round(right - left) + 2 * edge, round(bottom - top) + 2 * edge))
    ImageDraw.Draw(letters).text((edge - left, edge - top), text, font=font, fill=255)
    shadow = letters.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(size / 12))
    return shadow, letters
