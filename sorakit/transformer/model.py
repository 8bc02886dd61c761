"""A spatio-temporal diffusion transformer: noisy latents, a time for each token and words in, a clean film out.

Blocks take turns: even ones look around in their own frame (`space`), odd ones at every patch of every frame
(`time`); all of them read the words (`word`). After DiT (Peebles & Xie 2023), with the adaLN of PixArt-alpha.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class Transformer(nn.Module):
    """Velocity of each latent: `(x_t, t, words) -> d x_t / dt`, all of shape `(b, c, t, h, w)`."""

    def __init__(self, channels: int, width: int, depth: int, heads: int):
        super().__init__()
        self.register_buffer("scale", torch.ones(channels))          # standard deviation of each latent channel
        self.embed = nn.Linear(channels, width)
        self.place = nn.Linear(16, width)                            # where a patch is in its frame
        self.time_embedding = TimeEmbedding(width)
        self.modulation = nn.Linear(width, 6 * width)                # shared by all blocks (adaLN-single)
        self.blocks = nn.ModuleList(Block(width, heads, "time" if k % 2 else "space") for k in range(depth))
        self.out_modulation = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, channels)
        for layer in (self.modulation, self.out_modulation, self.out):
            nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "b c t h w"], t: Float[Tensor, "b t h w"], words: Float[Tensor, "b l d"],
                word_mask: Bool[Tensor, "b l"], fps: float = 8.0) -> Float[Tensor, "b c t h w"]:
        """t is each token's own time in [0, 1]: 0 where the latent is known, 1 where it is still all noise.

        The network is preconditioned (Karras et al. 2022): at any time, what it takes and gives has variance about
        1 in every channel. Close to pure noise it gives the film, close to the clean film the velocity.
        """
        scale, t_ = self.scale.view(-1, 1, 1, 1), t.unsqueeze(1)
        spread = ((1 - t_) * scale).square() + t_.square()              # variance of x_t, (b, c, t, h, w)
        y = self.network(x / spread.sqrt(), t, words, word_mask, fps)
        return ((t_ - (1 - t_) * scale.square()) * x - scale * spread.sqrt() * y) / spread

    def network(self, x, t, words, word_mask, fps):
        b, _, frames, h, w = x.shape
        tokens = self.embed(rearrange(x, "b c t h w -> b (t h w) c"))                       # (b, n, d)
        tokens = tokens + self.place(place_waves(h, w, x.device)).repeat(frames, 1)
        condition = F.silu(self.time_embedding(rearrange(t, "b t h w -> b (t h w)"))
                           + words[:, :1] + self.time_embedding.of_shape(h, w, fps, x))     # (b, n, d)
        modulation = self.modulation(condition)                                             # (b, n, 6 d)
        place = rotary_angles(frames, h, w, fps, x.device)
        for block in self.blocks:
            tokens = block(tokens, modulation, words, word_mask, place, frames)
        shift, scale = self.out_modulation(condition).chunk(2, -1)
        tokens = self.out(norm(tokens) * (1 + scale) + shift)
        return rearrange(tokens, "b (t h w) c -> b c t h w", t=frames, h=h, w=w)

    @classmethod
    def from_weights(cls, weights) -> Transformer:
        """The trained one, ready to use (see `sorakit.weights.load_weights`)."""
        model = cls(**weights.card["transformer"])
        model.load_state_dict({name.removeprefix("transformer."): value for name, value in weights.flow.items()
                               if name.startswith("transformer.")})
        return model.eval().requires_grad_(False)


TIME = 2    # frames to a latent, as the autoencoder has it


class Block(nn.Module):
    """Self-attention over space or over time, attention to the words, then a feed-forward network."""

    def __init__(self, d: int, heads: int, axis: str):
        super().__init__()
        self.axis, self.heads = axis, heads
        self.bias = nn.Parameter(torch.zeros(6 * d))                  # this block's own part of the modulation
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.word_q, self.word_kv, self.word_out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(3 * d, d)
        with torch.no_grad():
            self.bias[2 * d:3 * d], self.bias[5 * d:] = 0.3, 0.3      # gates start ajar, as nothing opens them yet
        for layer in (self.out, self.word_out, self.down):
            layer.weight.data.mul_(0.5)

    def forward(self, x, modulation, words, word_mask, place, frames):
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + self.bias).chunk(6, -1)
        x = x + gate1 * self.self_attention(norm(x) * (1 + scale1) + shift1, place, frames)
        x = x + self.word_attention(norm(x), words, word_mask)
        return x + gate2 * self.down(F.gelu(self.up(norm(x) * (1 + scale2) + shift2), approximate="tanh"))

    def self_attention(self, x: Float[Tensor, "b n d"], place, frames: int) -> Float[Tensor, "b n d"]:
        """Within each frame (space) or among all patches of all frames (time)."""
        split = "b (t n) (k g d) -> k (b t) g n d" if self.axis == "space" else "b (t n) (k g d) -> k b g (t n) d"
        q, k, v = rearrange(self.qkv(x), split, k=3, g=self.heads, t=frames)
        if self.axis == "space":
            place = place[:len(place) // frames]                      # the same in each frame, as only distances count
        q, k = rotate(norm(q), place), rotate(norm(k), place)
        y = F.scaled_dot_product_attention(q, k, v)
        join = "(b t) g n d -> b (t n) (g d)" if self.axis == "space" else "b g (t n) d -> b (t n) (g d)"
        return self.out(rearrange(y, join, t=frames))

    def word_attention(self, x: Float[Tensor, "b n d"], words, word_mask) -> Float[Tensor, "b n d"]:
        q = rearrange(self.word_q(x), "b n (g d) -> b g n d", g=self.heads)
        k, v = rearrange(self.word_kv(words), "b l (k g d) -> k b g l d", k=2, g=self.heads)
        y = F.scaled_dot_product_attention(norm(q), norm(k), v, attn_mask=word_mask[:, None, None, :])
        return self.word_out(rearrange(y, "b g n d -> b n (g d)"))


class TimeEmbedding(nn.Module):
    """A diffusion time in [0, 1], and the film's shape and rate, as vectors."""

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, math.log(200), 32)), persistent=False)
        self.mlp = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))
        self.shape = nn.Linear(3, width)

    def forward(self, t: Float[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        angles = t.unsqueeze(-1) * self.frequencies
        return self.mlp(torch.cat([angles.sin(), angles.cos()], -1))

    def of_shape(self, h: int, w: int, fps: float, like: Tensor) -> Float[Tensor, " d"]:
        return self.shape(torch.tensor([math.log(h / 5), math.log(w / 9), math.log(fps / 8)], device=like.device))


def place_waves(h: int, w: int, device=None) -> Float[Tensor, "n 16"]:
    """Each patch's own place: waves over y and x, in frame heights from the centre.

    Rotary angles tell distances only, and in pure noise all patches look alike: without this none could know whether
    it is to become sky or ground.
    """
    y, x = torch.meshgrid((torch.arange(h, device=device) + 0.5) / h - 0.5,
                          ((torch.arange(w, device=device) + 0.5) - w / 2) / h, indexing="ij")
    waves = torch.tensor([0.25, 0.5, 1.0, 2.0], device=device) * 2 * math.pi
    angles = torch.cat([y.reshape(-1, 1) * waves, x.reshape(-1, 1) * waves], 1)
    return torch.cat([angles.sin(), angles.cos()], 1)


def rotary_angles(frames: int, h: int, w: int, fps: float, device=None) -> Float[Tensor, "n 16"]:
    """Angles of a rotary position embedding in three axes (Su et al. 2021): 6 pairs for time, 5 for y, 5 for x.

    Time is in seconds and places are in frame heights from the frame's centre, so that frame rate, aspect and
    offset need no retraining.
    """
    time = torch.arange(frames, device=device) * TIME / fps
    y = (torch.arange(h, device=device) + 0.5) / h - 0.5
    x = ((torch.arange(w, device=device) + 0.5) - w / 2) / h
    grid = torch.meshgrid(time, y, x, indexing="ij")
    parts = [axis.reshape(-1, 1) * low * (high / low) ** torch.linspace(0, 1, pairs, device=device)
             for axis, low, high, pairs in zip(grid, (0.15, 0.7, 0.7), (6.0, 14.0, 14.0), (6, 5, 5))]
    return torch.cat(parts, 1)


def rotate(x: Float[Tensor, "... n d"], angles: Float[Tensor, "n half"]) -> Float[Tensor, "... n d"]:
    """Turn each pair of components by its angle."""
    a, b = x.chunk(2, -1)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def norm(x: Tensor) -> Tensor:
    """Root-mean-square normalisation without parameters."""
    return F.rms_norm(x, (x.shape[-1],))
