"""Trains the text encoder and the transformer together, on cached latents of the drawn world and its captions."""

from __future__ import annotations

import hashlib
import itertools
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
from ..transformer.model import Transformer, norm
from ..types import NATIVE_FPS, Conditioning
from ..weights import load_weights, save_weights
from ..whole import whole
from ..world.scene import Scene
from .autoencoder import PRESETS as AUTOENCODERS
from .autoencoder import check_preset, load_autoencoder, to_floats
from .compiled import compile_blocks
from .data import captions_of, load_masks, load_scenes, load_shard, render_shards
from .half import use_half_products
from .loop import Loop, check_recipe, first_goes_first, join_processes
from .muon import Muon
from .routing import Routing

PRESETS = {  # the transformer's size, how far its head sees aside in time (`Head`), and how many films a step
    "nano": {"width": 192, "depth": 12, "heads": 6, "beside": 1, "batch": 12},
    "base": {"width": 384, "depth": 14, "heads": 12, "beside": 1, "batch": 384},
}
MUON_LR, ADAM_LR = 0.015, 1.5e-3
SUBJECT_WEIGHT = 4.0     # of patches that a subject fills by a quarter or more, once it can be seen
PLAIN = 3.0              # how much more often a plain scene is learned from, and one with a common subject
COMMON = {"golden retriever": 5.0, "dog": 1.5, "cat": 6.0, "woman": 4.0, "car": 2.0, "dancer": 4.0, "seagull": 6.0}
DROP_CAPTION = 0.1       # so that guidance has something to steer away from
WHERE = 0.5              # how much it counts to say where subjects are, after half of the blocks
WHAT = 0.1               # and of which kind and colour
HEARD = 0.2              # and how much to say each attribute of the scene from the caption's summary
HELPERS, HELPERS_FIRST = ("where.", "heard."), 60     # steps in which the rest does not learn from them
WHOSE = {"kind": len(KIND_NAMES), "colour": len(SUBJECT_PARTS["colour"])}           # a patch of a subject
ATTRIBUTES = {"kind": len(KIND_NAMES), **{part: len(names) for part, names in (SUBJECT_PARTS | SCENE_PARTS).items()}}
LOOK = ("A golden retriever runs through a field of wildflowers with the sun setting in the background.",
        "a woman strolling along a neon-lit Tokyo street", "a red car on a highway at night", "a rotating planet",
        "waves on a beach with seagulls", "a dancer on a stage", "a forest at dawn", "a black cat in snow")


