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

from .probe import Probes, Watched


class Transformer(Watched):
    """Velocity of each latent: `(x_t, t, words) -> d x_t / dt`, all of shape `(b, c, t, h, w)`.

    Intermediates have names (`names()`) by which they can be watched, changed and switched off (see `Watched`):
    `embed`; of block k `blocks.k.space` or `blocks.k.time`, `blocks.k.word` and `blocks.k.feed`, which are what these
    add to the patches `(b, n, d)`, each attention's `.attention` `(b, frames or 1, heads, queries, keys)` and `.heads`
    `(b, frames or 1, heads, queries, d / heads)`; `blocks.k` and `out`.
    """

    def __init__(self, channels: int, width: int, depth: int, heads: int, beside: int = 0,
                 two_times: bool = False):
        super().__init__()
        self.register_buffer("scale", torch.ones(channels))          # standard deviation of each latent channel
        self.embed = nn.Linear(channels, width)
        self.place = nn.Linear(16, width)                            # where a patch is in its frame
        self.time_embedding = TimeEmbedding(width)
        self.modulation = nn.Linear(width, 6 * width)                # shared by all blocks (adaLN-single)
        self.blocks = nn.ModuleList(Block(width, heads, "time" if k % 2 else "space", f"blocks.{k}")
                                    for k in range(depth))
        self.out_modulation = nn.Linear(width, 2 * width)
        self.out = Head(channels, width, beside)
        self.end = time_mlp(width) if two_times else None            # of the span that a few-step model crosses
        for layer in (self.modulation, self.out_modulation, self.out.down, *([self.end[-1]] if two_times else ())):
            nn.init.zeros_(layer.weight), nn.init.zeros_(layer.bias)

    def forward(self, x: Float[Tensor, "b c t h w"], t: Float[Tensor, "b t h w"], words: Float[Tensor, "b l d"],
                word_mask: Bool[Tensor, "b l"], fps: float = 8.0, span: Float[Tensor, "b t h w"] | None = None
                ) -> Float[Tensor, "b c t h w"]:
        """t is each token's own time in [0, 1]: 0 where the latent is known, 1 where it is still all noise.
        With span, of a model that has two times, the mean velocity from t down to t - span.

        The network is preconditioned (Karras et al. 2022): at any time, what it takes and gives has variance about
        1 in every channel. Close to pure noise it gives the film, close to the clean film the velocity.
        """
        scale, t_ = self.scale.view(-1, 1, 1, 1), t.unsqueeze(1)
        spread = ((1 - t_) * scale).square() + t_.square()              # variance of x_t, (b, c, t, h, w)
        y = self.network(x / spread.sqrt(), t, words, word_mask, fps, span)
        return ((t_ - (1 - t_) * scale.square()) * x - scale * spread.sqrt() * y) / spread

    def network(self, x, t, words, word_mask, fps, span=None):
        frames, h, w = x.shape[2:]
        x = rearrange(x, "b c t h w -> b (t h w) c")
        see = self.probes
        tokens = see("embed", self.embed(x) + self.place(place_waves(h, w, x.device)).repeat(frames, 1))
        if (t == t[:, :1, :1, :1]).all():                            # nothing is known: the work of one patch will do
            t, span = (v if v is None else v[:, :1, :1, :1] for v in (t, span))
        times = self.time_embedding(t.flatten(1))
        if span is not None:
            times = times + self.end(self.time_embedding.waves((t - span).flatten(1)))
        condition = F.silu(times + words[:, :1] + self.time_embedding.of_shape(h, w, fps, x))    # (b, n or 1, d)
        modulation = self.modulation(condition)                                             # (b, n or 1, 6 d)
        place = rotary_angles(frames, h, w, fps, x.device)
        for block in self.blocks:
            tokens = block(tokens, modulation, words, word_mask, place, frames, see)
        shift, scale = self.out_modulation(condition).chunk(2, -1)
        out = see("out", self.out(norm(tokens) * (1 + scale) + shift, x, frames))           # (b, n, c)
        return rearrange(out, "b (t h w) c -> b c t h w", t=frames, h=h, w=w)

    def names(self) -> list[str]:
        return ["embed", *(name for block in self.blocks for name in block.names()), "out"]

    @classmethod
    def from_weights(cls, weights, name: str = "transformer") -> Transformer:
        """The trained one, ready to use (see `sorakit.weights.load_weights`); "few_step" is the one with two times."""
        model = cls(**weights.card["transformer"], two_times=name == "few_step")
        model.load_state_dict({key.removeprefix(f"{name}."): value for key, value in weights.flow.items()
                               if key.startswith(f"{name}.")})
        return model.eval().requires_grad_(False)


TIME = 2    # frames to a latent, as the autoencoder has it


