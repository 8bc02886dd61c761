"""Trains the text encoder and the transformer together, on cached latents of the drawn world and its captions."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import tqdm

from .. import videofile
from ..device import autocast, pick_device
from ..diffusion.flow import RectifiedFlow, draw_known
from ..diffusion.sampler import Sampler
from ..latent.autoencoder import Autoencoder
from ..latent.text import MAX_WORDS, CaptionTransformer
from ..prompt.words import Words
from ..transformer.model import Transformer
from ..types import NATIVE_FPS, Conditioning
from ..weights import load_weights, save_weights
from .autoencoder import PRESETS as AUTOENCODERS
from .autoencoder import check_preset, load_autoencoder, to_floats
from .data import captions_of, load_shard, render_shards
from .loop import Loop, join_processes
from .muon import Muon

PRESETS = {  # width and depth of the transformer, and how many films a step
    "nano": {"width": 192, "depth": 8, "heads": 6, "batch": 12},
    "base": {"width": 384, "depth": 14, "heads": 12, "batch": 512},
}
MUON_LR, ADAM_LR = 0.015, 1.5e-3
DROP_CAPTION = 0.1       # so that guidance has something to steer away from
LOOK = ("A golden retriever runs through a field of wildflowers with the sun setting in the background.",
        "a woman strolling along a neon-lit Tokyo street", "a red car on a highway at night", "a rotating planet",
        "waves on a beach with seagulls", "a dancer on a stage", "a forest at dawn", "a black cat in snow")


class FlowModel(nn.Module):
    """The two networks that learn together."""

    def __init__(self, channels: int, word_width: int, width: int, depth: int, heads: int):
        super().__init__()
        self.text = CaptionTransformer(word_width, width, heads)
        self.transformer = Transformer(channels, width, depth, heads)

    def forward(self, latents, vectors, mask, known, noise, t):
        words, word_mask = self.text(vectors, mask)
        return RectifiedFlow().loss(self.transformer, latents, words, word_mask, known, noise, t)


def train(preset: str = "nano", minutes: float = 60.0, out: str | Path = "checkpoints/flow",
          data: str | Path = "checkpoints/data", autoencoder: str | Path = "checkpoints/autoencoder",
          clips: int = 3000, seed: int = 1, workers: int = 1, batch: int | None = None, device: str | None = None,
          max_steps: int | None = None, samples: bool = True, start: str | Path | None = None) -> Path:
    """Train, or go on training, for so many minutes in all; writes finished weights to `out`/weights.

    The latents of `clips` clips are made once and kept beside the rendered shards. With `samples`, films of the
    prompts in LOOK are drawn to `out`/look.png now and then. With start, finished weights (a preset's name or a
    folder), it begins with those, their autoencoder included; another seed then brings new clips. Raises ValueError
    for an unknown preset or a folder without a trained autoencoder.
    """
    check_preset(preset, PRESETS)
    rank, ranks = join_processes()
    device = pick_device(device)
    torch.manual_seed(seed)
    size = {key: value for key, value in PRESETS[preset].items() if key != "batch"}
    batch = batch or PRESETS[preset]["batch"]
    state, card = load_autoencoder(start or autoencoder)
    eyes = Autoencoder(**AUTOENCODERS[preset])
    eyes.load_state_dict(state)
    eyes = eyes.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    words = Words.load()
    table = torch.from_numpy(words.vectors).to(device)
    store = cache_latents(eyes, words, data, clips, seed=seed, workers=workers).to(device)
    model = FlowModel(eyes.channels, words.vectors.shape[1], **size).to(device)
    model.transformer.scale.copy_(store.scale())
    before = {}
    if start:
        weights = load_weights(start)
        model.load_state_dict(weights.flow)
        before = {"before": weights.card["flow_training"]}
    loop = Loop(out, model, optimisers(model), minutes=minutes, max_steps=max_steps, every=300)

    def step(n: int):
        draw = torch.Generator().manual_seed(seed * 1_000_003 + n)
        latents, ids, mask = store.batch(batch, draw)
        known, t = draw_known((batch, *latents.shape[2:]), draw), RectifiedFlow().times(batch, draw)
        mask = mask & (torch.rand(batch, 1, generator=draw) >= DROP_CAPTION).to(device)
        noise = torch.randn(latents.shape, generator=torch.Generator(device).manual_seed(draw.initial_seed()),
                            device=device)
        mine = (v[rank::ranks].to(device) for v in (latents, table[ids], mask, known, noise, t))
        with autocast(device):
            return model(*mine), len(range(rank, batch, ranks))

    loop.run(step, look=(lambda: _look(model, loop, eyes, words, Path(out) / "look.png")) if samples else None)
    card |= {"preset": preset, "text": {"word_width": words.vectors.shape[1], "width": size["width"],
                                        "heads": size["heads"]},
             "transformer": {"channels": eyes.channels, **size}, "commit": _commit(),
             "flow_training": {"minutes": round(loop.spent / 60, 1), "steps": loop.n, "clips_seen": loop.clips,
                               "different_clips": clips, "batch": batch, "data_seed": seed, "device": device.type,
                               **before}}
    return save_weights(Path(out) / "weights", eyes.state_dict(), loop.averaged(), card) if rank == 0 else Path(out)


def optimisers(model: FlowModel) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for everything else."""
    parts = {"qkv": 3, "word_kv": 2, "in_proj_weight": 3}
    hidden, other = {1: [], 2: [], 3: []}, []
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and (".blocks." in name or ".layers." in name):
            hidden[next((n for key, n in parts.items() if key in name), 1)].append(weight)
        else:
            other.append(weight)
    return [Muon([{"params": weights, "parts": n} for n, weights in hidden.items()], lr=MUON_LR),
            torch.optim.AdamW(other, lr=ADAM_LR, betas=(0.9, 0.98), weight_decay=0.0)]


