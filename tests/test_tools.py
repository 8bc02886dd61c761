"""The creative tools on a model that is tiny and untrained: what must stay stays, and what was asked is what comes."""

import copy
import dataclasses
import gc
import json
import subprocess
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from sorakit.diffusion.sampler import schedule
from sorakit.formats import fitted
from sorakit.latent.autoencoder import Autoencoder
from sorakit.pipeline import load
from sorakit.run import Run
from sorakit.safety.policy import film_hash
from sorakit.safety.safety import LIKENESS, Refused
from sorakit.safety.safety import drawn as from_words_alone
from sorakit.safety.verify import some_frames, verify
from sorakit.safety.watermark import detect
from sorakit.synthesis.finish import to_bytes
from sorakit.synthesis.rate import FrameRate, evened
from sorakit.synthesis.recipe import Synthesis
from sorakit.tools import (
    CURVES,
    PLUS,
    PRO,
    STYLES,
    Card,
    Format,
    Ledger,
    Plan,
    Storyboard,
    Style,
    Take,
    animate,
    blend,
    extend,
    finish,
    grid,
    loop,
    pace,
    recut,
    reel,
    remix,
    repeated,
    variations,
)
from sorakit.tools.blend import curve_at
from sorakit.tools.carry import HELD, carried, carried_on, ends, held, jump_of, lit
from sorakit.tools.extend import Reel, Spool
from sorakit.tools.loop import closed
from sorakit.tools.plans import OverPlan
from sorakit.tools.shot import (
    Circular,
    decode,
    decode_loop,
    encode,
    encode_still,
    levelled,
    read,
    screened,
    times_from,
)
from sorakit.tools.windows import Timeline, alike, decoded, fill, grow
from sorakit.types import Reason, Video
from sorakit.videofile import find_ffmpeg
from sorakit.views import pictures
from sorakit.views.insides import autoencoder_of
from sorakit.world.render import render
from sorakit.world.scene import Scene, Subject

PROMPT = "a red boat on the open sea"
FAST = {"steps": 1, "guidance": 1.0}
SMALL = Format(80, 144, 80, 144)


@pytest.fixture(scope="module")
def pipe(tiny_weights):
    """Tiny, but its autoencoder sees a film as principal components do, and looks back as the real one does."""
    pipe = load(tiny_weights, "cpu")
    generator = torch.Generator().manual_seed(1)
    for block in (*pipe.autoencoder.encoder.children(), *pipe.autoencoder.decoder.children()):
        for weight in block.parameters():
            if not weight.any():
                weight.normal_(std=0.05, generator=generator)
    return pipe


def moving(seconds=1.0, fps=8.0, height=80, width=144, hue=0):
    """A film of a square that moves over a gradient."""
    t, (y, x) = 1 + round(seconds * fps), np.mgrid[:height, :width]
    frames = np.zeros((t, height, width, 3), np.uint8)
    frames[..., hue], frames[..., 1] = x * 200 // width, y * 200 // height
    for k in range(t):
        left = round(k / fps * 40) % (width - 20)
        frames[k, 20:40, left:left + 20] = 255
    return Video(frames, fps, PROMPT)


@pytest.fixture(scope="module")
def take(pipe):
    return animate(pipe, moving().frames[0], PROMPT, seconds=1.0, height=80, width=144, **FAST)


# --- formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("aspect, size", [("16:9", (432, 768)), ("9:16", (768, 432)), ("1:1", (432, 432)),
                                          ("4:3", (432, 576)), ("3:4", (576, 432)), ("21:9", (432, 1008))])
def test_each_named_shape_is_exact_and_drawn_near_it(aspect, size):
    format = Format.of(aspect)
    assert (format.height, format.width) == size
    assert format.native_height % 16 == format.native_width % 16 == 0
    assert 36 <= format.cells[0] * format.cells[1] <= 60
    assert format.native_width / format.native_height == pytest.approx(size[1] / size[0], rel=0.04)


@pytest.mark.parametrize("asked, argument", [
    ({"aspect": "wide"}, "aspect"), ({"aspect": "9:1"}, "aspect"), ({"height": 431}, "height"),
    ({"height": 20}, "height"), ({"width": 300}, "width"), ({"height": 64, "width": 1000}, "height"),
    ({"height": 300.0}, "height"), ({"aspect": None}, "aspect"), ({"aspect": "0:9"}, "aspect")])
def test_a_shape_that_cannot_be_is_refused_by_name(unchecked, asked, argument):
    with pytest.raises(ValueError, match=f"^{argument}="):
        Format.of(**{"aspect": "16:9", **asked})


def test_films_that_are_made_from_words_come_in_the_recipes_size_and_aspect(pipe):
    recipe = dataclasses.replace(pipe, synthesis=Synthesis(size=80, aspect="9:16"))
    board = Storyboard((Card(0, "a boat"),), seconds=0.5)
    films = [variations(recipe, PROMPT, 1, seconds=0.5, **FAST)[0].video, board.film(recipe, **FAST).video,
             loop(recipe, prompt=PROMPT, seconds=1.0, **FAST).video]
    assert [film.frames.shape[1:3] for film in films] == [(142, 80)] * 3
    long = reel(recipe, PROMPT, 0.5, **FAST)
    assert next(iter(long)).shape == (142, 80, 3) and next(iter(long.native())).shape == (144, 80, 3)
    assert variations(recipe, PROMPT, 1, seconds=0.5, height=64, width=64, **FAST)[0].video.width == 64


def test_films_that_are_given_keep_their_shape_in_the_recipes_size(pipe):
    recipe = dataclasses.replace(pipe, synthesis=Synthesis(size=96))
    assert extend(recipe, moving(0.5), 0.25, **FAST).video.frames.shape[1:3] == (96, 172)
    assert extend(pipe, moving(0.5), 0.25, **FAST).video.frames.shape[1:3] == (80, 144)


# --- finish -----------------------------------------------------------------------------------------


@pytest.fixture
def released(pipe, tmp_path):
    """A film's file as the pipeline gives it: half a second, marked and signed."""
    film = Synthesis()(moving(0.5).frames, prompt=PROMPT)
    return pipe.safety.release(film, model="tiny", seed=3).save(tmp_path / "film.mp4")


def test_a_finished_file_has_the_recipes_size_and_rate_its_own_marks_and_its_source_as_ingredient(pipe, released):
    recipe, told = dataclasses.replace(pipe, synthesis=Synthesis(size=480, fps=24, sharpen=0.2)), []
    done = finish(recipe, released, released.with_name("out.mov"), codec="h264", progress=lambda *now: told.append(now))
    assert (done.codec, done.count, done.fps, done.height, done.width) == ("h264", 13, 24.0, 480, 854)
    assert told == [("read", 0, 1), ("read", 1, 1), ("finish", 0, 1)] + [("finish", k, 13) for k in range(1, 14)]
    found = verify(done.path)
    assert found.genuine and found.agree and found.provenance.ingredients == ("film.mp4",)
    assert "edited" in found.provenance.actions
    said, before = found.provenance.generation, verify(released).provenance.generation
    assert said == before and said["seed"] == "3" and said["prompt"] == PROMPT


def test_a_cropped_or_unmarked_film_is_marked_when_it_is_finished(pipe, released):
    tall = verify(finish(pipe, released, released.with_name("tall.mp4"), aspect="9:16").path)
    assert tall.genuine and tall.agree
    bare = Synthesis()(moving(0.5).frames).save(released.with_name("bare.mp4"))
    found = verify(finish(pipe, bare, released.with_name("marked.mp4")).path)
    assert not verify(bare).genuine and found.genuine and found.agree


def test_a_film_that_is_already_finished_is_not_marked_twice(pipe, released):
    again = finish(pipe, released, released.with_name("again.mp4")).path
    assert np.abs(some_frames(again).astype(int) - some_frames(released)).mean() < 1.5


def test_padding_shows_the_whole_picture_and_cropping_its_middle():
    tall = np.zeros((1, 200, 100, 3), np.uint8)
    tall[:, :20, :, 0] = tall[:, -20:, :, 0] = 250
    padded, cropped = fitted(tall, 80, 144, "pad"), fitted(tall, 80, 144, "crop")
    assert padded.shape == cropped.shape == (1, 80, 144, 3)
    assert padded[0, 2, 72, 0] > 200 > 20 > cropped[..., 0].max()
    with pytest.raises(ValueError, match="fit='stretch'"):
        fitted(tall, 80, 144, "stretch")


# --- image to video ---------------------------------------------------------------------------------


def test_the_first_frame_is_the_picture_as_the_autoencoder_gives_it_back(pipe, take):
    frame = moving().frames[0]
    itself = to_bytes(pipe.autoencoder.decode(encode_still(pipe, frame, first=True)))[0]
    assert np.abs(to_bytes(decode(pipe, take.latents))[0].astype(int) - itself).max() <= 1
    assert take.video.frames.shape == (9, 80, 144, 3)
    assert isinstance(take.run, Run) and take.run.brief.prompt == PROMPT
    assert not np.array_equal(take.video.frames[0], take.video.frames[-1])


