"""The decoder's opponent: a small network that tells films of the models from drawn ones, wherever it looks.

What a mean error forgives (edges between patches, flat skies that boil, soft outlines) gives a film away at once.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

FRAMES = 3               # that it sees at once, so that it also judges how they follow on each other


class Adversary(nn.Module):
    """Films (b, 3, t, h, w) in [-1, 1] to a verdict (b t/3, 1, h/8, w/8) on each place: above 0 is drawn, below made.

    As in pix2pix (Isola et al. 2017, arXiv:1611.07004), which calls it a PatchGAN: each verdict sees 38 x 38 pixels.
    """

    def __init__(self, width: int = 32):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3 * FRAMES, width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 4 * width, 3, 1, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(4 * width, 1, 1))

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        t = films.shape[2] // FRAMES * FRAMES
        return self.layers(rearrange(films[:, :, :t], "b c (k t) h w -> (b k) (c t) h w", t=FRAMES))

    def frozen(self, films: torch.Tensor) -> torch.Tensor:
        """The verdict on films that learn from it, while it learns nothing itself."""
        weights = {name: weight.detach() for name, weight in self.named_parameters()}
        return functional_call(self, weights, films)

    def loss(self, drawn: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """The hinge loss (Lim and Ye 2017, arXiv:1705.02894): to be sure is enough."""
        return F.relu(1 - self(drawn)).mean() + F.relu(1 + self(made.detach())).mean()


def fair_share(regular: torch.Tensor, adversarial: torch.Tensor, last: nn.Parameter, most: float = 1.0
               ) -> torch.Tensor:
    """What the adversarial loss is to be multiplied with to pull at the last weights as hard as the regular one
    (Esser et al. 2021, arXiv:2012.09841, equation 7)."""
    pulls = [torch.autograd.grad(loss, last, retain_graph=True)[0].norm() for loss in (regular, adversarial)]
    return (pulls[0] / (pulls[1] + 1e-6)).clamp(max=most).detach()
