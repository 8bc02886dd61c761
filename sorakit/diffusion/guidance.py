"""How hard the prompt pulls: the velocity with the prompt and the one without it, made into one. A guide is a function
of a `Split`; any function like these can be a `Sampler`'s guide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Split:
    """Everything that a guide may use. Where latents are known, all three tensors are 0."""

    conditional: Float[Tensor, "b c t h w"]      # velocity with the prompt
    unconditional: Float[Tensor, "b c t h w"]    # velocity without it
    scale: float                                 # 1 is no guidance
    x: Float[Tensor, "b c t h w"]
    t: float
    index: int                                   # of the step, from 0
    memory: dict                                 # for a guide to remember with; empty once a learner has changed x


Guide = Callable[[Split], Tensor]


def cfg(split: Split) -> Float[Tensor, "b c t h w"]:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598): past the prompt, away from no prompt."""
    return split.unconditional + split.scale * (split.conditional - split.unconditional)


def cfg_zero(split: Split, zero_steps: int = 1) -> Float[Tensor, "b c t h w"]:
    """CFG-Zero* (Fan et al. 2025, arXiv:2503.18886), for models that are not sure yet: away from as much of the
    unguided velocity as the guided one shares, and no movement at all in the first `zero_steps` steps."""
    if split.index < zero_steps:
        return torch.zeros_like(split.conditional)
    shared = inner(split.conditional, split.unconditional) / (inner(split.unconditional, split.unconditional) + 1e-8)
    unconditional = shared * split.unconditional
    return unconditional + split.scale * (split.conditional - unconditional)


def apg(split: Split, eta: float = 0.0, limit: float = 0.06, momentum: float = -0.5) -> Float[Tensor, "b c t h w"]:
    """Adaptive projected guidance (Sadat et al. 2024, arXiv:2410.02416), against colours that burn out: of the change
    that the prompt makes to the film, only what is not more of the same film.

    eta is how much of the part along the film stays, `limit` the change's root mean square at most (the paper's r over
    the root of the number of latents; 0 for no limit), momentum (negative) holds against the changes of steps before.
    """
    film = split.x - split.t * split.conditional                                        # (b, c, t, h, w)
    change = split.t * (split.unconditional - split.conditional)
    change = split.memory["change"] = change + momentum * split.memory.get("change", 0.0)
    if limit:
        change = change * (limit / (inner(change, change) / change[0].numel()).sqrt()).clamp(max=1.0)
    along = inner(change, film) / inner(film, film).clamp_min(1e-12) * film
    return split.conditional - (split.scale - 1) * (change - (1 - eta) * along) / split.t


GUIDES: dict[str, Guide] = {"cfg": cfg, "cfg_zero": cfg_zero, "apg": apg}


def inner(a: Float[Tensor, "b c t h w"], b: Float[Tensor, "b c t h w"]) -> Float[Tensor, "b 1 1 1 1"]:
    """Inner product of each film with its other."""
    return (a * b).sum((1, 2, 3, 4), keepdim=True)
