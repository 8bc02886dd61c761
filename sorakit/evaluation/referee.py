"""The referee: a small network that watches a film and says which scene it shows, so that films can be scored.

It is trained on renders, whose scenes are known (`sorakit.training.referee`); its own accuracy is in its card. A few
frames go through a plain convolutional network, each with its change from the frame before and to the frame after.
The network first marks, cell by cell, which kind of subject is there; what it then says of a kind (colour, action,
direction, count) it reads from that kind's cells alone, so that a red dog beside a blue cat is not a blue dog.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as F

from ..weights import HERE, WeightsError
from ..world.scene import (
    CAMERAS,
    COLOURS,
    DIRECTIONS,
    KINDS,
    MOODS,
    SETTINGS,
    STYLES,
    TIMES,
    WEATHERS,
    Scene,
    Subject,
)

KIND_NAMES = tuple(KINDS)
ACTIONS = tuple(dict.fromkeys(action for kind in KINDS.values() for action in kind.actions))
COUNTS = (1, 2, 3)
SCENE_PARTS = {"setting": SETTINGS, "time": TIMES, "weather": WEATHERS, "style": STYLES, "mood": MOODS,
               "camera": CAMERAS}
SUBJECT_PARTS = {"colour": tuple(COLOURS), "action": ACTIONS, "direction": DIRECTIONS, "count": COUNTS}
FRAMES = 5               # of a film that are looked at, evenly spread
CELL = 8                 # pixels of a cell of the maps, in each direction
MOST_KINDS = 2           # a scene of the drawn world has no more


@dataclass(frozen=True, eq=False)
class SubjectReading:
    """One kind of subject that was seen: probabilities of what it is like, and where it is."""

    kind: str
    probability: float
    colour: dict[str, float]
    action: dict[str, float]
    direction: dict[str, float]
    count: dict[int, float]
    path: Float[np.ndarray, "t 2"]       # its middle, (y, x) from 0 to 1 of the frame, at the moments of Reading.frames
    area: Float[np.ndarray, " t"]        # its share of the frame

    def best(self) -> Subject:
        return Subject(self.kind, *(_best(getattr(self, part)) for part in SUBJECT_PARTS))


@dataclass(frozen=True, eq=False)
class Reading:
    """What the referee saw in a film: a probability for everything that it could be."""

    setting: dict[str, float]
    time: dict[str, float]
    weather: dict[str, float]
    style: dict[str, float]
    mood: dict[str, float]
    camera: dict[str, float]
    kinds: dict[str, float]                    # of each kind, whether it is there at all
    subjects: tuple[SubjectReading, ...]       # those that were seen, the surest first; at most two
    frames: tuple[int, ...]                    # numbers of the frames that were looked at

    def best(self) -> Scene:
        """The likeliest scene; sizes, speeds and the seed are not read."""
        return Scene(tuple(subject.best() for subject in self.subjects),
                     **{part: _best(getattr(self, part)) for part in SCENE_PARTS})


@dataclass(frozen=True, eq=False)
class Features:
    """What the referee remembers of films, for measures that compare films."""

    film: Float[np.ndarray, "n d"]             # one vector a film
    subject: Float[np.ndarray, "n t d2"]       # one a frame, of its subjects' cells


@dataclass(frozen=True, eq=False)
class Seen:
    """The network's output for a batch; `Referee.attributes` reads on from it."""

    film: Float[Tensor, "b d"]
    parts: dict[str, Float[Tensor, "b n"]]     # logits of each of SCENE_PARTS
    presence: Float[Tensor, "b k"]             # logits of each kind
    number: Float[Tensor, "b n"]               # logits of how many kinds there are: 0, 1 or 2
    maps: Float[Tensor, "b t k1 i j"]          # log-probabilities of each cell: 0 is no subject, then the kinds
    cells: Float[Tensor, "b t c i j"]          # features