class FlowModel(nn.Module):
    """The two networks that learn together, and two helpers that do not ship.

    From the patches' vectors after half of the blocks, `where` says of each how much of it lies inside a subject, and
    which part of its body that is, of which kind and colour; from the caption's summary, `heard` says each attribute of
    the scene. Whether a dog runs to the left or to the right hardly changes the mean of all films of dogs of all
    colours in all places: without these nobody listens to such words (docs/decisions.md).
    """

    def __init__(self, channels: int, word_width: int, width: int, depth: int, heads: int, beside: int = 0):
        super().__init__()
        self.text = CaptionTransformer(word_width, width, heads)
        self.transformer = Transformer(channels, width, depth, heads, beside)
        self.where = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 3 + sum(WHOSE.values())))
        self.heard = nn.Linear(width, sum(ATTRIBUTES.values()))
        self.routing: Routing | None = None

    def forward(self, latents, vectors, mask, known, noise, t, weight=None, body=None, labels=None,
                apart: bool = False):
        """The loss; with body and labels, that of the helpers too, from which the rest does not learn if `apart`."""
        words, word_mask = self.text(vectors, mask)
        seen = []
        half_way = self.transformer.blocks[len(self.transformer.blocks) // 2 - 1]
        with half_way.register_forward_hook(lambda block, given, tokens: seen.append(tokens)):
            loss = RectifiedFlow().loss(self.transformer, latents, words, word_mask, known, noise, t, weight,
                                        channel_weight(self.transformer))
        if body is not None:
            body = body.flatten(1, 3)
            if len(seen[0][0]) < len(body[0]):                          # the others pass by this block
                body = body[:, self.routing.kept]
            loss = loss + self.of_bodies(seen[0].detach() if apart else seen[0], body, labels)
        if labels is not None:
            summary = words[:, 0].detach() if apart else words[:, 0]
            parts = self.heard(summary).float().split(list(ATTRIBUTES.values()), 1)
            for part, label in zip(parts, labels.unbind(1)):
                known = (label >= 0).sum().clamp_min(1)
                loss = loss + HEARD * F.cross_entropy(part, label, ignore_index=-1, reduction="sum") / known
        return loss

    def of_bodies(self, tokens, body, labels):
        """How wrong the patches (b, n, d) are about what of which body they show (`bodies_in`), (b, n, 3)."""
        inside, place = body[..., 0].clamp(0, 1), body[..., 1:]
        said = self.where(norm(tokens)).float()
        loss = WHERE * F.binary_cross_entropy_with_logits(said[..., 0], inside)
        shown = (inside > 0.25) & ~place.isnan().any(-1)
        if shown.any():
            loss = loss + WHERE * F.mse_loss(said[..., 1:3][shown], place[shown])
            for part, number in zip(said[..., 3:].split(list(WHOSE.values()), -1), labels.T):
                loss = loss + WHAT * F.cross_entropy(part[shown], number[:, None].expand(shown.shape)[shown])
        return loss


def train(preset: str = "nano", minutes: float = 60.0, out: str | Path = "checkpoints/flow",
          data: str | Path = "checkpoints/data", autoencoder: str | Path = "checkpoints/autoencoder",
          clips: int = 3000, stills: int = 0, still_share: float = 1 / 16, seed: int = 1, workers: int = 1,
          batch: int | None = None, device: str | None = None, max_steps: int | None = None, samples: bool = True,
          start: str | Path | None = None, half: bool = False, fall: float = 0.25, rate: float = 1.0,
          compiled: bool = False, keep: float = 0.0, routed: float = 0.0) -> Path:
    """Train, or go on training, for so many minutes in all; writes finished weights to `out`/weights.

    The latents of `clips` clips, and of `stills` first frames of others, are made once and kept beside the rendered
    shards. A share of the steps learns from stills, eight times as many at once. With `samples`, films of the
    prompts in LOOK are drawn to `out`/look.png now and then. With start, finished weights (a preset's name or a
    folder), it begins with those, their autoencoder included; another seed then brings new clips. What it writes has a
    share `keep` of these weights in it, and their few-step student moved along (`along`). fall is the last share of the
    minutes, in which the learning rate falls to nothing: 1 where good weights are to become better, at a share `rate`
    of its height. half multiplies matrices in bf16 on a CPU too, which some do twice as fast and some
    hundreds of times slower; compiled has torch.compile make the blocks faster, for which a C++ compiler is wanted.
    routed is the first share of the minutes, in which half of the places pass by the middle blocks (`Routing`).
    Raises ValueError for an unknown preset, a folder without a trained autoencoder, or one that holds another training;
    for a keep that is not a share, or has nothing to keep; and for a routed that is not a share.
    """
    if not 0 <= keep < 1 or keep and not start:
        raise ValueError(f"keep={keep!r} is a share of the weights that start= names, from 0 to less than 1")
    if not 0 <= routed <= 1:
        raise ValueError(f"routed={routed!r} is a share of the minutes, from 0 to 1")
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
    before, given = {}, {}
    if start:
        weights = load_weights(start)
        given = deepened(weights.flow, weights.card["transformer"]["depth"], size["depth"])
        model.load_state_dict({**model.state_dict(), **{name: value for name, value in given.items()
                                                        if not name.startswith("few_step.")}})
        before = {"before": weights.card["flow_training"], "kept_of_before": keep}
        card |= {"few_step": weights.card["few_step"]} if "few_step" in weights.card else {}
    half = half and device.type == "cpu"
    if half:
        use_half_products(model)
    if compiled:
        compile_blocks(model.transformer, half)
    model.routing = Routing(model.transformer)
    loop = Loop(out, model, optimisers(model, half, rate), minutes=minutes, max_steps=max_steps, every=300, fall=fall,
                recipe=recipe)

    def step(n: int):
        draw = torch.Generator().manual_seed(seed * 1_000_003 + n)
        latents, ids, mask, body, labels = store.batch(batch, draw, still_share)
        films = len(latents)
        known, t = draw_known((films, *latents.shape[2:]), draw), RectifiedFlow().times(films, draw)
        weight = subject_weight(body[..., 0], t.to(device))
        mask = mask & (torch.rand(films, 1, generator=draw) >= DROP_CAPTION).to(device)
        if compiled:                                                     # one length, as each is compiled anew
            ids, mask = (F.pad(v, (0, MAX_WORDS - v.shape[1])) for v in (ids, mask))
        noise = torch.randn(latents.shape, generator=torch.Generator(device).manual_seed(draw.initial_seed()),
                            device=device)
        mine = (v[rank::ranks].to(device) for v in (latents, table[ids], mask, known, noise, t, weight, body,
                                                 labels))
        model.routing.draw = draw if loop.spent < routed * minutes * 60 else None
        with autocast(device):
            return model(*mine, apart=n < HELPERS_FIRST), len(range(rank, films, ranks))

    loop.run(step, look=(lambda: _look(model, loop, eyes, words, Path(out) / "look.png")) if samples else None)
    card |= {"preset": preset, "text": {"word_width": words.vectors.shape[1], "width": size["width"],
                                        "heads": size["heads"]},
             "transformer": {"channels": eyes.channels, **size}, "commit": _commit(),
             "flow_training": {"minutes": round(loop.spent / 60, 1), "steps": loop.n, "clips_seen": loop.clips,
                               "different_clips": clips, "different_stills": stills, "batch": batch,
                               "data_seed": seed, "device": device.type, "routed": routed, **before}}
    if rank:
        return Path(out)
    ships = {name: value for name, value in loop.averaged().items() if not name.startswith(HELPERS)}
    return save_weights(Path(out) / "weights", eyes.state_dict(), along(ships, given, keep), card)


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


def optimisers(model: FlowModel, half: bool = False, rate: float = 1.0) -> list[torch.optim.Optimizer]:
    """Muon for the hidden matrices, AdamW for everything else."""
    parts = {"qkv": 3, "word_kv": 2, "in_proj_weight": 3}
    hidden, other = {1: [], 2: [], 3: []}, []
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and (".blocks." in name or ".layers." in name):
            hidden[next((n for key, n in parts.items() if key in name), 1)].append(weight)
        else:
            other.append(weight)
    return [Muon([{"params": weights, "parts": n} for n, weights in hidden.items()], lr=MUON_LR * rate,
                 half=half),
            torch.optim.AdamW(other, lr=ADAM_LR * rate, betas=(0.9, 0.98), weight_decay=0.0)]


# --- the cache of latents ---------------------------------------------------------------------------


@dataclass
class LatentStore:
    """Latents and caption tokens in memory, bucketed by shape."""

    # of each shape: latents fp16, ids, mask, `bodies_in` fp16, labels, how often each is drawn
    buckets: list[tuple[torch.Tensor, ...]]

    def scale(self) -> torch.Tensor:
        """The standard deviation of each channel, (c,)."""
        return self.buckets[0][0][:2000].float().std((0, 2, 3, 4))

    def to(self, device: torch.device) -> LatentStore:
        """All of it on a device: 100,000 films take 16 GB."""
        return LatentStore([tuple(tensor.to(device) for tensor in bucket) for bucket in self.buckets])

    def batch(self, size: int, draw: torch.Generator, still_share: float = 1 / 16):
        """Films of one shape: latents (b, c, t, h, w), ids (b, l), mask (b, l), what of bodies is in each patch
        (b, t, h, w, 3), as `bodies_in` gives it, and labels (b, a), as `labels_of` does.

        A share of the batches is of stills, 8 times as many; most others are of the films' first halves: more scenes
        for the same computing, and the model learns that films have different lengths.
        """
        still, first_half = torch.rand(2, generator=draw).tolist()
        still, first_half = still < still_share, first_half < 0.75
        buckets = [bucket for bucket in self.buckets if still or bucket[0].shape[2] > 1]
        lengths = torch.tensor([float(len(bucket[0])) for bucket in buckets])
        latents, ids, mask, body, labels, often = buckets[int(torch.multinomial(lengths, 1, generator=draw))]
        size = 8 * size if still else size
        pick = torch.multinomial(often.cpu(), size, replacement=True, generator=draw)
        words = torch.randint(ids.shape[1], (size,), generator=draw)
        frames = 1 if still else latents.shape[2] // 2 + 1 if first_half else latents.shape[2]
        pick, words = pick.to(latents.device), words.to(latents.device)
        ids, mask = ids[pick, words].long(), mask[pick, words]
        longest = int(mask.sum(1).max())
        return (latents[pick, :, :frames].float(), ids[:, :longest], mask[:, :longest], body[pick, :frames].float(),
                labels[pick].long())


def cache_latents(eyes: Autoencoder, words: Words, data: str | Path, clips: int, stills: int = 0, *, seed: int,
                  workers: int = 1) -> LatentStore:
    """Render what is missing, encode it once with this autoencoder, and load all of it.

    Stills are of the data seed after this one's, so that they show other scenes than the clips.
    """
    where = next(eyes.parameters()).device
    encoder = [v.cpu().half().float().numpy().tobytes() for name, v in eyes.state_dict().items()    # as it is kept
               if name.startswith(("to_latent", "encoder", "mean", "std"))]          # another decoder changes nothing
    mark = hashlib.sha256(b"".join(encoder)).hexdigest()[:12]
    shapes: dict[tuple, list] = {}
    shards = [(path, still) for still, number in ((False, clips), (True, stills)) if number
              for path in render_shards(data, number, seed=seed + still, workers=workers, stills=still)]
    for path, still in tqdm(shards, desc="encoding", unit="shard"):
        latents = path.with_name(f"{path.stem}.{mark}.safetensors")
        many = 1 if where.type == "cpu" and not still else 25                        # at once: what is fastest
        if not latents.exists():
            frames = torch.from_numpy(load_shard(path)[0])
            with torch.no_grad():
                z = torch.cat([eyes.encode(to_floats(some.to(where)).contiguous()).cpu()
                               for some in frames.split(many)])
            with whole(latents) as beside:
                save_file({"z": z.half().contiguous()}, beside)
        scenes = load_scenes(path)
        first = int(path.stem.split("-")[-1]) * len(scenes)
        captions = [text for i, scene in enumerate(scenes) for text in captions_of(scene, seed + still, first + i)]
        ids, mask = (torch.from_numpy(x).view(len(scenes), -1, MAX_WORDS) for x in words.encode(captions, MAX_WORDS))
        shard = {"z": load_file(latents)["z"], "ids": ids.short(), "mask": mask, "body": bodies_in(path, scenes),
                 "labels": torch.tensor([labels_of(scene) for scene in scenes]).char(),
                 "often": torch.tensor([how_often(scene) for scene in scenes])}
        shapes.setdefault(tuple(shard["z"].shape[1:]), []).append(shard)
    return LatentStore([tuple(torch.cat([shard[key] for shard in shards]) for key in ("z", "ids", "mask", "body",
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


def bodies_in(path: Path, scenes: list[Scene]) -> torch.Tensor:
    """What of bodies is in each patch of a rendered shard's clips, (n, t, h, w, 3) fp16.

    How much of it lies inside subjects, in [0, 1]; then which part of a subject that is alone its pixels show, from -1
    at its back and its lower edge to 1 at its front (its left, if it faces nowhere) and its upper edge; NaN where there
    is none.
    """
    masks = load_masks(path)                                                              # (n, t, h, w)
    masks = torch.from_numpy(np.concatenate([masks[:, :1].repeat(TIME - 1, 1), masks], 1))
    share = reduce(masks.half(), "n (t u) (h y) (w x) -> n t h w", "mean", u=TIME, y=SPACE, x=SPACE)
    parts = [share]
    for axis in (-1, -2):
        there = masks.any(-2 if axis == -1 else -1)                                       # (n, t, length of the axis)
        steps = torch.arange(there.shape[-1])
        low = torch.where(there, steps, there.shape[-1]).amin(-1, keepdim=True)
        high = torch.where(there, steps, -1).amax(-1, keepdim=True)
        along = 1 - 2 * (steps - low) / (high - low).clamp_min(1)                         # 1 at the left and on top
        along = (along.unsqueeze(-2) if axis == -1 else along.unsqueeze(-1)) * masks
        mean = reduce(along, "n (t u) (h y) (w x) -> n t h w", "mean", u=TIME, y=SPACE, x=SPACE) / share
        parts.append(mean)
    for k, scene in enumerate(scenes):
        if len(scene.subjects) != 1 or scene.subjects[0].count > 1:
            parts[1][k] = parts[2][k] = torch.nan
        elif scene.subjects[0].direction == "right":
            parts[1][k] *= -1
    return torch.stack(parts, -1).half()


def deepened(flow: dict[str, torch.Tensor], before: int, depth: int) -> dict[str, torch.Tensor]:
    """The weights of a flow model, and of its student, with more blocks, which make the same films: behind each of the
    last pairs of blocks comes a copy of it that adds nothing yet (Wu et al. 2024, arXiv:2401.02415)."""
    grown = {name: value for name, value in flow.items() if ".blocks." not in name}
    firsts = range(0, before, 2)
    order = [(k, new) for k in firsts for new in ((False, True) if k >= 2 * before - depth else (False,))]
    for to, (k, new) in zip(range(0, depth, 2), order, strict=True):
        for network, i in itertools.product(("transformer", "few_step"), range(2)):
            start = f"{network}.blocks.{k + i}."
            for part in [name.removeprefix(start) for name in flow if name.startswith(start)]:
                adds = new and part.split(".")[0] in ("out", "word_out", "down")
                grown[f"{network}.blocks.{to + i}.{part}"] = flow[start + part] * (not adds)
    return grown


def along(new: dict[str, torch.Tensor], before: dict[str, torch.Tensor], keep: float) -> dict[str, torch.Tensor]:
    """A flow model's new weights with a share `keep` of those before them (Wortsman et al. 2022, arXiv:2109.01903); and
    the student of those before, to each of whose weights is added what changed in the flow model's of that name."""
    mixed = {name: value.lerp(before[name], keep) if keep else value for name, value in new.items()}
    student = {}
    for name, value in before.items():
        if name.startswith("few_step."):
            flows = name.replace("few_step.", "transformer.", 1)
            student[name] = value + (mixed[flows] - before[flows]) if flows in mixed else value
    return mixed | student


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
    model.load_state_dict(kept)
    films = ((eyes.decode(film.values.float()).clamp(-1, 1) + 1) * 127.5).byte().permute(0, 2, 3, 4, 1).cpu().numpy()
    grid = np.concatenate([np.concatenate(films[i:i + 2], 2) for i in range(0, len(films), 2)], 1)   # (t, 4 h, 2 w, 3)
    videofile.write(path.with_suffix(".mp4"), grid, NATIVE_FPS, {})
    Image.fromarray(np.concatenate([grid[i] for i in (1, 8, 15)], 1)).save(path)


def _commit() -> str:
    """The repository's commit, or "unknown" outside of one."""
    try:
        return subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True,
                              cwd=Path(__file__).parent).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
