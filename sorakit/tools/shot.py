"""What all tools share: a pipeline that starts from given latents, films that go in, and takes that come out."""

from __future__ import annotations

import dataclasses
import math
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sorakit.diffusion.sampler import shifted
from sorakit.latent.autoencoder import TIME
from sorakit.pipeline import Pipeline, check_number
from sorakit.prompt.files import open_film, stream_frames
from sorakit.prompt.image import look as look_at
from sorakit.run import Run
from sorakit.synthesis.assembly import Assembly
from sorakit.synthesis.colour import Look
from sorakit.synthesis.finish import to_bytes
from sorakit.synthesis.rate import FrameRate
from sorakit.synthesis.stream import Stream
from sorakit.tools.formats import Format, fitted
from sorakit.types import NATIVE_FPS, Reference, Video
from sorakit.videofile import find_ffmpeg

LONGEST = 60.0                   # seconds of a film that a tool reads
PER_SECOND = NATIVE_FPS / TIME   # latents
READ_SIDE = 512                  # longer side at which films are read for the models


@dataclass(frozen=True, eq=False)
class Take:
    """A film and how it came about. `take.video` plays in a notebook; `take.latents` are what other tools go on from.
    """

    video: Video
    tool: str
    asked: dict[str, Any]                                    # what the tool was asked, but for films and pictures
    runs: tuple[Run, ...] = ()                               # of each window that the model was at work on
    latents: Float[Tensor, "1 c k i j"] | None = None        # of the whole film; None where frames were only cut
    notes: tuple[str, ...] = ()                              # what a reader should know: dropped sound, made-up prompts

    @property
    def run(self) -> Run:
        """Of the last window. Raises ValueError where the model had nothing to do."""
        if not self.runs:
            raise ValueError(f"{self.tool} did not need the model here, so there is no run")
        return self.runs[-1]

    def save(self, path: str | Path) -> Path:
        return self.video.save(path)

    def __repr__(self):
        notes = "".join(f"\n  {note}" for note in self.notes)
        return f"Take({self.tool}: {len(self.runs)} windows, {self.video!r}){notes}"


@dataclass(frozen=True, eq=False)
class Given:
    """What one window of the model starts from."""

    format: Format
    known: Float[Tensor, "1 c k i j"]            # where the mask is True
    mask: Bool[Tensor, "1 k i j"]
    start: Float[Tensor, "1 c k i j"] | None = None          # latents that are part-noised, by strength
    strength: float = 1.0                        # share of the denoising that is done: 1 starts from noise alone
    circular: bool = False                       # the last latent is followed by the first


@dataclass
class Guided(Pipeline):
    """A pipeline that starts from given latents: its runs can be kept, replayed and compared like any other."""

    given: Given | None = None

    @classmethod
    def of(cls, pipe: Pipeline, given: Given) -> Guided:
        return cls(**{f.name: getattr(pipe, f.name) for f in dataclasses.fields(Pipeline)}, given=given)

    def stages(self, do, prompt, *, negative="", seed=0, steps=None, guidance=None) -> Video:
        latents, brief = self.sample(do, prompt, negative=negative, seed=seed, steps=steps, guidance=guidance)
        frames = do("decode", self.decode, latents.values)
        video = do("synthesis", finish, self, frames, self.given.format, prompt=brief.prompt)
        video = do("release", self.safety.release, video, model=self.model, seed=seed)
        return dataclasses.replace(video, timings=do.timings)

    def sample(self, do, prompt, *, negative="", seed=0, steps=None, guidance=None):
        """The stages up to the latents: `Latents` and the brief that they were made for."""
        sampler, network, steps, guidance = self.plan(steps, guidance, negative)
        brief = do("prompt", self.prompt, prompt, negative=negative)
        verdict = do("screen", self.safety.screen, brief)
        conditioning = do("text", self.text_encoder, verdict.brief)
        known, mask = do("known", self.laid)
        times = times_from(self.given.strength, steps, sampler.shift)
        latents = do("diffusion", sampler, Circular(network) if self.given.circular else network,
                     self.noised(times[0], seed), conditioning, known, mask, steps=len(times) - 1, guidance=guidance,
                     fps=NATIVE_FPS, times=times)
        return latents, verdict.brief

    def laid(self):
        """The known latents and where they are, or (None, None) if nothing is known."""
        return (self.given.known, self.given.mask) if self.given.mask.any() else (None, None)

    def noised(self, t: float, seed: int) -> Float[Tensor, "1 c k i j"]:
        """Where the window starts, drawn on the CPU: the same as the plain pipeline's for the same shape and seed."""
        check_number("seed", seed, 0, 2**63 - 1, int)
        noise = torch.randn(self.given.known.shape, generator=torch.Generator().manual_seed(seed)).to(self.device)
        return noise if self.given.start is None else (1 - t) * self.given.start + t * noise

    def decode(self, latents: Float[Tensor, "1 c k i j"]) -> Float[Tensor, "1 3 t h w"]:
        return decode_loop(self, latents) if self.given.circular else decode(self, latents)


