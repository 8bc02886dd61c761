"""What the models can draw, and which of it lies nearest to a word that they have not seen."""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np
from jaxtyping import Float

from sorakit.prompt.lexicon import CLOTHES, MOODS, PLACES
from sorakit.prompt.words import Words
from sorakit.types import Nearest
from sorakit.world import captions

SAME = 0.97           # cosine from which two phrases are the same thing said twice
WORN = 0.35           # cosine to a word for clothes from which a word is one, too
LIKE_PEOPLE = 0.5     # least cosine to a word for people of a word for people
PEOPLE = {"man": "man boy guy gentleman grandfather father knight wizard chef fisherman cowboy samurai monk farmer "
                 "waiter detective firefighter blacksmith surfer musician soldier person people someone",
          "woman": "woman girl lady grandmother mother queen princess witch nurse bride",
          "child": "child kid baby toddler boy girl", "dancer": "dancer ballerina skater gymnast"}
THINGS = (
    "dog cat horse bird fish animal insect person man woman child robot car bicycle train boat plane truck toy "
    "ball book cup bowl plate lamp chair sofa table desk bed window door umbrella hat dress shoe sword spell tree "
    "flower rose leaf petal fire flame smoke light spark cloud stone rock rope web paper camera phone laptop "
    "guitar piano violin food cake pizza soup noodle bread fruit candle clock mirror painting statue flag kite "
    "balloon rocket alien monster dragon ghost bottle vase box bag bench fence wall chimney sign billboard "
    "traffic crowd army net branch nose head hand shoulder wave water puddle mud dust snowman bicycle skateboard "
    "swing curtain carpet map fern bush hedge coral vine moss mushroom farmer teacher soldier sailor doctor baker "
    "waiter driver hunter worker player king queen nurse guard customer tourist keeper goat cow sheep bear "
    "wolf").split()


class Concepts:
    """The drawn world's vocabulary as vectors."""

    def __init__(self, words: Words):
        self.words = words

    def nearest(self, role: str, asked: str) -> Nearest | None:
        """The concept of a role ("subject", "action", "setting", ...) nearest to a phrase; None if no word is "
        "known."""
        names, phrases, vectors = self._tables[role]
        plain = _plain(asked)
        exact = next((name for name, phrase in zip(names, phrases) if phrase == plain), None)
        vector = self.vector(plain)
        if exact is None and not vector.any():
            return None
        cosines = vectors @ vector
        best = int(cosines.argmax())
        name = exact or names[best]
        head = plain.split()[-1] if plain else ""
        if exact is None and role == "subject":          # a "sports car" is a car; a "car" of another kind still is
            exact = name = next((n for n, phrase in zip(names, phrases) if phrase == head), "") or name
            if name not in (n for n, phrase in zip(names, phrases) if phrase == head):
                exact = None
        if exact is None and role not in ("subject", "action"):
            within = (n for n, phrase in zip(names, phrases)
                      if phrase and re.search(rf"\b{re.escape(phrase)}\b", plain))
            exact = next(within, None)
            name = exact or name
        similarity = max((float(c) for c, n in zip(cosines, names) if n == name), default=0.0)
        return Nearest(name, 1.0 if exact else round(similarity, 2), bool(exact) or similarity >= SAME)

    def place_like(self, word: str) -> float:
        """Cosine to the most similar place minus that to the most similar thing; below 0 for unknown words."""
        vector = self.vector(_plain(word))
        if not vector.any():
            return -0.1
        places, things = self._kinds
        return float((places @ vector).max() - (things @ vector).max())

    def mood_like(self, word: str) -> float:
        """Cosine to the most similar word of mood."""
        return float((self._moods @ self.vector(word)).max())

    def worn(self, word: str) -> bool:
        """Whether a word is more like clothes than like other things, and much like them."""
        vector = self.vector(word)
        clothes, things = self._worn
        likeness = float((clothes @ vector).max())
        return likeness > max(WORN, float((things @ vector).max()) + 0.1)

    def person(self, word: str) -> bool:
        """Whether a word is for people: the kinds of people that are drawn are what it is most like."""
        nearest = self.nearest("subject", word)
        return nearest is not None and nearest.name in PEOPLE and nearest.similarity >= LIKE_PEOPLE

    def vector(self, text: str) -> Float[np.ndarray, d]:
        vector = self.words._mean(text).astype(np.float32)
        return vector / max(float(np.linalg.norm(vector)), 1e-12)

    @cached_property
    def _moods(self):
        return np.stack([self.vector(word) for word in sorted(MOODS)])

    @cached_property
    def _worn(self):
        return (np.stack([self.vector(word) for word in sorted(CLOTHES)]),
                np.stack([self.vector(word) for word in sorted(set(THINGS) - CLOTHES)]))

    @cached_property
    def _kinds(self):
        stack = lambda words: np.stack([self.vector(word) for word in sorted(words)])
        return stack(word for word in PLACES if " " not in word), stack(THINGS)

    @cached_property
    def _tables(self) -> dict[str, tuple[list[str], list[str], np.ndarray]]:
        phrases: dict[str, dict[str, list[str]]] = {
            "subject": {kind: [noun[0] for noun in words.nouns] for kind, words in captions.KIND_WORDS.items()},
            "action": {action: [verb.plural for verb in verbs] for action, verbs in captions.VERBS.items()},
            "setting": {name: [name, *place.names, *place.tags] for name, place in captions.PLACES.items()},
        }
        for kind, more in PEOPLE.items():
            phrases["subject"][kind] += more.split()
        for (_, action), verbs in captions.KIND_VERBS.items():
            phrases["action"][action] += [verb.plural for verb in verbs]
        for role, table in captions.WHENS.items():
            phrases[role] = {name: [name, *w.tags, *w.adverbials, *w.adjectives] for name, w in table.items()}
        for role, table in captions.MANNERS.items():
            phrases[role] = {name: [name, *w.tails] for name, w in table.items()}
        tables = {}
        for role, table in phrases.items():
            pairs = [(name, _plain(phrase)) for name, options in table.items() for phrase in dict.fromkeys(options)]
            tables[role] = ([name for name, _ in pairs], [phrase for _, phrase in pairs],
                            np.stack([self.vector(phrase) for _, phrase in pairs]))
        return tables


def _plain(text: str) -> str:
    """Lower case, without what articles and prepositions stand in front, and hyphens."""
    return re.sub(r"^(?:(?:a|an|the|in|on|at|under|with|during|by) )+", "", text.lower().replace("-", " "))
