"""A picture to a `Reference`: its colours and light, what it looks like it is made of, its perspective and depth.

Plain measurements, no trained network: what each finds, and how well on the drawn world, `benchmarks/reading.py` says.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from sorakit.prompt.files import read_image
from sorakit.types import Reference, Swatch, Texture

LOOKED_SIDE = 192            # longer side at which a picture is looked at, in pixels
COLOURS = 6                  # of a palette

NAMED = {  # sRGB of the names that a palette uses
    "black": (20, 20, 24), "charcoal": (62, 64, 70), "grey": (140, 143, 148), "silver": (192, 195, 200),
    "white": (245, 245, 243), "cream": (246, 236, 208), "beige": (220, 200, 165), "sand": (214, 184, 130),
    "brown": (120, 78, 46), "dark brown": (66, 44, 30), "rust": (165, 74, 42), "red": (215, 45, 45),
    "dark red": (120, 22, 30), "coral": (245, 128, 105), "orange": (244, 135, 40), "golden": (226, 168, 78),
    "yellow": (249, 214, 64), "olive": (128, 128, 52), "lime": (160, 210, 70), "green": (66, 160, 78),
    "dark green": (28, 74, 44), "mint": (170, 222, 188), "teal": (32, 128, 128), "turquoise": (72, 202, 200),
    "sky blue": (135, 196, 236), "blue": (48, 105, 215), "navy": (24, 34, 84), "slate": (92, 108, 130),
    "indigo": (64, 48, 130), "purple": (132, 70, 188), "lavender": (188, 168, 222), "mauve": (150, 106, 140),
    "magenta": (206, 50, 150), "pink": (246, 160, 190), "peach": (250, 200, 168),
}


def look(image) -> Reference:
    """What a picture shows: a path, a PIL image or a `(h, w, 3)` uint8 array. Raises ValueError as `read_image`."""
    picture = read_image(image)
    small = shrunk(picture)
    lab = to_lab(small)
    horizon = find_horizon(lab)
    depth = estimate_depth(lab, horizon)
    return Reference(
        height=picture.shape[0], width=picture.shape[1], palette=palette(small), light=light(lab),
        time=time_of_day(lab), textures=textures(small, lab, horizon), horizon=horizon,
        vanishing=vanishing_point(small), depth=depth)


def shrunk(picture: UInt8[np.ndarray, "h w 3"], side: int = LOOKED_SIDE) -> UInt8[np.ndarray, "h2 w2 3"]:
    scale = min(1.0, side / max(picture.shape[:2]))
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def to_lab(picture: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """CIELAB: lightness 0 to 100, then green to red and blue to yellow, about -100 to 100."""
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


# --- colour -------------------------------------------------------------------------------------


def palette(picture: UInt8[np.ndarray, "h w 3"], n: int = COLOURS) -> tuple[Swatch, ...]:
    """The n colours that stand for a picture best (k-means in CIELAB), like ones as one; commonest first."""
    points = np.ascontiguousarray(to_lab(picture).reshape(-1, 3))
    n = min(n, len(np.unique(points.round(), axis=0)))
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 30, 0.5)
    if n > 1:
        _, labels, centres = cv2.kmeans(points, n, None, stop, 2, cv2.KMEANS_PP_CENTERS)
    else:
        labels, centres = np.zeros(len(points), int), points.mean(0, keepdims=True)
    shares = np.bincount(labels.ravel(), minlength=n) / len(points)
    found: list[tuple[np.ndarray, float]] = []
    for k in shares.argsort()[::-1]:
        near = next((i for i, (centre, _) in enumerate(found) if np.linalg.norm(centre - centres[k]) < 10), None)
        if near is None:
            found.append((centres[k], float(shares[k])))
        else:
            centre, share = found[near]
            total = share + shares[k]
            found[near] = ((centre * share + centres[k] * shares[k]) / total, float(total))
    swatches = []
    for centre, share in found:
        rgb = cv2.cvtColor(centre.astype(np.float32).reshape(1, 1, 3), cv2.COLOR_LAB2RGB).ravel()
        rgb = tuple(int(c) for c in (rgb.clip(0, 1) * 255).round())
        swatches.append(Swatch(colour_name(rgb), rgb, share))
    return tuple(sorted(swatches, key=lambda swatch: -swatch.share))


def colour_name(rgb: tuple[int, int, int]) -> str:
    """The nearest name, by distance in CIELAB."""
    table = to_lab(np.array([list(NAMED.values()), [rgb] * len(NAMED)], np.uint8))
    return list(NAMED)[int(np.linalg.norm(table[0] - table[1], axis=-1).argmin())]


def light(lab: Float[np.ndarray, "h w 3"]) -> str:
    """ "warm", "cool" or "neutral", by how yellow or blue the picture is on the whole, bright parts more."""
    weight = lab[..., 0] + 10
    yellow = float(((lab[..., 2] + 0.4 * lab[..., 1]) * weight).sum() / weight.sum())
    return "warm" if yellow > 8 else "cool" if yellow < -8 else "neutral"


TIMES = {  # mean `time_features` of 80 scenes of the drawn world
    "dawn": (64, 7, -3, 62, 5, 3, 66, 7, 6), "day": (59, 0, -21, 61, 0, -6, 66, 0, -5),
    "sunset": (43, 27, -5, 51, 17, 8, 55, 18, 11), "night": (30, 8, -21, 36, 7, -19, 37, 9, -25),
}


def time_features(lab: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, nine]:
    """Mean colour of the upper third, of the whole, and of the band above the middle."""
    h = len(lab)
    parts = lab[:max(1, h // 3)], lab, lab[h * 2 // 5:max(1 + h * 2 // 5, h * 3 // 5)]
    return np.concatenate([part.reshape(-1, 3).mean(0) for part in parts])


def time_of_day(lab: Float[np.ndarray, "h w 3"]) -> str:
    """Which time the light looks like: the nearest of `TIMES`, by the colours of the sky, the whole and the middle."""
    features = time_features(lab)
    return min(TIMES, key=lambda time: float(np.linalg.norm(features - np.array(TIMES[time]))))


# --- perspective and depth ------------------------------------------------------------------------


def find_horizon(lab: Float[np.ndarray, "h w 3"]) -> float | None:
    """Height of the row, 0 at the top, where what is above differs most from what is below; None if no row stands out.

    Each row is judged by its columns' median difference between a band above and a band below, so that what stands on
    the ground here and there does not count.
    """
    h = len(lab)
    if h < 16 or lab.shape[1] < 4:
        return None
    band = max(2, h // 16)
    rows = np.arange(max(band, int(0.25 * h)), min(h - band, int(0.9 * h)))
    total = np.concatenate([np.zeros_like(lab[:1]), lab.cumsum(0)])                   # (h + 1, w, 3)
    above = (total[rows] - total[rows - band]) / band
    below = (total[rows + band] - total[rows]) / band
    step = np.linalg.norm(above - below, axis=-1)                                     # (rows, w)
    strength = np.median(step, 1) + 0.3 * step.mean(1)
    strength *= np.exp(-0.5 * ((rows / h - 0.62) / 0.2) ** 2)                         # pictures are framed so
    best = int(strength.argmax())
    return float(rows[best] / h) if strength[best] > 6 else None


def vanishing_point(picture: UInt8[np.ndarray, "h w 3"]) -> tuple[float, float] | None:
    """Where most slanting lines meet, (x, y) in widths and heights; None if fewer than four do."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    h, w = grey.shape
    if min(h, w) < 24:
        return None
    lines = cv2.HoughLinesP(cv2.Canny(grey, 60, 160), 1, np.pi / 180, 18, minLineLength=max(h, w) / 8, maxLineGap=3)
    if lines is None:
        return None
    x0, y0, x1, y1 = lines.reshape(-1, 4).astype(float).T
    angle = np.degrees(np.arctan2(np.abs(y1 - y0), np.abs(x1 - x0)))
    keep = (angle > 12) & (angle < 78)
    ends = np.stack([x0, y0, x1, y1], 1)[keep]
    length = np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1])
    ends = ends[length.argsort()[::-1][:40]]
    if len(ends) < 4:
        return None
    ones = np.ones((len(ends), 1))
    lines = np.cross(np.hstack([ends[:, :2], ones]), np.hstack([ends[:, 2:], ones]))  # ax + by + c = 0
    lines /= np.linalg.norm(lines[:, :2], axis=1, keepdims=True)
    i, j = np.triu_indices(len(lines), 1)
    points = np.cross(lines[i], lines[j])
    points = points[np.abs(points[:, 2]) > 0.2]                                 # nearly parallel ones meet nowhere
    if not len(points):
        return None
    points = points[:, :2] / points[:, 2:]
    points = points[(points > (-0.5 * w, -0.2 * h)).all(1) & (points < (1.5 * w, 1.2 * h)).all(1)]
    if not len(points):
        return None
    votes = (np.abs(points @ lines[:, :2].T + lines[:, 2]) < 0.015 * max(h, w))       # (points, lines)
    best = int(votes.sum(1).argmax())
    if votes[best].sum() < max(4, 0.4 * len(lines)):
        return None
    return float(points[best, 0] / w), float(points[best, 1] / h)


