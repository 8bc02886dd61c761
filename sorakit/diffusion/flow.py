"""Rectified flow with a time for each token: the path from data to noise that the transformer learns to walk back."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class RectifiedFlow:
    """Straight path between data (t = 0) and noise (t = 1) (Liu et al. 2022, arXiv:2209.03003)."""

    def interpolate(self, x0, noise, t):
        """The point at time t on the path; t (b, t, h, w) is each token's own time."""
        t = t.unsqueeze(1)
        return (1 - t) * x0 + t * noise                                # (b, c, t, h, w)

    def velocity(self, x0, noise):
        """d x_t / dt, the same all along the path."""
        return noise - x0                                              # (b, c, t, h, w)

    def times(self, batch: int, generator: torch.Generator | None = None) -> Float[Tensor, " b"]:
        """Logit-normal times (Esser et al. 2024), and one in five near the noise (0.95 to 0.995), where it is decided
        what is where: later the noisy film itself shows it, and the words need not be heard. A batch's are spread
        evenly, lest its loss depend on which it happened to draw (Kingma et al. 2021, arXiv:2107.00630).
        """
        even = (torch.arange(batch) + torch.rand((), generator=generator)) / batch
        near = even < 0.2
        normal = torch.special.ndtri(torch.where(near, even / 0.2, (even - 0.2) / 0.8).clamp(1e-6, 1 - 1e-6))
        return torch.sigmoid(torch.where(near, normal + 4.0, 1.5 * normal + 0.8))

    def loss(self, transformer, x0, words, word_mask, known, noise, t, weight=None, channel_weight=None
             ) -> Float[Tensor, ""]:
        """Mean squared error of the velocity over the tokens that are not known, each counting by its weight.

        known (b, t, h, w) is True where a latent is given: it stays clean and its time is 0. weight (b, t, h, w) and
        channel_weight (c,) are 1 where they are left out.
        """
        times = t.view(-1, 1, 1, 1).expand(known.shape).masked_fill(known, 0.0)
        velocity = transformer(self.interpolate(x0, noise, times), times, words, word_mask)
        error = (velocity.float() - self.velocity(x0, noise)).square()               # (b, c, t, h, w)
        error = (error if channel_weight is None else error * channel_weight.view(-1, 1, 1, 1)).mean(1)
        weight = (torch.ones_like(error) if weight is None else weight) * ~known
        return ((error * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1)).mean()   # films alike


def draw_known(shape: tuple[int, int, int, int], generator: torch.Generator) -> Bool[Tensor, "b t h w"]:
    """Which latents are given, for training: nothing for half the films, the first frame for a fifth, else the first
    or last few, both ends, or scattered patches. This is the one mechanism behind every creative tool."""
    b, frames, h, w = shape
    known = torch.zeros(shape, dtype=torch.bool)
    draw = torch.rand(b, 3, generator=generator)
    for i, (kind, some, share) in enumerate(draw.tolist()):
        k = 1 + int(some * (frames - 1))                              # 1 .. frames - 1
        if kind < 0.5 or frames == 1:
            continue
        if kind < 0.7:
            known[i, 0] = True
        elif kind < 0.78:
            known[i, :k] = True
        elif kind < 0.84:
            known[i, -k:] = True
        elif kind < 0.92:
            known[i, [0, -1]] = True
        else:
            known[i] = torch.rand(frames, h, w, generator=generator) < 0.2 + 0.6 * share
    return known
