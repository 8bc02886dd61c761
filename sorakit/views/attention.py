"""What a transformer looked at: word to pixels, frame to frame, and from a patch to every other."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw
from torch import Tensor

from sorakit.latent.autoencoder import TIME
from sorakit.run import Run
from sorakit.types import Conditioning, DenoisingStep
from sorakit.views.pictures import components, to_bytes
from sorakit.views.sheet import Layout, beside, chosen, diverging, glowing, in_rows, resized, sheet


@dataclass(frozen=True, eq=False)
class Attention:
    """One attention at one step: how much each patch looks at each other (`space`, in its own frame; `time`, in all of
    them) or at each word (`word`). Shows itself in a notebook; `attention(run, ...)` makes one."""

    name: str                                         # "blocks.3.time"
    weights: Float[Tensor, "f g q k"]                 # frames (space) or 1, heads, queries, keys; sums to 1 over keys
    shape: tuple[int, int, int]                       # latent frames, rows and columns of patches
    words: tuple[str, ...] = ()                       # of the keys, if they are words
    under: UInt8[np.ndarray, "t h w 3"] | None = field(default=None, repr=False)    # a picture for each latent frame

    def __post_init__(self):
        t, h, w = self.shape
        queries = self.weights.shape[0] * self.weights.shape[2]
        if self.kind not in ("space", "time", "word") or queries != t * h * w:
            raise ValueError(f"name={self.name!r} with weights of shape {tuple(self.weights.shape)} does not fit "
                             f"{t} x {h} x {w} patches; it takes a space, time or word attention as a trace keeps it")

    @property
    def kind(self) -> str:
        return self.name.rsplit(".", 1)[-1]

    @property
    def heads(self) -> int:
        return self.weights.shape[1]

    @property
    def words_there(self) -> int:
        """How many of the words are in the prompt; the others only fill up."""
        return sum(word != "[none]" for word in self.words)

    def of(self, head: int | None = None) -> Float[Tensor, "f q k"]:
        """The weights of a head; of all of them, the mean. Raises ValueError for a head that is not there."""
        if head is None:
            return self.weights.float().mean(1)
        if not 0 <= head < self.heads:
            raise ValueError(f"head={head!r} is not there; {self.name} has heads 0 to {self.heads - 1}")
        return self.weights[:, head].float()

    def from_patch(self, frame: int, y: int, x: int, head: int | None = None) -> Float[np.ndarray, "t h w"]:
        """Where a patch looks, in every frame. Space attention sees its own frame only: 0 in all others."""
        t, h, w = self.shape
        if self.kind == "word":
            raise ValueError(f"{self.name} looks at words, not at patches; to_words() shows it")
        if not (0 <= frame < t and 0 <= y < h and 0 <= x < w):
            raise ValueError(f"patch ({frame}, {y}, {x}) is not there; there are {t} x {h} x {w}")
        weights = self.of(head)
        if self.kind == "time":
            return weights[0, (frame * h + y) * w + x].reshape(t, h, w).numpy()
        seen = torch.zeros(t, h, w)
        seen[frame] = weights[frame, y * w + x].reshape(h, w)
        return seen.numpy()

    def to_words(self, head: int | None = None) -> Float[np.ndarray, "l t h w"]:
        """How much each patch looks at each word."""
        t, h, w = self.shape
        if self.kind != "word":
            raise ValueError(f"{self.name} looks at patches, not at words; from_patch() shows it")
        return rearrange(self.of(head)[0], "(t h w) l -> l t h w", t=t, h=h, w=w).numpy()

    def between_frames(self, head: int | None = None) -> Float[np.ndarray, "t t2"]:
        """How much the patches of a frame (row) look at each frame (column); rows sum to 1."""
        t = self.shape[0]
        if self.kind == "word":
            raise ValueError(f"{self.name} looks at words, not at frames; to_words() shows it")
        if self.kind == "space":
            return np.eye(t, dtype=np.float32)
        return reduce(self.of(head)[0], "(t n) (s m) -> t s", "sum", t=t, s=t).numpy() / (self.shape[1] * self.shape[2])

    def explore(self):
        """A live view: click a patch, see where it looks."""
        from sorakit.views.explorers import explore_attention

        return explore_attention({self.name: lambda step: self}, 1)

    def picture(self) -> Image.Image:
        if self.kind == "word":
            return word_maps(self)
        t, h, w = self.shape
        return patch_looks(self, t // 2, h // 2, w // 2)

    def __repr__(self):
        t, h, w = self.shape
        return f"Attention({self.name}: {self.heads} heads, {t} x {h} x {w} patches)"

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = io.BytesIO()
        self.picture().save(data, "PNG")
        return {"image/png": base64.b64encode(data.getvalue()).decode(), "text/plain": repr(self)}


def attention(run: Run, name: str, step: int = -1) -> Attention:
    """An attention that a run kept, by the name of its part: `attention(run, "blocks.3.time", step=12)`.

    Drawn over the finished film. Raises ValueError for a step or a name that was not kept.
    """
    if not -len(run.steps) <= step < len(run.steps):
        raise ValueError(f"step={step!r} is not there; this run has steps 0 to {len(run.steps) - 1}")
    frames = run.frames[0, :, (run.frames.shape[2] - 1) % TIME::TIME]      # a ring has both frames of its first latent
    under = to_bytes(rearrange(frames, "c t h w -> t h w c"))
    return step_attention(run.steps[step], name, words_of(run.conditioning), under)


def step_attention(step: DenoisingStep, name: str, words: tuple[str, ...] = (),
                   under: UInt8[np.ndarray, "t h w 3"] | None = None) -> Attention:
    """An attention that a step kept; without a film, over the principal components of its x0. That of a ring is
    `unrolled`."""
    if name not in step.attention:
        kept = ", ".join(step.attention) or "none"
        raise ValueError(f"name={name!r} was not kept (kept: {kept}); trace with keep='{name}.attention'")
    shape = tuple(step.x.shape[2:])
    weights = unrolled(step.attention[name].float(), name, shape)
    named = (*words, *[f"word {k}" for k in range(len(words), weights.shape[-1])])[:weights.shape[-1]]
    under = components(step.x0[:1]) if under is None else under
    return Attention(name, weights, shape, named if name.endswith(".word") else (), under)


def unrolled(weights: Float[Tensor, "f g q k"], name: str, shape: tuple[int, int, int]) -> Float[Tensor, "f2 g q2 k2"]:
    """The attention of a ring. The model sees its latents with some of its end laid on before and of its beginning
    after (`sorakit.tools.shot.Circular`): only the ring's own ask here, and what looks at a copy looks at the original.
    Any other attention stays as it is."""
    t, n = shape[0], shape[1] * shape[2]
    laid, rest = divmod(weights.shape[0] * weights.shape[2] - t * n, 2 * n)            # on either side
    if laid <= 0 or rest:
        return weights
    if name.endswith(".space"):
        return weights[laid:laid + t]
    weights = weights[:, :, laid * n:(laid + t) * n]
    if name.endswith(".word"):
        return weights
    originals = torch.arange(-laid * n, (t + laid) * n) % (t * n)
    return torch.zeros(*weights.shape[:3], t * n).index_add(3, originals, weights)


def words_of(conditioning: Conditioning) -> tuple[str, ...]:
    """What word attention looks at: the summary, the tokens that the encoder read, and what is there to fill up."""
    mask = conditioning.mask[0]
    tokens = [token.removeprefix("##") for token in conditioning.tokens][:int(mask.sum()) - 1]
    return ("[summary]", *tokens, *["[none]"] * (len(mask) - 1 - len(tokens)))


# --- pictures ---------------------------------------------------------------------------------------


def word_maps(look: Attention, head: int | None = None, n: int = 5, most: int = 12) -> Image.Image:
    """Word to pixels: for each word, how much each patch looks at it, over n of the frames. Of each word the patch that
    looks least is dark and the one that looks most bright; their shares stand behind it."""
    maps = look.to_words(head)
    picked = sorted(sorted(range(look.words_there), key=lambda k: -maps[k].mean())[:most])
    frames = chosen(look.shape[0], n)
    backs = [_back(look, frame) for frame in frames]
    rows = [[glowing(back, maps[k, frame] - maps[k].min(), float(np.ptp(maps[k])), cv2.INTER_CUBIC)
             for back, frame in zip(backs, frames)] for k in picked]
    left = 235
    layout = Layout.of(len(rows), len(frames), backs[0].shape[0] / backs[0].shape[1], left, 0, 130)
    return sheet(rows, [[f"latent frame {k}" if not i else str(k) for i, k in enumerate(frames)]],
                 [f"{look.words[k][:14]}  {maps[k].min():.0%} to {maps[k].max():.0%}" for k in picked],
                 f"{look.name}, {_named(head)}: how much patches look at each word, from least to most",
                 cv2.INTER_AREA, layout)


def patch_looks(look: Attention, frame: int, y: int, x: int, head: int | None = None) -> Image.Image:
    """Where one patch (outlined) looks in every frame. The percentages are how much of its attention a frame gets."""
    seen = look.from_patch(frame, y, x, head)
    return _over_frames(look, seen, 0.0, [f"frame {k}: {share:.0%}" for k, share in enumerate(seen.sum((1, 2)))],
                        f"{look.name}, {_named(head)}: where patch ({y}, {x}) of frame {frame} looks; the brightest is "
                        f"{seen.max():.1%}", (frame, y, x))


def word_looks(look: Attention, word: int, frame: int, y: int, x: int, head: int | None = None) -> Image.Image:
    """Which patches look at one word (its place in `look.words`), with one patch outlined."""
    if not 0 <= word < look.words_there:
        raise ValueError(f"word={word!r} is not there; there are 0 to {look.words_there - 1}: {', '.join(look.words)}")
    seen = look.to_words(head)[word]
    return _over_frames(look, seen, float(seen.min()), [f"frame {k}" for k in range(len(seen))],
                        f"{look.name}, {_named(head)}: patches that look at '{look.words[word]}', "
                        f"{seen.min():.0%} to {seen.max():.0%}", (frame, y, x))


def _over_frames(look: Attention, seen: Float[np.ndarray, "t h w"], lowest: float, titles: list[str], caption: str,
                 patch: tuple[int, int, int]) -> Image.Image:
    """Values of each patch over all frames, with one patch outlined."""
    layout = looks_layout(look)
    tiles = [glowing(_back(look, k), seen[k] - lowest, float(seen.max()) - lowest) for k in range(len(seen))]
    picture = sheet(in_rows(tiles, layout.columns), in_rows(titles, layout.columns), (), caption, layout=layout)
    frame, y, x = patch
    left, top = layout.corner(frame // layout.columns, frame % layout.columns)
    high, wide = layout.height / look.shape[1], layout.width / look.shape[2]
    box = (left + x * wide, top + y * high, left + (x + 1) * wide, top + (y + 1) * high)
    draw = ImageDraw.Draw(picture)
    draw.rectangle(box, outline="black", width=5)
    draw.rectangle((box[0] + 1, box[1] + 1, box[2] - 1, box[3] - 1), outline="#40e0ff", width=3)
    return picture


def looks_layout(look: Attention) -> Layout:
    """Where `patch_looks` and `word_looks` have their frames."""
    ratio = look.shape[1] / look.shape[2]
    return Layout.of(*beside(look.shape[0], ratio), ratio)


def patch_at(look: Attention, x: float, y: float) -> tuple[int, int, int] | None:
    """The patch (frame, y, x) under a pixel of the picture of `patch_looks` or `word_looks`; None beside the frames."""
    layout = looks_layout(look)
    found = layout.hit(x, y)
    if found is None:
        return None
    row, column, down, across = found
    frame = row * layout.columns + column
    _, h, w = look.shape
    return (frame, int(down * h), int(across * w)) if frame < look.shape[0] else None


def patch_words(look: Attention, frame: int, y: int, x: int, head: int | None = None) -> dict[str, float]:
    """How much one patch looks at each word."""
    shares = look.to_words(head)[:look.words_there, frame, y, x]
    return {f"{k} {word}": float(share) for k, (word, share) in enumerate(zip(look.words, shares))}


def time_matrices(looks: list[Attention], head: int | None = None) -> Image.Image:
    """Frame by frame, of one attention every head (a list of one, no head), or of several attentions one head or their
    mean: how much the patches of a frame (row) look at each frame (column)."""
    if len(looks) == 1 and head is None:
        tiles = [looks[0].between_frames(g) for g in range(looks[0].heads)]
        titles = [f"head {g}" for g in range(looks[0].heads)]
    else:
        tiles, titles = [look.between_frames(head) for look in looks], [look.name for look in looks]
    even = 1 / looks[0].shape[0]
    limit = max(max(float(np.abs(tile - even).max()) for tile in tiles), 1e-3)
    columns = min(6, len(tiles))
    rows = [range(k, min(k + columns, len(tiles))) for k in range(0, len(tiles), columns)]
    name = "" if len(looks) > 1 else looks[0].name + ": "
    return sheet([[diverging(tiles[k] - even, limit) for k in row] for row in rows],
                 [[titles[k] for k in row] for row in rows], (),
                 f"{name}from frame (down) to frame (across); white {even:.0%} is even, red up to {even + limit:.0%}, "
                 "blue less")


def _back(look: Attention, frame: int) -> UInt8[np.ndarray, "h w 3"]:
    """What lies under the weights, 16 pixels a patch."""
    _, h, w = look.shape
    back = np.full((1, 1, 3), 90, np.uint8) if look.under is None else look.under[min(frame, len(look.under) - 1)]
    return resized(back, 16 * w, 16 * h, cv2.INTER_AREA)


def _named(head: int | None) -> str:
    return "mean of all heads" if head is None else f"head {head}"
