"""Muon: momentum whose every update is made orthogonal, for the hidden matrices (Jordan et al. 2024)."""

from __future__ import annotations

import torch


class Muon(torch.optim.Optimizer):
    """As `torch.optim.Muon`, but with its products in fp32 on a CPU, where bf16 can be hundreds of times slower: half
    takes it there too.

    Takes matrices, and kernels of convolutions, each output's as a row. `parts` of a matrix (q, k and v stacked in one)
    are made orthogonal each for itself.
    """

    def __init__(self, groups: list[dict], lr: float = 0.02, momentum: float = 0.95, weight_decay: float = 0.01,
                 half: bool = False):
        self.half = half
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "parts": 1})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes: dict[torch.Size, list] = {}                       # matrices of one shape go through together
            for weight in group["params"]:
                if weight.grad is not None:
                    momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                    momentum.lerp_(weight.grad, 1 - group["momentum"])
                    update = weight.grad.lerp(momentum, group["momentum"])                    # Nesterov
                    matrix = update.reshape(len(update), -1).unflatten(0, (group["parts"], -1))
                    shapes.setdefault(weight.shape, []).append((weight, matrix))
            for weights, updates in (zip(*pairs) for pairs in shapes.values()):
                rows, columns = updates[0].shape[-2:]
                rate = group["lr"] * max(1.0, rows / columns) ** 0.5
                for weight, update in zip(weights, orthogonal(torch.stack(updates), self.half)):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(update.flatten(0, 1).view(weight.shape), alpha=-rate)


def orthogonal(g: torch.Tensor, half: bool = False, steps: int = 5) -> torch.Tensor:
    """The nearest matrices whose singular values are about 1, by Newton-Schulz iteration; g is (..., rows, columns)."""
    x = g.reshape(-1, *g.shape[-2:]).to(torch.bfloat16 if half or g.is_cuda else torch.float32)
    if tall := x.shape[-2] > x.shape[-1]:
        x = x.mT.contiguous()
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=-4.775, alpha=2.0315), x, beta=3.4445)
    return (x.mT if tall else x).to(g.dtype).reshape(g.shape)
