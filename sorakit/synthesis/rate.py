"""More frames a second, by moving what is in them along its optical flow."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from .stream import Stream, fetch

RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
Picture = UInt8[np.ndarray, "h w 3"]
Flow = Float[np.ndarray, "h w 2"]
FLOW_SIZE = 320                  # longest side at which flows are found
UNLIKE, ASTRAY = 20.0, 1.0       # levels of colour and pixels at which a flow is believed no more
MOST = 0.45                      # share of a gap by which the frames beside it are moved at most
LEAST, DOUBT = 0.02, 0.3         # trust of the least believed flow; below this trust frames fade instead of moving


@dataclass(frozen=True)
class FrameRate:
    """To `fps` frames a second, from the film's first frame to its last.

    Between two frames each pixel travels along the optical flow from both sides (Kroeger et al. 2016, DIS,
    arXiv:1603.03590): flows are laid down where they lead to at that moment, nearer and surer ones over others, as
    in softmax splatting (Niklaus and Liu 2020, arXiv:2003.05534). What only one of the two shows is taken from that
    one, and where neither flow can be trusted the two fade into each other. Nothing moves across a cut.
    """

    fps: float = 30.0
    method: str = "motion"      # or "blend": fade; "nearest": repeat

    def __post_init__(self):
        if not (isinstance(self.fps, (int, float)) and 1 <= self.fps <= 240):
            raise ValueError(f"fps={self.fps!r} does not fit; it takes 1 to 240 frames a second, such as "
                             f"{', '.join(f'{rate:g}' for rate in RATES)}")
        if self.method not in ("motion", "blend", "nearest"):
            raise ValueError(f"method={self.method!r} is not one of motion, blend, nearest")

    def __call__(self, stream: Stream) -> Stream:
        """A stream at the new rate; its cuts are moved along."""
        if self.fps == stream.fps:
            return stream
        count = 1 + int((stream.count - 1) / stream.fps * self.fps + 1e-6)
        cuts = frozenset(int(np.ceil((cut - 0.5) / stream.fps * self.fps)) for cut in stream.cuts)
        return stream.then(lambda: self._frames(stream, count), count=count, fps=float(self.fps), cuts=cuts)

    def _frames(self, stream, count):
        frames = iter(stream)
        here, after, number, between = None, next(frames), -1, None
        for k in range(count):
            place = k * stream.fps / self.fps
            while number < int(place + 1e-9):
                number, here, between = number + 1, after, None
                after = next(frames, here)
            t = place - number
            if t < 1e-6 or after is here:
                yield here
            elif number + 1 in stream.cuts or self.method == "nearest":
                yield here if t < 0.5 else after
            elif self.method == "blend":
                yield cv2.addWeighted(here, 1 - t, after, t, 0)
            else:
                between = between or Between(here, after)
                yield between.at(t)


def evened(ring: UInt8[np.ndarray, "t h w 3"], together: int = 2) -> UInt8[np.ndarray, "t h w 3"]:
    """A loop whose frames come `together` at a time, of one latent each, with as much change between these as within.

    A model changes less within a latent than from one to the next, which shows as stop and go. So each latent's outer
    frames are moved towards those beyond, along the flow, by a share of the way that is found by trying (up to a third,
    which would do if both were all noise), and further (to MOST) where one gap is still wider than all steps' mean.
    Loops that change evenly, to a tenth, stay as they are. Raises ValueError for frames that do not make whole latents.
    """
    count = len(ring)
    if together < 2 or count % together:
        raise ValueError(f"together={together!r} does not fit {count} frames; it takes 2 or more, of which they are a "
                         "multiple")
    ends = list(range(together - 1, count, together))
    balance = lambda squares: np.sqrt(np.delete(squares, ends).mean() / max(squares[ends].mean(), 1e-6))
    if balance(changes(ring)) > 0.9:
        return ring
    gaps, even = {k: Between(ring[k], ring[(k + 1) % count]) for k in ends}, ring.copy()

    def close(k, share):
        even[k], even[(k + 1) % count] = gaps[k].at(share), gaps[k].at(1 - share)

    low, high = 0.0, 1 / 3
    for _ in range(5):
        share = (low + high) / 2
        for k in gaps:
            close(k, share)
        low, high = (share, high) if balance(changes(even)) < 1 else (low, share)
    for k in gaps:
        further = share
        while (squares := changes(even))[k] > 1.2 * squares.mean() and further < MOST:
            further = min(MOST, further + 0.04)
            close(k, further)
    return even


def changes(ring: UInt8[np.ndarray, "t h w 3"]) -> Float[np.ndarray, " t"]:
    """Mean square of the change from each frame of a loop to the next, from the last to the first as well."""
    return np.array([np.square(a.astype(np.float32) - b).mean() for a, b in zip(ring, np.roll(ring, -1, 0))])


class Between:
    """Two frames and the motion from each to the other; `at(t)` is the picture at t in [0, 1]."""

    def __init__(self, a: Picture, b: Picture):
        self.a, self.b = a, b
        self.scale = min(1.0, FLOW_SIZE / max(a.shape[:2]))                # flows are laid down at this size
        small = [cv2.resize(f, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_AREA) for f in (a, b)] \
            if self.scale < 1 else [a, b]
        self.ab, self.ba = optical_flow(*small), optical_flow(*small[::-1])
        self.trust_a = trust(*small, self.ab, self.ba)
        self.trust_b = trust(*small[::-1], self.ba, self.ab)

    def at(self, t: float) -> Picture:
        flow_a, known_a = lay(self.ab, t * self.ab, self.trust_a)          # what a knows of the moment t
        flow_b, known_b = lay(self.ba, (1 - t) * self.ba, self.trust_b)
        moved_a = fetch(self.a, self._grown(-t * flow_a))
        moved_b = fetch(self.b, self._grown(-(1 - t) * flow_b))
        share = (1 - t) * (known_a + 1e-3), t * (known_b + 1e-3)           # what only one of them shows is its alone
        share_a = share[0] / (share[0] + share[1])
        moved = blend(moved_a, moved_b, self._grown_map(share_a))
        sure = np.clip(np.maximum(known_a, known_b) / DOUBT, 0, 1)
        if sure.min() >= 1:
            return moved
        faded = cv2.addWeighted(self.a, 1 - t, self.b, t, 0)
        return blend(moved, faded, self._grown_map(cv2.blur(sure, (3, 3))))

    def _grown(self, flow):
        h, w = self.a.shape[:2]
        if self.scale == 1:
            return flow
        return cv2.resize(flow, (w, h), interpolation=cv2.INTER_LINEAR) / self.scale

    def _grown_map(self, share):
        h, w = self.a.shape[:2]
        return share if self.scale == 1 else cv2.resize(share, (w, h), interpolation=cv2.INTER_LINEAR)


def optical_flow(a: Picture, b: Picture) -> Flow:
    """From a to b, in pixels, by dense inverse search."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (a, b)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow.setFinestScale(0)
    return flow.calc(*grey, None)


