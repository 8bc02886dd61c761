"""Looks: turns plain frames into cinematic, cyberpunk, painted, cut, pixelled or pencilled ones, in any mood.

Every texture (paper, hatching, vignette) is made once a clip and stays where it is, and every size is a share
of the frame's height, so that a look is the same at 80 and at 720 pixels and does not flicker.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache

import cv2
import numpy as np

PAPER = (250, 246, 236)


def apply(frames: np.ndarray, style: str, mood: str, seed: int) -> np.ndarray:
    """Frames (t, h, w, 3) of uint8 sRGB in a style and a mood; the seed settles paper and brush."""
    frames = _MOODS[mood](frames)
    return _STYLES[style](frames, np.random.default_rng(seed))


# --- tools ----------------------------------------------------------------------------------------


def _each(frames, change):
    """change(frame) for every frame."""
    out = np.empty_like(frames)
    for frame, place in zip(frames, out):
        place[:] = change(frame)
    return out


def _curves(*channels):
    """A lookup table from tone curves: each a list of outputs (0-255) at evenly spaced inputs."""
    tables = [np.interp(np.arange(256), np.linspace(0, 255, len(c)), c) for c in channels]
    return np.stack(tables, -1).round().astype(np.uint8)[:, None]


def _saturation(by):
    """A colour matrix that keeps brightness and multiplies the distance from grey."""
    return (np.eye(3) * by + np.array([0.30, 0.59, 0.11]) * (1 - by)).astype(np.float32)


def _blur(image, size):
    """A soft blur of a radius in pixels; big ones are made on a small copy, which looks the same and is quick."""
    h, w = image.shape[:2]
    step = max(1, int(size / 1.5))
    small = cv2.resize(image, (-(-w // step), -(-h // step)), interpolation=cv2.INTER_AREA) if step > 1 else image
    box = 2 * max(1, round(size / step * 0.9)) + 1
    soft = cv2.blur(cv2.blur(small, (box, box)), (box, box))
    return cv2.resize(soft, (w, h), interpolation=cv2.INTER_LINEAR) if step > 1 else soft


def _bloom(frame, lights, size, strength):
    """Add a blurred copy of the light parts; `lights` is a curve that keeps only those."""
    return cv2.addWeighted(frame, 1.0, _blur(cv2.LUT(frame, lights), size), strength, 0)


def _vignette(h, w, dark):
    """A mask (h, w): 1 in the middle, less by `dark` (0-1) in the corners."""
    y, x = np.linspace(-1, 1, h)[:, None], np.linspace(-1, 1, w)
    return 1 - dark * ((x * x + y * y) / 2) ** 1.3


def _mask(shares, tint=(1.0, 1.0, 1.0)):
    """Shares (h, w) or (h, w, 3) in [0, 1] as an image to multiply frames with."""
    shares = shares[..., None] if shares.ndim == 2 else shares
    return np.ascontiguousarray(np.clip(shares * np.array(tint) * 255, 0, 255).round().astype(np.uint8))


def _times(frame, mask):
    return cv2.multiply(frame, mask, scale=1 / 255)


def _noise(rng, h, w, cells):
    """Smooth noise in about [-1, 1], with `cells` bumps from top to bottom."""
    grid = rng.uniform(-1, 1, (cells + 2, round(cells * w / h) + 2)).astype(np.float32)
    return cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC)


def _fibre(rng, h, w):
    """The grain of paper in about [-1, 1]: fine, and finer than that."""
    return 0.5 * _noise(rng, h, w, 50) + 0.5 * _noise(rng, h, w, 110)


def _exposed(frames, low, high):
    """A lookup table that takes the darkest and lightest greys of a clip towards low and high."""
    dark, light = np.percentile(frames[:, ::4, ::4] @ np.float32([0.30, 0.59, 0.11]), (3, 97))
    share = np.clip((np.arange(256) - dark) / max(70, light - dark), 0, 1)
    return (low + share * (high - low)).round().astype(np.uint8)


# --- moods ----------------------------------------------------------------------------------------


def _neutral(frames):
    return frames


def _cheerful(frames):
    matrix, curve = _saturation(1.3), _curves([4, 82, 152, 212, 255], [3, 78, 148, 209, 253], [0, 68, 135, 198, 246])
    return _each(frames, lambda f: cv2.LUT(cv2.transform(f, matrix), curve))


def _gloomy(frames):
    matrix, curve = _saturation(0.68), _curves([8, 54, 102, 154, 200], [14, 60, 109, 162, 208], [24, 70, 121, 174, 220])
    return _each(frames, lambda f: cv2.LUT(cv2.transform(f, matrix), curve))


def _dreamy(frames):
    size = 0.04 * frames.shape[1]
    curve = _curves([44, 106, 166, 220, 255], [34, 96, 157, 212, 250], [54, 110, 168, 220, 255])
    return _each(frames, lambda f: cv2.LUT(cv2.addWeighted(f, 0.6, _blur(f, size), 0.45, 0), curve))


def _dramatic(frames):
    matrix, curve = _saturation(1.12), _curves(*[[0, 42, 124, 214, 255]] * 3)
    mask = _mask(_vignette(*frames.shape[1:3], 0.7))
    return _each(frames, lambda f: _times(cv2.LUT(cv2.transform(f, matrix), curve), mask))


_MOODS = {"neutral": _neutral, "cheerful": _cheerful, "gloomy": _gloomy, "dreamy": _dreamy, "dramatic": _dramatic}


# --- styles: photographed ---------------------------------------------------------------------------


def _natural(frames, rng):
    return frames


def _cinematic(frames, rng):
    """Teal shadows, orange lights, a gentle falloff."""
    h, w = frames.shape[1:3]
    curve = _curves([0, 50, 138, 216, 255], [10, 64, 130, 199, 244], [26, 76, 122, 174, 216])
    lights, mask = _curves(*[[0, 0, 0, 40, 220]] * 3), _mask(_vignette(h, w, 0.5))
    return _each(frames, lambda f: _times(_bloom(cv2.LUT(f, curve), lights, 0.035 * h, 0.25), mask))


def _cyberpunk(frames, rng):
    """Deep violet shadows and lights that bleed, under magenta neon from one side and cyan from the other."""
    h, w = frames.shape[1:3]
    curve = _curves([10, 60, 140, 224, 255], [4, 56, 132, 216, 255], [36, 90, 150, 220, 255])
    lights = _curves(*[[0, 0, 25, 130, 255]] * 3)
    across = np.linspace(0, 1, w)[None, :, None] ** 1.3
    sides = np.array([1.0, 0.86, 0.98]) * (1 - across) + np.array([0.70, 1.0, 1.0]) * across
    shares = sides * _vignette(h, w, 0.4)[..., None]
    if h >= 240:
        shares = shares * np.where(np.arange(h) * 240 // h % 2, 1.0, 0.87)[:, None, None]
    mask = _mask(shares)
    return _each(frames, lambda f: _bloom(_times(cv2.LUT(f, curve), mask), lights, 0.045 * h, 0.7))


def _film_noir(frames, rng):
    """Black and white, hard, with the light of a window blind across it."""
    h, w = frames.shape[1:3]
    exposed = _curves([0, 34, 112, 210, 255]).ravel()[_exposed(frames, 18, 245)]
    film = np.float32([[0.45, 0.43, 0.12]])
    y, x = np.mgrid[0:h, 0:w] / h
    blind = np.clip(1.6 * np.sin((y * 4.5 - x * 1.2 + rng.random()) * 2 * np.pi), -1, 1)
    mask = _mask(_vignette(h, w, 0.75) * (0.88 + 0.12 * blind))[..., 0]

    def shoot(frame):
        return cv2.merge([_times(cv2.LUT(cv2.transform(frame, film), exposed), mask)] * 3)

    return _each(frames, shoot)


# --- styles: made by hand ---------------------------------------------------------------------------


def _watercolour(frames, rng):
    """Washes that gather darker at their wobbly edges, on grained paper left bare at the borders."""
    h, w = frames.shape[1:3]
    size = max(3, int(h / 60) // 2 * 2 + 1)
    xs, ys = _wobble(rng, h, w)
    wet = _curves(*[[38, 114, 180, 227, 253]] * 3)
    pooled = _curves([255, 175, 135, 120, 115])
    matrix, kernel = _saturation(1.25), np.ones((size, size), np.uint8)
    pigment = _mask(0.94 + 0.07 * _noise(rng, h, w, 6) + 0.04 * _fibre(rng, h, w))
    paper = np.full((h, w, 3), PAPER, np.uint8)
    painted = _mask(_painted_area(rng, h, w))

    def paint(frame):
        wash = cv2.medianBlur(cv2.remap(frame, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT), size)
        grey = cv2.cvtColor(wash, cv2.COLOR_RGB2GRAY)
        rims = cv2.subtract(cv2.dilate(grey, kernel), grey)
        wash = cv2.LUT(cv2.transform(wash, matrix), wet)
        wash = _times(_times(wash, cv2.merge([cv2.LUT(rims, pooled)] * 3)), pigment)
        return cv2.subtract(paper, _times(cv2.subtract(paper, wash), painted))

    return _each(frames, paint)


def _wobble(rng, h, w):
    """Where each pixel is taken from, so that straight edges look drawn by a wet brush."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    return cv2.convertMaps(x + 0.007 * h * _noise(rng, h, w, 20), y + 0.007 * h * _noise(rng, h, w, 20), cv2.CV_16SC2)


