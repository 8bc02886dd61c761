"""Latents, denoising steps and films as still pictures (`PIL.Image`), which also read in a saved notebook and in print.

Of several films at once the first is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from sorakit.latent.autoencoder import SPACE, TIME
from sorakit.types import DenoisingStep, Latents, Video
from sorakit.views.sheet import chosen, diverging, rising, sheet

# --- latents to colours -----------------------------------------------------------------------------


@torch.no_grad()
def preview(latents: Float[Tensor, "b c t h w"], autoencoder, detail: int = 4) -> UInt8[np.ndarray, "t y x 3"]:
    """What latents show, without the decoder: `detail` pixels a patch each way, one picture a latent frame.

    A linear map from a latent to the mean colours of its patch. Nothing need be fitted: the autoencoder's straight line
    out is already the one with the least squared error over whole patches, and means are linear. Raises ValueError for
    a detail that does not divide a patch.
    """
    if detail not in (1, 2, 4, 8, 16):
        raise ValueError(f"detail={detail!r} is not one of 1, 2, 4, 8, 16 pixels a patch")
    means = lambda values: reduce(values, "(c t y i x j) l -> (y x c) l", "mean", c=3, t=TIME, y=detail, x=detail,
                                  i=SPACE // detail, j=SPACE // detail)
    weight, bias = means(autoencoder.to_patch.weight), means(autoencoder.to_patch.bias[:, None])[:, 0]
    raw = latents[0] * autoencoder.std.view(-1, 1, 1, 1) + autoencoder.mean.view(-1, 1, 1, 1)      # (c, t, h, w)
    colours = torch.einsum("pl,lthw->thwp", weight, raw) + bias
    return to_bytes(rearrange(colours, "t h w (y x c) -> t (h y) (w x) c", y=detail, x=detail, c=3))


@torch.no_grad()
def decoded(latents: Float[Tensor, "b c t h w"], autoencoder) -> UInt8[np.ndarray, "t y x 3"]:
    """What latents show, by the decoder: of the two frames of each latent frame the second."""
    frames = autoencoder.decode(latents[:1])[0]
    return to_bytes(rearrange(frames[:, (frames.shape[1] - 1) % TIME::TIME], "c t h w -> t h w c"))


def components(latents: Float[Tensor, "b c t h w"], like: Float[Tensor, "b2 c t2 h2 w2"] | None = None
               ) -> UInt8[np.ndarray, "t h w 3"]:
    """The three principal components of a film's latents as red, green and blue: what is alike has one colour.

    With `like`, those of other latents, so that colours mean the same in both.
    """
    like = latents if like is None else like
    points = rearrange(like[0].float().cpu(), "c t h w -> (t h w) c")
    mean = points.mean(0)
    vectors = torch.linalg.svd(points - mean, full_matrices=False)[2][:3]                     # (3 or fewer, c)
    vectors = vectors * vectors.gather(1, vectors.abs().argmax(1, keepdim=True)).sign()       # the same sign each time
    spread = ((points - mean) @ vectors.T).std(0).clamp_min(1e-6)
    shown = (rearrange(latents[0].float().cpu(), "c t h w -> t h w c") - mean) @ vectors.T / spread
    shown = torch.nn.functional.pad(shown, (0, 3 - shown.shape[-1]))
    return to_bytes(shown / 2)


def to_bytes(values: Float[Tensor, "*size"]) -> UInt8[np.ndarray, "*size"]:
    """[-1, 1] to 0 ... 255; what lies outside is clipped."""
    return ((values.float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().numpy()


def colours_of(latents: Float[Tensor, "b c t h w"], autoencoder=None, whole: bool = False,
               like: Float[Tensor, "b2 c t2 h2 w2"] | None = None) -> UInt8[np.ndarray, "t y x 3"]:
    """Latents as pictures: decoded (whole), as a preview, or without an autoencoder by their principal components."""
    if autoencoder is None:
        return components(latents, like)
    return decoded(latents, autoencoder) if whole else preview(latents, autoencoder)


# --- denoising --------------------------------------------------------------------------------------


def denoising(steps: Sequence[DenoisingStep], autoencoder=None, n: int = 6, *, whole: bool = True,
              frame: int | None = None) -> Image.Image:
    """One frame at n of the steps: what went in (x_t), the film it points to (x0), and where x0 changed since the step
    shown before. Decoded, or with whole=False as a linear preview, which costs next to nothing; without an autoencoder
    by principal components.

    frame: a latent frame, the middle one by default.
    """
    places = chosen(len(steps), n)
    show = lambda latents: _frame(colours_of(latents, autoencoder, whole, steps[-1].x0), frame)
    inputs, films = [show(steps[k].x) for k in places], [show(steps[k].x0) for k in places]
    change = [changed(b, a) for a, b in zip(films, films[1:])]
    highest = max([float(c.max()) for c in change], default=1.0)
    return sheet([inputs, films, [None, *(rising(c, highest) for c in change)]],
                 [[f"t = {steps[k].t:.2f}" for k in places]], ["x_t", "x0", "changed"],
                 f"steps {', '.join(map(str, places))} of {len(steps)}; changed: x0 against the step shown before",
                 _smooth(autoencoder))


def guidance(steps: Sequence[DenoisingStep], autoencoder=None, n: int = 6, *, whole: bool = False,
             frame: int | None = None) -> Image.Image:
    """The film that each step points to with the prompt and without it, where the two differ, and after guidance.

    Raises ValueError for steps that have no part without the prompt (see `split`).
    """
    steps = split(steps)
    picked = [steps[k] for k in chosen(len(steps), n)]
    film = lambda step, velocity: colours_of(step.x - step.t * velocity, autoencoder, whole, steps[-1].x0)
    show = lambda step, velocity: _frame(film(step, velocity), frame)
    prompted = [show(step, step.conditional) for step in picked]
    free = [show(step, step.unconditional) for step in picked]
    apart = [changed(a, b) for a, b in zip(prompted, free)]
    highest = max(float(a.max()) for a in apart)
    return sheet([prompted, free, [rising(a, highest) for a in apart], [show(step, step.velocity) for step in picked]],
                 [[f"t = {step.t:.2f}" for step in picked]],
                 ["with the prompt", "without", "difference", f"guided by {picked[0].guidance:g}"], "",
                 _smooth(autoencoder))


def split(steps: Sequence[DenoisingStep]) -> list[DenoisingStep]:
    """The steps that have a part without the prompt. Raises ValueError if none has, as guidance was 1 or is folded in.
    """
    found = [step for step in steps if step.unconditional is not None]
    if not found:
        raise ValueError("these steps have no part without the prompt: " + (
            "guidance is folded into few-step weights; sample with steps=25 or guidance=4 to see it"
            if steps[0].folded else
            "guidance was 1, or the words pull at other times (`Sampler.interval`); sample with more, from noise on"))
    return found


def step_sheet(step: DenoisingStep, autoencoder=None, n: int = 6) -> Image.Image:
    """One step over the frames of the film. Without an autoencoder, the colours are the principal components of x0."""
    x = step.x[:1]
    frames = chosen(x.shape[2], n)
    show = lambda latents: list(colours_of(latents[:1], autoencoder, False, step.x0[:1])[frames])
    size = lambda latents: latents[0].square().mean(0).sqrt().float().cpu().numpy()[frames]        # (n, h, w)
    rows, labels = [show(step.x), show(step.x0), show(step.x_next)], ["x_t", "x0", "x_next"]
    if step.unconditional is not None:
        apart = size(step.conditional - step.unconditional)
        rows.append(list(rising(apart))), labels.append("the prompt's pull")
    if step.skipped is not None:
        rows.append(list(rising(size(step.conditional - step.skipped)))), labels.append("the skipped parts' pull")
    return sheet(rows, [[f"latent frame {k}" for k in frames]], labels,
                 f"step {step.index}: t {step.t:.3f} to {step.t_next:.3f}, {step.guided}",
                 _smooth(autoencoder))


# --- latents ----------------------------------------------------------------------------------------


def channels(latents: Latents, n: int = 8, frames: int = 4) -> Image.Image:
    """The n channels that vary most, one a column, and latent frames, one a row: blue below 0, red above."""
    values = latents.values[0].float().cpu()                              # (c, t, h, w)
    picked = strongest(latents, n)
    moments = chosen(values.shape[1], frames)
    limit = 2.5 * float(values[picked].std())
    rows = [[diverging(values[c, t].numpy(), limit) for c in picked] for t in moments]
    return sheet(rows, [[f"channel {c}" for c in picked]], [f"frame {t}" for t in moments],
                 f"the {len(picked)} of {len(values)} channels that vary most; blue to red is "
                 f"-{limit:.1f} to {limit:.1f}")


def strongest(latents: Latents, n: int) -> list[int]:
    """The n channels that vary most, strongest first."""
    return latents.values[0].float().cpu().flatten(1).var(1, correction=0).argsort(descending=True)[:n].tolist()


def latent_sheet(latents: Latents, autoencoder=None, n: int = 6) -> Image.Image:
    """Principal components over the frames, with an autoencoder also preview and decoded film, then four channels."""
    values = latents.values[:1]
    frames = chosen(values.shape[2], n)
    rows, labels = [], []
    if autoencoder is not None:
        rows += [list(decoded(values, autoencoder)[frames]), list(preview(values, autoencoder)[frames])]
        labels += ["decoded", "linear preview"]
    rows.append(list(components(values)[frames]))
    labels.append("components 1 to 3")
    picked = strongest(latents, 4)
    limit = 2.5 * float(values[0, picked].std(correction=0))
    for c in picked:
        rows.append(list(diverging(values[0, c, frames].float().cpu().numpy(), limit)))
        labels.append(f"channel {c}")
    return sheet(rows, [[f"{k * TIME / latents.fps:.2f} s" for k in frames]], labels,
                 "components as red, green and blue; channels that vary most, blue below 0, red above")


@torch.no_grad()
def reconstruction(video: Video | Float[Tensor, "1 3 t h w"], autoencoder, n: int = 5) -> Image.Image:
    """A film, what the autoencoder makes of it, and where the two differ. Lengths and sizes that do not fit are cut."""
    frames = video if isinstance(video, Tensor) else rearrange(
        torch.from_numpy(video.frames).to(autoencoder.mean.device) / 127.5 - 1, "t h w c -> 1 c t h w")
    t, h, w = frames.shape[2:]
    frames = frames[:, :, :t - (t - 1) % TIME, :h - h % SPACE, :w - w % SPACE]
    again = autoencoder.decode(autoencoder.encode(frames))
    given, made = (to_bytes(rearrange(film[0], "c t h w -> t h w c")) for film in (frames, again))
    error = np.abs(given.astype(np.float32) - made).mean(-1)                                       # (t, h, w)
    psnr = -10 * np.log10(np.maximum(np.square((given.astype(np.float32) - made) / 255).mean((1, 2, 3)), 1e-12))
    picked = chosen(len(given), n)
    highest = float(np.quantile(error, 0.995))
    return sheet([list(given[picked]), list(made[picked]), [rising(error[k], highest) for k in picked]],
                 [[f"frame {k}: {psnr[k]:.1f} dB" for k in picked]], ["film", "reconstruction", "error"],
                 f"error: mean of the three colours, black 0, bright {highest:.0f} of 255 and more", cv2.INTER_AREA)


def interpolation(a: Latents, b: Latents, autoencoder, n: int = 5, moments: int = 3, *, whole: bool = True
                  ) -> Image.Image:
    """From one film's latents to another's in a straight line. Raises ValueError for latents of different shapes."""
    mixes = np.linspace(0, 1, n)
    films = [colours_of(mixed(a, b, float(mix)).values, autoencoder, whole) for mix in mixes]
    frames = chosen(len(films[0]), moments)
    return sheet([[film[k] for film in films] for k in frames], [[f"{1 - mix:.0%} + {mix:.0%}" for mix in mixes]],
                 [f"{k * TIME / a.fps:.2f} s" for k in frames], "", cv2.INTER_CUBIC)


def mixed(a: Latents, b: Latents, mix: float) -> Latents:
    """(1 - mix) a + mix b."""
    if a.values.shape != b.values.shape:
        raise ValueError(f"latents of shapes {tuple(a.values.shape)} and {tuple(b.values.shape)} cannot be mixed; they "
                         "take the same seconds and aspect")
    return Latents((1 - mix) * a.values + mix * b.values, a.fps)


# --- films ------------------------------------------------------------------------------------------


def films_apart(a: Video, b: Video, apart: UInt8[np.ndarray, "t h w 3"], n: int = 5) -> Image.Image:
    """Two films, and where they differ."""
    picked = chosen(len(apart), n)
    difference = apart.astype(np.float32).mean(-1)
    highest = max(1.0, float(difference.max()))
    return sheet([list(a.frames[picked]), list(b.frames[picked]), [rising(difference[k], highest) for k in picked]],
                 [[f"{k / a.fps:.2f} s" for k in picked]], ["first", "second", "difference"],
                 f"difference: mean of the three colours, black 0, bright {highest:.0f} of 255", cv2.INTER_AREA)


def changed(a: UInt8[np.ndarray, "h w 3"], b: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """How far two pictures are apart at each pixel, 0 to 255."""
    return np.abs(a.astype(np.float32) - b).mean(-1)


def _frame(frames: UInt8[np.ndarray, "t h w 3"], frame: int | None) -> UInt8[np.ndarray, "h w 3"]:
    return frames[len(frames) // 2 if frame is None else frame]


def _smooth(autoencoder) -> int:
    """Pixels of pictures are smoothed when they are enlarged, patches are not."""
    return cv2.INTER_NEAREST if autoencoder is None else cv2.INTER_CUBIC
