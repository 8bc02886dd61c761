"""Puts a scene into words, in many ways: any part of it may be left unsaid, the usual more often than the unusual.

Reads top to bottom: `caption` picks a way of writing, the ways follow, then their parts, then the tables of words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np

from .scene import KINDS, NO_TIME, NO_WEATHER, Scene, Subject


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """One English description of a scene, from "a dog" to a few sentences; the same state of rng gives the same words.

    Parts go unsaid at random (`SAID`), so that a model learns that what is not asked for is free.
    """
    pen = _Pen(rng, scene)
    told = _told(scene, pen)
    write = pen.pick(_WAYS)
    return _finish(write(scene, told, pen), pen, sentence=write is _sentences)


SAID = {  # how often a part is said: when it is the usual, when it is not
    "setting": (0.88, 0.88), "time": (0.40, 0.85), "weather": (0.05, 0.92), "style": (0.05, 0.93),
    "mood": (0.04, 0.88), "camera": (0.05, 0.88), "size": (0.03, 0.85), "speed": (0.02, 0.80),
    "direction": (0.0, 0.75), "colour": (0.78, 0.78), "action": (0.85, 0.85),
}
USUAL = {"time": "day", "weather": "clear", "style": "natural", "mood": "neutral", "camera": "static",
         "size": "medium", "speed": "normal", "direction": "still"}


class _Pen:
    """The writer's hand: all chance in one place, on plain floats, as `rng.choice` would cost more than the caption."""

    def __init__(self, rng, scene):
        self.random = rng.random
        self.brief = self.chance(0.06)                               # now and then hardly anything is said
        self.futuristic = scene.style == "cyberpunk" and self.chance(0.5)  # things may be called after the style

    def chance(self, p):
        return self.random() < p

    def says(self, part, value):
        return self.random() < SAID[part][value != USUAL.get(part)] * (0.3 if self.brief else 1)

    def pick(self, options):
        return options[int(self.random() * len(options))]

    def pick_first(self, options):
        """The first option half of the time, as the plainest word is the commonest."""
        return options[0] if self.random() < 0.5 else self.pick(options)

    def shuffle(self, items):
        return sorted(items, key=lambda _: self.random())


def _told(scene, pen):
    """The parts of the scene that will be said, out of those that can be seen in it."""
    unseen = ("time",) * (scene.setting in NO_TIME) + ("weather",) * (scene.setting in NO_WEATHER)
    return [part for part in ("setting", "time", "weather", "style", "mood", "camera")
            if part not in unseen and pen.says(part, getattr(scene, part))]


# --- ways of writing --------------------------------------------------------------------------


def _sentences(scene, told, pen):
    """ "At dusk, a red car speeds along a highway. The camera follows it." """
    front, after, closing = [], [], []
    for part in pen.shuffle(_manner(told)):
        words = MANNERS[part][getattr(scene, part)]
        if pen.chance(0.45):
            closing.append(pen.pick(words.closings).replace("THEM", _them(scene, pen)))
            continue
        tail = pen.pick(words.tails)
        (front if tail.startswith("in ") and not front and pen.chance(0.4) else after).append(tail)
    core = _core(scene, told, pen, finite=True, fronted=bool(front))
    return ". ".join([", ".join([*front, core, *after]), *closing])


def _phrase(scene, told, pen):
    """ "tracking shot of a brown dog running through a forest at dawn, dreamy mood" """
    text = _core(scene, told, pen, finite=False)
    tails = pen.shuffle(_manner(told))
    if tails and pen.chance(0.6):
        shot, tails = _shot(scene, tails, pen)
        text = f"{shot} of {text}"
    elif not pen.brief and pen.chance(0.25):
        text = f"{pen.pick(FOOTAGE)} of {text}"
    return ", ".join([text, *(pen.pick(MANNERS[part][getattr(scene, part)].tails) for part in tails)])


def _labels(scene, told, pen):
    """ "style: sketch, a boat on the open sea, camera: zoom in" """
    parts = [_core(scene, told, pen, finite=False)]
    for part in _manner(told):
        label = f"{part}: {getattr(scene, part)}"
        parts = [label, *parts] if pen.chance(0.4) else [*parts, label]
    return pen.pick((", ", ". ", "; ", " | ")).join(parts)


def _tags(scene, told, pen):
    """ "two white horses, snowfield, night, film noir" """
    first = []
    for subject in scene.subjects:
        doing = [_doing(subject, pen, finite=False)] if not pen.brief and pen.chance(0.5) else []
        first.append(" ".join([_noun(subject, pen, article=False), *doing]))
    rest = [pen.pick_first(PLACES[scene.setting].tags)] if "setting" in told or not first else []
    rest += [pen.pick(WHENS[part][getattr(scene, part)].tags) for part in ("time", "weather") if part in told]
    rest += [pen.pick(MANNERS[part][getattr(scene, part)].tails) for part in _manner(told)]
    if rest and pen.chance(0.08):
        rest.append(pen.pick(("highly detailed", "high quality", "beautiful", "4k", "short clip")))
    return ", ".join(first + pen.shuffle(rest) if pen.chance(0.9) else pen.shuffle(first + rest))


_WAYS = (_sentences,) * 9 + (_phrase,) * 8 + (_tags,) * 3 + (_labels,)


