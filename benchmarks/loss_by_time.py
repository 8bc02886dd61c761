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


@torch.no_grad()
def table(weights: str, clips: int = 48) -> None:
    stored = load_weights(weights)
    eyes, transformer = Autoencoder.from_weights(stored), Transformer.from_weights(stored)
    text = TextEncoder.from_weights(stored, Words.load())
    scenes = [scene_of(HELD_OUT, index) for index in range(clips)]
    latents = torch.cat([eyes.encode(to_floats(render(scene, 80, 144, 1.0).frames)) for scene in scenes])
    captions = [captions_of(scene, HELD_OUT, index)[0] for index, scene in enumerate(scenes)]
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    nothing_known = torch.zeros(clips, *latents.shape[2:], dtype=torch.bool)
    told = {"right": captions, "none": [""] * clips, "another's": captions[1:] + captions[:1]}
    print(f"variance of the clips {latents.square().mean():.3f}\n{'t':>6}" + "".join(f"{name:>12}" for name in told))
    for t in (0.3, 0.6, 0.8, 0.9, 0.97, 1.0):
        losses = [RectifiedFlow().loss(transformer, latents, *text.encode(texts), nothing_known, noise,
                                       torch.full((clips,), t)).item() for texts in told.values()]
        print(f"{t:6.2f}" + "".join(f"{loss:12.4f}" for loss in losses))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    table(parser.parse_args().weights)
