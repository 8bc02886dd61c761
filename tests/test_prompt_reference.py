"""What is measured in pictures and films, against the drawn world and against pictures made for it."""

import dataclasses

import numpy as np
import pytest

from sorakit.prompt import image, video
from sorakit.prompt.describe import words_of
from sorakit.types import Video
from sorakit.world.render import render
from sorakit.world.scene import Scene, Subject

BEACH = Scene((Subject("dog", "brown", "sit", "still"),), "beach", "day", seed=3)
CITY = Scene((), "city street", "night", seed=4)


@pytest.fixture(scope="module")
def beach():
    return render(BEACH, 96, 170)


def test_depth_follows_the_drawn_worlds_order(beach):
    found = image.look(beach.frames[0]).depth
    true = beach.depth[0]
    a, b = np.random.default_rng(0).integers(true.size, size=(2, 5000))
    apart = np.abs(true.ravel()[a] - true.ravel()[b]) > 0.05
    order = np.sign(true.ravel()[a] - true.ravel()[b]) == np.sign(found.ravel()[a] - found.ravel()[b])
    lower = np.sign(b // 170 - a // 170) == np.sign(true.ravel()[a] - true.ravel()[b])           # the trivial guess
    assert order[apart].mean() > max(0.9, lower[apart].mean())


def test_a_palette_names_its_colours_by_share():
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, :30], picture[:, 30:] = (135, 196, 236), (215, 45, 45)
    first, second = image.palette(picture)
    assert (first.name, second.name) == ("sky blue", "red")
    assert first.share == pytest.approx(0.75, abs=0.01) and first.rgb == pytest.approx((135, 196, 236), abs=2)


def test_the_horizon_is_found_and_none_where_there_is_none():
    picture = np.full((100, 160, 3), (120, 180, 240), np.uint8)
    picture[63:] = (90, 140, 60)
    assert image.look(picture).horizon == pytest.approx(0.63, abs=0.02)
    assert image.look(np.full((100, 160, 3), 128, np.uint8)).horizon is None


def test_lines_meet_at_the_vanishing_point():
    import cv2

    picture = np.full((120, 160, 3), 255, np.uint8)
    for x in (-40, 0, 40, 80, 120, 160, 200):
        cv2.line(picture, (96, 48), (x, 119), (0, 0, 0), 1, cv2.LINE_AA)
    x, y = image.vanishing_point(picture)
    assert (x, y) == pytest.approx((0.6, 0.4), abs=0.05)


def test_snow_and_grass_are_put_in_words():
    for seed in range(3):
        snow = render(Scene((), "snowfield", "day", seed=seed), 96, 170, seconds=0).frames[0]
        assert words_of(image.look(snow)) == "a snowfield by day"
    lawn = np.full((96, 170, 3), (90, 150, 70), np.uint8)
    lawn[:40] = (135, 196, 236)
    assert words_of(image.look(lawn)) == "a park by day"


def test_light_and_time_of_day(beach):
    night = render(CITY, 96, 170, seconds=0).frames[0]
    assert image.look(night).time == "night" and image.look(beach.frames[0]).time == "day"
    assert image.light(image.to_lab(np.full((8, 8, 3), (250, 190, 120), np.uint8))) == "warm"
    assert image.light(image.to_lab(np.full((8, 8, 3), (110, 150, 230), np.uint8))) == "cool"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (17, 5), (300, 2)])
def test_pictures_of_any_shape_can_be_looked_at(size):
    reference = image.look(np.full((*size, 3), 90, np.uint8))
    assert (reference.height, reference.width) == size and "grey" in str(reference) or "charcoal" in str(reference)


def test_cuts_and_dissolves_are_found_where_they_are(beach):
    other = render(CITY, 96, 170).frames
    reference = video.watch(Video(np.concatenate([beach.frames, other]), 8.0))
    assert reference.cuts == pytest.approx((17 / 8,), abs=0.07) and reference.dissolves == ()
    share = (np.arange(1, 9) / 9)[:, None, None, None]
    mixed = ((1 - share) * beach.frames[-8:] + share * other[:8]).round().astype(np.uint8)
    reference = video.watch(Video(np.concatenate([beach.frames[:-8], mixed, other[8:]]), 8.0))
    (first, last), = reference.dissolves
    assert first == pytest.approx(1.0, abs=0.4) and last == pytest.approx(17 / 8, abs=0.4) and reference.cuts == ()


def test_one_shot_has_neither(beach):
    reference = video.watch(Video(beach.frames, 8.0))
    assert reference.cuts == reference.dissolves == () and reference.motion.camera == "static"
    assert "camera: static" in str(reference)


def test_a_pan_has_its_direction_and_speed():
    rng = np.random.default_rng(0)
    import cv2

    wall = cv2.resize(rng.integers(0, 255, (12, 48, 3), dtype=np.uint8), (640, 120), interpolation=cv2.INTER_CUBIC)
    frames = np.stack([wall[:, 3 * k:3 * k + 160] for k in range(12)])
    motion = video.measure_motion(frames, 8.0)
    assert motion.camera == "pan right" and motion.pan[0] == pytest.approx(3 * 8 / 160, rel=0.15)
    still = video.measure_motion(frames[:1].repeat(6, 0), 8.0)
    assert still.camera == "static" and still.tempo == "still" and still.flicker == 0


def test_flicker_and_drift_are_measured_in_grey_levels(beach):
    frame = beach.frames[0].astype(float) * 0.8
    noise = np.random.default_rng(0).normal(0, 5, 40)
    flickering = np.stack([np.clip(frame + n, 0, 255) for n in noise]).astype(np.uint8)
    assert video.measure_motion(flickering, 8.0).flicker == pytest.approx(5, rel=0.4)
    drifting = np.stack([np.clip(frame + n, 0, 255) for n in np.linspace(0, 20, 12)]).astype(np.uint8)
    motion = video.measure_motion(drifting, 8.0)
    assert motion.drift == pytest.approx(20, rel=0.2) and motion.flicker < 1


def test_a_drawn_pan_is_named():
    scene = dataclasses.replace(BEACH, setting="forest", camera="pan left")
    assert video.measure_motion(render(scene, 90, 160).frames, 8.0).camera == "pan left"