@pytest.mark.parametrize("at, known", [("first", {0}), ("last", {4}), ("both", {0, 4}), (0.5, {2}), (0, {0})])
def test_a_picture_lies_where_it_was_put_and_nowhere_else(pipe, at, known):
    made = animate(pipe, moving().frames[3], PROMPT, at=at, seconds=1.0, height=80, width=144, **FAST)
    latents, mask = made.run.known
    assert set(torch.nonzero(mask[0].flatten(1).all(1)).flatten().tolist()) == known
    for place in known:
        assert torch.equal(made.latents[:, :, place], latents[:, :, place])


def test_two_pictures_make_what_is_between_them(pipe):
    ends = {"first": moving().frames[0], "last": moving().frames[8]}
    made = animate(pipe, ends, PROMPT, seconds=1.0, height=80, width=144, **FAST)
    assert made.asked["at"] == [0, 4]
    assert torch.equal(made.latents[:, :, 4:], encode_still(pipe, ends["last"], first=False))


def test_without_a_prompt_one_is_made_and_said(pipe):
    made = animate(pipe, moving().frames[0], seconds=0.5, height=80, **FAST)
    assert repr(made.run.brief.prompt) in made.notes[0]


def test_a_film_of_a_picture_has_the_pictures_shape(pipe):
    made = animate(pipe, np.zeros((150, 201, 3), np.uint8), PROMPT, seconds=0.25, **FAST)
    assert (made.video.height, made.video.width) == (150, 200)


@pytest.mark.parametrize("asked, message", [
    ({"at": "middle"}, "at='middle'"), ({"at": 3.0}, "at=3.0"), ({"at": True}, "at=True"), ({"fit": "squeeze"}, "fit="),
    ({"seconds": 0}, "seconds=0"), ({"seconds": "2"}, "seconds='2'"), ({"seconds": float("nan")}, "seconds=nan"),
    ({"image": {}}, "image is an empty"), ({"image": 3}, "image is a int"), ({"steps": 0}, "steps=0"),
    ({"image": {0: np.zeros((80, 80, 3), np.uint8), 0.1: np.zeros((80, 80, 3), np.uint8)}}, "at=0.1"),
    ({"seed": -1}, "seed=-1")])
def test_what_animate_cannot_do_is_named(pipe, asked, message):
    with pytest.raises(ValueError, match=message):
        animate(pipe, **{"image": moving().frames[0], "prompt": PROMPT, "seconds": 1.0, **FAST, **asked})


def test_every_tool_heeds_the_safety_rules(pipe):
    film, bad = moving(), "a man shoots a woman, blood and gore"
    for make in (lambda: animate(pipe, film.frames[0], bad), lambda: remix(pipe, film, bad, strength=0),
                 lambda: blend(pipe, film, film, bad, strength=0), lambda: loop(pipe, prompt=bad),
                 lambda: reel(pipe, bad), lambda: variations(pipe, bad, 2), lambda: extend(pipe, film, 1.0, bad),
                 lambda: recut(pipe, film, after=1.0, prompt=bad),
                 lambda: recut(pipe, Video(film.frames, 8.0, bad), [(0, 0.5)]),
                 lambda: Storyboard((Card(0, "a boat"), Card(1, bad, transition="cut"))).film(pipe)):
        with pytest.raises(Refused):
            make()


def test_every_film_of_words_alone_is_screened_as_one(pipe, monkeypatch):
    seen, short = [], {"seconds": 1.0, "height": 80}
    monkeypatch.setattr(pipe.safety, "screen_frames", lambda frames, drawn=False: seen.append(drawn) or ())
    for make in (lambda: variations(pipe, PROMPT, 1, **short, **FAST),
                 lambda: loop(pipe, prompt=PROMPT, **short, **FAST),
                 lambda: Storyboard((Card(0, PROMPT),), **short).film(pipe, **FAST)):
        seen.clear()
        make()
        assert seen and all(seen)
    Storyboard((Card(0, PROMPT, image=moving().frames[0]),), **short).film(pipe, **FAST)
    assert not seen[-1]


def test_every_tools_film_has_the_notes_on_its_prompt(pipe):
    prompt, film, short = "a lorry on a hihgway", moving(), {"seconds": 1.0, "height": 80}
    notes = set(pipe(prompt, **short, **FAST).notes)
    assert len(notes) > 1
    cards = Card(0, prompt), Card(0.5, "a boat", transition="cut")
    for make in (lambda: variations(pipe, prompt, 1, **short, **FAST)[0], lambda: remix(pipe, film, prompt, **FAST),
                 lambda: loop(pipe, prompt=prompt, **short, **FAST), lambda: extend(pipe, film, 0.5, prompt, **FAST),
                 lambda: Storyboard(cards, **short).film(pipe, **FAST)):
        assert notes <= set(make().video.notes)


TOOLS = {
    "remix": lambda pipe, film: remix(pipe, film, PROMPT, strength=0.8, region=(0, 0, 0.5, 1), **FAST),
    "blend": lambda pipe, film: blend(pipe, moving(), film, PROMPT, **FAST),
    "loop": lambda pipe, film: loop(pipe, film, PROMPT, seam="short", **FAST),
    "extend": lambda pipe, film: extend(pipe, film, 0.5, PROMPT, before=0.5, **FAST),
    "recut": lambda pipe, film: recut(pipe, film, [(0.25, 0.75)]),
    "recut and on": lambda pipe, film: recut(pipe, film, [(0.25, 0.75)], after=0.5, prompt=PROMPT, **FAST),
    "storyboard": lambda pipe, film: Storyboard((Card(0, PROMPT, video=film),), 1.0, height=80).film(pipe, **FAST),
}


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    """The file of a film with a face."""
    picture = pytest.importorskip("skimage.data").astronaut()[:240, 120:360]
    return Video(np.stack([picture] * 9), 8.0).save(tmp_path_factory.mktemp("face") / "face.mp4")


@pytest.mark.parametrize("tool", TOOLS)
def test_a_given_film_with_faces_is_refused_before_the_work(pipe, face, tool, monkeypatch):
    monkeypatch.setattr("sorakit.tools.shot.Guided.sample", None)
    with pytest.raises(Refused, match="without consent"):
        TOOLS[tool](pipe, face)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_given_film_whose_people_agreed_passes_to_its_end(pipe, tmp_path, tool):
    film, other = moving().save(tmp_path / "film.mp4"), moving(hue=2).save(tmp_path / "other.mp4")
    safety = pipe.safety.under("classroom", consent=consent_to(film, tmp_path))
    safety.screen_frames = lambda frames, **how: (Reason(LIKENESS, (), "faces"),)           # sees faces everywhere
    seeing = dataclasses.replace(pipe, safety=safety)
    if tool != "blend":                              # which is given a second film that nobody agreed to
        assert TOOLS[tool](seeing, film).video.origin
    with pytest.raises(Refused):
        TOOLS[tool](seeing, other)


def consent_to(film, folder):
    path = folder / "agreed.txt"
    path.write_text(f"film: {film_hash(film)}\n")
    return path


def test_two_films_whose_people_agreed_blend(pipe, face, tmp_path):
    agreed = dataclasses.replace(pipe, safety=pipe.safety.under("classroom", consent=consent_to(face, tmp_path)))
    assert blend(agreed, face, face, PROMPT, **FAST).video.origin
    assert recut(agreed, face, [(0.25, 0.75)]).video.origin


# --- windows ----------------------------------------------------------------------------------------


def test_a_window_from_nothing_is_the_plain_pipelines_film(pipe):
    plain = pipe.trace(PROMPT, seconds=1.0, seed=5, steps=2)
    latents, runs = fill(pipe, Timeline.empty(pipe, SMALL, 5, PROMPT), seed=5, steps=2)
    assert torch.equal(latents, plain.latents.values) and len(runs) == 1


def test_known_latents_come_back_as_they_are_over_many_windows(pipe):
    timeline = Timeline.empty(pipe, SMALL, 16, PROMPT)
    timeline.known.normal_(generator=torch.Generator().manual_seed(0))
    for place in (0, 1, 7, 15):
        timeline.mask[:, place] = True
    latents, runs = fill(pipe, timeline, **FAST)
    where = timeline.mask[:, None].expand_as(latents)
    assert torch.equal(latents[where], timeline.known[where]) and not torch.equal(latents, timeline.known)
    assert len(runs) > 2 and torch.isfinite(latents).all()


def test_each_window_knows_the_last_latents_before_it_and_starts_from_a_frame_that_stands_alone(pipe):
    latents, runs = fill(pipe, Timeline.empty(pipe, SMALL, 15, PROMPT), **FAST)
    known, mask = runs[1].known
    assert mask[0].flatten(1).all(1).tolist() == [True] * 5 + [False] * 4
    assert torch.equal(known[:, :, 1:5], latents[:, :, 5:9])
    frame = to_bytes(pipe.autoencoder.decode(latents[:, :, :5])[:, :, -1:])[0]
    assert torch.equal(known[:, :, :1], encode_still(pipe, frame, first=True))


