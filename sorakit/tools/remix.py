"""Video to video: a film is part-noised and denoised with other words; what was not asked to change stays."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from sorakit.formats import Format
from sorakit.latent.autoencoder import SPACE, TIME
from sorakit.pipeline import Pipeline
from sorakit.provenance import path_of, sources_of
from sorakit.synthesis.colour import Look
from sorakit.synthesis.stream import Stream
from sorakit.tools.shot import Take, decode, finish, phase, prompt_for, read, release, screened, within
from sorakit.tools.windows import Timeline, fill
from sorakit.types import Video

STRENGTHS = {"subtle": 0.6, "mild": 0.8, "strong": 0.98}     # the diffusion time that the film is noised to


@dataclass(frozen=True)
class Style:
    """What a style adds to a prompt, and the grade that is laid over the film."""

    words: str
    look: str | None = None                      # one of sorakit.synthesis.colour.LOOKS
    negative: str = ""
    grade: float = 1.0                           # how much of the look


STYLES: dict[str, Style] = {                     # add your own: STYLES["vhs"] = Style("an old home video", "vintage")
    "natural": Style("natural style", "natural"),
    "cinematic": Style("cinematic style, dramatic light", "cinematic"),
    "cyberpunk": Style("cyberpunk style, neon lights", "neon", grade=0.3),
    "watercolour": Style("watercolour style, soft washes of paint", "faded"),
    "film noir": Style("film noir style, black and white", "noir"),
    "paper cut-out": Style("paper cut-out style"),
    "pixel art": Style("pixel art style"),
    "sketch": Style("pencil sketch style"),
}


def remix(pipe: Pipeline, film, prompt: str = "", *, strength: str | float = "mild", style: str | Style | None = None,
          region=None, aspect: str | None = None, height: int | None = None, width: int | None = None,
          fit: str = "crop", seed: int = 0, negative: str = "", steps: int | None = None,
          guidance: float | None = None, keep=(), progress=None) -> Take:
    """The film again, changed to what the prompt and the style say.

    >>> remix(pipe, "city.mp4", "a city street at night in the rain", style="cyberpunk")          # doctest: +SKIP
    >>> remix(pipe, take, "a starry night over mountains, moonlight", strength=0.7)               # doctest: +SKIP

    Args:
        film: a path, a `Video`, a `Take` or a `Run`.
        prompt: what it is to show; without one, what it shows, with the style's words.
        strength: "subtle", "mild", "strong" or 0 to 1, the diffusion time that the film is noised to before it is
            denoised with the new words: 0 gives the film back as the autoencoder sees it, 1 is a new film (that of
            `pipe(prompt, seed=seed)`, up to 2 s). Light and place change from about 0.97 on; asked for
            between 0.85 and there, they only leave grain. What the film's own prompt
            and the new one do not say differently is held on to (see `shot.Anchored`), and let go of near 1.
        style: one of STYLES, or a Style of your own. Its grade grows with strength.
        region: where it may change: (left, top, right, bottom) from 0 to 1, or a mask (h, w) or (t, h, w) of any size.
            Outside of it every pixel stays (but for the mark); towards its edge the change fades out.
        aspect, height, width: another shape or size, by `fit`: "crop" or "pad".

    Raises ValueError for what does not fit, naming the argument.
    """
    share = strength_of(strength)
    chosen = style_of(style)
    with phase(progress, "read"):
        source = read(pipe, "film", film, None, fit, aspect=aspect, height=height, width=width)
        own, made = prompt_for("", source, pipe)
        prompt, notes = (prompt, ()) if prompt else (own, made)
    if chosen:
        prompt, negative = f"{prompt}, {chosen.words}", ", ".join(filter(None, (negative, chosen.negative)))
    known = source.latents
    area = None if region is None else area_of(region, 1 + TIME * (known.shape[2] - 1), source.format)
    mask = torch.full_like(known[:, 0], share == 0, dtype=torch.bool)
    if area is not None:
        mask |= ~cells_of(area).to(mask.device)
    verdict = screened(pipe, prompt, negative, films=(source,))
    timeline = Timeline(source.format, known, mask, ((0, prompt),), known if share < 1 else None, share or 1.0, own,
                        verdict)
    with within(pipe, known.shape[2], source.format):
        latents, runs = fill(pipe, timeline, seed=seed, negative=negative, steps=steps, guidance=guidance, keep=keep,
                             progress=progress)
        with phase(progress, "finish"):
            judged = pipe.safety.judge(prompt)
            video = finish(pipe, decode(pipe, latents), source.format, prompt=judged.brief.prompt)
            if chosen and chosen.look and share:
                video = graded(video, chosen.look, chosen.grade * share)
            if area is not None:
                video = composed(source.untouched(video.fps), video, area)
            if area is not None or (chosen and chosen.look):       # what other tools go on from is what is seen here
                latents = read(pipe, "film", video, source.format, file=film).latents
            video = release(pipe, video, seed, verdict, made_from=sources_of(film),
                            edited=bool(path_of(film)))
            video = replace(video, notes=verdict.notes)
    asked = {"prompt": prompt, "strength": share, "style": style if isinstance(style, str) else None, "seed": seed}
    return Take(video, "remix", asked, runs, latents, source.notes + notes + judged.notes)


def strength_of(strength: str | float) -> float:
    """Raises ValueError for another name, or a number outside of 0 to 1."""
    share = STRENGTHS.get(strength) if isinstance(strength, str) else strength
    if not isinstance(share, numbers.Real) or isinstance(share, bool) or not 0 <= share <= 1:
        raise ValueError(f"strength={strength!r} is not one of {', '.join(STRENGTHS)}, nor a number from 0 to 1")
    return float(share)


def style_of(style: str | Style | None) -> Style | None:
    if style is None or isinstance(style, Style):
        return style
    if not isinstance(style, str) or style not in STYLES:
        raise ValueError(f"style={style!r} is not one of {', '.join(STYLES)}; a Style of your own goes, too")
    return STYLES[style]


def graded(video: Video, look: str, share: float) -> Video:
    return Look(look, round(min(1.0, 1.25 * share), 3))(Stream.of(video)).video(video.prompt)


# --- regions ----------------------------------------------------------------------------------------


def area_of(region, frames: int, format: Format) -> Float[np.ndarray, "t h w"]:
    """Where a film may change, 0 to 1, at the models' size. Raises ValueError for what is no region."""
    h, w = format.native_height, format.native_width
    if isinstance(region, (tuple, list)) and len(region) == 4:
        left, top, right, bottom = region
        real = all(isinstance(side, numbers.Real) for side in region)
        if not real or not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError(f"region={tuple(region)!r} is no area; it takes (left, top, right, bottom), each from 0 "
                             "to 1, left before right and top above bottom")
        area = np.zeros((1, h, w), np.float32)
        area[:, math.floor(top * h):math.ceil(bottom * h), math.floor(left * w):math.ceil(right * w)] = 1
    elif isinstance(region, np.ndarray) and region.ndim in (2, 3) and region.size:
        region = (region if region.ndim == 3 else region[None]).astype(np.float32)
        region = region / (255 if region.max() > 1 else 1)
        area = np.stack([cv2.resize(picture, (w, h), interpolation=cv2.INTER_AREA) for picture in region])
    else:
        got = f"array of shape {region.shape}" if isinstance(region, np.ndarray) else repr(region)
        raise ValueError(f"region is {got}; it takes (left, top, right, bottom) from 0 to 1, or a mask (h, w) or "
                         "(t, h, w)")
    if not area.any():
        raise ValueError("region is empty: nothing of the film may change")
    return area[np.linspace(0, len(area) - 1, frames).round().astype(int)]