class Referee(nn.Module):
    """Films in, scenes out. `Referee.load()` is the trained one; `read` is what to call."""

    def __init__(self, width: int = 48, features: int = 128):
        super().__init__()
        fine, middle, coarse = width, 8 * width // 3, 4 * width
        self.width, self.features = width, features
        self.accuracy: dict[str, dict[str, dict]] = {}               # of a trained one: by test, then by attribute
        self.stem = nn.Conv2d(5 * 16, fine, 1)                       # patches of 4 x 4
        self.fine = Block(fine)
        self.down1 = nn.Conv2d(4 * fine + 2, middle, 1)              # cells of 8 x 8, which know their place
        self.middle = nn.ModuleList([Block(middle), TimeBlock(middle), Block(middle)])
        self.down2 = nn.Conv2d(4 * middle, coarse, 1)                # of 16 x 16
        self.coarse = nn.ModuleList([Block(coarse), TimeBlock(coarse), Block(coarse)])
        self.up = nn.Conv2d(coarse, middle, 1)
        self.map = nn.Conv2d(middle, 1 + len(KINDS), 1)
        self.presence = nn.Parameter(torch.zeros(len(KINDS), middle))
        self.presence_bias = nn.Parameter(torch.full((len(KINDS),), -1.0))
        self.presence_map = nn.Parameter(torch.full((2, len(KINDS)), 0.3))
        self.film = nn.Linear(2 * coarse, features)
        self.film_time = nn.Conv1d(features, features, 3, padding=1)
        self.film_norm = nn.LayerNorm(features)
        self.parts = nn.ModuleDict({part: nn.Linear(features, len(values)) for part, values in SCENE_PARTS.items()})
        self.subject = nn.Linear(middle + 5, features)
        self.subject_time = nn.Conv1d(features, features, 3, padding=1)
        self.subject_parts = nn.ModuleDict({part: _mlp(2 * features if part in ("action", "direction") else features,
                                                       features, len(values))
                                            for part, values in SUBJECT_PARTS.items()})
        self.number = nn.Linear(features + 3, 1 + MOST_KINDS)

    def forward(self, frames: Float[Tensor, "b t 5 h w"]) -> Seen:
        """Frames as `chosen_frames` makes them; heights and widths are multiples of 16."""
        b, t = frames.shape[:2]
        x = rearrange(frames, "b t c h w -> (b t) c h w").contiguous(memory_format=torch.channels_last)
        x = self.fine(self.stem(F.pixel_unshuffle(x, 4)))
        x = F.pixel_unshuffle(x, 2)
        x = self.down1(torch.cat([x, _places(x)], 1))                                        # (b t, c, h/8, w/8)
        for block in self.middle:
            x = block(x, b)
        y = self.down2(F.pixel_unshuffle(x, 2))                                              # (b t, c, h/16, w/16)
        for block in self.coarse:
            y = block(y, b)
        cells = F.silu(_norm(x + F.interpolate(self.up(y), scale_factor=2.0))).float()
        maps = rearrange(self.map(cells).float().log_softmax(1), "(b t) k i j -> b t k i j", b=b)
        cells = rearrange(cells, "(b t) c i j -> b t c i j", b=b)

        y = F.silu(_norm(y))
        film = F.silu(self.film(torch.cat([y.mean((2, 3)), y.amax((2, 3))], 1)))             # (b t, d)
        film = rearrange(film, "(b t) d -> b d t", b=b)
        film = self.film_norm((film + F.silu(self.film_time(film))).mean(2))
        parts = {part: head(film) for part, head in self.parts.items()}

        where = maps[:, :, 1:].exp()                                                         # (b, t, k, i, j)
        weight = where / where.sum((1, 3, 4), keepdim=True)
        look = torch.einsum("btkij,btcij->bkc", weight, cells)
        mean, most = where.mean((1, 3, 4)), where.amax((1, 3, 4))
        presence = (look * self.presence).sum(2) + self.presence_bias \
            + self.presence_map[0] * (mean + 1e-4).log() + self.presence_map[1] * (most + 1e-2).log()
        number = self.number(torch.cat([film, presence.topk(3, 1).values / 4], 1))
        return Seen(film, parts, presence, number, maps, cells)

    def attributes(self, seen: Seen, kinds: Int[Tensor, "b s"]) -> dict[str, Float[Tensor, "b s n"]]:
        """Logits of each of SUBJECT_PARTS, of the given kinds in each film, whether they are there or not."""
        b, t = seen.maps.shape[:2]
        where = seen.maps.exp()[torch.arange(b, device=kinds.device)[:, None], :, kinds + 1]  # (b, s, t, i, j)
        mass = where.sum((3, 4)) + 1e-6                                                      # (b, s, t)
        weight = where / mass[..., None, None]
        look = torch.einsum("bstij,btcij->bstc", weight, seen.cells)
        i, j = where.shape[3:]
        y, x = (torch.arange(n, device=where.device) / i - n / i / 2 for n in (i, j))        # in frame heights
        rows, columns = weight.sum(4), weight.sum(3)
        centre_y, centre_x = (rows * y).sum(3), (columns * x).sum(3)
        spread_y = ((rows * y.square()).sum(3) - centre_y.square()).clamp_min(1e-6).sqrt()
        spread_x = ((columns * x.square()).sum(3) - centre_x.square()).clamp_min(1e-6).sqrt()
        area = (mass / i / i).clamp_min(1e-4).log() / 4
        shape = torch.stack([2 * centre_y, 2 * centre_x, 4 * spread_y, 4 * spread_x, area], 3)
        each = F.silu(self.subject(torch.cat([look, shape], 3)))                             # (b, s, t, d)
        share = mass / mass.sum(2, keepdim=True)
        mean = (each * share[..., None]).sum(2)                                              # (b, s, d)
        moving = self.subject_time(rearrange(each, "b s t d -> (b s) d t"))
        moving = rearrange(F.silu(moving), "(b s) d t -> b s t d", b=b).mean(2)
        inputs = {part: torch.cat([mean, moving], 2) if part in ("action", "direction") else mean
                  for part in SUBJECT_PARTS}
        return {part: head(inputs[part]) for part, head in self.subject_parts.items()}

    @torch.no_grad()
    def read(self, films: Iterable[UInt8[np.ndarray, "t h w 3"]], batch: int = 32) -> list[Reading]:
        """Read films of any number of frames, at a height and a width that are multiples of 16 pixels.

        It is trained on the native sizes, 8 frames a second, 17 frames. Raises ValueError for other arrays.
        """
        return [reading for seen, frames in self._watch(films, batch) for reading in self._readings(seen, frames)]

    @torch.no_grad()
    def remember(self, films: Iterable[UInt8[np.ndarray, "t h w 3"]], batch: int = 32) -> Features:
        """The features of films. Raises ValueError as `read` does."""
        film, subject = [], []
        for seen, _ in self._watch(films, batch):
            some = 1 - seen.maps[:, :, 0].exp()                                              # (b, t, i, j)
            look = torch.einsum("btij,btcij->btc", some, seen.cells) / (some.sum((2, 3)) + 1e-6)[..., None]
            film.append(seen.film.cpu().numpy())
            subject.append(F.pad(look, (0, 0, 0, FRAMES - look.shape[1]), value=torch.nan).cpu().numpy())
        return Features(np.concatenate(film), np.concatenate(subject))

    def _watch(self, films, batch) -> Iterator[tuple[Seen, tuple[int, ...]]]:
        """Batches of neighbouring films of one shape, in order."""
        device = self.map.weight.device
        waiting: list[np.ndarray] = []
        for film in films:
            check_film(film)
            if waiting and (film.shape != waiting[0].shape or len(waiting) == batch):
                yield self._look(waiting, device)
                waiting = []
            waiting.append(film)
        if waiting:
            yield self._look(waiting, device)

    def _look(self, films, device):
        moments = moments_of(len(films[0]))
        frames = chosen_frames(torch.from_numpy(np.stack(films)).to(device), torch.tensor(moments).to(device))
        return self(frames), moments

    def _readings(self, seen: Seen, frames: tuple[int, ...]) -> Iterator[Reading]:
        presence, number = seen.presence.sigmoid(), seen.number.argmax(1).tolist()
        surest = presence.topk(MOST_KINDS, 1).indices                                        # (b, s)
        parts = {part: logits.softmax(1).cpu().numpy() for part, logits in seen.parts.items()}
        attributes = self.attributes(seen, surest)
        can = torch.tensor([[action in KINDS[kind].actions for action in ACTIONS] for kind in KIND_NAMES])
        attributes["action"] = attributes["action"].masked_fill(~can.to(surest.device)[surest], -torch.inf)
        attributes = {part: logits.softmax(2).cpu().numpy() for part, logits in attributes.items()}
        maps, presence, surest = seen.maps.exp().cpu().numpy(), presence.cpu().numpy(), surest.cpu().numpy()
        for b in range(len(presence)):
            subjects = []
            for s, k in enumerate(surest[b, :number[b]]):
                path, area = _path(maps[b, :, k + 1])
                subjects.append(SubjectReading(
                    KIND_NAMES[k], float(presence[b, k]),
                    **{part: _named(values, attributes[part][b, s]) for part, values in SUBJECT_PARTS.items()},
                    path=path, area=area))
            yield Reading(**{part: _named(values, parts[part][b]) for part, values in SCENE_PARTS.items()},
                          kinds=_named(KIND_NAMES, presence[b]), subjects=tuple(subjects), frames=frames)

    @classmethod
    def load(cls, folder: str | Path | None = None) -> Referee:
        """The trained one that ships, or one from a folder that `sorakit.training.referee` wrote.

        Raises WeightsError (a ValueError) when it is missing or damaged.
        """
        folder = HERE / "referee" if folder is None else Path(folder)
        paths = folder / "referee.json", folder / "referee.safetensors"
        for path in paths:
            if not path.is_file():
                raise WeightsError(f"there is no {path.name} in {folder}: train a referee with "
                                   "`python -m sorakit.training.referee`")
        card, data = json.loads(paths[0].read_text()), paths[1].read_bytes()
        if hashlib.sha256(data).hexdigest() != card["sha256"]:
            raise WeightsError(f"{paths[1].name} does not have the sha256 of its card: it is damaged or was changed")
        model = cls(**card["referee"])
        model.load_state_dict({name: value.float() for name, value in load(data).items()})
        model.accuracy = card.get("accuracy", {})
        return model.eval().requires_grad_(False)


