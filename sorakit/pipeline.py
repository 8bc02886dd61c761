"""The map of the whole system: six stages, in order. Each is an attribute that can be called alone, or replaced."""

from __future__ import annotations

import dataclasses
import numbers
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sorakit.device import pick_device
from sorakit.diffusion.sampler import Sampler
from sorakit.latent.autoencoder import SPACE, TIME, Autoencoder
from sorakit.latent.text import TextEncoder
from sorakit.prompt.reader import Reader
from sorakit.prompt.words import Words
from sorakit.safety.safety import Safety
from sorakit.synthesis.finish import Finish, enlarge, output_size
from sorakit.transformer.model import Transformer
from sorakit.types import NATIVE_FPS, NATIVE_SIZES, Video
from sorakit.weights import load_weights

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
    synthesis: Finish                # 5 frames to a film
    safety: Safety                   # 6 what may be made, and its mark
    model: str
    device: torch.device
    load_seconds: float = 0.0

    @torch.no_grad()
    def __call__(self, prompt: str, *, negative: str = "", image=None, seconds: float = 2.0, aspect: str = "16:9",
                 seed: int = 0, steps: int = 25, guidance: float = 4.0, height: int | None = None,
                 progress: Callable[[str, int, int], None] | None = None) -> Video:
        """A film of the prompt; the same arguments make the same pixels on a CPU.

        Args:
            negative: what guidance steers away from.
            image: the first frame: a path, a PIL image or a uint8 array (h, w, 3).
            seconds: length, up to 10; models draw 1 + 2k frames at 8 a second, and the nearest such length is made.
            aspect: "16:9", "9:16" or "1:1".
            steps: denoising steps; more are slower and finer.
            guidance: how hard the prompt pulls; 1 is no more than the model would by itself.
            height: of the film in pixels; by default its short side has 432.

        Raises:
            ValueError: for arguments outside of these, naming the argument.
            Refused: (a ValueError) for a prompt that breaks the safety rules.
        """
        output_size(aspect, height)                      # what cannot be made is said before the work, not after it
        noise = self.noise(seconds, aspect, seed)                                                # (1, c, t, h, w)
        check_number("steps", steps, 1, 1000, numbers.Integral)
        check_number("guidance", guidance, 0, 30)
        clock = Clock(progress)

        clock.start("read")
        brief = self.prompt(prompt, negative=negative, image=image)                              # 1 what is asked
        brief = self.safety.screen(brief).brief                                                  # 6 may it be made
        conditioning = self.text_encoder(brief)                                                  # 2 words to vectors
        known, mask = self.known(brief.image, noise)                                             # 2 given frames
        clock.start("sample", steps)
        latents = self.sampler(self.transformer, noise, conditioning, known=known, mask=mask, steps=steps,
                               guidance=guidance, fps=NATIVE_FPS, callback=clock.step)           # 3 + 4
        clock.start("decode")
        frames = self.autoencoder.decode(latents.values)                                         # 2 back to pixels
        clock.start("finish")
        video = self.synthesis(frames, aspect=aspect, height=height, prompt=brief.prompt)        # 5 finish
        video = self.safety.release(video, model=self.model, seed=seed)                          # 6 mark
        return dataclasses.replace(video, timings=clock.stop())

    def noise(self, seconds: float, aspect: str, seed: int) -> Float[Tensor, "1 c t i j"]:
        """Where a film starts: drawn on the CPU, so that a seed means the same everywhere."""
        check_number("seconds", seconds, 0, MAX_SECONDS)
        check_number("seed", seed, 0, 2**63 - 1, numbers.Integral)
        height, width = NATIVE_SIZES[aspect]
        shape = (1, self.autoencoder.channels, 1 + round(seconds * NATIVE_FPS / TIME), height // SPACE, width // SPACE)
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(self.device)

    def known(self, image: UInt8[np.ndarray, "h w 3"] | None, noise: Float[Tensor, "1 c t i j"]):
        """Latents of which the first is the image, and the mask that says so; (None, None) without an image."""
        if image is None:
            return None, None
        frame = enlarge(image[None], noise.shape[-2] * SPACE, noise.shape[-1] * SPACE)           # (1, h, w, 3)
        frame = torch.from_numpy(frame).to(self.device).permute(3, 0, 1, 2)[None] / 127.5 - 1    # (1, 3, 1, h, w)
        known, mask = torch.zeros_like(noise), torch.zeros_like(noise[:, 0], dtype=torch.bool)
        known[:, :, :1], mask[:, :1] = self.autoencoder.encode(frame), True
        return known, mask


def load(weights: str | Path = "nano", device: str | None = None) -> Pipeline:
    """A pipeline from weights that ship with the package, or from a folder, on the best device here.

    Raises WeightsError (a ValueError) for weights that are missing or damaged, ValueError for a device not here.
    """
    started = time.perf_counter()
    place = pick_device(device)
    stored, words = load_weights(weights), Words.load()
    pipeline = Pipeline(
        prompt=Reader(words),
        text_encoder=TextEncoder.from_weights(stored, words),
        autoencoder=Autoencoder.from_weights(stored).to(place),
        sampler=Sampler(),
        transformer=Transformer.from_weights(stored).to(place),
        synthesis=Finish(),
        safety=Safety(),
        model=stored.card["preset"],
        device=place,
    )
    pipeline.text_encoder.network.to(place)
    pipeline.load_seconds = time.perf_counter() - started
    return pipeline


def check_number(name: str, value, lowest, highest, kind=numbers.Real) -> None:
    if not isinstance(value, kind) or isinstance(value, bool) or not lowest <= value <= highest:
        what = "a whole number" if kind is numbers.Integral else "a number"
        raise ValueError(f"{name}={value!r} does not fit; it takes {what} from {lowest:,} to {highest:,}")


class Clock:
    """Times each stage, and tells `progress` of it."""

    def __init__(self, progress):
        self.progress, self.timings, self.stage = progress or (lambda *_: None), {}, None

    def start(self, stage: str, steps: int = 1) -> None:
        self.stop()
        self.stage, self.steps, self.since = stage, steps, time.perf_counter()
        self.progress(stage, 0, steps)

    def step(self, step) -> None:
        if step.index + 1 < self.steps:
            self.progress(self.stage, step.index + 1, self.steps)

    def stop(self) -> dict[str, float]:
        if self.stage:
            self.timings[self.stage] = time.perf_counter() - self.since
            self.progress(self.stage, self.steps, self.steps)
        return self.timings
