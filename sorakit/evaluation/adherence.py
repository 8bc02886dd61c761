"""Does a film show what was asked for? Prompts that say everything, a judge for each attribute, and intervals.

A scene is asked for in words, the film is read by the referee, and the reading is compared with the scene. Only what
was said and can be seen is judged (no colour in film noir, no time of day under water).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from jaxtyping import Bool

from ..world.captions import COLOURS as COLOUR_WORDS
from ..world.captions import HEADINGS, KIND_VERBS, KIND_WORDS, MANNERS, NUMBERS, PLACES, VERBS, WHENS
from ..world.scene import NO_TIME, NO_WEATHER, Scene, Subject, sample
from .referee import Reading

ATTRIBUTES = ("subject", "colour", "count", "action", "direction", "setting", "time", "weather", "style", "camera")


# --- what is asked ------------------------------------------------------------------------------


def scenes_to_ask(number: int, *, held_out: bool, seed: int = 0) -> list[Scene]:
    """The benchmark's scenes, always the same of a seed: of combinations that training has seen, or of none it has.

    Moods, sizes and speeds are the usual ones, as the referee does not judge them.
    """
    rng = np.random.default_rng([seed, int(held_out), 20_000_003])
    scenes = [sample(rng, held_out=held_out) for _ in range(number)]
    usual = lambda scene: tuple(dataclasses.replace(s, size="medium", speed="normal") for s in scene.subjects)
    return [dataclasses.replace(scene, mood="neutral", subjects=usual(scene)) for scene in scenes]


def describe(scene: Scene) -> str:
    """One sentence that says all of a scene that can be seen, in the plainest words, always the same ones.

    Captions of `sorakit.world.captions` leave parts out and vary; a benchmark may do neither.
    """
    place = PLACES[scene.setting]
    who = " and ".join(_clause(subject) for subject in scene.subjects)
    words = f"{who} {place.at[0]} {place.names[0]}" if who else place.names[0]
    if scene.setting not in NO_TIME:
        words += " " + WHENS["time"][scene.time].adverbials[0]
    if scene.setting not in NO_WEATHER:
        words += " " + WHENS["weather"][scene.weather].adverbials[0]
    words += ", " + ", ".join(MANNERS[part][getattr(scene, part)].tails[0] for part in ("style", "camera"))
    words = words.replace("a open", "an open").replace("a orange", "an orange").replace("a alpine", "an alpine")
    return words[0].upper() + words[1:]


def _clause(subject: Subject) -> str:
    words = KIND_WORDS[subject.kind]
    noun = words.nouns[0][subject.count > 1]
    number = "a" if subject.count == 1 else NUMBERS[subject.count][0]
    colour = [COLOUR_WORDS[subject.colour][0]] if words.coloured else []
    verb = (KIND_VERBS.get((subject.kind, subject.action)) or VERBS[subject.action])[0].gerund
    heading = [HEADINGS[subject.direction][0]] if subject.direction != "still" else []
    return " ".join([number, *colour, noun, verb, *heading])


# --- the judge ----------------------------------------------------------------------------------


def judge(scene: Scene, reading: Reading) -> dict[str, bool]:
    """Whether a film, as it was read, has each attribute that was asked of it; what cannot be judged is left out.

    subject: the kinds seen are those asked for, no more and no fewer. colour, count, action, direction: right of
    every subject asked for, and wrong of one that is not seen. scene: everything at once.
    """
    seen = {subject.kind: subject.best() for subject in reading.subjects}
    best = reading.best()
    right = {"subject": set(seen) == {subject.kind for subject in scene.subjects}}
    for part in ("colour", "count", "action", "direction"):
        asked = [subject for subject in scene.subjects if _judged(scene, subject, part)]
        if asked:
            right[part] = all(s.kind in seen and getattr(seen[s.kind], part) == getattr(s, part) for s in asked)
    right["setting"] = best.setting == scene.setting
    if scene.setting not in NO_TIME:
        right["time"] = best.time == scene.time
    if scene.setting not in NO_WEATHER:
        right["weather"] = best.weather == scene.weather
    right["style"], right["camera"] = best.style == scene.style, best.camera == scene.camera
    right["scene"] = all(right.values())
    if len(scene.subjects) == 1:
        right["scene, one subject"] = right["scene"]
    return right


def _judged(scene: Scene, subject: Subject, part: str) -> bool:
    if part == "colour":
        return scene.style != "film noir" and KIND_WORDS[subject.kind].coloured
    return part != "direction" or subject.direction != "still"


# --- how sure -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Share:
    """How many of the films are right, with its 95% interval."""

    share: float
    low: float
    high: float
    films: int

    def __str__(self):
        return f"{100 * self.share:.1f} ({100 * self.low:.1f}-{100 * self.high:.1f})"


def share_of(right: Bool[np.ndarray, "prompts seeds"]) -> Share:
    """The share of films that are right and its 95% interval (Wilson 1927).

    Films of one prompt are alike, so they count as fewer: as many as would give the variance that is found between
    prompts (Kish's effective sample size). Raises ValueError for no films.
    """
    right = np.asarray(right, float)
    if right.ndim != 2 or not right.size:
        raise ValueError(f"right has shape {right.shape}; it takes (prompts, seeds) with at least one film")
    share, prompts, films = right.mean(), len(right), right.size
    number = films
    if prompts > 1 and right.shape[1] > 1:
        variance = right.mean(1).var(ddof=1) / prompts
        number = min(films, max(prompts, share * (1 - share) / variance)) if variance > 0 else prompts
    z = 1.959964
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    half = z * math.sqrt(share * (1 - share) / number + z * z / (4 * number**2)) / (1 + z * z / number)
    return Share(float(share), max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share)), films)


def shares_of(right: list[list[dict[str, bool]]]) -> dict[str, Share]:
    """The share of each attribute, of judgements by prompt and then by seed."""
    names = dict.fromkeys(name for films in right for film in films for name in film)
    order = [name for name in (*ATTRIBUTES, "scene", "scene, one subject") if name in names]
    return {name: share_of(np.array([[film[name] for film in films] for films in right if name in films[0]]))
            for name in order}
