"""Charts with axes, drawn with matplotlib and without its global state. A `Chart` shows itself in a notebook."""

from __future__ import annotations

import base64
import functools
import io
import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from PIL import Image
from torch import Tensor

from sorakit.diffusion.sampler import SHIFT, schedule
from sorakit.prompt.reader import shortened
from sorakit.run import STAGES, Difference, Run
from sorakit.types import Conditioning, DenoisingStep
from sorakit.views.attention import words_of
from sorakit.views.sheet import INK, WIDTH

DPI = 120
COLOURS = ("#3b528b", "#d1495b", "#2a9d8f", "#b8860b", "#6d597a", "#5e8c31")
LOOK = {"font.family": "DejaVu Sans", "font.size": 9, "axes.titlesize": 10, "axes.labelsize": 9, "text.color": INK,
        "axes.labelcolor": INK, "axes.edgecolor": "#999999", "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left", "axes.grid": False,
        "legend.frameon": False, "lines.linewidth": 1.6, "axes.prop_cycle": matplotlib.cycler(color=COLOURS)}


class Chart(Figure):
    """A matplotlib figure of the width that all pictures have. text: what it shows, in words that do not change."""

    def __init__(self, text: str, height: float = 3.0):
        super().__init__(figsize=(WIDTH / DPI, height), dpi=DPI, layout="constrained")
        self.text_plain = text

    def png(self) -> bytes:
        data = io.BytesIO()
        self.savefig(data, format="png", dpi=DPI, metadata={"Software": None})
        return data.getvalue()

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"image/png": base64.b64encode(self.png()).decode(), "text/plain": self.text_plain}

    def __repr__(self):
        return self.text_plain


def by_step(*axes) -> None:
    """Whole steps only along x."""
    for one in axes:
        one.set_xlabel("step")
        one.xaxis.set_major_locator(MaxNLocator(integer=True))


def look(draw):
    """The function draws with the same look whatever matplotlib is set to."""
    @functools.wraps(draw)
    def drawn(*args, **options):
        with matplotlib.rc_context(LOOK):
            return draw(*args, **options)

    return drawn


@look
def schedule_chart(times: Sequence[float] | int = 25, shift: float = SHIFT, at: int | None = None) -> Chart:
    """When the steps look, and how loud the noise is there: t by step, and the signal-to-noise ratio in dB.

    Args:
        times: as the steps of a run have them, from 1 to 0; or a number of steps, spread by `shift`.
        at: a step to mark.
    """
    times = schedule(times, shift) if isinstance(times, int) else list(times)
    steps = range(len(times))
    chart = Chart(f"Schedule of {len(times) - 1} steps from t = {times[0]:.3f} to {times[-1]:.3f}")
    left, right = chart.subplots(1, 2)
    left.plot(steps, times, "o-", markersize=3.5)
    left.set(title="time of each step", ylabel="t (1 is noise)", ylim=(-0.03, 1.03))
    inner = [(k, t) for k, t in enumerate(times) if 0 < t < 1]
    right.plot([k for k, _ in inner], [snr(t) for _, t in inner], "o-", markersize=3.5, color=COLOURS[1])
    right.axhline(0, color="#bbbbbb", linewidth=0.8, zorder=0)
    if not inner:
        right.set(ylim=(-40, 40))
        right.text(0.5, 0.25, "no step between noise and film", ha="center", transform=right.transAxes, color="#777777")
    right.set(title="signal-to-noise ratio, ((1 - t) / t)²", ylabel="dB", xlim=left.get_xlim())
    by_step(left, right)
    if at is not None:
        left.plot([at], [times[at]], "o", color=INK, markersize=8, fillstyle="none")
        left.set_title(f"step {at}: t = {times[at]:.3f}")
        if 0 < times[at] < 1:
            right.plot([at], [snr(times[at])], "o", color=INK, markersize=8, fillstyle="none")
            right.set_title(f"signal-to-noise ratio: {snr(times[at]):.1f} dB")
    return chart


def snr(t: float) -> float:
    """Signal over noise at time t of the straight path, in dB, for data of variance 1."""
    return 20 * math.log10((1 - t) / t)