def _manner(told):
    return [part for part in ("style", "mood", "camera") if part in told]


def _shot(scene, parts, pen):
    """ "a dreamy watercolour painting", and the parts that it leaves unsaid."""
    named = next((part for part in parts if part != "mood"), None)
    shot = pen.pick(MANNERS[named][getattr(scene, named)].shots if named else FOOTAGE)
    if "mood" in parts:
        shot = _with_adjective(shot, pen.pick(MANNERS["mood"][scene.mood].shots))
    if pen.chance(0.4):
        shot = shot.removeprefix("a ")
    return shot, [part for part in parts if part not in (named, "mood")]


def _them(scene, pen):
    """What a camera follows: "the dog", "the dogs", "it"; the place, where there is no subject."""
    if len(scene.subjects) != 1:
        return "them" if scene.subjects else "the scene"
    subject, = scene.subjects
    if pen.chance(0.3):
        return "it" if subject.count == 1 and subject.kind not in CLOTHES else "them"
    return "the " + KIND_WORDS[subject.kind].nouns[0][subject.count > 1]


def _finish(text, pen, sentence):
    """Articles, capitals and the full stop."""
    text = _AN.sub("an ", text)
    look = pen.random()
    if look < 0.12:
        text = text.lower()
    elif look < 0.15 and not sentence:
        return text.title()
    elif look < (0.95 if sentence else 0.5):
        text = ". ".join(part[0].upper() + part[1:] for part in text.split(". "))
    return text + "." if ". " in text or pen.chance(0.75 if sentence else 0.15) else text


_AN = re.compile(r"\ba (?=[aeio8]|u(?!ni))")


# --- the core: who does what, where and when --------------------------------------------------


def _core(scene, told, pen, finite, fronted=False):
    """Subjects, place, time and weather: a clause if finite ("a dog runs"), otherwise a phrase ("a dog running")."""
    adjective, when = _when(scene, told, pen)
    if not scene.subjects:
        view = pen.pick(NEON.get(scene.setting, VIEWS[scene.setting]) if pen.futuristic else VIEWS[scene.setting])
        opening = pen.pick(("this is ", "we see ", "the film shows ", "the video shows ", "", "")) if finite else ""
        return " ".join([opening + _with_adjective(view, adjective), *when])
    subjects = scene.subjects
    if len(subjects) == 2 and pen.chance(0.05):
        subjects = subjects[:1]
    acting = finite or pen.says("action", None)
    around = when
    if "setting" in told:
        if not finite and scene.setting not in NO_TIME and pen.chance(0.12):  # "a rainy street with a car"
            seen = " and ".join(_act(subject, pen, finite, acting) for subject in subjects)
            views = [view for view in VIEWS.get(scene.setting, ()) if "empty" not in view]
            place = (_with_adjective(pen.pick(views), adjective) if views and pen.chance(0.5)
                     else _name(scene, adjective, pen))
            return " ".join([place, *when, "with", seen])
        around = [_place(scene, subjects, acting, adjective, pen), *when]
    who = _who(subjects, pen, finite, acting)
    if finite and around and not fronted and pen.chance(0.22):
        front = around.pop(int(pen.random() * len(around)))
        return f"{front}, {' '.join([who, *around])}"
    return " ".join([who, *around])


def _who(subjects, pen, finite, acting):
    """One subject or two, and what they do."""
    if len(subjects) == 1:
        if finite and pen.chance(0.06):
            there = "there is" if subjects[0].count == 1 else "there are"
            return f"{there} {_act(subjects[0], pen, False, acting)}"
        return _act(subjects[0], pen, finite, acting)
    a, b = subjects if pen.chance(0.6) else subjects[::-1]
    if not acting or pen.chance(0.5):                                # a man walks beside a dog
        return f"{_act(a, pen, finite, acting)} {_beside(a, b, pen)} {_noun(b, pen)}"
    joint = pen.pick(("while", "as", "and") if finite else ("and", "with", "beside"))
    return f"{_act(a, pen, finite, acting)} {joint} {_act(b, pen, finite, acting)}"


def _beside(a, b, pen):
    high_a, high_b = _airborne(a), _airborne(b)
    if high_a == high_b:
        return pen.pick(("beside", "next to", "near", "with", "alongside"))
    return pen.pick(("above", "over", "with", "near") if high_a else ("under", "below", "with", "near"))


def _airborne(subject):
    return subject.action == "fly" or subject.action == "float" and KINDS[subject.kind].medium == "air"


def _act(subject, pen, finite, acting):
    """A subject and what it does: "two dogs run to the left", or if not finite "two dogs running to the left"."""
    who = _noun(subject, pen)
    return f"{who} {_doing(subject, pen, finite)}" if acting else who


def _doing(subject, pen, finite):
    """ "runs quickly to the left", or if not finite "running quickly to the left"."""
    verbs = KIND_VERBS.get((subject.kind, subject.action)) or VERBS[subject.action]
    verb = verbs[0] if subject.speed == "slow" else pen.pick_first(verbs)  # a slow dog runs, but does not dash
    adverb = ""
    if subject.action != "sit" and pen.says("speed", subject.speed):
        if (subject.speed, subject.action) in SPEED_VERBS and pen.chance(0.5):
            verb = pen.pick(SPEED_VERBS[subject.speed, subject.action])
        else:
            adverb = pen.pick(SPEED_WORDS[subject.speed])
    heading = ""
    if subject.direction != "still" and " " not in verb.plural and pen.says("direction", subject.direction):
        heading = pen.pick(HEADINGS[subject.direction])
    return " ".join(filter(None, [_conjugated(verb, subject.count, pen, finite), adverb, heading]))


