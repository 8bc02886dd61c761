"""Pictures in rows and columns with titles, drawn with Pillow: sharp to the pixel, and fast enough for live views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

WIDTH = 960                      # of every picture; its text can still be read when it is printed 600 pixels wide
GAP = 6
INK, FAINT = "#333333", "#777777"
WIDEST = 320                     # of a tile
TALLEST = 300


@dataclass(frozen=True)
class Layout:
    """Where the tiles of a sheet are, in pixels."""

    rows: int
    columns: int
    width: int                   # of a tile
    height: int
    left: int                    # room for the labels of the rows
    top: int                     # room for titles above each row

    @classmethod
    def of(cls, rows: int, columns: int, ratio: float, left: int = 0, top: int = 26, widest: int = WIDEST) -> Layout:
        """Tiles of height / width = ratio, as large as fit in WIDTH."""
        width = min(widest, (WIDTH - left - (columns - 1) * GAP) // columns, round(TALLEST / ratio))
        return cls(rows, columns, width, max(1, round(width * ratio)), left, top)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        return (max(WIDTH, self.left + self.columns * (self.width + GAP) - GAP),
                self.rows * (self.height + self.top + GAP) - GAP)

    def corner(self, row: int, column: int) -> tuple[int, int]:
        """The upper left pixel of a tile, (x, y)."""
        return self.left + column * (self.width + GAP), self.top + row * (self.height + self.top + GAP)

    def hit(self, x: float, y: float) -> tuple[int, int, float, float] | None:
        """The tile under a pixel of the sheet: (row, column, y, x), y and x in shares of the tile. None where none is.
        """
        for row in range(self.rows):
            for column in range(self.columns):
                left, top = self.corner(row, column)
                if left <= x < left + self.width and top <= y < top + self.height:
                    return row, column, (y - top) / self.height, (x - left) / self.width
        return None


def sheet(rows: Sequence[Sequence[UInt8[np.ndarray, "_h _w 3"] | None]], titles: Sequence[Sequence[str]] = (),
          labels: Sequence[str] = (), caption: str = "", method: int = cv2.INTER_NEAREST, layout: Layout | None = None
          ) -> Image.Image:
    """Rows of pictures of one size. titles: for each tile, by rows; one row of them stands above the first row only.

    labels stand left of the rows, the caption below all. None leaves a place empty.
    """
    first = next(tile for row in rows for tile in row if tile is not None)
    columns = max(map(len, rows))
    alone = len(titles) == 1 and len(rows) > 1
    if layout is None:
        left = 14 + max((int(font().getlength(label)) for label in labels), default=-14)
        layout = Layout.of(len(rows), columns, first.shape[0] / first.shape[1], left,
                           0 if alone or not titles else 26)
    head, foot = 26 if alone else 0, 30 if caption else 0
    width, height = layout.size
    picture = Image.new("RGB", (width, height + head + foot), "white")
    draw = ImageDraw.Draw(picture)
    for r, row in enumerate(rows):
        for c, tile in enumerate(row):
            x, y = layout.corner(r, c)
            if tile is not None:
                picture.paste(Image.fromarray(resized(tile, layout.width, layout.height, method)), (x, y + head))
            title = titles[r][c] if r < len(titles) and c < len(titles[r]) else ""
            draw.text((x + layout.width / 2, y + head - 13), title, INK, font(), "mm")
        if r < len(labels):
            y = layout.corner(r, 0)[1] + head + layout.height / 2
            draw.text((layout.left - 12, y), labels[r], INK, font(), "rm")
    draw.text((layout.left, height + head + foot - 12), caption, FAINT, font(), "lm")
    return picture


def beside(count: int, ratio: float) -> tuple[int, int]:
    """Rows and columns for so many tiles of height / width = ratio, about as wide as a page."""
    columns = min(count, max(3, round(math.sqrt(count * 16 / 9 * ratio))))
    return math.ceil(count / columns), columns


def in_rows(things: Sequence, columns: int) -> list[Sequence]:
    """Things in rows of so many."""
    return [things[start:start + columns] for start in range(0, len(things), columns)]


def chosen(count: int, n: int) -> list[int]:
    """n of so many places, evenly from first to last."""
    return np.linspace(0, count - 1, min(n, count)).round().astype(int).tolist()


@lru_cache
def font(size: int = 15) -> ImageFont.FreeTypeFont:
    """The one that the charts have, DejaVu Sans of matplotlib; without matplotlib Pillow's own."""
    found = find_spec("matplotlib")
    path = found and Path(found.origin).parent / "mpl-data/fonts/ttf/DejaVuSans.ttf"
    return ImageFont.truetype(str(path), size) if path and path.is_file() else ImageFont.load_default(size)


def resized(picture: UInt8[np.ndarray, "h w 3"], width: int, height: int, method: int = cv2.INTER_NEAREST
            ) -> UInt8[np.ndarray, "height width 3"]:
    return cv2.resize(picture, (width, height), interpolation=method)


# --- values to colours ------------------------------------------------------------------------------


def rising(values: Float[np.ndarray, "*size"], highest: float | None = None) -> UInt8[np.ndarray, "*size 3"]:
    """0 is dark, `highest` (the greatest by default) is bright: magma, which is even to the eye and in grey."""
    highest = float(values.max()) if highest is None else highest
    grey = (np.clip(values / max(highest, 1e-12), 0, 1) * 255).round().astype(np.uint8)
    colours = cv2.applyColorMap(grey.reshape(-1, 1), cv2.COLORMAP_MAGMA)[:, 0, ::-1]
    return np.ascontiguousarray(colours).reshape(*values.shape, 3)


def diverging(values: Float[np.ndarray, "*size"], limit: float = 2.5) -> UInt8[np.ndarray, "*size 3"]:
    """White at 0, blue at -limit, red at limit."""
    x = np.clip(values / limit, -1, 1)[..., None]
    red, blue = np.array([178, 24, 43]), np.array([33, 102, 172])
    return (255 + np.abs(x) * (np.where(x > 0, red, blue) - 255)).round().astype(np.uint8)


def glowing(picture: UInt8[np.ndarray, "h w 3"], values: Float[np.ndarray, "y x"], highest: float,
            method: int = cv2.INTER_NEAREST) -> UInt8[np.ndarray, "h w 3"]:
    """A picture, grey and dim, under values that shine through it."""
    h, w = picture.shape[:2]
    share = np.clip(cv2.resize(values.astype(np.float32), (w, h), interpolation=method) / max(highest, 1e-12), 0, 1)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, 2) * 0.55
    cover = 0.35 + 0.5 * share[..., None]
    return (grey * (1 - cover) + rising(share, 1.0) * cover).round().astype(np.uint8)
