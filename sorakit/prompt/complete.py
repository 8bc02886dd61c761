"""Says for a prompt what it leaves open and a film has to decide: what its subject does, and which way it goes.

A small model that is told neither makes of both ways one: a dog with two heads. Sora's makers have a language model
write long captions of short prompts (Betker et al. 2023, DALL-E 3; OpenAI 2024, "Video generation models as world
simulators"); here some words do, and the seed decides.
"""

from __future__ import annotations

import random
import re

from sorakit.prompt.grammar import lemma
from sorakit.types import Asked, Brief
from sorakit.world.captions import HEADINGS, KIND_VERBS, VERBS
from sorakit.world.scene import KINDS

GOES = {"run", "walk", "stroll", "jump", "fly", "swim", "drive", "sail"}      # to the left or to the right
RISES = {"rocket", "hot-air balloon"}
LIKE = 0.5            # least cosine at which a subject is drawn as the nearest kind
OBJECT = re.compile(r"(?i)\s+(?:an?|the|his|her|its|their|some|one|two|three)\b")          # "rides a horse"
NEAR = 5              # words after a subject among which its verb stands


def completed(brief: Brief, seed: int) -> str:
    """The prompt with what it leaves open put in: "a black cat in snow" to "a black cat walking to the left in snow".

    What is said stays, word for word. Of several subjects only what is said to do something gets a direction; they all
    get the same one. Nothing is added where something is not to be (a negation).
    """
    if brief.all("negation"):
        return brief.prompt
    heading = HEADINGS[random.Random(seed).choice(("left", "right"))][0]
    drawn = [asked for asked in brief.subjects if asked.nearest and asked.nearest.similarity >= LIKE
             and asked.nearest.name in KINDS]
    said = brief.prompt
    for asked in sorted(drawn, key=lambda asked: -asked.span[1]):              # from the end: places stay what they are
        place, words = _missing(said, asked, heading, alone=len(drawn) == 1)
        if words:
            said = f"{said[:place]} {words}{said[place:]}"
    return said


def _missing(prompt: str, asked: Asked, heading: str, alone: bool) -> tuple[int, str]:
    """Where in the prompt words about a subject are missing, and which."""
    kind = asked.nearest.name
    if asked.actions:
        action = asked.nearest_action.name if asked.nearest_action else ""
        place = _after_verb(prompt, asked)
        goes = action in GOES and not asked.direction and kind not in RISES and not OBJECT.match(prompt[place:])
        return place, heading if goes else ""
    if not alone or asked.direction:
        return asked.span[1], ""
    action = KINDS[kind].actions[0]
    verb = (KIND_VERBS.get((kind, action)) or VERBS[action])[0].gerund
    return asked.span[1], f"{verb} {heading}" if action in GOES and kind not in RISES else verb


def _after_verb(prompt: str, asked: Asked) -> int:
    """Where a subject's verb ends, or it itself if that comes before."""
    start = asked.span[1]
    for word in list(re.finditer(r"[^\W\d_]+", prompt[start:]))[:NEAR]:
        if lemma(word.group().lower(), "VERB") == asked.actions[0]:
            return start + word.end()
    return start
