"""Converts a trained flow model into one that makes a film in 1, 2, 4 or 8 steps, its guidance folded in.

The student is the flow model with a second time: it learns the mean velocity from t down to r, with which one step of
Euler's method lands where many small ones would (the average velocity of MeanFlow: Geng et al. 2025, arXiv:2505.13447).
It learns that from whole walks of the guided flow model, which are made once and kept: any two points of a walk are a
lesson (as knowledge distillation of Luhman & Luhman 2021, arXiv:2101.02388, does from its two ends). Where a span ends
in a film, that film is also to look like the walk's to the flow model itself: a mean of squares alone leaves heads and
legs soft (as Kang et al. 2024, arXiv:2405.05967, do with a network of their own).
"""

from __future__ import annotations

import copy
import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, distributed, nn
from torch.nn import functional as F
from tqdm import tqdm

from ..device import autocast, pick_device
from ..diffusion.flow import RectifiedFlow, draw_known
from ..diffusion.sampler import WORDS_HELP, Sampler, Skip, shapes, shifted
from ..latent.autoencoder import Autoencoder
from ..latent.text import MAX_WORDS, TextEncoder
from ..prompt.words import Words
from ..transformer.model import Transformer
from ..types import Conditioning
from ..weights import load_weights, save_weights
from ..whole import whole
from .compiled import compile_blocks
from .flow import DROP_CAPTION, LOOK, PRESETS, LatentStore, cache_latents, channel_weight, optimisers
from .half import use_half_products
from .loop import Loop, check_recipe, first_goes_first, join_processes

STEPS = (8, 4, 2, 1)                     # what the student is taught: a span is one step of so many
SHARES = (0.25, 0.6, 0.1, 0.05)          # of the films in a batch, for each of these
LAST = 0.3                               # of the films, whatever the shares: the last of four steps, which draws edges
LOOKS = 6.0                              # how much it counts that films look alike to the flow model
SUBSTEPS = 2                             # of the flow model in the shortest span: 16 for a film
RATE = 0.3                               # of the learning rates that the flow model began with


