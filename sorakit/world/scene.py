"""What can be asked for: a `Scene`, its vocabulary, and how often each part of it is drawn.

Every other file of the world reads this one: `captions` puts a scene into words, `render` draws it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import numpy as np

# --- vocabulary -------------------------------------------------------------------------------

COLOURS = {  # name: sRGB in [0, 1]
    "red": (0.86, 0.16, 0.17), "orange": (0.96, 0.52, 0.12), "yellow": (0.98, 0.83, 0.22),
    "green": (0.25, 0.65, 0.30), "blue": (0.18, 0.42, 0.86), "purple": (0.52, 0.27, 0.74),
    "pink": (0.96, 0.52, 0.70), "brown": (0.47, 0.30, 0.18), "black": (0.11, 0.11, 0.13),
    "white": (0.95, 0.95, 0.94), "grey": (0.55, 0.57, 0.60), "golden": (0.89, 0.66, 0.30),
}
DIRECTIONS = ("left", "right", "up", "down", "still")
SPEEDS = {"slow": 0.6, "normal": 1.0, "fast": 1.6}
SIZES = {"small": 0.75, "medium": 1.0, "large": 1.2}
SETTINGS = ("wildflower field", "beach", "city street", "tokyo street", "highway", "forest", "mountain lake",
            "desert", "snowfield", "open sea", "underwater", "outer space", "stage", "park")
TIMES = ("dawn", "day", "sunset", "night")
WEATHERS = ("clear", "rain", "snow", "fog")
STYLES = ("natural", "cinematic", "cyberpunk", "watercolour", "film noir", "paper cut-out", "pixel art", "sketch")
MOODS = ("neutral", "cheerful", "gloomy", "dreamy", "dramatic")
CAMERAS = ("static", "pan left", "pan right", "zoom in", "zoom out", "tracking")

_LAND = ("wildflower field", "beach", "city street", "tokyo street", "forest", "mountain lake", "desert", "snowfield",
         "park")
_STREETS = ("city street", "tokyo street", "highway")
_AIR = ("wildflower field", "beach", "city street", "forest", "mountain lake", "desert", "snowfield", "open sea",
        "park")
_COATS = ("brown", "black", "white", "grey", "golden", "orange", "red", "blue", "purple", "pink", "green", "yellow")
_ANY = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")


@dataclass(frozen=True)
class Kind:
    """What a kind of subject can do, wear and where it is at home; the first of each is the commonest."""

    actions: tuple[str, ...]
    settings: tuple[str, ...]
    colours: tuple[str, ...] = _ANY
    medium: str = "ground"      # ground, air, water (on it), under (water), space, rail
    height: float = 0.30        # of a medium one, as a fraction of the frame's height
    most: int = 3               # how many may appear together
    flocks: bool = False        # whether it is mostly seen with others of its kind


KINDS = {
    "golden retriever": Kind(("run", "walk", "jump", "sit"), _LAND, ("golden",), height=0.48),
    "dog": Kind(("run", "walk", "jump", "sit"), _LAND, _COATS, height=0.47),
    "cat": Kind(("walk", "run", "jump", "sit"), _LAND, _COATS, height=0.46),
    "horse": Kind(("run", "walk", "jump"), ("wildflower field", "beach", "desert", "snowfield", "mountain lake",
                  "forest", "park"), _COATS, height=0.60),
    "unicorn": Kind(("run", "walk", "jump", "fly"), ("forest", "wildflower field", "mountain lake", "snowfield",
                    "beach"), ("white", "pink", "purple", "blue", "golden", "black"), height=0.62),
    "dragon": Kind(("fly", "walk"), ("forest", "desert", "mountain lake", "snowfield", "city street"),
                   ("green", "red", "purple", "black", "blue", "golden"), "air", 0.52, most=2),
    "bird": Kind(("fly",), _AIR, _COATS, "air", 0.40, flocks=True),
    "seagull": Kind(("fly",), ("beach", "open sea", "mountain lake"), ("white",), "air", 0.48,
                    flocks=True),
    "butterfly": Kind(("fly",), ("wildflower field", "park", "forest", "beach"), _ANY, "air", 0.42, flocks=True),
    "fish": Kind(("swim",), ("underwater",), _ANY, "under", 0.50, flocks=True),
    "woman": Kind(("stroll", "walk", "run", "dance"), _LAND, _ANY, height=0.66),
    "man": Kind(("walk", "stroll", "run", "dance"), _LAND, _ANY, height=0.67),
    "child": Kind(("run", "walk", "jump", "dance"), _LAND, _ANY, height=0.55),
    "dancer": Kind(("dance", "jump", "rotate"), ("stage", "city street", "beach", "park"), _ANY, height=0.66),
    "robot": Kind(("walk", "dance", "stroll"), (*_LAND, "stage", "outer space"), ("grey", *_ANY), height=0.62),
    "car": Kind(("drive",), (*_STREETS, "desert", "snowfield", "forest"), _ANY, height=0.36, most=2),
    "boat": Kind(("sail", "float"), ("open sea", "mountain lake"), _ANY, "water", 0.56, most=2),
    "train": Kind(("drive",), ("wildflower field", "desert", "snowfield", "forest", "mountain lake"), _ANY, "rail",
                  0.33, most=1),
    "bicycle": Kind(("drive",), ("park", "city street", "highway", "beach", "forest"), _ANY, height=0.56, most=2),
    "hot-air balloon": Kind(("float",), _AIR, _ANY, "air", 0.54),
    "rocket": Kind(("fly",), ("outer space", "desert", "open sea", "snowfield"), _ANY, "air", 0.56, most=1),
    "planet": Kind(("rotate",), ("outer space",), _ANY, "space", 0.62, most=2),
}

NO_TIME = ("outer space", "stage", "underwater")  # settings whose time of day cannot be seen (kept at "night"/"day")
NO_WEATHER = ("outer space", "stage", "underwater")
EMPTY = ("beach", "forest", "city street", "tokyo street", "mountain lake", "wildflower field", "open sea", "desert",
         "snowfield", "highway", "park")  # settings that make a scene without any subject

# --- how often: the common more often than the rare, so that a small model learns the basics first --------

WEIGHTS = {
    "subjects": {0: 0.08, 1: 0.72, 2: 0.20},
    "count": {1: 0.86, 2: 0.09, 3: 0.05},
    "count in flocks": {1: 0.45, 2: 0.25, 3: 0.30},
    "size": {"medium": 0.7, "large": 0.18, "small": 0.12},
    "speed": {"normal": 0.7, "slow": 0.15, "fast": 0.15},
    "time": {"day": 0.32, "sunset": 0.24, "night": 0.26, "dawn": 0.18},
    "weather": {"clear": 0.76, "rain": 0.10, "snow": 0.08, "fog": 0.06},
    "style": {"natural": 0.65, "cinematic": 0.10, "cyberpunk": 0.07, "watercolour": 0.04, "film noir": 0.04,
              "paper cut-out": 0.03, "pixel art": 0.03, "sketch": 0.04},
    "mood": {"neutral": 0.76, "cheerful": 0.06, "gloomy": 0.06, "dreamy": 0.06, "dramatic": 0.06},
    "camera": {"static": 0.50, "tracking": 0.22, "pan left": 0.08, "pan right": 0.08, "zoom in": 0.07,
               "zoom out": 0.05},
    "first action": 0.5,     # how often a kind does the first of its actions
    "first colour": 0.25,    # how often it wears the first of its colours
}


# --- the scene --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Subject:
    """One kind of subject, once or several times, doing one thing in one direction."""

    kind: str
    colour: str
    action: str
    direction: str = "right"
    count: int = 1
    size: str = "medium"
    speed: str = "normal"

    def __post_init__(self):
        _check("kind", self.kind, KINDS)
        _check("colour", self.colour, COLOURS)
        _check("action", self.action, {a for kind in KINDS.values() for a in kind.actions})
        _check("direction", self.direction, DIRECTIONS)
        _check("size", self.size, SIZES)
        _check("speed", self.speed, SPEEDS)
        _check("count", self.count, (1, 2, 3))


@dataclass(frozen=True)
class Scene:
    """Everything that is in a film of the drawn world; `seed` settles what no field names (where each tree stands)."""

    subjects: tuple[Subject, ...]
    setting: str
    time: str = "day"
    weather: str = "clear"
    style: str = "natural"
    mood: str = "neutral"
    camera: str = "static"
    seed: int = 0

    def __post_init__(self):
        _check("setting", self.setting, SETTINGS)
        _check("time", self.time, TIMES)
        _check("weather", self.weather, WEATHERS)
        _check("style", self.style, STYLES)
        _check("mood", self.mood, MOODS)
        _check("camera", self.camera, CAMERAS)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Scene:
        fields = json.loads(text)
        return cls(**{**fields, "subjects": tuple(Subject(**subject) for subject in fields["subjects"])})


def sample(rng: np.random.Generator, *, held_out: bool = False) -> Scene:
    """Draw a scene by `WEIGHTS`; with held_out=True, one of the combinations that training never sees."""
    while True:
        scene = _draw(rng)
        if is_held_out(scene) == held_out:
            return scene


def _draw(rng: np.random.Generator) -> Scene:
    number = _weighted(rng, "subjects")
    if number == 0:
        subjects, setting = (), EMPTY[rng.integers(len(EMPTY))]
    else:
        kind = list(KINDS)[rng.integers(len(KINDS))]
        setting = KINDS[kind].settings[rng.integers(len(KINDS[kind].settings))]
        kinds = [kind]
        others = [k for k in KINDS if k != kind and setting in KINDS[k].settings]
        if number == 2 and others:
            kinds.append(others[rng.integers(len(others))])
        subjects = tuple(_draw_subject(rng, k, single=len(kinds) == 1) for k in kinds)
    time = {"underwater": "day", "outer space": "night", "stage": "night"}.get(setting) or _weighted(rng, "time")
    weather = "clear" if setting in NO_WEATHER else _weighted(rng, "weather")
    camera = _weighted(rng, "camera")
    if camera == "tracking" and (not subjects or subjects[0].direction not in ("left", "right")):
        camera = "static"
    return Scene(subjects, setting, time, weather, _weighted(rng, "style"), _weighted(rng, "mood"), camera,
                 int(rng.integers(2**31)))


def _draw_subject(rng, name, single):
    kind = KINDS[name]
    first = lambda options, share: options[0] if rng.random() < share else options[rng.integers(len(options))]
    action = first(kind.actions, WEIGHTS["first action"])
    if name == "rocket":
        direction = "up"
    elif name == "hot-air balloon":
        direction = ("up", "left", "right")[rng.integers(3)]
    elif action in ("sit", "dance", "rotate"):
        direction = "still"
    else:
        direction = ("left", "right")[rng.integers(2)]
    count = min(_weighted(rng, "count in flocks" if kind.flocks else "count"), kind.most) if single else 1
    return Subject(name, first(kind.colours, WEIGHTS["first colour"]), action, direction, count,
                   _weighted(rng, "size"), _weighted(rng, "speed"))


def _weighted(rng, field):
    table = WEIGHTS[field]
    return list(table)[rng.choice(len(table), p=np.array(list(table.values())) / sum(table.values()))]


# --- held out: never trained on, so that what a model puts together by itself can be measured ---------------

HELD_OUT_SUBJECTS = (  # (kind, colour)
    ("dog", "golden"), ("cat", "blue"), ("woman", "yellow"), ("car", "green"), ("boat", "purple"),
    ("butterfly", "red"), ("robot", "pink"), ("fish", "black"), ("hot-air balloon", "white"), ("planet", "orange"),
)
HELD_OUT_PLACES = (  # (kind, setting)
    ("horse", "beach"), ("child", "desert"), ("dragon", "snowfield"), ("man", "tokyo street"), ("cat", "park"),
    ("train", "wildflower field"),
)
HELD_OUT_NIGHTS = (("car", "red"), ("horse", "white"), ("bicycle", "blue"))  # (kind, colour), at night
HELD_OUT_PAIRS = (  # two subjects together, in either order
    ("cat", "car"), ("dog", "woman"), ("horse", "butterfly"), ("robot", "child"), ("boat", "seagull"),
)


def is_held_out(scene: Scene) -> bool:
    """Whether a scene holds one of the combinations listed above."""
    kinds = [subject.kind for subject in scene.subjects]
    return (
        any((s.kind, s.colour) in HELD_OUT_SUBJECTS for s in scene.subjects)
        or any((kind, scene.setting) in HELD_OUT_PLACES for kind in kinds)
        or scene.time == "night" and any((s.kind, s.colour) in HELD_OUT_NIGHTS for s in scene.subjects)
        or any(set(pair) == set(kinds) for pair in HELD_OUT_PAIRS)
    )


def _check(name, value, known):
    if value not in known:
        raise ValueError(f"{name}={value!r} is not one of {', '.join(map(str, sorted(known, key=str)))}")