def _conjugated(verb, count, pen, finite):
    if not finite:
        return verb.gerund
    if pen.chance(0.3):
        return f"{'is' if count == 1 else 'are'} {verb.gerund}"
    return verb.singular if count == 1 else verb.plural


def _noun(subject, pen, article=True):
    """ "a small red car", "three women in blue", "the dog"; without article "red car"."""
    noun = pen.pick_first(KIND_WORDS[subject.kind].nouns)[subject.count > 1]
    before, after = _qualities(subject, noun, pen)
    if subject.count > 1:
        before = before if pen.chance(0.3) else [pen.pick(NUMBERS[subject.count]), *before]     # "seagulls"
    elif article:
        before = ["the" if pen.chance(0.03) else "a", *before]
    return " ".join([*before, noun, *after])


def _qualities(subject, noun, pen):
    """Size, colour and an adjective that changes nothing: the words before the noun, and those after it."""
    before, after = [], []
    people = subject.kind in CLOTHES
    if pen.says("size", subject.size):
        before.append(pen.pick((PEOPLE_SIZES if people else SIZES)[subject.size]))
    words = KIND_WORDS[subject.kind]
    if pen.futuristic and subject.kind in FUTURISTIC and pen.chance(0.4):
        before.append("futuristic")
    elif not pen.brief and pen.chance(0.1) and not any(flavour in noun for flavour in words.flavours):
        before.append(pen.pick(words.flavours))
    if words.coloured and pen.says("colour", subject.colour):
        colour = pen.pick_first(COLOURS[subject.colour])
        if not people:
            before.append(colour)
        elif subject.count == 1 and pen.chance(0.6):
            after.append(f"{pen.pick(('in', 'wearing'))} a {colour} {pen.pick(CLOTHES[subject.kind])}")
        else:
            after.append(f"{pen.pick(('in', 'wearing', 'dressed in'))} {colour}")
    return before, after


def _when(scene, told, pen):
    """An adjective for the place ("rainy", or ""), and the adverbials for what it leaves of time and weather."""
    adjective, when = "", []
    for part, share in (("weather", 0.3), ("time", 0.15)):
        if part not in told:
            continue
        words = WHENS[part][getattr(scene, part)]
        if not adjective and ("setting" in told or not scene.subjects) and pen.chance(share):
            adjective = pen.pick(words.adjectives)
        else:
            when.append(pen.pick_first(words.adverbials))
    return adjective, pen.shuffle(when)


def _place(scene, subjects, acting, adjective, pen):
    """ "through a rainy forest": the preposition fits what a single subject does, if that is said."""
    place = PLACES[scene.setting]
    if place.ready and not adjective and pen.chance(0.5):
        return pen.pick_first(place.ready)
    moving = acting and len(subjects) == 1 and subjects[0].action not in ("sit", "dance", "jump", "rotate")
    if any(KINDS[subject.kind].medium == "water" for subject in subjects):
        prepositions = ("across", "on") if moving and subjects[0].action == "sail" else ("on",)
    elif moving and _airborne(subjects[0]):
        prepositions = place.over
    else:
        prepositions = place.through if moving and pen.chance(0.75) else place.at
    return f"{pen.pick_first(prepositions)} {_name(scene, adjective, pen)}"


def _name(scene, adjective, pen):
    names = PLACES[scene.setting].names
    return _with_adjective(pen.pick_first(NEON.get(scene.setting, names) if pen.futuristic else names), adjective)


def _with_adjective(noun, adjective):
    """The adjective goes behind the article, if there is one; never twice ("a snowy snowy field")."""
    if not adjective or adjective in noun:
        return noun
    article, _, rest = noun.partition(" ")
    return f"{article} {adjective} {rest}" if article in ("a", "the") else f"{adjective} {noun}"


# --- words for subjects -----------------------------------------------------------------------


class _KindWords(NamedTuple):
    nouns: tuple[tuple[str, str], ...]  # (one, several); the plainest first
    flavours: tuple[str, ...]           # adjectives that change nothing
    coloured: bool = True               # whether its colour is worth saying


def _kind(nouns, flavours, coloured=True):
    """From "dog, pup, wolf/wolves" and "happy, playful"."""
    pairs = []
    for noun in nouns.split(", "):
        one, _, several = noun.partition("/")
        pairs.append((one, several or one + "s"))
    return _KindWords(tuple(pairs), tuple(flavours.split(", ")), coloured)


