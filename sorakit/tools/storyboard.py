"""A film planned as cards on a timeline: words, pictures and films at their second, and the model fills the gaps."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sorakit.formats import FITS, Format
from sorakit.latent.autoencoder import TIME
from sorakit.pipeline import Pipeline
from sorakit.prompt.describe import words_of
from sorakit.prompt.files import read_image
from sorakit.prompt.image import look as look_at
from sorakit.provenance import path_of, sources_of
from sorakit.synthesis.finish import output_size, to_bytes
from sorakit.tools.animate import with_pictures
from sorakit.tools.shot import (
    LONGEST,
    PER_SECOND,
    Take,
    decode,
    deliver,
    encode,
    format_of,
    latent_count,
    phase,
    read,
    screened,
    within,
)
from sorakit.tools.windows import Timeline, fill, seed_of, spans
from sorakit.types import NATIVE_FPS, Video
from sorakit.whole import whole

TRANSITIONS = ("smooth", "cut")
VERSION = 1


@dataclass(frozen=True)
class Card:
    """What is asked for from a second on: words, and perhaps a picture or a film that is seen there."""

    at: float
    text: str = ""
    image: object = None             # a path, PIL image or array: the frame at that second
    video: object = None             # a path, Video, Take or Run: its frames from that second on
    transition: str | None = None    # how the film comes to this card: "smooth" or "cut"; None is the board's own

    def __post_init__(self):
        if not isinstance(self.at, numbers.Real) or isinstance(self.at, bool) or not 0 <= self.at <= LONGEST:
            raise ValueError(f"at={self.at!r} does not fit; it takes seconds from 0 to {LONGEST:g}")
        if not isinstance(self.text, str):
            raise ValueError(f"text is of type {type(self.text).__name__}; it takes a string")
        if not self.text.strip() and self.image is None and self.video is None:
            raise ValueError(f"the card at {self.at:g} s is empty; give it text, an image or a video")
        if self.image is not None and self.video is not None:
            raise ValueError(f"the card at {self.at:g} s has an image and a video; a card has one of them")
        check_transition(self.transition or "smooth")


@dataclass(frozen=True)
class Storyboard:
    """Cards in time. `preview` is a quick look, `film` the film.

    >>> board = Storyboard((Card(0, "a woman walks into a forest"), Card(2, "a unicorn appears", transition="cut"),
    ...                     Card(3.5, image="ending.png")), seconds=4, prompt="watercolour style")  # doctest: +SKIP
    >>> board.preview(pipe); board.film(pipe).save("story.mp4")                                    # doctest: +SKIP

    `prompt` is said with every card: the subject and the style that go through the film. Cards may come in any order.
    """

    cards: tuple[Card, ...]
    seconds: float = 4.0
    prompt: str = ""
    transition: str = "smooth"
    aspect: str | None = None        # by default that of `pipe.synthesis`, else 16:9
    height: int | None = None
    width: int | None = None
    fit: str = "crop"
    seed: int = 0

    def __post_init__(self):
        latent_count("seconds", self.seconds)
        check_transition(self.transition)
        if isinstance(self.cards, (str, Card)) or not all(isinstance(card, Card) for card in self.cards):
            raise ValueError(f"cards={self.cards!r} do not fit; a storyboard takes a list of Cards")
        cards = tuple(sorted(self.cards, key=lambda card: card.at))
        if not cards:
            raise ValueError("cards is empty; a storyboard takes one card or more")
        if not isinstance(self.prompt, str):
            raise ValueError(f"prompt is of type {type(self.prompt).__name__}; it takes a string")
        if self.fit not in FITS:
            raise ValueError(f"fit={self.fit!r} is not one of {', '.join(FITS)}")
        for one, two in zip(cards, cards[1:]):
            if two.at - one.at < 1 / PER_SECOND - 1e-9:
                raise ValueError(f"cards at {one.at:g} and {two.at:g} s are less than {1 / PER_SECOND:g} s apart")
        if cards[-1].at > self.seconds:
            raise ValueError(f"the card at {cards[-1].at:g} s lies beyond the film's {self.seconds:g} s")
        object.__setattr__(self, "cards", cards)
        output_size(self.aspect or "16:9", self.height, self.width)

    # --- films ---

    def film(self, pipe: Pipeline, *, negative: str = "", steps: int | None = None, guidance: float | None = None,
             keep=(), progress=None) -> Take:
        """The whole film: shots between cuts, each made in windows that know what came before."""
        format = format_of(pipe, None, self.aspect, self.height, self.width)
        for text in {text for shot in self.shots for _, text in self.prompts(shot)}:
            pipe.safety.screen(pipe.prompt(text, negative=negative))
        how = {"negative": negative, "steps": steps, "guidance": guidance, "keep": keep, "progress": progress}
        with phase(progress, "read"):
            laid = [self.timeline(pipe, shot, format) for shot in self.shots]
        windows = sum(len(spans(timeline.mask, timeline.prompts)) for timeline, _ in laid)
        parts, runs, latents, shown = [], (), None, set()
        with within(pipe, 1 + latent_count("seconds", self.seconds), format):
            for shot, (timeline, _) in zip(self.shots, laid):
                texts = {text for _, text in timeline.prompts}
                again, shown = texts <= shown, shown | texts     # the same noise would show the same shot again
                latents, made = fill(pipe, timeline, past=len(runs), windows=windows,
                                     seed=seed_of(self.seed, len(runs) if again else 0), **how)
                parts.append(to_bytes(decode(pipe, latents))[:shot.frames])
                runs += made
            title = "; ".join(dict.fromkeys(text for timeline, _ in laid for _, text in timeline.prompts))
            with phase(progress, "finish"):
                verdicts = [timeline.verdict for timeline, _ in laid if timeline.verdict]     # where one is given
                seen = next(filter(pipe.safety.vouched, verdicts), None) if verdicts else runs[-1].verdict
                given = (path for card in self.cards for path in path_of(card.image) + sources_of(card.video))
                video = deliver(pipe, np.concatenate(parts), format, prompt=title, seed=self.seed, verdict=seen,
                                made_from=tuple(dict.fromkeys(given)),
                                notes=[note for run in runs for note in run.verdict.notes])
        notes = (note for _, said in laid for note in said)
        return Take(video, "storyboard", self.to_dict(lenient=True), runs, latents if len(parts) == 1 else None,
                    tuple(dict.fromkeys(notes)))

    def preview(self, pipe: Pipeline, *, steps: int = 2, negative: str = "", guidance: float | None = None,
                tile: int = 160, progress=None) -> UInt8[np.ndarray, "h w 3"]:
        """A contact sheet from one or two steps: each card's moment, in order, before the film itself is made."""
        aspect = f"{self.width}:{self.height}" if self.width else self.aspect
        quick = dataclasses.replace(self, aspect=aspect, height=None, width=None)
        plain = dataclasses.replace(pipe, limits=None)               # a sheet is no film: it does not count
        how = {"steps": steps, "negative": negative, "guidance": guidance, "progress": progress}
        video = quick.film(plain, **how).video
        ends = [card.at for card in self.cards[1:]] + [self.seconds]
        moments = [card.at if card.image is not None else (card.at + end) / 2 for card, end in zip(self.cards, ends)]
        shown = [min(len(video.frames) - 1, round(moment * video.fps)) for moment in moments]
        return Video(video.frames[shown], video.fps).contact_sheet(len(shown), tile)

    @property
    def shots(self) -> tuple[Shot, ...]:
        """What lies between cuts."""
        edges = [0] + [k for k, card in enumerate(self.cards) if k and (card.transition or self.transition) == "cut"]
        shots = []
        for first, last in zip(edges, [*edges[1:], len(self.cards)]):
            start = 0.0 if first == 0 else self.cards[first].at
            end = self.cards[last].at if last < len(self.cards) else None
            begin = round(start * NATIVE_FPS)
            stop = round(end * NATIVE_FPS) if end is not None else 1 + TIME * latent_count("seconds", self.seconds)
            shots.append(Shot(self.cards[first:last], start, max(1, stop - begin)))
        return tuple(shots)

    def prompts(self, shot: Shot) -> tuple[tuple[int, str], ...]:
        """(first latent, words) of a shot; a picture without words goes on with those before it."""
        said = [(shot.place(card.at), card.text.strip()) for card in shot.cards if card.text.strip()]
        before = [card.text.strip() for card in self.cards if card.text.strip() and card.at < shot.start]
        if not said or said[0][0] > 0:
            said.insert(0, (0, before[-1] if before else said[0][1] if said else ""))
        with_all = [(since, ", ".join(filter(None, (text, self.prompt.strip())))) for since, text in said]
        return tuple((since, text) for since, text in with_all if text)

    def timeline(self, pipe: Pipeline, shot: Shot, format: Format) -> tuple[Timeline, tuple[str, ...]]:
        """A shot's cards laid out in latents, and what is to be said of it."""
        count, notes = shot.latents, ()
        prompts = self.prompts(shot)
        if not prompts:
            seen = next((card for card in shot.cards if card.image is not None), None)
            picture = read_image(seen.image) if seen else read(
                pipe, "video", shot.cards[0].video, format, self.fit).pictures(pipe)[0]
            prompts = ((0, words_of(look_at(picture))),)
            notes += (f"no words were given; what the card shows was read as {prompts[0][1]!r}",)
        timeline = dataclasses.replace(Timeline.empty(pipe, format, count, ""), prompts=prompts)
        pictures, films = {}, []
        for card, after in zip(shot.cards, [*shot.cards[1:], None]):
            place = shot.place(card.at)
            if card.image is not None:
                pictures[place] = read_image(card.image)
            elif card.video is not None:
                until = count if after is None else shot.place(after.at)
                source = read(pipe, "video", card.video, format, self.fit)
                films.append(source)
                latents = source.latents
                if place:                        # in the midst its first frame does not stand alone: it is held
                    frames = source.pictures(pipe)
                    latents = encode(pipe, np.concatenate([frames[:1]] * TIME + [frames]))[:, :, 1:]
                latents = latents[:, :, :until - place]
                timeline.known[:, :, place:place + latents.shape[2]] = latents
                timeline.mask[:, place:place + latents.shape[2]] = True
                notes += source.notes
        if pictures or films:
            verdict = screened(pipe, prompts[0][1], "", pictures.values(), films)
            timeline = dataclasses.replace(timeline, verdict=verdict)
        return with_pictures(pipe, timeline, pictures, self.fit), notes

    # --- files ---

    def to_dict(self, *, lenient: bool = False) -> dict:
        """As JSON has it; pictures and films by their paths. Raises ValueError for those that have none, unless
        lenient."""
        cards = []
        for card in self.cards:
            entry = {"at": card.at, "text": card.text, "transition": card.transition}
            for kind in ("image", "video"):
                value = getattr(card, kind)
                if value is not None and not isinstance(value, (str, Path)):
                    if not lenient:
                        raise ValueError(f"the {kind} of the card at {card.at:g} s is of type {type(value).__name__}; "
                                         "save it to a file and give its path, so that the board can be saved")
                    value = f"({type(value).__name__})"
                entry[kind] = None if value is None else str(value)
            cards.append({name: value for name, value in entry.items() if value not in (None, "")})
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "cards"}
        return {"version": VERSION, **fields, "cards": cards}

    def save(self, path: str | Path) -> Path:
        """As JSON; there is a whole file or none. Relative paths of pictures and films are written as from its folder.
        """
        path = Path(path).expanduser()
        board = self.to_dict()
        board["cards"] = [rebased(card, os.curdir, path.parent) for card in board["cards"]]
        with whole(path) as beside:
            beside.write_text(json.dumps(board, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return path

    @classmethod
    def load(cls, path: str | Path) -> Storyboard:
        """A saved board. Raises ValueError for what is no storyboard, naming what does not fit."""
        try:
            path = Path(path).expanduser()
            fields = json.loads(path.read_text(encoding="utf-8"))
            version = fields.pop("version", VERSION)
            cards = [Card(**rebased(card, path.parent, os.curdir)) for card in fields.pop("cards")]
            if version != VERSION:
                raise ValueError(f"it is of version {version}; this sorakit reads version {VERSION}")
            return cls(tuple(cards), **fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"path={str(path)!r} is no storyboard: {error}") from error


@dataclass(frozen=True)
class Shot:
    """The cards between two cuts."""

    cards: tuple[Card, ...]
    start: float                     # second of the film
    frames: int

    @property
    def latents(self) -> int:
        return 1 + -(-(self.frames - 1) // TIME)

    def place(self, second: float) -> int:
        """The latent of a second of the film."""
        return min(self.latents - 1, math.floor((second - self.start) * PER_SECOND + 0.5))


def rebased(card: dict, old: str | Path, new: str | Path) -> dict:
    """A card whose relative paths were from the one folder, and are now from the other."""
    return {name: os.path.relpath(Path(old) / value, new)
            if name in ("image", "video") and not Path(value).expanduser().is_absolute() else value
            for name, value in card.items()}


def check_transition(transition: str) -> None:
    if transition not in TRANSITIONS:
        raise ValueError(f"transition={transition!r} is not one of {', '.join(TRANSITIONS)}")
