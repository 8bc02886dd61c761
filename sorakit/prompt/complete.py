"""Says for a prompt what it leaves open and a film has to decide: what its subject does, which way it goes, what
colour it has or wears, and what light falls on it.

A small model that is told neither makes of both ways one: a dog with two heads. Sora's makers have a language model
write long captions of short prompts (Betker et al. 2023, DALL-E 3; OpenAI 2024, "Video generation models as world
simulators"); here some words do, and the seed decides.
"""

from __future__ import annotations

import random
import re

from sorakit.prompt.grammar import lemma
from sorakit.types import Asked, Brief
from sorakit.world.captions import CLOTHES, HEADINGS, KIND_VERBS, KIND_WORDS, VERBS
from sorakit.world.scene import KINDS, NO_TIME

GOES = {"run", "walk", "stroll", "jump", "fly", "swim", "drive", "sail"}      # to the left or to the right
RISES = {"rocket", "hot-air balloon"}
RESTS = {"parked", "resting", "sleeping", "lying", "standing", "asleep", "moored", "docked", "anchored", "perched",
         "stuck", "motionless"}
LIFELESS = {"still", "toy", "stuffed", "wooden"}
RESTING = re.compile(r"(?i)[\s,]*(?:(?:that|which|who)\s+)?(?:(?:is|are|was|were)\s+)?(?:at\s+anchor|"
                     rf"{'|'.join(sorted(RESTS))})\b")                                          # "a car that is parked"
OBJECT = re.compile(r"(?i)\s+(?:an?|the|his|her|its|their|some|one|two|three)\b|['\u2019]")       # "rides a horse"
COATS = [kind for kind, what in KINDS.items() if what.colours[0] == "brown"]
PLAIN = {"young", "old", "little", "small", "big", "large"}                   # that say nothing of colour
NEON = re.compile(r"(?i)\bneon[- ](?:lit|drenched|lights?|lamps?|signs?|glow)\b")
DAYTIME = re.compile(r"(?i)\b(?:sun\w*|day\w*|noon|midday|morning|afternoon|dusk|dawn|bright)\b")
DAY = 0.75            # how often it is day, rather than sunset, where nothing says so
NIGHTLY = re.compile(r"(?i)\b(?:moon\w*|star\w*|night\w*|dark\w*|evening|twilight|candle\w*|lantern\w*|lamp\w*|"
                     r"\w*lit|\w*light\w*|fire\w*|glow\w*|neon|aurora|storm\w*|futuristic|cyber\w*)\b")
WEARS = re.compile(r"(?i)\s+(?:in|wearing|dressed|clad|with|of|who|whose|that)\b|['\u2019]")        # "a man with a hat"
CLOTHES_COLOURS = ("red", "yellow", "blue", "green", "purple", "white")               # that show by day and by night
LIKE = 0.5            # least cosine at which an action is drawn as the nearest one
NEAR = 5              # words after a subject among which its verb stands


def completed(brief: Brief, seed: int) -> str:
    """The prompt with what it leaves open put in: "a cat in snow" to "a black cat walking to the left in snow by day".

    What is said stays, word for word. Whoever is said to move gets a direction, the same one for all, or that of one
    who has it already; verbs and colours are only put in for a subject that is alone, and a light where a place or
    weather is named. Nothing is added where something is not to be (a negation), or to what is drawn as something else.
    """
    if brief.all("negation"):
        return brief.prompt
    drawn = [asked for asked in brief.subjects if asked.nearest and asked.nearest.drawn and asked.nearest.name in KINDS]
    told, missing = {asked.direction for asked in brief.subjects} - {""}, _light(brief, seed)
    if told <= {"left", "right"} and len(told) < 2:
        heading = HEADINGS[told.pop() if told else random.Random(int(seed)).choice(("left", "right"))][0]
        missing += [_missing(brief, asked, heading) for asked in drawn]
    if len(brief.subjects) == 1:
        missing += [_colour(brief, asked, random.Random(f"colour {int(seed)}")) for asked in drawn]
    said = brief.prompt
    for place, words in sorted(missing, key=lambda one: one[0], reverse=True):  # from the end: places stay
        if words:
            said = f"{said[:place]} {words}{said[place:]}"
    return said