@dataclass(frozen=True)
class Circular:
    """A network that sees a film as a ring: before the first latent come the last ones, and the other way round.

    The idea is that of latent rings in time (Bi et al. 2025, Mobius, arXiv:2502.20307), with the ring laid out at each
    step rather than turned.
    """

    network: Any
    reach: int = 2                               # latents laid on at either end

    def __call__(self, x, t, words, word_mask, fps=NATIVE_FPS, span=None):
        k = x.shape[2]
        around = torch.arange(-self.reach, k + self.reach, device=x.device) % k
        more = {} if span is None else {"span": span[:, around]}
        velocity = self.network(x[:, :, around], t[:, around], words, word_mask, fps, **more)
        return velocity[:, :, self.reach:self.reach + k]


def times_from(strength: float, steps: int, shift: float) -> list[float]:
    """Times of the last `strength` of the schedule's steps, from where the film is part-noised to 0."""
    left = max(1, round(steps * strength))
    return [shifted(strength * (1 - k / left), shift) for k in range(left + 1)]


# --- latents ----------------------------------------------------------------------------------------


def latent_count(name: str, seconds, longest: float = LONGEST) -> int:
    """Latents that so many seconds take, beside the first. Raises ValueError for what is no length."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool) or not math.isfinite(seconds) \
            or not 0 < seconds <= longest:
        raise ValueError(f"{name}={seconds!r} does not fit; it takes seconds above 0, up to {longest:g}")
    return max(1, round(seconds * PER_SECOND))


@torch.no_grad()
def encode(pipe: Pipeline, frames: UInt8[np.ndarray, "t h w 3"]) -> Float[Tensor, "1 c k i j"]:
    """Latents of frames at the models' own size and rate; of an even number, all but the last."""
    frames = frames[:len(frames) - (len(frames) - 1) % TIME]
    values = torch.from_numpy(np.ascontiguousarray(frames)).to(pipe.device).permute(3, 0, 1, 2)[None] / 127.5 - 1
    return pipe.autoencoder.encode(values)


def encode_still(pipe: Pipeline, frame: UInt8[np.ndarray, "h w 3"], *, first: bool) -> Float[Tensor, "1 c 1 i j"]:
    """The latent of a picture: as a film's first, which stands alone, or in the midst, where it stands still."""
    return encode(pipe, frame[None]) if first else encode(pipe, frame[None].repeat(2 * TIME + 1, 0))[:, :, -1:]


def decode(pipe: Pipeline, latents: Float[Tensor, "1 c k i j"]) -> Float[Tensor, "1 3 t h w"]:
    """Frames in [-1, 1], decoded in windows that are exactly those of the whole."""
    return torch.cat(list(Assembly().windows(pipe.autoencoder.decode, latents)), 2)


@torch.no_grad()
def decode_loop(pipe: Pipeline, ring: Float[Tensor, "1 c k i j"]) -> Float[Tensor, "1 3 t h w"]:
    """Two frames of each latent of a ring. The decoder looks back, so it is led in by the ring's own end."""
    back = Assembly().past
    lead = torch.arange(-back - 1, ring.shape[2], device=ring.device) % ring.shape[2]
    return pipe.autoencoder.decode(ring[:, :, lead])[:, :, -TIME * ring.shape[2]:]


def finish(pipe: Pipeline, frames, format: Format, *, prompt: str = "", look: str | None = None,
           fps: float = NATIVE_FPS) -> Video:
    """Stage 5 at any size, with a look laid over it."""
    size = format.height, format.width
    stream = pipe.synthesis.finished(pipe.synthesis.stream(frames, size, fps), size)
    return (Look(look)(stream) if look else stream).video(prompt)


def deliver(pipe: Pipeline, frames, format: Format, *, prompt: str, seed: int, look: str | None = None) -> Video:
    """Stages 5 and 6: from the models' frames to a film that is marked."""
    return pipe.safety.release(finish(pipe, frames, format, prompt=prompt, look=look), model=pipe.model, seed=seed)


# --- films that go in -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Source:
    """A film as the models see it: at their size and rate."""

    latents: Float[Tensor, "1 c k i j"]
    format: Format
    prompt: str
    notes: tuple[str, ...] = ()
    frames: UInt8[np.ndarray, "t h w 3"] | None = field(default=None, repr=False)     # None if latents came

    def pictures(self, pipe: Pipeline) -> UInt8[np.ndarray, "t h w 3"]:
        return self.frames if self.frames is not None else to_bytes(decode(pipe, self.latents))


