"""Trains the referee, which reads films back into scenes, on renders and their ground truth.

    python -m sorakit.training.referee --minutes 25

It sees clips (everything), stills (all that does not move) and clips of held-out combinations: the referee must know
a blue cat when it sees one; it is the film model that has never seen any. Every seventh shard goes through the
autoencoder, with some noise on its latents, so that a film is not judged by how sharp it is.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from ..device import autocast, pick_device
from ..evaluation.adherence import Share, judge, shares_of
from ..evaluation.referee import (
    CELL,
    KIND_NAMES,
    MOST_KINDS,
    SCENE_PARTS,
    SUBJECT_PARTS,
    Referee,
    chosen_frames,
    moments_of,
)
from ..latent.autoencoder import Autoencoder
from ..types import NATIVE_FPS, NATIVE_SIZES
from ..world.render import render
from ..world.scene import NO_TIME, NO_WEATHER, Scene, sample
from .autoencoder import HELD_OUT, load_autoencoder, to_floats
from .data import _BUCKETS as SHAPES
from .data import SECONDS, SHARD, load_shard, render_shards
from .loop import Loop

LR = 1.5e-3
BATCH = 16                    # clips a step; of stills so many that they cost the same
STILLS = 0.4                  # share of steps that take stills
RECONSTRUCTED = 7             # every so-many-th shard is seen through the autoencoder
NOISE = 0.2                   # most noise on its latents
FLIPPED = {"direction": {"left": "right", "right": "left"}, "camera": {"pan left": "pan right",
                                                                       "pan right": "pan left"}}


def train(minutes: float = 25.0, out: str | Path = "checkpoints/referee", data: str | Path = "checkpoints/data",
          autoencoder: str | Path = "nano", clips: dict[int, int] | None = None, stills: dict[int, int] | None = None,
          held_out: int = 1500, test_clips: int = 600, seed: int = 0, workers: int = 1, device: str | None = None,
          max_steps: int | None = None, bf16: bool = False, start: str | Path | None = None) -> dict:
    """Train, or go on training, for so many minutes in all; writes `out`/weights and returns the accuracies.

    clips and stills say how many of which data seed; held_out is how many clips of held-out combinations are drawn.
    bf16 is faster on a CPU that has units for it, and far slower on one that has not; CUDA always takes it. With start,
    the folder of a trained one, it goes on from that, at a rate that falls from the beginning.
    Raises ValueError for a folder without a trained autoencoder.
    """
    clips = {0: 3000, 1: 4000} if clips is None else clips
    stills = {2: 24_000} if stills is None else stills
    device = pick_device(device)
    torch.manual_seed(seed)
    state, card = load_autoencoder(autoencoder)
    eyes = Autoencoder(**card["autoencoder"])
    eyes.load_state_dict(state)
    eyes = eyes.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    paths = [path for name, number in clips.items() for path in render_shards(data, number, seed=name, workers=workers)]
    paths += combination_shards(data, held_out, seed=3)
    still_paths = [path for name, number in stills.items()
                   for path in render_shards(data, number, seed=name, workers=workers, stills=True)]
    libraries = [Library(paths, eyes), Library(still_paths, eyes)]
    model, before = Referee(), {}
    if start is not None:
        model.load_state_dict(Referee.load(start).state_dict())
        before = {"before": json.loads((Path(start) / "referee.json").read_text())["referee_training"]}
    model = model.to(device, memory_format=torch.channels_last)
    decay = [weight for weight in model.parameters() if weight.ndim > 1]
    other = [weight for weight in model.parameters() if weight.ndim <= 1]
    optimiser = torch.optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": other, "weight_decay": 0.0}],
                                  lr=LR, betas=(0.9, 0.98))
    loop = Loop(out, model, [optimiser], minutes=minutes, max_steps=max_steps, fall=0.25 if start is None else 1.0)

    def step(n: int):
        rng = np.random.default_rng([seed, n])
        still = bool(still_paths) and rng.random() < STILLS
        size = BATCH * 5 if still else BATCH
        frames, cells, labels = libraries[still].batch(rng, size)
        frames = degrade(frames.to(device), rng)
        with torch.autocast("cpu", torch.bfloat16) if bf16 and device.type == "cpu" else autocast(device):
            loss = loss_of(model, frames, cells.to(device), {key: value.to(device) for key, value in labels.items()})
        return loss, size

    loop.run(step)
    model.load_state_dict(loop.averaged())
    model.eval().requires_grad_(False)
    scores = evaluate(model, eyes, data, test_clips)
    training = {"minutes": round(loop.spent / 60, 1), "steps": loop.n, "clips_seen": loop.clips, "clips": clips,
                "stills": stills, "held_out_clips": held_out, "device": device.type, **before}
    write(Path(out) / "weights", model, {"referee_training": training, "accuracy": {
        name: {part: dataclasses.asdict(share) for part, share in shares.items()} for name, shares in scores.items()}})
    return scores


def write(folder: Path, model: Referee, card: dict) -> None:
    """Weights in fp16 and their card, as `Referee.load` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    data = save({name: value.detach().cpu().half().contiguous() for name, value in model.state_dict().items()})
    card = {"referee": {"width": model.width, "features": model.features}, **card,
            "sha256": hashlib.sha256(data).hexdigest()}
    for name, content in (("referee.safetensors", data), ("referee.json", json.dumps(card, indent=2).encode())):
        beside = folder / f".{name}.{os.getpid()}"
        beside.write_bytes(content)
        beside.replace(folder / name)


