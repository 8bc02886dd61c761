"""Trains the 4x upscaler on the drawn world at two sizes, some of it as films come out of the models.

    python -m sorakit.training.upscaler --minutes 20 --out checkpoints/upscaler
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from pathlib import Path

import cv2
import numpy as np
import torch
import typer
from einops import rearrange
from PIL import Image
from safetensors.torch import save
from tqdm import tqdm

from ..device import autocast, pick_device
from ..latent.autoencoder import Autoencoder
from ..synthesis.upscale import SCALE, Upscaler, triples_of
from ..types import NATIVE_FPS, NATIVE_SIZES
from ..weights import load_weights
from ..world.render import render
from .autoencoder import Remake
from .data import scene_of
from .loop import Loop
from .muon import Muon

PRESET = {"width": 48, "blocks": 6}
LR, MUON_LR = 2e-3, 1e-2
SHARD = 25                    # scenes in a shard
FRAMES = 5                    # of each scene at the small size; the 3 in the middle are drawn at the large size too
SOFT = 0.15                   # share of crops that come out of the models, as films do
TIMES = (0.01, 0.1)           # how far their latents were noised before; from 0.25 come other pictures
SEEN = 2                      # large frames that a crop has
STEADY = 0.1                  # weight of the error of the change from frame to frame
LEAST = 1e-4                  # a crop's squared error under Lanczos, in [-1, 1], counts as no less
BUCKETS = ("16:9", "9:16", "16:9", "1:1")
DATA_SEED, HELD_OUT = 40, 10_000_040


def train(minutes: float = 20.0, out: Path = Path("checkpoints/upscaler"), data: Path = Path("checkpoints/data"),
          scenes: int = 3000, batch: int = 12, crop: int = 32, seed: int = 0, workers: int = 1,
          models: str = "nano", device: str | None = None, max_steps: int | None = None,
          test_scenes: int = 50) -> dict:
    """Train, or go on training, for so many minutes in all; writes `upscaler.safetensors` and `upscaler.json` into out.

    Each step takes `batch` crops of 2 frames x `crop` x `crop` small pixels, from where Lanczos errs: a place comes as
    often as it is wrong, and its loss is counted in what Lanczos has there, so the mean over crops is what is left of
    a scene's squared error. The loss is that of colour, and of the change from frame to frame, so that edges do not
    flicker. Returns the scores: PSNR in dB against the large rendering, of Lanczos and of the upscaler, on held-out
    scenes.
    """
    device = pick_device(device)
    torch.manual_seed(seed)
    library = Library(render_pairs(data, scenes, seed=DATA_SEED, workers=workers), models, every=7)
    model = Upscaler(**PRESET).to(device, memory_format=torch.channels_last)
    inner = [weight for weight in model.body.parameters() if weight.ndim == 4]
    others = [weight for weight in model.parameters() if all(weight is not one for one in inner)]
    optimisers = [Muon([{"params": inner}], lr=MUON_LR, weight_decay=0.0),
                  torch.optim.AdamW(others, lr=LR, betas=(0.9, 0.98), weight_decay=0.0)]
    loop = Loop(out, model, optimisers, minutes=minutes, max_steps=max_steps, fall=0.5)

    def step(n: int):
        rng = np.random.default_rng([seed, n, 3])
        low, high, plain = zip(*(library.crop(rng, crop) for _ in range(batch)))
        with autocast(device):
            return loss_of(model, torch.stack(low).to(device), torch.stack(high).to(device),
                           torch.tensor(plain, device=device)), batch

    test = render_pairs(data, test_scenes, seed=HELD_OUT, workers=workers)
    loop.run(step, look=lambda: _look(model, test[0], Path(out) / "look.png"))
    model.load_state_dict(loop.averaged())
    scores = evaluate(model, Library(test, models))
    tensors = {name: value.cpu().half().contiguous() for name, value in model.state_dict().items()}
    stored = save(tensors)
    card = {"upscaler": PRESET, "parameters": sum(value.numel() for value in tensors.values()),
            "sha256": hashlib.sha256(stored).hexdigest(), "scores": scores,
            "training": {"minutes": round(loop.spent / 60, 1), "crops": loop.clips, "steps": loop.n, "scenes": scenes,
                         "data_seed": DATA_SEED, "held_out_seed": HELD_OUT, "seed": seed}}
    _replace(Path(out) / "upscaler.safetensors", stored)
    _replace(Path(out) / "upscaler.json", json.dumps(card, indent=2).encode())
    return scores


def loss_of(model, low, high, plain):
    """Of crops (b, 3, t + 2, h, w), their middle frames at the large size (b, 3, t, 4h, 4w) and the squared error (b,)
    that Lanczos has in them."""
    made = rearrange(model(middle_triples(low)), "(b t) c h w -> b c t h w", b=len(low))
    error = (made - high).float()
    left = error.square().mean((1, 2, 3, 4)) + STEADY * error.diff(dim=2).square().mean((1, 2, 3, 4))
    return (left / plain).mean()


def middle_triples(low):
    """The frames that have both neighbours, between them: (b, 3, t + 2, h, w) to (b t, 9, h, w)."""
    b = len(low)
    triples = rearrange(triples_of(low), "(b t) c h w -> b t c h w", b=b)[:, 1:-1]
    return rearrange(triples, "b t c h w -> (b t) c h w").contiguous(memory_format=torch.channels_last)


class Library:
    """Scenes at both sizes; the small one as drawn, and in one shard of `every` with the models' faults too: its
    latents noised a little, made again by the flow model and decoded."""

    def __init__(self, paths: list[tuple[Path, Path]], models: str | Path, every: int = 1):
        weights = load_weights(models)
        eyes, remake = Autoencoder.from_weights(weights), Remake(weights, torch.device("cpu"), TIMES)
        self.low = [np.load(low) for low, _ in paths]                                       # (n, 5, h, w, 3)
        self.high = [np.load(high, mmap_mode="r") for _, high in paths]                     # (n, 3, 4h, 4w, 3)
        self.every = every
        self.soft = [_remade(eyes, remake, low, k) for k, low in enumerate(tqdm(self.low[::every], desc="softening"))]
        self.error = [_lanczos_errors(*pair) for pair in zip(self.low, tqdm(self.high, desc="where Lanczos errs"))]

    def crop(self, rng: np.random.Generator, size: int):
        """Small (3, 4, size, size) and large (3, 2, 4 size, 4 size), in [-1, 1], perhaps mirrored, and the squared
        error that Lanczos has there, by which the place was drawn."""
        source, every = (self.soft, self.every) if rng.random() < SOFT else (self.low, 1)
        k = rng.integers(len(source))
        clips, shard = source[k], k * every
        scene, start = rng.integers(len(clips)), rng.integers(FRAMES - 1 - SEEN)
        error = self.error[shard][scene]
        sums = error.ravel().cumsum()
        place = np.unravel_index(np.searchsorted(sums, rng.random() * sums[-1]), error.shape)
        y, x = (int(np.clip(at - rng.integers(size), 0, most - size)) for at, most in zip(place, error.shape))
        low = clips[scene, start:start + SEEN + 2, y:y + size, x:x + size]
        high = self.high[shard][scene, start:start + SEEN, SCALE * y:SCALE * (y + size), SCALE * x:SCALE * (x + size)]
        if rng.random() < 0.5:
            low, high = low[:, :, ::-1], high[:, :, ::-1]
        return to_floats(low), to_floats(high), max(float(error[y:y + size, x:x + size].mean()), LEAST)


def _lanczos_errors(low, high):
    """The mean squared error of Lanczos, in [-1, 1], for each small pixel of the middle frame: (n, h, w)."""
    _, _, h, w, _ = low.shape
    made = np.stack([_lanczos(clip[FRAMES // 2]) for clip in low]).astype(np.float32)
    squares = np.square((made - high[:, 1]) / 127.5).mean(-1)
    return rearrange(squares, "n (h a) (w b) -> n h w (a b)", h=h, w=w).mean(-1) + 1e-9


def _lanczos(frame):
    return cv2.resize(frame, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_LANCZOS4)


def to_floats(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(frames, order="C")).permute(3, 0, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def _remade(eyes, remake, clips, number):
    generator = torch.Generator().manual_seed(number)
    soft = np.empty_like(clips)
    for k, clip in enumerate(clips):
        frames = eyes.decode(remake(eyes.encode(to_floats(clip)[None]), generator))[0]
        soft[k] = ((frames.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()
    return soft


@torch.no_grad()
def evaluate(model: Upscaler, library: Library) -> dict[str, float]:
    """PSNR in dB, the mean over scenes, and flicker: the RMS error of the change from frame to frame, in levels."""
    device = next(model.parameters()).device
    rows = {"": [], "_remade": []}
    for low, soft, high in zip(library.low, library.soft, library.high):
        for k in range(len(low)):
            truth = high[k].astype(np.float32)
            for name, source in (("", low[k]), ("_remade", soft[k])):
                made = model(middle_triples(to_floats(source)[None].to(device))).cpu()
                made = ((made.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy()
                plain = np.stack([_lanczos(frame) for frame in source[1:-1]])
                rows[name].append([value for film in (plain.astype(np.float32), made)
                                   for value in (_psnr(film, truth), _rms(np.diff(film - truth, axis=0)))])
    means = {name: np.mean(values, 0).round(3).tolist() for name, values in rows.items()}
    return {f"{what}_{which}{name}": means[name][2 * k + j] for name in rows
            for k, which in enumerate(("lanczos", "upscaler")) for j, what in enumerate(("psnr", "flicker"))}


def _rms(x):
    return float(np.sqrt(np.square(x).mean()))


def _psnr(film, truth):
    return 20 * np.log10(255 / max(_rms(film - truth), 1e-6))


def render_pairs(folder: str | Path, scenes: int, *, seed: int, workers: int = 1) -> list[tuple[Path, Path]]:
    """Draw scenes at both sizes, in shards `pairs-seed-k-low.npy` and `-high.npy`; those that are there are kept."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [tuple(folder / f"pairs-{seed}-{k:05d}-{size}.npy" for size in ("low", "high"))
             for k in range(-(-scenes // SHARD))]
    jobs = [(pair, seed, k) for k, pair in enumerate(paths) if not pair[1].exists()]
    if workers > 1 and jobs:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            list(tqdm(pool.imap_unordered(_render_pair, jobs), total=len(jobs), desc="drawing", unit="shard"))
    else:
        for job in tqdm(jobs, desc="drawing", unit="shard", disable=not jobs):
            _render_pair(job)
    return paths


def _render_pair(job) -> None:
    (low_path, high_path), seed, k = job
    cv2.setNumThreads(1)
    height, width = NATIVE_SIZES[BUCKETS[k % len(BUCKETS)]]
    drawn = [scene_of(seed, index) for index in range(k * SHARD, (k + 1) * SHARD)]
    seconds = (FRAMES - 1) / NATIVE_FPS
    low = [render(scene, height, width, seconds, NATIVE_FPS).frames for scene in drawn]
    high = [render(scene, SCALE * height, SCALE * width, seconds, NATIVE_FPS).frames[1:-1] for scene in drawn]
    for path, frames in ((low_path, low), (high_path, high)):
        beside = path.with_suffix(f".{os.getpid()}.tmp.npy")
        np.save(beside, np.stack(frames))
        beside.rename(path)


@torch.no_grad()
def _look(model, pair, path):
    """Lanczos above, upscaler in the middle, truth below, for four scenes."""
    low, high = np.load(pair[0], mmap_mode="r"), np.load(pair[1], mmap_mode="r")
    columns = []
    for k in range(min(4, len(low))):
        truth = high[k, 1]
        made = model(middle_triples(to_floats(low[k])[None].to(next(model.parameters()).device))).cpu()[1]
        made = ((made.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        columns.append(np.concatenate([_lanczos(low[k, 2]), made, truth]))
    Image.fromarray(np.concatenate(columns, 1)).save(path)


def _replace(path: Path, data: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(data)
    beside.replace(path)


if __name__ == "__main__":
    typer.run(train)
