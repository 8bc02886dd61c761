"""What all tools share: a pipeline that starts from given latents, films that go in, and takes that come out."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import numbers
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sorakit.diffusion.sampler import schedule, shifted, velocities
from sorakit.formats import Format, fitted
from sorakit.latent.autoencoder import TIME
from sorakit.pipeline import Pipeline, check_number
from sorakit.prompt.describe import note_of, words_of
from sorakit.prompt.files import open_film, stream_frames
from sorakit.prompt.image import look as look_at
from sorakit.run import Run
from sorakit.safety.policy import film_hash
from sorakit.synthesis.assembly import Assembly
from sorakit.synthesis.finish import SIDES, to_bytes
from sorakit.synthesis.rate import FrameRate, evened
from sorakit.synthesis.stream import Stream, find_cuts
from sorakit.types import NATIVE_FPS, Conditioning, Verdict, Video
from sorakit.videofile import find_ffmpeg

LONGEST = 60.0                   # seconds of a film that a tool reads
PER_SECOND = NATIVE_FPS / TIME   # latents
READ_SIDE = 512                  # longer side at which films are read for the models
WALK = 3.0                       # shift of the times of a film that is part-noised
FREE = 64                        # power of the strength by which a film is let go of
HELD = (0.3, 1.0)                # times at which the words pull a film that is part-noised: later ones, too


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

    def save(self, path: str | Path, **encoding) -> Path:
        """The film into a file; see `Video.save`."""
        return self.video.save(path, **encoding)

    def __repr__(self):
        notes = "".join(f"\n  {note}" for note in self.notes)
        return f"Take({self.tool}: {len(self.runs)} windows, {self.video!r}){notes}"


@dataclass(frozen=True, eq=False)
class Given:
    """What one window of the model starts from."""

    format: Format
    known: Float[Tensor, "1 c k i j"]            # where the mask is True
    mask: Bool[Tensor, "1 k i j"]
    start: Float[Tensor, "1 c k i j"] | None = None          # latents that are part-noised
    strength: float = 1.0                        # the time that start is noised to: 1 starts from noise alone
    anchor: str | None = None                    # what start shows, if it is to stay where the prompts do not differ
    circular: bool = False                       # the last latent is followed by the first
    verdict: Verdict | None = None               # of the picture or film that it goes on from
    opened: int | None = None                    # the seed of the film, all made from words, that this is a window of


@dataclass
class Guided(Pipeline):
    """A pipeline that starts from given latents: its runs can be kept, replayed and compared like any other."""

    given: Given | None = None

    @classmethod
    def of(cls, pipe: Pipeline, given: Given) -> Guided:
        """Few steps are taught from noise on, so that a film that is part-noised is left to the flow model."""
        made = cls(**{f.name: getattr(pipe, f.name) for f in dataclasses.fields(Pipeline)}, given=given)
        return made if given.start is None else dataclasses.replace(made, few_step=None)

    def stages(self, do, prompt, *, negative="", seed=0, steps=None, guidance=None) -> Video:
        latents, verdict = self.sample(do, prompt, negative=negative, seed=seed, steps=steps, guidance=guidance)
        frames = do("decode", self.decode, latents.values)
        video = do("synthesis", finish, self, frames, self.given.format, prompt=verdict.brief.prompt,
                   ring=self.given.circular)
        video = do("release", release, self, video, seed, self.given.verdict or verdict)
        return dataclasses.replace(video, timings=do.timings, notes=verdict.notes)

    def sample(self, do, prompt, *, negative="", seed=0, steps=None, guidance=None):
        """The stages up to the latents: `Latents` and the verdict on the brief that they were made for."""
        sampler, network, steps, guidance = self.plan(steps, guidance, negative)
        anew = self.given.start is None and not self.given.mask.any()       # else what is given shows which way it goes
        brief = do("prompt", self.prompt, prompt, negative=negative, seed=seed if anew else self.given.opened)
        verdict = do("screen", self.safety.screen, brief)
        conditioning = do("text", self.text_encoder, verdict.brief)
        known, mask = do("known", self.laid)
        times = times_from(self.given.strength, steps, sampler.shift)
        noise = self.drawn(seed)
        if self.given.start is not None:
            sampler = dataclasses.replace(sampler, interval=HELD)
        if self.given.circular:
            network = Circular(network)
        if self.given.anchor is not None and self.given.start is not None:
            own = self.text_encoder(self.prompt(self.given.anchor, negative=negative))
            network = Anchored(network, self.given.start, noise, own, guidance, 1 - times[0] ** FREE)
            if sampler.method == "ancestral":     # no fresh noise: it is held by the one noise of both
                sampler = dataclasses.replace(sampler, method="euler")
        latents = do("diffusion", sampler, network, self.noised(noise, times[0]), conditioning, known, mask,
                     steps=len(times) - 1, guidance=guidance, fps=NATIVE_FPS, times=times, began=noise)
        return latents, verdict

    def laid(self):
        """The known latents and where they are, or (None, None) if nothing is known."""
        return (self.given.known, self.given.mask) if self.given.mask.any() else (None, None)

    def drawn(self, seed: int) -> Float[Tensor, "1 c k i j"]:
        """Noise, drawn on the CPU: the same as the plain pipeline's for the same shape and seed."""
        check_number("seed", seed, 0, 2**63 - 1, numbers.Integral)
        return torch.randn(self.given.known.shape, generator=torch.Generator().manual_seed(int(seed))).to(
            self.device)

    def noised(self, noise: Float[Tensor, "b c k i j"], t: float) -> Float[Tensor, "b c k i j"]:
        """Where the window starts."""
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

    def __getattr__(self, name):                 # the names of the network's parts, if it has them
        return getattr(self.network, name)

    def __call__(self, x, t, words, word_mask, fps=NATIVE_FPS, span=None):
        k = x.shape[2]
        around = torch.arange(-self.reach, k + self.reach, device=x.device) % k
        more = {} if span is None else {"span": span[:, around]}
        velocity = self.network(x[:, :, around], t[:, around], words, word_mask, fps, **more)
        return velocity[:, :, self.reach:self.reach + k]