KIND_WORDS = {
    "golden retriever": _kind("golden retriever, retriever, golden retriever dog, golden retriever puppy/"
                              "golden retriever puppies", "happy, friendly, beautiful, playful", coloured=False),
    "dog": _kind("dog, puppy/puppies, hound, pup, doggy/doggies", "cute, playful, happy, fluffy, lively"),
    "cat": _kind("cat, kitten, kitty/kitties, house cat, feline", "cute, curious, fluffy, elegant"),
    "horse": _kind("horse, pony/ponies, stallion, mare, steed", "majestic, wild, beautiful, strong"),
    "unicorn": _kind("unicorn, magical horse, magical unicorn, mystical creature, horse with a horn/horses with horns",
                     "magical, mythical, graceful, beautiful"),
    "dragon": _kind("dragon, mystical creature, mythical beast, winged beast, winged dragon",
                    "mighty, fearsome, mythical, fire-breathing, ancient"),
    "bird": _kind("bird, songbird, sparrow, wild bird", "graceful, lone, wild, beautiful"),
    "seagull": _kind("seagull, gull, sea bird, seabird", "graceful, lone, wild, soaring", coloured=False),
    "butterfly": _kind("butterfly/butterflies, pretty butterfly/pretty butterflies, winged insect",
                       "delicate, beautiful, pretty, graceful"),
    "fish": _kind("fish/fish, tropical fish/tropical fish, reef fish/reef fish", "shiny, pretty, curious, graceful"),
    "woman": _kind("woman/women, lady/ladies, young woman/young women, stylish woman/stylish women, "
                   "person/people, female figure", "stylish, elegant, fashionable, graceful"),
    "man": _kind("man/men, guy, young man/young men, gentleman/gentlemen, person/people", "stylish, cool, smart"),
    "child": _kind("child/children, kid, toddler, youngster, young child/young children", "happy, playful, cute"),
    "dancer": _kind("dancer, ballerina, ballet dancer, performer, stage dancer", "graceful, elegant, talented"),
    "robot": _kind("robot, android, humanoid robot, machine, droid", "shiny, friendly, metal"),
    "car": _kind("car, automobile, sports car, vehicle, motor car, sedan", "shiny, sleek, stylish, modern"),
    "boat": _kind("boat, sailboat, ship, sailing boat, yacht, vessel", "wooden, lone, pretty, sturdy"),
    "train": _kind("train, railway train, passenger train, locomotive", "long, old, modern, passing"),
    "bicycle": _kind("bicycle, bike, cycle, push bike, city bike", "shiny, old, stylish, vintage"),
    "hot-air balloon": _kind("hot-air balloon, hot air balloon, balloon, air balloon",
                             "colourful, beautiful, round, floating"),
    "rocket": _kind("rocket, spaceship, space rocket, rocket ship, spacecraft", "shiny, powerful, mighty"),
    "planet": _kind("planet, world, globe, alien planet", "distant, mysterious, strange, beautiful"),
}

CLOTHES = {  # people and dancers wear their colour
    "woman": ("dress", "coat", "jacket", "outfit"), "man": ("jacket", "coat", "shirt", "suit"),
    "child": ("jacket", "coat", "shirt", "jumper"), "dancer": ("costume", "outfit", "dress"),
}

COLOURS = {
    "red": ("red", "bright red", "crimson", "scarlet"), "orange": ("orange", "bright orange", "tangerine"),
    "yellow": ("yellow", "bright yellow", "lemon yellow"), "green": ("green", "bright green", "emerald green"),
    "blue": ("blue", "bright blue", "royal blue"), "purple": ("purple", "violet", "deep purple"),
    "pink": ("pink", "bright pink", "rosy pink"), "brown": ("brown", "dark brown", "chestnut brown"),
    "black": ("black", "jet black", "pitch-black"), "white": ("white", "snow-white", "pure white"),
    "grey": ("grey", "gray", "silver grey"), "golden": ("golden", "gold", "honey-coloured"),
}
SIZES = {"small": ("small", "little", "tiny"), "medium": ("medium-sized", "mid-sized"),
         "large": ("large", "big", "huge", "giant")}
PEOPLE_SIZES = {"small": ("small", "short"), "medium": ("medium-sized",), "large": ("tall", "big")}
NUMBERS = {2: ("two", "two", "a pair of", "a couple of", "2"), 3: ("three", "three", "a group of three", "3")}


# --- words for actions ------------------------------------------------------------------------


class _Verb(NamedTuple):
    plural: str    # run
    singular: str  # runs
    gerund: str    # running


def _verbs(text):
    """From "run running, dash dashing, blast+off blasting+off"; only the first word is inflected."""
    verbs = []
    for pair in text.split(", "):
        plural, gerund = pair.replace("+", "_").split(" ")
        first, _, rest = plural.partition("_")
        if first.endswith("y") and first[-2] not in "aeo":
            inflected = first[:-1] + "ies"
        else:
            inflected = first + ("es" if first.endswith(("s", "sh", "ch", "x", "o")) else "s")
        verbs.append(_Verb(*(word.replace("_", " ").strip() for word in (plural, f"{inflected}_{rest}", gerund))))
    return tuple(verbs)


