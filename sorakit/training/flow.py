"""Trains the text encoder and the transformer together, on cached latents of the drawn world and its captions."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import reduce
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from .. import videofile
from ..device import autocast, pick_device
from ..diffusion.flow import RectifiedFlow, draw_known
from ..evaluation.referee import KIND_NAMES, SCENE_PARTS, SUBJECT_PARTS
from ..latent.autoencoder import SPACE, TIME, Autoencoder
from ..latent.text import MAX_WORDS, CaptionTransformer
from ..pipeline import sampler_for
from ..prompt.words import Words
from ..transformer.model import Transformer
from ..types import NATIVE_FPS, Conditioning
from ..weights import load_weights, save_weights
from ..world.scene import Scene
from .autoencoder import PRESETS as AUTOENCODERS
from .autoencoder import check_preset, load_autoencoder, to_floats
from .data import captions_of, load_masks, load_scenes, load_shard, render_shards
from .half import use_half_products
from .loop import Loop, check_recipe, first_goes_first, join_processes
from .muon import Muon

PRESETS = {  # the transformer's size, how far its head sees aside in time (`Head`), and how many films a step
    "nano": {"width": 192, "depth": 8, "heads": 6, "beside": 1, "batch": 12},
    "base": {"width": 384, "depth": 14, "heads": 12, "beside": 1, "batch": 512},
}
MUON_LR, ADAM_LR = 0.015, 1.5e-3
SUBJECT_WEIGHT = 4.0     # of patches that a subject fills by a quarter or more, once it can be seen
PLAIN = 3.0              # how much more often a plain scene is learned from, and one with a common subject
COMMON = {"golden retriever": 3.0, "dog": 1.5, "cat": 2.0, "woman": 3.0, "car": 2.0, "dancer": 2.0, "seagull": 5.0,
          "planet": 1.5}
DROP_CAPTION = 0.1       # so that guidance has something to steer away from
WHERE = 0.5              # how much it counts to say where subjects are, after half of the blocks
HEARD = 0.2              # and how much to say each attribute of the scene from the caption's summary
HELPERS, HELPERS_FIRST = ("where.", "heard."), 60     # steps in which only they learn, where weights are given
ATTRIBUTES = {"kind": len(KIND_NAMES), **{part: len(names) for part, names in (SUBJECT_PARTS | SCENE_PARTS).items()}}
LOOK = ("A golden retriever runs through a field of wildflowers with the sun setting in the background.",
        "a woman strolling along a neon-lit Tokyo street", "a red car on a highway at night", "a rotating planet",
        "waves on a beach with seagulls", "a dancer on a stage", "a forest at dawn", "a black cat in snow")


class FlowModel(nn.Module):
    """The two networks that learn together, and two helpers that do not ship.

    From the patches' vectors after half of the blocks, `where` says how much of each lies inside a subject; from the
    caption's summary, `heard` says each attribute of the scene. Whether a dog runs to the left or to the right hardly
    changes the mean of all films of dogs of all colours in all places: without these nobody listens to such words
    (docs/decisions.md).
    """

    def __init__(self, channels: int, word_width: int, width: int, depth: int, heads: int, beside: int = 0):
        super().__init__()
        self.text = CaptionTransformer(word_width, width, heads)
        self.transformer = Transformer(channels, width, depth, heads, beside)
        self.where, self.half_way = nn.Linear(width, 1), f"blocks.{depth // 2 - 1}"
        self.heard = nn.Linear(width, sum(ATTRIBUTES.values()))

    def forward(self, latents, vectors, mask, known, noise, t, weight=None, inside=None, labels=None):
        words, word_mask = self.text(vectors, mask)
        seen = []
        with self.transformer.watch(self.half_way, lambda name, tokens: seen.append(tokens)):
            loss = RectifiedFlow().loss(self.transformer, latents, words, word_mask, known, noise, t, weight,
                                        channel_weight(self.transformer))
        if inside is not None:
            said = self.where(F.rms_norm(seen[0], seen[0].shape[-1:])).squeeze(-1).float()       # (b, n)
            loss = loss + WHERE * F.binary_cross_entropy_with_logits(said, inside.flatten(1).clamp(0, 1))
        if labels is not None:
            parts = self.heard(words[:, 0]).float().split(list(ATTRIBUTES.values()), 1)
            for part, label in zip(parts, labels.unbind(1)):
                known = (label >= 0).sum().clamp_min(1)
                loss = loss + HEARD * F.cross_entropy(part, label, ignore_index=-1, reduction="sum") / known
        return loss


def train(preset: str = "nano", minutes: float = 60.0, out: str | Path = "checkpoints/flow",
          data: str | Path = "checkpoints/data", autoencoder: str | Path = "checkpoints/autoencoder",
          clips: int = 3000, stills: int = 0, still_share: float = 1 / 16, seed: int = 1, workers: int = 1,
          batch: int | None = None, device: str | None = None, max_steps: int | None = None, samples: bool = True,
          start: str | Path | None = None, half: bool = False, fall: float = 0.25) -> Path:
    """Train, or go on training, for so many minutes in all; writes finished weights to `out`/weights.

    The latents of `clips` clips, and of `stills` first frames of others, are made once and kept beside the rendered
    shards. A share of the steps learns from stills, eight times as many at once. With `samples`, films of the
    prompts in LOOK are drawn to `out`/look.png now and then. With start, finished weights (a preset's name or a
    folder), it begins with those, their autoencoder included; another seed then brings new clips. fall is the last
    share of the minutes, in which the learning rate falls to nothing: 1 where good weights are to become better. half
    multiplies matrices in bf16 on a CPU too, which some do twice as fast and some hundreds of times slower. Raises
    ValueError for an unknown preset, a folder without a trained autoencoder, or one that holds another training.
    """
    check_preset(preset, PRESETS)
    check_recipe(out, recipe := {"preset": preset, "seed": seed, "start": start})
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
    with first_goes_first():
        store = cache_latents(eyes, words, data, clips, stills, seed=seed, workers=workers).to(device)
    model = FlowModel(eyes.channels, words.vectors.shape[1], **size).to(device)
    model.transformer.scale.copy_(store.scale())
    before = {}
    if start:
        weights = load_weights(start)
        given = {name: value for name, value in weights.flow.items() if not name.startswith("few_step.")}
        model.load_state_dict({**model.state_dict(), **given})
        before = {"before": weights.card["flow_training"]}
    half = half and device.type == "cpu"
    if half:
        use_half_products(model)
    loop = Loop(out, model, optimisers(model, half), minutes=minutes, max_steps=max_steps, every=300, fall=fall,
                recipe=recipe)

    def step(n: int):
        for name, weight in model.named_parameters():                    # helpers do not ship: given weights wait for
            weight.requires_grad_(not start or n >= HELPERS_FIRST or name.startswith(HELPERS))       # them to get going
        draw = torch.Generator().manual_seed(seed * 1_000_003 + n)
        latents, ids, mask, inside, labels = store.batch(batch, draw, still_share)
        films = len(latents)
        known, t = draw_known((films, *latents.shape[2:]), draw), RectifiedFlow().times(films, draw)
        weight = subject_weight(inside, t.to(device))
        mask = mask & (torch.rand(films, 1, generator=draw) >= DROP_CAPTION).to(device)
        noise = torch.randn(latents.shape, generator=torch.Generator(device).manual_seed(draw.initial_seed()),
                            device=device)
        mine = (v[rank::ranks].to(device) for v in (latents, table[ids], mask, known, noise, t, weight, inside,
                                                 labels))
        with autocast(device):
            return model(*mine), len(range(rank, films, ranks))

    loop.run(step, look=(lambda: _look(model, loop, eyes, words, Path(out) / "look.png")) if samples else None)
    card |= {"preset": preset, "text": {"word_width": words.vectors.shape[1], "width": size["width"],
                                        "heads": size["heads"]},
             "transformer": {"channels": eyes.channels, **size}, "commit": _commit(),
             "flow_training": {"minutes": round(loop.spent / 60, 1), "steps": loop.n, "clips_seen": loop.clips,
                               "different_clips": clips, "different_stills": stills, "batch": batch,
                               "data_seed": seed, "device": device.type, **before}}
    if rank:
        return Path(out)
    ships = {name: value for name, value in loop.averaged().items() if not name.startswith(HELPERS)}
    return save_weights(Path(out) / "weights", eyes.state_dict(), ships, card)


def channel_weight(transformer: Transformer) -> torch.Tensor:
    """How much each latent channel counts, (c,): the strong ones more, as it is in them that edges between patches
    show."""
    strong = transformer.scale.sqrt()
    return strong / strong.mean()


def subject_weight(inside: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """How much each patch counts (b, t, h, w), by its share inside subjects and the film's time t (b,).

    A subject's patches count more only where the noise no longer hides where it is (t < 0.8). Above t = 0.95 all count
    alike: a weight that the noisy film does not tell draws the mean towards subjects, which then smear over the frame.
    """
    seen = ((0.95 - t) / 0.15).clamp(0, 1).view(-1, 1, 1, 1)
    return 1 + (SUBJECT_WEIGHT - 1) * seen * (4 * inside).clamp(max=1)


def optimisers(model: FlowModel, half: bool = False) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for everything else."""
    parts = {"qkv": 3, "word_kv": 2, "in_proj_weight": 3}
    hidden, other = {1: [], 2: [], 3: []}, []
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and (".blocks." in name or ".layers." in name):
            hidden[next((n for key, n in parts.items() if key in name), 1)].append(weight)
        else:
            other.append(weight)
    return [Muon([{"params": weights, "parts": n} for n, weights in hidden.items()], lr=MUON_LR,
                 half=half),
            torch.optim.AdamW(other, lr=ADAM_LR, betas=(0.9, 0.98), weight_decay=0.0)]


