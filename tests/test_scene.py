"""The scene: what it takes, what it refuses, and how often `sample` draws each part."""

from collections import Counter

import numpy as np
import pytest

from sorakit.world.scene import KINDS, WEIGHTS, Scene, Subject, is_held_out, sample

DRAWS = 4000


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(0)
    return [sample(rng) for _ in range(DRAWS)]


def test_json_round_trip_gives_the_same_scene(scenes):
    assert all(Scene.from_json(scene.to_json()) == scene for scene in scenes[:300])


@pytest.mark.parametrize("field, value, known", [
    ("kind", "cow", "horse"), ("colour", "turquoise", "blue"), ("action", "hover", "fly"),
    ("direction", "north", "left"), ("size", "tiny", "small"), ("speed", "quick", "fast"), ("count", 4, "3"),
])
def test_a_wrong_subject_names_the_field_the_value_and_what_can_be_chosen(field, value, known):
    with pytest.raises(ValueError) as error:
        Subject(**{"kind": "dog", "colour": "brown", "action": "run", field: value})
    assert f"{field}={value!r}" in str(error.value) and known in str(error.value)


@pytest.mark.parametrize("field, value, known", [
    ("setting", "moon", "outer space"), ("time", "noon", "day"), ("weather", "hail", "rain"),
    ("style", "cubist", "sketch"), ("mood", "angry", "gloomy"), ("camera", "orbit", "tracking"),
])
def test_a_wrong_scene_names_the_field_the_value_and_what_can_be_chosen(field, value, known):
    with pytest.raises(ValueError) as error:
        Scene(**{"subjects": (), "setting": "beach", field: value})
    assert f"{field}={value!r}" in str(error.value) and known in str(error.value)


def test_training_scenes_are_never_held_out(scenes):
    assert not any(is_held_out(scene) for scene in scenes)


def test_held_out_scenes_always_are():
    rng = np.random.default_rng(1)
    assert all(is_held_out(sample(rng, held_out=True)) for _ in range(150))


@pytest.mark.parametrize("scene", [
    Scene((Subject("cat", "blue", "sit"),), "beach"),
    Scene((Subject("horse", "brown", "run"),), "beach"),
    Scene((Subject("car", "red", "drive"),), "highway", "night"),
    Scene((Subject("woman", "red", "walk"), Subject("dog", "brown", "run")), "park"),
])
def test_each_list_of_held_out_combinations_counts(scene):
    assert is_held_out(scene)


def test_a_held_out_night_is_not_held_out_by_day():
    assert not is_held_out(Scene((Subject("car", "red", "drive"),), "highway", "day"))


def test_what_is_drawn_fits_its_kind(scenes):
    for scene in scenes:
        for subject in scene.subjects:
            kind = KINDS[subject.kind]
            assert subject.action in kind.actions and subject.colour in kind.colours
            assert scene.setting in kind.settings and subject.count <= kind.most


def test_the_same_generator_draws_the_same_scenes():
    assert [sample(np.random.default_rng(7)) for _ in range(2)] == [sample(np.random.default_rng(7))] * 2


@pytest.mark.parametrize("field", ["style", "mood"])
def test_weights_of_free_fields_are_honoured(scenes, field):
    seen = Counter(getattr(scene, field) for scene in scenes)
    for value, weight in WEIGHTS[field].items():
        expected = weight / sum(WEIGHTS[field].values())
        assert seen[value] / DRAWS == pytest.approx(expected, abs=4.5 * np.sqrt(expected * (1 - expected) / DRAWS))


@pytest.mark.parametrize("field", ["size", "speed"])
def test_weights_of_subjects_are_honoured(scenes, field):
    values = [getattr(subject, field) for scene in scenes for subject in scene.subjects]
    for value, weight in WEIGHTS[field].items():
        assert values.count(value) / len(values) == pytest.approx(weight, abs=0.035)


def test_the_number_of_subjects_is_about_its_weight(scenes):
    """About only: a held-out pair is drawn again, and some settings are home to one kind."""
    seen = Counter(len(scene.subjects) for scene in scenes)
    for number, weight in WEIGHTS["subjects"].items():
        assert seen[number] / DRAWS == pytest.approx(weight, abs=0.05)