def trust(a: Picture, b: Picture, ab: Flow, ba: Flow) -> Float[np.ndarray, "h w"]:
    """How far the flow of each pixel of a can be believed: it leads to a like colour, from which b leads back."""
    unlike = np.abs(fetch(b, ab).astype(np.float32) - a).mean(-1)
    astray = np.linalg.norm(ab + fetch(ba, ab), axis=-1)
    return np.maximum(np.exp(-np.square(unlike / UNLIKE) - np.square(astray / ASTRAY)), LEAST).astype(np.float32)


def lay(values: Float[np.ndarray, "h w c"], flow: Flow, weight: Float[np.ndarray, "h w"]):
    """Values (h, w, c) put down where their flow leads, each shared among four pixels; and how much lies at each.

    Where nothing comes to lie, values spread in from around.
    """
    h, w, c = values.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    x, y = x + flow[..., 0], y + flow[..., 1]
    left, top = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    total, much = np.zeros((c, h * w)), np.zeros(h * w)
    for dy in (0, 1):
        for dx in (0, 1):
            column, row = left + dx, top + dy
            share = weight * (1 - np.abs(x - column)) * (1 - np.abs(y - row))
            inside = (column >= 0) & (column < w) & (row >= 0) & (row < h)
            place, share = (row * w + column)[inside], share[inside]
            much += np.bincount(place, share, h * w)
            for k in range(c):
                total[k] += np.bincount(place, share * values[..., k][inside], h * w)
    much = much.reshape(h, w).astype(np.float32)
    total = total.reshape(c, h, w).transpose(1, 2, 0).astype(np.float32)
    spread, spread_much, size = total, much, 1
    while size < max(h, w):                                                # holes: from ever wider around
        size = 2 * size + 1
        share = np.maximum(0, 0.05 - spread_much)
        if not share.any():
            break
        wide = cv2.blur(np.dstack([total, much]), (size, size))
        norm = share / np.maximum(wide[..., -1], 1e-9) * (wide[..., -1] > 1e-6)
        spread, spread_much = spread + wide[..., :-1] * norm[..., None], spread_much + wide[..., -1] * norm
    return spread / np.maximum(spread_much, 1e-9)[..., None], np.minimum(much, 1)


def blend(a: Picture, b: Picture, share_a: Float[np.ndarray, "h w"]) -> Picture:
    return cv2.blendLinear(a, b, np.ascontiguousarray(share_a, np.float32), np.float32(1) - share_a)
