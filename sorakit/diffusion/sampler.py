"""From noise to a film: the sampler is a generator, and each of its steps can be looked into and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from ..types import Conditioning, DenoisingStep, Latents


@dataclass
class Sampler:
    """Euler's method along the learned velocity, with classifier-free guidance (Ho & Salimans 2022)."""

    steps_default: int = 25
    guidance_default: float = 4.0

    def __call__(self, transformer, noise, conditioning: Conditioning, known=None, mask=None, *,
                 steps: int | None = None, guidance: float | None = None, fps: float = 8.0,
                 callback: Callable[[DenoisingStep], None] | None = None) -> Latents:
        """All the steps: noise (b, c, t, h, w) to `Latents`. callback sees each `DenoisingStep` as it is made."""
        for step in self.steps(transformer, noise, conditioning, known, mask, steps=steps, guidance=guidance, fps=fps):
            if callback:
                callback(step)
        return Latents(step.x_next, fps)

    @torch.no_grad()
    def steps(self, transformer, noise: Float[Tensor, "b c t h w"], conditioning: Conditioning,
              known: Float[Tensor, "b c t h w"] | None = None, mask: Bool[Tensor, "b t h w"] | None = None, *,
              steps: int | None = None, guidance: float | None = None, fps: float = 8.0) -> Iterator[DenoisingStep]:
        """Yield every step. Where mask is True the film is given by `known` and does not change.

        What a learner puts back is what the next step uses: `generator.send(x)` replaces x_next.
        Raises ValueError for less than one step or a mask without known latents.
        """
        steps = self.steps_default if steps is None else steps
        guidance = self.guidance_default if guidance is None else guidance
        if steps < 1:
            raise ValueError(f"steps={steps!r} is too few: it takes 1 or more")
        if (known is None) != (mask is None):
            raise ValueError("known and mask go together: known holds the given latents, mask says where they are")
        if mask is None:
            mask = torch.zeros(noise.shape[0], *noise.shape[2:], dtype=torch.bool, device=noise.device)
            known = noise
        where = mask.unsqueeze(1)
        x = torch.where(where, known, noise)
        times = schedule(steps)
        for k, (t, t_next) in enumerate(zip(times, times[1:])):
            t_tokens = torch.full(mask.shape, t, device=x.device).masked_fill(mask, 0.0)
            conditional, unconditional = velocities(transformer, x, t_tokens, conditioning, guidance, fps)
            velocity = conditional if unconditional is None else \
                unconditional + guidance * (conditional - unconditional)
            velocity = velocity.masked_fill(where, 0.0)
            step = DenoisingStep(k, t, t_next, x, velocity, x - t * velocity, x + (t_next - t) * velocity,
                                 conditional, unconditional, guidance)
            changed = yield step
            x = step.x_next if changed is None else torch.where(where, known, changed)
            if changed is not None:
                yield step


def schedule(steps: int, shift: float = 8.0) -> list[float]:
    """Times from 1 to 0, denser near the noise for shift > 1, where the layout is decided (Esser et al. 2024)."""
    return [shift * u / (1 + (shift - 1) * u) for u in (1 - k / steps for k in range(steps + 1))]


def velocities(transformer, x, t_tokens, conditioning: Conditioning, guidance: float, fps: float):
    """The velocity with the prompt and without it, in one batch; without guidance (1) the latter is None."""
    vectors, mask = conditioning.vectors.expand(len(x), -1, -1), conditioning.mask.expand(len(x), -1)
    if guidance == 1:
        return transformer(x, t_tokens, vectors, mask, fps), None
    length = max(vectors.shape[1], conditioning.null_vectors.shape[1])
    pad = lambda v, m: (F.pad(v, (0, 0, 0, length - v.shape[1])), F.pad(m, (0, length - m.shape[1])))
    vectors, mask = pad(vectors, mask)
    null_vectors, null_mask = pad(conditioning.null_vectors.expand(len(x), -1, -1),
                                  conditioning.null_mask.expand(len(x), -1))
    both = transformer(torch.cat([x, x]), torch.cat([t_tokens, t_tokens]), torch.cat([vectors, null_vectors]),
                       torch.cat([mask, null_mask]), fps)
    return both.chunk(2)
