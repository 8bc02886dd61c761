"""The values that flow between the stages. Stages know these and nothing of each other.

Axes are named as in einops: b batch, t time, h height, w width, c channels, l words. Model tensors are
`(b, c, t, h, w)` float; frames are `(t, h, w, 3)` uint8; times are seconds; diffusion time is in [0, 1], 1 is noise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from sorakit import videofile
from sorakit.provenance import Origin

ASPECTS = {"16:9": (16, 9), "9:16": (9, 16), "1:1": (1, 1)}                        # width, height
NATIVE_SIZES = {"16:9": (80, 144), "9:16": (144, 80), "1:1": (112, 112)}           # height, width that models draw at
NATIVE_FPS = 8.0


@dataclass(frozen=True)
class Nearest:
    """What the models can draw that lies nearest to what was asked, by word vectors."""

    name: str                         # a kind, setting, ... of the drawn world
    similarity: float                 # cosine, up to 1
    drawn: bool                       # whether that is what was asked, and not a stand-in

    def __str__(self):
        return f"{self.name} is drawn" if self.drawn else f"not drawn; nearest {self.name} {self.similarity:.2f}"


@dataclass(frozen=True)
class Element:
    """One thing that a prompt asks for besides its subjects: a setting, time, weather, style, mood, camera, negation.
    """

    role: str
    name: str                         # its words: "field of wildflowers"
    span: tuple[int, int]             # characters of the prompt, first and one past the last
    confidence: float                 # in [0, 1], how sure the reading is
    nearest: Nearest | None = None

    def __str__(self):
        return self.name


@dataclass(frozen=True)
class Asked:
    """A subject that a prompt asks for. What it leaves unsaid is "" or None."""

    name: str                         # "golden retriever"; one or many, the noun as for one
    colour: str = ""
    count: int | None = 1             # None for many without a number
    attributes: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()     # verbs as a dictionary has them: "run"
    direction: str = ""               # left, right, up, down, towards, away
    span: tuple[int, int] = (0, 0)    # characters of the prompt
    confidence: float = 1.0
    nearest: Nearest | None = None
    nearest_action: Nearest | None = None
    words: str = ""                   # as the prompt has it: "two red cars"

    role = "subject"

    @property
    def action(self) -> str:
        return self.actions[0] if self.actions else ""

    def __str__(self):
        parts = [self.words or self.name]
        if self.actions:
            parts.append("(" + ", ".join(self.actions) + (f", {self.direction}" if self.direction else "") + ")")
        return " ".join(parts)


@dataclass(frozen=True)
class Relation:
    """How two subjects of a prompt belong together: ("cat", "on", "sofa")."""

    subject: str
    relation: str                     # a preposition, or a verb as a dictionary has it
    object: str
    span: tuple[int, int]             # characters from the one to the other
    confidence: float

    def __str__(self):
        return f"{self.subject} {self.relation} {self.object}"


@dataclass(frozen=True)
class Reference:
    """What a picture or a film that was given shows, as measured from its pixels. See `sorakit.prompt.image`, `.video`.

    A picture has no `motion`, `cuts` or `dissolves`.
    """

    height: int                       # of the original, upright, in pixels
    width: int
    palette: tuple[Swatch, ...]       # most of the picture first
    light: str                        # "warm", "neutral" or "cool"
    time: str                         # what the light looks like: "dawn", "day", "sunset" or "night"
    textures: tuple[Texture, ...]     # what the regions look like they are made of, largest first
    horizon: float | None             # height of the horizon, 0 at the top and 1 at the bottom; None if none is seen
    vanishing: tuple[float, float] | None    # (x, y) where the lines of the perspective meet, in widths and heights
    depth: Float[np.ndarray, "h w"] = field(repr=False, compare=False)    # 0 near to 1 far, reduced size
    seconds: float = 0.0
    fps: float = 0.0
    motion: Motion | None = None
    cuts: tuple[float, ...] = ()                        # seconds at which another shot begins at once
    dissolves: tuple[tuple[float, float], ...] = ()     # seconds, first and last, in which one shot becomes another

    def __str__(self):
        colours = ", ".join(f"{swatch.name} {swatch.share:.0%}" for swatch in self.palette[:4])
        stuff = ", ".join(texture.name for texture in self.textures[:3])
        lines = [f"{'film' if self.motion else 'picture'} of {self.height} x {self.width}"
                 + (f", {self.seconds:.1f} s at {self.fps:g} frames a second" if self.motion else ""),
                 f"colours: {colours}", f"light: {self.light}, like {self.time}"]
        lines += [f"textures: {stuff}"] if stuff else []
        lines += [f"horizon: {self.horizon:.0%} from the top"] if self.horizon is not None else []
        if self.motion:
            lines.append(str(self.motion))
            lines += ["cuts at " + ", ".join(f"{t:.1f} s" for t in self.cuts)] if self.cuts else []
            lines += ["dissolves at " + ", ".join(f"{a:.1f} to {b:.1f} s" for a, b in self.dissolves)] \
                if self.dissolves else []
        return "\n".join(lines)


@dataclass(frozen=True)
class Swatch:
    """One colour of a palette."""

    name: str
    rgb: tuple[int, int, int]         # sRGB, 0 to 255
    share: float                      # of the picture, in [0, 1]


@dataclass(frozen=True)
class Texture:
    """What a part of a picture looks like it is made of."""

    name: str                         # sky, cloud, water, foliage, grass, snow, sand or earth, wood or stone, built,
                                      # rough, smooth
    share: float
    confidence: float


@dataclass(frozen=True)
class Motion:
    """How a film moves. Speeds are in frame widths a second (x to the right, y down)."""

    camera: str                       # static, pan left, pan right, tilt up, tilt down, zoom in, zoom out
    pan: tuple[float, float]          # of the camera; the picture moves against it
    zoom: float                       # growth of the picture a second, 0.1 is 10%
    speed: float                      # mean speed of what moves against the background
    moving: float                     # share of the picture that does
    tempo: str                        # still, slow, medium or fast
    flicker: float                    # brightness from frame to frame, standard deviation in grey levels (0 to 255)
    drift: float                      # change of the mean colour from first to last, in grey levels

    def __str__(self):
        return (f"camera: {self.camera}; {self.moving:.0%} of the picture moves, {self.tempo}; flicker "
                f"{self.flicker:.1f}, colour drift {self.drift:.1f} grey levels")


ROLES = ("setting", "time", "weather", "style", "mood", "camera", "negation")


@dataclass(frozen=True)
class Brief:
    """What is asked for: stage 1's reading of the request.

    `setting`, `time`, `weather`, `style`, `mood` and `camera` are the first element of that role, or None; `all(role)`
    gives every one.
    """

    prompt: str
    negative: str = ""
    tokens: tuple[str, ...] = ()      # what the model reads, cut up
    image: UInt8[np.ndarray, "h w 3"] | None = field(default=None, repr=False, compare=False)   # the film's first frame
    film: str = field(default="", repr=False, compare=False)   # sha256 of the file of the film that it goes on from
    subjects: tuple[Asked, ...] = field(default=(), repr=False)
    elements: tuple[Element, ...] = field(default=(), repr=False)          # in the order of the prompt
    relations: tuple[Relation, ...] = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)    # what a reader of the film should know: stand-ins, typos
    completed: tuple[str, ...] = field(default=(), repr=False)     # the prompt, and it with what it leaves open put in
    image_reference: Reference | None = field(default=None, repr=False, compare=False)
    video_reference: Reference | None = field(default=None, repr=False, compare=False)

    @property
    def said(self) -> str:
        """What the model reads for the prompt, with what that leaves open put in; "" if it reads the prompt itself."""
        return self.completed[1] if self.completed and self.completed[0] == self.prompt else ""

    def all(self, role: str) -> tuple[Element, ...]:
        """Every element of a role, in order. Raises ValueError for a role that there is not."""
        if role not in ROLES:
            raise ValueError(f"role={role!r} is not one of {', '.join(ROLES)}")
        return tuple(element for element in self.elements if element.role == role)

    @property
    def setting(self) -> Element | None:
        return self._first("setting")

    @property
    def time(self) -> Element | None:
        return self._first("time")

    @property
    def weather(self) -> Element | None:
        return self._first("weather")

    @property
    def style(self) -> Element | None:
        return self._first("style")

    @property
    def mood(self) -> Element | None:
        return self._first("mood")

    @property
    def camera(self) -> Element | None:
        return self._first("camera")

    def _first(self, role):
        return next(iter(self.all(role)), None)

    def __str__(self):
        rows = [("subjects", self.subjects)] + [(role, self.all(role)) for role in ROLES]
        rows += [("relations", self.relations), ("notes", self.notes), ("read as", (self.said,) if self.said else ())]
        return "\n".join([self.prompt] + [f"  {name}: {'; '.join(map(str, found))}" for name, found in rows if found])


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The prompt as vectors, one a token, and the same for what guidance steers away from."""

    vectors: Float[Tensor, "b l d"]
    mask: Bool[Tensor, "b l"]                    # True where there is a token
    null_vectors: Float[Tensor, "b l2 d"]
    null_mask: Bool[Tensor, "b l2"]
    tokens: tuple[str, ...] = ()

    @classmethod
    def together(cls, each: Sequence[Conditioning]) -> Conditioning:
        """Conditionings of one film each as one of a batch, the shorter ones filled up with masked words."""
        def stack(vectors, masks):
            longest = max(mask.shape[1] for mask in masks)
            return (torch.cat([F.pad(v, (0, 0, 0, longest - v.shape[1])) for v in vectors]),
                    torch.cat([F.pad(mask, (0, longest - mask.shape[1])) for mask in masks]))

        return cls(*stack([c.vectors for c in each], [c.mask for c in each]),
                   *stack([c.null_vectors for c in each], [c.null_mask for c in each]), each[0].tokens)

    def __repr__(self):
        return f"Conditioning({_shape(self.vectors)}, {int(self.mask.sum())} tokens, null {_shape(self.null_vectors)})"