# --- the cache of latents ---------------------------------------------------------------------------


@dataclass
class LatentStore:
    """Latents and caption tokens in memory, bucketed by shape."""

    # of each shape: latents fp16, ids, mask, each patch's share inside subjects fp16, labels, how often each is drawn
    buckets: list[tuple[torch.Tensor, ...]]

    def scale(self) -> torch.Tensor:
        """The standard deviation of each channel, (c,)."""
        return self.buckets[0][0][:2000].float().std((0, 2, 3, 4))

    def to(self, device: torch.device) -> LatentStore:
        """All of it on a device: 100,000 films take 16 GB."""
        return LatentStore([tuple(tensor.to(device) for tensor in bucket) for bucket in self.buckets])

    def batch(self, size: int, draw: torch.Generator, still_share: float = 1 / 16):
        """Films of one shape: latents (b, c, t, h, w), ids (b, l), mask (b, l), the patches' share inside subjects
        (b, t, h, w) and labels (b, a) as `labels_of` gives them.

        A share of the batches is of stills, 8 times as many; most others are of the films' first halves: more scenes
        for the same computing, and the model learns that films have different lengths.
        """
        still, first_half = torch.rand(2, generator=draw).tolist()
        still, first_half = still < still_share, first_half < 0.75
        buckets = [bucket for bucket in self.buckets if still or bucket[0].shape[2] > 1]
        lengths = torch.tensor([float(len(bucket[0])) for bucket in buckets])
        latents, ids, mask, inside, labels, often = buckets[int(torch.multinomial(lengths, 1, generator=draw))]
        size = 8 * size if still else size
        pick = torch.multinomial(often.cpu(), size, replacement=True, generator=draw)
        words = torch.randint(ids.shape[1], (size,), generator=draw)
        frames = 1 if still else latents.shape[2] // 2 + 1 if first_half else latents.shape[2]
        pick, words = pick.to(latents.device), words.to(latents.device)
        ids, mask = ids[pick, words].long(), mask[pick, words]
        longest = int(mask.sum(1).max())
        return (latents[pick, :, :frames].float(), ids[:, :longest], mask[:, :longest], inside[pick, :frames].float(),
                labels[pick].long())


