"""Words mended where one letter or two are wrong, so that "retreiver" is still a dog."""

from __future__ import annotations

import re
from functools import cached_property

from sorakit.prompt import tagger
from sorakit.prompt.lexicon import BODY, CLOTHES, COLOURS, MOODS, PLACES, SPELLINGS
from sorakit.prompt.words import Words

ENDINGS = ("s", "es", "er", "ers", "ing", "ed", "y", "like", "ish", "less", "ness", "ly", "core", "punk")
SHORTEST = 4          # letters of a word that is mended; in shorter ones too many words are near


class Spelling:
    """Finds, for a word that nobody knows, the known one that it was meant to be (Damerau-Levenshtein distance)."""

    def __init__(self, words: Words):
        self.words = words

    @cached_property
    def ranks(self) -> dict[str, int]:
        """Whole words of the tokenizer, common ones first."""
        return {word: rank for word, rank in self.words.tokenizer.get_vocab().items() if word.isalpha()}

    @cached_property
    def _by_length(self) -> dict[int, list[str]]:
        lengths: dict[int, list[str]] = {}
        for word in self.ranks:
            lengths.setdefault(len(word), []).append(word)
        return lengths

    def mend(self, word: str) -> str:
        """The word as it was meant, or as it is if it is known or like no other; lower case in and out."""
        from lemminflect import getAllLemmas
        from rapidfuzz import process
        from rapidfuzz.distance import OSA

        if word in SPELLINGS:
            return SPELLINGS[word]
        if len(word) < SHORTEST or not re.fullmatch(r"[a-z]+", word):
            return word
        doubled = self.doubled(word)
        if doubled or self.known(word) or getAllLemmas(word):
            return doubled or word
        if word[-1] == word[-2] and word[:-1] in self.ranks:                     # "beautifull"
            return word[:-1]
        most = 1 if len(word) < 8 else 2          # two wrong letters make other short words: "barista", "bautista"
        lengths = range(len(word) - most, len(word) + most + 1)
        candidates = [other for n in lengths for other in self._by_length.get(n, ()) if other[0] == word[0] and
                      (len(word) > 6 or len(other) > len(word) or sorted(other) == sorted(word))]
        found = process.extract(word, candidates, scorer=OSA.distance, score_cutoff=most, limit=8)
        likely = lambda item: (item[1], len(item[0]) < len(word), item[0] not in PLACES and item[0] not in COLOURS,
                               self.ranks[item[0]])
        return min(found, key=likely)[0] if found else word

    def known(self, word: str) -> bool:
        """Whether it stands in the vocabulary, or is made of what does: an ending, two words in one."""
        from lemminflect import getAllLemmas

        parts = ((word[:k], word[k:]) for k in range(SHORTEST, len(word) - SHORTEST + 1))
        return word in self.ranks or word in PLACES | CLOTHES | BODY | MOODS or tagger.known(word) \
            or any(word.endswith(end) and self.stem(word.removesuffix(end)) for end in ENDINGS) \
            or any(b in self.ranks and (a in self.ranks or getAllLemmas(a)) for a, b in parts)

    def doubled(self, word: str) -> str:
        """A verb's form as it is written with two consonants, "running" of "runing"; "" if it is none."""
        for end in ("ing", "ed"):
            stem = word.removesuffix(end)
            right = stem + stem[-1:] + end
            if stem != word and word not in self.ranks and stem in self.ranks and right in self.ranks:
                return right
        return ""

    def stem(self, word: str) -> bool:
        return len(word) > 2 and (len(word) > 3 and word in self.ranks or word + "e" in self.ranks or
                                  word[:-1] in self.ranks and word[-1] == word[-2])
