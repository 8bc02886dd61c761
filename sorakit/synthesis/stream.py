"""A film on its way through the parts of the finish: frame after frame, and never all of it in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Float, Shaped, UInt8

from sorakit.types import Video

Frames = Iterator[UInt8[np.ndarray, "h w 3"]]
SHOT = 12.0, 2.5      # a cut differs from what its neighbours lead to expect by so many levels, and by so many times


@dataclass(frozen=True, eq=False)
class Stream:
    """Frames that are made when they are asked for, and can be asked for again: `for frame in stream`.

    A part of the finish is a function from one Stream to another. `report` is what the parts found out on the way
    (the camera's path, the colours' curves), by their names.
    """

    open: Callable[[], Frames]
    count: int
    fps: float
    height: int
    width: int
    cuts: frozenset[int] = frozenset()           # the frames that begin a new shot, but for the first
    report: dict[str, object] = field(default_factory=dict)

    def __iter__(self) -> Frames:
        return self.open()

    def frames(self) -> UInt8[np.ndarray, "t h w 3"]:
        """All of them, for films that fit into memory."""
        return np.stack(list(self))

    def video(self, prompt: str = "") -> Video:
        return Video(self.frames(), self.fps, prompt)

    def then(self, make: Callable[[], Frames], **changed) -> Stream:
        """The stream that follows this one; `report=` is added to what is there."""
        report = {**self.report, **changed.pop("report", {})}
        return dataclasses.replace(self, open=make, report=report, **changed)

    def map(self, change: Callable[[np.ndarray], np.ndarray], **changed) -> Stream:
        """Each frame changed by itself."""
        return self.then(lambda: (change(frame) for frame in self), **changed)

    @property
    def shots(self) -> list[range]:
        """The frames of each shot."""
        edges = [0, *sorted(self.cuts), self.count]
        return [range(a, b) for a, b in zip(edges, edges[1:])]

    @classmethod
    def of(cls, film: Video | UInt8[np.ndarray, "t h w 3"], fps: float | None = None) -> Stream:
        """A film in memory as a stream. Raises ValueError for frames without a rate."""
        frames, fps = (film.frames, film.fps) if isinstance(film, Video) else (film, fps)
        if fps is None:
            raise ValueError("fps=None: frames have no rate of their own; pass fps=, or a Video")
        t, h, w, _ = frames.shape
        return cls(lambda: iter(frames), t, fps, h, w)


def find_cuts(stream: Stream) -> Stream:
    """The same stream, knowing its cuts: where a frame cannot be had by moving the one before it.

    Each frame is fetched from the one before it along the optical flow; at a cut what is left differs far more than
    at the frames around it.
    """
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    scale = min(1.0, 96 / min(stream.height, stream.width))
    error, before = [0.0], None
    for frame in stream:
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else frame
        if before is not None:
            grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in (small, before)]
            fetched = fetch(before, flow.calc(*grey, None))
            error.append(float(np.abs(fetched.astype(np.int16) - small).mean()))
        before = small
    level, times = SHOT
    error = np.array(error)
    cuts = set()
    for k in range(1, len(error)):
        around = np.delete(error, k)[max(1, k - 4):k + 4]                  # [0] is no difference of two frames
        usual = np.median(around) if len(around) else 0.0
        if error[k] > level and error[k] > times * usual:
            cuts.add(k)
    return dataclasses.replace(stream, cuts=frozenset(cuts))


def fetch(frame: Shaped[np.ndarray, "h w c"], flow: Float[np.ndarray, "h w 2"]) -> Shaped[np.ndarray, "h w c"]:
    """For each pixel what lies where its flow points to; edges go on."""
    y, x = _grid(*flow.shape[:2])
    return cv2.remap(frame, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _grid(h, w):
    y, x = np.mgrid[:h, :w].astype(np.float32)
    return y, x