class Block(nn.Module):
    """Self-attention over space or over time, attention to the words, then a feed-forward network."""

    def __init__(self, d: int, heads: int, axis: str, name: str):
        super().__init__()
        self.axis, self.heads, self.name = axis, heads, name
        self.bias = nn.Parameter(torch.zeros(6 * d))                  # this block's own part of the modulation
        self.qkv, self.out = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.word_q, self.word_kv, self.word_out = nn.Linear(d, d), nn.Linear(d, 2 * d), nn.Linear(d, d)
        self.up, self.down = nn.Linear(d, 3 * d), nn.Linear(3 * d, d)
        with torch.no_grad():
            self.bias[2 * d:3 * d], self.bias[5 * d:] = 0.3, 0.3      # gates start ajar, as nothing opens them yet
        for layer in (self.out, self.word_out, self.down):
            layer.weight.data.mul_(0.5)

    def forward(self, x, modulation, words, word_mask, place, frames, see: Probes):
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + self.bias).chunk(6, -1)
        y = self.self_attention(norm(x) * (1 + scale1) + shift1, place, frames, see)
        x = x + gate1 * see(f"{self.name}.{self.axis}", y)
        x = x + see(f"{self.name}.word", self.word_attention(norm(x), words, word_mask, see))
        y = self.down(F.gelu(self.up(norm(x) * (1 + scale2) + shift2)))
        return see(self.name, x + gate2 * see(f"{self.name}.feed", y))

    def self_attention(self, x: Float[Tensor, "b n d"], place, frames: int, see: Probes) -> Float[Tensor, "b n d"]:
        """Within each frame (space) or among all patches of all frames (time)."""
        split = "b (t n) (k g d) -> k (b t) g n d" if self.axis == "space" else "b (t n) (k g d) -> k b g (t n) d"
        q, k, v = rearrange(self.qkv(x), split, k=3, g=self.heads, t=frames)
        if self.axis == "space":
            place = place[:len(place) // frames]                      # the same in each frame, as only distances count
        y = attend(rotate(norm(q), place), rotate(norm(k), place), v, None, see, f"{self.name}.{self.axis}", len(x))
        join = "(b t) g n d -> b (t n) (g d)" if self.axis == "space" else "b g (t n) d -> b (t n) (g d)"
        return self.out(rearrange(y, join, t=frames))

    def word_attention(self, x: Float[Tensor, "b n d"], words, word_mask, see: Probes) -> Float[Tensor, "b n d"]:
        q = rearrange(self.word_q(x), "b n (g d) -> b g n d", g=self.heads)
        k, v = rearrange(self.word_kv(words), "b l (k g d) -> k b g l d", k=2, g=self.heads)
        y = attend(norm(q), norm(k), v, word_mask[:, None, None, :], see, f"{self.name}.word", len(x))
        return self.word_out(rearrange(y, "b g n d -> b n (g d)"))

    def names(self) -> list[str]:
        return [f"{self.name}.{part}{which}" for part in (self.axis, "word") for which in (".attention", ".heads", "")
                ] + [f"{self.name}.feed", self.name]


def attend(q: Float[Tensor, "bf g n d"], k, v, mask: Bool[Tensor, "b 1 1 l"] | None, see: Probes, name: str, batch: int
           ) -> Float[Tensor, "bf g n d"]:
    """Attention of each head. Its weights (b, f, g, n, keys) are worked out on their own only where somebody looks."""
    if see.wants(f"{name}.attention"):
        scores = q @ k.mT * q.shape[-1] ** -0.5
        scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
        y = see(f"{name}.attention", scores.softmax(-1).unflatten(0, (batch, -1))).flatten(0, 1) @ v
    else:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return see(f"{name}.heads", y.unflatten(0, (batch, -1))).flatten(0, 1)


class Head(nn.Module):
    """What the blocks found out about a patch, and its own noisy latents once more, to what is put out.

    A patch has as many latent channels as a small model is wide: its fine detail goes past the blocks, not through
    them, so that they are free for what the film shows. So must, for detail that stays from frame to frame, that of the
    same place in so many frames before and after (`beside`): each frame for itself makes up its own, and it boils.
    """

    def __init__(self, channels: int, width: int, beside: int = 0):
        super().__init__()
        self.beside = beside
        self.up = nn.Linear(width + (1 + 2 * beside) * channels, 3 * width)
        self.down = nn.Linear(3 * width, channels)

    def forward(self, tokens: Float[Tensor, "b n d"], x: Float[Tensor, "b n c"], frames: int) -> Float[Tensor, "b n c"]:
        patches = x.shape[1] // frames
        around = F.pad(x, (0, 0, self.beside * patches, self.beside * patches))              # nothing past the ends
        places = [self.beside, *(k for k in range(1 + 2 * self.beside) if k != self.beside)]         # its own first
        seen = [around[:, k * patches:k * patches + x.shape[1]] for k in places]
        return self.down(F.gelu(self.up(torch.cat([tokens, *seen], -1))))


class TimeEmbedding(nn.Module):
    """A diffusion time in [0, 1], and the film's shape and rate, as vectors.

    Times are seen as the logarithm of noise over signal (Kingma et al. 2021), which keeps 0.97 and 0.99 as far apart
    as they are to the eye.
    """

    def __init__(self, width: int):
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(math.log(0.1), math.log(4), 32)),
                             persistent=False)
        self.mlp = time_mlp(width)
        self.shape = nn.Linear(3, width)

    def forward(self, t: Float[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        return self.mlp(self.waves(t))

    def waves(self, t: Float[Tensor, "b n"]) -> Float[Tensor, "b n 64"]:
        angles = torch.logit(t, eps=5e-4).unsqueeze(-1) * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], -1)

    def of_shape(self, h: int, w: int, fps: float, like: Tensor) -> Float[Tensor, " d"]:
        return self.shape(torch.tensor([math.log(h / 5), math.log(w / 9), math.log(fps / 8)], device=like.device))


def time_mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))


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
    return F.rms_norm(x, (x.shape[-1],), eps=torch.finfo(torch.float32).eps)     # in bf16, too
