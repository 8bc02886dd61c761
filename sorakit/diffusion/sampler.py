"""From noise to a film: the sampler is a generator, and each of its steps can be looked into and changed."""

from __future__ import annotations

import contextlib
import functools
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from ..device import autocast
from ..types import Conditioning, DenoisingStep, Latents
from .guidance import GUIDES, Guide, Split
from .solvers import SOLVERS, At, Solver

SHIFT = 4.0


@dataclass(frozen=True, eq=False)
class Change:
    """What a learner changes between two steps; None leaves it as it is."""

    x: Float[Tensor, "b c t h w"] | None = None              # x_next
    guidance: float | None = None
    conditioning: Conditioning | None = None
    known: Float[Tensor, "b c t h w"] | None = None
    mask: Bool[Tensor, "b t h w"] | None = None


@dataclass(frozen=True)
class Skip:
    """Guidance away from a worse network, the same one without some of its parts: `scale` times the difference is added
    to whatever the guide makes of the prompt, at times in (low, high].

    What both know, the place and its light, is not pushed; what only the whole one knows, how the patches of a subject
    belong together, is. It is skip-layer guidance as films have it (Hyung et al. 2024, arXiv:2411.18664), for which the
    parts that look around are switched off, not whole layers.
    """

    parts: tuple[str, ...]           # names or patterns, see `transformer.names()`; with guidance 1 they stay on
    scale: float = 1.0
    interval: tuple[float, float] = (0.0, 1.0)


# What is where is decided early, by the words; then shapes are, by how the patches see each other. Either kind of
# guidance costs an evaluation, so each has its own times.
WORDS_HELP = (0.7, 1.0)
SHAPES = (0.2, 0.7)


def shapes(depth: int) -> Skip:
    """Guidance to shapes, for a transformer of so many blocks: without the attention over space of the second and the
    third block that has it."""
    return Skip(tuple(f"blocks.{min(k, (depth - 1) // 2 * 2)}.space" for k in (2, 4)), 2.0, SHAPES)


@dataclass
class Sampler:
    """Walks from noise to a film along the learned velocity.

    Args:
        method: how a step is made: one of `solvers.SOLVERS` by name, or a function like them.
        guide: how the prompt pulls: one of `guidance.GUIDES` by name, or a function like them.
        interval: guidance acts at times in (low, high] only, and elsewhere costs nothing (Kynkäänniemi et al. 2024,
            arXiv:2404.07724).
        shift: of the times of the steps, see `schedule`.
        skip: also guides away from what the network makes of it without some of its parts, if these have names (one
            without `watch` has none).
    """

    steps_default: int = 25
    guidance_default: float = 4.0
    method: str | Solver = "euler"
    guide: str | Guide = "cfg"
    interval: tuple[float, float] = (0.0, 1.0)
    shift: float = SHIFT
    skip: Skip | None = None

    def __call__(self, transformer, noise, conditioning: Conditioning, known=None, mask=None, *,
                 steps: int | None = None, guidance: float | None = None, fps: float = 8.0,
                 times: Sequence[float] | None = None, generator: torch.Generator | None = None,
                 began: Float[Tensor, "b c t h w"] | None = None, first: int = 0,
                 callback: Callable[[DenoisingStep], None] | None = None) -> Latents:
        """All the steps: noise (b, c, t, h, w) to `Latents`. callback sees each `DenoisingStep` as it is made."""
        for step in self.steps(transformer, noise, conditioning, known, mask, steps=steps, guidance=guidance, fps=fps,
                               times=times, generator=generator, began=began, first=first):
            if callback:
                callback(step)
        return Latents(step.x_next, fps)

    @torch.no_grad()
    def steps(self, transformer, noise: Float[Tensor, "b c t h w"], conditioning: Conditioning,
              known: Float[Tensor, "b c t h w"] | None = None, mask: Bool[Tensor, "b t h w"] | None = None, *,
              steps: int | None = None, guidance: float | None = None, fps: float = 8.0,
              times: Sequence[float] | None = None, generator: torch.Generator | None = None,
              began: Float[Tensor, "b c t h w"] | None = None, first: int = 0) -> Iterator[DenoisingStep]:
        """Yield every step. Where mask is True the film is given by `known` and does not change.

        What a learner puts back is what the next steps use: `generator.send(x)` replaces x_next, `send(Change(...))`
        also guidance, words or what is known; a solver that learns from its past begins anew there. `times` replace
        the schedule: they fall from where `noise` is (1, or less for a film that is part-noised) to 0, or to where to
        stop. Ancestral steps draw from `generator`, or else each film from its own noise, or from `began`, of a film
        that goes on from a later time, at step number `first`. Raises ValueError for less than one step, a mask without
        known latents, times that do not fall, an unknown method or guide, or guidance of few-step weights, in which it
        is folded.
        """
        solve, guide = pick("method", self.method, SOLVERS), pick("guide", self.guide, GUIDES)
        few = self.method == "few_step"
        guidance = (1.0 if few else self.guidance_default) if guidance is None else guidance
        if few and guidance != 1:
            raise ValueError(f"guidance={guidance!r} cannot be had from few-step weights: it is folded into them; "
                             "leave it out, or take another method with the flow model's weights")
        times = check_times(schedule(self.steps_default if steps is None else steps, self.shift)
                            if times is None else times)
        if (known is None) != (mask is None):
            raise ValueError("known and mask go together: known holds the given latents, mask says where they are")
        if mask is None:
            mask = torch.zeros(noise.shape[0], *noise.shape[2:], dtype=torch.bool, device=noise.device)
            known = noise
        where, has_parts = mask.unsqueeze(1), self.skip is not None and hasattr(transformer, "watch")
        past, memory, fresh = [], {}, noise_of(noise if began is None else began, generator)

        def look(x, t, t_next, k):
            """Velocity after guidance, with the prompt, without it, and without some parts."""
            within = lambda interval: interval[0] < t <= interval[1]
            scale = guidance if within(self.interval) else 1.0
            skip = self.skip if has_parts and guidance != 1 and within(self.skip.interval) else None
            each = lambda value: torch.full(mask.shape, value, device=x.device, dtype=x.dtype).masked_fill(mask, 0.0)
            made = velocities(transformer, x, each(t), conditioning, scale, fps, each(t - t_next) if few else None,
                              skip.parts if skip else ())
            conditional, unconditional, skipped = (v if v is None else v.masked_fill(where, 0.0) for v in made)
            velocity = conditional if unconditional is None else guide(
                Split(conditional, unconditional, scale, x.masked_fill(where, 0.0), t, k, memory))
            if skip:
                velocity = velocity + skip.scale * (conditional - skipped)
            return velocity, conditional, unconditional, skipped, scale

        x = torch.where(where, known, noise)
        for k, (t, t_next) in enumerate(itertools.pairwise(times), first):
            velocity, conditional, unconditional, skipped, scale = look(x, t, t_next, k)
            at = At(x, t, t_next, velocity, x - t * velocity, past, lambda x, t, k=k: look(x, t, t, k)[0],
                    functools.partial(fresh, t))
            step = DenoisingStep(k, t, t_next, x, velocity, at.x0, torch.where(where, known, solve(at)),
                                 conditional, unconditional, scale, folded=few, skipped=skipped)
            change, x = (yield step), step.x_next
            if change is not None:
                change = change if isinstance(change, Change) else Change(x=change)
                now = lambda new, old: old if new is None else new
                guidance, conditioning = now(change.guidance, guidance), now(change.conditioning, conditioning)
                known, mask = now(change.known, known), now(change.mask, mask)
                where = mask.unsqueeze(1)
                x = torch.where(where, known, now(change.x, x))
                past.clear(), memory.clear()
                yield step


