"""Stage 1: reads a request, a prompt and perhaps a first picture, into a `Brief`."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from sorakit.prompt.words import Words
from sorakit.types import Brief

MAX_CHARACTERS = 2000
UNKNOWN = "[UNK]"


class Reader:
    """Prompt in, `Brief` out: plain characters, single spaces, and the tokens that the model will read."""

    def __init__(self, words: Words):
        self.words = words

    def __call__(self, prompt: str, *, negative: str = "", image=None) -> Brief:
        """image is the film's first frame: a path, a PIL image or a `(h, w, 3)` uint8 array.

        Raises ValueError for a prompt that is empty, too long or has no word that the model knows.
        """
        prompt, negative = plain("prompt", prompt), plain("negative", negative)
        if not prompt:
            raise ValueError("prompt is empty; say what the film should show: 'a golden retriever in a field'")
        tokens = tuple(token for token, _, _ in self.words.tokens(prompt))
        if not any(token != UNKNOWN and token.strip("#").isalnum() for token in tokens):
            raise ValueError(f"prompt={shortened(prompt)!r} has no word that the model knows; it reads English")
        return Brief(prompt, negative, tokens, None if image is None else read_image(image))


def plain(name: str, text: str) -> str:
    """One form for each character (NFKC), nothing invisible, single spaces."""
    if not isinstance(text, str):
        raise ValueError(f"{name} is of type {type(text).__name__}; it takes a string")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{name} has {len(text):,} characters; it takes up to {MAX_CHARACTERS:,}")
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")).strip()


def read_image(image) -> UInt8[np.ndarray, "h w 3"]:
    """A path, PIL image or array as upright RGB. Raises ValueError for anything else, FileNotFoundError for no file."""
    if isinstance(image, (str, Path)):
        try:
            image = Image.open(image)
            image.load()
        except (UnidentifiedImageError, IsADirectoryError) as error:
            raise ValueError(f"image={str(image)!r} is not a picture that Pillow can read") from error
    if isinstance(image, Image.Image):
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[-1] == 3:
        return image
    got = f"{image.dtype} array of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise ValueError(f"image is a {got}; it takes a path, a PIL image or a uint8 array (h, w, 3)")


def shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most - 1] + "…"
