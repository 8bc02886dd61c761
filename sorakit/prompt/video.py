"""A film to a `Reference`: how the camera and what it films move, how steady it is, where its shots change."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from sorakit.prompt.files import read_film
from sorakit.prompt.image import look
from sorakit.types import Motion, Reference

SIDE = 160                  # longer side at which motion is measured, in pixels
CUT = 16.0                  # mean change of a cut, in grey levels, at the least
BLEND = 0.22                # most that a dissolve may differ from a mix of its ends, as a share of their distance
LONGEST = 2.0               # of dissolves, in seconds
TEMPI = ((0.006, "still"), (0.04, "slow"), (0.15, "medium"))       # up to so many frame widths a second


def watch(video) -> Reference:
    """What a film shows, from a path or a `Video`; its first minute, at up to 12 frames a second.

    Colours, textures and perspective are those of its middle frame. Raises ValueError as `files.read_film`.
    """
    film, (height, width) = read_film(video, side=SIDE)
    frames, fps = film.frames, film.fps
    dissolves = find_dissolves(frames, fps)
    cuts = tuple(t for t in find_cuts(frames, fps) if not any(a - 0.1 <= t <= b + 0.1 for a, b in dissolves))
    picture = look(frames[len(frames) // 2])
    return dataclasses.replace(picture, height=height, width=width, seconds=film.seconds, fps=fps,
                               motion=measure_motion(frames, fps, (*cuts, *(t for pair in dissolves for t in pair))),
                               cuts=cuts, dissolves=dissolves)


# --- motion -------------------------------------------------------------------------------------


def measure_motion(frames: UInt8[np.ndarray, "t h w 3"], fps: float, changes: tuple[float, ...] = ()) -> Motion:
    """Camera and subjects' motion; steps between frames at `changes` (seconds) do not count."""
    greys = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    skipped = {k for t in changes for k in (int(t * fps) - 1, int(t * fps), int(t * fps) + 1)} if changes else set()
    pans, zooms, speeds, shares, overall = [], [], [], [], []
    w = frames.shape[2]
    for k in range(len(greys) - 1):
        if k in skipped or min(greys[k].shape) < 24:
            continue
        flow = cv2.calcOpticalFlowFarneback(greys[k], greys[k + 1], None, 0.5, 4, 13, 3, 5, 1.1, 0)
        model, textured = fit_camera(flow, greys[k])
        rest = np.linalg.norm(flow - model["flow"], axis=-1)
        moving = textured & (rest > max(0.35, 0.003 * w))
        pans.append((-model["x"] * fps / w, -model["y"] * fps / w))
        zooms.append(model["scale"] ** fps - 1)
        shares.append(float(moving.mean()))
        speeds.append(float(rest[moving].mean()) * fps / w if moving.any() else 0.0)
        overall.append(float(np.linalg.norm(flow, axis=-1)[textured].mean()) * fps / w if textured.any() else 0.0)
    if not pans:
        pans, zooms, speeds, shares, overall = [(0.0, 0.0)], [0.0], [0.0], [0.0], [0.0]
    pan, zoom = np.median(pans, 0), float(np.median(zooms))
    tempo = next((name for most, name in TEMPI if np.mean(overall) <= most), "fast")
    brightness = np.array([grey.mean() for grey in greys])
    bends = np.diff(brightness, 2) if len(greys) > 2 else np.zeros(1)
    drift = np.abs(frames[-1].mean((0, 1)) - frames[0].mean((0, 1))).mean()
    return Motion(camera=name_camera(pan, zoom), pan=(float(pan[0]), float(pan[1])), zoom=zoom,
                  speed=float(np.mean(speeds)), moving=float(np.mean(shares)), tempo=tempo,
                  flicker=float(bends.std() / np.sqrt(6)), drift=float(drift))


