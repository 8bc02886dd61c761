"""Names of people, characters and artists: short lists (`names.cfg`), and the shape that names have.

A given name and a capitalised word after it are read as somebody's name ("Sarah Connolly"), and so are capitalised
words after "in the style of". It is simple on purpose, and misses names in lower case that no list holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sorakit.safety.rules import HIDDEN, pattern_of, read_sections
from sorakit.safety.text import Reading, folded, to_the_end

NAMES = Path(__file__).with_name("names.cfg")
PEOPLE, CHARACTERS, ARTISTS = "real people", "protected characters", "living artists"
STYLE_OF = (r"(?:in the (?:style|manner) of|as (?:painted|drawn) by|(?:painted|drawn|illustrated|directed|designed) by|"
            r"(?:artwork|art|a painting|a drawing|a film) by)")
CAPITALISED = r"[A-Z][\w'’\-]+"
SHAPE = re.compile(rf"\b({CAPITALISED})((?:\s+[A-Z]\.)?(?:\s+(?:von|van|de|da|del|al|bin|la))*\s+({CAPITALISED}))")
STYLED = re.compile(rf"\b{STYLE_OF}\s+({CAPITALISED}(?:\s+{CAPITALISED})+)")
TITLE = (r"(?:Prime Minister|President|Senator|Chancellor|Governor|Mayor|Minister|King|Queen|Prince|Princess|Sir|Dame|"
         r"Lord|Lady|Mr|Mrs|Ms|Dr|Professor)\.?")
TITLES = re.compile(rf"(?:\b{TITLE}\s+)+$")
TITLED = re.compile(rf"\b({TITLE})\s+({CAPITALISED}(?:\s+{CAPITALISED})+)")
DETERMINER = re.compile(r"(?:^|\s)(?:a|an|the)\s+$", re.IGNORECASE)
APPOSITION = re.compile(r"\b(?:my|our|his|her|their)\s+\w+,?\s+$", re.IGNORECASE)
BY = re.compile(rf",?\s*(?:\btrending,\s*)?\b(?:{STYLE_OF}|by)\s+$", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """A name in a prompt, and what may take its place."""

    category: str
    rule: str                         # the name as listed, or "the shape of a name"
    span: tuple[int, int]
    instead: str


class Names:
    """The names of a file."""

    def __init__(self, path: str | Path = NAMES):
        sections = read_sections("names", path)
        self._lists = []
        for section, rules in sections.items():
            category, _, instead = section.partition(": ")
            if category in (PEOPLE, CHARACTERS, ARTISTS):
                self._lists.append((category, instead, pattern_of(rules)))
        self._free = pattern_of(sections["artists of old"])
        self._not = set(" ".join(sections["not surnames"]).split())
        self._given = {name: section.partition(": ")[2] for section, rules in sections.items()
                       if section.startswith("given names") for name in " ".join(rules).split()}

    def hide_free(self, text: str) -> str:
        """A reading's text with the names blotted out that anybody may use, of the same length."""
        return self._free.sub(lambda found: HIDDEN * len(found.group()), text)

    def find(self, prompt: str, readings: tuple[Reading, ...], hide) -> tuple[Named, ...]:
        """Names in a prompt, those that begin first coming first. `hide` blots out what is harmless in a text."""
        found, shown = [], list(prompt)
        for reading in readings:
            text = self.hide_free(hide(reading.text))
            for i, character in enumerate(text):
                if character == HIDDEN:
                    shown[reading.at[i]] = HIDDEN
            for category, instead, pattern in self._lists:
                found += [Named(category, match.group(), reading.span(*match.span()), instead)
                          for match in pattern.finditer(text)]
        shown = "".join(shown)
        found += [Named(ARTISTS, "the shape of a name", match.span(1), "") for match in STYLED.finditer(shown)]
        for match in SHAPE.finditer(shown):
            given = self._given.get(folded(match.group(1)))
            if given and folded(match.group(3)) not in self._not:
                found.append(Named(PEOPLE, "the shape of a name", match.span(), given))
        found += [Named(PEOPLE, "the shape of a name", match.span(2), "somebody") for match in TITLED.finditer(shown)
                  if folded(match.group(2).split()[-1]) not in self._not]
        return _longest(found)


def replaced(prompt: str, names: list[Named]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """The prompt with each name changed for what may take its place, and the changes: (what it was, what it is)."""
    changes, end_of_last = [], len(prompt)
    for name in sorted(names, key=lambda name: name.span, reverse=True):
        start, end = name.span[0], to_the_end(prompt, name.span[1])
        if end > end_of_last:
            continue
        before, after, instead = prompt[:start], prompt[end:], name.instead
        if name.category == ARTISTS:
            by, style = BY.search(before), re.match(r"(?:['’]s)?(?:\s+style)?", after)
            start, end, instead = by.start() if by else start, end + style.end(), ""
        elif name.category == PEOPLE and instead.startswith("a ") and APPOSITION.search(before):
            instead = ""                                                        # "my neighbour" says it already
        elif title := TITLES.search(before):
            start = title.start()
        elif DETERMINER.search(before):
            instead = re.sub(r"^an? ", "", instead)
        changes.append((prompt[start:end].strip(" ,"), instead))
        prompt = prompt[:start] + instead + prompt[end:]
        end_of_last = start
    prompt = re.sub(r"\s+([,.;:!?])", r"\1", re.sub(r"\s{2,}", " ", prompt)).strip(" ,")
    return prompt or "a scene", tuple(reversed(changes))


def _longest(found: list[Named]) -> tuple[Named, ...]:
    kept = []
    for name in sorted(found, key=lambda name: (name.span[0] - name.span[1], name.span)):
        if all(name.span[1] <= other.span[0] or name.span[0] >= other.span[1] for other in kept):
            kept.append(name)
    return tuple(sorted(kept, key=lambda name: name.span))
