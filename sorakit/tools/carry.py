"""A film's motion carried on: what comes after a seam if all goes on moving as it did, until the model takes over."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from sorakit.latent.autoencoder import TIME
from sorakit.pipeline import Pipeline
from sorakit.synthesis.finish import to_bytes
from sorakit.synthesis.rate import lay, optical_flow, trust
from sorakit.synthesis.stream import fetch
from sorakit.tools.shot import encode

HELD = 4                         # latents from a seam up to which the motion has a say
FOLLOW = 0.75                    # the time that carried motion is noised to where the prompt asks for nothing else
EVEN, JUMP = 1.25, 1.4           # change over a seam against the film's own: nothing is held, all is held
LEAST = 0.1                      # levels of change that count as the film's own, if it stands still
STILL = 0.1                      # pixels a frame; what moves faster lies in front of what moves slower


def ends(known: Bool[Tensor, "1 k i j"]) -> tuple[int, int]:
    """How many latents are known at a window's beginning and at its end; (0, 0) where they show no motion, as a picture
    that is given does not."""
    whole = known.flatten(2).all(-1)[0].tolist()
    left, right = whole.index(False), whole[::-1].index(False)
    return (left, right) if left != 1 and max(left, right) > 1 else (0, 0)


def held(made: Float[Tensor, "1 c k i j"], ahead: Float[Tensor, "1 c n i j"], left: int, right: int, jump: float
         ) -> Float[Tensor, "1 c k i j"]:
    """What the model made of a window, held to what is known at its ends where it would jump: the next latent to a
    known one is then mostly its motion carried on (`ahead`), each further one less so."""
    new, hold = ahead.shape[2], min(1.0, max(0.0, (jump - EVEN) / (JUMP - EVEN)))
    far = torch.tensor([min([k + 1] * (left > 0) + [new - k] * (right > 0)) for k in range(new)])
    weight = 1 - hold * (1 - far / (HELD + 1)).clamp(min=0).to(made).view(1, 1, -1, 1, 1)
    made = made.clone()
    made[:, :, left:left + new] = (1 - weight) * ahead + weight * made[:, :, left:left + new]
    return made


def lit(made: Float[Tensor, "1 c k i j"], left: int, right: int) -> Float[Tensor, "1 c k i j"]:
    """A window between known latents in their light: each channel's mean in the latents next to those goes on the line
    from the one end to the other, and in each further one less so."""
    count, mean = made.shape[2], made.mean((3, 4), keepdim=True)
    new, before, after = torch.arange(left, count - right), left - 1, count - right
    share = ((new - before) / (after - before)).to(made).view(1, 1, -1, 1, 1)
    wanted = (1 - share) * mean[:, :, [before]] + share * mean[:, :, [after]]
    far = torch.minimum(new - before, after - new).to(made).view(1, 1, -1, 1, 1)
    made = made.clone()
    made[:, :, new] += (1 - (far - 1) / HELD).clamp(min=0) * (wanted - mean[:, :, new])
    return made


def jump_of(frames: UInt8[np.ndarray, "t h w 3"], left: int, right: int) -> float:
    """The change over a window's seams, the larger one, against the mean change from latent to latent of what is known
    of it: the first `left` and the last `right` ones. (The two frames of one latent are more alike.)"""
    change = np.abs(np.diff(frames.astype(np.float32), axis=0)).mean((1, 2, 3))
    into, out = TIME * (left - 1), len(change) - TIME * right
    seams = [into] * (left > 0) + [out] * (right > 0)
    known = [*change[:max(0, into):TIME], *change[out + TIME::TIME]]
    return float(change[seams].max() / max(np.mean(known), LEAST))


@torch.no_grad()
def carried_on(pipe: Pipeline, latents: Float[Tensor, "1 c k i j"], left: int, right: int
               ) -> Float[Tensor, "1 c n i j"]:
    """The latents between the first `left` and the last `right` ones as motion alone has them: carried forwards from
    the one side, backwards from the other, and from the one to the other between the two."""
    count = TIME * (latents.shape[2] - left - right) - (left == 0)
    before, after = latents[:, :, :left], latents[:, :, latents.shape[2] - right:]
    start, forwards, backwards = [], None, None
    if left:
        start = list(to_bytes(pipe.autoencoder.decode(before)))
        forwards = carried(start, count)
    if right:
        twice = torch.cat([after[:, :, :1], after], 2)                     # the decoder looks back
        backwards = carried(to_bytes(pipe.autoencoder.decode(twice))[1:][::-1], count)[::-1]
    if left and right:
        share = (np.arange(1, count + 1) / (count + 1))[:, None, None, None]
        forwards = ((1 - share) * forwards + share * backwards).round().astype(np.uint8)
    middle = backwards if forwards is None else forwards
    return encode(pipe, np.stack([*start, *middle]))[:, :, left:]


def carried(frames: UInt8[np.ndarray, "t h w 3"], count: int) -> UInt8[np.ndarray, "count h w 3"]:
    """The frames that follow if each pixel of the last one goes on as it moved."""
    gap = min(TIME, len(frames) - 1)
    last, first = frames[-1], frames[-1 - gap]
    back, forth = optical_flow(last, first), optical_flow(first, last)
    flow = -back / gap
    weight = trust(last, first, back, forth) * (STILL + np.linalg.norm(flow, axis=-1))
    return np.stack([fetch(last, -n * lay(flow, n * flow, weight)[0]) for n in range(1, count + 1)])
