"""Colour and light: white balance, exposure and contrast, one setting for each shot; and looks, as 3D tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageFilter

from ..whole import whole
from .stream import Stream

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)     # BT.709
Colours = Float[np.ndarray, "... 3"]
MIDDLE = 0.42, 0.50           # middle brightness, of 1, that exposure leaves alone


# --- automatic correction ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Correction:
    """What is done to each pixel of a shot: gains of red, green and blue, then a light, then black and white points.

    A light of 2 makes shadows twice as bright, and lets the brightest be.
    """

    gains: tuple[float, float, float]
    light: float
    black: float
    white: float

    def table(self) -> UInt8[np.ndarray, "256 3"]:
        levels = np.linspace(0, 1, 256)[:, None] * np.array(self.gains)
        levels = lit(np.clip(levels, 0, 1), self.light)
        return np.clip(255 * (levels - self.black) / (self.white - self.black) + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class AutoColour:
    """Automatic white balance, exposure and contrast, each from 0 (off) to 1.

    Every shot is looked at whole and gets one setting, so nothing can flicker. White balance takes the brightest red,
    green and blue together to be white (Land and McCann 1971) and changes no channel by more than a third; exposure
    lifts or lowers the middle brightness towards a middle grey; contrast stretches the darkest and the brightest
    hundredth towards black and white. A sunset is not told from a cast, so the defaults go but a part of the way.
    """

    balance: float = 0.7
    exposure: float = 0.5
    contrast: float = 0.5

    def __post_init__(self):
        for name in ("balance", "exposure", "contrast"):
            check_share(name, getattr(self, name))

    def __call__(self, stream: Stream) -> Stream:
        """Looks at every frame once before the first one comes out; `report["colour"]` has each shot's Correction."""
        corrections = self.fit(stream)
        tables = [correction.table() for correction in corrections]

        def frames():
            source = iter(stream)
            for shot, table in zip(stream.shots, tables):
                for _ in shot:
                    frame = next(source)
                    yield np.stack([table[:, c][frame[..., c]] for c in range(3)], -1)

        return stream.then(frames, report={"colour": corrections})

    def fit(self, stream: Stream) -> list[Correction]:
        """The setting of each shot."""
        source, corrections = iter(stream), []
        for shot in stream.shots:
            seen = _Statistics()
            for _ in shot:
                seen.add(next(source))
            corrections.append(self._correction(seen))
        return corrections

    def _correction(self, seen):
        levels = np.linspace(0, 1, 256)
        cast = np.array([max(_percentile(channel, 0.99), 1) for channel in seen.channels])
        gains = np.clip(cast.mean() / cast, 0.75, 1.33) ** self.balance
        gains /= gains @ LUMA                                             # as bright as before
        middle = float(np.clip(levels[_percentile(seen.luma, 0.5)], 0.02, 0.98))
        target = np.clip(middle, *MIDDLE)                                 # what lies between is well exposed
        light = float(np.clip(np.log(1 - target) / np.log(1 - middle), 0.5, 2.5)) ** self.exposure
        low, high = (float(lit(levels[_percentile(seen.luma, s)], light)) for s in (0.01, 0.99))
        return Correction(tuple(float(g) for g in gains), light, self.contrast * min(low, 0.15),
                          1 - self.contrast * min(1 - high, 0.25))


class _Statistics:
    """How often each level of brightness, of red, of green and of blue is in a shot."""

    def __init__(self):
        self.luma, self.channels = np.zeros(256), np.zeros((3, 256))

    def add(self, frame):
        self.luma += np.bincount((frame @ LUMA + 0.5).astype(np.uint8).ravel(), minlength=256)
        for c in range(3):
            self.channels[c] += np.bincount(frame[..., c].ravel(), minlength=256)


def lit(levels, light: float):
    """Brighter (above 1) or darker shadows; black and white stay."""
    return 1 - (1 - levels) ** light


def _percentile(histogram, share):
    return int(np.searchsorted(np.cumsum(histogram), share * histogram.sum()))


def check_share(name: str, value) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{name}={value!r} does not fit; it takes a number from 0 (off) to 1")


