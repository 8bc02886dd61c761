"""How the lessons show frames: small JPEGs, which keep the notebooks light."""

from __future__ import annotations

import io

import cv2
import numpy as np
import torch
from IPython.display import Image
from jaxtyping import Float, UInt8

from sorakit.views.sheet import sheet


def show(rows, titles=(), labels=()) -> Image:
    """Frames in rows, with a title above each column and a label left of each row.

    A frame is a float tensor (3, h, w) in [-1, 1] or a uint8 array (h, w, 3).
    """
    rows = [[to_pixels(frame) for frame in row] for row in rows]
    data = io.BytesIO()
    sheet(rows, [[str(title) for title in titles]], labels, method=cv2.INTER_CUBIC).save(data, "JPEG", quality=85)
    return Image(data.getvalue(), format="jpeg")


def to_pixels(frame) -> UInt8[np.ndarray, "h w 3"]:
    if isinstance(frame, np.ndarray):
        return frame
    return ((frame.detach().float().cpu().clamp(-1, 1).permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()


def to_tensor(frames: UInt8[np.ndarray, "t h w 3"]) -> Float[torch.Tensor, "1 3 t h w"]:
    """Frames as the models take them, in [-1, 1]."""
    return torch.from_numpy(frames).permute(3, 0, 1, 2)[None] / 127.5 - 1
