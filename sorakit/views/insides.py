"""Pictures of what models are made of: weights, gates, what each sub-layer adds, what a latent channel paints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sorakit.latent.autoencoder import SPACE, TIME, Autoencoder
from sorakit.run import Run
from sorakit.tools.shot import Circular, CircularDecoder
from sorakit.transformer.model import Transformer
from sorakit.views.charts import COLOURS, Chart, look, stacked
from sorakit.views.sheet import beside, diverging, glowing, in_rows, resized, sheet

PARTS = {"self": "attention over {axis}", "word": "attention to the words", "feed": "feed-forward"}


# --- the transformer's weights ----------------------------------------------------------------------


def matrices(model: Transformer, block: int, part: str) -> dict[str, Float[Tensor, "out in"]]:
    """The matrices of a sub-layer by name; part is one of PARTS. Raises ValueError for another."""
    if part not in PARTS:
        raise ValueError(f"part={part!r} is not one of {', '.join(PARTS)}")
    layer = model.blocks[block]
    if part == "self":
        q, k, v = layer.qkv.weight.detach().chunk(3)
        return {"queries": q, "keys": k, "values": v, "out": layer.out.weight.detach()}
    if part == "word":
        k, v = layer.word_kv.weight.detach().chunk(2)
        return {"queries": layer.word_q.weight.detach(), "keys": k, "values": v, "out": layer.word_out.weight.detach()}
    return {"up": layer.up.weight.detach(), "down": layer.down.weight.detach()}


def weights_sheet(model: Transformer, block: int, part: str) -> Image.Image:
    """The matrices of a sub-layer, blue below 0 and red above; and how many directions each of them uses."""
    named = {name: value.float().cpu() for name, value in matrices(model, block, part).items()}
    layer = model.blocks[block]
    upright = [value if value.shape[0] <= value.shape[1] else value.T for value in named.values()]
    limit = 2.5 * float(torch.cat([value.flatten() for value in upright]).std())
    heads = "" if part == "feed" else f"; rows of queries, keys and values: {layer.heads} heads of " \
                                      f"{len(upright[0]) // layer.heads}"
    tiles = [resized(diverging(value.numpy(), limit), 2 * value.shape[1], 2 * value.shape[0]) for value in upright]
    picture = sheet([tiles], [[f"{name} {value.shape[0]} x {value.shape[1]}" for name, value in named.items()]], (),
                    f"{layer.name}, {PARTS[part].format(axis=layer.axis)}{heads}; blue to red is "
                    f"-{limit:.2f} to {limit:.2f}", cv2.INTER_AREA)
    return stacked(picture, directions(named))


@look
def directions(named: Mapping[str, Float[Tensor, "out in"]]) -> Chart:
    """The singular values of matrices: how strongly each direction passes, the strongest first."""
    chart = Chart(f"Singular values of {', '.join(named)}", 2.6)
    axes = chart.subplots()
    for name, value in named.items():
        strength = torch.linalg.svdvals(value)
        share = strength.square() / strength.square().sum()
        used = float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))         # effective rank
        axes.plot(strength.numpy(), label=f"{name}: about {used:.0f} of {len(strength)} in use")
    axes.set(title="singular values: how strongly each direction passes", xlabel="direction, strongest first",
             ylim=(0, None))
    axes.legend()
    return chart


# --- gates ------------------------------------------------------------------------------------------


@torch.no_grad()
def gates(model: Transformer, times: Sequence[float], summary: Float[Tensor, "1 d"], h: int, w: int, fps: float = 8.0
          ) -> Float[np.ndarray, "2 blocks n"]:
    """How wide each block opens to its self-attention and its feed-forward network at n times: the mean over channels
    of the size of their gates."""
    times = torch.tensor([list(times)], device=summary.device, dtype=summary.dtype)     # (1, n)
    condition = F.silu(model.time_embedding(times) + summary + model.time_embedding.of_shape(h, w, fps, summary))
    modulation = model.modulation(condition)[0]                                                # (n, 6 d)
    opened = torch.stack([(modulation + block.bias).unflatten(-1, (6, -1))[:, [2, 5]].abs().mean(-1)
                          for block in model.blocks])                                          # (blocks, n, 2)
    return rearrange(opened, "blocks n gate -> gate blocks n").cpu().numpy()


@look
def gates_chart(model: Transformer, t: float, summary: Float[Tensor, "1 d"], h: int, w: int, said: str) -> Chart:
    """Gates by block and time, and those at one time."""
    times = np.linspace(0, 1, 41).tolist()
    grid, now = gates(model, times, summary, h, w), gates(model, [t], summary, h, w)[..., 0]
    names = [f"{k} {block.axis}" for k, block in enumerate(model.blocks)]
    chart = Chart(f"Gates of {len(names)} blocks", 4.2)
    *maps, bars = chart.subplots(1, 3)
    for axes, values, title in zip(maps, grid, ("gate of self-attention", "gate of feed-forward")):
        shown = axes.imshow(values, cmap="viridis", aspect="auto", vmin=0, vmax=float(grid.max()),
                            extent=(0, 1, len(names) - 0.5, -0.5))
        axes.axvline(t, color="white", linewidth=2)
        axes.set(title=title, xlabel="t (1 is noise)", yticks=range(len(names)), yticklabels=names)
        axes.tick_params(length=0)
    chart.colorbar(shown, ax=maps, shrink=0.6, location="bottom", aspect=40).outline.set_visible(False)
    places = np.arange(len(names))
    bars.barh(places - 0.2, now[0], 0.38, label="self-attention")
    bars.barh(places + 0.2, now[1], 0.38, label="feed-forward")
    bars.set(title=f"at t = {t:.2f}", xlabel=said, yticks=places, yticklabels=names, xlim=(0, 1.05 * float(grid.max())))
    bars.invert_yaxis()
    chart.legend(fontsize=8, loc="outside lower right", ncols=2)
    return chart


# --- what a sub-layer does in a run -----------------------------------------------------------------


def network_of(run: Run, model: Transformer):
    """The model as the run asked it: of a ring, with its ends laid on."""
    return Circular(model) if is_ring(run) else model


def autoencoder_of(run: Run):
    """The autoencoder as the run decodes with it: of a ring, led in by its own end. None without a pipeline."""
    autoencoder = run.pipeline and run.pipeline.autoencoder
    return CircularDecoder(autoencoder) if is_ring(run) else autoencoder


def is_ring(run: Run) -> bool:
    given = getattr(run.pipeline, "given", None)
    return given is not None and given.circular


@torch.no_grad()
def answer(model: Transformer, run: Run, step: int) -> Float[Tensor, "1 c t h w"]:
    """What the model says to x_t of a step, with the prompt and without guidance, unless that is folded in: the film
    that this points to."""
    now, (_, mask), words = run.steps[step], run.known, run.conditioning
    x = now.x[:1]
    times = torch.full((1, *x.shape[2:]), now.t, device=x.device)
    times = times if mask is None else times.masked_fill(mask[:1], 0.0)
    more = {} if model.end is None else {"span": times * (1 - now.t_next / now.t)}       # of few-step weights
    velocity = network_of(run, model)(x, times, words.vectors[:1], words.mask[:1], **more)
    return x - times[:, None] * velocity


def added(model: Transformer, run: Run, step: int
          ) -> tuple[dict[str, Float[Tensor, "t h w"]], Float[Tensor, " blocks"]]:
    """How much each sub-layer adds to each patch behind its gate, root mean square; and how large what goes into each
    block is."""
    now, (_, mask) = run.steps[step], run.known
    t, h, w = now.x.shape[2:]
    seen: dict[str, Tensor] = {}
    with model.watch("*", lambda name, value: seen.update({name: value[0]})):
        answer(model, run, step)
    laid = (len(seen["embed"]) // (h * w) - t) // 2                                            # of a ring, else 0
    times = torch.full((1, t + 2 * laid, h, w), now.t, device=now.x.device)
    if mask is not None:
        times = times.masked_fill(mask[:1, torch.arange(-laid, t + laid) % t], 0.0)
    words = run.conditioning.vectors[:1, :1]
    when = model.time_embedding(times.flatten(1))
    if model.end is not None:
        when = when + model.end(model.time_embedding.waves((times * now.t_next / now.t).flatten(1)))
    condition = F.silu(when + words + model.time_embedding.of_shape(h, w, 8.0, words))
    size = lambda value: value.square().mean(-1).sqrt().unflatten(0, (-1, h, w))[laid:laid + t].cpu()
    sizes, into = {}, []
    for block, before in zip(model.blocks, ["embed", *(block.name for block in model.blocks)]):
        gate1, gate2 = (model.modulation(condition)[0] + block.bias).chunk(6, -1)[2::3]        # (n, d)
        sizes[f"{block.name}.{block.axis}"] = size(gate1 * seen[f"{block.name}.{block.axis}"])
        sizes[f"{block.name}.word"] = size(seen[f"{block.name}.word"])
        sizes[f"{block.name}.feed"] = size(gate2 * seen[f"{block.name}.feed"])
        into.append(seen[before].square().mean().sqrt().cpu())
    return sizes, torch.stack(into)


@look
def added_chart(sizes: Mapping[str, Float[Tensor, "t h w"]], into: Float[Tensor, " blocks"], name: str) -> Chart:
    """What each sub-layer adds, as a share of what goes into its block; the one that is chosen has a frame."""
    chart = Chart(f"What {len(sizes)} sub-layers add", 2.7)
    axes = chart.subplots()
    share = lambda part: float(sizes[part].square().mean().sqrt() / into[int(part.split(".")[1])].clamp_min(1e-9))
    for k, kind in enumerate(("space or time", "word", "feed")):
        parts = [part for part in sizes if part.rsplit(".", 1)[-1] in kind]
        places = [int(part.split(".")[1]) + 0.27 * (k - 1) for part in parts]
        edges = [COLOURS[1] if part == name else "none" for part in parts]
        axes.bar(places, [share(part) for part in parts], 0.25, color=COLOURS[(0, 2, 3)[k]], edgecolor=edges,
                 linewidth=2.5, label={"word": "words", "feed": "feed-forward"}.get(kind, kind))
    axes.set(title="what each sub-layer adds, against what goes into its block", yscale="log", xticks=range(len(into)),
             xticklabels=[part.split(".")[1] + " " + part.split(".")[2] for part in sizes
                          if part.endswith((".space", ".time"))])
    axes.axhline(1, color="#bbbbbb", linewidth=0.8, zorder=0)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.legend(ncols=3)
    return chart


def added_sheet(sizes: Mapping[str, Float[Tensor, "t h w"]], into: Float[Tensor, " blocks"], name: str,
                backs: UInt8[np.ndarray, "t y x 3"], caption: str) -> Image.Image:
    """Where in the frames a sub-layer adds most, and how much all of them do."""
    seen = sizes[name].numpy()
    _, columns = beside(len(seen), seen.shape[1] / seen.shape[2])
    tiles = [glowing(resized(back, 16 * seen.shape[2], 16 * seen.shape[1], cv2.INTER_AREA), one - seen.min(),
                     float(np.ptp(seen)), cv2.INTER_CUBIC) for back, one in zip(backs, seen)]
    titles = [f"latent frame {k}" for k in range(len(tiles))]
    picture = sheet(in_rows(tiles, columns), in_rows(titles, columns), (), caption)
    return stacked(picture, added_chart(sizes, into, name))


# --- the autoencoder --------------------------------------------------------------------------------


@torch.no_grad()
def paints(autoencoder: Autoencoder, channel: int, amount: float, cells: int = 3
           ) -> tuple[Float[Tensor, "t y x 3"], Float[Tensor, "t y x 3"]]:
    """What one number in one channel of the middle patch changes in the film, before patches join: by the straight line
    alone, and in all. Frames are the one before the latent's own two, these, and the two after."""
    shape = (1, autoencoder.channels, 3, cells, cells)
    still = torch.zeros(shape, device=autoencoder.mean.device)
    told = still.clone()
    told[0, channel, 1, cells // 2, cells // 2] = amount
    scale, mean = (v.view(-1, 1, 1, 1) for v in (autoencoder.std, autoencoder.mean))
    raw = rearrange((told - still) * scale, "b c k i j -> b k i j c") @ autoencoder.to_patch.weight.T
    line = rearrange(raw, "1 k i j (c t y x) -> (k t) (i y) (j x) c", t=TIME, y=SPACE, x=SPACE, c=3)[TIME - 1:]
    film = lambda latents: autoencoder.from_raw(latents * scale + mean)
    whole = rearrange(film(told) - film(still), "1 c t y x -> t y x c")
    return line.cpu(), whole.cpu()


def paints_sheet(autoencoder: Autoencoder, channel: int, amount: float) -> Image.Image:
    """What a channel paints; grey is no change."""
    line, whole = paints(autoencoder, channel, amount)
    limit = max(float(whole.abs().max()), float(line.abs().max()), 1e-6)
    shown = lambda value: (127.5 + 127.5 * value.clamp(-limit, limit) / limit).round().byte().numpy()
    rows = [list(shown(value)) for value in (line, whole - line, whole)]
    return sheet(rows, [["frame before", "its first frame", "its second", "frame after", "and after that"]],
                 ["straight line", "network", "both"],
                 f"{amount:+.1f} in channel {channel} of the middle patch: grey is no change, the greatest is "
                 f"{limit * 127.5:.0f} of 255", cv2.INTER_NEAREST)


