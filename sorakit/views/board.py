"""A storyboard as one picture: its cards in time, and what stands on each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from sorakit.prompt.files import open_film, read_image, stream_frames
from sorakit.tools.shot import film_of
from sorakit.tools.storyboard import Card, Storyboard
from sorakit.views.reading import fitting, wrapped
from sorakit.views.sheet import FAINT, INK, WIDTH, font, resized

COLUMNS, TILE, GAP = 4, 228, 16
PICTURE, LINES = 128, 4              # height of a card's picture, and lines of its words
SHOTS = "#bde0fe", "#ffd6a5", "#caffbf", "#ffc8dd"


def board_sheet(board: Storyboard) -> Image.Image:
    """The film's seconds with a number for each card and a colour for each shot; then the cards."""
    rows = [range(k, min(k + COLUMNS, len(board.cards))) for k in range(0, len(board.cards), COLUMNS)]
    y = 92 if board.prompt else 68
    picture = Image.new("RGB", (WIDTH, y + len(rows) * (28 + PICTURE + 20 * LINES + GAP)), "white")
    draw = ImageDraw.Draw(picture)
    timeline(draw, board)
    if board.prompt:
        draw.text((0, 62), fitting(f"with every card: {board.prompt}", WIDTH, 15), FAINT, font())
    for row in rows:
        y = GAP + max(show_card(picture, board, k, (k % COLUMNS * (TILE + GAP), y)) for k in row)
    return picture.crop((0, 0, WIDTH, y))


def timeline(draw: ImageDraw.ImageDraw, board: Storyboard) -> None:
    at = lambda second: 12 + (WIDTH - 24) * min(second, board.seconds) / board.seconds
    shots = board.shots
    for k, (shot, after) in enumerate(zip(shots, [*shots[1:], None])):
        draw.rectangle((at(shot.start), 4, at(after.start if after else board.seconds), 34), colour_of(k))
    for second in range(0, int(board.seconds) + 1, max(1, int(board.seconds) // 12)):
        draw.text((at(second), 48), f"{second} s", FAINT, font(13), "mm")
        draw.line((at(second), 34, at(second), 40), FAINT)
    for k, card in enumerate(board.cards):
        draw.ellipse((at(card.at) - 11, 8, at(card.at) + 11, 30), INK)
        draw.text((at(card.at), 19), str(k + 1), "white", font(13), "mm")


def show_card(picture: Image.Image, board: Storyboard, k: int, corner: tuple[int, int]) -> int:
    """Its number, second and how the film comes to it; what is seen there; its words. Gives where that ends."""
    card, draw, (x, y) = board.cards[k], ImageDraw.Draw(picture), corner
    shot = next(n for n, one in enumerate(board.shots) if card in one.cards)
    draw.rectangle((x, y, x + TILE, y + 24), colour_of(shot))
    draw.text((x + 6, y + 12), f"{k + 1}   {card.at:g} s" + (f", {how_to(board, k)}" if k else ""), INK, font(14), "lm")
    y += 28
    seen = picture_of(card)
    if seen is not None:
        scale = min(TILE / seen.shape[1], PICTURE / seen.shape[0])
        size = max(1, round(scale * seen.shape[1])), max(1, round(scale * seen.shape[0]))
        picture.paste(Image.fromarray(resized(seen, *size, cv2.INTER_AREA)), (x, y))
        y += PICTURE + 4
    words = card.text or ("" if seen is not None else named(card))
    for start, end in wrapped(words, font(14), TILE)[:LINES if seen is not None else LINES + 6]:
        draw.text((x, y), fitting(words[start:end], TILE, 14), INK, font(14))
        y += 20
    return y


def colour_of(shot: int) -> str:
    return SHOTS[shot % len(SHOTS)]


def how_to(board: Storyboard, k: int) -> str:
    """How the film comes to a card: "cut" or "smooth"."""
    return board.cards[k].transition or board.transition


def picture_of(card: Card) -> UInt8[np.ndarray, "h w 3"] | None:
    """What is seen at the card, or None: it has words only, or its file is not there."""
    for given in (card.image, card.video):
        if isinstance(given, (str, Path)) and not Path(given).expanduser().is_file():
            return None
    if card.image is not None:
        return read_image(card.image)
    if isinstance(card.video, (str, Path)):
        return next(iter(stream_frames(open_film(card.video))))
    return None if card.video is None else film_of("video", card.video)[0].frames[0]


def named(card: Card) -> str:
    """What is given with a card, in a word or two: "image ending.png"."""
    kind, given = ("image", card.image) if card.image is not None else ("video", card.video)
    return f"{kind} {Path(given).name}" if isinstance(given, (str, Path)) else f"{kind} ({type(given).__name__})"