@look
def trajectories(runs: Mapping[str, Run | Sequence[DenoisingStep]] | Sequence[Run]) -> Chart:
    """Where x_t goes from noise to film: its two principal components, of several runs in one plane.

    Runs are named by their seed and prompt, or by the keys of a mapping. Raises ValueError for films of different
    shapes.
    """
    if not isinstance(runs, Mapping):
        runs = {f"seed {run.request.get('seed', 0)}: {shortened(run.request['prompt'], 30)}": run for run in runs}
    paths = {name: (run.steps if isinstance(run, Run) else list(run)) for name, run in runs.items()}
    shapes = {tuple(step.x.shape) for steps in paths.values() for step in steps}
    if len(shapes) != 1:
        raise ValueError(f"runs have latents of shapes {', '.join(map(str, sorted(shapes)))}; trajectories take films "
                         "of the same seconds and aspect")
    points = torch.stack([x.flatten() for steps in paths.values()
                          for x in (*(step.x for step in steps), steps[-1].x_next)]).float().cpu()
    place = plane(points)
    share = float(np.square(place).sum()) / max(float((points - points.mean(0)).square().sum()), 1e-12)
    chart = Chart(f"Trajectories of {len(paths)} films in the plane of two principal components", 3.6)
    axes = chart.subplots()
    start = 0
    for name, steps in paths.items():
        x, y = place[start:start + len(steps) + 1].T
        line, = axes.plot(x, y, "-", linewidth=1.2, label=name)
        dots = axes.scatter(x, y, c=[*(s.t for s in steps), steps[-1].t_next], cmap="viridis_r", vmin=0, vmax=1, s=16,
                            zorder=3)
        axes.plot(x[-1], y[-1], "s", color=line.get_color(), markersize=8, zorder=2)
        start += len(steps) + 1
    axes.set(title=f"x_t from noise to film (square); the plane has {share:.0%} of the variance",
             xlabel="component 1", ylabel="component 2")
    axes.legend(loc="best", fontsize=8)
    bar = chart.colorbar(dots, ax=axes, label="t", aspect=30, pad=0.02)
    bar.outline.set_visible(False)
    return chart


@look
def guidance_chart(steps: Sequence[DenoisingStep]) -> Chart:
    """How large each part of the velocity is, step by step, and how far the prompt pulls it, and the parts that are
    skipped: root mean squares."""
    size = lambda v: float(v.square().mean().sqrt())
    split = [(step.index, step) for step in steps if step.unconditional is not None]
    chart = Chart(f"Size of the velocity and of the prompt's pull in {len(steps)} steps")
    left, right = chart.subplots(1, 2)
    left.plot([step.index for step in steps], [size(step.velocity) for step in steps], label="guided")
    left.plot([step.index for step in steps], [size(step.conditional) for step in steps], label="with the prompt")
    left.plot([k for k, _ in split], [size(step.unconditional) for _, step in split], label="without")
    left.set(title="velocity, root mean square")
    left.legend()
    right.plot([k for k, _ in split], [size(step.conditional - step.unconditional) for _, step in split],
               color=COLOURS[1], label="with - without the prompt")
    skipped = [(step.index, step) for step in steps if step.skipped is not None]
    if skipped:
        right.plot([k for k, _ in skipped], [size(step.conditional - step.skipped) for _, step in skipped],
                   color=COLOURS[2], label="with - without some parts")
        right.legend()
    if not split:
        right.text(0.5, 0.5, f"no part without the prompt: {steps[0].guided}", ha="center", transform=right.transAxes,
                   color="#777777")
    right.set(title="the pull", ylim=(0, None), xlim=left.get_xlim())
    by_step(left, right)
    return chart


@look
def stages(run: Run) -> Chart:
    """How long each stage took and how much more memory it had."""
    chart = Chart(f"Seconds and memory of {len(run.records)} stages", 2.6)
    left, right = chart.subplots(1, 2, sharey=True)
    names = [name for name in STAGES if name in run.records]
    for axes, values, form, title in (
            (left, [run.records[name].seconds for name in names], "{:.3f}", "seconds"),
            (right, [run.records[name].memory / 2**20 for name in names], "{:.0f}", "memory, MiB more at its highest")):
        bars = axes.barh(names, values, color=COLOURS[0], height=0.6)
        axes.bar_label(bars, [form.format(v) for v in values], padding=3, fontsize=8)
        axes.set(title=title, xlim=(0, 1.15 * max(*values, 1e-9)), xticks=[])
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.tick_params(length=0)
    left.invert_yaxis()
    return chart


