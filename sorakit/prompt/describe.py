"""Words for what was given without any: a plain prompt of what a picture or a film was seen to show."""

from __future__ import annotations

from sorakit.types import Reference

PLACES = (  # what is seen, and the first place that has it; snow has edges and blue shadows, too
    (("snow",), "a snowfield"), (("built",), "a city street"), (("water", "sand or earth"), "a beach"),
    (("water", "foliage"), "a mountain lake"), (("water",), "the open sea"), (("grass",), "a park"),
    (("foliage",), "a forest"), (("sand or earth",), "a desert"),
)
WHENS = {"dawn": "at dawn", "day": "by day", "sunset": "at sunset", "night": "at night"}
CAMERAS = {"pan left": "pans left", "pan right": "pans right", "zoom in": "zooms in", "zoom out": "zooms out"}


def words_of(reference: Reference) -> str:
    """
    >>> words_of(sorakit.prompt.image.look("beach.jpg"))          # doctest: +SKIP
    'a beach at sunset'
    """
    stuff = [texture.name for texture in reference.textures if texture.share >= 0.05]
    place = next((place for needed, place in PLACES if all(name in stuff for name in needed)), "an open field")
    camera = reference.motion.camera if reference.motion else "static"
    moves = f", the camera {CAMERAS[camera]}" if camera in CAMERAS else ""
    return f"{place} {WHENS[reference.time]}{moves}"


def note_of(words: str) -> str:
    """What is said to somebody whose prompt was made up."""
    return f"no prompt was given; what the picture shows was read as {words!r}"