VERBS = {
    "run": _verbs("run running, race racing, dash dashing, sprint sprinting"),
    "walk": _verbs("walk walking, stride striding, step stepping, wander wandering"),
    "stroll": _verbs("stroll strolling, saunter sauntering, amble ambling, promenade promenading"),
    "jump": _verbs("jump jumping, leap leaping, hop hopping, bounce bouncing"),
    "sit": _verbs("sit sitting, rest resting, sit+still sitting+still"),
    "dance": _verbs("dance dancing, perform+a+dance performing+a+dance, sway swaying, groove grooving"),
    "rotate": _verbs("rotate rotating, spin spinning, turn turning, revolve revolving"),
    "fly": _verbs("fly flying, soar soaring, glide gliding, flap flapping"),
    "swim": _verbs("swim swimming, glide gliding, dart darting, drift drifting"),
    "drive": _verbs("drive driving, cruise cruising, roll rolling, travel travelling"),
    "sail": _verbs("sail sailing, glide gliding, cruise cruising, travel travelling"),
    "float": _verbs("float floating, drift drifting, hover hovering"),
}
KIND_VERBS = {  # where the kind changes the words
    ("horse", "run"): _verbs("run running, gallop galloping, race racing, canter cantering"),
    ("unicorn", "run"): _verbs("run running, gallop galloping, race racing, canter cantering"),
    ("horse", "walk"): _verbs("walk walking, trot trotting, wander wandering"),
    ("unicorn", "walk"): _verbs("walk walking, trot trotting, wander wandering"),
    ("dog", "walk"): _verbs("walk walking, trot trotting, wander wandering, pad padding"),
    ("cat", "walk"): _verbs("walk walking, prowl prowling, wander wandering, pad padding"),
    ("dragon", "walk"): _verbs("walk walking, stride striding, stomp stomping, appear appearing"),
    ("unicorn", "fly"): _verbs("fly flying, soar soaring, glide gliding"),
    ("butterfly", "fly"): _verbs("fly flying, flutter fluttering, flit flitting"),
    ("rocket", "fly"): _verbs("fly flying, blast+off blasting+off, lift+off lifting+off, launch launching, "
                              "shoot+up shooting+up"),
    ("dancer", "dance"): _verbs("dance dancing, perform performing, perform+a+dance performing+a+dance, sway swaying"),
    ("dancer", "rotate"): _verbs("spin spinning, twirl twirling, pirouette pirouetting, turn turning"),
    ("train", "drive"): _verbs("travel travelling, roll rolling, rush rushing, pass passing, rumble rumbling"),
    ("bicycle", "drive"): _verbs("roll rolling, ride riding, travel travelling, move moving"),
    ("boat", "float"): _verbs("float floating, drift drifting, bob bobbing"),
}
SPEED_VERBS = {
    ("slow", "run"): _verbs("jog jogging, trot trotting"), ("slow", "walk"): _verbs("amble ambling, plod plodding"),
    ("slow", "drive"): _verbs("crawl crawling, creep creeping"),
    ("fast", "run"): _verbs("race racing, sprint sprinting, dash dashing, bolt bolting"),
    ("fast", "walk"): _verbs("hurry hurrying, rush rushing"),
    ("fast", "drive"): _verbs("speed speeding, race racing, zoom zooming, rush rushing"),
    ("fast", "fly"): _verbs("shoot shooting, zoom zooming, race racing"),
    ("fast", "swim"): _verbs("dart darting, race racing"), ("fast", "sail"): _verbs("speed speeding, race racing"),
}
SPEED_WORDS = {
    "slow": ("slowly", "gently", "at a slow pace", "unhurriedly", "very slowly"),
    "normal": ("at a steady pace", "steadily"),
    "fast": ("quickly", "fast", "rapidly", "at high speed", "at full speed", "very fast"),
}
HEADINGS = {
    "left": ("to the left", "leftwards", "from right to left", "towards the left", "left"),
    "right": ("to the right", "rightwards", "from left to right", "towards the right", "right"),
    "up": ("upwards", "up", "into the sky", "skywards", "higher and higher"),
    "down": ("downwards", "down", "lower and lower"),
}


# --- words for places, times and weathers -----------------------------------------------------


class _Place(NamedTuple):
    names: tuple[str, ...]
    at: tuple[str, ...]         # prepositions of one who stays
    through: tuple[str, ...]    # of one who moves on the ground
    over: tuple[str, ...]       # of one who flies
    tags: tuple[str, ...]
    ready: tuple[str, ...] = ()  # whole adverbials