def train(start: str | Path = "nano", minutes: float = 60.0, out: str | Path = "checkpoints/few_step",
          data: str | Path = "checkpoints/data", *, walks: int = 100, clips: int = 3000, stills: int = 0,
          still_share: float = 1 / 16, guidance: float = 4.0, seed: int = 1, workers: int = 1, batch: int | None = None,
          device: str | None = None, max_steps: int | None = None, samples: bool = True, half: bool = False,
          compiled: bool = False, default: bool = True) -> Path:
    """Train, or go on training, for so many minutes in all; writes finished weights to `out`/weights.

    These are those of `start` (a preset's name or a folder) and the student's beside them. First it makes `walks`
    batches of walks, which stay in `data` and do not count as minutes. With `samples`, films in 1, 2, 4 and 8 steps
    are drawn to `out`/look.png now and then. clips, stills, still_share, half and compiled as in
    `sorakit.training.flow.train`. default goes into the card: whether a call that does not say how many steps takes 4
    of these. Raises ValueError for weights that are not there, no walks or a guidance below 1.
    """
    if not guidance >= 1:
        raise ValueError(f"guidance={guidance!r} is too little: it takes 1 (none) or more")
    if walks < 1:
        raise ValueError(f"walks={walks!r} is too few: it takes 1 or more batches")
    weights, words = load_weights(start), Words.load()
    skip = shapes(weights.card["transformer"]["depth"]) if guidance > 1 else None
    check_recipe(out, recipe := {"start": start, "seed": seed, "guidance": guidance, "interval": WORDS_HELP,
                                 "skip": skip})
    rank, ranks = join_processes()
    device = pick_device(device)
    torch.manual_seed(seed)
    batch = batch or min(256, PRESETS.get(weights.card["preset"], PRESETS["nano"])["batch"])    # two networks' graphs
    eyes = Autoencoder.from_weights(weights).to(device)
    text = TextEncoder.from_weights(weights, words)
    text.network.to(device)
    table = torch.from_numpy(words.vectors).to(device)
    student, teacher = Student(weights).to(device), Transformer.from_weights(weights).to(device)
    half = half and device.type == "cpu"
    if half:
        use_half_products(teacher)
    flow = [value.numpy().tobytes() for name, value in sorted(weights.flow.items()) if not name.startswith("few_step.")]
    guide = Guide(teacher, text, table, guidance, hashlib.sha256(b"".join(flow)).hexdigest(), skip)
    with first_goes_first():
        store = cache_latents(eyes, words, data, clips, stills, seed=seed, workers=workers).to(device)
    paths = guide.paths(Path(data), walks, batch, still_share, seed)
    guide.walk(paths[rank::ranks], store, batch, still_share)
    if ranks > 1:
        distributed.barrier()
    made = [Walks(**load_file(path)) for path in paths]
    loop = Loop(out, student, rates(student, half), minutes=minutes, max_steps=max_steps, every=300,
                recipe=recipe)
    average = copy.deepcopy(student).requires_grad_(False)
    average.load_state_dict(loop.average, assign=True)               # the very tensors: it moves as the average does
    if half:
        for network in (student, average):
            use_half_products(network)
    if compiled:
        compile_blocks(student.few_step, half)
    strong = channel_weight(teacher)

    def step(n: int):
        draw = torch.Generator().manual_seed(seed * 1_000_003 + n)
        some = made[int(torch.randint(len(made), (), generator=draw))]
        films = some.known.shape[0]
        these, *span = (v[rank::ranks] for v in (torch.arange(films), *draw_spans(films, draw)))
        with autocast(device):
            return some.loss(student.few_step, guide, these, *span, strong, draw), len(these)

    look = lambda: draw_look(average.few_step, text, eyes, Path(out) / "look.png")
    loop.run(step, look=look if samples and rank == 0 else None)
    card = {**weights.card, "few_step": {"guidance": guidance, "guidance_times": WORDS_HELP,
                                     "skip": skip and asdict(skip), "steps": 4, "default": default,
                                     "taught": sorted(STEPS), "training": {
        "minutes": round(loop.spent / 60, 1), "steps": loop.n, "films_seen": loop.clips,
        "walks": sum(len(some.known) for some in made), "data_seed": seed, "device": device.type}}}
    if rank:
        return Path(out)
    return save_weights(Path(out) / "weights", weights.autoencoder, {**weights.flow, **loop.averaged()}, card)


class Student(nn.Module):
    """The flow model with a second time, under the name by which its weights are kept; or the student that the weights
    have already, which goes on."""

    def __init__(self, weights):
        super().__init__()
        self.few_step = Transformer(**weights.card["transformer"], two_times=True)
        flow = {name.removeprefix("transformer."): value for name, value in weights.flow.items()
                if name.startswith("transformer.")}
        before = {name.removeprefix("few_step."): value for name, value in weights.flow.items()
                  if name.startswith("few_step.")}
        self.few_step.load_state_dict({**self.few_step.state_dict(), **flow, **before})


def rates(student: Student, half: bool = False) -> list[torch.optim.Optimizer]:
    """The optimisers of the flow model, with gentler steps."""
    chosen = optimisers(student, half)
    for group in (group for optimiser in chosen for group in optimiser.param_groups):
        group["lr"] *= RATE
    return chosen


