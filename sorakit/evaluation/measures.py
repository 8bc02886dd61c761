"""How good a film looks, whatever was asked: flicker, warping, consistency, motion, and how near it is to other films.

Definitions follow VBench (Huang et al. 2024, arXiv:2311.17982) where it has the dimension; what differs is said. All
but the last three look at pixels alone; frames are `(t, h, w, 3)` uint8 at the size that the models draw.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, UInt8

WORN = 0.01              # of the squared motion, plus half a squared pixel: how far there and back may miss


def flicker(frames: UInt8[np.ndarray, "t h w 3"]) -> float:
    """Mean absolute difference of successive frames, from 0 to 1: 1 minus VBench's temporal flickering.

    What moves differs too; so VBench takes films that are asked to stand still, and a report compares with renders
    of the same scenes. Raises ValueError for less than two frames.
    """
    _check(frames, 2)
    return float(np.abs(np.diff(frames.astype(np.float32), axis=0)).mean() / 255)


def warping_error(frames: UInt8[np.ndarray, "t h w 3"], flow: Float[np.ndarray, "t1 h w 2"] | None = None) -> float:
    """Root mean square difference, from 0 to 1, of each frame and the next one moved back onto it along the flow.

    Following Lai et al. 2018 (arXiv:1808.00449), where pixels that the flow there and back does not bring home are
    left out as hidden. flow is the exact one to the next frame in pixels, where there is one (`Clip.flow`; nothing
    but what leaves the frame is then left out); otherwise it is estimated. Raises ValueError for less than two
    frames, or flow of another shape.
    """
    import cv2

    _check(frames, 2)
    if flow is not None and flow.shape != (len(frames) - 1, *frames.shape[1:3], 2):
        raise ValueError(f"flow has shape {flow.shape}; for frames of shape {frames.shape} it takes "
                         f"{(len(frames) - 1, *frames.shape[1:3], 2)}")
    estimate = optical_flow(frames) if flow is None else flow
    back = optical_flow(frames[::-1])[::-1] if flow is None else None
    height, width = frames.shape[1:3]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    errors = []
    for k, step in enumerate(estimate.astype(np.float32)):
        to_x, to_y = x + step[..., 0], y + step[..., 1]
        moved = lambda image, to_x=to_x, to_y=to_y: cv2.remap(image, to_x, to_y, cv2.INTER_LINEAR,
                                                              borderMode=cv2.BORDER_REPLICATE)
        seen = (to_x >= 0) & (to_x <= width - 1) & (to_y >= 0) & (to_y <= height - 1)
        if back is not None:
            home = moved(np.ascontiguousarray(back[k]))
            size = np.square(step).sum(-1) + np.square(home).sum(-1)
            seen &= np.square(step + home).sum(-1) < WORN * size + 0.5
        difference = moved(frames[k + 1]).astype(np.float32) - frames[k]
        errors.append(np.square(difference[seen]).mean() if seen.any() else np.nan)
    return float(np.sqrt(np.nanmean(errors)) / 255) if np.isfinite(errors).any() else float("nan")


def motion_magnitude(frames: UInt8[np.ndarray, "t h w 3"], fps: float,
                     flow: Float[np.ndarray, "t1 h w 2"] | None = None) -> float:
    """Mean length of the flow in frame heights a second; 0 for a still image."""
    _check(frames, 2)
    flow = optical_flow(frames) if flow is None else flow
    return float(np.linalg.norm(flow, axis=-1).mean() * fps / frames.shape[1])


def is_dynamic(frames: UInt8[np.ndarray, "t h w 3"], fps: float,
               flow: Float[np.ndarray, "t1 h w 2"] | None = None) -> bool:
    """VBench's dynamic degree of one film, with DIS flow in RAFT's place.

    In a quarter of the steps (of 8 a second), the twentieth of the pixels that move most moves by more than 6 pixels
    of a frame 256 high; the share of films for which this is so is the dynamic degree.
    """
    _check(frames, 2)
    every = max(1, round(fps / 8))
    if every > 1 or flow is None:
        flow = optical_flow(frames[::every]) if len(frames[::every]) > 1 else optical_flow(frames)
    lengths = np.sort(np.linalg.norm(flow, axis=-1).reshape(len(flow), -1), 1)
    most = lengths[:, -max(1, int(lengths.shape[1] * 0.05)):].mean(1)
    return bool((most > 6 * min(frames.shape[1:3]) / 256).sum() >= round(4 * (len(flow) + 1) / 16))


def subject_consistency(vectors: Float[np.ndarray, "t d"]) -> float:
    """How alike the frames' subjects stay, at most 1: each frame's cosine with the first and with the one before.

    VBench's subject consistency with the referee's features in DINO's place (`Referee.remember(...).subject`).
    Raises ValueError for less than two frames.
    """
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(f"vectors has shape {vectors.shape}; it takes (t, d) with two frames or more")
    unit = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)
    return float(((unit[1:] @ unit[0]) + (unit[1:] * unit[:-1]).sum(1)).mean() / 2)


def frechet_distance(films: Float[np.ndarray, "n d"], others: Float[np.ndarray, "m d"]) -> float:
    """Fréchet distance of two sets of features, as if both were Gaussian (Heusel et al. 2017, arXiv:1706.08500; of
    films, Unterthiner et al. 2018, arXiv:1812.01717), here in the referee's features (`Referee.remember(...).film`).

    Few films look farther away than many: compare only sets of the same sizes. Raises ValueError for less than two
    films, or features of different sizes.
    """
    if films.ndim != 2 or others.ndim != 2 or min(len(films), len(others)) < 2 or films.shape[1] != others.shape[1]:
        raise ValueError(f"films and others have shapes {films.shape} and {others.shape}; they take (n, d) and (m, d) "
                         "with two films or more each")
    films, others = films.astype(np.float64), others.astype(np.float64)
    first, second = np.cov(films, rowvar=False), np.cov(others, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = vectors * np.sqrt(values.clip(0)) @ vectors.T
    both = np.sqrt(np.linalg.eigvalsh(root @ second @ root).clip(0)).sum()    # trace of the root of first @ second
    return float(np.square(films.mean(0) - others.mean(0)).sum() + np.trace(first) + np.trace(second) - 2 * both)


def nearest_neighbours(films: Float[np.ndarray, "n d"], training: Float[np.ndarray, "m d"]
                       ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """How far each film is from the training clip that is most like it (1 - cosine of features), and which that is.

    A model that recites lies nearer than renders that it never saw do; a copy has a distance of 0.
    """
    unit = lambda vectors: vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1e-9)
    alike = unit(films) @ unit(training).T
    nearest = alike.argmax(1)
    return 1 - alike[np.arange(len(films)), nearest], nearest


def optical_flow(frames: UInt8[np.ndarray, "t h w 3"]) -> Float[np.ndarray, "t1 h w 2"]:
    """Flow to the next frame in pixels, (dx, dy), by dense inverse search (Kroeger et al. 2016, arXiv:1603.03590)."""
    import cv2

    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)                                           # the films are small
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    return np.stack([search.calc(now, then, None) for now, then in zip(grey, grey[1:])])


def _check(frames, least: int) -> None:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or len(frames) < least:
        raise ValueError(f"frames is {frames.dtype} {frames.shape}; it takes uint8 (t, h, w, 3) with {least} frames "
                         "or more")
