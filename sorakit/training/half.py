"""Matrix products in bf16 on a CPU that is faster at them; everything else stays fp32.

Whole-model autocast gains nothing there: what is not a matrix product is slower in bf16.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

LEAST = 256     # rows: smaller products gain nothing


class HalfProduct(torch.autograd.Function):
    """`x @ weight.T` from bf16 copies, summed up in fp32, and its gradients the same way."""

    @staticmethod
    def forward(ctx, x, weight):
        rows, weight = x.flatten(0, -2).to(torch.bfloat16), weight.to(torch.bfloat16)
        ctx.save_for_backward(rows, weight)
        return (rows @ weight.T).float().view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, gradient):
        rows, weight = ctx.saved_tensors
        g = gradient.flatten(0, -2).to(torch.bfloat16)
        return (g @ weight).float().view(*gradient.shape[:-1], -1), (g.T @ rows).float()


def use_half_products(model: nn.Module) -> None:
    """Let every linear layer of a model in training multiply so."""
    for module in model.modules():
        if type(module) is nn.Linear:
            module.forward = _product(module)


def _product(layer: nn.Linear):
    def forward(x):
        if x.numel() < LEAST * x.shape[-1]:
            return F.linear(x, layer.weight, layer.bias)
        y = HalfProduct.apply(x, layer.weight)
        return y if layer.bias is None else y + layer.bias
    return forward
