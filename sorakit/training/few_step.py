"""Converts a trained flow model into one that makes a film in 1, 2, 4 or 8 steps, its guidance folded in.

The student is the flow model with a second time: it learns the mean velocity from t down to r, with which one step of
Euler's method lands where many small ones would. Short spans it learns from the flow model, guided and walking in small
steps; spans twice as long from its own running average, walking in two (progressive distillation, Salimans & Ho 2022,
arXiv:2202.00512, in one network for all spans, as shortcut models: Frans et al. 2024, arXiv:2410.12557).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from PIL import Image
from torch import Tensor, nn

from ..device import autocast, pick_device
from ..diffusion.flow import RectifiedFlow, draw_known
from ..diffusion.sampler import Sampler, shifted, velocities
from ..latent.autoencoder import Autoencoder
from ..latent.text import TextEncoder
from ..prompt.words import Words
from ..transformer.model import Transformer
from ..types import Conditioning
from ..weights import load_weights, save_weights
from .flow import DROP_CAPTION, LOOK, PRESETS, SUBJECT_WEIGHT, cache_latents, channel_weight, optimisers
from .half import use_half_products
from .loop import Loop, first_goes_first, join_processes

STEPS = (8, 4, 2, 1)                     # what the student is taught: a span is one step of so many
SHARES = (0.4, 0.3, 0.2, 0.1)            # of the films in a batch, for each of these
SUBSTEPS = 3                             # of the flow model in the shortest span: 24 for a film
OWN = 0.5                                # share of the films that start where the student itself has come
RATE = 0.3                               # of the learning rates that the flow model began with


def train(start: str | Path = "nano", minutes: float = 60.0, out: str | Path = "checkpoints/few_step",
          data: str | Path = "checkpoints/data", *, clips: int = 3000, stills: int = 0, still_share: float = 1 / 16,
          guidance: float = 4.0, seed: int = 1, workers: int = 1, batch: int | None = None, device: str | None = None,
          max_steps: int | None = None, samples: bool = True, half: bool = False) -> Path:
    """Train, or go on training, for so many minutes in all; writes finished weights to `out`/weights.

    These are those of `start` (a preset's name or a folder) and the student's beside them. With `samples`, films in
    1, 2, 4 and 8 steps are drawn to `out`/look.png now and then. clips, stills, still_share and half as in
    `sorakit.training.flow.train`. Raises ValueError for weights that are not there or a guidance below 1.
    """
    if not guidance >= 1:
        raise ValueError(f"guidance={guidance!r} is too little: it takes 1 (none) or more")
    rank, ranks = join_processes()
    device = pick_device(device)
    torch.manual_seed(seed)
    weights, words = load_weights(start), Words.load()
    batch = batch or PRESETS.get(weights.card["preset"], PRESETS["nano"])["batch"]
    eyes = Autoencoder.from_weights(weights).to(device)
    text = TextEncoder.from_weights(weights, words)
    text.network.to(device)
    table = torch.from_numpy(words.vectors).to(device)
    with first_goes_first():
        store = cache_latents(eyes, words, data, clips, stills, seed=seed, workers=workers).to(device)
    student, teacher = Student(weights).to(device), Transformer.from_weights(weights).to(device)
    half = half and device.type == "cpu"
    loop = Loop(out, student, rates(student, half), minutes=minutes, max_steps=max_steps, every=300)
    average = copy.deepcopy(student).requires_grad_(False)
    average.load_state_dict(loop.average, assign=True)               # the very tensors: it moves as the average does
    if half:
        for network in (student, average, teacher):
            use_half_products(network)
    lessons = Lessons(teacher, average.few_step, guidance)
    strong = channel_weight(teacher)
    null = text.encode([""])

    def step(n: int):
        draw = torch.Generator().manual_seed(seed * 1_000_003 + n)
        latents, ids, mask, inside = store.batch(batch, draw, still_share)
        size, weight = len(latents), 1 + (SUBJECT_WEIGHT - 1) * (4 * inside).clamp(max=1)
        known, spans = draw_known((size, *latents.shape[2:]), draw), draw_spans(size, draw)
        own = torch.rand(size, generator=draw) < OWN * min(1.0, n / 500)
        mask = mask & (torch.rand(size, 1, generator=draw) >= DROP_CAPTION).to(device)
        noise = torch.randn(latents.shape, generator=torch.Generator(device).manual_seed(draw.initial_seed()),
                            device=device)
        latents, noise, ids, mask, weight, known, own, *spans = (v[rank::ranks].to(device) for v in (
            latents, noise, ids, mask, weight, known, own, *spans))
        with autocast(device):
            with torch.no_grad():
                asked = against(*text.network(table[ids], mask), *null)
            return lessons.loss(student.few_step, latents, noise, asked, known, own, *spans, weight,
                                strong), len(latents)

    look = lambda: draw_look(average.few_step, text, eyes, Path(out) / "look.png")
    loop.run(step, look=look if samples and rank == 0 else None)
    card = {**weights.card, "few_step": {"guidance": guidance, "steps": 4, "taught": sorted(STEPS), "training": {
        "minutes": round(loop.spent / 60, 1), "steps": loop.n, "clips_seen": loop.clips, "different_clips": clips,
        "different_stills": stills, "batch": batch, "data_seed": seed, "device": device.type}}}
    if rank:
        return Path(out)
    return save_weights(Path(out) / "weights", weights.autoencoder, {**weights.flow, **loop.averaged()}, card)


class Student(nn.Module):
    """The flow model with a second time, under the name by which its weights are kept."""

    def __init__(self, weights):
        super().__init__()
        self.few_step = Transformer(**weights.card["transformer"], two_times=True)
        flow = {name.removeprefix("transformer."): value for name, value in weights.flow.items()
                if name.startswith("transformer.")}
        self.few_step.load_state_dict({**self.few_step.state_dict(), **flow})


def rates(student: Student, half: bool = False) -> list[torch.optim.Optimizer]:
    """The optimisers of the flow model, with gentler steps."""
    chosen = optimisers(student, half)
    for group in (group for optimiser in chosen for group in optimiser.param_groups):
        group["lr"] *= RATE
    return chosen


@dataclass(frozen=True)
class Lessons:
    """What the student is to say, from a flow model and from the student's running average. Times u are even ones: the
    samplers' steps are equally long in them."""

    teacher: nn.Module
    average: nn.Module
    guidance: float

    def loss(self, student, x0: Float[Tensor, "b c t h w"], noise: Float[Tensor, "b c t h w"], asked: Conditioning,
             known: Bool[Tensor, "b t h w"], own: Bool[Tensor, " b"], u: Float[Tensor, " b"],
             u_next: Float[Tensor, " b"], weight: Float[Tensor, "b t h w"] | None = None,
             channel_weight: Float[Tensor, " c"] | None = None) -> Float[Tensor, ""]:
        """Mean squared error of the mean velocity from u to u_next, over the tokens that are not known, each counting
        by its weight and each channel by its own."""
        with torch.no_grad():
            x = self.starts(x0, noise, asked, known, own & (u < 1), u)
            end, fine = torch.empty_like(x), u - u_next < 1.5 / max(STEPS)
            for some, walk in ((fine, self.taught), (~fine, self.halved)):
                if some.any():
                    end[some] = walk(x[some], u[some], u_next[some], of(asked, some), known[some])
            t, span = at(u, known), at(u, known) - at(u_next, known)
            target = (x - end) / span.masked_fill(known, 1.0).unsqueeze(1)
        error = (student(x, t, asked.vectors, asked.mask, span=span).float() - target).square()
        error = (error if channel_weight is None else error * channel_weight.view(-1, 1, 1, 1)).mean(1)
        weight = (torch.ones_like(error) if weight is None else weight) * ~known
        return ((error * weight).flatten(1).sum(1) / weight.flatten(1).sum(1).clamp_min(1)).mean()   # films alike

    def starts(self, x0, noise, asked, known, own, u) -> Float[Tensor, "b c t h w"]:
        """Films noised to u; `own` ones are where the student itself comes from noise, in two steps."""
        x = RectifiedFlow().interpolate(x0, noise, at(u, known))
        if own.any():
            walked, one = torch.where(known.unsqueeze(1), x0, noise)[own], torch.ones_like(u)[own]
            x[own] = self.halved(walked, one, u[own], of(asked, own), known[own])
        return x

    def taught(self, x, u, u_next, asked, known):
        """The end of a span, by the guided flow model in SUBSTEPS steps of Euler's method."""
        for k in range(SUBSTEPS):
            t, t_next = (at(torch.lerp(u, u_next, j / SUBSTEPS), known) for j in (k, k + 1))
            given, free = velocities(self.teacher, x, t, asked, self.guidance, 8.0)
            velocity = given if free is None else free + self.guidance * (given - free)
            x = x - (t - t_next).unsqueeze(1) * velocity
        return x

    def halved(self, x, u, u_next, asked, known):
        """The end of a span, by the student's average in two steps."""
        middle = (u + u_next) / 2
        for a, b in ((u, middle), (middle, u_next)):
            t, span = at(a, known), at(a, known) - at(b, known)
            x = x - span.unsqueeze(1) * self.average(x, t, asked.vectors, asked.mask, span=span)
        return x


def draw_spans(n: int, draw: torch.Generator) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Where n spans begin and end, in even times: lengths in their SHARES, half of them steps of a sampler that starts
    at 1, half anywhere."""
    lengths = 1 / torch.tensor(STEPS)
    length = lengths[torch.multinomial(torch.tensor(SHARES), n, replacement=True, generator=draw)]
    place, free = torch.rand(2, n, generator=draw)
    step = length * (1 + (place / length).floor())
    u = torch.where(free < 0.5, step.clamp(max=1.0), length + place * (1 - length))
    return u, (u - length).clamp_min(0.0)


def at(u: Float[Tensor, " b"], known: Bool[Tensor, "b t h w"]) -> Float[Tensor, "b t h w"]:
    """Each token's own time: the film's, or 0 where it is known."""
    return shifted(u).view(-1, 1, 1, 1).expand(known.shape).masked_fill(known, 0.0)


def of(asked: Conditioning, some: Bool[Tensor, " b"]) -> Conditioning:
    """What some of the films are asked to be."""
    return Conditioning(asked.vectors[some], asked.mask[some], asked.null_vectors[some], asked.null_mask[some])


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
    beside = path.with_suffix(".tmp.png")
    Image.fromarray(np.concatenate(rows)).save(beside)
    beside.replace(path)
