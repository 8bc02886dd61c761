"""Short trainings of `nano` from nothing that differ in one thing each, as long as each other, one after the other.

    python benchmarks/ablations.py --minutes 7 --clips 5000 --stills 14000 --data-seed 21
    python benchmarks/ablations.py --minutes 7 --clips 5000 --stills 14000 --data-seed 21 --arms ships adamw --seed 2

Each arm's figures are kept in docs/ablations.json as soon as they are there, and the table in docs/ablations.md is
written anew. Minutes are of one thread, so nothing else should want its core. What is measured is the loss on held-out
clips at several times, with the right caption; and at t = 0.97, where the words decide, how much more it is without
one: films of so short a training show nothing yet that the referee could read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from einops import rearrange
from loss_by_time import HeldOut

from sorakit.latent.autoencoder import Autoencoder
from sorakit.latent.text import TextEncoder
from sorakit.prompt.words import Words
from sorakit.training import flow
from sorakit.transformer import model
from sorakit.transformer.model import Block, Transformer, attend, norm, rotate
from sorakit.weights import load_weights

DOCS = Path(__file__).parents[1] / "docs"
TIMES = (0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 1.0)
WORDS_AT = 0.97
LEAST_TIME = 0.05                                # below which a film is not asked for its velocity by its distance


class Plain(Transformer):
    """What the network gives is used as it is: `reading` makes the velocity of it."""

    def forward(self, x, t, words, word_mask, fps=8.0, span=None):
        scale, t_ = self.scale.view(-1, 1, 1, 1), t.unsqueeze(1)
        spread = (((1 - t_) * scale).square() + t_.square()).sqrt()
        return self.reading(self.network(x / spread, t, words, word_mask, fps, span), x, t_, scale)


class Film(Plain):
    """The network gives the film itself, at every time."""

    def reading(self, y, x, t, scale):
        return (x - scale * y) / t.clamp_min(LEAST_TIME)


class Velocity(Plain):
    """The network gives the velocity, at every time."""

    def reading(self, y, x, t, scale):
        return (1 + scale.square()).sqrt() * y


class SamePlace(Block):
    """Over time, patches see those of their own place only, as in Latte and other factorised transformers."""

    def self_attention(self, x, place, frames, see):
        if self.axis == "space":
            return super().self_attention(x, place, frames, see)
        split = "b (t n) (k g d) -> k (b n) g t d"
        q, k, v = rearrange(self.qkv(x), split, k=3, g=self.heads, t=frames)
        place = place[::len(place) // frames]                                   # of one place, at all times
        y = attend(rotate(norm(q), place), rotate(norm(k), place), v, None, see, f"{self.name}.time", len(x))
        return self.out(rearrange(y, "(b n) g t d -> b (t n) (g d)", b=len(x)))


class Everywhere(Block):
    """All patches of all frames see each other in every block."""

    def __init__(self, d, heads, axis, name):
        super().__init__(d, heads, "time", name)


def adamw(network, half=False, rate=1.0):
    return [torch.optim.AdamW(network.parameters(), lr=flow.ADAM_LR, betas=(0.9, 0.98), weight_decay=0.0)]


ARMS: dict[str, tuple[str, Callable[[ExitStack], None]]] = {
    "ships": ("what ships: preconditioned, Muon, space and all of space and time by turns", lambda patches: None),
    "adamw": ("AdamW for all weights, none by Muon", lambda patches: replace(patches, flow, "optimisers", adamw)),
    "velocity": ("the network gives the velocity", lambda patches: replace(patches, flow, "Transformer", Velocity)),
    "film": ("the network gives the film", lambda patches: replace(patches, flow, "Transformer", Film)),
    "same place": ("over time, a patch sees its own place only", lambda patches: replace(patches, model, "Block",
                                                                                         SamePlace)),
    "everywhere": ("all patches see each other in every block", lambda patches: replace(patches, model, "Block",
                                                                                        Everywhere)),
    "routed": ("a random half of the places pass by all but the first and last two blocks (TREAD)",
               lambda patches: replace(patches, flow, "train", partial(flow.train, routed=1.0))),
    "no bodies": ("no helper says what of which body a patch shows", lambda patches: replace(
        patches, flow.FlowModel, "of_bodies", lambda self, *_: torch.zeros(()))),
    "not heard": ("no helper says what the caption said", lambda patches: replace(patches, flow, "HEARD", 0.0)),
}


def replace(patches: ExitStack, module, name: str, value) -> None:
    patches.enter_context(mock.patch.object(module, name, value))


def losses(folder: Path, held_out: HeldOut) -> dict[str, float]:
    weights = load_weights(folder)
    transformer, text = flow.Transformer.from_weights(weights), TextEncoder.from_weights(weights, Words.load())
    at = {f"{t:g}": held_out.loss(transformer, text, t) for t in TIMES}
    without = held_out.loss(transformer, text, WORDS_AT, [""] * len(held_out.captions))
    return at | {"words": without - at[f"{WORDS_AT:g}"]}


def run(arm: str, held_out: HeldOut, minutes: float, seed: int, data_seed: int, **how) -> dict:
    """Train one arm, and measure the mean of its weights."""
    with ExitStack() as patches, tempfile.TemporaryDirectory() as folder:
        ARMS[arm][1](patches)
        patches.enter_context(mock.patch.object(torch, "manual_seed", lambda _, f=torch.manual_seed: f(seed)))
        started = time.perf_counter()
        weights = flow.train("nano", minutes, Path(folder), seed=data_seed, autoencoder="nano", samples=False, **how)
        seconds, card = time.perf_counter() - started, load_weights(weights).card["flow_training"]
        said = (f"--minutes {minutes:g} --clips {how['clips']} --stills {how['stills']} --data-seed {data_seed} "
                f"--seed {seed}" + " --half" * how["half"])
        return {"arm": arm, "seed": seed, "with": said, "steps": card["steps"], "clips": card["clips_seen"],
                "seconds": round(seconds), **losses(weights, held_out)}


def table(rows: list[dict]) -> str:
    lines = ["# Ablations", "", __doc__.split("\n\n")[0], "",
             "Loss on held-out clips (lower is better) by time, and what the words are worth at t = "
             f"{WORDS_AT:g} (more is better). Again: `python benchmarks/ablations.py`, options as in the last column.",
             "", "| | " + " | ".join(f"t = {t:g}" for t in TIMES) + " | words | steps | with |",
             "|---" * (len(TIMES) + 4) + "|"]
    lines += [f"| {ARMS[row['arm']][0]} | " + " | ".join(f"{row[f'{t:g}']:.4f}" for t in TIMES)
              + f" | {row['words']:.4f} | {row['steps']} | {row['with']} |"
              for row in sorted(rows, key=lambda row: (list(ARMS).index(row["arm"]), row["seed"]))]
    return "\n".join([*lines, "", "Steps are what an arm's minutes had room for; other work ran beside some.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1, help="of the first weights")
    parser.add_argument("--data-seed", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path("checkpoints/data"))
    parser.add_argument("--clips", type=int, default=3000)
    parser.add_argument("--stills", type=int, default=14000)
    parser.add_argument("--still-share", type=float, default=0.5)
    parser.add_argument("--test-clips", type=int, default=48)
    parser.add_argument("--half", action="store_true", help="matrix products in bf16")
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--out", type=Path, default=DOCS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    held_out = HeldOut(Autoencoder.from_weights(load_weights("nano")), asked.test_clips)
    path = asked.out / "ablations.json"
    for arm in asked.arms:
        row = run(arm, held_out, asked.minutes, asked.seed, asked.data_seed, data=asked.data, clips=asked.clips,
                  stills=asked.stills, still_share=asked.still_share, max_steps=asked.max_steps, fall=0.5,
                  half=asked.half)
        kept = json.loads(path.read_text()) if path.exists() else []
        rows = [old for old in kept if (old["arm"], old["seed"]) != (arm, asked.seed)] + [row]
        for name, text in ((path, json.dumps(rows, indent=1)), (path.with_suffix(".md"), table(rows))):
            beside = name.with_suffix(".tmp")
            beside.write_text(text)
            beside.replace(name)
        print(row, flush=True)


if __name__ == "__main__":
    main()