def test_words_change_where_their_time_has_come(pipe):
    timeline = Timeline.empty(pipe, SMALL, 12, PROMPT)
    timeline = Timeline(SMALL, timeline.known, timeline.mask, ((0, "a cat"), (6, "a dog")))
    _, runs = fill(pipe, timeline, **FAST)
    assert [run.brief.prompt for run in runs] == ["a cat", "a dog", "a dog"][:len(runs)]


def test_frames_decoded_as_they_come_are_those_of_the_whole(pipe):
    latents = torch.randn(1, 8, 14, 5, 9, generator=torch.Generator().manual_seed(0))
    parts = torch.cat(list(decoded(pipe, latents.split([1, 6, 2, 5], 2))), 2)
    assert torch.allclose(parts, pipe.autoencoder.decode(latents), atol=1e-5)


def test_a_grown_film_is_the_filled_one(pipe):
    filled, _ = fill(pipe, Timeline.empty(pipe, SMALL, 15, PROMPT), **FAST)
    grown = torch.cat(list(grow(pipe, None, 15, PROMPT, SMALL, **FAST)), 2)
    assert torch.allclose(filled, grown, atol=1e-4)


def test_runs_of_tools_can_be_replayed(pipe, take):
    again = take.run.replay(from_="diffusion", edit=lambda latents: latents)
    assert not take.run.diff(again).stages
    other = take.run.replay(seed=8, from_="known")
    assert torch.equal(other.latents.values[:, :, 0], take.latents[:, :, 0]) and take.run.diff(other).stages


# --- remix ------------------------------------------------------------------------------------------


def test_strength_0_is_the_source_within_the_autoencoders_error_and_1_is_a_new_film(pipe):
    film = moving()
    source = read(pipe, "film", film)
    none = remix(pipe, film, PROMPT, strength=0)
    assert torch.equal(none.latents, source.latents) and not none.runs
    new = remix(pipe, film, PROMPT, strength=1.0, seed=3, steps=2)
    assert torch.equal(new.latents, pipe.trace(PROMPT, seconds=1.0, seed=3, steps=2).latents.values)


def test_a_remix_starts_from_the_source_part_noised_and_the_stronger_the_more(pipe):
    source, times = encode(pipe, moving().frames), []
    noise = torch.randn(source.shape, generator=torch.Generator().manual_seed(4))
    for strength in ("subtle", "mild", "strong"):
        step = remix(pipe, moving(), PROMPT, strength=strength, seed=4, **FAST).run.steps[0]
        assert torch.allclose(step.x, (1 - step.t) * source + step.t * noise, atol=1e-5)
        times.append(step.t)
    assert 0 < times[0] < times[1] < times[2] < 1


def test_a_part_noised_film_is_walked_from_its_own_time_to_0_and_noise_alone_as_by_the_plain_sampler():
    half = times_from(0.5, 10, 8.0)
    assert half[0] == 0.5 and half[-1] == 0 and len(half) == 6 and (np.diff(half) < 0).all()
    assert times_from(1.0, 10, 8.0) == schedule(10, 8.0)
    assert len(times_from(0.01, 10, 8.0)) == 2


