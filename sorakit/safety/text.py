"""Text as a careful reader sees it: without the disguises in which words slip past a list.

A text has one plain reading, and more where it holds digits among letters ("n00d"), spelled-out words ("n u d e") or
drawn-out ones ("nuuude"). Each keeps where in the original its characters stand.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Letters of other scripts that look like Latin ones (a short list after Unicode's confusables, UTS 39).
LOOKALIKES = str.maketrans(
    "абвгԁеёһіїјкӏмнорԛѕтуѵԝхүɑɡɩıαβγεζηικνορτυχωϲϳѡʀɴʟᴀᴇɪᴏᴜꜱɛƽʙᴅᴛс",
    "abbrdeehiijkimhopqstyvwxyagiiabyeznikvoptuxwcjwrnlaeious" "esbdtc")
LEET = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "!": "i",
        "|": "i", "+": "t", "€": "e", "£": "l"}
SYMBOLS = "@$!|+€£"
UNSEEN = ("Mn", "Me", "Cf")                              # accents that stand alone, marks around, invisible characters
SPELLED = re.compile(r"(?<!\w)\w(?:[ .\-_*|,/~]\w){2,}(?!\w)")           # n u d e, n.u.d.e
CUT = re.compile(r"(?<=[a-z])[.\-_*|~'^](?=[a-z])")                       # nu-de, nu.de
DRAWN_OUT = re.compile(r"([a-z])\1{2,}")                                   # nuuude
LEET_WORD = re.compile(rf"[\w{re.escape(SYMBOLS)}]*[a-z][\w{re.escape(SYMBOLS)}]*")


@dataclass(frozen=True)
class Reading:
    """Lower-case words with single spaces between them, and for each character its place in the original."""

    text: str
    at: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Characters of the original, first and one past the last, that text[start:end] stands for."""
        return self.at[start], self.at[end - 1] + 1


def folded(text: str) -> str:
    """Lower case, without accents, punctuation or disguised letters, single spaces: 'Beyoncé!' is 'beyonce'."""
    return _spaced(_letters(text)).text


def readings(text: str) -> tuple[Reading, ...]:
    """Every way to read a text, the plain one first; most texts have only that one."""
    letters = _letters(text)
    ways = {}
    for pairs in (letters, _leet(letters, "i"), _leet(letters, "l")):
        for joined in (pairs, *(_without(CUT, _joined(pairs, skip, spaces)) for skip in (0, 1)
                                for spaces in (True, False))):
            for squeezed in (joined, _squeezed(joined, 1), _squeezed(joined, 2)):
                reading = _spaced(squeezed)
                ways.setdefault(reading.text, reading)
    return tuple(ways.values())


def to_the_end(text: str, end: int) -> int:
    """Where a piece of a text that ends there really ends: accents that follow belong to it."""
    while end < len(text) and unicodedata.category(text[end]) in UNSEEN:
        end += 1
    return end


def _letters(text: str) -> list[tuple[str, int]]:
    """Plain lower-case characters, each with its place; accents and invisible characters are left out."""
    return [(plain.translate(LOOKALIKES), place) for place, character in enumerate(text)
            for plain in unicodedata.normalize("NFKD", character.casefold())
            if unicodedata.category(plain) not in UNSEEN]


def _spaced(pairs: list[tuple[str, int]]) -> Reading:
    kept = []
    for character, place in pairs:
        if character.isalnum():
            kept.append((character, place))
        elif kept and kept[-1][0] != " ":
            kept.append((" ", place))
    if kept and kept[-1][0] == " ":
        kept.pop()
    return Reading("".join(c for c, _ in kept), tuple(place for _, place in kept))


def _leet(pairs, one: str):
    """Digits and signs read as the letters that they look like, in words that also hold letters."""
    text, out = _text(pairs), list(pairs)
    for word in LEET_WORD.finditer(text):
        for i in range(*word.span()):
            at_the_end = text[i] in "!|+" and i + 1 == word.end()               # "sunset!" is no "sunseti"
            if text[i] in LEET and not at_the_end:
                out[i] = (one if text[i] in "1|!" else LEET[text[i]], pairs[i][1])
    return out


def _joined(pairs, skip: int, spaces: bool):
    """Spelled-out words put together, from their first letter or from their second ('a n u d e' is 'a nude'). Without
    `spaces` these part the words, and only other signs go: 't.w.o n.u.d.e'."""
    text, drop = _text(pairs), set()
    for run in SPELLED.finditer(text):
        first = run.start() + 2 * skip
        drop |= {i for i in range(first, run.end()) if not text[i].isalnum() and (spaces or text[i] != " ")}
    return [pair for i, pair in enumerate(pairs) if i not in drop]


def _without(pattern, pairs):
    drop = {i for found in pattern.finditer(_text(pairs)) for i in range(*found.span())}
    return [pair for i, pair in enumerate(pairs) if i not in drop]


def _squeezed(pairs, keep: int):
    """Letters that stand three times or more in a row, once or twice."""
    drop = {i for run in DRAWN_OUT.finditer(_text(pairs)) for i in range(run.start() + keep, run.end())}
    return [pair for i, pair in enumerate(pairs) if i not in drop]


def _text(pairs) -> str:
    return "".join(c for c, _ in pairs)
