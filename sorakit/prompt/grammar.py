"""A prompt taken apart: who does what, where and when, from tagged words to noun phrases to roles.

`parse` reads top to bottom: patterns of `lexicon` claim their words, what is left is cut into phrases, each phrase gets
a role, and one walk from left to right joins subjects to their verbs, directions and each other. Tags come from
TextBlob's English lexicon (pattern's, De Smedt & Daelemans 2012), dictionary forms from LemmInflect.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sorakit.prompt import lexicon as lex
from sorakit.prompt.tagger import tags
from sorakit.types import Asked, Element, Relation

TOKEN = re.compile(r"'s\b|’s\b|[^\W_]+(?:(?:['’&-](?!s\b)|(?<=\d)\.(?=\d))[^\W_]+)*|[^\w\s]")
MOOD_LIKE = 0.4     # cosine to a word of mood from which an adjective that stands alone is one, too
NOUNS_IN_ING = frozenset("painting drawing building lighting ceiling clothing string ring king spring wing morning "
                         "evening crossing wedding pudding".split())
LOCATIVE = frozenset("in through across along over into past inside around on at above throughout outside".split())
STOP = frozenset(". ; ! ? : | ( ) / … •".split()) | {"—", "–", "\""}
JOINS = frozenset("as while when where because until".split())       # begin another clause
PATHS = frozenset("into onto toward towards".split())                # belong to the verb, whatever stands between
COPULAS = frozenset("is are was were look looks seem seems appears".split())
AUXILIARIES = frozenset("is are was were be been being am has have had do does did will would can could should may "
                        "might must 's".split())
PRONOUNS = frozenset("it he she they him them i you we me us who which that this these those there where what "
                     "one himself herself itself themselves someone".split())
SPOKEN_OF = frozenset("it they he she".split())                      # pronouns that can go on about a subject
NOBODYS = frozenset("dark late early cold hot warm".split())         # "it is dark" says nothing of the dog


@dataclass
class Token:
    text: str                   # lower case, mended
    start: int
    end: int
    tag: str = ""
    capital: bool = False       # a capital letter that the sentence did not need
    mended: bool = False
    role: str = ""              # of the pattern that claimed it


@dataclass
class Phrase:
    """A noun phrase: tokens first to last, of which the head is the noun that it is about."""

    first: int
    last: int
    head: int
    words: list[int]            # positions of its words that no pattern claimed, determiners and numbers left out
    role: str = ""
    number: int | None = 1
    subject: int = -1           # which of the subjects, if it is one


@dataclass
class Parse:
    subjects: list[Asked] = field(default_factory=list)
    elements: list[Element] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    mended: list[tuple[str, str]] = field(default_factory=list)      # (as typed, as read)


def parse(prompt: str, mend: Callable[[str], str], place_like: Callable[[str], float],
          mood_like: Callable[[str], float], worn: Callable[[str], bool], person: Callable[[str], bool]) -> Parse:
    """Every element of a prompt.

    `mend` corrects a word's spelling; `place_like` is above 0 for words like places; `mood_like` near 1 for moods;
    `worn` tells clothes and jewellery, `person` people.
    """
    reader = _Parser(prompt, mend, place_like, mood_like, worn, person)
    return reader.run()


def lemma(word: str, kind: str) -> str:
    """The dictionary's form of a word; kind is NOUN, VERB or ADJ."""
    from lemminflect import getLemma

    if kind == "NOUN" and (word in lex.PLACES or word in lex.FRAMES or word in lex.CLOTHES):
        return word
    if kind == "NOUN" and word == "leaves":              # not what is left by somebody
        return "leaf"
    return getLemma(word, kind)[0]


def can_be(word: str, kind: str) -> bool:
    from lemminflect import getAllLemmas

    return kind in getAllLemmas(word)


