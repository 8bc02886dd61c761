"""Faces in pictures, by a cascade of local binary patterns (Viola & Jones 2001; Liao et al. 2007).

It ships with scikit-image, looks at frontal, upright faces of photographs, and misses many others: turned, covered,
drawn or small ones. That is a first guard, not a promise.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np
from jaxtyping import UInt8

LONGEST = 320                                  # pixels that are looked at, of the longer side
SMALLEST = 0.12                                # of a face, in parts of the shorter side
AGREEING, SURELY, ALONE = 4, 6, 9              # windows about a face that must find it: 4 finds some in drawn meadows


def find_faces(image: UInt8[np.ndarray, "h w 3"], agreeing: int = AGREEING) -> tuple[tuple[int, int, int, int], ...]:
    """Boxes of faces: (left, top, width, height) in pixels. Raises ImportError without scikit-image."""
    height, width = image.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = (max(32, round(width * scale)), max(32, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    least = max(24, round(SMALLEST * min(size)))
    boxes = _cascade().detect_multi_scale(img=small, scale_factor=1.15, step_ratio=1.3, min_size=(least, least),
                                          max_size=(min(size), min(size)), min_neighbor_number=agreeing)
    return tuple((round(box["c"] / scale), round(box["r"] / scale), round(box["width"] / scale),
                  round(box["height"] / scale)) for box in boxes)


@functools.lru_cache(maxsize=1)
def _cascade():
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade
    return Cascade(lbp_frontal_face_cascade_filename())