# --- looks ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Lut3D:
    """A colour for each colour: `table[r, g, b]` in [0, 1] on an even grid, and lines between its points."""

    table: Float[np.ndarray, "n n n 3"]
    title: str = ""

    def __post_init__(self):
        shape = self.table.shape
        if len(shape) != 4 or shape[3] != 3 or not shape[0] == shape[1] == shape[2] or not 2 <= shape[0] <= 65:
            raise ValueError(f"table has shape {shape}; a Lut3D takes (n, n, n, 3) with n from 2 to 65")
        flat = np.ascontiguousarray(self.table.transpose(2, 1, 0, 3), np.float32).reshape(-1)   # red runs fastest
        object.__setattr__(self, "_filter", ImageFilter.Color3DLUT(shape[0], flat.tolist()))

    def __call__(self, frame: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
        return np.asarray(Image.fromarray(frame).filter(self._filter))

    def mixed(self, strength: float) -> Lut3D:
        """Between no change (0) and this look (1)."""
        return Lut3D((1 - strength) * grid(len(self.table)) + strength * self.table, self.title)

    @classmethod
    def of(cls, change: Callable[[Colours], Colours], size: int = 33, title: str = "") -> Lut3D:
        """The table of a function of colours in [0, 1]."""
        return cls(np.clip(change(grid(size)), 0, 1).astype(np.float32), title)

    def write(self, path: str | Path) -> Path:
        """A .cube file (Adobe Cube LUT 1.0), which grading programs and ffmpeg's lut3d read."""
        path = Path(path).expanduser()
        lines = [f'TITLE "{self.title}"'] * bool(self.title) + [f"LUT_3D_SIZE {len(self.table)}"]
        lines += [f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in self.table.transpose(2, 1, 0, 3).reshape(-1, 3)]
        with whole(path) as beside:
            beside.write_text("\n".join(lines) + "\n")
        return path

    @classmethod
    def read(cls, path: str | Path) -> Lut3D:
        """A .cube file of three dimensions, or of one. Raises ValueError for what is no such file, naming the line."""
        path = Path(path).expanduser()
        title, size, kind, low, high, rows = "", 0, "", np.zeros(3), np.ones(3), []
        for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
            words = line.split("#")[0].split() if not line.startswith("TITLE") else ["TITLE"]
            try:
                if not words or words[0].startswith("LUT_") and words[0] not in ("LUT_3D_SIZE", "LUT_1D_SIZE"):
                    continue
                if words[0] == "TITLE":
                    title = line[5:].strip().strip('"')
                elif words[0] in ("LUT_3D_SIZE", "LUT_1D_SIZE"):
                    kind, size = words[0][4:6], int(words[1])
                elif words[0] == "DOMAIN_MIN":
                    low = np.array([float(word) for word in words[1:4]])
                elif words[0] == "DOMAIN_MAX":
                    high = np.array([float(word) for word in words[1:4]])
                else:
                    r, g, b = (float(word) for word in words)
                    rows.append((r, g, b))
            except (ValueError, IndexError):
                raise ValueError(f"line {number} of {path.name} is not one of a .cube file: {line[:60]!r}") from None
        if not size or len(rows) != (size**3 if kind == "3D" else size):
            raise ValueError(f"{path.name} has {len(rows)} colours; a .cube file has LUT_3D_SIZE n and n x n x n of "
                             "them, or LUT_1D_SIZE n and n")
        values = np.array(rows, np.float32)
        if not np.isfinite(values).all() or (high <= low).any():
            raise ValueError(f"{path.name} has colours or a domain that are no numbers in order")
        if kind == "1D":
            lookup = lambda x, c: np.interp(x[..., c], np.linspace(low[c], high[c], size), values[:, c])
            return cls.of(lambda x: np.stack([lookup(x, c) for c in range(3)], -1), 65, title)
        table = values.reshape(size, size, size, 3).transpose(2, 1, 0, 3)
        if (low != 0).any() or (high != 1).any():
            return cls.of(lambda x: _trilinear(table, np.clip((x - low) / (high - low), 0, 1)), min(size, 65), title)
        if size > 65:
            return cls.of(lambda x: _trilinear(table, x), 65, title)
        return cls(np.clip(table, 0, 1), title)


@dataclass(frozen=True)
class Look:
    """A named look, a Lut3D or a .cube file, laid over the film with `strength` from 0 to 1."""

    look: str | Path | Lut3D = "natural"
    strength: float = 1.0

    def __post_init__(self):
        check_share("strength", self.strength)
        self.lut()

    def lut(self) -> Lut3D:
        """Raises ValueError for a name that is no look."""
        if isinstance(self.look, Lut3D):
            lut = self.look
        elif str(self.look).lower().endswith(".cube"):
            lut = Lut3D.read(self.look)
        else:
            lut = named_look(str(self.look))
        return lut if self.strength == 1 else lut.mixed(self.strength)

    def __call__(self, stream: Stream) -> Stream:
        return stream.map(self.lut())


@lru_cache
def named_look(name: str) -> Lut3D:
    """One of LOOKS. Raises ValueError for another name."""
    if name not in LOOKS:
        raise ValueError(f"look={name!r} is not one of {', '.join(LOOKS)}, nor a .cube file")
    return Lut3D.of(LOOKS[name], title=name)


def grid(size: int) -> Float[np.ndarray, "n n n 3"]:
    """The table that changes nothing."""
    axis = np.linspace(0, 1, size, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1)


def _trilinear(table, x):
    place = x * (len(table) - 1)
    low = np.minimum(place.astype(int), len(table) - 2)
    part, total = place - low, 0.0
    for corner in np.ndindex(2, 2, 2):
        share = np.prod(np.where(corner, part, 1 - part), -1, keepdims=True)
        total = total + share * table[tuple(np.moveaxis(low + corner, -1, 0))]
    return total


def _luma(x):
    return (x @ LUMA)[..., None]


def _saturated(x, by):
    return _luma(x) + by * (x - _luma(x))


def _curve(x, contrast):
    """An S about middle grey; 0 is a straight line."""
    x = np.clip(x, 0, 1)
    return (1 - contrast) * x + contrast * (x * x * (3 - 2 * x))


def _split(x, shadows, lights):
    """Shadows and lights tinted, middle grey as bright as before."""
    dark = (1 - _luma(x)) ** 2
    return x + dark * np.array(shadows) + (1 - dark) * _luma(x) * np.array(lights)


def _lifted(x, black, white):
    return black + x * (np.array(white) - black)


def _natural(x):
    return _saturated(_curve(x, 0.12), 1.04)


def _cinematic(x):
    return _lifted(_saturated(_split(_curve(x, 0.45), (-0.03, 0.03, 0.06), (0.07, 0.01, -0.09)), 1.05), 0.015, 0.99)


def _noir(x):
    return np.repeat(_curve(_curve(np.clip(x @ np.array([0.45, 0.45, 0.10]), 0, 1)[..., None], 0.8), 0.35), 3, -1)


def _neon(x):
    return _saturated(_split(_curve(x, 0.6), (0.05, -0.03, 0.14), (0.06, -0.05, 0.07)), 1.45)


def _warm(x):
    return _saturated(_curve(x * np.array([1.10, 1.01, 0.86]), 0.25), 1.08)


def _cool(x):
    return _saturated(_curve(x * np.array([0.88, 1.0, 1.10]), 0.25), 1.04)


def _faded(x):
    return _lifted(_saturated(_curve(x, 0.1), 0.68), np.array([0.10, 0.09, 0.10]), np.array([0.93, 0.92, 0.88]))


def _vintage(x):
    return _lifted(_split(_saturated(x, 0.75), (0.03, 0.01, 0.0), (0.08, 0.02, -0.12)), np.array([0.06, 0.04, 0.05]),
                   np.array([0.97, 0.93, 0.84]))


def _bleach(x):
    """Bleach bypass: the silver stays in the film, over its colours."""
    grey = _luma(x)
    over = np.where(grey < 0.5, 2 * x * grey, 1 - 2 * (1 - x) * (1 - grey))
    return _saturated(0.45 * x + 0.55 * over, 0.72)


def _golden(x):
    return _saturated(_split(_curve(x, 0.2), (0.03, -0.005, -0.01), (0.10, 0.03, -0.12)), 1.12)


LOOKS: dict[str, Callable[[Colours], Colours]] = {
    "natural": _natural, "cinematic": _cinematic, "noir": _noir, "neon": _neon, "warm": _warm, "cool": _cool,
    "faded": _faded, "vintage": _vintage, "bleach": _bleach, "golden": _golden,
}
