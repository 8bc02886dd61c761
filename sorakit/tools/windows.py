"""Films longer than the models learned, window after window: each knows the last latents of what came before it."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sorakit.formats import Format
from sorakit.latent.autoencoder import TIME
from sorakit.pipeline import Clock, Pipeline, check_number
from sorakit.run import Recorder, Run
from sorakit.synthesis.assembly import Assembly
from sorakit.synthesis.finish import to_bytes
from sorakit.tools.carry import carried_on, ends, held, jump_of, lit
from sorakit.tools.shot import Given, Guided, encode_still
from sorakit.types import Verdict

WINDOW = 9                 # latents at a time: the longest films that the models learned from, of 2 s
CONTEXT = 4                # latents that a window knows of what came before
KEPT = 8                   # windows whose denoising steps are kept: those of some ten seconds
BAND = 3.0                 # see `alike`
STRIDE = 1_000_003         # from one window's seed to the next, so that seeds 1, 2, 3 share no noise


@dataclass(frozen=True, eq=False)
class Timeline:
    """Latents in time: which are given, what is asked for from where on, and what a window starts from."""

    format: Format
    known: Float[Tensor, "1 c k i j"]
    mask: Bool[Tensor, "1 k i j"]
    prompts: tuple[tuple[int, str], ...]         # (first latent, prompt), in order; the first begins at 0
    start: Float[Tensor, "1 c k i j"] | None = None
    strength: float = 1.0
    anchor: str | None = None                    # this and the next: see `Given`
    verdict: Verdict | None = None

    @classmethod
    def empty(cls, pipe: Pipeline, format: Format, count: int, prompt: str, verdict: Verdict | None = None) -> Timeline:
        known = torch.zeros(1, pipe.autoencoder.channels, count, *format.cells, device=pipe.device)
        mask = torch.zeros_like(known[:, 0], dtype=torch.bool)
        return cls(format, known, mask, ((0, prompt),), verdict=verdict)


def spans(mask: Bool[Tensor, "1 k i j"], prompts: tuple[tuple[int, str], ...], window: int = WINDOW,
          context: int = CONTEXT) -> list[tuple[int, int, int, int]]:
    """Of each window that fills what is not known: where it begins and ends, and the latents that are taken from it."""
    filled = mask.flatten(2).all(-1)[0].tolist()
    found = []
    while not all(filled):
        first = filled.index(False)                                        # what is before it is finished
        begin = max(0, first - context - 1)
        end = min(len(filled), begin + window)
        until = prompt_at(prompts, first, end)[1]
        filled[first:until] = [True] * (until - first)
        found.append((begin, end, first, until))
    return found


def fill(pipe: Pipeline, timeline: Timeline, *, seed: int = 0, window: int = WINDOW, context: int = CONTEXT,
         keep=(), progress: Callable[[str, int, int], None] | None = None, past: int = 0, windows: int | None = None,
         onward: float | None = None, **options) -> tuple[Float[Tensor, "1 c k i j"], tuple[Run, ...]]:
    """The timeline with all gaps filled, and the run of each window. Known latents come back as they are.

    options are negative, steps and guidance, as a call of the pipeline takes them. Of many windows only the last
    KEPT keep their steps, so that memory grows little with length. progress is told of each step; where this is not
    all of the work, `past` windows of `windows` are behind it. With `onward`, what is new begins by going on as it
    moves: a window starts from motion carried on, noised to this time (1: from noise alone), and is held to it near
    what is known.
    """
    made, runs = timeline.known.clone(), []
    mask = timeline.mask.clone()
    opened = seed if timeline.start is None and not mask.any() else None
    places = spans(mask, timeline.prompts, window, context)
    windows = len(places) if windows is None else windows
    for number, (begin, end, first, until) in enumerate(places):
        prompt, _ = prompt_at(timeline.prompts, first, end)
        known, given = made[:, :, begin:end].clone(), mask[:, begin:end].clone()
        if begin:
            known[:, :, :1] = restarted(pipe, made[:, :, :begin + 1])
        start = None if timeline.start is None else timeline.start[:, :, begin:end].clone()
        if begin and start is not None:
            start[:, :, :1] = restarted(pipe, timeline.start[:, :, :begin + 1])
        strength, (left, right) = timeline.strength, (0, 0) if onward is None else ends(given)
        if left or right:
            ahead = carried_on(pipe, known, left, right)
            start, strength = known.clone(), onward
            start[:, :, left:left + ahead.shape[2]] = ahead
        guided = Guided.of(pipe, Given(small(timeline.format), known, given, start, strength, timeline.anchor,
                                       verdict=timeline.verdict, opened=opened))
        request = {"prompt": prompt, "seed": seed_of(seed, number), **options}
        run = Run.record(guided, keep, request, Told(guided, keep, progress, past + number, windows))
        values = run.latents.values
        if left or right:
            values = held(values, ahead, left, right, jump_of(to_bytes(run.frames), left, right))
            values = lit(values, left, right) if left and right else values
        fresh = torch.where(mask[:, None, first:until], made[:, :, first:until],
                            values[:, :, first - begin:until - begin])
        made[:, :, first:until], mask[:, first:until] = fresh, True
        runs.append(run)
        if number >= KEPT:
            runs[number - KEPT].steps = []
    return made, tuple(runs)


class Told(Recorder):
    """A recorder that tells `progress` of each step of the diffusion, with `past` windows of `windows` behind it."""

    def __init__(self, guided: Guided, keep, progress: Callable[[str, int, int], None] | None, past: int = 0,
                 windows: int = 1):
        super().__init__(guided, keep, progress and (
            lambda stage, done, each: progress(stage, past * each + done, windows * each)))


def grow(pipe: Pipeline, past: Float[Tensor, "1 c k i j"] | None, count: int, prompt: str, format: Format, *,
         seed: int = 0, window: int = WINDOW, context: int = CONTEXT,
         progress: Callable[[str, int, int], None] | None = None, **options) -> Iterator[Float[Tensor, "1 c k i j"]]:
    """New latents that go on from `past` (or begin a film), a window at a time; no more than a window is kept.

    Each window's colour and contrast are the first's (`alike`), or they would drift. progress is told of each step of
    all windows.
    """
    first = window - (min(past.shape[2], context + 1) if past is not None else 0)
    opened = seed if past is None else None
    number, model, windows = 0, None, 1 + max(0, -(-(count - first) // (window - context - 1)))

    def told(phase: str, done: int, steps: int):
        if progress and phase == "sample":
            progress(phase, number * steps + done, windows * steps)

    while count:
        if past is None:
            given = Timeline.empty(pipe, format, min(window, count), prompt)
            begin = 0
        else:
            begin = min(past.shape[2], context + 1)
            given = Timeline.empty(pipe, format, begin + min(window - begin, count), prompt)
            given.known[:, :, :begin], given.mask[:, :begin] = past[:, :, -begin:], True
            if number or past.shape[2] > begin:                            # it began before what is still kept
                given.known[:, :, :1] = restarted(pipe, past[:, :, :past.shape[2] - begin + 1])
        guided = Guided.of(pipe, Given(format, given.known, given.mask, opened=opened))
        latents, _ = guided.sample(Clock(told), prompt, seed=seed_of(seed, number), **options)
        new = latents.values[:, :, begin:]
        new, model = (new, new) if model is None else (alike(new, model), model)
        yield new
        number, count = number + 1, count - new.shape[2]
        keep = context + 1 + Assembly().past
        past = new if past is None else torch.cat([past, new], 2)
        past = past[:, :, -keep:]


def alike(latents: Float[Tensor, "1 c k i j"], model: Float[Tensor, "1 c n i j"]) -> Float[Tensor, "1 c k i j"]:
    """Latents whose channels' mean and spread (light, colour and contrast) lie as they do in others, up to BAND times
    as far from those as they are from each other. So a film that changes by itself may go on changing."""
    def wanted(measure):
        each = measure(model)                                                                # (1, c, n)
        middle, band = each.mean(2), BAND * each.std(2)
        return measure(latents).mean(2).clamp(middle - band, middle + band).view(1, -1, 1, 1, 1)

    mean, spread = (lambda z: z.mean((3, 4))), (lambda z: z.std((3, 4)))
    own_mean, own_spread = (measure(latents).mean(2).view(1, -1, 1, 1, 1) for measure in (mean, spread))
    return (latents - own_mean) * wanted(spread) / own_spread.clamp_min(1e-6) + wanted(mean)


@torch.no_grad()
def restarted(pipe: Pipeline, latents: Float[Tensor, "1 c k i j"]) -> Float[Tensor, "1 c 1 i j"]:
    """The frame that these latents end with, as a latent that can stand first in a window, where it stands alone."""
    last = pipe.autoencoder.decode(latents[:, :, -Assembly().past - 1:])[:, :, -1:]
    return encode_still(pipe, to_bytes(last)[0], first=True)


@torch.no_grad()
def decoded(pipe: Pipeline, chunks: Iterable[Float[Tensor, "1 c k i j"]]) -> Iterator[Float[Tensor, "1 3 t h w"]]:
    """Frames of latents that come a few at a time: exactly those of the whole, as each sees as far back as it needs."""
    tail = None
    for chunk in chunks:
        joined = chunk if tail is None else torch.cat([tail, chunk], 2)
        frames = pipe.autoencoder.decode(joined)
        yield frames if tail is None else frames[:, :, -TIME * chunk.shape[2]:]
        tail = joined[:, :, -Assembly().past:]


def prompt_at(prompts: tuple[tuple[int, str], ...], first: int, end: int) -> tuple[str, int]:
    """The prompt that holds at a latent, and the latent up to which it does."""
    prompt = [text for since, text in prompts if since <= first][-1]
    return prompt, min([end, *(since for since, _ in prompts if since > first)])


def seed_of(seed: int, window: int) -> int:
    """Of a window's noise; the first has the film's own, so that a short film is that of the plain pipeline."""
    check_number("seed", seed, 0, 2**63 - 1, numbers.Integral)
    return (int(seed) + STRIDE * window) % 2**63


def small(format: Format) -> Format:
    """A window's own film is for looking at: it stays as the models draw it."""
    return Format(format.native_height, format.native_width, format.native_height, format.native_width)