class _Parser:
    def __init__(self, prompt, mend, place_like, mood_like, worn, person):
        self.prompt, self.mend, self.place_like, self.mood_like = prompt, mend, place_like, mood_like
        self.worn, self.person = worn, person
        self.result = Parse()

    def run(self) -> Parse:
        self.cut()
        self.claim()
        self.tag()
        self.verbs = {i for i, token in enumerate(self.tokens) if self.is_verb(i)}
        self.find_directions()
        self.phrases = self.find_phrases()
        self.give_roles()
        self.walk()
        self.result.elements.sort(key=lambda element: element.span)
        return self.result

    # --- words ------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Tokens, in lower case and mended; a capital counts only where small letters are the rule."""
        found = list(TOKEN.finditer(self.prompt))
        long = [m.group() for m in found if len(m.group()) > 3 and m.group()[0].isalpha()]
        shouted = sum(word[0].isupper() for word in long) > 0.6 * max(1, len(long)) and len(long) > 1
        self.tokens: list[Token] = []
        for match in found:
            typed = match.group().replace("’", "'")
            begins = not self.tokens or self.tokens[-1].text in STOP | {"\"", "“", "'"}
            capital = typed[0].isupper() and not begins and not shouted
            word = typed.lower()
            read = word if capital else self.mend(word)
            if read != word:
                self.result.mended.append((typed, read))
            self.tokens.append(Token(read, match.start(), match.end(), "", capital, read != word))
        self.line, self.starts = "", []
        for token in self.tokens:
            self.line += " " * bool(self.line)
            self.starts.append(len(self.line))
            self.line += token.text

    def positions(self, match) -> list[int]:
        return [i for i, start in enumerate(self.starts) if match.start() <= start < match.end()]

    def claim(self) -> None:
        """Negations first, as what is not wanted has no other role; then camera, time, weather and style."""
        for match in lex.NEGATION.finditer(self.line):
            self.negate(self.positions(match))
        for match in lex.MANNER.finditer(self.line):
            for i in self.positions(match):
                self.tokens[i].role = self.tokens[i].role or "manner"
        for role, pattern in lex.COMPILED.items():
            for match in pattern.finditer(self.line):
                where = self.positions(match)
                if role == "weather":                                          # "morning mist": the mist is free
                    timed = max((k for k, i in enumerate(where) if self.tokens[i].role == "time"), default=-1)
                    where = where[timed + 1:]
                if where and not any(self.tokens[i].role for i in where):
                    self.add(role, where, 0.95)
                    for i in where:
                        self.tokens[i].role = role

    def negate(self, trigger) -> None:
        if not trigger or self.tokens[trigger[0]].role:
            return
        stop = STOP | {",", "in", "on", "at", "with", "but", "just", "only", "it", "is", "are", "along", "across"}
        i, part = trigger[-1] + 1, []
        if i < len(self.tokens) and self.tokens[i].text in ("longer", "only", "one"):
            return
        for k in trigger:
            self.tokens[k].role = "negation"
        verb = self.tokens[trigger[-1]].text in ("not", "don't", "never", "dont") and i < len(self.tokens) \
            and can_be(self.tokens[i].text, "VERB")
        while i < len(self.tokens) and self.tokens[i].text not in stop and len(part) < 4:
            token = self.tokens[i]
            token.role = "negation"
            if token.text in ("or", "and", "nor"):
                self.add("negation", part, 0.9)
                part = []
            elif part and (token.text in AUXILIARIES or not can_be(token.text, "NOUN") or self.finite_after_noun(i)):
                token.role = ""
                break
            elif token.text not in ("a", "an", "the", "any"):
                part.append(i)
                if verb:
                    break
            i += 1
        self.add("negation", part, 0.9)

    def finite_after_noun(self, i) -> bool:
        """ "without a rider trots to the right": trots is what the horse does."""
        after = self.tokens[i + 1].text if i + 1 < len(self.tokens) else ""
        return can_be(self.tokens[i].text, "VERB") and after in ("a", "an", "the", "to", "up", "down", "through",
                                                                 "past", "across", "along", "over", "his", "her", "its")

    def tag(self) -> None:
        """Part-of-speech tags (Penn Treebank), with what a prompt's short clauses need put right."""
        for token, found in zip(self.tokens, tags([t.text.capitalize() if t.capital else t.text for t in self.tokens])):
            token.tag = found
        previous = ""
        for i, token in enumerate(self.tokens):
            token.tag = self.retag(i, token, previous)
            previous = token.tag

    def retag(self, i, token, previous) -> str:
        word, tag = token.text, token.tag
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else Token("", 0, 0, ".")
        before = self.tokens[i - 1].text if i else ""
        if not word[0].isalnum() and word != "'s":
            return "."
        if word in ("next", "close") and after.text == "to" or word == "front" and before == "in" or \
                word == "top" and before == "on":
            return "IN"
        if word in ("past", "overhead", "by") and not after.text:
            return "RB"
        if word == "past" and after.tag in ("DT", "PRP$", "JJ", "NN", "CD"):
            return "IN"
        if before in ("he", "she", "they") and tag in ("NN", "NNS") and can_be(word, "VERB"):
            return "VBP" if word == lemma(word, "VERB") else "VBZ"
        if tag == "VBZ" and before == "," and after.tag in ("VBG", ".", ","):
            return "NNS"
        if before in COPULAS and can_be(word, "ADJ") and not word.endswith("ing") and tag in ("NN", "VB", "VBP", "RB") \
                and not after.tag.startswith("NN"):
            return "JJ"
        if self.follows_relative(i) and can_be(word, "VERB") and tag in ("NN", "NNS", "VB", "VBP", "VBZ"):
            return "VBZ"
        if tag == "JJ" and previous in ("DT", "JJ", "PRP$", "CD") and can_be(word, "NOUN") and not token.role and \
                word not in lex.MOODS and (after.tag in ("IN", "TO", "VBZ", "VBP", "MD") or after.tag == "VBN" and
                                           i + 2 < len(self.tokens) and self.tokens[i + 2].tag == "IN"):
            return "NN"
        if tag == "JJ" and not after.tag.startswith("NN") and can_be(word, "NOUN") and not can_be(word, "ADJ") or \
                tag == "VBN" and word in lex.PLACES:
            return "NN"
        if tag == "JJ" and word in lex.PLACES and not after.tag.startswith(("NN", "JJ", "VB")):
            return "NN"
        if word == "giant" and not after.tag.startswith(("NN", "JJ", "VBG", "CD")):
            return "NN"
        if word in lex.COLOURS or word in lex.MOODS | lex.SIZES | lex.PRETTY or word in lex.SOFT_STYLES - {"neon"}:
            return "JJ" if word != "orange" or after.tag.startswith("NN") else tag
        if (word, after.text) in lex.SHADED:
            return "RB"                                          # "crystal" clear
        if before == "'s" and tag == "JJ" and can_be(word, "NOUN") and not after.tag.startswith("NN"):
            return "NN"
        if before in ("while", "when") and word.endswith("ing") and can_be(word, "VERB"):
            return "VBG"
        if before in lex.NAMING and can_be(word, "NOUN") or (before, word) in lex.COMPOUNDS:
            return tag if tag.startswith("NN") else "NN"
        if word.isdigit() or word in lex.NUMBERS and word not in \
                ("a", "an", "one", "single", "couple", "pair", "dozen"):
            return "CD"
        if word == "leaves" and (not i or self.tokens[i - 1].role == "time" or previous in ("JJ", "IN", "CD")):
            return "NNS"
        if tag == "NN" and word.endswith(("escent", "esque")):
            return "JJ"
        if tag in ("NN", "VB", "VBP") and previous.startswith("NN") and self.is_watched(i) and \
                can_be(word, "VERB") and not after.tag.startswith("NN"):
            return "VB"
        if tag in ("VB", "VBP") and previous == "NN" and can_be(word, "NOUN") and not token.role and \
                before not in lex.PLURALS | lex.GROUPS and (self.has_finite(i) or after.tag == "NN") and \
                not self.ends_a_pair(i):
            return "NN"
        if word in ("left", "right", "up", "down", "away"):
            return "RB" if not after.tag.startswith("NN") or word in ("up", "down") else tag
        opens = not any(t.tag.startswith(("NN", "VB")) for t in self.tokens[:i]) and after.tag in ("DT", "PRP$", "CD")
        if word in lex.REQUESTS and (opens or after.text in ("me", "us") or before in ("please", "you")):
            return "VB"
        if word in ("do", "does", "doing") and after.tag in ("DT", "NN", "NNS"):
            return "VBG" if word == "doing" else "VBZ"
        if tag == "JJ" and after.tag.startswith("NN") and can_be(word, "NOUN") and not can_be(word, "ADJ"):
            return "NN"
        if word == "one" and after.tag.startswith(("NN", "JJ")):
            return "CD"
        if word == "can" and previous in ("DT", "JJ", "PRP$", "CD"):
            return "NN"
        if word in AUXILIARIES or word in PRONOUNS and word not in ("this", "these", "those") or \
                word == "her" and not after.tag.startswith(("NN", "JJ", "CD", "VB")):
            return "MD" if word in AUXILIARIES else "PRP"
        if word in ("his", "her", "its", "my", "your", "our", "their"):
            return "PRP$"
        closed = not after.text or \
            after.tag in ("DT", "IN", "TO", "PRP$", "RB", ".", ",", "CC", "RP", "PRP", "CD", "JJ")
        if tag in ("NN", "NNS", "JJ", "NNP", "IN", "VBN", "VBD") and previous in ("NN", "NNS", "NNP", "NNPS") \
                and not token.capital and can_be(word, "VERB") and lemma(word, "VERB") not in lex.NOT_ACTIONS:
            third = word.endswith("s") and not word.endswith("ss") and word != lemma(word, "VERB")
            counted = i > 1 and self.tokens[i - 2].tag == "CD" and self.tokens[i - 2].text != "one"
            many = previous == "NNS" or (before in lex.PLURALS or counted) and not third
            base = word == lemma(word, "VERB") and not token.role
            opens = after.tag in ("DT", "IN", "TO", "PRP$", "PRP", "RB", "RP", "CD") or \
                after.text in ("in", "up", "down") or after.role == "manner"
            if tag in ("NN", "NNS", "JJ", "NNP") and opens and not token.role and (third and not many or
                                                                 many and word == lemma(word, "VERB")):
                return "VBZ" if third else "VBP"
            if many and base and before not in lex.PLURAL_MODIFIERS and not self.has_finite(i, ",") and \
                    (after.tag in ("NNS", "NN", "JJ", "RB") or not after.text or after.text in STOP | {",", "and"}):
                return "VBP"
            if base and tag == "NN" and (opens or after.tag == "RB") and self.ends_a_pair(i) and not self.has_finite(i):
                return "VBP"
            if third and many and (opens or after.tag in ("JJ", "NNS")) and self.alone_with(i):
                return "VBZ"
            if third and not many and tag == "NNS" and (not after.text or after.tag in (".", "CC", ",")) \
                    and not can_be(before, "ADJ") and not self.has_finite(i) and self.opened_by_article(i):
                return "VBZ"
            if third and not many and tag == "NNS" and after.tag in ("JJ", "NN", "NNS") and not self.has_finite(i) \
                    and self.opened_by_article(i):
                return "VBZ"
        goes_on = previous == "CC" or previous == "RB" and i > 1 and self.tokens[i - 2].text == "and"
        if tag in ("NNS", "NN") and goes_on and can_be(word, "VERB") and self.has_finite(i) \
                and word != lemma(word, "VERB") and not word.endswith("ing") and after.tag != "NN":
            return "VBZ"
        if tag == "NN" and not can_be(word, "NOUN") and can_be(word, "ADJ"):
            return "JJ"
        inside = previous == "NN" and i > 1 and self.tokens[i - 2].tag == "IN" and (self.has_finite(i) or not closed)
        if tag == "VBZ" and (previous in ("JJ", "DT", "CD", "PRP$", "IN", "VBG") or inside):
            return "NNS"
        if tag in ("VB", "VBP", "VBD") and (previous in ("DT", "PRP$", "JJ", "CD") or previous == "IN" and closed) \
                and can_be(word, "NOUN"):
            return "NN"
        if tag == "VBD" and previous in ("DT", "JJ", "PRP$", "CD", "IN"):
            return "VBN"
        if tag in ("VB", "VBP") and previous not in ("NNS", "NNP", "NN", "MD", "TO", "PRP", "CC", "RB") \
                and can_be(word, "NOUN") and word not in lex.REQUESTS:
            return "NN"
        if tag in ("FW", "UH", "SYM", "LS") or tag == "IN" and not can_be(word, "ADV") and can_be(word, "NOUN") \
                and word not in LOCATIVE:
            return "NN" if tag != "IN" else tag
        if tag == "VBG" and word in NOUNS_IN_ING:
            return "NN" if previous not in ("NNS", "NN") or not after.tag.startswith("DT") else tag
        if tag in ("NN", "JJ") and word.endswith("ing") and can_be(word, "VERB") and len(word) > 5 and \
                previous in ("DT", "PRP$", "JJ", "CD") and after.tag.startswith("NN") and \
                (word, after.text) not in lex.COMPOUNDS and word not in NOUNS_IN_ING:
            return "VBG"
        if tag in ("NN", "NNP", "JJ") and word.endswith("ing") and can_be(word, "VERB") and len(word) > 5 \
                and previous in ("NN", "NNS", "NNP") and (closed or before in lex.CLOTHES | lex.BODY) \
                and word not in NOUNS_IN_ING:
            return "VBG"
        return tag

    def follows_relative(self, i) -> bool:
        """Whether "that", "who" or "which" and what they stand for are right before, so that a verb is due."""
        return i > 1 and self.tokens[i - 1].text in ("that", "who", "which") and \
            self.tokens[i - 2].tag.startswith("NN")

    def has_finite(self, i, *ends) -> bool:
        """Whether the clause has had its verb before i; `ends` are more that end a clause."""
        for token in reversed(self.tokens[:i]):
            if token.text in STOP or token.text in JOINS or token.text in ends:
                return False
            if token.tag in ("VBZ", "VBP", "VBD"):
                return True
        return False

    def alone_with(self, i) -> bool:
        """Whether the clause so far is of the form "a ship with torn sails", so that the verb belongs to the ship."""
        for k in range(i - 1, 0, -1):
            token = self.tokens[k]
            if token.text in STOP or token.text == ",":
                return False
            if token.text in ("with", "of", "in") and self.tokens[k - 1].tag.startswith("NN"):
                return self.tokens[k - 1].tag in ("NN", "NNP") and not self.has_finite(i)
        return False

    def is_watched(self, i) -> bool:
        """Whether what stands right before i is the object of "watch" or the like: "he watches his wife dance"."""
        k = i - 1
        while k > 0 and self.tokens[k].tag.startswith(("NN", "JJ", "DT", "PRP$", "CD")):
            k -= 1
        return k >= 0 and lemma(self.tokens[k].text, "VERB") in lex.PERCEIVE and \
            (self.tokens[k + 1].tag in ("DT", "PRP$", "CD") or k == i - 2)

    def ends_a_pair(self, i) -> bool:
        """Whether "one and another", each with its article, stands right before i and wants a verb."""
        k = i - 1
        while k > 0 and self.tokens[k].tag in ("NN", "JJ"):
            k -= 1
        return k > 1 and self.tokens[k].tag in ("DT", "PRP$") and self.tokens[k - 1].text == "and" and \
            self.tokens[k - 2].tag == "NN"

    def opened_by_article(self, i) -> bool:
        for token in reversed(self.tokens[:i]):
            if token.tag in ("DT", "CD", "PRP$"):
                return True
            if token.text in STOP or token.text == "," or token.tag == "IN":
                return False
        return False

    def is_verb(self, i) -> bool:
        token = self.tokens[i]
        if token.role or token.text in AUXILIARIES and token.tag == "MD" or token.text in PRONOUNS:
            return False
        if token.tag in ("VBZ", "VBP", "VBD", "VB"):
            return True
        if token.tag == "VBN":
            return not self.premodifies(i)
        return token.tag == "VBG" and not self.premodifies(i)

    def names(self, i) -> bool:
        """Whether the word before a noun names its kind, though it looks like a verb, an adjective or a colour."""
        word, after = self.tokens[i].text, self.word(i + 1)
        return (word, after) in lex.COMPOUNDS or word in lex.COLOURED_PLANTS and after in lex.PLANTS or \
            word.endswith("ing") and after in lex.FOR_DOING and word not in lex.SHINING

    def premodifies(self, i) -> bool:
        """Whether a participle stands before its noun, as in "a rotating planet"."""
        if i + 1 < len(self.tokens) and self.names(i):
            return True
        after = next((t for t in self.tokens[i + 1:] if not t.role or t.role in ("weather", "style")), None)
        before = self.tokens[i - 1] if i else None
        if after is None or not after.tag.startswith(("NN", "JJ", "VBG")) or after.start - self.tokens[i].end > 40:
            return False
        between = self.tokens[i + 1].text if i + 1 < len(self.tokens) else ""
        if between in STOP or between == "," or before is not None and before.text in ("while", "when"):
            return False
        if before is None or before.text in STOP:
            return True
        if before.text in (",", "and"):
            return not any(t.tag in ("VBZ", "VBP", "VBD") for t in self.tokens[:i]) or \
                self.tokens[i].text in lex.SHINING
        return before.tag in ("DT", "IN", "JJ", "PRP$", "CD", "VBZ", "VBP", "VB", "VBN", "POS", "TO") \
            or bool(before.role) or self.tokens[i].text in lex.SHINING and not before.tag.startswith("NN")

    def find_directions(self) -> None:
        self.directions: list[tuple[int, str]] = []
        for name, pattern in lex.COMPILED_DIRECTIONS:
            for match in pattern.finditer(self.line):
                where = self.positions(match)
                if not where or any(self.tokens[i].role for i in where):
                    continue
                verb = where[0] - 1
                while verb >= 0 and self.tokens[verb].tag in ("RB", "JJR") and verb not in self.verbs:
                    verb -= 1
                if len(where) == 1 and (verb not in self.verbs or
                                        name in ("up", "down") and self.base(verb) in lex.PHRASAL):
                    continue
                self.directions.append((where[0], name))
                for i in where:
                    if self.tokens[i].text not in ("up", "down") or len(where) > 1:
                        self.tokens[i].role = "direction"

    def base(self, i) -> str:
        return lemma(self.tokens[i].text, "VERB")

    # --- phrases ----------------------------------------------------------------------------------

    def find_phrases(self) -> list[Phrase]:
        phrases, i = [], 0
        while i < len(self.tokens):
            if self.opens(i):
                phrase = self.phrase(i)
                if phrase:
                    phrases.append(phrase)
                    i = phrase.last + 1
                    continue
            i += 1
        return phrases

    def opens(self, i) -> bool:
        token = self.tokens[i]
        if token.role or i in self.verbs or self.is_pronoun(i):
            return False
        after = self.tokens[i + 1].text if i + 1 < len(self.tokens) else ""
        return token.tag in ("DT", "PRP$", "CD", "VBG", "VBN") or token.tag.startswith(("JJ", "NN")) or \
            (token.text, after) in lex.SHADED

    def is_pronoun(self, i) -> bool:
        """Whether a word stands for another; "one" before a noun is a number."""
        if self.tokens[i].text == "one" and i + 1 < len(self.tokens):
            return not self.tokens[i + 1].tag.startswith(("NN", "JJ"))
        return self.tokens[i].text in PRONOUNS

    def list_goes_on(self, first, i) -> bool:
        """Whether the comma or "and" at i stands between adjectives of one noun: "a small, fluffy and white dog"."""
        opened = self.tokens[first].tag in ("DT", "CD", "PRP$")
        if self.tokens[i].text not in ((",", "and") if opened else ("and",)):
            return False
        i += 2 if i + 1 < len(self.tokens) and self.tokens[i + 1].text == "and" else 1
        adjectives = 0
        while i < len(self.tokens) and self.tokens[i].tag in ("JJ", "VBN", "VBG", "RB") and not self.tokens[i].role:
            adjectives += self.tokens[i].tag != "RB"
            i += 1
        return adjectives > 0 and i < len(self.tokens) and (self.tokens[i].tag.startswith("NN") or
                                                            self.list_goes_on(first, i))

    def phrase(self, i) -> Phrase | None:
        """The longest run of modifiers and nouns from i; claimed words may stand between, but not after, a noun."""
        first, head, words, number, noun, plain = i, -1, [], 1, False, True
        while i < len(self.tokens):
            token = self.tokens[i]
            if token.role:
                if noun or token.role in ("negation", "direction"):
                    break
                i += 1
                continue
            if words and not noun and self.list_goes_on(first, i):
                i += 1
                continue
            if i in self.verbs or self.is_pronoun(i) or token.tag in (".", ","):
                break
            if token.tag.startswith("NN") or token.tag == "POS":
                if token.text == "'s":
                    break
                noun, head = True, i
                words.append(i)
            elif noun:
                break
            elif token.tag in ("DT", "PRP$"):
                if i > first:
                    break
            elif token.tag == "CD" or token.text in lex.NUMBERS and token.text not in ("a", "an", "one"):
                digits = int(token.text) if token.text.isdecimal() else None
                number, plain = lex.NUMBERS.get(token.text) or digits, False
                if token.text == "single":
                    words.append(i)
            elif token.tag.startswith(("JJ", "VBG", "VBN")) or \
                    token.tag in ("RB", "RBR", "RBS") and i + 1 < len(self.tokens) and \
                    self.tokens[i + 1].tag.startswith(("JJ", "VBN", "VBG")):
                words.append(i)
            else:
                break
            i += 1
        if head < 0:
            return Phrase(first, words[-1], words[-1], words, "adjective") if words else None
        many = self.tokens[head].tag in ("NNS", "NNPS") or \
            self.tokens[head].text in ("people", "children", "fish", "men", "women", "kids", "horses")
        if self.tokens[head].text == "fish" and (self.tokens[first].text in ("a", "an", "the", "one")):
            many = False
        if many and number == 1 and plain:
            number = None
        return Phrase(first, head, head, [k for k in words if k <= head], "", number)

    def give_roles(self) -> None:
        """Joins what belongs together with "of" or "in", and says what each phrase is."""
        joined: list[Phrase] = []
        for phrase in self.phrases:
            before = joined[-1] if joined else None
            link = " ".join(t.text for t in self.tokens[before.last + 1:phrase.first]) if before else ""
            if before and link == "of" and phrase.role != "adjective" and before.role != "adjective":
                word = self.word(before.head)
                if word in lex.GROUPS or word in ("couple", "pair", "dozen"):
                    number = lex.NUMBERS.get(word)
                    phrase.first, phrase.number = before.first, number
                    joined[-1] = phrase
                    phrase.role = self.role_of(phrase)
                    continue
                if before.role == "setting" or word in lex.CONTAINERS and before.role == "subject":
                    before.words += [before.last + 1, *range(phrase.first, phrase.last + 1)]
                    before.last = phrase.last
                    continue
            if before and link == "in" and before.role == "setting" and phrase.role != "adjective" and (
                    self.tokens[phrase.head].capital or phrase.words and self.text(phrase.words) in lex.PLACES
                    and self.tokens[phrase.head].tag == "NNP"):
                before.words += list(range(before.last + 1, phrase.last + 1))
                before.last = phrase.last
                continue
            phrase.role = phrase.role or self.role_of(phrase)
            listed = link in (",", ", and") and not self.verb_follows(phrase) or link == "and"
            if phrase.role == "subject" and before and before.role == "attribute" and listed and \
                    self.word(phrase.head) in lex.CLOTHES | lex.BODY:
                phrase.role = "attribute"
            joined.append(phrase)
        self.phrases = joined

    def word(self, i) -> str:
        return lemma(self.tokens[i].text, "NOUN")

    def text(self, positions) -> str:
        return " ".join(self.tokens[i].text for i in positions)

    def preposition(self, i) -> tuple[str, int]:
        """The preposition that ends right before token i, and where it starts; ("", i) for none."""
        while i > 0 and self.tokens[i - 1].role in ("style", "weather", "time") and \
                self.tokens[i - 1].text not in (",",):
            i -= 1
        for words in lex.PREPOSITIONS:
            start = i - len(words)
            if start >= 0 and [t.text for t in self.tokens[start:i]] == words:
                return " ".join(words), start
        return "", i

    def role_of(self, phrase) -> str:
        head, tokens = self.word(phrase.head), self.tokens
        compound = self.text(k for k in phrase.words if tokens[k].tag.startswith("NN"))
        pair = " ".join(compound.split()[-2:])
        preposition, start = self.preposition(phrase.first)
        typed = tokens[phrase.head].text
        if head in lex.REQUESTS and phrase.first == phrase.head == 0:
            return "frame"
        if pair in lex.PLACES and " " in pair or self.text(phrase.words[-2:]) in lex.PLACES and len(phrase.words) > 1:
            return "setting"
        if typed in lex.FRAMES or head in lex.FRAMES:
            return "frame"
        if head in lex.MOOD_HEADS:
            return "mood"
        if typed in lex.STYLE_HEADS and pair.split()[0] not in ("street", "traffic", "spot", "search", "disco", "city"):
            inside = {tokens[k].role for k in range(phrase.first, phrase.last + 1)} | \
                {tokens[phrase.first - 1].role if phrase.first else ""}
            return "frame" if "time" in inside or len(phrase.words) == 1 else "style"
        worn = preposition in ("in", "with") or start and tokens[start - 1].text in ("wearing", "wears", "dressed") or \
            phrase.first and tokens[phrase.first - 1].text in ("wearing", "wears", "wear", "dressed")
        listed = phrase.first and tokens[phrase.first - 1].text == "," and len(phrase.words) > 1
        has = preposition == "with" and start and start - 1 not in self.verbs
        if (self.is_clothing(phrase.head) and worn or {typed, head} & lex.CLOTHES and listed) or \
                {typed, head} & lex.BODY and (has or listed and not self.verb_follows(phrase)):
            return "attribute"
        if typed in lex.PLACES or head in lex.PLACES:
            return "setting"
        if head in lex.MAYBE_PLACES or typed in lex.MAYBE_PLACES:
            around = {"moon": ("on",), "water": ("on", "across", "through")}
            fits = preposition in around.get(head, ("on", "across", "over", "through", "along", "in"))
            return "setting" if fits and tokens[phrase.head].tag != "NNS" else "subject"
        if tokens[phrase.head].capital and preposition in lex.CAPITALISED_PLACE_PREPOSITIONS \
                and not self.verb_follows(phrase):
            return "setting"
        if preposition in LOCATIVE and head.endswith(lex.PLACE_ENDINGS) and not self.verb_follows(phrase):
            return "setting"
        likeness = self.place_like(head) if not head.endswith(("ist", "ian", "man", "ador", "eer")) else -1
        if preposition in LOCATIVE - {"on"} and likeness > 0.1 and not self.verb_follows(phrase):
            return "setting"
        return "subject"

    def is_clothing(self, i) -> bool:
        names = {self.tokens[i].text, self.word(i)}
        return bool(names & lex.CLOTHES) or not names & lex.BODY and self.worn(self.word(i))

    def verb_follows(self, phrase) -> bool:
        return phrase.last + 1 in self.verbs

    # --- the walk ---------------------------------------------------------------------------------

    def walk(self) -> None:
        """From left to right: phrases, verbs and prepositions find each other."""
        starts = {phrase.first: phrase for phrase in self.phrases}
        self.free = self.nearest = self.actor = -1   # subject of the next finite verb; the last; of the last verb
        self.lead = self.main = -1                       # the first of the clause; the last that nothing else governs
        self.verb = ""                                   # waits for its object
        self.after_verb = False
        directions = dict(self.directions)
        i = 0
        while i < len(self.tokens):
            token = self.tokens[i]
            who = self.actor if self.actor >= 0 or self.after_verb else self.nearest
            if i in directions and who >= 0:
                self.change(who, direction=self.result.subjects[who].direction or directions[i])
            if i in starts:
                self.meet(starts[i])
                i = starts[i].last
            elif i in self.verbs:
                self.act(i)
            elif token.text in STOP or token.text in (",", "and", "while", "as", "then", "but", "where", "when"):
                self.verb, self.after_verb = "", False
                if token.text != "and":
                    self.lead = -1
            elif token.text in ("who", "that", "which") and self.nearest >= 0:
                self.free = self.nearest
            elif self.is_spoken_of(i):
                self.free = self.nearest = self.antecedent(token.text)
                self.lead, self.blocked = -1, False
            i += 1

    def is_spoken_of(self, i) -> bool:
        """Whether a pronoun is the subject of a clause: it begins one, and a verb follows."""
        begins = i == 0 or self.tokens[i - 1].text in STOP | JOINS | {",", "and", "but", "then"}
        after = self.tokens[i + 1] if i + 1 < len(self.tokens) else Token("", 0, 0)
        return self.tokens[i].text in SPOKEN_OF and begins and \
            (i + 1 in self.verbs or after.text in AUXILIARIES | COPULAS or after.tag == "RB")

    def antecedent(self, pronoun) -> int:
        """Which subject a pronoun stands for: the one that the sentence is about, if its number and kind fit, else the
        last one that does. "It" is nobody; any other stands for what the sentence is about if nothing fits."""
        fits = {"it": lambda asked: asked.count == 1 and not self.person(asked.name),
                "they": lambda asked: asked.count != 1}.get(pronoun, lambda asked: self.person(asked.name))
        order = [self.main, *reversed(range(len(self.result.subjects)))] if self.main >= 0 else []
        return next((who for who in order if fits(self.result.subjects[who])), -1 if pronoun == "it" else self.main)

    def change(self, who, **changes) -> None:
        self.result.subjects[who] = replace(self.result.subjects[who], **changes)

    def act(self, i) -> None:
        token = self.tokens[i]
        word = lemma(token.text, "VERB")
        before = self.tokens[i - 1] if i else None
        if token.text in lex.POSTURES:
            word = token.text if token.text == "seated" else word
        elif token.tag == "VBN" and not (before and before.text in ("is", "are", "being")):
            described = next((p.subject for p in self.phrases if p.last == i - 1), -1)
            self.verb, self.after_verb, self.actor = "", True, described
            return
        if word in lex.NOT_ACTIONS and token.text not in lex.POSTURES or word in lex.REQUESTS or \
                before and before.text == "to" and token.tag == "VB" or \
                word == "look" and i + 1 < len(self.tokens) and (self.tokens[i + 1].text == "like" or
                                                                 self.tokens[i + 1].tag == "JJ"):
            self.verb = ""
            return
        who = self.free
        if token.tag == "VBZ" and who > self.lead >= 0 and self.result.subjects[self.lead].count == 1:
            self.free = who = self.lead                  # "a mob with a torch and forks marches"
        self.lead = -1
        if token.tag == "VBG":
            comma = before is not None and before.text in (",", "and", "while") or before is None
            who = self.free if comma and self.free >= 0 else self.nearest
        if token.tag == "VB":
            who = self.nearest
        weather = before is not None and before.role in ("weather", "time") and \
            self.preposition(i - 1)[0] == ""
        if weather or self.blocked and token.tag != "VBG":
            who = -1
        if who < 0:
            self.verb, self.actor, self.after_verb = "", -1, True
            return
        actions = self.result.subjects[who].actions
        if word not in actions:
            self.change(who, actions=(*actions, word))
        self.actor, self.verb, self.after_verb = who, word, True

    owned = ("", 0)             # preposition of the phrase before, and where it starts
    part = False                # it was no more than a part of what comes next
    blocked = False             # a frame or a setting is the subject of what comes next

    def meet(self, phrase) -> None:
        preposition, start = self.preposition(phrase.first)
        link = self.tokens[phrase.first - 1].text if phrase.first else ""
        if link == "'s" or link == "of" and self.part:      # "on a pirate's shoulder", "on the edge of a table"
            preposition, start = self.owned
        self.part = phrase.role == "frame"
        self.owned = preposition, start
        if phrase.role == "setting":
            self.setting(phrase)
        elif phrase.role in ("style", "mood"):
            where = [i for i in range(phrase.first, phrase.last + 1)
                     if self.tokens[i].tag not in ("DT", "PRP$") and self.tokens[i].role != "time"]
            self.add(phrase.role, where, 0.85)
        elif phrase.role == "frame":
            self.loose(phrase)
        elif phrase.role == "adjective":
            self.adjective(phrase)
            return
        elif phrase.role == "attribute" and self.result.subjects:
            who = self.nearest if self.nearest >= 0 else len(self.result.subjects) - 1
            colour = next((lex.COLOURS[self.tokens[i].text] for i in phrase.words
                           if self.tokens[i].text in lex.COLOURS), "") \
                if self.is_clothing(phrase.head) else ""
            asked = self.result.subjects[who]
            self.change(who, attributes=(*asked.attributes, self.text(phrase.words)), colour=asked.colour or colour)
            self.verb = ""
            return
        elif phrase.role in ("subject", "attribute"):
            owner = phrase.last + 1 < len(self.tokens) and self.tokens[phrase.last + 1].text == "'s"
            nearest = self.nearest
            self.subject(phrase, preposition, start)
            self.blocked = False
            if owner:                                    # what it owns is what the sentence goes on about
                self.nearest = nearest
                return
        embedded = bool(preposition) or bool(self.verb)
        if phrase.role in ("setting", "frame") and not embedded:
            self.blocked = True
        self.verb, self.after_verb = "", False

    def setting(self, phrase) -> None:
        words = []
        for i in phrase.words:
            if self.tokens[i].text in lex.ALWAYS_MOODS and i < phrase.head:
                self.add("mood", [i], 0.8)
            elif self.tokens[i].text not in ("a", "an", "the", "his", "her") or words:
                words.append(i)
        known = any(self.tokens[i].text in lex.PLACES for i in phrase.words)
        self.add("setting", words, 0.95 if known else 0.7)

    def loose(self, phrase) -> None:
        """ "a moody, futuristic scene": the adjectives of what is only a name for the film."""
        for i in phrase.words:
            if i == phrase.head:
                continue
            word = self.tokens[i].text
            if word in lex.MOODS:
                self.add("mood", [i], 0.8)
            elif word in lex.SOFT_STYLES:
                self.add("style", [i], 0.8)
            elif word in lex.PLACES:
                self.add("setting", [i], 0.9)

    def adjective(self, phrase) -> None:
        """An adjective that stands alone, as in lists of tags, or is said of what stands before: "the dog is old"."""
        said_of = self.nearest >= 0 and not self.blocked and self.is_predicate(phrase)
        for i in phrase.words:
            word = self.tokens[i].text
            if self.tokens[i].tag.startswith("RB"):
                continue
            if said_of and word not in lex.ALWAYS_MOODS and not (word in NOBODYS and self.is_weather_it(phrase)):
                self.attribute(word)
            elif word in lex.PRETTY:
                if self.nearest >= 0:
                    self.attribute(word, listed=self.listed(phrase))
            elif word in lex.MOODS or self.listed(phrase) and self.mood_like(word) > MOOD_LIKE:
                self.add("mood", [i], 0.8 if word in lex.MOODS else 0.6)
            elif word in lex.SOFT_STYLES:
                self.add("style", [i], 0.8)
            elif self.nearest >= 0 and self.listed(phrase) and self.tokens[i].tag != "VBN" and \
                    word not in ("full", "own", "same", "other", "such", "more", "much", "fast", "low", "high"):
                self.attribute(word, listed=True)

    def is_predicate(self, phrase) -> bool:
        """Whether "is" or the like stands before, with nothing but adjectives, adverbs and "and" in between."""
        i = phrase.first - 1
        while i >= 0 and (self.tokens[i].tag in ("JJ", "RB") and not self.tokens[i].role or
                          self.tokens[i].text in ("and", ",")):
            i -= 1
        return i >= 0 and (self.tokens[i].text in COPULAS or
                           i > 0 and self.tokens[i].text == "'s" and self.tokens[i - 1].text in SPOKEN_OF)

    def is_weather_it(self, phrase) -> bool:
        """Whether "it is" or "it's" stands right before."""
        return phrase.first > 1 and self.tokens[phrase.first - 2].text == "it"

    def listed(self, phrase) -> bool:
        """Whether a phrase stands by itself, between commas or after "and"."""
        before = self.tokens[phrase.first - 1].text if phrase.first else ","
        after = self.tokens[phrase.last + 1].text if phrase.last + 1 < len(self.tokens) else ","
        return before in (",", "and") and after in (",", "and", ".")

    def attribute(self, word, listed=False) -> None:
        who = self.main if listed and self.main >= 0 else self.nearest       # in a list of tags: of the first subject
        asked = self.result.subjects[who]
        if word in lex.COLOURS:
            self.change(who, colour=asked.colour or lex.COLOURS[word])
        else:
            self.change(who, attributes=(*asked.attributes, word))

    def subject(self, phrase, preposition, start) -> None:
        tokens = self.tokens
        colour, attributes, actions, name = "", [], [], []
        head, degree = phrase.head, ""
        for i in phrase.words:
            word, tag = tokens[i].text, tokens[i].tag
            having = i < head and tokens[i + 1].text.endswith(lex.HAVING)     # "dark" haired
            if i > head or i < head and self.names(i):
                name.append(word)
            elif having or tag.startswith("RB"):                              # "very" tall, "brightly" lit
                degree = f"{degree}{word} "
            elif i == head:
                name.append(lemma(word, "NOUN") if tag == "NNS" and word != "people" else word)
            elif word in lex.COLOURS and not (word == "orange" and tokens[i + 1].tag == "VBZ"):
                colour = colour or lex.COLOURS[word]
                if word == "golden" and tokens[i + 1].text == "retriever":
                    name.append(word)
            elif tag == "VBG" and word not in lex.SHINING and can_be(word, "VERB"):
                actions.append(lemma(word, "VERB"))
            elif tag.startswith("NN") and word not in lex.SOFT_STYLES - {"neon"} or word in lex.NAMING:
                name.append(word)
            elif word not in ("more", "most", "other", "same", "own", "such", "several", "many", "few", "some"):
                attributes.append(degree + word)
                degree = ""
        number = phrase.number
        if any(tokens[i].text in lex.MANY for i in range(phrase.first, head)):
            number = None
        confidence = 0.9 if tokens[head].tag != "NNP" else 0.75
        if tokens[head].mended:
            confidence *= 0.85
        first, last = tokens[phrase.first].start, tokens[phrase.last].end
        words = self.prompt[first:last]
        asked = Asked(" ".join(name), colour, number, tuple(attributes), tuple(actions), "", (first, last), confidence,
                      words=words)
        self.result.subjects.append(asked)
        this = phrase.subject = len(self.result.subjects) - 1
        before = tokens[start - 1] if start else None
        if phrase.last + 1 < len(tokens) and tokens[phrase.last + 1].text == "'s":
            pass                                                                      # the owner is not what is met
        elif preposition in ("up", "down") and self.after_verb and self.actor >= 0:
            self.relate(self.actor, self.verb or preposition, this, 0.8)
        elif preposition:
            source = self.actor if self.after_verb else self.nearest
            listed = before is None or before.text in STOP or before.text == ","
            if preposition in PATHS and self.actor >= 0 and self.blocked_place(start):
                self.relate(self.actor, preposition, this, 0.7)
            elif source >= 0 and not listed and not self.blocked_place(start):
                self.relate(source, preposition, this, 0.8)
        elif self.verb and self.actor >= 0:
            self.relate(self.actor, self.verb, this, 0.85)
        elif before is not None and before.text == "of" and self.nearest >= 0 and \
                0 <= before.start - self.result.subjects[self.nearest].span[1] <= 2:
            return                                                                    # "the pilot of a plane" goes on
        else:
            self.free = self.main = this
            self.lead = this if self.lead < 0 else self.lead
        self.nearest = this
        if self.free < 0:
            self.free = this

    def blocked_place(self, start) -> bool:
        """Whether what stands before the preposition is a place or a frame, not a subject."""
        return any(phrase.last + 1 == start and phrase.role in ("setting", "frame", "style", "mood")
                   for phrase in self.phrases)

    def relate(self, a, word, b, confidence) -> None:
        one, other = self.result.subjects[a], self.result.subjects[b]
        span = (min(one.span[0], other.span[0]), max(one.span[1], other.span[1]))
        self.result.relations.append(Relation(one.name, word, other.name, span, confidence))

    def add(self, role, where, confidence) -> None:
        if where:
            span = (self.tokens[where[0]].start, self.tokens[where[-1]].end)
            name = " ".join(self.tokens[i].text for i in where).replace(" 's", "'s")
            mended = any(self.tokens[i].mended for i in where)
            self.result.elements.append(Element(role, name, span, round(confidence * (0.85 if mended else 1), 2)))