@look
def words_alike(conditioning: Conditioning) -> Chart:
    """How alike the vectors of a prompt's words are in their context: the cosine of each two, and each one's length."""
    vectors = conditioning.vectors[0][conditioning.mask[0]].float().cpu()
    names = words_of(conditioning)[:len(vectors)]
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    cosines = (unit @ unit.T).numpy()
    chart = Chart(f"Cosines of {len(names)} word vectors of width {vectors.shape[1]}", 3.9)
    left, right = chart.subplots(1, 2)
    shown = matrix(left, cosines, names, names, vmin=min(0.99, float(cosines.min())), vmax=1)
    left.set_title("cosine of each two")
    chart.colorbar(shown, ax=left, shrink=0.8).outline.set_visible(False)
    place = plane(vectors)
    right.scatter(*place.T, s=14)
    for name, (x, y) in zip(names, place):
        right.annotate(name, (x, y), (4, 3), textcoords="offset points", fontsize=9 if len(names) <= 14 else 7)
    right.set(title="in the plane of two components", xticks=[], yticks=[])
    right.margins(0.18)
    return chart


@look
def near_words(names: Sequence[str], vectors: Float[Tensor, "n d"], word: int, most: int = 14) -> Chart:
    """The cosine of each two of a prompt's words, and which are nearest to one of them."""
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    table = (unit @ unit.T).numpy()
    order = [k for k in table[word].argsort()[::-1].tolist() if k != word][:most]
    chart = Chart(f"Words near {names[word]!r} of {len(names)}", max(3.9, 1 + 0.24 * len(order)))
    left, right = chart.subplots(1, 2, width_ratios=(1.15, 1))
    shown = matrix(left, table, names, names, vmin=min(0.99, float(table.min())), vmax=1)
    left.add_patch(Rectangle((-0.5, word - 0.5), len(names), 1, fill=False, edgecolor=COLOURS[1], linewidth=2))
    left.set_title("cosine of each two")
    chart.colorbar(shown, ax=left, shrink=0.8).outline.set_visible(False)
    ranked(right, [f"{k} {names[k]}" for k in order], table[word][order].tolist(), f"near {names[word]!r}", "{:.2f}")
    return chart


@look
def moved_words(names: Sequence[str], moved: Sequence[float], without: str, most: int = 14) -> Chart:
    """How far each vector moves when a word is left out: 1 - cosine."""
    order = np.argsort(moved)[::-1][:most]
    chart = Chart(f"How far words move without {without!r}", 0.8 + 0.24 * len(order))
    ranked(chart.subplots(), [names[k] for k in order], [moved[k] for k in order],
           f"without {without!r}: how far the others move, 1 - cosine", "{:.3f}")
    return chart


@look
def compared(one: Sequence[str], two: Sequence[str], tables: Mapping[str, Float[Tensor, "n m"]]) -> Chart:
    """Cosines of the words of one prompt (down) and another (across), in one table or more."""
    chart = Chart(f"Cosines of {len(one)} and {len(two)} words", 4.4)
    for axes, (title, table) in zip(chart.subplots(1, len(tables)), tables.items()):
        matrix(axes, table.numpy(), one, two, vmin=0, vmax=1, written=len(one) * len(two) <= 110)
        axes.set_title(title)
    return chart


@look
def looked_at(names: Sequence[str], weights: Float[np.ndarray, "n n"], title: str) -> Chart:
    """How much each word (row) looks at each other (column)."""
    chart = Chart(title, 5.2)
    axes = chart.subplots()
    shown = matrix(axes, weights, names, names, vmin=0, written=len(names) <= 14)
    axes.set_title(title)
    chart.colorbar(shown, ax=axes, shrink=0.8).outline.set_visible(False)
    return chart