DEPTH = {  # how much farther each measure makes a pixel: least squares on 120 scenes of the drawn world
    "down": -0.255, "down squared": -0.438, "below": -0.246, "above": -0.3, "root above": 0.402,
    "sky": -0.221, "sky down": 0.533, "apart": -0.323, "apart above": 0.288, "apart below": 0.834,
    "chroma": 0.082, "chroma above": -0.627, "light above": 0.258, "yellow above": -0.567,
    "standing": -0.478, "chroma standing": 0.366,
}


def estimate_depth(lab: Float[np.ndarray, "h w 3"], horizon: float | None) -> Float[np.ndarray, "h w"]:
    """How far each pixel is, 0 for the nearest to 1 for the farthest: a weighted sum of what can be measured there.

    The order is what counts, distances are not to scale. It was fitted on the drawn world, and on photographs no more
    than ground, what stands on it and sky should be expected to come out in order.
    """
    h, w = lab.shape[:2]
    if min(h, w) < 16:
        return np.broadcast_to(np.linspace(1, 0, h, dtype=np.float32)[:, None], (h, w)).copy()
    depth = sum(DEPTH[name] * measure for name, measure in depth_measures(lab, horizon).items())
    return ((depth - depth.min()) / max(float(np.ptp(depth)), 1e-6)).astype(np.float32)