# --- the cache of latents ---------------------------------------------------------------------------


@dataclass
class LatentStore:
    """Latents and caption tokens in memory, bucketed by shape."""

    buckets: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]     # latents fp16, ids, mask

    def scale(self) -> torch.Tensor:
        """The standard deviation of each channel, (c,)."""
        return self.buckets[0][0][:2000].float().std((0, 2, 3, 4))

    def to(self, device: torch.device) -> LatentStore:
        """All of it on a device: 100,000 films take 16 GB."""
        return LatentStore([tuple(tensor.to(device) for tensor in bucket) for bucket in self.buckets])

    def batch(self, size: int, draw: torch.Generator):
        """Films of one shape: latents (b, c, t, h, w), ids (b, l) and mask (b, l).

        One batch in 16 is of stills, most are of the films' first halves: more films for the same computing, and the
        model learns that films have different lengths.
        """
        lengths = torch.tensor([float(len(bucket[0])) for bucket in self.buckets])
        latents, ids, mask = self.buckets[int(torch.multinomial(lengths, 1, generator=draw))]
        pick = torch.randint(len(latents), (size,), generator=draw)
        words = torch.randint(ids.shape[1], (size,), generator=draw)
        share = torch.rand((), generator=draw).item()
        frames = 1 if share < 1 / 16 else latents.shape[2] // 2 + 1 if share < 13 / 16 else latents.shape[2]
        pick, words = pick.to(latents.device), words.to(latents.device)
        ids, mask = ids[pick, words].long(), mask[pick, words]
        longest = int(mask.sum(1).max())
        return latents[pick, :, :frames].float(), ids[:, :longest], mask[:, :longest]


def cache_latents(eyes: Autoencoder, words: Words, data: str | Path, clips: int, *, seed: int, workers: int = 1
                  ) -> LatentStore:
    """Render what is missing, encode it once with this autoencoder, and load all of it."""
    data = Path(data)
    where = next(eyes.parameters()).device
    encoder = [v.cpu().numpy().tobytes() for name, v in eyes.state_dict().items()
               if name.startswith(("to_latent", "encoder", "mean", "std"))]          # another decoder changes nothing
    mark = hashlib.sha256(b"".join(encoder)).hexdigest()[:12]
    paths = [data / f"{seed}-{k:05d}.npz" for k in range(-(-clips // 50))]
    cached = [path.with_name(f"{path.stem}.{mark}.safetensors") for path in paths]
    if not all(path.exists() for path in cached):
        render_shards(data, clips, seed=seed, workers=workers)
    shapes: dict[tuple, list] = {}
    for k, (path, latents) in enumerate(zip(tqdm(paths, desc="encoding", unit="shard"), cached)):
        if not latents.exists():
            frames, _, scenes = load_shard(path)
            with torch.no_grad():
                z = torch.cat([eyes.encode(to_floats(clip).to(where)).cpu() for clip in frames])
            captions = [captions_of(scene, seed, k * len(scenes) + i) for i, scene in enumerate(scenes)]
            ids, mask = words.encode([text for texts in captions for text in texts], MAX_WORDS)
            beside = latents.with_suffix(".tmp")
            save_file({"z": z.half().contiguous(), "ids": torch.from_numpy(ids).short().view(len(z), -1, MAX_WORDS),
                       "mask": torch.from_numpy(mask).view(len(z), -1, MAX_WORDS)}, beside)
            beside.replace(latents)
        shard = load_file(latents)
        shapes.setdefault(tuple(shard["z"].shape[1:]), []).append(shard)
    return LatentStore([tuple(torch.cat([shard[key] for shard in shards]) for key in ("z", "ids", "mask"))
                        for shards in shapes.values()])


@torch.no_grad()
def _look(model, loop, eyes, words, path: Path) -> None:
    """Films of the prompts in LOOK with the averaged weights: all in one film, and three moments of it on a sheet."""
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(loop.average)
    device = next(model.parameters()).device
    null = model.text(torch.zeros(1, 1, words.vectors.shape[1], device=device), torch.zeros(1, 1, dtype=torch.bool,
                                                                                            device=device))
    ids, mask = words.encode(list(LOOK), MAX_WORDS)
    given = model.text(torch.from_numpy(words.vectors[ids]).to(device), torch.from_numpy(mask).to(device))
    noise = torch.randn((len(LOOK), eyes.channels, 9, 5, 9), generator=torch.Generator().manual_seed(0)).to(device)
    with autocast(device):
        film = Sampler()(model.transformer, noise, Conditioning(*given, *null), steps=12, guidance=4.0)
    films = ((eyes.decode(film.values.float()).clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 4, 1).cpu().numpy()
    grid = np.concatenate([np.concatenate(films[i:i + 2], 2) for i in range(0, len(films), 2)], 1)   # (t, 4 h, 2 w, 3)
    videofile.write(path.with_suffix(".mp4"), grid, NATIVE_FPS, {})
    Image.fromarray(np.concatenate([grid[i] for i in (1, 8, 15)], 1)).save(path)
    model.load_state_dict(kept)


def _commit() -> str:
    """The repository's commit, or "unknown" outside of one."""
    try:
        return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True,
                              cwd=Path(__file__).parent).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
