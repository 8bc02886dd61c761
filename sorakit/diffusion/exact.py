"""A world whose best possible model is known: films from a mixture of Gaussians, and their velocity in closed form."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class GaussianMixture:
    """Stands where the transformer stands: `(x_t, t, words, mask) -> E[noise - x0 | x_t]`, without any training.

    A film is one of k kinds, N(means[k], stds[k]^2), with probability weights[k]. Each token has its own time, so known
    latents (t = 0) tell what kind a film is. The summary word `words[:, 0]`, of width k, is added to the logarithms
    of the weights: zeros say nothing, a large number asks for that kind. Raises ValueError for numbers that do not fit.
    """

    def __init__(self, means: Float[Tensor, "k c t h w"], stds: Float[Tensor, " k"],
                 weights: Float[Tensor, " k"] | None = None):
        weights = torch.ones_like(stds) if weights is None else weights
        if not len(means) == len(stds) == len(weights):
            raise ValueError(f"means, stds and weights are {len(means)}, {len(stds)} and {len(weights)}; a mixture "
                             "takes one of each for each kind")
        if (stds <= 0).any() or (weights <= 0).any():
            raise ValueError("stds and weights take positive numbers")
        self.means, self.stds, self.weights = means, stds, weights / weights.sum()

    def __call__(self, x: Float[Tensor, "b c t h w"], t: Float[Tensor, "b t h w"], words: Float[Tensor, "b l k"],
                 word_mask: Bool[Tensor, "b l"], fps: float = 8.0) -> Float[Tensor, "b c t h w"]:
        """d x_t / dt of the flow that carries noise to this mixture."""
        t = t[:, None, None]                                                            # (b, 1, 1, t, h, w)
        std = self.stds.view(1, -1, 1, 1, 1, 1)
        apart = x.unsqueeze(1) - (1 - t) * self.means                                   # (b, k, c, t, h, w)
        variance = ((1 - t) * std).square() + t.square()
        velocity = (t - (1 - t) * std.square()) / variance * apart - self.means
        fits = -(apart.square() / variance + variance.log()).flatten(2).sum(2) / 2      # log N(x_t | kind), (b, k)
        kind = torch.softmax(fits + self.weights.log() + words[:, 0], 1)                # p(kind | x_t, words)
        return torch.einsum("bk,bkcthw->bcthw", kind, velocity)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n c t h w"]:
        """Films of this world."""
        kind = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        noise = torch.randn(n, *self.means.shape[1:], generator=generator, dtype=self.means.dtype)
        return self.means[kind] + self.stds[kind].view(-1, 1, 1, 1, 1) * noise