PLACES = {
    "wildflower field": _Place(
        ("a field of wildflowers", "a wildflower field", "a flower meadow", "a meadow full of flowers",
         "a blooming meadow", "a field full of wild flowers"),
        ("in",), ("through", "across"), ("over", "above", "across"),
        ("wildflower field", "wildflowers", "flower meadow", "field of flowers")),
    "beach": _Place(
        ("a beach", "a sandy beach", "the beach", "the seashore", "a sandy shore", "a serene beach"),
        ("on", "at"), ("along", "across"), ("over", "above", "across"),
        ("beach", "sandy beach", "seaside", "seashore"), ("by the sea", "at the seaside", "on the shore")),
    "city street": _Place(
        ("a city street", "a street in the city", "a downtown street", "a busy city street", "a city avenue"),
        ("on", "in"), ("down", "along", "through"), ("over", "above", "along"),
        ("city street", "city", "downtown", "urban street")),
    "tokyo street": _Place(
        ("a Tokyo street", "a street in Tokyo", "a neon-lit Tokyo street", "a Tokyo street lined with neon signs",
         "a Tokyo street lined with warm glowing neon lights", "a Japanese city street", "a narrow street in Tokyo"),
        ("on", "in"), ("along", "down", "through"), ("over", "above"),
        ("Tokyo street", "Tokyo", "street in Tokyo", "neon-lit Tokyo street")),
    "highway": _Place(
        ("a highway", "a motorway", "the highway", "a freeway", "a open road", "a wide road"),
        ("on",), ("along", "down"), ("over", "above"), ("highway", "motorway", "open road", "freeway")),
    "forest": _Place(
        ("a forest", "the woods", "a woodland", "a dense forest", "the forest", "a green forest"),
        ("in",), ("through", "into"), ("over", "above", "through"), ("forest", "woods", "woodland", "trees")),
    "mountain lake": _Place(
        ("a mountain lake", "a lake in the mountains", "a alpine lake", "a calm mountain lake",
         "a lake surrounded by mountains"),
        ("by", "beside", "at"), ("by", "beside", "along the shore of", "past"), ("over", "above", "across"),
        ("mountain lake", "lake and mountains", "alpine lake", "mountains")),
    "desert": _Place(
        ("a desert", "the desert", "a sandy desert", "desert dunes", "sand dunes", "a wide desert"),
        ("in",), ("through", "across"), ("over", "above", "across"), ("desert", "sand dunes", "dunes")),
    "snowfield": _Place(
        ("a snowfield", "a snowy field", "a field of snow", "a snow-covered plain", "a snowy landscape", "deep snow",
         "snow", "the snow"),
        ("in",), ("through", "across"), ("over", "above", "across"),
        ("snowfield", "snowy field", "snowy landscape", "field of snow")),
    "open sea": _Place(
        ("the open sea", "the ocean", "the sea", "the open ocean", "the waves", "a wide ocean"),
        ("on",), ("across",), ("over", "above", "across"), ("open sea", "ocean", "sea", "waves"),
        ("at sea", "out at sea", "far out at sea")),
    "underwater": _Place(
        ("the deep blue sea", "clear blue water", "the depths of the ocean"),
        ("in",), ("through",), ("through",), ("underwater", "under the sea", "deep sea"),
        ("underwater", "under the sea", "beneath the waves", "under water", "below the surface of the sea")),
    "outer space": _Place(
        ("outer space", "space", "deep space", "the cosmos"), ("in",), ("through",), ("through", "across"),
        ("outer space", "space", "cosmos", "stars"), ("in outer space", "in space", "among the stars")),
    "stage": _Place(
        ("a stage", "a theatre stage", "the stage", "a lit stage"), ("on",), ("across",), ("over",),
        ("stage", "theatre", "on stage"), ("on stage", "on a stage", "under the stage lights")),
    "park": _Place(
        ("a park", "the park", "a city park", "a green park", "a public garden"),
        ("in",), ("through", "across"), ("over", "above", "across"), ("park", "city park", "green park")),
}
FUTURISTIC = ("car", "robot", "train", "rocket", "bicycle")  # what may be called so in the cyberpunk style
NEON = {  # what a place may be called in that style
    "city street": ("a futuristic city", "a futuristic city street", "a neon-lit street", "a cyberpunk city"),
    "tokyo street": ("a futuristic Tokyo street", "a neon-drenched Tokyo street", "a cyberpunk street in Tokyo"),
    "highway": ("a neon-lit highway", "a futuristic highway", "a glowing highway"),
}
VIEWS = {  # a place with nobody in it
    "wildflower field": ("a field of wildflowers", "wildflowers swaying in the wind", "a flower meadow",
                         "a meadow full of wild flowers", "a landscape with wildflowers", "a wildflower field"),
    "beach": ("a beach", "waves on a beach", "gentle waves lapping the shore", "a serene beach with gentle waves",
              "a empty sandy beach", "waves crashing on a beach"),
    "city street": ("a cityscape", "a empty city street", "a city street", "a street in the city", "a city scene",
                    "a view of the city"),
    "tokyo street": ("a street in Tokyo", "a Tokyo street", "a Tokyo street with neon signs", "a neon-lit Tokyo street",
                     "a Tokyo street lined with warm glowing neon lights", "a cityscape of Tokyo"),
    "highway": ("a empty highway", "a highway", "a motorway", "a long open road", "a view of a highway"),
    "forest": ("a forest scene", "a forest", "trees swaying in the wind", "the woods", "a quiet forest",
               "a view of a forest"),
    "mountain lake": ("a mountain lake", "a lake in the mountains", "a calm alpine lake", "a mountain landscape",
                      "a landscape with a lake and mountains", "mountains around a lake"),
    "desert": ("a desert", "sand dunes", "a empty desert", "a desert landscape", "a view of desert dunes"),
    "snowfield": ("a snowfield", "a snowy landscape", "a field of snow", "a winter landscape",
                  "a snow-covered plain"),
    "open sea": ("the open sea", "ocean waves", "the ocean", "waves on the open sea", "a view of the sea",
                 "waves rolling across the ocean"),
    "park": ("a park", "a empty park", "a green park", "a park scene", "a view of a park"),
}


class _When(NamedTuple):
    adverbials: tuple[str, ...]
    adjectives: tuple[str, ...]
    tags: tuple[str, ...]