@pytest.mark.parametrize("region", [(0.0, 0.0, 0.5, 1.0), "array"])
@pytest.mark.parametrize("size", [(80, 144), (120, 216)])
def test_outside_of_its_region_a_remix_changes_no_pixel(pipe, region, size):
    film, w = moving(height=size[0], width=size[1]), size[1]
    if region == "array":
        region = np.zeros((40, 72), bool)
        region[:, :36] = True
    made = remix(unmarked(pipe), film, "snow", strength=1.0, region=region, **FAST)
    same = (made.video.frames == film.frames).all(-1)
    assert same[:, :, w // 2:].all() and same[:, :, :w // 2 - 8].mean() < 0.2
    cells = made.run.known[1][0]
    assert cells[:, :, 5:].all() and not cells[:, :, :4].any()


def unmarked(pipe):
    """The pipeline with films that leave it without a mark, so that their pixels can be compared."""
    safety = copy.copy(pipe.safety)
    safety.release = lambda video, **_: video
    return dataclasses.replace(pipe, safety=safety)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_with_its_own_words_a_remixed_film_stays_as_it_is_whatever_the_network_gets_wrong(pipe, guidance):
    same = remix(pipe, moving(), PROMPT, strength=0.7, steps=3, guidance=guidance, seed=2)
    other = remix(pipe, moving(), "a storm at night", strength=0.7, steps=3, guidance=guidance, seed=2)
    source = encode(pipe, moving().frames)
    assert torch.allclose(same.latents, source, atol=2e-3)
    assert (other.latents - source).abs().mean() > 0.02


def test_what_a_graded_or_partly_changed_film_goes_on_with_is_what_it_shows(pipe):
    noir = remix(unmarked(pipe), moving(), PROMPT, strength=0.8, style="film noir", **FAST)
    assert torch.equal(noir.latents, encode(pipe, noir.video.frames))


def test_a_film_of_a_file_keeps_its_size_and_another_height_its_shape(pipe, tmp_path):
    path = moving(0.5, height=640, width=360).save(tmp_path / "tall.mp4")
    whole, low = remix(pipe, path, PROMPT, strength=0), remix(pipe, path, PROMPT, strength=0, height=320)
    assert (whole.video.height, whole.video.width) == (640, 360)
    assert (low.video.height, low.video.width) == (320, 180)
    assert (loop(pipe, moving(2.0), PROMPT, height=40 * 2, **FAST).video.width) == 144


def test_a_style_adds_its_words_and_its_grade(pipe):
    film = moving()
    plain, noir = (remix(pipe, film, PROMPT, strength=0.8, style=style, **FAST)
                   for style in (Style("black and white"), Style("black and white", "noir")))
    assert noir.run.brief.prompt == f"{PROMPT}, black and white"
    spread = lambda video: (video.frames.max(-1).astype(int) - video.frames.min(-1)).mean()
    assert spread(noir.video) < 0.2 * spread(plain.video)


def test_every_style_of_the_seed_is_there_and_its_words_and_grade_are_real(pipe):
    assert set(STYLES) == {"natural", "cinematic", "cyberpunk", "watercolour", "film noir", "paper cut-out",
                           "pixel art", "sketch"}
    from sorakit.synthesis.colour import LOOKS
    for style in STYLES.values():
        assert pipe.prompt(f"a city, {style.words}").style is not None, style
        assert style.look is None or style.look in LOOKS


@pytest.mark.parametrize("asked, message", [
    ({"strength": 1.2}, "strength=1.2"), ({"strength": "huge"}, "strength='huge'"), ({"strength": True}, "strength="),
    ({"style": "baroque"}, "style='baroque'"), ({"region": (0.5, 0, 0.4, 1)}, "region="), ({"region": 3}, "region"),
    ({"region": np.zeros((4, 4))}, "region is empty"), ({"film": 7}, "film is of type int"),
    ({"film": np.zeros((2, 80, 80, 3), np.uint8)}, "film is of type ndarray")])
def test_what_remix_cannot_do_is_named(pipe, asked, message):
    with pytest.raises(ValueError, match=message):
        remix(pipe, **{"film": moving(), "prompt": PROMPT, **FAST, **asked})


def test_a_take_goes_on_with_its_own_latents_and_a_film_with_another_rate_is_brought_to_the_models(pipe, take):
    assert read(pipe, "film", take).latents is take.latents
    assert read(pipe, "film", take.run).latents is take.run.latents.values
    assert read(pipe, "film", moving(1.0, fps=24.0)).latents.shape[2] == 5
    assert read(pipe, "film", moving(1.0, fps=4.0)).latents.shape[2] == 5


def test_a_take_of_other_weights_is_encoded_anew(pipe, take):
    origin = dataclasses.replace(take.video.origin, weights="others")
    other = dataclasses.replace(take, video=dataclasses.replace(take.video, origin=origin))
    assert torch.equal(read(pipe, "film", take).latents, take.latents)
    assert torch.equal(read(pipe, "film", other).latents, encode(pipe, take.video.frames))


def test_sound_is_said_to_be_dropped(pipe, tmp_path):
    path = tmp_path / "loud.mp4"
    subprocess.run([find_ffmpeg(), "-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x90:r=8:d=1", "-f", "lavfi", "-i",
                    "sine=d=1", "-pix_fmt", "yuv420p", str(path)], check=True)
    assert "sound of loud.mp4 is dropped" in remix(pipe, path, PROMPT, strength=0).notes[0]
    assert "sound of loud.mp4 is dropped" in recut(pipe, path, [(0.25, 0.75)]).notes[0]


# --- extend and re-cut ------------------------------------------------------------------------------


def test_a_longer_film_begins_with_the_film_itself(pipe, take):
    longer = extend(pipe, take, 1.5, **FAST)
    assert torch.equal(longer.latents[:, :, :5], take.latents) and longer.latents.shape[2] == 11
    assert len(longer.video.frames) == 9 + 12
    assert np.array_equal(to_bytes(decode(pipe, longer.latents))[:9], to_bytes(decode(pipe, take.latents)))


@pytest.mark.parametrize("before, frames", [(0.5, 4), (2.0, 16)])
def test_a_film_that_is_led_up_to_ends_with_the_film_itself(pipe, take, before, frames):
    longer = extend(pipe, take, before=before, **FAST)
    assert torch.equal(longer.latents[:, :, -4:], take.latents[:, :, 1:])
    assert len(longer.video.frames) == 9 + frames
    joint = longer.latents.shape[2] - 5                                 # leads to the film's own first frame
    frames = pipe.autoencoder.decode(longer.latents)[:, :, :2 * joint + 1]
    assert torch.allclose(pipe.autoencoder.encode(frames)[:, :, :1], longer.latents[:, :, :1], atol=50)


def test_a_single_picture_can_be_led_up_to(pipe):
    still = Video(moving().frames[:1], 8.0, PROMPT)
    assert len(extend(pipe, still, before=0.5, **FAST).video.frames) == 5


def test_extending_by_nothing_is_refused(pipe, take):
    for asked, message in (((), "nothing to add"), ((-1.0,), "seconds=-1.0"), (("1",), "seconds='1'")):
        with pytest.raises(ValueError, match=message):
            extend(pipe, take, *asked)


def test_parts_that_are_kept_are_untouched(pipe):
    film, pipe = moving(2.0), unmarked(pipe)
    made = recut(pipe, film, [(0.5, 1.0), (1.5, None)])
    assert np.array_equal(made.video.frames, np.concatenate([film.frames[4:8], film.frames[12:]]))
    assert made.video.fps == film.fps and not made.runs
    by_frames = recut(pipe, film, [(4, 8), (12, None)], unit="frames")
    assert np.array_equal(by_frames.video.frames, made.video.frames)
    with pytest.raises(ValueError, match="recut did not need the model"):
        _ = made.run


def test_parts_of_a_file_are_cut_to_the_frame(pipe, tmp_path):
    path = tmp_path / "long.mp4"
    film = Video(np.repeat(np.arange(0, 240, 10, dtype=np.uint8), 64 * 64 * 3).reshape(24, 64, 64, 3), 12.0)
    film.save(path)
    levels = recut(unmarked(pipe), path, [(3, 5), (20, 24)], unit="frames").video.frames.mean((1, 2, 3))
    assert np.abs(levels - [30, 40, 200, 210, 220, 230]).max() < 3


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_recut_of_a_file_is_marked_signed_and_names_it(pipe, tmp_path, suffix):
    path = moving(2.0, height=216, width=384).save(tmp_path / f"film{suffix}")
    found = verify(recut(pipe, path, [(0.5, 1.5)]).save(tmp_path / "part.mp4"))
    assert found.genuine and found.agree and found.provenance.ingredients == (path.name,)
    assert found.provenance.actions == ("opened", "edited")


def test_a_recut_of_a_marked_film_keeps_its_pixels_its_mark_and_what_it_says_of_its_origin(pipe, tmp_path):
    film = pipe.safety.release(moving(2.0, height=216, width=384), model="another", seed=7)
    path = film.save(tmp_path / "film.mp4")
    made = recut(pipe, path, [(0.5, 1.5)]).video
    assert np.abs(made.frames.astype(int) - film.frames[4:12]).mean() < 2
    found = verify(made.save(tmp_path / "part.mp4"))
    assert found.genuine and found.agree and found.payload.seed == 7
    said = verify(path).provenance.generation
    assert said["model"] == "another" and found.provenance.generation == said
    assert "model another, seed 7" in made.metadata["comment"]
    assert recut(pipe, film, [(0.5, 1.5)]).video.origin == film.origin.after("c2pa.edited")


@pytest.mark.parametrize("keep, unit", [([(1.0, 1.0)], "seconds"), ([(1.0, 0.5)], "seconds"), ([(0, 9.0)], "seconds"),
                                        ([(-1, 1)], "seconds"), ([(0.5, 2)], "frames"), ([("a", 1)], "seconds"),
                                        ([3], "seconds"), ([(5, None)], "seconds")])
def test_parts_that_are_empty_reversed_or_beyond_the_film_are_refused(pipe, keep, unit):
    with pytest.raises(ValueError, match="keep has"):
        recut(pipe, moving(2.0), keep, unit=unit)


@pytest.mark.parametrize("asked, message", [({}, "nothing is asked for"), ({"unit": "hours"}, "unit="),
                                            ({"keep": []}, "keep=\\[\\]"), ({"keep": 3}, "keep=3"),
                                            ({"speed": 0}, "speed=0"), ({"speed": "2"}, "speed='2'")])
def test_what_recut_cannot_do_is_named(pipe, asked, message):
    with pytest.raises(ValueError, match=message):
        recut(pipe, moving(), **asked)


def place_of(frame):
    return np.nonzero((frame[30] > 230).all(-1))[0].mean()


def test_half_the_pace_moves_half_as_far_from_frame_to_frame(pipe):
    film = moving(1.0)
    slow = pace(film, 0.5)
    assert len(slow.frames) == 17 and slow.fps == film.fps
    assert np.array_equal(slow.frames[::2], film.frames)
    steps = np.diff([place_of(frame) for frame in slow.frames])
    assert steps.mean() == pytest.approx(2.5, abs=0.3)


@pytest.mark.parametrize("speed", [1.5, 2.0])
def test_a_faster_pace_drops_no_frame(speed):
    flashes = np.zeros((17, 32, 32, 3), np.uint8)
    film = Video(flashes, 8.0)
    for k in (0, 1, 5, 8, 16):
        one = film.frames.copy()
        one[k] = 11                                                  # of one frame alone, and too little for a cut
        fast = pace(Video(one, 8.0), speed).frames
        assert len(fast) == 1 + int(16 / speed)
        assert fast.max() >= 1, k


def test_a_recut_can_go_on_beyond_its_end(pipe):
    made = recut(pipe, moving(2.0), [(0.0, 1.0)], after=0.5, **FAST)
    assert made.tool == "recut" and made.runs and len(made.video.frames) == 7 + 4       # 8 frames are 1 + 2 x 3


# --- blend ------------------------------------------------------------------------------------------


def test_a_transition_begins_as_the_one_film_and_ends_as_the_other(pipe):
    a, b = moving(2.0), moving(2.0, hue=2)
    made = blend(pipe, a, b, PROMPT, **FAST)
    one, two = encode(pipe, a.frames), encode(pipe, b.frames)
    assert torch.equal(made.latents[:, :, :2], one[:, :, :2]) and torch.equal(made.latents[:, :, -2:], two[:, :, -2:])
    middle = made.latents[:, :, 4]
    assert not torch.allclose(middle, one[:, :, 4]) and not torch.allclose(middle, two[:, :, 4])


def test_without_strength_a_blend_is_the_curves_mix_of_latents(pipe):
    a, b = moving(1.0), moving(1.0, hue=2)
    curve = [(0, 0.2), (0.5, 1.0), (1, 0.4)]
    made = blend(pipe, a, b, PROMPT, curve=curve, strength=0)
    w = torch.tensor([0.2, 0.6, 1.0, 0.7, 0.4]).view(1, 1, -1, 1, 1)
    assert torch.allclose(made.latents, (1 - w) * encode(pipe, a.frames) + w * encode(pipe, b.frames), atol=1e-5)


def test_films_that_overlap_in_part_make_a_longer_one(pipe):
    a, b = moving(2.0), moving(1.5, hue=2)
    made = blend(pipe, a, b, PROMPT, overlap=1.0, **FAST)
    one, two = encode(pipe, a.frames), encode(pipe, b.frames)
    assert made.latents.shape[2] == 9 + 7 - 4
    assert torch.equal(made.latents[:, :, :5], one[:, :, :5])
    assert torch.equal(made.latents[:, :, 9:], two[:, :, 4:])
    assert blend(pipe, a, b, PROMPT, overlap=0.75, **FAST).runs


def test_every_named_curve_stays_within_0_and_1_and_does_what_it_says():
    shares = {name: curve_at(points, 9) for name, points in CURVES.items()}
    assert all(value.min() >= 0 and value.max() <= 1 for value in shares.values())
    assert shares["transition"][0] == 0 and shares["transition"][-1] == 1 and (np.diff(shares["transition"]) >= 0).all()
    assert (shares["mix"] == 0.5).all()
    assert shares["sample"][0] == shares["sample"][-1] == 0 < shares["sample"][4]


@pytest.mark.parametrize("asked, message", [
    ({"curve": "wobble"}, "curve='wobble'"), ({"curve": [(0, 0)]}, "curve="), ({"curve": [(0, 0), (0, 1)]}, "curve="),
    ({"curve": [(0, 0), (1, 2)]}, "curve="), ({"curve": 3}, "curve=3"), ({"overlap": 9.0}, "overlap=9.0"),
    ({"overlap": 0.25}, "would be a cut"), ({"overlap": 0.5}, "overlap=0.5 and curve='transition' leave nothing"),
    ({"b": moving(1.0, height=144, width=80)}, "bring both to one shape"), ({"b": None}, "b is of type NoneType")])
def test_what_blend_cannot_do_is_named(pipe, asked, message):
    with pytest.raises(ValueError, match=message):
        blend(pipe, **{"a": moving(), "b": moving(), "prompt": PROMPT, **FAST, **asked})


def test_films_of_two_shapes_blend_in_a_third(pipe):
    made = blend(pipe, moving(0.5), moving(0.5, height=144, width=80), PROMPT, aspect="1:1", height=64, **FAST)
    assert (made.video.height, made.video.width) == (64, 64)


# --- seams, with a model that makes no mistakes -------------------------------------------------------


class Oracle:
    """A network that knows a film: the velocity to that part of it that what is known of the window belongs to."""

    def __init__(self, pipe, frames):
        self.parts = [encode(pipe, frames[2 * k:]) for k in range(len(frames) // 2)]

    def __call__(self, x, t, words, mask, fps=8.0, span=None):
        known, count = (t == 0)[:, None], x.shape[2]
        parts = [part[:, :, :count] for part in self.parts if part.shape[2] >= count]
        film = min(parts, key=lambda part: float(((x - part) ** 2 * known)[:, :, 1:].sum()))
        return torch.where(known, 0, (x - film) / t[:, None].clamp_min(1e-6))


@pytest.fixture(scope="module")
def drawn():
    """Three seconds of a car that drives by, at the models' size and rate."""
    scene = Scene((Subject("car", "red", action="drive", direction="right"),), "city street", camera="pan right")
    return render(scene, 80, 144, 3.0, 8.0).frames[:25]


@pytest.fixture(scope="module")
def sharp(pipe, drawn):
    """The pipeline with an autoencoder that sees well, and looks back in time as the trained one does."""
    autoencoder = Autoencoder(96, 8).eval().requires_grad_(False)
    autoencoder.start_from_principal_components(torch.from_numpy(drawn).permute(3, 0, 1, 2)[None] / 127.5 - 1)
    generator = torch.Generator().manual_seed(1)
    for block in (*autoencoder.encoder.children(), *autoencoder.decoder.children()):
        for weight in block.parameters():
            if not weight.any():
                weight.normal_(std=0.01, generator=generator)
    return dataclasses.replace(pipe, autoencoder=autoencoder)


def knowing(pipe, frames):
    knows = dataclasses.replace(pipe)
    knows.transformer = Oracle(pipe, frames)
    return knows


def psnr_of(a, b):
    return 10 * np.log10(255**2 / np.square(a.astype(float) - b).mean())


def step_at(frames, k):
    """The change from frame k to the next against the mean of the others."""
    change = np.abs(np.diff(frames.astype(float), axis=0)).mean((1, 2, 3))
    return change[k] / np.delete(change, k).mean()


@pytest.mark.parametrize("asked, first, seam", [({"seconds": 1.0}, 0, 16), ({"before": 1.0}, 8, 7)])
def test_a_film_made_longer_by_a_model_that_knows_it_has_no_seam(sharp, drawn, asked, first, seam):
    film = Video(drawn[first:first + 17], 8.0, PROMPT)
    made = to_bytes(decode(sharp, extend(knowing(sharp, drawn), film, steps=2, guidance=1.0, **asked).latents))
    whole = to_bytes(decode(sharp, encode(sharp, drawn)))
    assert made.shape == drawn.shape and psnr_of(made, whole) > 36
    assert step_at(made, seam) == pytest.approx(step_at(whole, seam), abs=0.15)


def test_a_long_film_from_a_model_that_knows_it_is_that_film_over_all_its_windows(sharp, drawn):
    knows = knowing(sharp, drawn)
    start = encode(sharp, drawn[:1])
    made = torch.cat([start, *grow(knows, start, 12, PROMPT, SMALL, steps=2, guidance=1.0)], 2)
    assert torch.allclose(made, encode(sharp, drawn), atol=1e-3)


@pytest.mark.parametrize("seam, new", [("short", 2), ("normal", 4), ("long", 6)])
def test_a_film_closed_by_a_model_that_knows_what_goes_round_has_no_seam(sharp, seam, new):
    period = 16 + 2 * new
    frames = np.repeat(moving().frames[:1], 3 * period, 0)
    for k in range(len(frames)):
        left = round(60 + 50 * np.sin(2 * np.pi * k / period))
        frames[k, 40:70, left:left + 24] = (250, 250, 40)
    latents = encode(sharp, frames[:17])
    ring, _ = closed(knowing(sharp, frames), latents, new, PROMPT, SMALL, seed=0, steps=2, guidance=1.0)
    made = to_bytes(decode_loop(sharp, ring, new))
    truth = evened(to_bytes(decode(sharp, encode(sharp, frames)))[period + 1:2 * period + 1])
    assert made.shape == truth.shape and psnr_of(made, truth) > 36
    turned, right = np.roll(made, 4, 0), np.roll(truth, 4, 0)
    assert step_at(turned, 3) == pytest.approx(step_at(right, 3), abs=0.2)


# --- loop -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seam, new", [("short", 2), ("normal", 4), ("long", 6)])
def test_a_loops_seam_lies_between_the_films_own_end_and_beginning(pipe, seam, new):
    latents = encode(pipe, moving(2.0).frames)
    ring, runs = closed(pipe, latents, new, PROMPT, SMALL, seed=0, **FAST)
    assert torch.equal(ring[:, :, :8], latents[:, :, 1:]) and ring.shape[2] == 8 + new
    known, mask = runs[0].known
    before, after = (9 - new) // 2, (8 - new) // 2
    assert len(runs) == 1 and int((~mask[0, :, 0, 0]).sum()) == new
    assert torch.equal(known[:, :, 1:1 + before], latents[:, :, -before:])
    assert torch.equal(known[:, :, 9 - after:], latents[:, :, 1:1 + after])
    assert len(loop(pipe, moving(2.0), PROMPT, seam=seam, **FAST).video.frames) == 2 * (8 + new)


def test_a_rings_frames_are_those_of_a_film_that_has_gone_round_before(pipe):
    ring = torch.randn(1, 8, 6, 5, 9, generator=torch.Generator().manual_seed(0))
    frames = decode_loop(pipe, ring)
    thrice = pipe.autoencoder.decode(ring.repeat(1, 1, 3, 1, 1))
    assert np.array_equal(to_bytes(frames), evened(to_bytes(thrice[:, :, -12:])))
    turned = decode_loop(pipe, ring.roll(2, 2))
    assert torch.allclose(turned, frames.roll(4, 2), atol=1 / 127)


def test_a_seam_keeps_to_the_light_of_the_film_on_either_side():
    frames = torch.randn(1, 3, 12, 4, 6, generator=torch.Generator().manual_seed(0)) + torch.arange(12.0).view(12, 1, 1)
    made = levelled(frames, 4)
    assert torch.equal(made[:, :, :8], frames[:, :, :8]) and torch.equal(levelled(frames, 0), frames)
    light = torch.cat([made[:, :, 7:], made[:, :, :1]], 2).mean((3, 4))                    # from the end to the start
    assert torch.allclose(light.diff(dim=2), (light[:, :, -1:] - light[:, :, :1]) / 5, atol=1e-5)
    pattern = lambda film: film - film.mean((3, 4), keepdim=True)
    assert torch.allclose(pattern(made), pattern(frames), atol=1e-5)


def test_a_ring_is_looked_into_as_it_is_decoded(pipe):
    run = loop(pipe, prompt=PROMPT, seconds=2, **FAST).run
    truth = to_bytes(decode_loop(pipe, run.latents.values))
    assert np.array_equal(pictures.decoded(run.latents.values, autoencoder_of(run)), truth[1::2])
    film = pipe.trace(PROMPT, **FAST)
    assert np.array_equal(pictures.decoded(film.latents.values, autoencoder_of(film)), to_bytes(film.frames)[::2])


def test_a_network_that_looks_one_latent_aside_sees_a_ring_without_a_beginning():
    def network(x, t, words, mask, fps, span=None):
        before, after = torch.zeros_like(x), torch.zeros_like(x)
        before[:, :, 1:], after[:, :, :-1] = x[:, :, :-1], x[:, :, 1:]
        return x - before / 3 - after / 5

    x, t = torch.randn(1, 2, 5, 1, 1), torch.ones(1, 5, 1, 1)
    velocity = Circular(network)(x, t, None, None)
    turned = Circular(network)(x.roll(2, 2), t, None, None)
    assert velocity.shape == x.shape and torch.allclose(turned, velocity.roll(2, 2))


def test_a_loop_from_the_start_has_exactly_its_length_and_is_made_as_a_ring(pipe):
    made = loop(pipe, prompt=PROMPT, seconds=1.5, height=80, width=144, **FAST)
    assert len(made.video.frames) == 12 and made.latents is None
    assert made.run.frames.shape[2] == 12
    again = repeated(made.video, 3)
    assert len(again.frames) == 36 and np.array_equal(again.frames[12:24], made.video.frames)


def test_at_another_rate_a_loops_last_frames_lead_into_its_first(pipe):
    safety = copy.copy(pipe.safety)
    safety.release = lambda video, **how: video                                           # without marks
    quick = lambda stream: FrameRate(24.0, "blend")(stream)
    for parts, count in (([], 8), ([quick], 24)):
        plain = dataclasses.replace(pipe, safety=safety, synthesis=Synthesis(parts=parts))
        made = loop(plain, prompt=PROMPT, seconds=1.0, height=80, width=144, **FAST)
        ring, frames = to_bytes(made.run.frames), made.video.frames
        assert len(frames) == len(made.run.video.frames) == count and np.array_equal(frames[::count // 8], ring)
    for k, share in ((22, 1 / 3), (23, 2 / 3)):
        assert np.abs(frames[k] - ((1 - share) * ring[-1] + share * ring[0])).max() < 1


def test_a_loop_of_a_film_has_the_length_that_was_asked_for(pipe):
    assert len(loop(pipe, moving(2.0), PROMPT, seconds=2.0, **FAST).video.frames) == 16


@pytest.mark.parametrize("asked, message", [
    ({"film": moving(0.25)}, "too short to loop"), ({"seam": "huge"}, "seam='huge'"), ({"seconds": 9.0}, "seconds=9.0"),
    ({"film": None, "seconds": 40.0}, "seconds=40.0"), ({"film": None, "seconds": 0}, "seconds=0"),
    ({"film": None, "prompt": ""}, "prompt is empty")])
def test_what_loop_cannot_do_is_named(pipe, asked, message):
    with pytest.raises(ValueError, match=message):
        loop(pipe, **{"film": moving(), "prompt": PROMPT, **FAST, **asked})


# --- variations -------------------------------------------------------------------------------------


def test_variations_are_the_films_of_consecutive_seeds(pipe):
    takes = variations(pipe, PROMPT, 3, seconds=0.5, seed=6, steps=2, height=80)
    for k, take in enumerate(takes):
        alone = pipe.trace(PROMPT, seconds=0.5, seed=6 + k, steps=2, height=80)
        assert torch.allclose(take.latents, alone.latents.values, atol=1e-4)
        assert np.abs(take.video.frames.astype(int) - alone.video.frames).max() <= 1
        assert len(take.run.steps) == 2 and take.run.request["seed"] == 6 + k
    sheet = grid([take.video for take in takes])
    assert sheet.frames.shape == (5, 2 * 80 + 4, 2 * 142 + 4, 3)
    assert np.abs(sheet.frames[:, :80, :142].astype(int) - takes[0].video.frames).mean() < 2


def test_a_grid_is_marked_as_a_film_is(pipe):
    """The marks of its films are too small in it to be read."""
    scene = Scene((Subject("boat", "red", "sail", "right"),), "open sea")
    film = Video(render(scene, 216, 384, 1.0).frames, 8.0, PROMPT)
    films = [pipe.safety.release(film, model="nano", seed=seed) for seed in (1, 2, 3)]
    assert detect(grid(films).frames).payload == films[0].origin.watermark
    assert np.array_equal(grid([film] * 3).frames[:, :216, :384], film.frames)               # nothing to be marked with


def test_what_variations_cannot_do_is_named(pipe):
    for n in (0, 5, 2.0):
        with pytest.raises(ValueError, match="n="):
            variations(pipe, PROMPT, n)
    with pytest.raises(ValueError, match="videos is empty"):
        grid([])
    with pytest.raises(ValueError, match="videos differ"):
        grid([moving(), moving(height=64)])


# --- storyboard -------------------------------------------------------------------------------------


def board(**changed):
    cards = (Card(0, "a boat leaves the harbour"), Card(1.0, "a storm at night"), Card(1.75, image="end.png"))
    return Storyboard(**{"cards": cards, "seconds": 2.0, "prompt": "a red boat", "height": 80, "seed": 3, **changed})


def test_a_smooth_board_is_one_film_with_its_words_and_pictures_in_their_time(pipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from PIL import Image
    Image.fromarray(moving().frames[0]).save("end.png")
    made = board().film(pipe, **FAST)
    assert len(made.video.frames) == 17 and made.latents.shape[2] == 9
    assert [run.brief.prompt for run in made.runs] == ["a boat leaves the harbour, a red boat",
                                                       "a storm at night, a red boat"]
    assert torch.equal(made.latents[:, :, 7:8], encode_still(pipe, moving().frames[0], first=False))
    sheet = board().preview(pipe, steps=1, tile=64)
    assert sheet.shape[0] == 64 and sheet.std() > 0


def test_a_cut_begins_a_shot_that_knows_nothing_of_the_one_before(pipe):
    made = board(transition="cut", cards=(Card(0, "a boat"), Card(0.75, "a storm"))).film(pipe, **FAST)
    assert len(made.video.frames) == 17 and made.latents is None
    assert [run.known for run in made.runs] == [(None, None)] * 2
    alone = fill(pipe, Timeline.empty(pipe, SMALL, 6, "a storm, a red boat"), seed=3, **FAST)[0]
    assert torch.equal(made.runs[1].latents.values, alone)


def test_a_cut_to_the_same_words_is_another_shot(pipe):
    cards = Card(0, "a boat"), Card(0.5, "a boat"), Card(1.0, "a storm")
    one, two, three = board(transition="cut", cards=cards).film(pipe, **FAST).runs
    assert one.request["prompt"] == two.request["prompt"]
    assert len(one.frames[0, 0]) == len(two.frames[0, 0]) and not torch.equal(one.frames, two.frames)
    assert one.request["seed"] == three.request["seed"] == 3


def test_a_films_frames_lie_at_its_card(pipe, take):
    first = Storyboard((Card(0, video=take), Card(1.5, "a storm")), seconds=2.0, height=80, width=144)
    whole = first.film(pipe, **FAST)
    assert torch.equal(whole.latents[:, :, :5], take.latents)
    later = Storyboard((Card(0, "a storm"), Card(1.0, video=moving(1.0))), seconds=2.0, height=80, width=144)
    made = later.film(pipe, **FAST)
    held = np.concatenate([moving().frames[:1]] * 2 + [moving().frames])
    assert torch.equal(made.latents[:, :, 4:], encode(pipe, held)[:, :, 1:])


def test_a_board_is_the_same_after_it_was_saved(tmp_path):
    path = board().save(tmp_path / "board.json")
    assert Storyboard.load(path) == board() and list(tmp_path.iterdir()) == [path]
    for text, message in (("[]", "no storyboard"), ("{", "no storyboard"), ('{"cards": []}', "cards is empty"),
                          ('{"cards": [{"at": -1, "text": "x"}]}', "at=-1"),
                          ('{"version": 9, "cards": []}', "version 9")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            Storyboard.load(path)


def test_a_boards_pictures_are_found_from_its_own_folder(tmp_path, monkeypatch):
    (tmp_path / "boards").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    board(cards=(Card(0, image="end.png"),)).save("boards/board.json")
    assert json.loads((tmp_path / "boards/board.json").read_text())["cards"][0]["image"] == "../end.png"
    monkeypatch.chdir(tmp_path / "other")
    assert Storyboard.load("../boards/board.json").cards[0].image == "../end.png"


def test_progress_runs_from_nothing_to_all_over_every_window(pipe):
    for make in (lambda tell: extend(pipe, moving(), 2.0, before=1.5, steps=2, guidance=1.0, progress=tell),
                 lambda tell: Storyboard((Card(0, "a boat"), Card(0.5, "a storm", transition="cut"), Card(1.0, "rain")),
                                         seconds=1.5, height=80).film(pipe, steps=2, guidance=1.0, progress=tell),
                 lambda tell: loop(pipe, prompt=PROMPT, seconds=1.0, height=80, steps=3, progress=tell),
                 lambda tell: variations(pipe, PROMPT, 2, seconds=0.5, height=80, steps=3, progress=tell)):
        told = []
        make(lambda *now, told=told: told.append(now))
        steps = [done for stage, done, _ in told if stage == "sample"]
        total = {total for stage, _, total in told if stage == "sample"}
        assert len(total) == 1 and steps[0] == 0 and steps[-1] == total.pop() and sorted(steps) == steps
        assert told[-1] == ("finish", 1, 1)


def test_of_a_long_film_only_the_last_windows_keep_their_steps(pipe):
    made = extend(pipe, moving(), 10.0, **FAST)
    kept = [bool(run.steps) for run in made.runs]
    assert len(kept) == 10 and kept == [False] * 2 + [True] * 8


def test_a_board_with_a_picture_of_no_file_is_not_saved(tmp_path):
    cards = (Card(0, image=moving().frames[0]),)
    with pytest.raises(ValueError, match="save it to a file"):
        board(cards=cards).save(tmp_path / "board.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("make, message", [
    (lambda: Card(0), "is empty"), (lambda: Card(-1, "x"), "at=-1"), (lambda: Card(0, 3), "text is of type int"),
    (lambda: Card(0, image="a", video="b"), "an image and a video"), (lambda: Card(0, "x", transition="wipe"), "wipe"),
    (lambda: board(cards=()), "cards is empty"), (lambda: board(seconds=1.0), "lies beyond"),
    (lambda: board(cards=(Card(1, "x"), Card(1.01, "y"))), "apart"), (lambda: board(fit="squeeze"), "fit='squeeze'"),
    (lambda: board(cards=({"at": 0},)), "takes a list of Cards"), (lambda: board(prompt=3), "prompt is of type int"),
    (lambda: board(aspect="x"), "aspect="),
    (lambda: board(transition="wipe"), "transition=")])
def test_what_a_board_cannot_have_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- long films -------------------------------------------------------------------------------------


def test_a_reel_is_made_once_and_its_frames_are_those_of_its_latents(pipe):
    told = []
    long = reel(pipe, PROMPT, 2.5, height=80, progress=lambda *now: told.append(now), **FAST)
    frames = np.stack(list(long))
    latents = torch.cat(list(grow(pipe, None, 11, PROMPT, long.format, **FAST)), 2)
    native = to_bytes(decode(pipe, latents))
    assert np.abs(np.stack(list(long.native())).astype(int) - native).max() <= 1
    assert long.seconds == pytest.approx(21 / 8) and frames.shape == (21, 80, 142, 3)
    assert told[0] == ("sample", 0, 2) and told[-1] == ("sample", 2, 2)                  # a step in each window


def test_a_reel_of_one_window_is_the_plain_pipelines_film(pipe):
    long = reel(pipe, PROMPT, 3.0, height=80, seed=4, window=3.0, **FAST)
    run = pipe.trace(PROMPT, seconds=3.0, height=80, seed=4, **FAST)
    assert np.abs(np.stack(list(long.native())).astype(int) - to_bytes(run.frames)).max() <= 1


def test_a_reel_is_a_whole_file_or_none(pipe, tmp_path):
    film = moving(1.0)

    def broken():
        yield from film.frames[:4]
        raise RuntimeError("the model was switched off")

    reels = [Reel(pipe, PROMPT, SMALL, 0, Spool(make, (80, 144, 3)), 9) for make in (lambda: iter(film.frames), broken)]
    told = []
    path = reels[0].save(tmp_path / "long.mp4", progress=lambda *now: told.append(now)).path
    assert told[-1] == ("finish", 9, 9)
    with pytest.raises(RuntimeError, match="switched off"):
        reels[1].save(tmp_path / "other.mp4")
    assert path.stat().st_size > 0 and list(tmp_path.iterdir()) == [path]


def test_a_reel_of_any_length_holds_no_more_than_a_window(pipe, monkeypatch):
    longest, plain = [], pipe.autoencoder.decode
    monkeypatch.setattr(pipe.autoencoder, "decode", lambda z: longest.append(z.shape[2]) or plain(z))
    frames = iter(reel(pipe, PROMPT, 6.0, height=80, **FAST).spool)
    for _ in range(49):
        next(frames)
    assert max(longest) <= 9 + 5


def test_a_reel_screens_the_picture_that_it_begins_from(pipe, monkeypatch):
    seen, screen = [], pipe.safety.screen
    monkeypatch.setattr(pipe.safety, "screen", lambda brief: seen.append(brief.image is not None) or screen(brief))
    reel(pipe, PROMPT, 1.0, image=np.zeros((80, 144, 3), np.uint8), height=80, **FAST)
    assert seen == [False, True]


def test_a_reel_can_start_from_a_picture(pipe):
    frame = moving().frames[0]
    long = reel(pipe, PROMPT, 2.0, image=frame, height=80, **FAST)
    native = np.stack(list(long.native()))
    assert len(native) == 17
    assert np.array_equal(native[0], to_bytes(pipe.autoencoder.decode(encode_still(pipe, frame, first=True)))[0])


def test_a_film_names_the_picture_that_it_begins_from(pipe, tmp_path):
    Image.fromarray(moving().frames[0]).save(tmp_path / "boat.png")
    how = {"image": tmp_path / "boat.png", "seconds": 0.5, "height": 240, **FAST}
    for film in (reel(pipe, PROMPT, **how), pipe(PROMPT, **how)):
        film.save(tmp_path / "film.mp4")
        assert verify(tmp_path / "film.mp4").provenance.ingredients == ("boat.png",)


# --- plans ------------------------------------------------------------------------------------------


def test_the_seeds_two_plans():
    assert (PLUS.max_seconds, PLUS.max_height, PLUS.films_per_month) == (5, 720, 50)
    assert (PRO.max_seconds, PRO.max_height, PRO.films_per_month) == (20, 1080, 500)
    PLUS.check(seconds=5, height=1280, width=720)
    for asked, name in (({"seconds": 6}, "seconds=6"), ({"height": 1080, "width": 1920}, "height=1080")):
        with pytest.raises(OverPlan, match=name):
            PLUS.check(**asked)
    assert Plan(max_seconds=5, max_height=720, films_per_month=50) == dataclasses.replace(PLUS, name="custom")
    with pytest.raises(ValueError, match="max_seconds=-1"):
        Plan("odd", max_seconds=-1)


def test_a_ledger_counts_what_was_made_by_user_and_month_and_gives_back_what_failed(tmp_path, monkeypatch):
    from datetime import datetime, timezone
    ledger = Ledger(tmp_path / "films.jsonl", Plan("class", films_per_month=2))
    with ledger.film(user="ada", seconds=2, height=432):
        assert ledger.left("ada") == 1
    with pytest.raises(RuntimeError), ledger.film(user="ada"):
        raise RuntimeError
    assert ledger.used("ada") == 1 and ledger.left("bob") == 2
    with ledger.film(user="ada"):
        pass
    with pytest.raises(OverPlan, match="left of plan 'class' for ada"), ledger.film(user="ada"):
        pass
    monkeypatch.setattr("sorakit.tools.plans.now", lambda: datetime(2099, 1, 1, tzinfo=timezone.utc))
    assert ledger.left("ada") == 2
    lines = [json.loads(line) for line in (tmp_path / "films.jsonl").read_text().splitlines()]
    assert [line["films"] for line in lines] == [1, 1] and [p.name for p in tmp_path.iterdir()] == ["films.jsonl"]


def test_a_ledger_lies_in_ones_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with Ledger("~/films.jsonl", PLUS).film():
        pass
    assert Ledger(tmp_path / "films.jsonl", PLUS).used() == 1


def test_a_pipeline_and_every_tool_keep_to_its_limits_and_a_refused_film_costs_nothing(pipe, tmp_path):
    film, ledger = moving(2.0), Ledger(tmp_path / "films.jsonl", Plan("class", 1.5, 240, 50), user="ada")
    limited = dataclasses.replace(pipe, limits=ledger)
    long = {"seconds": 2.0, "height": 80}
    for make in (lambda: limited(PROMPT, **long), lambda: limited.trace(PROMPT, **long),
                 lambda: animate(limited, film.frames[0], PROMPT, **long), lambda: remix(limited, film),
                 lambda: extend(limited, film, 0.5), lambda: recut(limited, film, after=0.5),
                 lambda: blend(limited, film, film), lambda: loop(limited, film), lambda: reel(limited, PROMPT, **long),
                 lambda: loop(limited, prompt=PROMPT, **long), lambda: variations(limited, PROMPT, 2, **long),
                 lambda: Storyboard((Card(0, "a boat"),), **long).film(limited)):
        with pytest.raises(OverPlan, match="is more than plan 'class' allows: up to 1.5"):
            make()
    with pytest.raises(OverPlan, match="height=432"):
        limited(PROMPT, seconds=1.0)
    large = dataclasses.replace(limited, synthesis=Synthesis(size="4K"))
    for make in (large, large.trace):
        with pytest.raises(OverPlan, match="height=2160"):
            make(PROMPT, seconds=1.0)
    with pytest.raises(Refused):
        limited("a man shoots a woman, blood and gore", seconds=1.0, height=80)
    assert ledger.used() == 0


def test_each_film_counts_once_and_a_preview_not_at_all(pipe, tmp_path):
    ledger = Ledger(tmp_path / "films.jsonl", PLUS, user="ada")
    limited, short = dataclasses.replace(pipe, limits=ledger), {"seconds": 0.5, "height": 80}
    limited(PROMPT, **short, **FAST)
    limited.trace(PROMPT, **short, **FAST)
    assert ledger.used() == 2
    variations(limited, PROMPT, 2, **short, **FAST)
    assert ledger.used() == 4
    extend(limited, moving(), 3.0, **FAST)                           # in several windows
    assert ledger.used() == 5
    board = Storyboard((Card(0, "a boat"), Card(0.25, "a storm", transition="cut")), **short)
    board.preview(limited, steps=1)
    assert ledger.used() == 5
    board.film(limited, **FAST)
    assert ledger.used() == 6
    long = reel(limited, PROMPT, 1.0, height=80, **FAST)
    assert ledger.used() == 6                                        # nothing is made before it is looked at
    frames = iter(long.spool)
    next(frames)
    assert ledger.used() == 7
    del frames, long                                                 # given up
    gc.collect()
    assert ledger.used() == 6
    list(reel(limited, PROMPT, 1.0, height=80, **FAST))
    assert ledger.used() == 7


def test_a_film_whose_process_died_gives_its_place_back_in_time(tmp_path, monkeypatch):
    from datetime import datetime, timedelta, timezone
    ledger = Ledger(tmp_path / "films.jsonl", Plan("class", films_per_month=1))
    start = datetime(2026, 5, 5, tzinfo=timezone.utc)
    monkeypatch.setattr("sorakit.tools.plans.now", lambda: start)
    making = ledger.film()
    making.__enter__()
    assert ledger.left() == 0
    monkeypatch.setattr("sorakit.tools.plans.now", lambda: start + timedelta(hours=3))
    assert ledger.left() == 1


def test_a_plan_is_known_by_name_or_read_from_a_file(tmp_path):
    assert Plan.load("plus") is PLUS and str(PLUS) == "plus: up to 5 s, 720p, 50 films a month"
    path = tmp_path / "lesson.json"
    path.write_text('{"max_seconds": 2, "max_films_at_once": 2}')
    assert Plan.load(path) == Plan("lesson", max_seconds=2, max_films_at_once=2)
    for text, message in (("{", "is no plan"), ("[]", "is no plan"), ('{"max_seconds": "2"}', "max_seconds='2'"),
                          ('{"max_hours": 2}', "max_hours"), ('{"films_per_month": 1.5}', "films_per_month=1.5")):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            Plan.load(path)
    with pytest.raises(ValueError, match="plan='gold' is not one of plus, pro"):
        Plan.load("gold")
    with pytest.raises(ValueError, match="seconds='2' does not fit"):
        PLUS.check(seconds="2")


def test_many_at_once_do_not_lose_a_film(tmp_path):
    ledger = Ledger(tmp_path / "films.jsonl", Plan("class", films_per_month=30))

    def work():
        for _ in range(5):
            with ledger.film(user="ada"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert ledger.used("ada") == 20


def test_a_damaged_ledger_is_said_to_be_and_left_alone(tmp_path):
    path = tmp_path / "films.jsonl"
    path.write_text('{"films": 1, "user": "", "at": "2026-01-01"}\nnonsense\n')
    with pytest.raises(ValueError, match="line 2 is damaged"), Ledger(path, PLUS).film():
        pass
    assert "nonsense" in path.read_text()


def test_a_film_made_of_a_film_names_the_files_that_this_one_was_made_from(pipe, tmp_path):
    picture = tmp_path / "p.png"
    Image.fromarray(np.full((80, 144, 3), 90, np.uint8)).save(picture)
    first = animate(pipe, picture, "a red boat", seconds=1.0, steps=2)
    for film in (first, first.video):
        longer = extend(pipe, film, 0.5, "a red boat", steps=2).video
        assert longer.origin.made_from == (str(picture),) and longer.origin.actions == ("c2pa.created",)


def test_a_given_picture_makes_a_film_that_is_not_drawn_from_words_alone(pipe):
    seen = screened(pipe, "a red boat", pictures=[np.full((80, 144, 3), 90, np.uint8)])
    assert seen.brief.image is not None and not from_words_alone(seen)
    assert from_words_alone(screened(pipe, "a red boat"))


def test_a_given_film_is_not_mixed_across_its_cuts(pipe):
    dark, bright = np.full((15, 80, 144, 3), 40, np.uint8), np.full((15, 80, 144, 3), 217, np.uint8)
    source = read(pipe, "film", Video(np.concatenate([dark, bright]), 30.0))
    means = source.frames.reshape(len(source.frames), -1).mean(1)
    assert ((means < 60) | (means > 200)).all()


def test_a_take_says_what_it_is(take):
    assert isinstance(take, Take) and "animate: 1 windows" in repr(take)


# --- seams ------------------------------------------------------------------------------------------


def test_motion_is_carried_on_as_the_drawn_world_goes_on():
    film = render(Scene((), "mountain lake", camera="pan right", seed=1), 80, 144, 2.0, 8.0).frames.astype(float)
    made = carried(film[:9].astype(np.uint8), 4).astype(float)
    inside = np.s_[:, 10:-10, 24:-24]                          # what comes in at the edge nobody can know
    error = np.abs(made - film[9:13])[inside].mean((1, 2, 3))
    still = np.abs(film[8:9] - film[9:13])[inside].mean((1, 2, 3))
    assert (error < still / 2).all(), (error, still)


def test_what_jumps_is_held_to_the_motion_at_the_seam_and_let_go_of_further_on():
    made, ahead = torch.ones(1, 3, 9, 5, 9), torch.zeros(1, 3, 6, 5, 9)
    forwards = held(made, ahead, 3, 0, jump=3.0)[0, 0, :, 0, 0]
    assert torch.allclose(forwards, torch.tensor([1, 1, 1, *(min(1, k / (HELD + 1)) for k in range(1, 7))]))
    between = held(made, ahead[:, :, :4], 3, 2, jump=3.0)[0, 0, 3:7, 0, 0]
    assert torch.allclose(between, between.flip(0)) and between[0] == pytest.approx(1 / (HELD + 1))
    assert torch.equal(held(made, ahead, 3, 0, jump=1.0), made)                        # no jump: the model has its way


def test_new_latents_between_known_ones_take_their_light():
    made = torch.randn(1, 3, 9, 4, 6) + 5
    made[:, :, :3], made[:, :, 7:] = torch.randn(1, 3, 3, 4, 6), torch.randn(1, 3, 2, 4, 6) + 10
    same = lit(made, 3, 2)
    means = same.mean((3, 4))[0]                                                                  # (3, 9)
    line = torch.stack([torch.lerp(means[:, 2], means[:, 7], k / 5) for k in range(1, 5)], 1)
    assert torch.allclose(means[:, [3, 6]], line[:, [0, 3]], atol=1e-5)                # next to the ends: on the line
    assert torch.equal(same[:, :, :3], made[:, :, :3]) and torch.equal(same[:, :, 7:], made[:, :, 7:])
    assert torch.allclose(same.std((3, 4)), made.std((3, 4)), atol=1e-5)               # only light, not what is seen
    far = (means[:, 4] - line[:, 1]) / (made.mean((3, 4))[0, :, 4] - line[:, 1])
    assert torch.allclose(far, torch.full((3,), 0.25), atol=1e-3)          # further in: three quarters of it


def test_a_jump_is_measured_where_the_seam_is():
    levels = np.cumsum([0] + 16 * [2])
    for left, right, seam in ((5, 0, 8), (0, 4, 8), (3, 2, 4), (3, 2, 12)):
        jumps = levels.copy()
        jumps[seam + 1:] += 6
        frames = np.broadcast_to(jumps[:, None, None, None], (17, 8, 8, 3)).astype(np.uint8)
        assert jump_of(frames, left, right) == 4.0


def test_only_where_motion_is_known_it_is_carried_on():
    mask = torch.zeros(1, 9, 5, 9, dtype=torch.bool)
    mask[:, 0] = True
    assert ends(mask) == (0, 0)                                # a picture that is animated
    mask[:, 1], mask[:, -1] = True, True
    assert ends(mask) == (2, 1)


def test_carried_latents_fill_the_gap_exactly_on_either_side(pipe):
    latents = encode(pipe, moving(2.0).frames)
    for left, right in ((5, 0), (0, 4), (3, 2), (2, 1)):
        assert carried_on(pipe, latents, left, right).shape[2] == 9 - left - right


def test_windows_of_a_reel_keep_the_first_ones_colour_and_contrast():
    generator = torch.Generator().manual_seed(0)
    model, noise = (torch.randn(1, 4, k, 5, 9, generator=generator) for k in (9, 4))
    same = alike(5 * noise + 4, model)
    assert (same.mean((2, 3, 4)) - model.mean((2, 3, 4))).abs().max() < 1 and same.std((2, 3, 4)).max() < 1.6
    assert torch.allclose(alike(model[:, :, 3:7], model), model[:, :, 3:7], atol=1e-5)  # what has not drifted stays