def matrix(axes, values: Float[np.ndarray, "n m"], rows: Sequence[str], columns: Sequence[str], written: bool = False,
           **limits):
    """A table of numbers as colours, with names; written, if each cell is to say its number."""
    size = 9 if max(len(rows), len(columns)) <= 14 else 7 if max(len(rows), len(columns)) <= 26 else 4.5
    shown = axes.imshow(values, cmap="viridis", aspect="auto", **limits)
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(range(len(rows)), rows, fontsize=size)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    if written:
        middle = (shown.norm.vmin + shown.norm.vmax) / 2
        for (y, x), value in np.ndenumerate(values):
            axes.text(x, y, f"{value:.2f}".lstrip("0"), ha="center", va="center", fontsize=6.5,
                      color="black" if value > middle else "white")
    return shown


def ranked(axes, names: Sequence[str], values: Sequence[float], title: str, form: str) -> None:
    """A bar for each name, from the top down."""
    bars = axes.barh(range(len(names)), values, height=0.65, color=COLOURS[0])
    axes.bar_label(bars, [form.format(value) for value in values], padding=4, fontsize=8)
    axes.set_yticks(range(len(names)), names)
    lowest, highest = min(0, *values, 0), max(*values, 0, 1e-9)
    axes.set(title=title, xticks=[], xlim=(1.25 * lowest - 0.2 * highest * (lowest < 0), 1.2 * highest - 0.1 * lowest))
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.invert_yaxis()


def plane(points: Float[Tensor, "n d"]) -> Float[np.ndarray, "n 2"]:
    """Points in their two principal components, with signs that are the same each time. Works out as much as there are
    points, however many numbers a point has."""
    points = points.float().cpu() - points.float().cpu().mean(0)
    values, vectors = torch.linalg.eigh(points @ points.T)
    place = (vectors[:, -2:] * values[-2:].clamp_min(0).sqrt()).flip(1)                         # (n, 2)
    place = torch.nn.functional.pad(place, (0, 2 - place.shape[1]))
    return (place * place.gather(0, place.abs().argmax(0, keepdim=True)).sign()).numpy()


@look
def apart(difference: Difference) -> Chart:
    """How far x_t of two runs are apart at each step that both have."""
    chart = Chart(f"Distance of two runs at {len(difference.x)} steps", 2.2)
    axes = chart.subplots()
    axes.plot(range(len(difference.x)), difference.x, "o-", markersize=3.5, color=COLOURS[1])
    axes.set(title="distance of x_t, root mean square", ylim=(0, None))
    by_step(axes)
    return chart


@look
def parameters(parts: Mapping[str, int], title: str) -> Chart:
    """How many parameters each part has."""
    total = sum(parts.values())
    chart = Chart(f"{title}: {total:,} parameters", 0.7 + 0.26 * len(parts))
    axes = chart.subplots()
    bars = axes.barh(list(parts), list(parts.values()), color=COLOURS[0], height=0.65)
    axes.bar_label(bars, [f"{n / total:.1%}  {n:,}" for n in parts.values()], padding=4, fontsize=8)
    axes.set(title=f"{title}: {total:,} parameters", xlim=(0, 1.25 * max(parts.values())), xticks=[])
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(length=0)
    axes.invert_yaxis()
    return chart


def stacked(*pictures: Image.Image | Chart) -> Image.Image:
    """Pictures and charts one below the other, as one picture."""
    tiles = [Image.open(io.BytesIO(p.png())).convert("RGB") if isinstance(p, Chart) else p for p in pictures]
    whole = Image.new("RGB", (max(t.width for t in tiles), sum(t.height for t in tiles) + 14 * (len(tiles) - 1)),
                      "white")
    y = 0
    for tile in tiles:
        whole.paste(tile, (0, y))
        y += tile.height + 14
    return whole


@look
def words_chart(shares: Mapping[str, float], title: str) -> Chart:
    """How much of an attention goes to each word; keys begin with the word's number, so that none is lost."""
    chart = Chart(title, 0.8 + 0.24 * len(shares))
    ranked(chart.subplots(), list(shares), list(shares.values()), title, "{:.1%}")
    return chart