# --- how good it is -----------------------------------------------------------------------------


def evaluate(referee: Referee, eyes: Autoencoder, data: str | Path, clips: int = 600) -> dict[str, dict[str, Share]]:
    """Accuracies on renders that no training saw, on those seen through the autoencoder, and on other clips of the
    held-out combinations."""
    tests = {"renders": render_shards(data, clips, seed=HELD_OUT, quiet=True),
             "held-out combinations": combination_shards(data, clips, seed=HELD_OUT)}
    scores = {}
    for name, paths in tests.items():
        scores[name] = accuracy(referee, paths)
        scores[f"{name}, reconstructed"] = accuracy(referee, paths, eyes)
    return scores


def accuracy(referee: Referee, paths: list[Path], eyes: Autoencoder | None = None) -> dict[str, Share]:
    """How often each attribute of the clips of these shards is read right; with eyes, as they come out of those."""
    right = []
    for path in paths:
        frames, _, scenes = load_shard(path)
        frames = frames if eyes is None else reconstruct(eyes, frames)
        right += [[judge(scene, reading)] for scene, reading in zip(scenes, referee.read(list(frames)))]
    return shares_of(right)


# --- what it sees -------------------------------------------------------------------------------


def combination_shards(folder: str | Path, clips: int, *, seed: int) -> list[Path]:
    """Draw clips of held-out combinations into shards of a folder, as `render_shards` does of all others."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"held-out-{seed}-{k:05d}.npz" for k in range(-(-clips // SHARD))]
    for k, path in enumerate(tqdm(paths, desc="drawing", unit="shard", disable=all(path.exists() for path in paths))):
        if path.exists():
            continue
        size = NATIVE_SIZES[SHAPES[k % len(SHAPES)]]
        scenes = [sample(np.random.default_rng([seed, index, 2]), held_out=True)
                  for index in range(k * SHARD, (k + 1) * SHARD)]
        drawn = [render(scene, *size, SECONDS, NATIVE_FPS) for scene in scenes]
        beside = path.with_suffix(f".{os.getpid()}.tmp.npz")
        np.savez(beside, frames=np.stack([clip.frames for clip in drawn]),
                 masks=np.packbits(np.stack([clip.subject_mask for clip in drawn]), -1),
                 scenes=json.dumps([scene.to_json() for scene in scenes]))
        beside.replace(path)
    return paths


@torch.no_grad()
def reconstruct(eyes: Autoencoder, clips: UInt8[np.ndarray, "n t h w 3"], rng: np.random.Generator | None = None
                ) -> UInt8[np.ndarray, "n t h w 3"]:
    """Clips through the autoencoder and back; with rng, with noise of some strength on each one's latents."""
    device = eyes.mean.device
    back = []
    for clip in clips:
        latents = eyes.encode(to_floats(clip).to(device))
        if rng is not None:
            noise = torch.from_numpy(rng.standard_normal(latents.shape, np.float32)).to(device)
            latents = latents + NOISE * rng.random() * noise
        frames = (eyes.decode(latents)[0].clamp(-1, 1) + 1) * 127.5
        back.append(rearrange(frames.round().byte(), "c t h w -> t h w c").cpu().numpy())
    return np.stack(back)


class Library:
    """Rendered shards, read as they are needed and kept in memory."""

    def __init__(self, paths: list[Path], eyes: Autoencoder):
        self.paths, self.eyes, self.shards = paths, eyes, {}
        self.shapes: dict[str, list[int]] = {}
        for number, path in enumerate(paths):
            self.shapes.setdefault(SHAPES[int(path.stem.rsplit("-", 1)[1]) % len(SHAPES)], []).append(number)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Float[Tensor, "b t 5 h w"], Float[Tensor, "b t i j"],
                                                                  dict[str, Int[Tensor, "b ..."]]]:
        """Chosen frames of clips of one shape, the share of subjects in their cells, and their labels; half of them
        are mirrored."""
        shapes = list(self.shapes.values())
        shards = shapes[rng.choice(len(shapes), p=np.array([len(s) for s in shapes]) / len(self.paths))]
        films, cells, labels = [], [], []
        for k in rng.choice(shards, size):
            clips, masks, scenes = self._shard(int(k))
            i, flip = int(rng.integers(len(clips))), rng.random() < 0.5
            films.append(clips[i, :, :, ::-1] if flip else clips[i])
            cells.append(masks[i, :, :, ::-1] if flip else masks[i])
            labels.append(labels_of(scenes[i], flip, moving=clips.shape[1] > 1))
        moments = np.array(moments_of(films[0].shape[0]))
        if len(moments) > 1:
            moments = np.sort((moments + rng.integers(-1, 2, moments.shape)).clip(0, films[0].shape[0] - 1))
        frames = chosen_frames(torch.from_numpy(np.stack(films)), torch.from_numpy(moments))
        cells = torch.from_numpy(np.stack([cell[moments] for cell in cells])).float()
        return frames, cells, {key: torch.tensor([label[key] for label in labels]) for key in labels[0]}

    def _shard(self, k: int):
        if k not in self.shards:
            frames, masks, scenes = load_shard(self.paths[k])
            if k % RECONSTRUCTED == 2:
                frames = reconstruct(self.eyes, frames, np.random.default_rng(k))
            cells = rearrange(masks, "n t (i y) (j x) -> n t i j y x", y=CELL, x=CELL).mean((4, 5), dtype=np.float32)
            self.shards[k] = frames, cells.astype(np.float16), scenes
        return self.shards[k]


