"""Draws the contact sheets in docs/: the world's own scenes, and films of eight prompts, eight seeds each, not picked.

    python benchmarks/sheets.py world
    python benchmarks/sheets.py films --weights nano
    python benchmarks/sheets.py films --weights nano --steps 25
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"


def world() -> None:
    """48 sampled scenes at 96 pixels, and 12 of the seed's prompts at 720."""
    from sorakit.world.captions import SEED_PROMPTS
    from sorakit.world.render import render
    from sorakit.world.scene import sample

    rng = np.random.default_rng(48)
    small = [render(sample(rng), 96, 170, 2.0, 1.0).frames[1] for _ in range(48)]
    write(small, 8, "world_96.png")
    large = [render(scene, 720, 1280, 2.0, 1.0).frames[1] for scene in list(SEED_PROMPTS.values())[:12]]
    write(large, 3, "world_720.jpg")


def films(weights: str, steps: int | None, guidance: float | None) -> None:
    """A row a prompt, a pair of frames (half a second in and at a second and a half) for each of the seeds 0 to 7."""
    import sorakit as sk
    from sorakit.training.flow import LOOK

    pipe = sk.load(weights)
    rows = []
    for prompt in LOOK:
        for seed in range(8):
            frames = pipe(prompt, seed=seed, steps=steps, guidance=guidance, height=144).frames
            rows.append(np.concatenate([frames[4], frames[12]], 1))
    write(rows, 8, f"films_{Path(weights).name}{f'_{steps}_steps' if steps else ''}.jpg")


def write(pictures: list[np.ndarray], columns: int, name: str, gap: int = 4) -> None:
    """Pictures of one size in a grid, with a white gap."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, 3), 255, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = gap + i // columns * (height + gap), gap + i % columns * (width + gap)
        sheet[y:y + height, x:x + width] = picture
    Image.fromarray(sheet).save(DOCS / name, quality=85)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["world", "films"])
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--steps", type=int, help="25 are of the flow model, where the weights know few steps as well")
    parser.add_argument("--guidance", type=float)
    arguments = parser.parse_args()
    if arguments.what == "world":
        world()
    else:
        films(arguments.weights, arguments.steps, arguments.guidance)