def _light(brief: Brief, seed: int) -> list[tuple[int, str]]:
    """Night, after the first place that neon lights, and day or sunset elsewhere, if no time is said or hinted at."""
    places = [place for place in brief.all("setting") if place.nearest and place.nearest.name not in NO_TIME]
    if brief.all("time") or DAYTIME.search(brief.prompt):
        return []
    if NEON.search(brief.prompt):
        return [(place.span[1], "at night") for place in places[:1]]
    open_air = [place for place in places if place.nearest.drawn] if brief.all("setting") else brief.all("weather")
    if NIGHTLY.search(brief.prompt) or brief.all("style"):
        return []
    time = "by day" if random.Random(f"light {int(seed)}").random() < DAY else "at sunset"
    return [(place.span[1], time) for place in open_air[:1]]


def _colour(brief: Brief, asked: Asked, draw: random.Random) -> tuple[int, str]:
    """What somebody wears whose clothes are not said ("in red"), or an animal's coat ("brown", before the noun)."""
    kind, (start, end) = asked.nearest.name, asked.span
    names = {one for one, _ in KIND_WORDS[kind].nouns} | {"girl", "boy", "people"}        # not a bride or a dalmatian
    if asked.name not in names or asked.colour or {*asked.attributes} - PLAIN - {*KIND_WORDS[kind].flavours}:
        return end, ""
    if kind in CLOTHES:
        at_a_place = any(0 <= place.span[0] - end < len(" in the ") for place in brief.all("setting"))
        said = not at_a_place and WEARS.match(brief.prompt, end)
        return end, "" if said else f"in {draw.choice(CLOTHES_COLOURS)}"
    before = " ".join(brief.prompt[start:end].split(" ")[:-len(asked.name.split())])
    if kind not in COATS or not before or before.lower().endswith("an") or brief.prompt[end:end + 1] in ("'", "\u2019"):
        return end, ""
    return start + len(before), draw.choice(KINDS[kind].colours[:4])


def _missing(brief: Brief, asked: Asked, heading: str) -> tuple[int, str]:
    """Where in the prompt words about a subject are missing, and which."""
    kind, end = asked.nearest.name, asked.span[1]
    own = {*asked.attributes, *asked.words.lower().split()}
    if asked.direction or own & (RESTS | LIFELESS) or RESTING.match(brief.prompt, end):
        return end, ""
    if asked.actions:
        place = _after_verb(brief, asked)
        goes = asked.nearest_action and asked.nearest_action.similarity >= LIKE and asked.nearest_action.name in GOES
        return place or end, heading if goes and place and kind not in RISES else ""
    others = [other for other in brief.subjects if other is not asked and other.nearest and other.nearest.drawn]
    done_to = any(relation.object == asked.name for relation in brief.relations)
    if others or done_to or OBJECT.match(brief.prompt[end:]):
        return end, ""
    action = KINDS[kind].actions[0]
    verb = (KIND_VERBS.get((kind, action)) or VERBS[action])[0].gerund
    return end, f"{verb} {heading}" if action in GOES and kind not in RISES else verb


def _after_verb(brief: Brief, asked: Asked) -> int:
    """Where a subject's verb ends (or it itself, if the verb comes before), unless an object follows; else 0."""
    prompt, (start, end) = brief.prompt, asked.span
    says = lambda word: lemma(word.group().lower(), "VERB") == asked.actions[0]
    words = lambda text: list(re.finditer(r"[^\W\d_]+", text))
    place = next((end + word.end() for word in words(prompt[end:])[:NEAR] if says(word)), 0)
    if not place and any(map(says, words(prompt[start:end]))):
        place = end
    follows = any(other.span[0] - place in (0, 1) for other in brief.subjects if other is not asked)
    return 0 if not place or follows or OBJECT.match(prompt[place:]) else place