@dataclass(frozen=True)
class CircularDecoder:
    """An autoencoder that decodes a film as a ring, two frames of each latent; all else it leaves to its own."""

    autoencoder: Any

    def decode(self, ring: Float[Tensor, "1 c k i j"]) -> Float[Tensor, "1 3 t h w"]:
        return decode_loop(self, ring)

    def __getattr__(self, name):
        return getattr(self.autoencoder, name)


@dataclass(frozen=True)
class Anchored:
    """A network that leaves a film as it is but for what its prompt and the new one say differently.

    At each time it is also asked for the velocity of the source, part-noised, with the source's own words. The true
    one is known, and what the network is wrong by there, it is held to be wrong by here: errors cancel, and with the
    same words the source comes out. It is FlowEdit (Kulikov et al. 2024, arXiv:2412.08629) with one noise throughout.
    """

    network: Any
    source: Float[Tensor, "1 c k i j"]
    noise: Float[Tensor, "1 c k i j"]
    words: Conditioning                          # of the source
    guidance: float
    hold: float = 1.0                            # share of that error that is taken off

    def __call__(self, x, t, words, word_mask, fps=NATIVE_FPS, span=None):
        more = {} if span is None else {"span": span}
        velocity = self.network(x, t, words, word_mask, fps, **more)
        t, span = t[:1], None if span is None else span[:1]
        there = (1 - t[:, None]) * self.source + t[:, None] * self.noise
        scale = self.guidance if len(x) > len(self.source) else 1.0       # both come in one batch where it is guided
        with_words, without, _ = velocities(self.network, there, t, self.words, scale, fps, span)
        own = with_words if without is None else without + scale * (with_words - without)
        return velocity + self.hold * (self.noise - self.source - own)