def schedule(steps: int, shift: float = SHIFT) -> list[float]:
    """Times from 1 to 0, denser near the noise for shift > 1, where the layout is decided (Esser et al. 2024).

    Raises ValueError for less than one step.
    """
    if steps < 1:
        raise ValueError(f"steps={steps!r} is too few: it takes 1 or more")
    return [shifted(1 - k / steps, shift) for k in range(steps + 1)]


def shifted(u, shift: float = SHIFT):
    """The time of an even time u in [0, 1]; for numbers and tensors."""
    return shift * u / (1 + (shift - 1) * u)


def check_times(times: Sequence[float]) -> list[float]:
    times = [float(t) for t in times]
    if len(times) < 2 or not 0 <= times[-1] < times[0] <= 1 or any(a <= b for a, b in itertools.pairwise(times)):
        raise ValueError(f"times={times!r} do not fit: they take two or more that fall, from 1 at most to 0 at least")
    return times


def velocities(transformer, x, t_tokens, conditioning: Conditioning, guidance: float, fps: float, span=None,
               skip: Sequence[str] = ()):
    """The velocity with the prompt, without it, and with it but without the parts `skip`, in one batch; without
    guidance (1) the second is None, and without parts the third. CUDA multiplies matrices in bf16.

    With span (b, t, h, w), the mean velocity over that much time from t down: what few-step weights know.
    """
    films, given = len(x), [(conditioning.vectors, conditioning.mask)]
    if guidance != 1:
        given.append((conditioning.null_vectors, conditioning.null_mask))
    if skip:
        given.append(given[0])
    length = max(vectors.shape[1] for vectors, _ in given)
    vectors = torch.cat([F.pad(v.expand(films, -1, -1), (0, 0, 0, length - v.shape[1])) for v, _ in given])
    mask = torch.cat([F.pad(m.expand(films, -1), (0, length - m.shape[1])) for _, m in given])
    times, more = len(given), {} if span is None else {"span": span.repeat(len(given), 1, 1, 1)}

    def off(name, value):
        return torch.cat([value[:-films], torch.zeros_like(value[-films:])])

    with autocast(x.device), transformer.watch(skip, off) if skip else contextlib.nullcontext():
        made = list(transformer(x.repeat(times, 1, 1, 1, 1), t_tokens.repeat(times, 1, 1, 1), vectors, mask, fps,
                                **more).chunk(times))
    return made[0], made[1] if guidance != 1 else None, made[-1] if skip else None


def noise_of(noise: Float[Tensor, "b c t h w"], generator: torch.Generator | None) -> Callable[[float], Tensor]:
    """Draws more noise of this shape for a step at time t, on the CPU: from the generator, or each film from what its
    own noise and the time seed, so that the same noise makes the same film, alone or among others, from any step on."""
    if generator:
        return lambda t: torch.randn(noise.shape, generator=generator).to(noise)
    own = [film.flatten()[0].float().cpu().view(torch.int32).item() for film in noise]
    seed = lambda film, t: zlib.crc32(struct.pack("<if", film, t))                # torch heeds 32 bits of a seed
    draw = lambda seed: torch.randn(noise.shape[1:], generator=torch.Generator().manual_seed(seed))
    return lambda t: torch.stack([draw(seed(film, t)) for film in own]).to(noise)


def pick(name: str, chosen, known: dict):
    """A function itself, or the one that goes by this name."""
    if callable(chosen):
        return chosen
    if chosen not in known:
        raise ValueError(f"{name}={chosen!r} is not one of {', '.join(known)}; it also takes a function like them")
    return known[chosen]