class Block(nn.Module):
    """A residual step that looks around in space."""

    def __init__(self, width: int):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x, b: int = 1):
        return x + self.conv(F.silu(_norm(x)))


class TimeBlock(nn.Module):
    """A residual step that looks at the chosen frames before and after."""

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Conv2d(3 * width, width, 1)
        nn.init.zeros_(self.linear.weight), nn.init.zeros_(self.linear.bias)

    def forward(self, x, b: int):
        frames = rearrange(F.silu(_norm(x)), "(b t) c h w -> b t c h w", b=b)
        frames = torch.cat([frames[:, :1], frames, frames[:, -1:]], 1)                       # the ends stand still
        near = torch.cat([frames[:, :-2], frames[:, 1:-1], frames[:, 2:]], 2)
        near = rearrange(near, "b t c h w -> (b t) c h w").contiguous(memory_format=torch.channels_last)
        return x + self.linear(near)


def moments_of(frames: int) -> tuple[int, ...]:
    """The numbers of the frames that are looked at: evenly spread, with a frame before and after where there is."""
    inside = (1, frames - 2) if frames >= FRAMES + 2 else (0, frames - 1)
    return tuple(int(k) for k in np.linspace(*inside, min(FRAMES, frames)).round())


def chosen_frames(films: UInt8[Tensor, "b n h w 3"], moments: Int[Tensor, " t"]) -> Float[Tensor, "b t 5 h w"]:
    """Colours of the chosen frames in [-1, 1], and how their brightness changed since the frame before and will change
    until the one after."""
    colours = rearrange(films[:, moments], "b t h w c -> b t c h w").float() / 127.5 - 1
    grey = colours.mean(2, keepdim=True)
    beside = [films[:, (moments + step).clamp(0, films.shape[1] - 1)].float().mean(4)[:, :, None] / 127.5 - 1
              for step in (-1, 1)]
    return torch.cat([colours, 2 * (grey - beside[0]), 2 * (beside[1] - grey)], 2)


