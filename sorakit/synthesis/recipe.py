"""Stage 5 in one recipe: an ordered list of parts, from the decoder's frames to a film or a file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from sorakit.types import NATIVE_FPS, Video

from . import encode
from .colour import AutoColour, Look, Lut3D
from .detail import Denoise, Sharpen
from .finish import SHORT_SIDE, SIDES, enlarge, output_size, to_bytes
from .rate import FrameRate
from .stabilise import Stabilise
from .stream import Stream, find_cuts
from .upscale import SCALE, SHIPPED, is_shipped, load_upscaler, upscale

SIZES = {"480p": 480, "720p": 720, "1080p": 1080, "1440p": 1440, "4K": 2160}      # of the short side, in pixels
PRESETS = {
    "web": {"fps": 30, "size": "720p", "sharpen": 0.2},
    "cinema": {"fps": 24, "size": "4K", "look": "cinematic", "denoise": 0.3, "sharpen": 0.3},
    "social": {"fps": 30, "size": "1080p", "aspect": "9:16", "look": "natural", "sharpen": 0.3},
    "classroom": {"fps": 24, "size": "480p"},
}
LARGEST = 160                       # pixels of the short side of what the network enlarges; it learned from 80 to 112
Part = Callable[[Stream], Stream]


@dataclass(frozen=True)
class Upscale:
    """Four times as large, by the trained network or by Lanczos resampling. "auto" takes the network for films as small
    as the models draw, which it learned from, and leaves others, or all where none ships, to the last step, which goes
    to the asked size at once. (A recipe leaves "auto" out of films that are to have no more than the usual 432 pixels:
    those are for a quick look.)"""

    method: str = "auto"
    weights: str | Path = field(default=SHIPPED, repr=False)

    def __post_init__(self):
        if self.method not in ("auto", "network", "lanczos"):
            raise ValueError(f"method={self.method!r} is not one of auto, network, lanczos")

    def __call__(self, stream: Stream) -> Stream:
        """Raises WeightsError for method='network' without its weights."""
        size = {"height": SCALE * stream.height, "width": SCALE * stream.width}
        small = min(stream.height, stream.width) <= LARGEST
        if self.method == "auto" and not (small and is_shipped(Path(self.weights))):
            return stream
        if self.method == "lanczos":
            return stream.map(lambda frame: enlarge(frame[None], **size)[0], **size)
        model = load_upscaler(Path(self.weights))
        return stream.then(lambda: upscale(model, iter(stream), stream.cuts), **size)


@dataclass(frozen=True)
class Resize:
    """To a height and width: Lanczos until the frame is covered, then a crop about the centre."""

    height: int
    width: int

    def __call__(self, stream: Stream) -> Stream:
        if (stream.height, stream.width) == (self.height, self.width):
            return stream
        return stream.map(lambda frame: enlarge(frame[None], self.height, self.width)[0], height=self.height,
                          width=self.width)


class Synthesis:
    """Frames to a finished film, part by part: `Synthesis(fps=30, size="1080p", look="cinematic", sharpen=0.3)`.

    `parts` is a plain list: look at it, reorder it, put your own functions from Stream to Stream into it. What comes
    early runs on few and small frames and is cheap; the last step, to the asked size, is always there. After a film,
    `costs` has the seconds of each part.
    """

    def __init__(self, *, fps: float | None = None, size: str | int | None = None, aspect: str | None = None,
                 look: str | Path | Lut3D | None = None, stabilise: bool | float = False, denoise: float = 0.0,
                 colour: float = 0.0, sharpen: float = 0.0, enlarge: str = "auto",
                 parts: list[Part] | None = None):
        """
        Args:
            fps: frames a second; by default those of the model.
            size: of the short side: one of SIZES, or an even number of pixels; by default 432.
            aspect: such as "9:16"; for films of which no other is asked for.
            look: one of `colour.LOOKS`, a .cube file or a Lut3D.
            stabilise: True, or the seconds over which the camera's path is smoothed.
            denoise, colour, sharpen: from 0 (off) to 1.
            enlarge: "network", "lanczos", or "auto": the network for films as small as the models draw that are to
                have more than 432 pixels.
            parts: these instead of all the above but for size and aspect.

        Raises ValueError for what does not fit, naming the argument.
        """
        self.size, self.aspect, self.costs = None if size is None else short_side(size), aspect, {}
        self.parts: list[Part] = list(parts) if parts is not None else [part for wanted, part in (
            (denoise, lambda: Denoise(denoise)),
            (stabilise, lambda: Stabilise() if stabilise is True else Stabilise(stabilise)),
            (colour, lambda: AutoColour(colour, colour, colour)),
            (True, lambda: Upscale(enlarge)),
            (fps, lambda: FrameRate(fps)),
            (sharpen, lambda: Sharpen(sharpen)),
            (look, lambda: Look(look)),
        ) if wanted for part in [part()]]
        if aspect is not None:
            output_size(aspect)

    @classmethod
    def preset(cls, name: str, **changed) -> Synthesis:
        """One of PRESETS, with what is changed of it. Raises ValueError for another name."""
        if name not in PRESETS:
            raise ValueError(f"preset={name!r} is not one of {', '.join(PRESETS)}")
        return cls(**{**PRESETS[name], **changed})

    def __call__(self, frames: Float[Tensor, "1 3 t h w"] | UInt8[np.ndarray, "t h w 3"] | Stream, *,
                 aspect: str | None = None, height: int | None = None, width: int | None = None,
                 native_fps: float = NATIVE_FPS, prompt: str = "") -> Video:
        """A film in memory, for short ones; `write` puts films of any length into a file.

        Size and aspect are those of `target`. Raises ValueError as `finish.output_size`.
        """
        target = self.target(aspect, height, width)
        return self.finished(self.stream(frames, target, native_fps), target).video(prompt)

    def write(self, path: str | Path, frames, *, aspect: str | None = None, height: int | None = None,
              width: int | None = None, native_fps: float = NATIVE_FPS, metadata: dict[str, str] | None = None,
              mark: Part | None = None, **encoding) -> encode.Encoded:
        """A film into a file, a frame at a time: memory does not grow with its length.

        Unless `mark`, a last part that has to see the film at its final size, is given, ffmpeg does the last
        resampling. `encoding` goes to `encode.write` (codec, quality, poster, origin, progress). Without mark and
        origin the film is neither marked nor signed: `Pipeline.save` does both.
        """
        target = self.target(aspect, height, width)
        stream = self.stream(frames, target, native_fps)
        if mark:
            stream = mark(self.finished(stream, target))
        return encode.write(path, stream, size=target, metadata=metadata, **encoding)

    def target(self, aspect: str | None = None, height: int | None = None, width: int | None = None
               ) -> tuple[int, int]:
        """Height and width of the finished film: what is asked for goes before the recipe's own aspect and size."""
        return output_size(aspect or self.aspect or "16:9", height, width, self.size or SHORT_SIDE)

    def keeps(self, size: tuple[int, int], target: tuple[int, int]) -> bool:
        """Whether all of a picture of this height and width stays where it is, but for its size."""
        return (not any(isinstance(part, Stabilise) for part in self.parts)
                and math.isclose(size[1] / size[0], target[1] / target[0], rel_tol=0.02))

    def stream(self, frames, target: tuple[int, int], native_fps: float = NATIVE_FPS) -> Stream:
        """The frames through all parts, not yet at their final size, and not yet made."""
        if isinstance(frames, Tensor):
            frames = to_bytes(frames)
        stream = frames if isinstance(frames, Stream) else Stream.of(frames, native_fps)
        self.costs = {}
        if any(isinstance(part, (FrameRate, Stabilise, Upscale, Denoise, AutoColour)) for part in self.parts):
            stream = self._timed("cuts", find_cuts, stream)
        for part in self.parts:
            if isinstance(part, Upscale) and (target[0] <= stream.height and target[1] <= stream.width
                                              or part.method == "auto" and min(target) <= SHORT_SIDE):
                continue
            stream = self._timed(name_of(part), part, stream)
        return stream

    def finished(self, stream: Stream, target: tuple[int, int]) -> Stream:
        return self._timed("resize", Resize(*target), stream)

    def _timed(self, name, part, stream):
        """The part, with the time that it takes, without what the parts before it take, added to `costs`."""
        costs = self.costs
        name = name if name not in costs else f"{name} {sum(k.startswith(name) for k in costs) + 1}"
        costs[name] = 0.0

        def clocked(work):
            others = sum(costs.values()) - costs[name]
            started = time.perf_counter()
            try:
                return work()
            finally:
                costs[name] += time.perf_counter() - started - (sum(costs.values()) - costs[name] - others)

        after = clocked(lambda: part(stream))

        def frames():
            source, last = iter(after), object()
            while (frame := clocked(lambda: next(source, last))) is not last:
                yield frame

        return replace(after, open=frames)

    def __repr__(self):
        parts = ", ".join(getattr(part, "__name__", repr(part)) for part in self.parts)
        return f"Synthesis({parts}, size={self.size or SHORT_SIDE})"


def name_of(part: Part) -> str:
    return getattr(part, "__name__", type(part).__name__).lower()


def short_side(size: str | int) -> int:
    """Pixels. Raises ValueError for what is neither one of SIZES nor an even number that fits."""
    lowest, highest = SIDES
    pixels = SIZES.get(size) if isinstance(size, str) else size
    if not isinstance(pixels, int) or isinstance(pixels, bool) or not lowest <= pixels <= highest or pixels % 2:
        raise ValueError(f"size={size!r} does not fit; it takes {', '.join(SIZES)}, or an even number of pixels from "
                         f"{lowest} to {highest} for the short side")
    return pixels