def labels_of(scene: Scene, flip: bool, moving: bool) -> dict[str, int | list[int]]:
    """A scene as numbers, -1 where something cannot be seen: kinds (2), their parts (2 each), its own."""
    mirror = lambda part, value: FLIPPED.get(part, {}).get(value, value) if flip else value
    unseen = {"time"} if scene.setting in NO_TIME else set()
    unseen |= {"weather"} if scene.setting in NO_WEATHER else set()
    unseen |= set() if moving else {"camera", "action", "direction"}
    unseen |= {"colour"} if scene.style == "film noir" else set()
    number = lambda part, values, value: -1 if part in unseen else values.index(mirror(part, value))
    fill = [-1] * (MOST_KINDS - len(scene.subjects))
    labels = {"kinds": [KIND_NAMES.index(subject.kind) for subject in scene.subjects] + fill}
    for part, values in SUBJECT_PARTS.items():
        labels[part] = [number(part, values, getattr(subject, part)) for subject in scene.subjects] + fill
    return labels | {part: number(part, values, getattr(scene, part)) for part, values in SCENE_PARTS.items()}


def degrade(frames: Float[Tensor, "b t 5 h w"], rng: np.random.Generator) -> Float[Tensor, "b t 5 h w"]:
    """A third of the batches blurred, a third with a little noise."""
    look = rng.random()
    if look < 1 / 3:
        share = rng.uniform(0.2, 1.0)
        flat = frames.flatten(0, 1)
        return frames + share * (F.avg_pool2d(flat, 3, 1, 1, count_include_pad=False) - flat).view_as(frames)
    if look < 2 / 3:
        generator = torch.Generator(frames.device).manual_seed(int(rng.integers(2**31)))
        noise = torch.randn(frames.shape, generator=generator, device=frames.device)
        return frames + rng.uniform(0, 0.06) * noise
    return frames


# --- what it learns -----------------------------------------------------------------------------


def loss_of(model: Referee, frames, cells: Float[Tensor, "b t i j"], labels: dict[str, Tensor]) -> Float[Tensor, ""]:
    """Cross-entropy of every part that can be seen, of each kind's presence and of each cell of the map.

    Of two kinds in a film the masks do not say which is where: their cells may be shared out as the model likes, as
    long as they are one or the other.
    """
    seen = model(frames)
    kinds = labels["kinds"]                                                               # (b, s), -1 for none
    there = torch.zeros_like(seen.presence).scatter_add(1, kinds.clamp_min(0), (kinds >= 0).to(seen.presence.dtype))
    loss = 4 * F.binary_cross_entropy_with_logits(seen.presence.float(), there.float())
    loss = loss + F.cross_entropy(seen.number.float(), (kinds >= 0).sum(1))
    allowed = F.pad(there, (1, 0))[:, None, :, None, None] > 0
    maps = seen.maps.float()
    subject = maps.masked_fill(~allowed, -30.0).logsumexp(2)                              # (b, t, i, j)
    error = -(cells * subject + (1 - cells) * maps[:, :, 0])
    loss = loss + 2 * (error * (1 + 4 * cells)).mean()
    for part, logits in seen.parts.items():
        loss = loss + _cross_entropy(logits, labels[part])
    for part, logits in model.attributes(seen, kinds.clamp_min(0)).items():
        loss = loss + _cross_entropy(logits.flatten(0, 1), labels[part].flatten())
    return loss


def _cross_entropy(logits, label):
    """The mean over labels that are known, 0 if none is; a little smoothed, as some are at the edge of two."""
    known = (label >= 0).sum().clamp_min(1)
    return F.cross_entropy(logits.float(), label, ignore_index=-1, reduction="sum", label_smoothing=0.02) / known


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the referee that reads films back into scenes.")
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--out", default="checkpoints/referee")
    parser.add_argument("--data", default="checkpoints/data")
    parser.add_argument("--autoencoder", default="nano")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--start", help="folder of a trained one to go on from: sorakit/weights/referee ships")
    parser.add_argument("--bf16", action="store_true", help="for a CPU with bf16 units: half again as fast")
    parser.add_argument("--device")
    for name, shares in train(**vars(parser.parse_args())).items():
        print(f"{name}\n" + "\n".join(f"  {part:<20} {share}" for part, share in shares.items()))


if __name__ == "__main__":
    main()
