"""Four times as large, drawn rather than resampled: a small network that has seen the world at both sizes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from sorakit import weights

SCALE = 4
SHIPPED = weights.HERE / "upscaler"


class Upscaler(nn.Module):
    """Frames with their neighbours to frames four times as high and wide.

    A residual network at the small size with sub-pixel convolution at its end (Shi et al. 2016, arXiv:1609.05158)
    that adds to a bicubic enlargement what that has lost. Each frame sees the one before and the one after, so what
    stands still stays still, and detail that one frame misses can come from another.
    """

    def __init__(self, width: int = 48, blocks: int = 6):
        super().__init__()
        self.width, self.blocks = width, blocks
        self.start = nn.Conv2d(9, width, 3, padding=1)
        self.body = nn.ModuleList(Residual(width) for _ in range(blocks))
        self.out = nn.Conv2d(width, 3 * SCALE**2, 3, padding=1)
        nn.init.zeros_(self.out.weight), nn.init.zeros_(self.out.bias)

    def forward(self, triples: Float[Tensor, "n 9 h w"]) -> Float[Tensor, "n 3 h4 w4"]:
        """Frame before, frame, frame after, in [-1, 1], to the enlarged frame."""
        x = self.start(triples)                                                              # (n, width, h, w)
        for block in self.body:
            x = block(x)
        base = F.interpolate(triples[:, 3:6], scale_factor=SCALE, mode="bicubic", align_corners=False)
        return base + F.pixel_shuffle(self.out(x), SCALE)                                    # (n, 3, 4h, 4w)


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.normal_(self.second.weight, std=0.01), nn.init.zeros_(self.second.bias)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        return x + self.second(F.silu(self.first(F.silu(x))))


def triples_of(frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "bt 9 h w"]:
    """Each frame between its neighbours; the first and the last stand in for those that they lack."""
    padded = torch.cat([frames[:, :, :1], frames, frames[:, :, -1:]], 2)
    t = frames.shape[2]
    return rearrange([padded[:, :, k:k + t] for k in range(3)], "k b c t h w -> (b t) (k c) h w")


def is_shipped(folder: Path = SHIPPED) -> bool:
    return (folder / "upscaler.json").is_file()


@lru_cache(maxsize=2)
def load_upscaler(folder: Path = SHIPPED) -> Upscaler:
    """The trained one, ready to use. Raises WeightsError if it is missing, or not what its card says."""
    if not is_shipped(folder):
        raise weights.WeightsError(f"no upscaler in {folder}: train one with `python -m sorakit.training.upscaler`, "
                                   "or enlarge with method='lanczos'")
    card = json.loads((folder / "upscaler.json").read_text())
    data = (folder / "upscaler.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise weights.WeightsError(f"upscaler.safetensors in {folder} does not have the sha256 of its card")
    model = Upscaler(**card["upscaler"])
    model.load_state_dict({name: value.float() for name, value in load(data).items()})
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def upscale(model: Upscaler, frames: Iterator[UInt8[np.ndarray, "h w 3"]], cuts: frozenset[int] = frozenset()
            ) -> Iterator[UInt8[np.ndarray, "h4 w4 3"]]:
    """Each frame four times as large, holding three at a time; frames across a cut do not see each other."""
    before = here = None
    for number, after in enumerate(frames):
        if here is not None:
            yield _enlarged(model, before, here, here if number in cuts else after)
            before = after if number in cuts else here
        else:
            before = after
        here = after
    if here is not None:
        yield _enlarged(model, before, here, here)


@torch.no_grad()
def _enlarged(model, *triple):
    x = torch.from_numpy(np.concatenate(triple, -1)).permute(2, 0, 1)[None]                  # (1, 9, h, w)
    x = (x.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)
    y = model(x)[0].permute(1, 2, 0)
    return ((y.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