def cache_latents(eyes: Autoencoder, words: Words, data: str | Path, clips: int, stills: int = 0, *, seed: int,
                  workers: int = 1) -> LatentStore:
    """Render what is missing, encode it once with this autoencoder, and load all of it.

    Stills are of the data seed after this one's, so that they show other scenes than the clips.
    """
    where = next(eyes.parameters()).device
    encoder = [v.cpu().numpy().tobytes() for name, v in eyes.state_dict().items()
               if name.startswith(("to_latent", "encoder", "mean", "std"))]          # another decoder changes nothing
    mark = hashlib.sha256(b"".join(encoder)).hexdigest()[:12]
    shapes: dict[tuple, list] = {}
    shards = [(path, still) for still, number in ((False, clips), (True, stills)) if number
              for path in render_shards(data, number, seed=seed + still, workers=workers, stills=still)]
    for path, still in tqdm(shards, desc="encoding", unit="shard"):
        latents = path.with_name(f"{path.stem}.{mark}.safetensors")
        many = 1 if where.type == "cpu" and not still else 25                        # at once: what is fastest
        if not latents.exists():
            frames, _, _ = load_shard(path)
            with torch.no_grad():
                z = torch.cat([eyes.encode(x.to(where)).cpu()
                               for x in torch.cat([to_floats(clip) for clip in frames]).split(many)])
            beside = latents.with_suffix(f".{os.getpid()}.tmp")
            save_file({"z": z.half().contiguous()}, beside)
            beside.replace(latents)
        scenes = load_scenes(path)
        first = int(path.stem.split("-")[-1]) * len(scenes)
        captions = [text for i, scene in enumerate(scenes) for text in captions_of(scene, seed + still, first + i)]
        ids, mask = (torch.from_numpy(x).view(len(scenes), -1, MAX_WORDS) for x in words.encode(captions, MAX_WORDS))
        shard = {"z": load_file(latents)["z"], "ids": ids.short(), "mask": mask, "inside": shares_inside(path),
                 "labels": torch.tensor([labels_of(scene) for scene in scenes]).char(),
                 "often": torch.tensor([how_often(scene) for scene in scenes])}
        shapes.setdefault(tuple(shard["z"].shape[1:]), []).append(shard)
    return LatentStore([tuple(torch.cat([shard[key] for shard in shards]) for key in ("z", "ids", "mask", "inside",
                                                                                            "labels", "often"))
                        for shards in shapes.values()])


