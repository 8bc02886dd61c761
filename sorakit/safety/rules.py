"""Rules on words: `rules.cfg` lists whole words and phrases by category."""

from __future__ import annotations

import configparser
import re
import unicodedata
from pathlib import Path

RULES = Path(__file__).with_name("rules.cfg")


def read_rules(path: str | Path = RULES) -> dict[str, tuple[str, ...]]:
    """Each category with its rules. Raises ValueError for a file of another form, FileNotFoundError for none."""
    parser = configparser.ConfigParser(allow_no_value=True, delimiters=("=",), interpolation=None)
    try:
        parser.read_string(Path(path).read_text(encoding="utf-8"), source=str(path))
    except configparser.Error as error:
        raise ValueError(f"rules={str(path)!r} cannot be read: {error}") from error
    rules = {category: tuple(folded(rule) for rule in parser[category]) for category in parser.sections()}
    if not rules or not all(rules.values()):
        raise ValueError(f"rules={str(path)!r} has a category without rules, or none at all")
    return rules


def matches(text: str, rules: tuple[str, ...]) -> tuple[str, ...]:
    """The rules that stand in the text as whole words; of two that overlap, the longer one."""
    pattern = "|".join(re.escape(rule) for rule in sorted(rules, key=len, reverse=True))
    return tuple(dict.fromkeys(re.findall(rf"(?<!\w)(?:{pattern})(?!\w)", folded(text))))


def folded(text: str) -> str:
    """Lower case, without accents, single spaces: 'Beyoncé' is 'beyonce'."""
    text = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join(text.split())
