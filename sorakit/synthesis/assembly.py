"""Latents to frames in windows and tiles, as exact as in one go: each carries as much around it as the decoder sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from sorakit.types import NATIVE_FPS, Latents

from .finish import to_bytes
from .stream import Stream

Decode = Callable[[Tensor], Tensor]      # (1, c, k, i, j) to (1, 3, 1 + time * (k - 1), space * i, space * j)


@dataclass(frozen=True)
class Assembly:
    """Decodes `window` latents at a time, in tiles of `tile` x `tile`, so that memory does not grow with the film.

    The decoder sees no further than `past` latents back (it is causal) and `halo` latents aside: decode that much
    more around each piece and cut it off again, and the pieces are those of the whole. With less, seams show.
    """

    window: int = 8
    tile: int = 16
    past: int = 5       # of sorakit's own autoencoder; `reach` measures it
    halo: int = 3
    time: int = 2       # frames and pixels of a latent
    space: int = 16

    def __post_init__(self):
        for name, least in (("window", 1), ("tile", 1), ("past", 0), ("halo", 0), ("time", 1), ("space", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r} does not fit; it takes a whole number of {least} or more")

    def __call__(self, decode: Decode, latents: Float[Tensor, "1 c k i j"] | Latents) -> Stream:
        """A stream of the decoded frames; the first are there as soon as the first window is decoded."""
        fps = latents.fps if isinstance(latents, Latents) else NATIVE_FPS
        values = latents.values if isinstance(latents, Latents) else latents
        _, _, k, i, j = values.shape

        def frames():
            for window in self.windows(decode, values):
                yield from to_bytes(window)

        return Stream(frames, 1 + self.time * (k - 1), fps, i * self.space, j * self.space)

    @torch.no_grad()
    def windows(self, decode: Decode, latents: Float[Tensor, "1 c k i j"]) -> Iterator[Float[Tensor, "1 3 t h w"]]:
        """The frames of each window: 1 + time * (window - 1) of the first, time * window of the others."""
        for first in range(0, latents.shape[2], self.window):
            start = max(0, first - self.past)
            part = latents[:, :, start:first + self.window]
            frames = self._tiled(decode, part)
            skip = self.time * (first - start) - (self.time - 1) if first else 0
            yield frames[:, :, max(0, skip):]

    def _tiled(self, decode, latents):
        _, _, k, i, j = latents.shape
        if max(i, j) <= self.tile:
            return decode(latents)
        frames = latents.new_empty(1, 3, 1 + self.time * (k - 1), i * self.space, j * self.space)
        for rows in _pieces(i, self.tile, self.halo):
            for columns in _pieces(j, self.tile, self.halo):
                piece = decode(latents[..., rows.take, columns.take])
                frames[..., rows.into(self.space), columns.into(self.space)] = \
                    piece[..., rows.kept(self.space), columns.kept(self.space)]
        return frames


@dataclass(frozen=True)
class _Piece:
    first: int
    last: int
    start: int
    stop: int

    @property
    def take(self):
        return slice(self.start, self.stop)

    def into(self, scale):
        return slice(self.first * scale, self.last * scale)

    def kept(self, scale):
        return slice((self.first - self.start) * scale, (self.last - self.start) * scale)


def _pieces(length, tile, halo):
    return [_Piece(a, min(a + tile, length), max(0, a - halo), min(a + tile + halo, length))
            for a in range(0, length, tile)]


def reach(decode: Decode, channels: int, time: int = 2, space: int = 16, length: int = 8, size: int = 9
          ) -> tuple[int, int]:
    """How far a decoder sees: latents back, and aside. One latent is changed, and where the frames change is seen.

    It cannot be seen to see further than length - 2 back and (size - 1) / 2 aside; pass more if it comes to that.
    """
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, channels, length, size, size, generator=generator)
    changed, middle = latents.clone(), size // 2
    changed[:, :, 1, middle, middle] += torch.randn(channels, generator=generator)
    with torch.no_grad():
        differs = (decode(changed) != decode(latents))[0].any(0)                               # (t, h, w)
    frames, rows, columns = (torch.nonzero(differs.amax(axes)).flatten() for axes in ((1, 2), (0, 2), (0, 1)))
    last = (int(frames.max()) + time - 1) // time                                              # latent of that frame
    aside = max(middle - int(min(rows.min(), columns.min())) // space,
                int(max(rows.max(), columns.max())) // space - middle)
    return last - 1, aside
