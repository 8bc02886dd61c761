"""Stage 1: reads a request, a prompt and perhaps a picture or a film, into a `Brief`."""

from __future__ import annotations

import dataclasses
import re
import unicodedata

from sorakit.prompt.complete import completed
from sorakit.prompt.describe import note_of, words_of
from sorakit.prompt.files import read_image
from sorakit.prompt.grammar import Parse, parse
from sorakit.prompt.lexicon import SCENERY
from sorakit.prompt.nearest import Concepts
from sorakit.prompt.spelling import Spelling
from sorakit.prompt.words import Words
from sorakit.types import Asked, Brief, Element

__all__ = ["Reader", "plain", "read_image"]

MAX_CHARACTERS = 2000
UNKNOWN = "[UNK]"
REACH = 48            # tokens that the text encoder reads (sorakit.latent.text.MAX_WORDS)
LIKE = 0.5            # least cosine of a stand-in that is worth naming
ENGLISH = 0.5         # least share of words that English has
ORDERS = re.compile(r"(?i)\b(?:ignore|disregard|forget|override)\b[^.,;:!?]{0,30}\b(?:instructions?|prompts?|rules?|"
                    r"guidelines|filters?|safety)\b|\bsystem prompt\b|\byou are now\b|\bjailbreak\b")
MARKUP = re.compile(r"<[^<>]{1,200}>|https?://\S+|[{}\\`]+")


class Reader:
    """Prompt in, `Brief` out: plain characters, the tokens that the model will read, and what they ask for."""

    def __init__(self, words: Words, reach: int = REACH):
        self.words, self.reach = words, reach
        self.spelling, self.concepts = Spelling(words), Concepts(words)

    def __call__(self, prompt: str, *, negative: str = "", image=None, video=None, seed: int | None = None) -> Brief:
        """What a request asks for.

        Args:
            prompt: English, up to 2,000 characters. With an image or video it may be "": it is then made from what that
                shows, and said in `brief.notes`.
            negative: what guidance steers away from.
            image: the film's first frame: a path, a PIL image or a uint8 array (h, w, 3). Looked at, too:
                `brief.image_reference`.
            video: a film to look at, a path or a `Video`: `brief.video_reference`.
            seed: decides what the prompt leaves open, in `brief.said`; without one, or with an image or
                video, it stays open.

        Raises:
            ValueError: for a prompt that is empty, too long, not English or without a word that the model knows; for a
                file that is no picture or film.
        """
        prompt, negative = plain("prompt", prompt), plain("negative", negative)
        picture = seen = watched = None
        if image is not None:
            from sorakit.prompt.image import look

            picture = read_image(image)
            seen = look(picture)
        if video is not None:
            from sorakit.prompt.video import watch

            watched = watch(video)
        made_up = not prompt and (seen or watched) is not None
        if made_up:
            prompt = words_of(seen or watched)
        if not prompt:
            raise ValueError("prompt is empty; say what the film should show: 'a golden retriever in a field'")
        tokens = self.words.tokens(prompt)
        if not any(token != UNKNOWN and token.strip("#").isalnum() for token, _, _ in tokens):
            raise ValueError(f"prompt={shortened(prompt)!r} has no word that the model knows; it reads English")
        self.check_english(prompt)
        ordered = [match.group() for match in ORDERS.finditer(prompt)]
        found = parse(ORDERS.sub(lambda match: " " * len(match.group()), blanked(prompt)), self.spelling.mend,
                      self.concepts.place_like, self.concepts.mood_like, self.concepts.worn, self.concepts.person)
        subjects = tuple(self.with_nearest(asked) for asked in found.subjects)
        elements = tuple(self.element_with_nearest(element) for element in found.elements)
        notes = (*((note_of(prompt),) if made_up else ()),
                 *(f"{words!r} is an order, not something to draw; it is not followed" for words in ordered),
                 *self.notes(prompt, tokens, found, subjects, elements))
        brief = Brief(prompt, negative, tuple(token for token, _, _ in tokens), picture, subjects=subjects,
                      elements=elements, relations=tuple(found.relations), notes=notes, image_reference=seen,
                      video_reference=watched)
        if seed is None or (picture if watched is None else watched) is not None:
            return brief
        said = completed(brief, seed)
        tokens = tuple(token for token, _, _ in self.words.tokens(said))
        if said == prompt or len(tokens) > self.reach:
            return brief
        return dataclasses.replace(brief, completed=(prompt, said), tokens=tokens)

    def check_english(self, prompt: str) -> None:
        """Raises ValueError if most words are no English ones, by vocabulary and small words."""
        letters = [c for c in prompt if c.isalpha()]
        latin = sum("LATIN" in unicodedata.name(c, "") for c in letters)
        words = re.findall(r"[^\W\d_]{2,}", prompt.casefold())
        foreign = sum(word in FOREIGN for word in words)
        english = sum(word in LITTLE for word in words)
        if latin < ENGLISH * len(letters) or foreign > english and foreign >= max(1, 0.15 * len(words)):
            raise ValueError(f"prompt={shortened(prompt)!r} does not look like English, which is all "
                             "that the model reads")

    def with_nearest(self, asked: Asked) -> Asked:
        action = self.concepts.nearest("action", asked.action) if asked.action else None
        return dataclasses.replace(asked, nearest=self.concepts.nearest("subject", asked.name), nearest_action=action)

    def element_with_nearest(self, element: Element) -> Element:
        if element.role == "negation":
            return element
        return dataclasses.replace(element, nearest=self.concepts.nearest(element.role, element.name))

    def notes(self, prompt: str, tokens, found: Parse, subjects, elements) -> tuple[str, ...]:
        """What somebody who sees the film should know of how it was asked for."""
        notes = [f"{typed!r} is read as {read!r}" for typed, read in found.mended]
        said = [item for item in (*subjects, *elements) if item.role in ("subject", "setting", "style")]
        notes += [f"{item.name!r} is {item.nearest if item.nearest.similarity >= LIKE else 'not drawn'}"
                  for item in said if item.nearest and not item.nearest.drawn and self.is_strange(item)]
        if len(tokens) > self.reach:
            start = tokens[self.reach][1]
            notes.append(f"the text encoder reads {self.reach} tokens; beyond its reach, from character {start} on: "
                         f"{shortened(prompt[start:])!r}")
        return tuple(notes)

    def is_strange(self, item: Asked | Element) -> bool:
        """Whether the nearest concept is no kind of what was asked (a wildflower field is a field), nor scenery."""
        words = set(re.findall(r"\w+", item.name))
        return not words & SCENERY and not words <= set(item.nearest.name.split())


