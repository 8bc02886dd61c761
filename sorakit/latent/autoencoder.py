"""A causal video autoencoder: 16 x 16 pixels x 2 frames become one latent vector, and back.

Both ways start from a straight line: a linear map of whole patches (set to their principal components, which no
other linear map beats), to which a small convolutional network adds what a line cannot say.
"""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

SPACE, TIME = 16, 2     # pixels and frames to one latent, in each direction
HIGH, BUSY = 0.6, 0.08  # steps between patches, and slopes beside them, at which a third is taken for a patch's edge
ALONG = 5               # pixels of an edge that have one step


class Autoencoder(nn.Module):
    """Frames `(b, 3, 1 + 2k, h, w)` in [-1, 1] to latents `(b, c, 1 + k, h / 16, w / 16)` and back.

    Causal: latent k depends on frames up to 2k only, and frame n is decoded from latents up to ceil(n / 2). The
    first frame stands alone (as if it had been still before), so one frame is a film too.
    """

    def __init__(self, channels: int = 192, width: int = 64):
        super().__init__()
        self.channels, self.width = channels, width
        patch = 3 * TIME * SPACE * SPACE
        self.to_latent = nn.Linear(patch, channels)       # the straight line, in
        self.to_patch = nn.Linear(channels, patch)        # and out
        self.encoder = Encoder(channels, width)
        self.decoder = Decoder(channels, width)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def encode(self, frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b c k i j"]:
        """Latents of mean 0 and mean square 1, the coarse ones strong and the fine ones weak, as in pixels.

        Raises ValueError for lengths other than 1 + 2k and sizes other than multiples of 16.
        """
        _, _, t, h, w = frames.shape
        if t % TIME != 1 or h % SPACE or w % SPACE:
            raise ValueError(f"frames of shape {tuple(frames.shape)} do not fit: the autoencoder takes 1 + {TIME}k "
                             f"frames and heights and widths that are multiples of {SPACE}")
        raw = self.raw_latents(frames)
        return (raw - self.mean.view(-1, 1, 1, 1)) / self.std.view(-1, 1, 1, 1)

    def decode(self, latents: Float[Tensor, "b c k i j"]) -> Float[Tensor, "b 3 t h w"]:
        """Frames, about in [-1, 1]."""
        return joined(self.from_raw(latents * self.std.view(-1, 1, 1, 1) + self.mean.view(-1, 1, 1, 1)))

    def raw_latents(self, frames):
        frames = torch.cat([frames[:, :, :1].expand(-1, -1, TIME - 1, -1, -1), frames], 2)   # (b, 3, 2 + 2k, h, w)
        patches = rearrange(frames, "b c (k t) (i y) (j x) -> b k i j (c t y x)", t=TIME, y=SPACE, x=SPACE)
        straight = rearrange(self.to_latent(patches), "b k i j c -> b c k i j")
        return straight + self.encoder(frames)

    def from_raw(self, raw):
        patches = self.to_patch(rearrange(raw, "b c k i j -> b k i j c"))
        straight = rearrange(patches, "b k i j (c t y x) -> b c (k t) (i y) (j x)", t=TIME, y=SPACE, x=SPACE)
        return (straight + self.decoder(raw))[:, :, TIME - 1:]

    @torch.no_grad()
    def start_from_principal_components(self, frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, " patch"]:
        """Set the straight lines to the principal components of the patches of these frames (Pearson 1901).

        Strong components are damped and weak ones raised half-way to one scale. Returns the share of the variance
        that each component carries.
        """
        frames = torch.cat([frames[:, :, :1].expand(-1, -1, TIME - 1, -1, -1), frames], 2)
        patches = rearrange(frames, "b c (k t) (i y) (j x) -> (b k i j) (c t y x)", t=TIME, y=SPACE, x=SPACE)
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh((patches - mean).T @ (patches - mean) / len(patches))
        values, vectors = values.flip(0), vectors.flip(1)[:, :self.channels]
        gain = values[:self.channels].clamp_min(1e-6).pow(-0.25)      # half-way to all of one scale
        self.to_latent.weight.copy_((vectors * gain).T)
        self.to_latent.bias.copy_(-(vectors * gain).T @ mean)
        self.to_patch.weight.copy_(vectors / gain)
        self.to_patch.bias.copy_(mean)
        return values / values.sum()

    @classmethod
    def from_weights(cls, weights) -> Autoencoder:
        """The trained one, ready to use (see `sorakit.weights.load_weights`)."""
        model = cls(**weights.card["autoencoder"])
        model.load_state_dict(weights.autoencoder)
        return model.eval().requires_grad_(False)


def joined(frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b 3 t h w"]:
    """Frames whose patches join: where a step lies between two, in what is flat on both sides, they meet half-way.

    A flow model's patches each miss the light by a little, and the eye sees a grid in every sky. It is what codecs have
    against the blocks of theirs (List et al. 2003, "Adaptive deblocking filter"): what the step is beyond the slopes on
    its sides is taken off, most at the edge and nothing in the middle of a patch. High steps and busy places stay.
    """
    for axis in (4, 3):
        if frames.shape[axis] == SPACE:
            continue
        patches = frames.unflatten(axis, (-1, SPACE))
        before = [patches.narrow(axis, 0, patches.shape[axis] - 1).select(axis + 1, k) for k in (-1, -2, -3)]
        after = [patches.narrow(axis, 1, patches.shape[axis] - 1).select(axis + 1, k) for k in (0, 1, 2)]
        slopes = [before[1] - before[2], before[0] - before[1], after[1] - after[0], after[2] - after[1]]
        step = _along(after[0] - before[0] - (slopes[1] + slopes[2]) / 2, axis)           # (b, 3, t, h, j - 1) or so
        busy = _along(sum(slope.abs() for slope in slopes) / 4, axis).amax(1, keepdim=True)
        trust = torch.exp(-(step.abs().amax(1, keepdim=True) / HIGH).square() - (busy / BUSY).square())
        half = (trust * step / 2).unsqueeze(axis + 1)
        nothing = torch.zeros_like(half.narrow(axis, 0, 1))
        share = (1 - torch.arange(0.5, SPACE // 2) / (SPACE // 2)).to(frames)
        share = F.pad(share, (0, SPACE // 2)).view(-1, *[1] * (4 - axis))                 # of a patch's first pixels
        frames = (patches + torch.cat([half, nothing], axis) * share.flip(0)
                  - torch.cat([nothing, half], axis) * share).flatten(axis, axis + 1)
    return frames


def _along(values: Float[Tensor, "b c t h w"], axis: int) -> Float[Tensor, "b c t h w"]:
    """Means over ALONG pixels of edges that lie across an axis."""
    size, margin = ((ALONG, 1), (ALONG // 2, 0)) if axis == 4 else ((1, ALONG), (0, ALONG // 2))
    return F.avg_pool2d(values.flatten(0, 1), size, 1, margin, count_include_pad=False).view(values.shape)


class Encoder(nn.Module):
    """Patches of 8 x 8, halved in time and in space between two residual blocks."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        fine, coarse = 2 * width, 4 * width
        self.patchify = nn.Conv2d(3 * 64, fine, 1)
        self.fine = Block(fine)
        self.down = nn.Conv2d(fine * TIME * 4, coarse, 1)             # 2 frames, 2 x 2 cells
        self.coarse = Block(coarse)
        self.out = nn.Conv2d(coarse, channels, 1)
        nn.init.zeros_(self.out.weight), nn.init.zeros_(self.out.bias)

    def forward(self, frames: Float[Tensor, "b 3 t h w"]) -> Float[Tensor, "b c k i j"]:
        b = len(frames)
        x = F.pixel_unshuffle(rearrange(frames, "b c t h w -> (b t) c h w"), 8)
        x = self.fine(self.patchify(x), b)                                                   # (b t, 2w, h/8, w/8)
        x = F.pixel_unshuffle(rearrange(x, "(b k t) c h w -> (b k) (t c) h w", b=b, t=TIME), 2)
        x = self.out(self.coarse(self.down(x), b))                                           # (b k, c, h/16, w/16)
        return rearrange(x, "(b k) c i j -> b c k i j", b=b)


class Decoder(nn.Module):
    """The way back: doubled twice in space and once in time, to cells of 4 x 4 pixels of single frames."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        coarse, middle, fine = 5 * width, 3 * width, width
        self.start = nn.Conv2d(channels, coarse, 3, padding=1)
        self.coarse = Block(coarse)
        self.up1 = nn.Conv2d(coarse, middle * 4, 1)                   # 2 x 2 cells
        self.middle = Block(middle)
        self.up2 = nn.Conv2d(middle, fine * TIME * 4, 1)              # 2 frames, 2 x 2 cells
        self.fine = Block(fine)
        self.out = nn.Conv2d(fine, 3 * 16, 1)
        nn.init.zeros_(self.out.weight), nn.init.zeros_(self.out.bias)

    def forward(self, latents: Float[Tensor, "b c k i j"]) -> Float[Tensor, "b 3 t h w"]:
        b = len(latents)
        x = self.coarse(self.start(rearrange(latents, "b c k i j -> (b k) c i j")), b)       # (b k, 5w, h/16, w/16)
        x = self.middle(F.pixel_shuffle(self.up1(x), 2), b)                                  # (b k, 3w, h/8, w/8)
        x = rearrange(F.pixel_shuffle(self.up2(x), 2), "(b k) (t c) h w -> (b k t) c h w", b=b, t=TIME)
        x = self.out(self.fine(x, b))                                                        # (b t, 48, h/4, w/4)
        return rearrange(F.pixel_shuffle(x, 4), "(b t) c h w -> b c t h w", b=b)


class Block(nn.Module):
    """A residual step: look around in space (3 x 3), then at this and the two frames before (causal)."""

    def __init__(self, width: int):
        super().__init__()
        self.space = nn.Conv2d(width, width, 3, padding=1)
        self.time = nn.Conv2d(3 * width, width, 1)
        nn.init.zeros_(self.time.weight), nn.init.zeros_(self.time.bias)

    def forward(self, x: Float[Tensor, "bt c h w"], b: int) -> Float[Tensor, "bt c h w"]:
        y = F.silu(self.space(F.silu(x)))
        frames = rearrange(y, "(b t) c h w -> b t c h w", b=b)
        frames = F.pad(frames, (0, 0, 0, 0, 0, 0, 2, 0))                                     # nothing came before
        t = frames.shape[1] - 2
        past = torch.cat([frames[:, k:k + t] for k in range(3)], 2)
        return x + self.time(rearrange(past, "b t c h w -> (b t) c h w"))