def depth_measures(lab: Float[np.ndarray, "h w 3"], horizon: float | None) -> dict[str, Float[np.ndarray, "h w"]]:
    """What depth can be told from: where a pixel is from the horizon, whether it is sky or stands before it, how far
    its colour is from what its row mostly shows, and, above the horizon, how light and colourful it is."""
    h, w = lab.shape[:2]
    line = 0.55 if horizon is None else horizon
    down = np.broadcast_to((np.arange(h, dtype=np.float32)[:, None] + 0.5) / h, (h, w))
    below, above, sky = (down - line).clip(0), (line - down).clip(0), find_sky(lab)
    apart = np.linalg.norm(lab - np.median(lab, 1, keepdims=True), axis=-1) / 50
    chroma, light, yellow = np.hypot(lab[..., 1], lab[..., 2]) / 60, lab[..., 0] / 100, lab[..., 2] / 60
    standing = (1 - sky) * above
    return {"down": down, "down squared": down ** 2, "below": below, "above": above, "root above": above ** 0.5,
            "sky": sky, "sky down": sky * down, "apart": apart, "apart above": apart * above,
            "apart below": apart * below, "chroma": chroma, "chroma above": chroma * above,
            "light above": light * above, "yellow above": yellow * above, "standing": standing,
            "chroma standing": chroma * standing}


def find_sky(lab: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """1 where the picture is smooth all the way up to its upper edge, 0 elsewhere."""
    slope = lambda channel, dx: cv2.Sobel(lab[..., channel], cv2.CV_32F, dx, 1 - dx) / 4
    smooth = np.hypot(slope(0, 1), slope(0, 0)) + np.abs(slope(2, 0)) < 2.5
    _, parts = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    sky = np.isin(parts, [part for part in np.unique(parts[:2]) if part > 0])
    sky[int(0.8 * len(lab)):] = False
    return cv2.morphologyEx(sky.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(np.float32)


# --- what it is made of ---------------------------------------------------------------------------


def textures(picture: UInt8[np.ndarray, "h w 3"], lab: Float[np.ndarray, "h w 3"], horizon: float | None
             ) -> tuple[Texture, ...]:
    """Materials by tile: colour, roughness and the direction of edges, each a rule that can be read below."""
    h, w = lab.shape[:2]
    if min(h, w) < 16:
        return ()
    line = 0.55 if horizon is None else horizon
    gx, gy = cv2.Sobel(lab[..., 0], cv2.CV_32F, 1, 0) / 4, cv2.Sobel(lab[..., 0], cv2.CV_32F, 0, 1) / 4
    n = 8
    shares: dict[str, list[float]] = {}
    for ys in np.array_split(np.arange(h), n):
        for xs in np.array_split(np.arange(w), n):
            tile = np.ix_(ys, xs)
            name, confidence = _material(lab[tile].reshape(-1, 3).mean(0), float(np.abs(gx[tile]).mean()),
                                         float(np.abs(gy[tile]).mean()), float(ys.mean()) / h < line)
            shares.setdefault(name, []).append(confidence)
    found = [Texture(name, len(c) / n ** 2, round(float(np.mean(c)), 2)) for name, c in shares.items()]
    return tuple(sorted((t for t in found if t.share >= 0.05), key=lambda texture: -texture.share))


def _material(mean, across: float, down: float, above: bool) -> tuple[str, float]:
    """Name and confidence for a tile of a mean colour (CIELAB), and mean slope of lightness across and down."""
    lightness, red, yellow = (float(v) for v in mean)
    rough, chroma = math.hypot(across, down), math.hypot(red, yellow)
    if above and rough < 2.2:
        return "sky", 0.8 if yellow < 0 or lightness > 60 else 0.6
    if red < -8 and yellow > 4:
        return ("foliage", 0.8) if rough > 1.2 else ("grass", 0.7)
    if yellow < -6 and not above:
        return "water", 0.7 if down >= across else 0.5
    if lightness > 82 and chroma < 12:
        return ("snow", 0.7) if not above else ("cloud", 0.6)
    if yellow > 14 and red > -6 and lightness > 35 and not above:
        return ("sand or earth", 0.7) if rough < 4 else ("wood or stone", 0.5)
    if rough > 4 and across > 0.8 * down:
        return "built", 0.6
    return ("rough", 0.4) if rough > 3 else ("smooth", 0.4)