def _painted_area(rng, h, w):
    """1 where there is paint, 0 on the bare border of the paper, with an uneven wet edge between."""
    y, x = np.mgrid[0:h, 0:w] / h
    inside = np.minimum(np.minimum(y, 1 - y), np.minimum(x, w / h - x))
    return np.clip((inside + 0.022 * _noise(rng, h, w, 7) + 0.008 * _noise(rng, h, w, 30) - 0.012) / 0.03, 0, 1)


def _cut_out(frames, rng):
    """Flat sheets of coloured paper, each throwing a soft shadow on the next."""
    h, w = frames.shape[1:3]
    size, shift = max(3, int(h / 60) // 2 * 2 + 1), h / 70
    levels = (np.arange(256) * 8 // 256 * 32 + 20).astype(np.uint8)
    hues = ((np.arange(256) + 4) // 8 * 8).clip(0, 255).astype(np.uint8)
    sheets = np.stack([levels, hues, hues], -1)[:, None]
    shade = _curves([255, 215, 180, 155, 145])
    fibre = _mask(0.98 + 0.05 * _fibre(rng, h, w))
    move = np.float32([[1, 0, 0.8 * shift], [0, 1, shift]])

    def cut(frame):
        flat = cv2.LUT(cv2.cvtColor(cv2.medianBlur(frame, size), cv2.COLOR_RGB2YCrCb), sheets)
        tone = flat[..., 0].copy()
        above = cv2.warpAffine(tone, move, (w, h), borderMode=cv2.BORDER_REPLICATE)
        shadow = cv2.LUT(_blur(cv2.absdiff(tone, above), 0.012 * h), shade)
        return _times(_times(cv2.cvtColor(flat, cv2.COLOR_YCrCb2RGB), cv2.merge([shadow] * 3)), fibre)

    return _each(frames, cut)


def _pixel_art(frames, rng):
    """Big square pixels in a palette of few colours."""
    h, w = frames.shape[1:3]
    cell = max(2, round(h / 60))
    rows, columns = -(-h // cell), -(-w // cell)
    bottom, right = rows * cell - h, columns * cell - w
    vivid, cube = _saturation(1.25), _palette_cube()

    def draw(frame):
        whole = cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        small = cv2.transform(cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA), vivid)
        r, g, b = cv2.split(small >> 3)
        return cv2.resize(cube[r, g, b], (columns * cell, rows * cell), interpolation=cv2.INTER_NEAREST)[:h, :w]

    return _each(frames, draw)


@lru_cache(maxsize=1)
def _palette_cube():
    """For each of 32^3 colours the nearest of a palette whose shadows lean to blue and lights to yellow."""
    palette = [(v, v, min(1.0, v * 1.04 + 0.02)) for v in (0.05, 0.16, 0.30, 0.46, 0.62, 0.78, 0.90, 0.98)]
    ramp = ((0.22, 0.72, 0.03), (0.42, 0.78, 0.02), (0.64, 0.78, 0.01), (0.86, 0.74, 0.0), (0.97, 0.52, -0.01),
            (0.99, 0.24, -0.02), (0.40, 0.38, 0.02), (0.62, 0.40, 0.01), (0.82, 0.34, 0.0))
    for hue in np.arange(12) / 12:
        to_blue = 1 if 1 / 6 <= hue < 2 / 3 else -1
        palette += [colorsys.hsv_to_rgb((hue + lean * to_blue) % 1, saturation, v) for v, saturation, lean in ramp]
    levels = (np.arange(32, dtype=np.float32) + 0.5) / 32
    cube = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(1, -1, 3)
    palette = np.float32([palette])
    seen, known = (cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)[0] for colours in (cube, palette))
    nearest = np.square(seen[:, None] - known).sum(-1).argmin(-1)
    return (palette[0, nearest] * 255).round().astype(np.uint8).reshape(32, 32, 32, 3)


def _sketch(frames, rng):
    """Pencil on light paper: lines along edges, two tones of hatching, a breath of colour."""
    h, w = frames.shape[1:3]
    exposed = _exposed(frames, 60, 255)
    strokes_down, strokes_up = _hatching(rng, h, w, 1), _hatching(rng, h, w, -1)
    half, deep = _curves([75, 66, 24, 0, 0]), _curves([66, 26, 0, 0, 0])
    firm = _curves([10, 35, 72, 145, 255])
    paper = _mask(0.97 + 0.03 * _fibre(rng, h, w), np.array(PAPER) / 255)
    faint = _curves([255, 226, 196, 172, 155])

    def draw(frame):
        grey = cv2.LUT(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), exposed)
        soft = _blur(grey, 0.014 * h)
        hatch = cv2.add(_times(cv2.LUT(soft, half), strokes_down), _times(cv2.LUT(soft, deep), strokes_up))
        lines = cv2.LUT(cv2.divide(grey, soft, scale=255), firm)
        pencil = cv2.subtract(cv2.addWeighted(lines, 0.85, grey, 0.18, 0), hatch)
        r, g, b = cv2.split(frame)
        missing = cv2.subtract(cv2.merge([cv2.max(cv2.max(r, g), b)] * 3), frame)  # none in greys: they stay white
        return _times(_times(paper, cv2.LUT(missing, faint)), cv2.merge([pencil] * 3))

    return _each(frames, draw)


def _hatching(rng, h, w, slope):
    """Parallel slanted pencil strokes, 255 on the stroke; a big frame has room for more and finer ones."""
    y, x = np.mgrid[0:h, 0:w] / h
    across = (y + slope * x) * min(34, 8 + h / 28) + 0.25 * _noise(rng, h, w, 10)
    return _mask((0.5 + 0.5 * np.sin(2 * np.pi * across)) ** 2)[..., 0]


_STYLES = {"natural": _natural, "cinematic": _cinematic, "cyberpunk": _cyberpunk, "watercolour": _watercolour,
           "film noir": _film_noir, "paper cut-out": _cut_out, "pixel art": _pixel_art, "sketch": _sketch}
