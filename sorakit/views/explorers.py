"""Live views of what a run keeps: steps, attention, latents, films, schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import ipywidgets as widgets
from PIL import Image

from sorakit.latent.autoencoder import TIME
from sorakit.run import Run
from sorakit.types import DenoisingStep, Latents, Video
from sorakit.views.attention import Attention, attention, patch_at, patch_looks, patch_words, step_attention, word_looks
from sorakit.views.charts import schedule_chart, stacked, stages, words_chart
from sorakit.views.explore_words import explore_conditioning
from sorakit.views.explorer import Explorer, Explorers, check, slider
from sorakit.views.insides import autoencoder_of
from sorakit.views.pictures import changed, colours_of, components, decoded, mixed, preview, split
from sorakit.views.sheet import Layout, beside, diverging, in_rows, rising, sheet

BRIGHT = 40.0       # grey levels of 255, of what changed: the same at each step, so that steps can be compared


# --- a run ------------------------------------------------------------------------------------------


def explore_run(run: Run) -> Explorers:
    """Its denoising, guidance, attention (what was kept), words, latents, schedule and stages."""
    if not run.steps:
        raise ValueError("this run's steps were not kept; of a film of many windows the last 8 have theirs")
    autoencoder = autoencoder_of(run)
    parts = {"denoising": explore_denoising(run.steps, autoencoder)}
    if any(step.unconditional is not None for step in run.steps):
        parts["guidance"] = explore_guidance(run.steps, autoencoder)
    names = list(run.steps[0].attention)
    if names:
        parts["attention"] = explore_attention({name: lambda step, name=name: attention(run, name, step)
                                                for name in names}, len(run.steps))
    parts["words"] = explore_conditioning(run.conditioning, run.pipeline and run.pipeline.text_encoder)
    parts["latents"] = explore_latents(run.latents, autoencoder)
    times = [*(step.t for step in run.steps), run.steps[-1].t_next]
    parts["schedule"] = Explorer(lambda step: schedule_chart(times, at=step), {"step": slider("step", len(times) - 1)},
                                 alt="time and signal-to-noise ratio of the steps")
    parts["stages"] = Explorer(lambda: stages(run), {}, alt="time and memory of the stages")
    return Explorers(parts)


def explore_denoising(steps: list[DenoisingStep], autoencoder=None) -> Explorer:
    """What went into a step, the film it points to, and where that changed."""
    frames = steps[0].x.shape[2]
    return Explorer(lambda step, frame, whole=False: denoising_state(steps, autoencoder, step, frame, whole),
                    {"step": slider("step", len(steps) - 1), "frame": slider("frame", frames - 1, frames // 2),
                     **({"whole": check("decode")} if autoencoder is not None else {})},
                    alt="x_t, x0 and what changed")


def denoising_state(steps: list[DenoisingStep], autoencoder, step: int, frame: int, whole: bool) -> Image.Image:
    """x_t, x0 and its change since the step before, and the film's whole way below."""
    show = lambda latents: colours_of(latents, autoencoder, whole, steps[-1].x0)[frame]
    now = steps[step]
    film = show(now.x0)
    change = changed(film, show(steps[max(0, step - 1)].x0))
    tiles, titles = [show(now.x), film], [f"x_t, t = {now.t:.3f}", "x0, where it points"]
    caption = f"step {now.index}, latent frame {frame}" + ("; guidance is folded in" if now.folded else "")
    if len(steps) > 1:
        tiles.append(rising(change, BRIGHT))
        titles.append(f"changed by {change.mean():.1f}" if step else "no step before to change from")
        caption += f"; change: bright is {BRIGHT:.0f} of 255"
    return sheet([tiles], [titles], (), caption,
                 cv2.INTER_NEAREST if autoencoder is None else cv2.INTER_CUBIC)


