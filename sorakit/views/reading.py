"""A brief as one picture: the prompt with its roles, what is drawn of each, and the tokens that the model reads."""

from __future__ import annotations

import re

from PIL import Image, ImageDraw

from sorakit.prompt.reader import LIKE
from sorakit.types import Asked, Brief, Element
from sorakit.views.displays import ROLE_COLOURS
from sorakit.views.sheet import FAINT, INK, WIDTH, font

ROWS = 12                        # elements in the table; more are counted
BAR = 70                         # pixels of a bar at 100%
COLUMNS = 0, 96, 420, 510, 650   # left edges: role, words, characters, how sure, what is drawn
DRAWN, STANDS_IN, FAR = "#2a9d8f", "#b8860b", "#d1495b"


def reading(brief: Brief, reach: int = 48) -> Image.Image:
    """The prompt with its roles in colour; a row for each element with its characters, how sure the reader is, and what
    is drawn of it; notes; and the tokens, of which the text encoder reads the first `reach`."""
    page = Page()
    page.prompt(brief)
    things = sorted((*brief.subjects, *brief.elements), key=lambda thing: thing.span)
    if things:
        page.head("", "words", "characters", "how sure", "what is drawn")
    for thing in things[:ROWS]:
        page.row(thing)
    if len(things) > ROWS:
        page.line(f"and {len(things) - ROWS} more", FAINT)
    page.gap(8)
    if brief.relations:
        page.line("together: " + "; ".join(map(str, brief.relations)))
    if brief.said:
        page.line(f"read as: {brief.said}")
    for note in brief.notes:
        page.line(f"• {note}", STANDS_IN)
    page.tokens(brief.tokens, reach)
    return page.picture.crop((0, 0, WIDTH, page.y + 6))


