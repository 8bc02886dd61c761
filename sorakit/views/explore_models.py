"""Live views of the models themselves: the transformer's weights, gates and sub-layers, the autoencoder's channels."""

from __future__ import annotations

from functools import lru_cache

import cv2
import ipywidgets as widgets
import torch
from einops import rearrange
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from sorakit.formats import fitted, native_size
from sorakit.latent.autoencoder import TIME, Autoencoder
from sorakit.run import Run
from sorakit.transformer.model import Transformer
from sorakit.types import Latents, Video
from sorakit.views.explorer import Explorer, Explorers, slider
from sorakit.views.insides import (
    PARTS,
    added,
    added_sheet,
    answer,
    autoencoder_of,
    gates_chart,
    paints_sheet,
    weights_sheet,
)
from sorakit.views.pictures import changed, colours_of, strongest, to_bytes
from sorakit.views.sheet import rising, sheet

# --- the transformer --------------------------------------------------------------------------------


def explore_transformer(model: Transformer, run: Run | None = None) -> Explorers:
    """Its weights and gates over depth. With a run, also where each sub-layer is at work, and what the film would be
    without it.

    Raises ValueError for a run of a model with other channels.
    """
    if run is not None and run.steps[0].x.shape[1] != len(model.scale):
        raise ValueError(f"run has latents of {run.steps[0].x.shape[1]} channels; this transformer takes "
                         f"{len(model.scale)}")
    summary = torch.zeros_like(model.embed.bias)[None] if run is None else run.conditioning.vectors[:1, 0]
    size = (5, 9) if run is None else tuple(run.steps[0].x.shape[3:])
    said = "without words" if run is None else "with the run's words"
    parts = {
        "weights": Explorer(lambda block, part: weights_sheet(model, block, part), {
            "block": slider("block", len(model.blocks) - 1, len(model.blocks) // 2),
            "part": widgets.Dropdown(options=[(text.format(axis="space or time"), key) for key, text in PARTS.items()],
                                     description="part", layout={"width": "320px"})},
            alt="matrices of a sub-layer and their singular values"),
        "gates": Explorer(lambda t: gates_chart(model, t, summary, *size, said), {
            "t": widgets.FloatSlider(0.5, min=0, max=1, step=0.02, description="t")},
            alt="how wide each block opens, by time")}
    if run is not None:
        parts |= {"at work": explore_at_work(model, run), "without": explore_without(model, run)}
    return Explorers(parts)


def explore_at_work(model: Transformer, run: Run) -> Explorer:
    """Pick a sub-layer and a step: where in the frames it adds most to the patches, and how much all of them do."""
    measured = lru_cache(1)(lambda step: added(model, run, step))
    film = colours_of(run.latents.values, autoencoder_of(run))

    def draw(name: str, step: int) -> Image.Image:
        sizes, into = measured(step)
        lowest, highest = float(sizes[name].min()), float(sizes[name].max())
        caption = f"{name}, step {step}, t = {run.steps[step].t:.2f}: what it adds to each patch, from {lowest:.2f} " \
                  f"(dark) to {highest:.2f} (bright)"
        return added_sheet(sizes, into, name, film, caption)

    return Explorer(draw, {"name": sub_layers(model), "step": slider("step", len(run.steps) - 1, len(run.steps) // 2)},
                    alt="where a sub-layer adds to the patches")


def explore_without(model: Transformer, run: Run) -> Explorer:
    """Pick a sub-layer and a step: the film that the step points to with it and without it, and where that differs."""
    autoencoder = autoencoder_of(run)
    whole = lru_cache(1)(lambda step: answer(model, run, step))
    frames = run.steps[0].x.shape[2]

    def draw(name: str, step: int, frame: int) -> Image.Image:
        with model.without(name):
            less = answer(model, run, step)
        show = lambda latents: colours_of(latents, autoencoder, False, run.latents.values)[frame]
        one, two = show(whole(step)), show(less)
        apart = changed(one, two)
        titles = ["with it", f"without {name}", f"apart by {apart.mean():.1f}"]
        return sheet([[one, two, rising(apart, 60.0)]], [titles], (),
                     f"x0 of step {step}, t = {run.steps[step].t:.2f}, latent frame {frame}, with the prompt, "
                     f"{'without guidance' if model.end is None else 'guidance folded in'}; bright is 60 of 255",
                     cv2.INTER_NEAREST if autoencoder is None else cv2.INTER_CUBIC)

    return Explorer(draw, {"name": sub_layers(model), "step": slider("step", len(run.steps) - 1, len(run.steps) // 2),
                           "frame": slider("frame", frames - 1, frames // 2)},
                    alt="the film that a step points to, with a sub-layer and without it")


def sub_layers(model: Transformer) -> widgets.Dropdown:
    names = [f"{block.name}.{part}" for block in model.blocks for part in (block.axis, "word", "feed")]
    return widgets.Dropdown(options=names, value=names[len(names) // 2], description="sub-layer")


# --- the autoencoder --------------------------------------------------------------------------------


def explore_autoencoder(autoencoder: Autoencoder, film: Video | Latents | Run | None = None) -> Explorers:
    """What each latent channel paints. With a film, also the film with more or less of a channel, and from its
    strongest channels alone."""
    parts = {"paints": Explorer(
        lambda channel, amount: paints_sheet(autoencoder, channel, amount),
        {"channel": slider("channel", autoencoder.channels - 1),
         "amount": widgets.FloatSlider(3, min=-6, max=6, step=0.5, description="amount")},
        alt="what one latent channel paints")}
    if film is not None:
        latents = latents_of(film, autoencoder)
        own = strongest(Latents(latents), autoencoder.channels)
        frames = latents.shape[2]
        frame = lambda: slider("frame", frames - 1, frames // 2)
        parts["one channel"] = Explorer(
            lambda rank, gain, frame: more_of(autoencoder, latents, own[rank], gain, frame),
            {"rank": slider("by strength", len(own) - 1), "frame": frame(),
             "gain": widgets.FloatSlider(0, min=-2, max=4, step=0.25, description="times")},
            alt="a film with more or less of one channel")
        parts["strongest"] = Explorer(
            lambda kept, frame: only(autoencoder, latents, own[:kept], frame),
            {"kept": widgets.IntSlider(min(8, len(own)), min=1, max=len(own), description="channels"),
             "frame": frame()}, alt="a film from its strongest channels")
    return Explorers(parts)


def more_of(autoencoder: Autoencoder, latents: Float[Tensor, "1 c t h w"], channel: int, gain: float, frame: int
            ) -> Image.Image:
    """A film's frame, with one channel times the gain, and what that changes."""
    edited = latents.clone()
    edited[:, channel] *= gain
    return edits(autoencoder, latents, edited, frame, f"channel {channel} times {gain:g}")


def only(autoencoder: Autoencoder, latents: Float[Tensor, "1 c t h w"], channels: list[int], frame: int) -> Image.Image:
    """A film's frame, from a few of its channels, and what is lacking."""
    edited = torch.zeros_like(latents)
    edited[:, channels] = latents[:, channels]
    return edits(autoencoder, latents, edited, frame, f"from {len(channels)} of {latents.shape[1]} channels")


@torch.no_grad()
def edits(autoencoder: Autoencoder, latents, edited, frame: int, what: str) -> Image.Image:
    """One frame of two films and where they differ. The decoder looks back only, so what comes later is left out."""
    show = lambda values: to_bytes(rearrange(autoencoder.decode(values[:, :, :frame + 1])[0, :, -1], "c y x -> y x c"))
    one, two = show(latents), show(edited)
    apart = changed(one, two)
    return sheet([[one, two, rising(apart, 60.0)]], [["decoded", what, f"apart by {apart.mean():.1f}"]], (),
                 f"latent frame {frame}; bright is 60 of 255 and more", cv2.INTER_CUBIC)


@torch.no_grad()
def latents_of(film: Video | Latents | Run, autoencoder: Autoencoder) -> Float[Tensor, "1 c t h w"]:
    """A film's latents; frames are encoded at the size that the models draw at, a last one that has no partner is left
    out. Raises ValueError for what is no film, or of other channels."""
    if isinstance(film, Video):
        frames = fitted(film.frames, *native_size(film.width / film.height))
        frames = torch.from_numpy(frames[:len(frames) - (len(frames) - 1) % TIME]).to(autoencoder.mean.device)
        return autoencoder.encode(rearrange(frames / 127.5 - 1, "t h w c -> 1 c t h w"))
    values = film.latents.values if isinstance(film, Run) else getattr(film, "values", None)
    if not isinstance(values, Tensor):
        raise ValueError(f"film is of type {type(film).__name__}; it takes a Video, Latents or a Run")
    if values.shape[1] != autoencoder.channels:
        raise ValueError(f"film has latents of {values.shape[1]} channels; this autoencoder has {autoencoder.channels}")
    return values[:1]