def cells_of(area: Float[np.ndarray, "t h w"]) -> Bool[Tensor, "1 k i j"]:
    """The latents that hold any of an area."""
    area = torch.from_numpy(area > 0).float()[None, None]                                    # (1, 1, t, h, w)
    area = torch.cat([area[:, :, :1].expand(-1, -1, TIME - 1, -1, -1), area], 2)
    return F.max_pool3d(area, (TIME, SPACE, SPACE))[:, 0] > 0


def composed(untouched: UInt8[np.ndarray, "t h w 3"], changed: Video, area: Float[np.ndarray, "t h w"]) -> Video:
    """The changed film within the area, the untouched one outside of it, and a soft edge inside of it."""
    frames = untouched[:len(changed.frames)].copy()
    h, w = frames.shape[1:3]
    soft = max(1, round(min(h, w) / 40))
    places = np.linspace(0, len(area) - 1, len(frames)).round().astype(int)
    for k, place in enumerate(places):
        share = cv2.resize(area[place], (w, h), interpolation=cv2.INTER_NEAREST)
        inner = cv2.erode(share, np.ones((2 * soft + 1,) * 2, np.uint8), borderType=cv2.BORDER_REPLICATE)
        share = np.minimum(share, cv2.blur(inner, (2 * soft + 1,) * 2, borderType=cv2.BORDER_REPLICATE))[..., None]
        frames[k] = (share * changed.frames[k] + (1 - share) * frames[k] + 0.5).astype(np.uint8)
    return replace(changed, frames=frames)
