"""Less noise and sharper edges, both of which know what an edge is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from .colour import check_share
from .stream import Stream, fetch

Picture = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Denoise:
    """Averages each pixel with what it was a frame before and will be a frame after, and with its like around it.

    The frames on both sides are fetched along the optical flow, and count where they agree; then a bilateral filter
    (Tomasi and Manduchi 1998) evens out what is left, and leaves edges. Strength 1 is for noise of about 12 levels.
    """

    strength: float = 0.5

    def __post_init__(self):
        check_share("strength", self.strength)

    def __call__(self, stream: Stream) -> Stream:
        return stream.then(lambda: self._frames(stream)) if self.strength else stream

    def _frames(self, stream):
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        before = here = None
        for number, after in enumerate(stream):
            if here is not None:
                yield self._clean(flow, here, [f for f in (before, None if number in stream.cuts else after)
                                               if f is not None])
            before, here = (None if number in stream.cuts else here), after
        if here is not None:
            yield self._clean(flow, here, [before] if before is not None else [])

    def _clean(self, flow, frame, others):
        level = 12.0 * self.strength
        grey = cv2.cvtColor(cv2.GaussianBlur(frame, (0, 0), 0.8), cv2.COLOR_RGB2GRAY)
        total, weight = frame.astype(np.float32), np.ones(frame.shape[:2], np.float32)
        for other in others:
            grey_other = cv2.cvtColor(cv2.GaussianBlur(other, (0, 0), 0.8), cv2.COLOR_RGB2GRAY)
            moved = fetch(other, flow.calc(grey, grey_other, None)).astype(np.float32)
            unlike = cv2.blur(np.abs(moved - frame).mean(-1), (5, 5))       # noise differs by pixel, things by area
            share = np.exp(-np.square(unlike / (2.0 * level)))
            total, weight = total + share[..., None] * moved, weight + share
        mean = total / weight[..., None]
        return np.clip(cv2.bilateralFilter(mean, 5, 2.2 * level, 1.5) + 0.5, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Sharpen:
    """An unsharp mask of the brightness that no halo can leave.

    Detail below `quiet` levels is noise and stays as it is. No pixel gets brighter than the brightest or darker than
    the darkest that was within one pixel of it, but for `halo` levels.
    """

    amount: float = 0.3
    radius: float = 1.0
    halo: float = 4.0
    quiet: float = 1.5

    def __post_init__(self):
        check_share("amount", self.amount)
        for name, least, most in (("radius", 0.3, 10), ("halo", 0, 255), ("quiet", 0, 255)):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)!r} does not fit; it takes a number from {least} to "
                                 f"{most}")

    def __call__(self, stream: Stream) -> Stream:
        return stream.map(self.frame) if self.amount else stream

    def frame(self, frame: Picture) -> Picture:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        light = grey.astype(np.float32)
        detail = light - cv2.GaussianBlur(light, (0, 0), self.radius)
        detail = np.sign(detail) * np.maximum(np.abs(detail) - self.quiet, 0)
        around = np.ones((3, 3), np.uint8)
        wanted = np.clip(light + 3 * self.amount * detail, cv2.erode(light, around) - self.halo,
                         cv2.dilate(light, around) + self.halo)
        return np.clip(frame + np.rint(wanted - light)[..., None], 0, 255).astype(np.uint8)