def explore_guidance(steps: list[DenoisingStep], autoencoder=None) -> Explorer:
    """The film that a step would point to with any guidance scale (classifier-free, from its own two parts)."""
    steps = split(steps)
    frames = steps[0].x.shape[2]
    scale = widgets.FloatSlider(steps[0].guidance, min=0, max=12, step=0.25, description="guidance")
    return Explorer(lambda step, frame, scale: guidance_state(steps, autoencoder, step, frame, scale),
                    {"step": slider("step", len(steps) - 1), "frame": slider("frame", frames - 1, frames // 2),
                     "scale": scale}, alt="x0 with and without the prompt, and guided")


def guidance_state(steps: list[DenoisingStep], autoencoder, step: int, frame: int, scale: float) -> Image.Image:
    now = steps[step]
    show = lambda v: colours_of(now.x - now.t * v, autoencoder, False, steps[-1].x0)[frame]
    guided = now.unconditional + scale * (now.conditional - now.unconditional)
    with_, without = show(now.conditional), show(now.unconditional)
    apart = changed(with_, without)
    return sheet([[without, with_, rising(apart, BRIGHT), show(guided)]],
                 [["without", "with the prompt", f"apart by {apart.mean():.1f}", f"guided by {scale:g}"]], (),
                 f"x0 of step {now.index}, t = {now.t:.3f}, latent frame {frame}",
                 cv2.INTER_NEAREST if autoencoder is None else cv2.INTER_CUBIC)


# --- attention --------------------------------------------------------------------------------------


def explore_attention(looks: Mapping[str, Callable[[int], Attention]], steps: int) -> Explorer:
    """Click a patch, see where it looks: in every frame, or at which words. By block, head and step. For the attention
    to words, the frames show which patches look at the word that is chosen.

    looks: for each name of an attention, what gives it for a step.
    """
    names = list(looks)
    first = looks[names[-1]](0)
    t, h, w = first.shape
    start = next((name for name in reversed(names) if name.endswith(".time")), names[0])
    controls = {
        "name": widgets.Dropdown(options=names, value=start, description="block"),
        "head": widgets.Dropdown(options=[("all heads", -1), *((f"head {g}", g) for g in range(first.heads))], value=-1,
                                 description="head"),
        "step": slider("step", steps - 1, steps // 2), "frame": slider("frame", t - 1, t // 2),
        "y": slider("row", h - 1, h // 2), "x": slider("column", w - 1, w // 2)}
    words = next((look.words[:look.words_there] for look in map(lambda name: looks[name](0), names) if look.words), ())
    if words:
        controls["word"] = widgets.Dropdown(options=[(f"{k} {word}", k) for k, word in enumerate(words)],
                                            value=min(1, len(words) - 1), description="word")

    def click(across, down, name, step, **values):
        found = patch_at(looks[name](step), across, down)
        return dict(zip(("frame", "y", "x"), found)) if found else {}

    return Explorer(lambda **values: attention_state(looks, **values), controls, click,
                    "where a patch looks; click another one",
                    lambda name, **values: set() if name.endswith(".word") else {"word"})


def attention_state(looks: Mapping[str, Callable[[int], Attention]], name: str, head: int, step: int, frame: int,
                    y: int, x: int, word: int = 0) -> Image.Image:
    """Where the patch looks; for word attention, who looks at the word, then which words the patch reads."""
    look, head = looks[name](step), None if head < 0 else head
    if look.kind != "word":
        return patch_looks(look, frame, y, x, head)
    shares = patch_words(look, frame, y, x, head)
    chart = words_chart(shares, f"{name}, step {step}: what patch ({y}, {x}) of frame {frame} reads")
    return stacked(word_looks(look, word, frame, y, x, head), chart)


def explore_step(step: DenoisingStep) -> Explorers:
    """One step, frame by frame: its latents, what guidance does, and the attention that was kept."""
    parts = {"latents": explore_denoising([step])}
    if step.unconditional is not None:
        parts["guidance"] = explore_guidance([step])
    if step.attention:
        parts["attention"] = explore_attention({name: lambda k, name=name: step_attention(step, name)
                                                for name in step.attention}, 1)
    return Explorers(parts)


# --- latents, films, samplers -----------------------------------------------------------------------


def explore_latents(latents: Latents, autoencoder=None, other: Latents | None = None) -> Explorer:
    """Components, preview, decoded film or single channels, moment by moment; with `other`, mixed with it."""
    views = ["components", *(["linear preview", "decoded"] if autoencoder is not None else []), "channel"]
    controls = {"view": widgets.Dropdown(options=views, description="view"),
                "channel": slider("channel", latents.values.shape[1] - 1)}
    if other is not None:
        mixed(latents, other, 0.5)                                  # shapes that do not fit are refused at once
        controls["mix"] = widgets.FloatSlider(0, min=0, max=1, step=0.05, description="mix")
    return Explorer(lambda view, channel, mix=0.0: latent_state(
        latents if other is None else mixed(latents, other, mix), autoencoder, view, channel), controls,
        alt="latents of each frame", idle=lambda view, **values: set() if view == "channel" else {"channel"})


def latent_state(latents: Latents, autoencoder, view: str, channel: int) -> Image.Image:
    """Every latent frame in one view."""
    values = latents.values[:1]
    if view == "channel":
        numbers = values[0, channel].float().cpu().numpy()                                       # (t, h, w)
        mean, limit = float(numbers.mean()), max(2.5 * float(numbers.std()), 1e-6)
        tiles = diverging(numbers - mean, limit)
        caption = f"channel {channel}: mean {mean:.2f}, standard deviation {numbers.std():.2f}; blue to red is " \
                  f"{mean - limit:.1f} to {mean + limit:.1f}"
    elif view == "components":
        tiles, caption = components(values), "principal components 1 to 3 as red, green and blue"
    else:
        tiles = decoded(values, autoencoder) if view == "decoded" else preview(values, autoencoder)
        caption = view
    _, columns = beside(len(tiles), values.shape[3] / values.shape[4])
    times = [f"{k * TIME / latents.fps:.2f} s" for k in range(len(tiles))]
    return sheet(in_rows(list(tiles), columns), in_rows(times, columns), (), caption,
                 cv2.INTER_NEAREST if view in ("channel", "components") else cv2.INTER_CUBIC)


def explore_video(video: Video) -> Explorer:
    """A frame, and what moved since the one before."""
    return Explorer(lambda frame: video_state(video, frame), {"frame": slider("frame", len(video.frames) - 1)},
                    alt="a frame and what moved")


def video_state(video: Video, frame: int) -> Image.Image:
    now, before = video.frames[frame], video.frames[max(0, frame - 1)]
    moved = changed(now, before)
    return sheet([[now, rising(moved, 100.0)]],
                 [[f"frame {frame} of {len(video.frames)}, {frame / video.fps:.2f} s",
                   f"moved by {moved.mean():.1f}" if frame else "no frame before to move from"]],
                 (), "moved: grey levels of 255 since the frame before, bright is 100", cv2.INTER_AREA,
                 Layout.of(1, 2, video.height / video.width, widest=477))


def explore_sampler(sampler) -> Explorer:
    """The schedule for any number of steps and shift, and its signal-to-noise ratio."""
    shift = widgets.FloatSlider(sampler.shift, min=1, max=40, step=0.5, description="shift")
    steps = widgets.IntSlider(sampler.steps_default, min=1, max=60, description="steps")
    return Explorer(lambda steps, shift: schedule_chart(steps, shift), {"steps": steps, "shift": shift},
                    alt="times and signal-to-noise ratio of a schedule")