def times_from(strength: float, steps: int, shift: float) -> list[float]:
    """Times of the steps from `strength`, the time that a film is noised to, down to 0; all of the schedule from 1.

    A share `strength` of the steps is made. Below 1 the schedule is shifted by WALK, whatever the sampler's
    own shift is, which hardly stops where a film still shows its layout.
    """
    if strength == 1:
        return schedule(steps, shift)
    left = max(1, round(steps * strength))
    return [strength * shifted(1 - k / left, WALK) for k in range(left + 1)]


# --- latents ----------------------------------------------------------------------------------------


def latent_count(name: str, seconds, longest: float = LONGEST) -> int:
    """Latents that so many seconds take, beside the first. Raises ValueError for what is no length."""
    if not isinstance(seconds, numbers.Real) or isinstance(seconds, bool) or not 0 < seconds <= longest:
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
def decode_loop(pipe: Pipeline, ring: Float[Tensor, "1 c k i j"], seam: int = 0) -> Float[Tensor, "1 3 t h w"]:
    """Two frames of each latent of a ring, `evened`, those of its last `seam` latents in the light of the others.

    The decoder looks back, so it is led in by the ring's own end.
    """
    back = Assembly().past
    lead = torch.arange(-back - 1, ring.shape[2], device=ring.device) % ring.shape[2]
    frames = pipe.autoencoder.decode(ring[:, :, lead])[:, :, -TIME * ring.shape[2]:]
    even = evened(to_bytes(levelled(frames, TIME * seam)), TIME)
    return torch.from_numpy(even).to(ring.device).permute(3, 0, 1, 2)[None] / 127.5 - 1


def levelled(ring: Float[Tensor, "1 3 t h w"], new: int) -> Float[Tensor, "1 3 t h w"]:
    """A loop's frames, the mean colour of its last `new` ones on the line from the frame before them to the first."""
    mean, count = ring.mean((3, 4), keepdim=True), ring.shape[2] - new
    share = torch.linspace(0, 1, new + 2, device=ring.device)[1:-1].view(1, 1, -1, 1, 1)
    wanted = torch.lerp(mean[:, :, [count - 1]], mean[:, :, [0]], share)
    return torch.cat([ring[:, :, :count], ring[:, :, count:] + wanted - mean[:, :, count:]], 2)


def finish(pipe: Pipeline, frames, format: Format, *, prompt: str = "", ring: bool = False) -> Video:
    """Stage 5 at any size. At another rate the last frame of a ring leads into its first."""
    size = format.height, format.width
    stream = pipe.synthesis.stream(frames, size, NATIVE_FPS)
    if not ring or stream.fps == NATIVE_FPS:
        return pipe.synthesis.finished(stream, size).video(prompt)
    video = finish(pipe, torch.cat([frames, frames[:, :, :1]], 2), format, prompt=prompt)
    count = math.ceil(frames.shape[2] / NATIVE_FPS * video.fps - 1e-6)
    return dataclasses.replace(video, frames=video.frames[:count])


def deliver(pipe: Pipeline, frames, format: Format, *, prompt: str, seed: int, verdict: Verdict | None = None,
            made_from: tuple[str, ...] = (), edited: bool = False, notes: Iterable[str] = (), ring: bool = False
            ) -> Video:
    """Stages 5 and 6: from the models' frames to a film that is marked; it has the verdict's notes and those given. See
    `release` for verdict, made_from and edited, `finish` for ring."""
    judged = pipe.safety.judge(prompt)                           # what it was altered to is what the film shows
    video = finish(pipe, frames, format, prompt=judged.brief.prompt, ring=ring)
    said = dict.fromkeys((*judged.notes, *notes, *(verdict.notes if verdict else ())))
    return dataclasses.replace(release(pipe, video, seed, verdict, made_from, edited), notes=tuple(said))