class Page:
    """A picture that is written from the top; `y` is where the next line goes."""

    def __init__(self):
        self.picture = Image.new("RGB", (WIDTH, 3000), "white")
        self.draw, self.y = ImageDraw.Draw(self.picture), 6

    def gap(self, pixels: int) -> None:
        self.y += pixels

    def line(self, text: str, colour: str = INK, size: int = 15) -> None:
        """A text, over several lines if it is long."""
        for start, end in wrapped(text, font(size), WIDTH):
            self.draw.text((0, self.y), text[start:end], colour, font(size))
            self.y += size + 8

    def prompt(self, brief: Brief) -> None:
        """Each marked part on its role's colour, and the role's name below where it begins."""
        text, big, small = brief.prompt, font(21), font(12)
        marks = chosen_marks(brief)
        for start, end in wrapped(text, big, WIDTH - 8):
            x = lambda at, start=start: 4 + big.getlength(text[start:at])
            for first, last, role in marks:
                left, right = max(first, start), min(last, end)
                if left < right:
                    box = (x(left) - 4, self.y, x(right) + 4, self.y + 30)
                    self.draw.rounded_rectangle(box, 5, ROLE_COLOURS[role])
                    if left == first:
                        self.draw.text((x(left) - 2, self.y + 31), role, FAINT, small)
            self.draw.text((4, self.y + 2), text[start:end], INK, big)
            self.y += 52
        self.gap(4)

    def head(self, *titles: str) -> None:
        for x, title in zip(COLUMNS, titles):
            self.draw.text((x, self.y), title, FAINT, font(13))
        self.y += 22

    def row(self, thing: Asked | Element) -> None:
        y = self.y
        self.draw.rounded_rectangle((0, y, 84, y + 20), 4, ROLE_COLOURS[thing.role])
        self.draw.text((42, y + 10), thing.role, INK, font(13), "mm")
        self.draw.text((COLUMNS[1], y), fitting(thing.name, 310, 15), INK, font())
        self.draw.text((COLUMNS[2], y), f"{thing.span[0]}-{thing.span[1]}", FAINT, font(14))
        self.bar(COLUMNS[3], thing.confidence, "#3b528b", f"{thing.confidence:.0%}")
        nearest = thing.nearest
        if nearest is None:
            why = "nothing: it is to stay away" if thing.role == "negation" else "nothing like it"
            self.draw.text((COLUMNS[4], y), why, FAINT, font(14))
        elif nearest.drawn:
            self.bar(COLUMNS[4], nearest.similarity, DRAWN, nearest.name)
        elif nearest.similarity >= LIKE:
            self.bar(COLUMNS[4], nearest.similarity, STANDS_IN, f"{nearest.name} stands in, {nearest.similarity:.2f}")
        else:
            self.bar(COLUMNS[4], nearest.similarity, FAR, f"not drawn; {nearest.name}, {nearest.similarity:.2f}")
        self.y += 24
        details = said_of(thing)
        if details:
            self.draw.text((COLUMNS[1], self.y - 2), fitting(details, WIDTH - COLUMNS[1], 13), FAINT, font(13))
            self.y += 20

    def bar(self, x: int, share: float, colour: str, text: str) -> None:
        self.draw.rectangle((x, self.y + 4, x + BAR, self.y + 16), "#eeeeee")
        self.draw.rectangle((x, self.y + 4, x + round(BAR * max(0.0, share)), self.y + 16), colour)
        self.draw.text((x + BAR + 8, self.y), text, INK, font(14))

    def tokens(self, tokens: tuple[str, ...], reach: int) -> None:
        """A box for each token; those beyond the text encoder's reach are pale, those that it does not know red."""
        self.gap(6)
        self.line(f"{len(tokens)} tokens, as the model reads them", FAINT, 13)
        x = 0
        for k, token in enumerate(tokens):
            width = round(font(14).getlength(token)) + 10
            if x + width > WIDTH:
                x, self.y = 0, self.y + 27
            colour = "#d1495b" if token == "[UNK]" else INK if k < reach else "#bbbbbb"
            self.draw.rounded_rectangle((x, self.y, x + width - 1, self.y + 22), 4, "#f6f6f6", "#d8d8d8")
            self.draw.text((x + 5, self.y + 2), token, colour, font(14))
            x += width + 4
        self.y += 26


def said_of(thing: Asked | Element) -> str:
    """What a subject is like and does, in a line; of other elements nothing."""
    if thing.role != "subject":
        return ""
    count = "" if thing.count == 1 else "many" if thing.count is None else str(thing.count)
    action = ", ".join(thing.actions) + (f" to the {thing.direction}" if thing.direction in ("left", "right") else
                                         f" {thing.direction}" if thing.direction else "")
    near = thing.nearest_action
    drawn = f" (drawn: {near.name})" if near and near.name != thing.action else ""
    parts = {"how many": count, "colour": thing.colour, "is": ", ".join(thing.attributes), "does": action + drawn}
    return "   ".join(f"{name}: {what}" for name, what in parts.items() if what)


def chosen_marks(brief: Brief) -> list[tuple[int, int, str]]:
    """(first character, one past the last, role), in order; of two that overlap the one that begins first stays."""
    marks, at = [], 0
    for thing in sorted((*brief.subjects, *brief.elements), key=lambda thing: (thing.span[0], -thing.span[1])):
        if thing.span[0] >= at:
            marks.append((*thing.span, thing.role))
            at = thing.span[1]
    return marks


def wrapped(text: str, kind, width: float) -> list[tuple[int, int]]:
    """Where lines of at most this many pixels begin and end; a word that is longer than a line is a line."""
    lines, start, end = [], 0, 0
    for match in re.finditer(r"\S+", text):
        if end > start and kind.getlength(text[start:match.end()]) > width:
            lines.append((start, end))
            start = match.start()
        end = match.end()
    return [*lines, (start, end)]


def fitting(text: str, width: float, size: int) -> str:
    """As much of a text as fits into so many pixels."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
