"""The map of the whole system: six stages, in order. Each is an attribute that can be called alone, or replaced."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
import numbers
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sorakit.device import pick_device
from sorakit.diffusion.sampler import WORDS_HELP, Sampler, shapes
from sorakit.formats import native_size
from sorakit.latent.autoencoder import SPACE, TIME, Autoencoder
from sorakit.latent.text import MAX_WORDS, TextEncoder
from sorakit.prompt.reader import Reader
from sorakit.prompt.words import Words
from sorakit.provenance import SIGNABLE, Authority, Origin, path_of
from sorakit.run import Recorder, Run
from sorakit.safety.safety import Safety
from sorakit.synthesis.encode import Encoded
from sorakit.synthesis.finish import enlarge, shape_of
from sorakit.synthesis.recipe import Synthesis
from sorakit.synthesis.stream import Stream
from sorakit.transformer.model import Transformer
from sorakit.types import NATIVE_FPS, NATIVE_SIZES, Verdict, Video
from sorakit.videofile import check_path
from sorakit.weights import load_weights, shipped

MAX_SECONDS = 10


@dataclasses.dataclass
class Pipeline:
    """Prompt in, film out. `sorakit.load("nano")` makes one.

    `progress`, where a call takes it, is called with (stage, steps done, steps in all).
    """

    prompt: Reader                   # 1 a request to a Brief
    text_encoder: TextEncoder        # 2 words to vectors
    autoencoder: Autoencoder         # 2 frames to latents and back
    sampler: Sampler                 # 3 noise to latents, a step at a time
    transformer: Transformer         # 4 which way each latent moves
    synthesis: Synthesis             # 5 frames to a film
    safety: Safety                   # 6 what may be made, and its mark
    model: str
    device: torch.device
    load_seconds: float = 0.0
    few_step: Transformer | None = None     # 4 as well, taught to need few steps, with the prompt's pull built in
    teacher: Transformer | None = None      # of few_step, which does not stand for any other transformer
    few_by_default: bool = True             # whether few_step makes the films whose number of steps is not said
    limits: Any = None               # how long, how large and how many films may be: a `tools.Plan` or `tools.Ledger`

    @torch.no_grad()
    def __call__(self, prompt: str = "", *, negative: str = "", image=None, video=None, seconds: float = 2.0,
                 aspect: str | None = None, seed: int = 0, steps: int | None = None, guidance: float | None = None,
                 height: int | None = None, width: int | None = None,
                 progress: Callable[[str, int, int], None] | None = None) -> Video:
        """A film of the prompt; the same arguments make the same pixels on a CPU.

        Args:
            prompt: may be left out with an image; it is then made from what the image shows, and said in `notes`. What
                its subject does, which way it goes, its colour and the light are the seed's to decide where they are
                left open (`Brief.said`).
            negative: what guidance steers away from; takes the flow model, 25 steps unless said.
            image: the first frame: a path, a PIL image or a uint8 array (h, w, 3).
            video: is for the tools, as what is to become of it has to be said: `remix`, `extend` and others.
            seconds: length, up to 10; models draw 1 + 2k frames at 8 a second, and the nearest such length is made.
                `sorakit.tools.reel` makes longer films.
            aspect: "16:9", "9:16", "1:1", "4:3", "21:9" or any other up to 4:1; by default that of `synthesis`, else
                "16:9".
            steps: denoising steps; more are slower and finer. By default 4 with weights that know few steps, unless
                their card says otherwise, else 25; more than 8 take the flow model.
            guidance: how hard the prompt pulls; 1 is no more than the model would by itself. A number takes the flow
                model; by default what few-step weights were taught, else 4.
            height, width: of the film in pixels; a height alone keeps the aspect. By default the short side has what
                `synthesis` says, 432 unless changed.

        Raises:
            ValueError: for arguments outside of these, naming the argument.
            Refused: (a ValueError) for a prompt that breaks the safety rules.
            OverPlan: (a ValueError) for what goes beyond `limits`.
        """
        with self.within(seconds, *self.synthesis.target(aspect, height, width)):
            return self.stages(Clock(progress), prompt, negative=negative, image=image, video=video, seconds=seconds,
                               aspect=aspect, seed=seed, steps=steps, guidance=guidance, height=height, width=width)

    @torch.no_grad()
    def trace(self, prompt: str = "", *, keep: str | Sequence[str] = (),
              progress: Callable[[str, int, int], None] | None = None, **options) -> Run:
        """The same film by the same lines, with everything on the way kept in a `Run`.

        Takes what a call takes. keep names more that the transformer works out at each step (`transformer.names()`;
        patterns such as `"blocks.*.time.attention"`), of the first film and with the prompt. progress is told of the
        denoising steps.
        """
        size = self.synthesis.target(*map(options.get, ("aspect", "height", "width")))
        with self.within(options.get("seconds", 2.0), *size):
            return Run.record(self, keep, {"prompt": prompt, **options}, Recorder(self, keep, progress))

    def stages(self, do, prompt, *, negative="", image=None, video=None, seconds=2.0, aspect=None, seed=0, steps=None,
               guidance=None, height=None, width=None) -> Video:
        """The six stages in order. `do(name, stage, ...)` calls stage(...): a `Clock`, or the recorder of a `Run`."""
        if video is not None:
            raise ValueError("video= is for the tools: sorakit.tools.remix(pipe, video, prompt) changes a film, extend "
                             "makes it longer; blend, loop and recut take films, too")
        height, width = self.synthesis.target(aspect, height, width)
        noise = self.noise(seconds, f"{width}:{height}", seed)                                   # (1, c, t, h, w)
        sampler, network, steps, guidance = self.plan(steps, guidance, negative)

        brief = do("prompt", self.prompt, prompt, negative=negative, image=image, seed=seed)     # 1 what is asked
        verdict = do("screen", self.safety.screen, brief)                                        # 6 may it be made
        conditioning = do("text", self.text_encoder, verdict.brief)                              # 2 words to vectors
        known, mask = do("known", self.known, verdict.brief.image, noise)                        # 2 given frames
        latents = do("diffusion", sampler, network, noise, conditioning, known, mask,
                     steps=steps, guidance=guidance, fps=NATIVE_FPS)                             # 3 + 4
        frames = do("decode", self.autoencoder.decode, latents.values)                           # 2 back to pixels
        video = do("synthesis", self.synthesis, frames, height=height, width=width,
                   prompt=verdict.brief.prompt)                                                  # 5 finish
        video = do("release", self.safety.release, video, model=self.model, seed=seed, verdict=verdict,
                   made_from=path_of(image))                                                     # 6 screen and mark
        return dataclasses.replace(video, timings=do.timings, notes=verdict.notes)

    def plan(self, steps: int | None, guidance: float | None, negative: str = ""):
        """Sampler, network, steps and guidance: few steps where the weights know them (well enough to be the default,
        or at most 8 are asked for) and nothing is asked for that only the flow model can do, nor was the sampler or
        the flow model changed, nor is it looked into more than the few-step one. Raises ValueError for numbers outside
        of their range.
        """
        check_number("steps", 1 if steps is None else steps, 1, 1000, numbers.Integral)
        check_number("guidance", 1 if guidance is None else guidance, 0, 30)
        plain = guidance is None and not negative and (self.few_by_default if steps is None else steps <= 8)
        if self.few_step and plain and self.as_taught():
            return dataclasses.replace(self.sampler, method="few_step"), self.few_step, steps or 4, 1.0
        return (self.sampler, self.transformer, steps or self.sampler.steps_default,
                self.sampler.guidance_default if guidance is None else guidance)

    def planned(self, steps: int | None = None, guidance: float | None = None, negative: str = "") -> str:
        """The same in words."""
        sampler, _, steps, guidance = self.plan(steps, guidance, negative)
        how = "guidance folded in" if sampler.method == "few_step" else f"guidance {guidance:g}"
        return f"{steps} {'step' if steps == 1 else 'steps'}, {how}"

    def as_taught(self) -> bool:
        """Whether the few-step network stands for the flow model still: neither it nor the sampler was replaced, and no
        more is looked into it than into the few-step one."""
        same = self.transformer is self.teacher and self.sampler == sampler_for(self.transformer)
        return same and len(self.few_step.probes.active) >= len(self.transformer.probes.active)

    def within(self, seconds: float, height: int, width: int, films: int = 1):
        """A context in which such a film is made: it counts if it is made, and is refused if it is over the limits."""
        if self.limits is None:
            return contextlib.nullcontext()
        return self.limits.film(seconds=seconds, height=height, width=width, films=films)

    def noise(self, seconds: float, aspect: str, seed: int) -> Float[Tensor, "1 c t i j"]:
        """Where a film of any "width:height" starts: drawn on the CPU, so that a seed means the same everywhere."""
        check_number("seconds", seconds, 0, MAX_SECONDS, more="; sorakit.tools.reel makes longer films")
        check_number("seed", seed, 0, 2**63 - 1, numbers.Integral)
        across, down = shape_of(aspect)
        height, width = native_size(across / down)
        shape = (1, self.autoencoder.channels, 1 + round(seconds * NATIVE_FPS / TIME), height // SPACE, width // SPACE)
        return torch.randn(shape, generator=torch.Generator().manual_seed(int(seed))).to(self.device)

    def known(self, image: UInt8[np.ndarray, "h w 3"] | None, noise: Float[Tensor, "1 c t i j"]):
        """Latents of which the first is the image, and the mask that says so; (None, None) without an image."""
        if image is None:
            return None, None
        frame = enlarge(image[None], noise.shape[-2] * SPACE, noise.shape[-1] * SPACE)           # (1, h, w, 3)
        frame = torch.from_numpy(frame).to(self.device).permute(3, 0, 1, 2)[None] / 127.5 - 1    # (1, 3, 1, h, w)
        known, mask = torch.zeros_like(noise), torch.zeros_like(noise[:, 0], dtype=torch.bool)
        known[:, :, :1], mask[:, :1] = self.autoencoder.encode(frame), True
        return known, mask

    def save(self, film, path: str | Path, *, prompt: str = "", seed: int = 0, origin: Origin | None = None,
             verdict: Verdict | None = None, has_marks: bool = False, aspect: str | None = None,
             height: int | None = None, width: int | None = None, native_fps: float = NATIVE_FPS,
             progress: Callable[[str, int, int], None] | None = None, **encoding) -> Encoded:
        """Stages 5 and 6 straight into a file, a frame at a time: finished, screened, marked, encoded and signed.

        >>> pipe.save(run.frames, "film.mp4", prompt="waves on a beach", seed=7, codec="h265")    # doctest: +SKIP

        Args:
            film: what the decoder gives, (1, 3, t, h, w), uint8 frames (t, h, w, 3), a `Stream` or a `Video`.
            prompt, seed: what the file says that the film was made from; or all of it, an `origin`.
            verdict: see `Safety.release`.
            has_marks: the film has both marks, as every `Video` of this pipeline has. Where it is cropped it gets them
                again.
            aspect, height, width: see `Synthesis.target`; by default the film's own shape.
            progress: called with ("finish", frames done, frames in all).
            encoding: codec, quality and poster of `encode.write`.

        Raises ValueError for what does not fit or cannot be signed, Refused for frames that the policy does not let
        out, OSError if the file cannot be written or signed.
        """
        path = check_path(path, encoding.get("codec"))
        if path.suffix.lower() in SIGNABLE:
            Authority.local()                                             # no keys: better said before the work
        if isinstance(film, Video) and film.origin:
            origin, has_marks = film.origin.after("c2pa.edited"), True
        origin = origin or self.safety.origin(prompt, self.model, seed)
        size = size_of(film)
        if not (height and width):
            aspect = aspect or self.synthesis.aspect or aspect_of(film)
        if has_marks:
            has_marks = self.synthesis.keeps(size, self.synthesis.target(aspect, height, width))
        told = progress or (lambda *_: None)
        told("finish", 0, 1)
        done = self.synthesis.write(
            path, film, aspect=aspect, height=height, width=width, native_fps=native_fps, origin=origin,
            metadata=self.safety.said(origin), **encoding,
            progress=lambda number, count, _: number < count and told("finish", number, count),
            mark=lambda stream: stream.then(
                lambda: self.safety.released(stream, stream.fps, stream.count, origin, verdict, has_marks)))
        told("finish", done.count, done.count)
        return done


def load(weights: str | Path | None = None, device: str | None = None, **safety) -> Pipeline:
    """A pipeline from weights that ship with the package, or from a folder, on the best device here.

    Without weights it takes the best of those that ship for the device: "base" on a GPU, else "nano".
    `safety` goes to stage 6: policy, consent, audit, style; see `sorakit.safety.safety.Safety`.

    Raises WeightsError (a ValueError) for weights that are missing or damaged, ValueError for a device not here.
    """
    started = time.perf_counter()
    place = pick_device(device)
    if weights is None:
        weights = "base" if place.type != "cpu" and "base" in shipped() else "nano"
    stored, words = load_weights(weights), Words.load()
    reader, transformer = Reader(words, reach=MAX_WORDS), Transformer.from_weights(stored).to(place)
    pipeline = Pipeline(
        prompt=reader,
        text_encoder=TextEncoder.from_weights(stored, words),
        autoencoder=Autoencoder.from_weights(stored).to(place),
        sampler=sampler_for(transformer),
        transformer=transformer,
        synthesis=Synthesis(),
        safety=Safety(words=words, read=reader, weights=digest_of(stored.card), **safety),
        model=stored.card["preset"],
        device=place,
        few_step=Transformer.from_weights(stored, "few_step").to(place) if "few_step" in stored.card else None,
        few_by_default=stored.card.get("few_step", {}).get("default", True),
    )
    pipeline.teacher = pipeline.transformer
    pipeline.text_encoder.network.to(place)
    pipeline.load_seconds = time.perf_counter() - started
    return pipeline


def sampler_for(transformer: Transformer) -> Sampler:
    """How films are walked to: with fresh noise at every step, which mends what steps before got wrong."""
    return Sampler(method="ancestral", interval=WORDS_HELP, skip=shapes(len(transformer.blocks)))


def size_of(film) -> tuple[int, int]:
    """Height and width of what `Pipeline.save` takes. Raises ValueError for anything else."""
    if isinstance(film, torch.Tensor | np.ndarray):
        return tuple(film.shape[-2:] if isinstance(film, torch.Tensor) else film.shape[1:3])
    if not isinstance(film, Stream | Video):
        raise ValueError(f"film is of type {type(film).__name__}; it takes a Video, a Stream, frames or what the "
                         "decoder gives")
    return film.height, film.width


def aspect_of(film) -> str:
    """The shape of a film: one that models draw, if it is within 3% of it, else its very own."""
    height, width = size_of(film)
    near = (name for name, (h, w) in NATIVE_SIZES.items() if math.isclose(width / height, w / h, rel_tol=0.03))
    return next(near, f"{width}:{height}")


def digest_of(card: dict) -> str:
    """One sha256 for all shards of weights: of their own, in the order of their names."""
    shards = sorted(shard for part in card["shards"].values() for shard in dict(part).items())
    return hashlib.sha256(repr(shards).encode()).hexdigest()


def check_number(name: str, value, lowest, highest, kind=numbers.Real, more: str = "") -> None:
    if not isinstance(value, kind) or isinstance(value, bool) or not lowest <= value <= highest:
        what = "a whole number" if kind is numbers.Integral else "a number"
        raise ValueError(f"{name}={value!r} does not fit; it takes {what} from {lowest:,} to {highest:,}{more}")


class Clock:
    """Calls each stage, times it, and tells `progress` of it. Short stages are told of together, as one phase."""

    PHASES = {"prompt": "read", "screen": "read", "text": "read", "known": "read", "diffusion": "sample",
              "decode": "decode", "synthesis": "finish", "release": "finish"}

    def __init__(self, progress: Callable[[str, int, int], None] | None = None):
        self.progress, self.timings = progress or (lambda *_: None), {}

    def __call__(self, name: str, stage: Callable, *args, **options):
        phase, steps = self.PHASES[name], options.get("steps", 1)
        if phase not in self.timings:
            self.progress(phase, 0, steps)
        if name == "diffusion":
            options["callback"] = lambda step: step.index + 1 < steps and self.progress(phase, step.index + 1, steps)
        started = time.perf_counter()
        value = stage(*args, **options)
        self.timings[phase] = self.timings.get(phase, 0.0) + time.perf_counter() - started
        if name in ("known", "diffusion", "decode", "release"):                                  # its phase is over
            self.progress(phase, steps, steps)
        return value