@dataclass(frozen=True, eq=False)
class Latents:
    """A film in the autoencoder's space: each channel has mean 0, all together have standard deviation 1."""

    values: Float[Tensor, "b c t h w"]
    fps: float = NATIVE_FPS                      # of the frames that it decodes to

    def __repr__(self):
        return f"Latents({_shape(self.values)}, decodes to {self.fps:g} frames a second)"


@dataclass(frozen=True, eq=False)
class DenoisingStep:
    """One step of the sampler, from time t to t_next; what follows uses `x_next`."""

    index: int
    t: float
    t_next: float
    x: Float[Tensor, "b c t h w"]                # x_t, what went in
    velocity: Float[Tensor, "b c t h w"]         # after guidance
    x0: Float[Tensor, "b c t h w"]               # the film that this velocity points to
    x_next: Float[Tensor, "b c t h w"]
    conditional: Float[Tensor, "b c t h w"]      # velocity with the prompt
    unconditional: Float[Tensor, "b c t h w"] | None   # without it (None when guidance is 1 or folded in)
    guidance: float
    attention: dict[str, Tensor] = field(default_factory=dict)      # "blocks.3.time": (frames or 1, heads, queries,
    activations: dict[str, Tensor] = field(default_factory=dict)    # keys); "blocks.3.feed": ...: what a trace keeps
    folded: bool = False                         # of few-step weights, which have learned guidance: `guidance` is 1
    skipped: Float[Tensor, "b c t h w"] | None = None       # velocity without some parts (see `Sampler.skip`)

    @property
    def guided(self) -> str:
        """How the prompt pulled, in words."""
        return "guidance folded in" if self.folded else f"guidance {self.guidance:g}" + (
            ", away from a network with parts skipped" if self.skipped is not None else "")

    def __repr__(self):
        return f"DenoisingStep({self.index}: t {self.t:.3f} to {self.t_next:.3f}, {_shape(self.x)}, {self.guided})"