def release(pipe: Pipeline, video: Video, seed: int, verdict: Verdict | None = None, made_from: tuple[str, ...] = (),
            edited: bool = False, cut: bool = False) -> Video:
    """Stage 6. made_from are the files that a film was made of; edited, if it is still the first of them; cut, if its
    frames are too."""
    actions = ("c2pa.edited",) if edited and made_from else ("c2pa.created",)
    return pipe.safety.release(video, model=pipe.model, seed=seed, verdict=verdict, actions=actions,
                               made_from=made_from, cut=cut)


def recorded(video: Video, frames: UInt8[np.ndarray, "t h w 3"]) -> Video:
    """A film with frames that are no longer all and only its own, and with that said in what it is signed with."""
    origin = video.origin and video.origin.after("c2pa.edited")
    return dataclasses.replace(video, frames=frames, origin=origin, timings={})


def within(pipe: Pipeline, count: int, format: Format, films: int = 1):
    """The pipeline's limits, for films of so many latents; see `Pipeline.within`."""
    return pipe.within((count - 1) / PER_SECOND, format.height, format.width, films)


def screened(pipe: Pipeline, prompt: str, negative: str = "", pictures: Iterable[np.ndarray] = (),
             films: Iterable[Source] = ()) -> Verdict:
    """What stage 6 says to a prompt and to each picture that is given with it; of these and the films, which `read` has
    screened, to one to which consent was given, if there is one, else to the first. Raises Refused."""
    brief = pipe.prompt(prompt, negative=negative)
    verdict = pipe.safety.screen(brief)
    others = [pipe.safety.screen(dataclasses.replace(brief, image=picture)) for picture in pictures]
    others += [dataclasses.replace(verdict, brief=dataclasses.replace(verdict.brief, film=film.hash)) for film in films]
    return next((other for other in others if pipe.safety.vouched(other)), (*others, verdict)[0])


@contextlib.contextmanager
def phase(progress: Callable[[str, int, int], None] | None, name: str) -> Iterator[None]:
    """Tells of work that has no steps."""
    if progress:
        progress(name, 0, 1)
    yield
    if progress:
        progress(name, 1, 1)


# --- films that go in -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Source:
    """A film as the models see it: at their size and rate."""

    latents: Float[Tensor, "1 c k i j"]
    format: Format
    prompt: str
    film: Any = field(repr=False)                # what was given
    fit: str = "crop"
    notes: tuple[str, ...] = ()
    frames: UInt8[np.ndarray, "t h w 3"] | None = field(default=None, repr=False)     # None if latents came
    hash: str = ""                               # of its file, if it has one: see `Safety.screen_film`

    def pictures(self, pipe: Pipeline) -> UInt8[np.ndarray, "t h w 3"]:
        return self.frames if self.frames is not None else to_bytes(decode(pipe, self.latents))

    def untouched(self, fps: float) -> UInt8[np.ndarray, "t h w 3"]:
        """The film's own frames, at the size in which it is delivered."""
        video, _, _ = film_of("film", self.film, max(self.format.height, self.format.width))
        frames = FrameRate(fps)(find_cuts(Stream.of(video))).frames()
        return fitted(frames, self.format.height, self.format.width, self.fit)


def read(pipe: Pipeline, name: str, film, format: Format | None = None, fit: str = "crop", *, file=None,
         aspect: str | None = None, height: int | None = None, width: int | None = None) -> Source:
    """A path, `Video`, `Take` or `Run` as latents; its own shape and size are kept unless there is a format, or an
    aspect or size. `file` is what a Video was read from, if that is known.

    A Take or Run of the same shape and weights gives its own latents, so that nothing is lost; all else is encoded.
    Raises ValueError naming the argument for anything else, and Refused for faces without consent.
    """
    latents = film.latents if isinstance(film, Take) else film.latents.values if isinstance(film, Run) else None
    video, size, notes = film_of(name, film)
    digest = hash_of(film if file is None else file)
    pipe.safety.screen_film(video.frames, video.prompt, digest)
    format = format or format_of(pipe, size, aspect, height, width)
    own = video.origin is None or video.origin.weights == pipe.safety.weights     # another autoencoder's mean others
    if latents is not None and own and tuple(latents.shape[-2:]) == format.cells:
        return Source(latents.to(pipe.device), format, video.prompt, film, fit, notes, hash=digest)
    frames = FrameRate(NATIVE_FPS)(find_cuts(Stream.of(video))).frames()
    frames = fitted(frames, format.native_height, format.native_width, fit)
    return Source(encode(pipe, frames), format, video.prompt, film, fit, notes, frames, digest)


