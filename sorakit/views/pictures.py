"""Films, latents and denoising steps as still pictures, which also read in a saved notebook and in print."""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path

import cv2
import mediapy
import numpy as np
import torch
from IPython.display import display
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from sorakit.types import DenoisingStep, Latents, Video


def show_video(video: Video) -> None:
    """A player with the film in it, then its contact sheet as a picture."""
    shown = min(1, 640 / video.width, 480 / video.height)
    with tempfile.TemporaryDirectory() as folder:
        film = video.save(Path(folder) / "film.mp4").read_bytes()
    player = mediapy.html_from_compressed_video(film, round(video.width * shown), round(video.height * shown))
    display({"text/html": player, "text/plain": repr(video)}, raw=True)
    show_picture(Image.fromarray(video.contact_sheet(tile=120)), repr(video))


def show_latents(latents: Latents) -> None:
    show_picture(channels(latents), repr(latents))


def show_picture(picture: Image.Image, text: str) -> None:
    data = io.BytesIO()
    picture.save(data, format="PNG")
    display({"image/png": base64.b64encode(data.getvalue()).decode(), "text/plain": text}, raw=True)


SHOWS = {"Video": show_video, "Latents": show_latents}       # by the names of the types in sorakit.types


def channels(latents: Latents, n: int = 10, tile: int = 60) -> Image.Image:
    """The n channels that vary most, one a column, and the latent frames, one a row: blue below 0, red above."""
    values = latents.values[0].float().cpu()                              # (c, t, h, w)
    chosen = values.flatten(1).var(1).argsort(descending=True)[:n].tolist()
    rows = [[diverging(values[c, t].numpy()) for c in chosen] for t in range(values.shape[1])]
    return grid(rows, [f"channel {c}" for c in chosen], tile, cv2.INTER_NEAREST)


@torch.no_grad()
def denoising(steps: list[DenoisingStep], autoencoder, n: int = 6, tile: int = 100) -> Image.Image:
    """The middle frame, decoded, at n of the steps: above what went in (x_t), below what it points to (x0)."""
    chosen = [steps[i] for i in np.linspace(0, len(steps) - 1, min(n, len(steps))).round().astype(int)]

    def middle(latents):
        frames = autoencoder.decode(latents)[0]                           # (3, t, h, w)
        frame = frames[:, frames.shape[1] // 2].float().cpu().clamp(-1, 1).permute(1, 2, 0)
        return ((frame + 1) * 127.5).byte().numpy()

    rows = [[middle(step.x) for step in chosen], [middle(step.x0) for step in chosen]]
    return grid(rows, [f"t = {step.t:.2f}" for step in chosen], tile, cv2.INTER_CUBIC)


def diverging(values: Float[np.ndarray, "h w"], limit: float = 2.5) -> UInt8[np.ndarray, "h w 3"]:
    """White at 0, blue at -limit, red at limit."""
    x = np.clip(values / limit, -1, 1)[..., None]
    red, blue = np.array([178, 24, 43]), np.array([33, 102, 172])
    return (255 + np.abs(x) * (np.where(x > 0, red, blue) - 255)).round().astype(np.uint8)


def grid(rows: list[list[np.ndarray]], titles: list[str], tile: int, method: int, gap: int = 6) -> Image.Image:
    """Pictures in rows, each `tile` pixels high, with a title above each column."""
    height, width = rows[0][0].shape[:2]
    size = (round(tile * width / height), tile)
    head = 20
    sheet = Image.new("RGB", (len(rows[0]) * (size[0] + gap) - gap, head + len(rows) * (tile + gap) - gap), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, title in enumerate(titles):
        draw.text((column * (size[0] + gap) + size[0] / 2, head / 2), title, fill="#444", font=font, anchor="mm")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            picture = cv2.resize(picture, size, interpolation=method)
            sheet.paste(Image.fromarray(picture), (x * (size[0] + gap), head + y * (tile + gap)))
    return sheet
