"""Every canonical name, its shape and what it is, beside a diagram of the model: made from a real run of `nano`.

    python -m sorakit.views.atlas docs/names.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from sorakit.diffusion.sampler import Sampler
from sorakit.latent.autoencoder import Autoencoder
from sorakit.latent.text import CaptionTransformer, TextEncoder
from sorakit.pipeline import Pipeline
from sorakit.prompt.reader import Reader
from sorakit.prompt.words import Words
from sorakit.run import Run
from sorakit.safety.safety import Safety
from sorakit.synthesis.recipe import Synthesis
from sorakit.training.autoencoder import PRESETS as AUTOENCODERS
from sorakit.training.flow import PRESETS
from sorakit.transformer.model import Transformer

PROMPT = "a red car on a highway at night"

# What each name is. Patterns with k stand for every block that has such a part.
INTERMEDIATES = {
    "embed": "noisy latents as patches, and where each is in its frame",
    "blocks.k.space.attention": "how much each patch looks at each patch of its own frame",
    "blocks.k.space.heads": "what each head gathers from there",
    "blocks.k.space": "what attention over space adds to the patches, before its gate",
    "blocks.k.time.attention": "how much each patch looks at each patch of every frame",
    "blocks.k.time.heads": "what each head gathers from there",
    "blocks.k.time": "what attention over time adds to the patches, before its gate",
    "blocks.k.word.attention": "how much each patch looks at the summary and at each word",
    "blocks.k.word.heads": "what each head gathers from there",
    "blocks.k.word": "what the words add to the patches",
    "blocks.k.feed": "what the feed-forward network adds to each patch, before its gate",
    "blocks.k": "the patches after the block",
    "out": "the network's answer; preconditioning makes the velocity of it",
}
AXES = {
    "attention": "b f g q s", "heads": "b f g q e", "out": "b n c",
}
RUN = (  # attribute of a run, its axes, what it is
    ("brief", "", "the request as stage 1 reads it; also `run.prompt`"),
    ("verdict", "", "what stage 6 says to it"),
    ("conditioning.vectors", "b l d", "the summary and each word in its context"),
    ("conditioning.mask", "b l", "where there is a word"),
    ("conditioning.null_vectors", "b l d", "the same of what guidance steers away from"),
    ("conditioning.null_mask", "b l", "where there is a word in that"),
    ("known", "", "latents that are given, and where; None without an image"),
    ("steps[i].x", "b c t h w", "x_t, what went into the step"),
    ("steps[i].conditional", "b c t h w", "velocity with the prompt"),
    ("steps[i].unconditional", "b c t h w", "velocity without it; None without guidance and of few-step weights"),
    ("steps[i].skipped", "b c t h w", "velocity with it, without some parts; None where none are skipped"),
    ("steps[i].velocity", "b c t h w", "velocity after guidance"),
    ("steps[i].x0", "b c t h w", "the film that it points to"),
    ("steps[i].x_next", "b c t h w", "x_t of the next step"),
    ("latents.values", "b c t h w", "the film in the autoencoder's space"),
    ("frames", "b 3 t h w", "what the decoder makes of it, about in [-1, 1]"),
    ("video.frames", "t h w 3", "the film: finished, marked, bytes"),
)


def page(preset: str = "nano") -> str:
    """docs/names.md."""
    pipe = untrained(preset)
    run = pipe.trace(PROMPT, steps=1)
    model = pipe.transformer
    shapes = intermediates(pipe, run)
    size = PRESETS[preset]
    c, t, h, w = run.latents.values.shape[1:]
    words = run.conditioning.vectors.shape[1]
    return "\n".join([
        "# Names", "",
        "Made by `python -m sorakit.views.atlas docs/names.md` from a run of two seconds in 16:9, by a pipeline of the",
        f"sizes of `{preset}` with random weights. A test keeps this page up to date.", "",
        f"Axes: b films, c = {c} latent channels, t = {t} latent frames, h = {h} and w = {w} patches down and across,",
        f"n = t h w = {t * h * w} patches, d = {size['width']} numbers a patch, g = {size['heads']} heads of "
        f"e = {size['width'] // size['heads']} numbers each, l = {words} words",
        "(the summary, then the tokens, then filling), f = t frames where attention stays in its frame, or 1,",
        "q queries, s keys (what is looked at).", "",
        "## The model", "", "```mermaid", *diagram(model), "```", "",
        "## Inside the transformer", "",
        '`pipe.trace(prompt, keep="blocks.*.attention")` keeps what fits a pattern, of the first film and with the',
        'prompt: `run.steps[i].attention["blocks.3.time"]`, `run.steps[i].activations["blocks.3.feed"]`.',
        "`pipe.transformer.watch(pattern, look)` sees and changes it on its way, `pipe.transformer.without(pattern)`",
        "switches it off.", "",
        f"{len(model.blocks)} blocks, k = 0 to {len(model.blocks) - 1}: `space` where k is "
        f"{listed(b.name for b in model.blocks if b.axis == 'space')}, `time` where it is "
        f"{listed(b.name for b in model.blocks if b.axis == 'time')}.", "",
        *table(("name", "axes", "shape", "what it is"),
               [(f"`{name}`", axes(name), shape, INTERMEDIATES[name]) for name, shape in shapes.items()]), "",
        "## In a run", "",
        "`pipe.trace(prompt, steps=4)` has four steps of `pipe.few_step`, which has the same names; guidance is folded",
        "into it. 25 steps, or a guidance, take `pipe.transformer`. What a run keeps has no axis b: the first film",
        "alone; `watch` sees all of it.", "",
        "`run = pipe.trace(prompt)`; `run.records[stage]` has the same by stage, with inputs, seconds and memory.", "",
        *table(("name", "axes", "shape", "what it is"),
               [(f"`run.{name}`", letters, shown(follow(run, name)), what) for name, letters, what in RUN]), ""])


def untrained(preset: str) -> Pipeline:
    """A pipeline of a preset's sizes with random weights. Raises KeyError for an unknown preset."""
    torch.manual_seed(0)
    size = {key: value for key, value in PRESETS[preset].items() if key != "batch"}
    words, autoencoder = Words.load(), Autoencoder(**AUTOENCODERS[preset]).eval().requires_grad_(False)
    text = CaptionTransformer(words.vectors.shape[1], size["width"], size["heads"]).eval().requires_grad_(False)
    transformer = Transformer(autoencoder.channels, **size).eval().requires_grad_(False)
    return Pipeline(Reader(words), TextEncoder(words, text), autoencoder, Sampler(), transformer, Synthesis(), Safety(),
                    preset, torch.device("cpu"))