# Small words that tell languages apart; those that English shares are left out.
LITTLE = frozenset("the and of with in on at is are by over under from into through for to an as it no while night day "
                   "shot running red blue green white black".split())
FOREIGN = frozenset(
    "un una uno el los las del con en por para sobre y que perro gato playa noche rojo corre "
    "une le les du des dans sur avec et est au aux chien chat plage nuit rouge court qui "
    "ein eine einen einem einer der das dem den und mit im am auf ist hund katze strand nacht rot läuft durch über "
    "il lo gli di della che cane gatto spiaggia notte nel sulla uma os com na praia cachorro em noite "
    "een het van met op hond kat strand och på med som hund nie jest na w z pies kot".split()) \
    - {"den", "on", "am"}


def plain(name: str, text: str) -> str:
    """One form for each character (NFKC), nothing invisible, single spaces."""
    if not isinstance(text, str):
        raise ValueError(f"{name} is of type {type(text).__name__}; it takes a string")
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{name} has {len(text):,} characters; it takes up to {MAX_CHARACTERS:,}")
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    return "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")).strip()


def blanked(text: str) -> str:
    """Spaces where there are pictograms, markup and links, so that places in the text stay what they are."""
    text = MARKUP.sub(lambda match: " " * len(match.group()), text)
    return "".join("." if unicodedata.category(c) == "So" else " " if unicodedata.category(c) in ("Sk", "Mn") else c
                   for c in text)


def shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[:most - 1] + "…"