WHENS = {
    "time": {
        "dawn": _When(("at dawn", "at sunrise", "at daybreak", "in the early morning", "in the early morning light",
                       "as the sun rises", "at first light"),
                      ("early-morning", "dawn-lit"), ("dawn", "sunrise", "early morning", "morning light")),
        "day": _When(("during the day", "in daylight", "by day", "in the daytime", "in broad daylight", "at midday"),
                     ("daytime", "daylit"), ("day", "daytime", "daylight", "midday")),
        "sunset": _When(("at sunset", "at dusk", "in the golden hour", "as the sun goes down", "as the sun sets",
                         "with the sun setting in the background", "in the evening light", "at golden hour"),
                        ("sunset", "dusky"), ("sunset", "dusk", "golden hour", "evening light", "sun setting")),
        "night": _When(("at night", "after dark", "by night", "at nighttime", "under the night sky", "in the dark",
                        "late at night"),
                       ("nighttime", "dark"), ("night", "nighttime", "night sky", "dark")),
    },
    "weather": {
        "clear": _When(("under a clear sky", "in clear weather", "under a cloudless sky"), ("clear",),
                       ("clear sky", "clear weather")),
        "rain": _When(("in the rain", "in heavy rain", "as rain falls", "in a downpour", "in rainy weather",
                       "while it is raining", "in pouring rain"),
                      ("rainy", "rain-soaked", "wet"), ("rain", "rainy", "heavy rain", "raining")),
        "snow": _When(("in the snow", "in falling snow", "as snow falls", "while it is snowing", "in a snowstorm",
                       "with snowflakes drifting down"),
                      ("snowy", "wintry"), ("snow", "snowing", "falling snow", "snowflakes")),
        "fog": _When(("in the fog", "in thick fog", "in the mist", "in foggy weather", "shrouded in fog"),
                     ("foggy", "misty"), ("fog", "mist", "foggy", "misty")),
    },
}


# --- words for style, mood and camera ---------------------------------------------------------


class _Manner(NamedTuple):
    shots: tuple[str, ...]     # before "of"; for a mood, an adjective
    tails: tuple[str, ...]     # after a comma
    closings: tuple[str, ...]  # a sentence of its own


FOOTAGE = ("a video", "footage", "a shot", "a clip", "a short film", "a wide shot", "a view", "a film", "a scene")

MANNERS = {
    "style": {
        "natural": _Manner(
            ("realistic footage", "a realistic video", "a natural shot"),
            ("realistic", "natural style", "in natural colours", "lifelike"),
            ("the style is natural", "it looks realistic")),
        "cinematic": _Manner(
            ("cinematic footage", "a cinematic shot", "a cinematic wide shot", "a cinematic video", "a movie scene"),
            ("cinematic", "cinematic style", "cinematic lighting", "in a cinematic style", "like a scene from a movie"),
            ("it looks like a movie", "the style is cinematic", "the lighting is cinematic",
             "shot in a cinematic style")),
        "cyberpunk": _Manner(
            ("a cyberpunk scene", "cyberpunk footage", "a cyberpunk video", "a cyberpunk shot"),
            ("cyberpunk", "cyberpunk style", "in a cyberpunk style", "in cyberpunk style", "cyberpunk aesthetic",
             "in a futuristic neon look", "futuristic neon colours"),
            ("the style is cyberpunk", "neon colours glow everywhere in cyberpunk style",
             "it has a cyberpunk look with neon lights")),
        "watercolour": _Manner(
            ("a watercolour painting", "a watercolour", "a watercolor animation", "a watercolour picture"),
            ("watercolour", "watercolor style", "in watercolour", "painted in watercolours", "in a watercolour style"),
            ("painted in watercolour", "it looks like a watercolour painting", "the style is watercolour")),
        "film noir": _Manner(
            ("a film noir scene", "a black-and-white film", "a film noir shot", "black and white footage"),
            ("film noir", "in black and white", "film noir style", "in a film noir style", "in film noir style"),
            ("shot in black and white like a film noir", "the style is film noir", "it looks like an old film noir")),
        "paper cut-out": _Manner(
            ("a paper cut-out animation", "a paper cutout scene", "a paper craft animation", "a paper collage"),
            ("paper cut-out", "paper cutout style", "made of cut paper", "in paper cut-out style", "paper craft"),
            ("everything is made of cut paper", "it looks like a paper cut-out", "the style is paper cut-out")),
        "pixel art": _Manner(
            ("a pixel art scene", "pixel art", "a pixel art animation", "a pixelated scene"),
            ("pixel art", "in pixel art style", "8-bit pixel art", "retro video game style", "in pixel art"),
            ("it looks like an old video game", "the style is pixel art", "drawn as pixel art")),
        "sketch": _Manner(
            ("a pencil sketch", "a sketch", "a hand-drawn sketch", "a pencil drawing", "a line drawing"),
            ("sketch", "pencil sketch", "sketch style", "drawn in pencil", "in a hand-drawn sketch style"),
            ("drawn in pencil", "it looks like a pencil sketch", "the style is a hand-drawn sketch")),
    },
    "mood": {
        "neutral": _Manner(("calm", "quiet"), ("neutral mood", "calm mood"), ("the mood is neutral",)),
        "cheerful": _Manner(
            ("cheerful", "happy", "joyful", "bright and cheerful"),
            ("cheerful mood", "cheerful", "in a cheerful mood", "happy atmosphere", "joyful", "upbeat mood"),
            ("the mood is cheerful", "it feels happy", "the atmosphere is joyful")),
        "gloomy": _Manner(
            ("gloomy", "sombre", "melancholic", "bleak"),
            ("gloomy mood", "gloomy", "in a gloomy mood", "sad atmosphere", "melancholic", "dark and gloomy"),
            ("the mood is gloomy", "it feels sad", "the atmosphere is bleak")),
        "dreamy": _Manner(
            ("dreamy", "dreamlike", "ethereal", "soft and dreamy"),
            ("dreamy mood", "dreamy", "like a dream", "in a dreamy mood", "dreamlike atmosphere", "ethereal"),
            ("the mood is dreamy", "it feels like a dream", "the atmosphere is soft and dreamy")),
        "dramatic": _Manner(
            ("dramatic", "intense", "epic", "powerful"),
            ("dramatic mood", "dramatic", "in a dramatic mood", "dramatic atmosphere", "intense", "dramatic lighting"),
            ("the mood is dramatic", "it feels intense", "the atmosphere is dramatic")),
    },
    "camera": {
        "static": _Manner(
            ("a static shot", "a fixed shot"), ("static camera", "fixed camera", "still camera"),
            ("the camera does not move", "the camera stays still")),
        "pan left": _Manner(
            ("a shot panning left", "a pan to the left", "a left pan"),
            ("camera panning left", "the camera pans left", "panning to the left", "camera pan left"),
            ("the camera pans left", "the camera pans slowly to the left", "the camera turns to the left")),
        "pan right": _Manner(
            ("a shot panning right", "a pan to the right", "a right pan"),
            ("camera panning right", "the camera pans right", "panning to the right", "camera pan right"),
            ("the camera pans right", "the camera pans slowly to the right", "the camera turns to the right")),
        "zoom in": _Manner(
            ("a zoom-in shot", "a slow zoom in", "a shot zooming in"),
            ("zooming in", "the camera zooms in", "slow zoom in", "camera zoom in", "the camera moves closer"),
            ("the camera zooms in", "the camera slowly zooms in", "the camera moves closer to THEM")),
        "zoom out": _Manner(
            ("a zoom-out shot", "a slow zoom out", "a shot zooming out"),
            ("zooming out", "the camera zooms out", "slow zoom out", "camera zoom out", "the camera pulls back"),
            ("the camera zooms out", "the camera slowly zooms out", "the camera moves away from THEM")),
        "tracking": _Manner(
            ("a tracking shot", "a following shot", "a side tracking shot"),
            ("tracking shot", "tracking camera", "the camera follows along", "camera tracking", "following shot"),
            ("the camera follows THEM", "the camera tracks THEM", "the camera moves along with THEM")),
    },
}