@torch.no_grad()
def intermediates(pipe: Pipeline, run: Run) -> dict[str, str]:
    """The shape of every name of the transformer, blocks taken together: `blocks.k.time`, as one forward gives it.

    Raises ValueError for a name that has no description here, and for blocks that differ.
    """
    seen: dict[str, Tensor] = {}
    x, words = run.steps[0].x, run.conditioning
    with pipe.transformer.watch("*", lambda name, value: seen.update({name: value})):
        pipe.transformer(x, torch.ones(1, *x.shape[2:]), words.vectors, words.mask)
    shapes: dict[str, str] = {}
    for name in pipe.transformer.names():
        general = re.sub(r"^blocks\.\d+", "blocks.k", name)
        if general not in INTERMEDIATES:
            raise ValueError(f"name {general!r} has no description; add it to sorakit.views.atlas.INTERMEDIATES")
        shape = shown(seen[name])                              # blocks that are alike have shapes that are
        if shapes.setdefault(general, shape) != shape:
            raise ValueError(f"blocks differ in the shape of {general!r}: {shapes[general]} and {shape}")
    return {name: shapes[name] for name in INTERMEDIATES if name in shapes}


def axes(name: str) -> str:
    return AXES.get(name.rsplit(".", 1)[-1], "b n d")


def diagram(model: Transformer) -> list[str]:
    """The model in mermaid; names in the boxes are the canonical ones."""
    pair = [model.blocks[0], model.blocks[1]]
    lines = ["flowchart TB", '    x["x_t, noisy latents<br>b c t h w"] --> embed',
             '    time["t, a time for each token"] --> modulation["modulation<br>shift, scale, gate"]',
             '    words["words<br>b l d"] --> modulation']
    last = "embed"
    for block in pair:
        k = block.name.replace("blocks.", "k")
        name = "even blocks.k" if block is pair[0] else "odd blocks.k"
        where = "its own frame" if block.axis == "space" else "every frame"
        lines += [f'    subgraph {k}["{name}"]', "        direction LR",
                  f'        {k}a["blocks.k.{block.axis}<br>attention to {where}"] --> '
                  f'{k}w["blocks.k.word<br>attention to the words"] --> {k}f["blocks.k.feed<br>feed-forward"]',
                  "    end", f"    {last} --> {k}", f"    words --> {k}w", f"    modulation --> {k}"]
        last = k
    return [*lines, f"    {last} -->|and so on, {len(model.blocks)} blocks in all| out",
            '    x -->|detail goes past the blocks| out["out<br>b n c"]',
            '    out --> velocity["velocity, d x_t / dt<br>b c t h w"]']


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    line = lambda cells: "| " + " | ".join(cells) + " |"
    return [line(head), "|" + "---|" * len(head), *map(line, rows)]


def follow(run: Run, name: str):
    """`steps[i].x` of a run, of its first step."""
    value = run
    for part in name.replace("[i]", ".[i]").split("."):
        value = value[0] if part == "[i]" else getattr(value, part)
    return value


def shown(value) -> str:
    """A shape, or the type of what has none."""
    if hasattr(value, "shape"):
        return " x ".join(map(str, value.shape))
    return f"`{type(value).__name__}`" if not isinstance(value, tuple) else ", ".join(map(shown, value))


def listed(names: Iterable[str]) -> str:
    return ", ".join(name.removeprefix("blocks.") for name in names)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page())