def read(pipe: Pipeline, name: str, film, format: Format | None = None, fit: str = "crop", *, least: int = 1) -> Source:
    """A path, `Video`, `Take` or `Run` as latents; its own shape and size are kept unless there is a format.

    A Take or Run of the same shape gives its own latents, so that nothing is lost; everything else is encoded.
    Raises ValueError naming the argument for anything else, and for films of fewer than `least` latents.
    """
    latents = film.latents if isinstance(film, Take) else film.latents.values if isinstance(film, Run) else None
    video, notes = (film.video, ()) if isinstance(film, (Take, Run)) else film_of(name, film)
    format = format or own_format(video.height, video.width)
    source = None
    if latents is not None and tuple(latents.shape[-2:]) == format.cells:
        source = Source(latents, format, video.prompt, notes)
    else:
        stream = FrameRate(NATIVE_FPS)(Stream.of(video))
        frames = fitted(stream.frames(), format.native_height, format.native_width, fit)
        source = Source(encode(pipe, frames), format, video.prompt, notes, frames)
    if source.latents.shape[2] < least:
        raise ValueError(f"{name} is too short: {video.seconds:.2f} s; this takes {least / PER_SECOND:g} s or more")
    return source


def film_of(name: str, film, **reading) -> tuple[Video, tuple[str, ...]]:
    """A path or a `Video` as a Video, and what is to be said of it."""
    if isinstance(film, Video):
        return film, ()
    if not isinstance(film, (str, Path)):
        raise ValueError(f"{name} is of type {type(film).__name__}; it takes a path, a Video, a Take or a Run")
    file = open_film(film)
    notes = (f"the sound of {file.path.name} is dropped: films here are silent",) if has_sound(file.path) else ()
    if file.seconds > LONGEST:
        notes += (f"{file.path.name} is {file.seconds:.0f} s long; the first {LONGEST:g} s are read",)
    frames = np.stack(list(stream_frames(file, fps=NATIVE_FPS, side=READ_SIDE, seconds=LONGEST)))
    video = Video(frames, NATIVE_FPS)
    return video, notes


def has_sound(path: Path) -> bool:
    done = subprocess.run([find_ffmpeg(), "-hide_banner", "-protocol_whitelist", "file", "-i",
                           f"file:{path.absolute()}"], capture_output=True, check=False)
    return re.search(r"Stream #0.*?: Audio", done.stderr.decode(errors="replace")) is not None


def own_format(height: int, width: int) -> Format:
    """The format of a picture or film of this size, even, and no larger or smaller than can be delivered."""
    scale = min(1.0, 2160 / height) if height >= 64 and width >= 64 else 64 / min(height, width)
    return Format.of("1:1", max(64, 2 * round(height * scale / 2)), max(64, 2 * round(width * scale / 2)))


# --- words for what was given without any --------------------------------------------------------------


def words_of(reference: Reference) -> str:
    """A plain prompt of what a picture or film was seen to show.

    >>> words_of(sorakit.prompt.image.look("beach.jpg"))          # doctest: +SKIP
    'a beach at sunset'
    """
    stuff = [texture.name for texture in reference.textures if texture.share >= 0.05]
    place = next((place for needed, place in PLACES if all(name in stuff for name in needed)), "an open field")
    camera = reference.motion.camera if reference.motion else "static"
    moves = f", the camera {CAMERAS[camera]}" if camera in CAMERAS else ""
    return f"{place} {WHENS[reference.time]}{moves}"


def prompt_for(prompt: str, source: Source, pipe: Pipeline) -> tuple[str, tuple[str, ...]]:
    """The prompt, the film's own, or one made from what it shows; and a note if it was made."""
    if prompt or source.prompt:
        return prompt or source.prompt, ()
    pictures = source.pictures(pipe)
    made = words_of(look_at(pictures[len(pictures) // 2]))
    return made, (f"no prompt was given; what the picture shows was read as {made!r}",)


PLACES = (
    (("built",), "a city street"), (("water", "sand or earth"), "a beach"), (("water", "foliage"), "a mountain lake"),
    (("water",), "the open sea"), (("foliage",), "a forest"), (("snow or cloud",), "a snowfield"),
    (("sand or earth",), "a desert"),
)
WHENS = {"dawn": "at dawn", "day": "by day", "sunset": "at sunset", "night": "at night"}
CAMERAS = {"pan left": "pans left", "pan right": "pans right", "zoom in": "zooms in", "zoom out": "zooms out"}
