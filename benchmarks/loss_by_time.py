"""Where a flow model listens: its loss at each time with the right caption, with none and with another clip's.

    python benchmarks/loss_by_time.py --weights nano

At t = 1 only the words and the place can tell it anything: a model that says nothing there has the clips' variance.
"""

from __future__ import annotations

import argparse

import torch

from sorakit.diffusion.flow import RectifiedFlow
from sorakit.latent.autoencoder import Autoencoder
from sorakit.latent.text import TextEncoder
from sorakit.prompt.words import Words
from sorakit.training.autoencoder import HELD_OUT, to_floats
from sorakit.training.data import captions_of, scene_of
from sorakit.transformer.model import Transformer
from sorakit.weights import load_weights
from sorakit.world.render import render

TIMES = (0.3, 0.6, 0.8, 0.9, 0.97, 1.0)


class HeldOut:
    """Clips that no training sees, a second long, as latents of an autoencoder, with a caption each."""

    @torch.no_grad()
    def __init__(self, eyes: Autoencoder, clips: int = 48):
        scenes = [scene_of(HELD_OUT, index) for index in range(clips)]
        self.latents = torch.cat([eyes.encode(to_floats(render(scene, 80, 144, 1.0).frames)) for scene in scenes])
        self.captions = [captions_of(scene, HELD_OUT, index)[0] for index, scene in enumerate(scenes)]
        self.noise = torch.randn(self.latents.shape, generator=torch.Generator().manual_seed(0))
        self.known = torch.zeros(clips, *self.latents.shape[2:], dtype=torch.bool)

    @torch.no_grad()
    def loss(self, transformer: Transformer, text: TextEncoder, t: float, captions: list[str] | None = None) -> float:
        """The flow model's loss at a time, with these captions or the clips' own."""
        return RectifiedFlow().loss(transformer, self.latents, *text.encode(captions or self.captions), self.known,
                                    self.noise, torch.full((len(self.latents),), t)).item()


def table(weights: str) -> None:
    stored = load_weights(weights)
    transformer, text = Transformer.from_weights(stored), TextEncoder.from_weights(stored, Words.load())
    held_out = HeldOut(Autoencoder.from_weights(stored))
    own = held_out.captions
    told = {"right": own, "none": [""] * len(own), "another's": own[1:] + own[:1]}
    print(f"variance of the clips {held_out.latents.square().mean():.3f}\n{'t':>6}"
          + "".join(f"{name:>12}" for name in told))
    for t in TIMES:
        print(f"{t:6.2f}" + "".join(f"{held_out.loss(transformer, text, t, texts):12.4f}" for texts in told.values()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    table(parser.parse_args().weights)