# --- the lessons ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Guide:
    """The flow model, guided: whom the student is to follow."""

    teacher: nn.Module
    text: TextEncoder
    table: Float[Tensor, "v d"]              # the vector of each word
    guidance: float
    mark: str                                # of its weights
    skip: Skip | None = None

    def paths(self, data: Path, walks: int, batch: int, still_share: float, seed: int) -> list[Path]:
        """Where batches of walks are kept: another flow model, or another guidance, makes others."""
        made_by = (self.mark, self.guidance, WORDS_HELP, self.skip, batch, still_share)
        mark = hashlib.sha256(repr(made_by).encode()).hexdigest()
        return [data / f"walks-{mark[:12]}-{seed}-{k:04d}.safetensors" for k in range(walks)]

    @torch.no_grad()
    def walk(self, paths: list[Path], store: LatentStore, batch: int, still_share: float) -> None:
        """Make those batches of walks that are not there: by the store's captions, some latents of its films known."""
        for path in tqdm(paths, desc="walking", unit="batch", disable=all(path.exists() for path in paths)):
            if path.exists():
                continue
            seed, k = (int(number) for number in path.stem.split("-")[-2:])
            draw = torch.Generator().manual_seed(seed * 1_000_003 + k)
            x0, ids, mask, *_ = store.batch(batch, draw, still_share)
            known = draw_known((len(x0), *x0.shape[2:]), draw).to(x0.device)
            mask = mask & (torch.rand(len(x0), 1, generator=draw) >= DROP_CAPTION).to(x0.device)
            noise = torch.randn(x0.shape, generator=draw).to(x0)
            walker = Sampler(method="dpmpp_2m", interval=WORDS_HELP, skip=self.skip)
            steps = list(walker.steps(self.teacher, noise, self.asked(ids, mask), x0, known, guidance=self.guidance,
                                      steps=SUBSTEPS * max(STEPS)))
            x = torch.stack([step.x for step in steps[::SUBSTEPS]] + [steps[-1].x_next])
            ids, mask = (F.pad(v, (0, MAX_WORDS - v.shape[1])) for v in (ids, mask))     # of one length
            kept = {"x": x.half(), "ids": ids, "mask": mask, "known": known}
            with whole(path) as beside:
                save_file({name: value.cpu().contiguous() for name, value in kept.items()}, beside)

    def unlike(self, film, other, known: Bool[Tensor, "b t h w"], vectors, mask,
               draw: torch.Generator) -> Float[Tensor, ""]:
        """How differently the flow model sees two films (b, c, t, h, w), both noised alike: mean squared distance of
        its patches after a quarter, a half and three quarters of the blocks, each of length one, where nothing is
        known. 0 for the same film. The noise is faint to middling, as what is seen through more is not shapes."""
        u = 0.02 + 0.3 * torch.rand(len(film), 1, 1, 1, generator=draw)
        t = shifted(u).to(film).expand(known.shape).masked_fill(known, 0.0)
        noise = torch.randn(film.shape, generator=draw).to(film)
        depth = len(self.teacher.blocks)
        names = {f"blocks.{max(1, round(depth * share)) - 1}" for share in (0.25, 0.5, 0.75)}

        def seen(x):
            patches = []
            with self.teacher.watch(names, lambda name, value: patches.append(F.rms_norm(value, value.shape[-1:]))):
                self.teacher(RectifiedFlow().interpolate(x, noise, t), t, vectors, mask)
            return torch.stack(patches)                                                      # (blocks, b, n, d)

        with torch.no_grad():
            wanted = seen(other)
        apart = (seen(film) - wanted).square().mean(-1) * ~known.flatten(1)
        return apart.sum() / (len(names) * (~known).sum().clamp_min(1))

    def asked(self, ids, mask) -> Conditioning:
        """Captions, each against the one null caption."""
        return against(*self.text.network(self.table[ids], mask), *self.text.encode([""]))