# --- the prompts that a text-to-video course starts from ------------------------------------------


def _one(kind, colour, action, direction="right", **more):
    return (Subject(kind, colour, action, direction, **more),)


SEED_PROMPTS: dict[str, Scene] = {
    "A stylish woman strolls along a Tokyo street lined with warm glowing neon lights.":
        Scene(_one("woman", "red", "stroll"), "tokyo street", "night", camera="tracking"),
    "A serene beach at sunset":
        Scene((), "beach", "sunset"),
    "Gentle waves lap the shore, seagulls fly across the sky, and the sun gradually sets below the horizon.":
        Scene(_one("seagull", "white", "fly", count=3), "beach", "sunset"),
    "A cityscape":
        Scene((), "city street", "day"),
    "A cyberpunk cityscape with a futuristic neon color scheme, holographic billboards, and a dark ambiance":
        Scene((), "city street", "night", style="cyberpunk"),
    "A daytime landscape":
        Scene((), "mountain lake", "day"),
    "A nighttime scene with a starry sky and ambient moonlight":
        Scene((), "mountain lake", "night"),
    "A person walking into a forest":
        Scene(_one("man", "blue", "walk"), "forest", "day"),
    "A mystical creature appearing":
        Scene(_one("dragon", "green", "walk", "left"), "forest", "day"),
    "A rotating planet":
        Scene(_one("planet", "red", "rotate", "still"), "outer space", "night"),
    "A cat":
        Scene(_one("cat", "black", "walk"), "forest", "day"),
    "A red car":
        Scene(_one("car", "red", "drive"), "city street", "day"),
    "A rainy street in Tokyo":
        Scene((), "tokyo street", "night", "rain"),
    "A futuristic city":
        Scene((), "city street", "night", style="cyberpunk"),
    "A golden retriever runs through a field of wildflowers with the sun setting in the background.":
        Scene(_one("golden retriever", "golden", "run"), "wildflower field", "sunset"),
    "A beach at sunset with waves crashing, birds flying, and the sun slowly setting":
        Scene(_one("bird", "white", "fly", count=2), "beach", "sunset"),
    "A daytime cityscape":
        Scene((), "city street", "day"),
    "A cyberpunk night scene with neon signs and rain reflections":
        Scene((), "city street", "night", "rain", "cyberpunk"),
    "A futuristic car speeding through a neon-lit highway":
        Scene(_one("car", "blue", "drive", speed="fast"), "highway", "night", style="cyberpunk", camera="tracking"),
    "A dancer performing on a stage":
        Scene(_one("dancer", "red", "dance", "still"), "stage", "night"),
    "A forest scene at dawn":
        Scene((), "forest", "dawn"),
}
