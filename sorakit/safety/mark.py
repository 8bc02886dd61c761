"""The visible mark that every film carries."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFilter, ImageFont

TEXT = "AI-generated"


def marked(frames: UInt8[np.ndarray, "t h w 3"]) -> UInt8[np.ndarray, "t h w 3"]:
    """`AI-generated` in the lower right corner, translucent white on a soft shadow: it shows on light and on dark."""
    h, w = frames.shape[1:3]
    shadow, letters = stencil()
    height = min(max(10, round(min(h, w) / 20)), h)
    width = min(round(height * letters.width / letters.height), w)
    shadow, letters = (np.asarray(layer.resize((width, height), Image.Resampling.LANCZOS), np.float32)[..., None] / 255
                       for layer in (shadow, letters))
    margin = min(height // 3, h - height, w - width)
    corner = np.s_[:, h - margin - height:h - margin, w - margin - width:w - margin]
    frames = frames.copy()
    dark = frames[corner] * (1 - 0.4 * shadow)
    frames[corner] = (dark + (255 - dark) * 0.6 * letters).round().astype(np.uint8)
    return frames


def stencil(size: int = 96) -> tuple[Image.Image, Image.Image]:
    """The words drawn large, and their shadow, as coverage from 0 to 255."""
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(TEXT)
    edge = size // 4
    letters = Image.new("L", (round(right - left) + 2 * edge, round(bottom - top) + 2 * edge))
    ImageDraw.Draw(letters).text((edge - left, edge - top), TEXT, font=font, fill=255)
    shadow = letters.filter(ImageFilter.MaxFilter(9)).filter(ImageFilter.GaussianBlur(size / 12))
    return shadow, letters