def hash_of(film) -> str:
    """What a consent list calls a film that is given as a file; "" for any other."""
    return film_hash(film) if isinstance(film, (str, Path)) else ""


def film_of(name: str, film, side: int = READ_SIDE) -> tuple[Video, tuple[int, int], tuple[str, ...]]:
    """A film, its own height and width, and what is to be said of it; files are read at up to `side` pixels."""
    if isinstance(film, (Take, Run)):
        film = film.video
    if isinstance(film, Video):
        return film, (film.height, film.width), ()
    if not isinstance(film, (str, Path)):
        raise ValueError(f"{name} is of type {type(film).__name__}; it takes a path, a Video, a Take or a Run")
    file = open_film(film)
    notes = about_sound(file.path)
    if file.seconds > LONGEST:
        notes += (f"{file.path.name} is {file.seconds:.0f} s long; the first {LONGEST:g} s are read",)
    frames = np.stack(list(stream_frames(file, fps=NATIVE_FPS, side=side, seconds=LONGEST)))
    return Video(frames, NATIVE_FPS), (file.height, file.width), notes


def about_sound(path: Path) -> tuple[str, ...]:
    """A note for a film in a file that has sound."""
    done = subprocess.run([find_ffmpeg(), "-hide_banner", "-protocol_whitelist", "file", "-i",
                           f"file:{path.absolute()}"], capture_output=True, check=False)
    found = re.search(r"Stream #0.*?: Audio", done.stderr.decode(errors="replace"))
    return (f"the sound of {path.name} is dropped: films here are silent",) if found else ()


def format_of(pipe: Pipeline, size: tuple[int, int] | None = None, aspect: str | None = None, height: int | None = None,
              width: int | None = None) -> Format:
    """The format that is asked for, or that `pipe.synthesis` has; where only a height is, in the shape of a picture or
    film of this size, and where nothing is, of this size: even, and no larger or smaller than can be delivered."""
    recipe = pipe.synthesis
    if size is None or (aspect, height, width, recipe.aspect, recipe.size) != (None,) * 5:
        aspect = aspect or recipe.aspect or (f"{size[1]}:{size[0]}" if size and not (height and width) else None)
        return Format.of("1:1", *recipe.target(aspect, height, width))
    least, most = SIDES
    scale = max(1.0, least / min(size)) * min(1.0, most / min(size))
    return Format.of("1:1", *(max(least, 2 * round(side * scale / 2)) for side in size))


# --- words for what was given without any --------------------------------------------------------------


def prompt_for(prompt: str, source: Source, pipe: Pipeline) -> tuple[str, tuple[str, ...]]:
    """The prompt, the film's own, or one made from what it shows; and a note if it was made."""
    if prompt or source.prompt:
        return prompt or source.prompt, ()
    pictures = source.pictures(pipe)
    return prompt_of("", pictures[len(pictures) // 2])


def prompt_of(prompt: str, picture: UInt8[np.ndarray, "h w 3"] | None) -> tuple[str, tuple[str, ...]]:
    """The prompt, or one made from what a picture shows; and a note if it was made."""
    if prompt or picture is None:
        return prompt, ()
    made = words_of(look_at(picture))
    return made, (note_of(made),)