def fit_camera(flow: Float[np.ndarray, "h w 2"], grey: UInt8[np.ndarray, "h w"]):
    """The shift and zoom that most of what has texture follows: least squares, thrice, without what does not fit."""
    h, w = grey.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x, y = x - w / 2, y - h / 2
    slope = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    textured = cv2.dilate((slope > 40).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    kept = textured.copy()
    shift, zoom = np.zeros(2), 0.0
    for _ in range(4):
        if kept.sum() < 20:
            break
        u, v, px, py = flow[..., 0][kept], flow[..., 1][kept], x[kept], y[kept]
        shift = np.array([np.median(u - zoom * px), np.median(v - zoom * py)])
        zoom = float(((u - shift[0]) * px + (v - shift[1]) * py).sum() / max(1e-6, (px ** 2 + py ** 2).sum()))
        rest = np.hypot(flow[..., 0] - shift[0] - zoom * x, flow[..., 1] - shift[1] - zoom * y)
        kept = textured & (rest < max(0.4, float(np.median(rest[textured])) * 1.5))
    fitted = np.stack([shift[0] + zoom * x, shift[1] + zoom * y], -1)
    return {"x": float(shift[0]), "y": float(shift[1]), "scale": 1 + zoom, "flow": fitted}, textured


def name_camera(pan: Float[np.ndarray, 2], zoom: float) -> str:
    """The strongest of pan, tilt and zoom; "static" if none of them can be seen."""
    across, down = float(pan[0]), float(pan[1])
    strengths = {"pan right" if across > 0 else "pan left": abs(across) / 0.004,
                 "tilt down" if down > 0 else "tilt up": abs(down) / 0.006,
                 "zoom in" if zoom > 0 else "zoom out": abs(zoom) / 0.02}
    name, most = max(strengths.items(), key=lambda item: item[1])
    return name if most > 1 else "static"


# --- shots --------------------------------------------------------------------------------------


def _thumbnails(frames: UInt8[np.ndarray, "t h w 3"]) -> Float[np.ndarray, "t h2 w2 3"]:
    h, w = frames.shape[1:3]
    size = (48, max(1, round(48 * h / w))) if w >= h else (max(1, round(48 * w / h)), 48)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]).astype(np.float32)


def find_cuts(frames: UInt8[np.ndarray, "t h w 3"], fps: float) -> tuple[float, ...]:
    """Seconds at which a new shot begins at once: a change far above those around it, in pixels and in colours."""
    if len(frames) < 2:
        return ()
    small = _thumbnails(frames)
    change = np.abs(np.diff(small, axis=0)).mean((1, 2, 3))
    cuts = []
    for k, value in enumerate(change):
        around = np.concatenate([change[max(0, k - 5):k], change[k + 1:k + 6]])
        usual = np.median(around) if len(around) else 0.0
        if value > CUT and value > 3 * usual and value >= change[max(0, k - 2):k + 3].max():
            cuts.append((k + 1) / fps)
    return tuple(cuts)


def find_dissolves(frames: UInt8[np.ndarray, "t h w 3"], fps: float) -> tuple[tuple[float, float], ...]:
    """First and last second of each stretch whose frames are mixes of its two ends, which are different pictures."""
    small = _thumbnails(frames)
    t = len(small)
    found = []
    for n in range(3, min(t - 1, round(LONGEST * fps)) + 1):
        for a in range(t - n):
            b = a + n
            distance = float(np.abs(small[b] - small[a]).mean())
            if distance < CUT:
                continue
            middle = [a + round(n * part) for part in (0.25, 0.5, 0.75)]
            if not all(0 < k - a < n for k in middle):
                continue
            share = [(k - a) / n for k in middle]
            off = max(float(np.abs(small[k] - (1 - s) * small[a] - s * small[b]).mean()) for k, s in zip(middle, share))
            if off < BLEND * distance:
                found.append((distance * (1 - off / (BLEND * distance)), a, b))
    chosen: list[tuple[int, int]] = []
    for _, a, b in sorted(found, reverse=True):
        if all(b <= c or a >= d for c, d in chosen):
            chosen.append((a, b))
    merged: list[list[int]] = []
    for a, b in sorted(chosen):
        if merged and a - merged[-1][1] <= 1:
            merged[-1][1] = b
        else:
            merged.append([a, b])
    return tuple((a / fps, b / fps) for a, b in merged)