def labels_of(scene: Scene) -> list[int]:
    """Of a scene and its first kind of subject the number of each of ATTRIBUTES, -1 for what is not there."""
    numbers = [-1] * (1 + len(SUBJECT_PARTS))
    if scene.subjects:
        first = scene.subjects[0]
        numbers = [KIND_NAMES.index(first.kind),
                   *(values.index(getattr(first, part)) for part, values in SUBJECT_PARTS.items())]
    return numbers + [values.index(getattr(scene, part)) for part, values in SCENE_PARTS.items()]


def how_often(scene: Scene) -> float:
    """How often a scene is learned from: the basics more often, so that a small model gets to know them first.

    A plain scene is natural in style, in clear weather, of no particular mood and has one kind of subject.
    """
    plain = (scene.style, scene.weather, scene.mood) == ("natural", "clear", "neutral") and len(scene.subjects) < 2
    common = max((COMMON.get(subject.kind, 1.0) for subject in scene.subjects), default=1.0)
    return (PLAIN if plain else 1.0) * common


def shares_inside(path: Path) -> torch.Tensor:
    """How much of each patch of a rendered shard's clips lies inside subjects, (n, t, h, w) fp16 in [0, 1]."""
    masks = load_masks(path)
    masks = torch.from_numpy(np.concatenate([masks[:, :1].repeat(TIME - 1, 1), masks], 1)).half()
    return reduce(masks, "n (t u) (h y) (w x) -> n t h w", "mean", u=TIME, y=SPACE, x=SPACE)


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
        film = sampler_for(model.transformer)(model.transformer, noise, Conditioning(*given, *null), steps=12,
                                              guidance=4.0)
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