@dataclass(frozen=True)
class Reason:
    """Something that the safety stage found, the words of the prompt that it found it in, and what is done about it."""

    category: str
    words: tuple[str, ...]                       # as the prompt has them
    fired: str = ""                              # "rule 'nude'", "classifier", "name 'tom cruise'", "faces", ...
    score: float = 1.0                           # in [0, 1]; a rule is sure
    threshold: float = 1.0                       # from which score on it fires
    action: str = "refuse"                       # what the policy does about it: allow, alter or refuse


@dataclass(frozen=True)
class Verdict:
    """What the safety stage decided of a request, and why."""

    decision: str                                # "allow", "alter" or "refuse"
    brief: Brief                                 # what may be made: altered, if that is the decision
    reasons: tuple[Reason, ...] = ()
    original: str = ""                           # the prompt as it came
    changes: tuple[tuple[str, str], ...] = ()    # (what it said, what it says now)
    policy: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What somebody who sees the film should know: what was changed, what stands in for what, typos."""
        return (*(f"{said!r} was changed to {now!r}" for said, now in self.changes), *self.brief.notes)


@dataclass(frozen=True, eq=False)
class Video:
    """A film: frames and their rate. Slices by seconds: `video[0.5:1.5]`."""

    frames: UInt8[np.ndarray, "t h w 3"]
    fps: float
    prompt: str = ""
    timings: dict[str, float] = field(default_factory=dict)    # stage: seconds it took
    metadata: dict[str, str] = field(default_factory=dict)     # title and comment, written into files
    origin: Origin | None = field(default=None, repr=False)    # what files are signed with; the safety stage gives it
    notes: tuple[str, ...] = ()                                # how it differs from what was asked: see `Verdict.notes`

    def __post_init__(self):
        frames = self.frames
        if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8:
            got = f"{frames.dtype} array" if isinstance(frames, np.ndarray) else type(frames).__name__
            raise ValueError(f"frames is a {got}; a Video takes a uint8 array (t, h, w, 3) of values 0 to 255")
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise ValueError(f"frames has shape {frames.shape}; a Video takes (t, h, w, 3) with at least one frame")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps={self.fps} is not a positive number of frames a second")

    @property
    def seconds(self) -> float:
        return len(self.frames) / self.fps

    @property
    def height(self) -> int:
        return self.frames.shape[1]

    @property
    def width(self) -> int:
        return self.frames.shape[2]

    def __getitem__(self, span: slice) -> Video:
        """The part between two times in seconds; negative times count from the end, as in a list."""
        if not isinstance(span, slice) or span.step is not None:
            raise TypeError("a Video is sliced by seconds, video[0.5:1.5]; single frames are in video.frames")
        at = lambda s: None if s is None else max(0, round(s * self.fps) + (len(self.frames) if s < 0 else 0))
        frames = self.frames[at(span.start):at(span.stop)]
        if not len(frames):
            raise ValueError(f"no frame lies between {span.start} and {span.stop} s: the film is {self.seconds:g} s "
                             "long")
        origin = self.origin if self.origin is None or len(frames) == len(self.frames) else \
            self.origin.after("c2pa.trimmed")
        return dataclasses.replace(self, frames=frames, origin=origin)

    def save(self, path: str | Path, codec: str | None = None) -> Path:
        """Write the film as .mp4, .webm, .mov, .webp or .gif. There is a whole file or none.

        A film that the safety stage released is signed: its file says what made it, and `sorakit verify` whether that
        still holds. film.webm has its C2PA manifest beside it in film.c2pa, all others carry it inside.

        Args:
            codec: "h264", "h265", "av1" for .mp4, "vp9", "av1" for .webm, "prores", "h264", "h265" for .mov; by default
                the first of each.

        Raises:
            ValueError: for another suffix, or a codec that does not go into it.
            OSError: if the file cannot be written or signed there, or there is no ffmpeg.
        """
        return videofile.write(path, self.frames, self.fps, self.metadata, self.origin, codec)

    def contact_sheet(self, n: int = 8, tile: int = 160) -> UInt8[np.ndarray, "h w 3"]:
        """Frames evenly from first to last (n, or all of a shorter film), side by side, each `tile` pixels high."""
        if n < 1:
            raise ValueError(f"n={n} is less than 1; pass the number of frames to show")
        chosen = np.linspace(0, len(self.frames) - 1, min(n, len(self.frames))).round().astype(int)
        size = (max(1, round(tile * self.width / self.height)), tile)
        method = cv2.INTER_AREA if tile < self.height else cv2.INTER_CUBIC
        tiles = [cv2.resize(self.frames[i], size, interpolation=method) for i in chosen]
        rows = 2 if self.width > self.height and len(tiles) > 4 else 1
        columns = math.ceil(len(tiles) / rows)
        gap = 4
        sheet = np.full((rows * (tile + gap) - gap, columns * (size[0] + gap) - gap, 3), 255, np.uint8)
        for i, picture in enumerate(tiles):
            y, x = i // columns * (tile + gap), i % columns * (size[0] + gap)
            sheet[y:y + tile, x:x + size[0]] = picture
        return sheet

    def __repr__(self):
        prompt = f", {self.prompt!r}" if self.prompt else ""
        return f"Video({len(self.frames)} frames of {self.height} x {self.width}, {self.fps:g} a second{prompt})"


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape))
