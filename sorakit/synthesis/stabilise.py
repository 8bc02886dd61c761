"""Takes the shake out of a camera, and leaves it the way that it was meant to go."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from .stream import Stream

# A camera's path is, for each frame, how the picture has moved since the shot began: dx and dy in pixels, the turn
# in radians and the logarithm of the enlargement.
Path = Float[np.ndarray, "t 4"]


@dataclass(frozen=True, eq=False)
class CameraPath:
    """What the camera did, what it was meant to do, and the share of each side that the correction cuts off in all."""

    seen: Path
    wanted: Path
    crop: float

    def __repr__(self):
        return f"CameraPath({len(self.seen)} frames, {self.crop:.1%} of each side cropped)"


@dataclass(frozen=True)
class Stabilise:
    """Follows corners from frame to frame, smooths the camera's path over `seconds`, and moves frames onto it.

    The path is smoothed by least squares with its curvature held down (Whittaker 1923): pans and zooms of any even
    speed pass unchanged, what changes its mind within `seconds` goes. The frame is enlarged so far that no border
    shows, but by no more than `most_crop` of its sides; `report["stabilise"]` has the CameraPath.
    """

    seconds: float = 1.5
    most_crop: float = 0.2

    def __post_init__(self):
        if not 0 < self.seconds <= 60:
            raise ValueError(f"seconds={self.seconds!r} does not fit; it takes a time above 0 and up to 60")
        if not 0 <= self.most_crop <= 0.5:
            raise ValueError(f"most_crop={self.most_crop!r} does not fit; it takes a share from 0 to 0.5")

    def __call__(self, stream: Stream) -> Stream:
        """Looks at every frame once before the first one comes out."""
        path = self.fit(stream)
        h, w = stream.height, stream.width
        enlarge = about_centre(1 / (1 - path.crop), h, w)
        matrices = [enlarge @ _matrix(off, h, w) for off in path.wanted - path.seen]

        def frames():
            for frame, matrix in zip(stream, matrices):
                yield cv2.warpAffine(frame, matrix[:2], (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

        return stream.then(frames, report={"stabilise": path})

    def fit(self, stream: Stream) -> CameraPath:
        """The path as it is and as it should be, shot by shot."""
        steps = camera_steps(stream)
        seen, wanted = np.zeros((stream.count, 4)), np.zeros((stream.count, 4))
        for shot in stream.shots:
            part = slice(shot.start, shot.stop)
            seen[part] = np.concatenate([np.zeros((1, 4)), np.cumsum(steps[shot.start + 1:shot.stop], 0)])
            wanted[part] = smooth(seen[part], self.seconds * stream.fps)
        off = wanted - seen
        crop = max((_needed(o, stream.height, stream.width) for o in off), default=0.0)
        if crop > self.most_crop:
            wanted, crop = seen + off * self.most_crop / crop, self.most_crop
        return CameraPath(seen, wanted, float(crop))


def camera_steps(stream: Stream) -> Path:
    """How the picture as a whole moves from the frame before to each; zeros at cuts and where nothing can be followed.

    Corners (Shi and Tomasi 1994) are followed by Lucas and Kanade's method there and back; the motion that most of
    them share is the camera's (RANSAC).
    """
    steps, before = np.zeros((stream.count, 4)), None
    for number, frame in enumerate(stream):
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        if before is not None and number not in stream.cuts:
            steps[number] = _step(before, grey)
        before = grey
    return steps


def _step(a, b):
    h, w = a.shape
    corners = cv2.goodFeaturesToTrack(a, 400, 0.005, max(3, min(h, w) // 40))
    if corners is None or len(corners) < 8:
        return np.zeros(4)
    window = (max(9, min(h, w) // 12 | 1),) * 2
    there, found, _ = cv2.calcOpticalFlowPyrLK(a, b, corners, None, winSize=window)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(b, a, there, None, winSize=window)
    good = (found & found_back).ravel().astype(bool) & (np.linalg.norm(back - corners, axis=-1).ravel() < 0.5)
    if good.sum() < 8:
        return np.zeros(4)
    centre = np.array([w / 2 - 0.5, h / 2 - 0.5])
    m, _ = cv2.estimateAffinePartial2D(corners[good] - centre, there[good] - centre, ransacReprojThreshold=1.0,
                                       maxIters=2000, confidence=0.999)
    if m is None:
        return np.zeros(4)
    scale = max(np.hypot(m[0, 0], m[1, 0]), 1e-3)
    return np.array([m[0, 2], m[1, 2], np.arctan2(m[1, 0], m[0, 0]), np.log(scale)])


def smooth(path: Path, frames: float) -> Path:
    """The path with what turns within so many frames taken out; straight lines stay as they are."""
    n = len(path)
    if n < 3:
        return path.copy()
    from scipy.linalg import solveh_banded

    stiffness = (frames / (2 * np.pi)) ** 4 * 16                             # half of a wave of 2 x frames / ... passes
    bands, bend = np.zeros((3, n)), (1, -2, 1)                               # of 1 + stiffness x bend^T bend
    bands[2] = 1
    for k in range(3):
        for m in range(k, 3):
            bands[2 - (m - k), m:m + n - 2] += stiffness * bend[k] * bend[m]
    return solveh_banded(bands, path)


def about_centre(scale: float, h: int, w: int) -> Float[np.ndarray, "3 3"]:
    return _matrix(np.array([0.0, 0.0, 0.0, np.log(scale)]), h, w)


def _matrix(off, h, w):
    """Pixels to pixels, for a movement, turn and enlargement about the centre of the frame."""
    dx, dy, turn, grow = off
    c, s = np.exp(grow) * np.cos(turn), np.exp(grow) * np.sin(turn)
    x, y = w / 2 - 0.5, h / 2 - 0.5
    return np.array([[c, -s, x + dx - c * x + s * y], [s, c, y + dy - s * x - c * y], [0, 0, 1]])


def _needed(off, h, w):
    """The share of the sides that must go so that no border shows after this movement."""
    corners = np.array([[x, y, 1.0] for x in (-0.5, w - 0.5) for y in (-0.5, h - 0.5)])
    moved = (np.linalg.inv(_matrix(off, h, w)) @ corners.T).T[:, :2] - [w / 2 - 0.5, h / 2 - 0.5]
    over = np.abs(moved) / [w / 2, h / 2]
    return max(0.0, 1 - 1 / max(over.max(), 1.0)) if over.max() > 1 else 0.0


def shaken(frames: UInt8[np.ndarray, "t h w 3"], path: Path, margin: int) -> UInt8[np.ndarray, "t h2 w2 3"]:
    """Frames as a shaking camera would have taken them, with `margin` pixels cut off all around: to test with."""
    _, h, w, _ = frames.shape
    moved = [cv2.warpAffine(f, _matrix(off, h, w)[:2], (w, h), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
             for f, off in zip(frames, path)]
    return np.stack(moved)[:, margin:h - margin, margin:w - margin]