@dataclass(frozen=True, eq=False)
class Walks:
    """A batch of walks from noise to films, at even times 1, 7/8, ... 0; steps of samplers are equally long in them."""

    x: Float[Tensor, "u b c t h w"]
    ids: Int[Tensor, "b l"]
    mask: Bool[Tensor, "b l"]
    known: Bool[Tensor, "b t h w"]

    def loss(self, student, guide: Guide, which: Int[Tensor, " n"], begin: Int[Tensor, " n"], end: Int[Tensor, " n"],
             channel_weight: Float[Tensor, " c"] | None = None, draw: torch.Generator | None = None
             ) -> Float[Tensor, ""]:
        """Mean squared error of the mean velocity between two points of each of these walks, over the tokens that are
        not known, each channel counting by its weight. With draw, also how unlike films look where spans end in one."""
        device = guide.table.device
        x, x_next = (self.x[at, which].to(device).float() for at in (begin, end))
        known = self.known[which].to(device)
        t, t_next = (time_at(at.to(device), known) for at in (begin, end))
        with torch.no_grad():
            asked = guide.asked(self.ids[which].to(device), self.mask[which].to(device))
        target = (x - x_next) / (t - t_next).masked_fill(known, 1.0).unsqueeze(1)
        velocity = student(x, t, asked.vectors, asked.mask, span=t - t_next).float()
        error = (velocity - target).square()
        error = (error if channel_weight is None else error * channel_weight.view(-1, 1, 1, 1)).mean(1)
        loss = ((error * ~known).flatten(1).sum(1) / (~known).flatten(1).sum(1).clamp_min(1)).mean()    # films alike
        made = (end == len(self.x) - 1).nonzero().squeeze(1).to(device)                               # whole films
        if draw is None or not len(made):
            return loss
        film = x - (t - t_next).unsqueeze(1) * velocity
        return loss + LOOKS * guide.unlike(*(v[made] for v in (film, x_next, known, asked.vectors, asked.mask)), draw)


def draw_spans(n: int, draw: torch.Generator) -> tuple[Int[Tensor, " n"], Int[Tensor, " n"]]:
    """Between which points of walks n spans lie: lengths in their SHARES, half of them steps of a sampler that starts
    from noise, half anywhere; but a share of LAST the last of four steps."""
    most = max(STEPS)
    length = most // torch.tensor(STEPS)[torch.multinomial(torch.tensor(SHARES), n, replacement=True, generator=draw)]
    place, free, last = torch.rand(3, n, generator=draw)
    begin = torch.where(free < 0.5, (place * (most // length)).long() * length, (place * (most + 1 - length)).long())
    length = torch.where(last < LAST, most // 4, length)
    begin = torch.where(last < LAST, most - length, begin)
    return begin, begin + length


def time_at(point: Int[Tensor, " b"], known: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b t h w"]:
    """Each token's own time at a point of a walk: the film's, or 0 where it is known."""
    return shifted(1 - point / max(STEPS)).view(-1, 1, 1, 1).expand(known.shape).masked_fill(known, 0.0)


def against(vectors, mask, null_vectors, null_mask) -> Conditioning:
    """Captions, each against the one null caption."""
    return Conditioning(vectors, mask, null_vectors.expand(len(vectors), -1, -1), null_mask.expand(len(vectors), -1))


@torch.no_grad()
def draw_look(student, text: TextEncoder, eyes: Autoencoder, path: Path) -> None:
    """The middle frames of films of the first prompts in LOOK: a row each for 1, 2, 4 and 8 steps."""
    device = next(student.parameters()).device
    asked = against(*text.encode(list(LOOK[:4])), *text.encode([""]))
    noise = torch.randn((4, eyes.channels, 5, 5, 9), generator=torch.Generator().manual_seed(0)).to(device)
    rows = []
    for steps in sorted(STEPS):
        with autocast(device):
            films = Sampler(method="few_step")(student, noise, asked, steps=steps)
        frames = eyes.decode(films.values.float())[:, :, 4].clamp(-1, 1)                    # (b, 3, h, w)
        rows.append(np.concatenate(((frames + 1) * 127.5).byte().permute(0, 2, 3, 1).cpu().numpy(), 1))
    with whole(path) as beside:
        Image.fromarray(np.concatenate(rows)).save(beside)