def check_film(film) -> None:
    """Raises ValueError for what is not a film that the referee can read."""
    if not isinstance(film, np.ndarray) or film.dtype != np.uint8 or film.ndim != 4 or film.shape[-1] != 3 \
            or film.shape[0] < 1 or film.shape[1] % 16 or film.shape[2] % 16 or 0 in film.shape:
        got = f"{film.dtype} {film.shape}" if isinstance(film, np.ndarray) else type(film).__name__
        raise ValueError(f"films holds {got}; the referee takes uint8 arrays (t, h, w, 3) with heights and widths that "
                         "are multiples of 16: pass films at the size that the models draw, not enlarged")


def _norm(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Each place's channels to mean 0 and variance 1."""
    return F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2)


def _places(x: Float[Tensor, "b c i j"]) -> Float[Tensor, "b 2 i j"]:
    """The y and x of each cell in frame heights from the middle."""
    i, j = x.shape[2:]
    y, x_ = ((torch.arange(n, device=x.device) + 0.5) / i - n / i / 2 for n in (i, j))
    return torch.stack(torch.meshgrid(y, x_, indexing="ij")).expand(len(x), -1, -1, -1)


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))


def _best(table: dict):
    return max(table, key=table.get)


def _named(names, values) -> dict:
    return {name: float(value) for name, value in zip(names, values)}


def _path(where: Float[np.ndarray, "t i j"]) -> tuple[Float[np.ndarray, "t 2"], Float[np.ndarray, " t"]]:
    mass = where.sum((1, 2)) + 1e-9
    y = (where.sum(2) * ((np.arange(where.shape[1]) + 0.5) / where.shape[1])).sum(1) / mass
    x = (where.sum(1) * ((np.arange(where.shape[2]) + 0.5) / where.shape[2])).sum(1) / mass
    return np.stack([y, x], 1), where.mean((1, 2))
