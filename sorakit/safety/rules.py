"""Rules on words. `rules.cfg` lists them by category and says how they are written."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from pathlib import Path

from sorakit.safety.text import Reading, folded

RULES = Path(__file__).with_name("rules.cfg")
HIDDEN = "·"                                   # stands where harmless words stood; no rule matches it


@dataclass(frozen=True)
class Hit:
    """A rule that matched: the text of the rule, and the characters of the prompt that it matched."""

    category: str
    rule: str
    spans: tuple[tuple[int, int], ...]         # first and one past the last; one for each side of a "&"


class Rules:
    """The rules of a file.

    Attributes:
        categories: category: its rules as written, in the file's order.
        harmless: what is taken out first.
    """

    def __init__(self, sections: dict[str, tuple[str, ...]]):
        self.harmless = sections.get("harmless", ())
        self.categories = {name: rules for name, rules in sections.items()
                           if name != "harmless" and not name.startswith("set ")}
        self._sets = {name.removeprefix("set "): rules for name, rules in sections.items() if name != "harmless"}
        self._hide = pattern_of(self.harmless)
        self._simple, self._pairs = {}, {}
        for name, rules in self.categories.items():
            self._simple[name] = pattern_of([rule for rule in rules if "&" not in rule])
            self._pairs[name] = [(rule, [self._side(side.strip()) for side in rule.split("&")])
                                 for rule in rules if "&" in rule]

    @classmethod
    def read(cls, path: str | Path = RULES) -> Rules:
        """Raises ValueError for a file of another form, FileNotFoundError for none."""
        sections = read_sections("rules", path)
        if not any(not name.startswith("set ") and name != "harmless" for name in sections):
            raise ValueError(f"rules={str(path)!r} has no category of rules")
        return cls(sections)

    def hide(self, text: str) -> str:
        """A reading's text with what is harmless in it blotted out, of the same length."""
        return self._hide.sub(lambda found: HIDDEN * len(found.group()), text)

    def hits(self, readings: tuple[Reading, ...]) -> tuple[Hit, ...]:
        """Every rule that stands in one of the readings of a prompt; of rules that overlap, the longer."""
        found = {}
        for reading in readings:
            text = self.hide(reading.text)
            for category, simple in self._simple.items():
                for match in simple.finditer(text):
                    spans = (reading.span(*match.span()),)
                    found.setdefault((category, spans), Hit(category, match.group(), spans))
                for rule, sides in self._pairs[category]:
                    matches = [side.search(text) for side in sides]
                    if all(matches):
                        spans = tuple(sorted({reading.span(*match.span()) for match in matches}))
                        found.setdefault((category, spans), Hit(category, rule, spans))
        return tuple(found.values())

    def _side(self, side: str) -> re.Pattern:
        if side.startswith("{"):
            name = side.strip("{}")
            if name not in self._sets:
                raise ValueError(f"rules name the set {side}, which is not one of {', '.join(self._sets)}")
            return pattern_of([rule for rule in self._sets[name] if "&" not in rule])
        return pattern_of([side])


def pattern_of(rules) -> re.Pattern:
    """One expression that finds any of the rules as whole words, the longest first."""
    phrases = sorted({_phrase(rule) for rule in rules}, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(phrases)})(?!\w)" if phrases else r"(?!)")


def read_sections(name: str, path: str | Path) -> dict[str, tuple[str, ...]]:
    """The lines of each section of a file. Raises ValueError, naming the argument `name`, for another form."""
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=("=",), interpolation=None)
    try:
        parser.read_string(Path(path).read_text(encoding="utf-8"), source=str(path))
    except configparser.Error as error:
        raise ValueError(f"{name}={str(path)!r} cannot be read: {error}") from error
    sections = {section: tuple(parser[section]) for section in parser.sections()}
    if not sections or not all(sections.values()):
        raise ValueError(f"{name}={str(path)!r} has a section without lines, or none at all")
    return sections


def _phrase(rule: str) -> str:
    return " ".join(re.escape(folded(word)) + (r"\w*" if word.endswith("*") else "") for word in rule.split())
