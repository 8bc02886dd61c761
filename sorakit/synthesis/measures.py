"""How good each part is, against the drawn world's truth. Levels are those of bytes, 0 to 255."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from sorakit.types import Video

from .stabilise import Path, smooth
from .stream import Stream, fetch

Film = UInt8[np.ndarray, "t h w 3"]


@dataclass(frozen=True, eq=False)
class Comparison:
    """A film before and after a part, and what each measure says of both."""

    before: Video
    after: Video
    measures: dict[str, tuple[float, float]]

    def __repr__(self):
        return "\n".join(f"{name:<28}{a:10.3f} -> {b:.3f}" for name, (a, b) in self.measures.items())


def compare(part: Callable[[Stream], Stream], film: Video,
            measures: dict[str, Callable[[Film], float]] | None = None) -> Comparison:
    """A part's effect on a film; each measure is a function of frames, such as `lambda f: psnr(f, truth)`."""
    after = part(Stream.of(film)).video(film.prompt)
    return Comparison(film, after, {name: (measure(film.frames), measure(after.frames))
                                    for name, measure in (measures or {}).items()})


def psnr(frames: Film, truth: Film) -> float:
    """Peak signal to noise ratio in dB, the mean over frames."""
    errors = [np.square(a.astype(np.float32) - b).mean() for a, b in zip(frames, truth, strict=True)]
    return float(np.mean([10 * np.log10(255**2 / max(error, 1e-4)) for error in errors]))


def warping_error(frames: Film, flow: Float[np.ndarray, "t1 h w 2"]) -> float:
    """Mean difference in levels between each frame and the next one fetched back along the true flow.

    `flow` is a drawn clip's own (`Clip.flow`). Pixels that leave the picture, or that something else covers in the
    next frame (their flow and that of the pixel they come to differ), are left out.
    """
    differences = []
    for k, motion in enumerate(flow):
        h, w, _ = motion.shape
        y, x = np.mgrid[:h, :w]
        there_x, there_y = x + motion[..., 0], y + motion[..., 1]
        inside = (there_x >= 0) & (there_x <= w - 1) & (there_y >= 0) & (there_y <= h - 1)
        if k + 1 < len(flow):
            next_motion = cv2.remap(flow[k + 1], there_x.astype(np.float32), there_y.astype(np.float32),
                                    cv2.INTER_NEAREST)
            inside &= np.linalg.norm(next_motion - motion, axis=-1) < 1.0
        fetched = fetch(frames[k + 1], motion).astype(np.float32)
        differences.append(np.abs(fetched - frames[k]).mean(-1)[inside].mean() if inside.any() else 0.0)
    return float(np.mean(differences))


def flicker(frames: Film, truth: Film | None = None) -> float:
    """RMS in levels of the change from frame to frame, less the truth's own change if it is given."""
    change = np.diff(frames.astype(np.float32), axis=0)
    if truth is not None:
        change -= np.diff(truth.astype(np.float32), axis=0)
    return float(np.sqrt(np.square(change).mean()))


def brightness_flicker(frames: Film) -> float:
    """RMS in levels of what the mean colour of a frame differs from the middle of its neighbours'."""
    means = frames.reshape(len(frames), -1, 3).mean(1)
    return float(np.sqrt(np.square(means[1:-1] - (means[:-2] + means[2:]) / 2).mean())) if len(frames) > 2 else 0.0


def jitter(path: Path, frames: float) -> float:
    """RMS in pixels of what a camera's path has that is faster than so many frames."""
    fast = path[:, :2] - smooth(path, frames)[:, :2]
    return float(np.sqrt(np.square(fast).sum(-1).mean()))


def halo(sharpened: Film, frames: Film) -> float:
    """The most, in levels of brightness, by which a pixel leaves the range of its 3 x 3 neighbours before."""
    around, worst = np.ones((3, 3), np.uint8), 0
    for after, before in zip(sharpened, frames, strict=True):
        light = cv2.cvtColor(before, cv2.COLOR_RGB2GRAY)
        now = cv2.cvtColor(after, cv2.COLOR_RGB2GRAY).astype(int)
        worst = max(worst, (now - cv2.dilate(light, around)).max(), (cv2.erode(light, around) - now).max())
    return float(worst)


def sharpness(frames: Film) -> float:
    """Mean slope of brightness, in levels a pixel."""
    grey = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]).astype(np.float32)
    return float(np.abs(np.diff(grey, axis=1)).mean() + np.abs(np.diff(grey, axis=2)).mean())


def seam(frames: np.ndarray, whole: np.ndarray) -> float:
    """The largest difference in levels between frames in [-1, 1] decoded in pieces and as a whole."""
    return float(np.abs(frames - whole).max() * 127.5)
