"""What the models learn from: clips of the drawn world, rendered once into shards of a folder.

Clip i of a data seed is always the same clip, wherever and by however many workers it is drawn.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from ..types import NATIVE_FPS, NATIVE_SIZES
from ..whole import whole
from ..world.captions import caption
from ..world.render import render
from ..world.scene import Scene, sample

SECONDS = 2.0                                                            # 17 frames
SHARD = 50                                                               # clips in a shard
CAPTIONS = 4                                                             # different captions of each clip
_BUCKETS = ("16:9", "9:16", "16:9", "1:1", "16:9", "16:9")               # of shards, in turn


def scene_of(seed: int, index: int) -> Scene:
    """Clip `index` of a data seed."""
    return sample(np.random.default_rng([seed, index]))


def captions_of(scene: Scene, seed: int, index: int) -> list[str]:
    rng = np.random.default_rng([seed, index, 1])
    return [caption(scene, rng) for _ in range(CAPTIONS)]


def render_shards(folder: str | Path, clips: int, *, seed: int = 0, workers: int = 1, quiet: bool = False,
                  stills: bool = False) -> list[Path]:
    """Draw clips 0 .. clips - 1 of a data seed into a folder; shards that are there already are kept.

    Shard k is `seed-k.npz` with frames (50, 17, h, w, 3) uint8, masks (packed bits of (50, 17, h, w), True on
    subjects) and the scenes as a JSON list. With stills, of each clip its first frame alone: `stills-seed-k.npz`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    name = f"stills-{seed}" if stills else f"{seed}"
    paths = [folder / f"{name}-{k:05d}.npz" for k in range(-(-clips // SHARD))]
    jobs = [(path, seed, k, 0.0 if stills else SECONDS) for k, path in enumerate(paths) if not path.exists()]
    workers = min(workers, len(jobs))
    pool = multiprocessing.get_context("spawn").Pool(workers) if workers > 1 else contextlib.nullcontext()
    with pool:
        done = pool.imap_unordered(_render_shard, jobs) if workers > 1 else map(_render_shard, jobs)
        for _ in tqdm(done, total=len(jobs), desc="drawing", unit="shard", disable=quiet or not jobs):
            pass
    return paths


def _render_shard(job) -> None:
    path, seed, k, seconds = job
    cv2.setNumThreads(1)  # workers are the parallelism
    height, width = NATIVE_SIZES[_BUCKETS[k % len(_BUCKETS)]]
    clips, scenes = [], []
    for index in range(k * SHARD, (k + 1) * SHARD):
        scene = scene_of(seed, index)
        clips.append(render(scene, height, width, seconds, NATIVE_FPS))
        scenes.append(scene.to_json())
    with whole(path) as beside:
        np.savez(beside, frames=np.stack([clip.frames for clip in clips]),
                 masks=np.packbits(np.stack([clip.subject_mask for clip in clips]), -1), scenes=json.dumps(scenes))


def load_shard(path: Path) -> tuple[np.ndarray, np.ndarray, list[Scene]]:
    """Frames (n, t, h, w, 3) uint8, subject masks (n, t, h, w) bool and the scenes of a rendered shard."""
    with np.load(path) as file:
        return file["frames"], load_masks(path), load_scenes(path)


def load_scenes(path: Path) -> list[Scene]:
    """The scenes alone."""
    with np.load(path) as file:
        return [Scene.from_json(text) for text in json.loads(str(file["scenes"]))]


def load_masks(path: Path) -> np.ndarray:
    """The subject masks alone. Widths are multiples of 8, as whole bytes are kept."""
    with np.load(path) as file:
        return np.unpackbits(file["masks"], -1).astype(bool)
