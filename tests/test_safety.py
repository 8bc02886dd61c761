"""What may be made, and the marks on what was made."""

import re

import numpy as np
import pytest

from sorakit.safety.mark import marked
from sorakit.safety.rules import RULES, matches, read_rules
from sorakit.safety.safety import Refused, Safety
from sorakit.types import Brief, Reason, Video

SEED_PROMPTS = (
    "A stylish woman strolls along a Tokyo street lined with warm glowing neon lights.",
    "A golden retriever runs through a field of wildflowers with the sun setting in the background.",
    "a futuristic car speeding through a neon-lit highway",
    "a dancer performing on stage",
    "a cat, a red car",
    "A still image of a serene beach at sunset with gentle waves, seagulls and the setting sun",
)


@pytest.mark.parametrize("prompt", [
    *SEED_PROMPTS,
    "a shooting star over Sussex", "a killer whale at sunset", "a denuded cliff", "a king charles spaniel in a park",
    "a blood orange on a table", "a child skips along the beach", "blood moon over the desert", "a hot dog stand",
])
def test_harmless_prompts_are_allowed(prompt):
    verdict = Safety().screen(Brief(prompt))
    assert verdict.decision == "allow" and verdict.reasons == () and verdict.brief.prompt == prompt


@pytest.mark.parametrize("prompt, category, words", [
    ("A NUDE dancer", "sexual content", ("nude",)),
    ("a man is murdered, bloody corpse", "gore and cruelty", ("murdered", "bloody corpse")),
    ("a terrorist\n  attack on a train", "hate and terror", ("terrorist attack",)),
    ("Beyonce\u0301 dances on a stage", "real people", ("beyonce",)),
    ("TAYLOR SWIFT's dog", "real people", ("taylor swift",)),
    ("a (naked) robot", "sexual content", ("naked",)),
])
def test_a_refusal_names_the_category_and_the_words(prompt, category, words):
    with pytest.raises(Refused, match=re.escape(category)) as refusal:
        Safety().screen(Brief(prompt))
    assert (refusal.value.category, refusal.value.words) == (category, words)
    assert refusal.value.verdict.reasons == (Reason(category, words),)
    assert all(repr(word) in str(refusal.value) for word in words)


def test_judging_reports_every_category_and_raises_nothing():
    verdict = Safety().judge(Brief("a naked celebrity"))
    assert verdict.decision == "refuse"
    assert verdict.reasons == (Reason("sexual content", ("naked",)), Reason("real people", ("celebrity",)))


def test_what_should_stay_away_is_not_refused():
    assert Safety().screen(Brief("a dancer on a stage", negative="nude, gore")).decision == "allow"


def test_every_rule_that_ships_is_found_in_a_sentence_and_not_inside_a_word():
    for category, rules in read_rules(RULES).items():
        for rule in rules:
            assert matches(f"We see {rule.upper()}, at night.", rules), (category, rule)
            assert not matches(f"x{rule}x", (rule,)), (category, rule)


@pytest.mark.parametrize("text", ["", "[a]\n", "no category\n", "[a]\nx\n[a]\ny\n"])
def test_a_broken_file_of_rules_is_said(tmp_path, text):
    path = tmp_path / "rules.cfg"
    path.write_text(text)
    with pytest.raises(ValueError, match="rules="):
        read_rules(path)


@pytest.mark.parametrize("grey", [0, 128, 255])
@pytest.mark.parametrize("size", [(432, 768), (768, 432), (80, 144)])
def test_the_mark_shows_on_any_ground_in_the_lower_right_corner_only(grey, size):
    frames = np.full((3, *size, 3), grey, np.uint8)
    changed = np.abs(marked(frames).astype(int) - grey)
    corner = changed[:, -size[0] // 4:, -size[1] // 2:]
    assert corner.max() > 25
    assert changed.sum() == corner.sum()
    assert (frames == grey).all()


def test_the_mark_is_subtle():
    frames = np.full((1, 432, 768, 3), 128, np.uint8)
    assert (marked(frames) != frames).mean() < 0.01


def test_a_released_film_says_what_made_it():
    video = Safety().release(Video(np.zeros((2, 64, 64, 3), np.uint8), 8.0, "a dog"), model="nano", seed=7)
    assert video.metadata["title"] == "a dog"
    assert all(part in video.metadata["comment"] for part in ("AI-generated", "sorakit", "nano", "seed 7"))
    assert video.frames.any()
