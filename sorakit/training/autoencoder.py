"""Trains the video autoencoder on crops of the drawn world."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from PIL import Image
from safetensors.torch import load_file, save_file

from ..device import autocast, pick_device
from ..latent.autoencoder import Autoencoder
from ..latent.text import CaptionTransformer
from ..transformer.model import Transformer
from ..weights import load_weights, shipped
from .data import load_shard, render_shards
from .loop import Loop, check_recipe, join_processes

PRESETS = {"nano": {"channels": 192, "width": 64}, "base": {"channels": 192, "width": 64}}
LR, STRAIGHT_LR = 1e-3, 3e-5      # the straight lines start out right and have small entries
NOISE, MORE = 0.03, 0.5  # added to normalised latents, so that decoding forgives errors of the transformer
EDGES = {2: 1.0, 3: 0.3, 4: 0.3}     # what an error from one frame to the next, and from pixel to pixel, counts
HELD_OUT = 10_000_019    # data seed of clips that no training sees


def train(preset: str = "nano", minutes: float = 60.0, out: str | Path = "checkpoints/autoencoder",
          data: str | Path = "checkpoints/data", clips: int = 3000, batch: int | None = None, crop: int = 64,
          frames: int = 9, seed: int = 0, workers: int = 1, device: str | None = None, max_steps: int | None = None,
          test_clips: int = 200, start: str | Path | None = None, decoder_of: str | Path | None = None,
          remade_by: str | Path | None = None, subject_weight: float = 3.0, half: bool = False) -> dict:
    """Train, or go on training, for so many minutes in all; returns the scores and writes `autoencoder.safetensors`.

    Each step takes `batch` crops (4 on a CPU, else 64) of `frames` x `crop` x `crop` pixels of the `clips` clips.
    With start, a trained autoencoder (a preset's name or a folder), it goes on from that one: its latents drift a
    little, and a flow model soon follows (`sorakit train flow --start`). With decoder_of its encoder stays as it is
    and only the decoder learns on: a flow model that learned on its latents still fits. With remade_by, such a flow
    model's weights, half of what the decoder sees are latents that this model has made of what noise left of the true
    ones: it learns to join the edges that the model leaves between patches. Pixels of subjects count
    `subject_weight` times. half computes in bf16 on a CPU too: twice as fast on some, hundreds of times slower on
    others. Raises ValueError for an unknown preset, a folder without a trained autoencoder, or remade_by without
    decoder_of.
    """
    check_preset(preset, PRESETS)
    if remade_by and not decoder_of:
        raise ValueError(f"remade_by={str(remade_by)!r} needs decoder_of=, the autoencoder that this flow model "
                         "learned with: with another encoder its latents would mean nothing")
    check_recipe(out, recipe := {"preset": preset, "seed": seed, "start": start, "decoder_of": decoder_of,
                                 "remade_by": remade_by})
    rank, ranks = join_processes()
    device = pick_device(device)
    batch = batch or (4 if device.type == "cpu" else 64)
    torch.manual_seed(seed)
    library = _Library(render_shards(data, clips, seed=seed, workers=workers))
    size, before = PRESETS[preset], {}
    first = torch.cat([to_floats(library.crop(np.random.default_rng([seed, k]), 17, 80)[0]) for k in range(64)])
    if start or decoder_of:
        state, card = load_autoencoder(start or decoder_of)
        size = card["autoencoder"]
        model = Autoencoder(**size)
        model.load_state_dict(state)
        before = {"before": card["autoencoder_training"]}
        if decoder_of:
            model.to_latent.requires_grad_(False), model.encoder.requires_grad_(False)
            before["decoder_alone"] = True
        if remade_by:
            before["remade_by"] = load_weights(remade_by).card["flow_training"]
    else:
        model = Autoencoder(**size)
        model.start_from_principal_components(first)
        _normalise(model, first)
    model = model.to(device, memory_format=torch.channels_last)
    straight = [*model.to_latent.parameters(), *model.to_patch.parameters()]
    bent = [*model.encoder.parameters(), *model.decoder.parameters()]
    learns = lambda weights: [weight for weight in weights if weight.requires_grad]
    optimiser = torch.optim.AdamW([{"params": learns(straight), "lr": STRAIGHT_LR}, {"params": learns(bent), "lr": LR}],
                                  betas=(0.9, 0.98), weight_decay=0.0)
    loop = Loop(out, model, [optimiser], minutes=minutes, max_steps=max_steps, recipe=recipe)
    remake = Remake(load_weights(remade_by), device) if remade_by else None

    def step(n: int):
        rng = np.random.default_rng([seed, n, 2])
        crops = [library.crop(rng, frames, crop) for _ in range(batch)][rank::ranks]
        x = torch.cat([to_floats(frames) for frames, _ in crops]).to(device)
        mask = torch.from_numpy(np.stack([mask for _, mask in crops])).to(device).unsqueeze(1)
        with autocast(device, half):
            return loss_of(model, x, mask, torch.Generator().manual_seed(n), subject_weight, remake), len(crops)

    loop.run(step, look=lambda: _look(model, library, Path(out) / "look.png"))
    model.load_state_dict(loop.averaged())
    if not before:
        _normalise(model, first.to(device))
    scores = evaluate(model, data, test_clips)
    if rank == 0:
        Path(out).mkdir(parents=True, exist_ok=True)
        path = Path(out) / "autoencoder.safetensors"
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        save_file({k: v.contiguous().cpu() for k, v in model.state_dict().items()}, beside)
        beside.replace(path)
        card = {"autoencoder": size, "autoencoder_scores": scores,
                "autoencoder_training": {"minutes": round(loop.spent / 60, 1), "steps": loop.n, "crops": loop.clips,
                                         "data_seed": seed, "clips": clips, "device": device.type,
                                         "subject_weight": subject_weight, **before}}
        beside.write_text(json.dumps(card, indent=2))
        beside.replace(path.with_suffix(".json"))
    return scores


def check_preset(preset: str, presets: dict) -> None:
    if preset not in presets:
        raise ValueError(f"preset={preset!r} is not one of {', '.join(presets)}")


def load_autoencoder(source: str | Path) -> tuple[dict[str, torch.Tensor], dict]:
    """The state and the card of a trained autoencoder: from a folder that `train` left, or from finished weights (a
    shipped preset's name or their folder). Raises ValueError if there is none."""
    path = Path(source) / "autoencoder.safetensors"
    if path.is_file():
        return load_file(path), json.loads(path.with_suffix(".json").read_text())
    if str(source) in shipped() or (Path(source) / "card.json").is_file():
        weights = load_weights(str(source))
        return weights.autoencoder, {key: value for key, value in weights.card.items() if key.startswith("autoencoder")}
    raise ValueError(f"autoencoder={str(source)!r} holds no {path.name}: train one first, with "
                     "`sorakit train autoencoder`")


class Remake:
    """Films made from what noise leaves of true latents, by a flow model without words: they have its faults."""

    def __init__(self, weights, device: torch.device, times: tuple[float, float] = (0.1, 0.75)):
        self.times = times
        self.transformer = Transformer.from_weights(weights).to(device)
        text = CaptionTransformer(**weights.card["text"])
        text.load_state_dict({name.removeprefix("text."): value for name, value in weights.flow.items()
                              if name.startswith("text.")})
        nothing = torch.zeros(1, 0, weights.card["text"]["word_width"])
        with torch.no_grad():
            self.words, self.mask = (v.to(device) for v in text(nothing, torch.zeros(1, 0, dtype=torch.bool)))

    @torch.no_grad()
    def __call__(self, z: torch.Tensor, generator: torch.Generator, steps: int = 3) -> torch.Tensor:
        """Latents (b, c, k, i, j) from where a time drawn from `times` has taken them, in Euler steps."""
        start = self.times[0] + (self.times[1] - self.times[0]) * torch.rand(1, generator=generator).item()
        x = (1 - start) * z + start * torch.randn(z.shape, generator=generator).to(z)
        words, mask = self.words.expand(len(z), -1, -1), self.mask.expand(len(z), -1)
        for k in range(steps):
            t = start * (1 - k / steps)
            x = x - start / steps * self.transformer(x, torch.full_like(x[:, 0], t), words, mask)
        return x


def loss_of(model: Autoencoder, x, mask, generator, subject_weight: float, remake: Remake | None = None
            ) -> torch.Tensor:
    """Absolute and squared error, the error of edges in space and time, the PSNR inside subjects, and a tiny pull of
    latents towards 0.

    One crop in four has up to MORE noise on its latents, of which only the decoder learns: the encoder would shout it
    down. With remake, every second crop's latents are made again by a flow model.
    """
    raw = model.raw_latents(x)
    z = (raw - model.mean.view(-1, 1, 1, 1)) / model.std.view(-1, 1, 1, 1)
    much = (torch.arange(len(z)) % 4 == 3).view(-1, 1, 1, 1, 1)
    strength = torch.where(much, MORE * torch.rand(len(z), 1, 1, 1, 1, generator=generator), NOISE)
    noise = (torch.randn(z.shape, generator=generator) * strength).to(z)
    z_seen = torch.where(much.to(z.device), z.detach(), z) + noise
    if remake:
        z_seen = torch.cat([z_seen[::2], remake(z[1::2].detach().float(), generator)])
        x, mask = (torch.cat([v[::2], v[1::2]]) for v in (x, mask))
    error = model.decode(z_seen) - x
    weight = 1 + (subject_weight - 1) * mask.to(x.dtype)
    edges = sum(share * (weight.narrow(axis, 1, x.shape[axis] - 1) * error.diff(dim=axis).abs()).mean()
                for axis, share in EDGES.items())
    inside, pixels = (mask * error.square()).mean(1).flatten(1).sum(1), mask.flatten(1).sum(1)
    decibels = torch.where(pixels > 50, (inside / pixels.clamp_min(1) + 1e-4).log10(), 0).mean()
    return (weight * error.abs()).mean() + 4 * (weight * error.square()).mean() + edges \
        + 0.2 * decibels + 1e-4 * z.square().mean()


def to_floats(frames: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Frames (t, h, w, 3) uint8, or a batch of such, to (b, 3, t, h, w) in [-1, 1]."""
    frames = frames if isinstance(frames, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(frames))
    return rearrange(frames, "... t h w c -> (...) c t h w").float() / 127.5 - 1


@torch.no_grad()
def evaluate(model: Autoencoder, data: str | Path, clips: int = 200) -> dict[str, float]:
    """PSNR in dB on clips that no training saw, per clip and then averaged: by weather, and inside subjects."""
    where = next(model.parameters()).device
    psnr: dict[str, list[float]] = {}
    for path in render_shards(data, clips, seed=HELD_OUT, quiet=True):
        for frames, mask, scene in zip(*load_shard(path)):
            x = to_floats(frames).to(where)
            error = ((model.decode(model.encode(x)).clamp(-1, 1) - x) / 2).square().mean(1)[0].cpu().numpy()
            psnr.setdefault(scene.weather, []).append(-10 * np.log10(error.mean() + 1e-10))
            if mask.sum() > 50 and scene.weather == "clear":
                psnr.setdefault("subjects in clear weather", []).append(-10 * np.log10(error[mask].mean() + 1e-10))
    return {name: round(float(np.mean(values)), 2) for name, values in sorted(psnr.items())}


class _Library:
    """Rendered shards, read from disk as they are needed and kept in memory."""

    def __init__(self, paths: list[Path]):
        self.paths, self.shards = paths, {}

    def crop(self, rng, frames: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """A random piece of a random clip, most of them around a subject: (t, size, size, 3) and its mask."""
        k = int(rng.integers(len(self.paths)))
        if k not in self.shards:
            self.shards[k] = load_shard(self.paths[k])[:2]
        clips, masks = self.shards[k]
        i = int(rng.integers(len(clips)))
        clip, mask = clips[i], masks[i]
        start = int(rng.integers(clip.shape[0] - frames + 1))
        y, x = (int(rng.integers(n - size + 1)) for n in clip.shape[1:3])
        seen = np.argwhere(mask[start])
        if len(seen) and rng.random() < 0.75:
            y, x = (int(np.clip(p - rng.integers(size), 0, n - size))
                    for p, n in zip(seen[rng.integers(len(seen))], clip.shape[1:3]))
        window = np.s_[start:start + frames, y:y + size, x:x + size]
        piece, inside = clip[window], mask[window]
        return (piece[:, :, ::-1], inside[:, :, ::-1]) if rng.random() < 0.5 else (piece, inside)


@torch.no_grad()
def _normalise(model: Autoencoder, frames) -> None:
    """Measure the latents' mean, and scale them to the strength that they have in pixels and a mean square of 1.

    A principal component went in as the square root of its strength (`start_from_principal_components`), so each is
    multiplied by its own spread. Noise then hides what is fine long before what is coarse, as it does in pixels.
    """
    raw = torch.cat([model.raw_latents(x) for x in frames.split(8)])
    spread = raw.std((0, 2, 3, 4)).clamp_min(1e-3)
    model.mean.copy_(raw.mean((0, 2, 3, 4)))
    model.std.copy_(spread.pow(4).mean().sqrt() / spread)


@torch.no_grad()
def _look(model, library, path: Path) -> None:
    """A sheet of held-back moments: above the truth, below what comes back."""
    rng = np.random.default_rng(0)
    x = torch.cat([to_floats(library.crop(rng, 9, 80)[0]) for _ in range(10)]).to(next(model.parameters()).device)
    y = model.decode(model.encode(x)).clamp(-1, 1)
    rows = [rearrange(v[:, :, 5], "b c h w -> h (b w) c") for v in (x, y)]
    sheet = ((torch.cat(rows) + 1) * 127.5).byte().cpu().numpy()
    Image.fromarray(sheet).resize((2 * sheet.shape[1], 2 * sheet.shape[0]), Image.Resampling.NEAREST).save(path)
