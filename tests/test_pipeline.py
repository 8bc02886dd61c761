"""The whole way from a prompt to a film, on a model that is tiny and untrained: how it works, not how it looks."""

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from sorakit.pipeline import load
from sorakit.prompt.reader import Reader, read_image
from sorakit.prompt.words import Words
from sorakit.safety.mark import marked
from sorakit.safety.safety import Refused
from sorakit.safety.verify import some_frames, verify
from sorakit.safety.watermark import embed
from sorakit.synthesis.finish import enlarge, output_size, to_bytes
from sorakit.synthesis.recipe import Synthesis
from sorakit.weights import WeightsError, load_weights

PROMPT = "a golden retriever runs through a field"


@pytest.fixture(scope="module")
def pipe(tiny_weights):
    return load(tiny_weights, "cpu")


@pytest.fixture
def make(pipe):
    return lambda prompt=PROMPT, **asked: pipe(prompt, **{"steps": 2, "seconds": 0.5, "height": 80} | asked)


def test_the_same_seed_makes_the_same_pixels_and_another_seed_others(make):
    first, again, other = make(seed=3), make(seed=3), make(seed=4)
    assert np.array_equal(first.frames, again.frames)
    assert np.abs(first.frames.astype(int) - other.frames).mean() > 1


def test_a_freshly_loaded_pipeline_makes_the_same_pixels(make, tiny_weights):
    again = load(tiny_weights, "cpu")(PROMPT, steps=2, seconds=0.5, height=80)
    assert np.array_equal(make().frames, again.frames)


@pytest.mark.parametrize("asked", [{"prompt": "a red car at night"}, {"negative": "blue sky"}, {"guidance": 1.0},
                                   {"steps": 3}])
def test_every_part_of_the_request_changes_the_film(make, asked):
    assert not np.array_equal(make().frames, make(**asked).frames)


@pytest.mark.parametrize("aspect, size", [("16:9", (432, 768)), ("9:16", (768, 432)), ("1:1", (432, 432)),
                                          ("4:3", (432, 576)), ("3:4", (576, 432)), ("21:9", (432, 1008))])
def test_each_aspect_is_delivered_exactly(make, aspect, size):
    video = make(aspect=aspect, height=None)
    assert (video.height, video.width) == size


def test_any_size_is_delivered_and_drawn_in_its_own_shape(pipe):
    run = pipe.trace(PROMPT, steps=1, seconds=0, height=240, width=640)
    assert run.video.frames.shape[1:3] == (240, 640)
    height, width = run.frames.shape[-2:]
    assert width / height == pytest.approx(640 / 240, rel=0.1)


def test_a_film_comes_in_the_recipes_size_and_aspect_unless_the_call_has_others(pipe):
    social = dataclasses.replace(pipe, synthesis=Synthesis(size=96, aspect="9:16"))
    run = social.trace(PROMPT, steps=1, seconds=0)
    assert run.video.frames.shape[1:3] == (170, 96) and run.frames.shape[-2:] == (144, 80)      # drawn tall, not cut
    assert social(PROMPT, steps=1, seconds=0, aspect="1:1").frames.shape[1:3] == (96, 96)
    assert social(PROMPT, steps=1, seconds=0, height=320).frames.shape[1:3] == (320, 180)


def test_a_tall_film_may_be_as_large_as_a_wide_one():
    assert Synthesis(size="4K").target("9:16") == output_size("9:16", 3840) == (3840, 2160)
    with pytest.raises(ValueError, match="height=3000 makes a film of 3000 x 3000; its short side takes 64 to 2160"):
        output_size("1:1", 3000)


@pytest.mark.parametrize("seconds, frames", [(2.0, 17), (1, 9), (0.5, 5), (0, 1), (0.6, 5), (1.9, 17)])
def test_a_film_has_one_frame_and_eight_a_second_to_the_nearest_four(make, seconds, frames):
    video = make(seconds=seconds, steps=1)
    assert (len(video.frames), video.fps) == (frames, 8.0)


def test_a_film_is_marked_and_says_what_made_it_and_how_long_each_stage_took(make, pipe):
    video = make(seed=5)
    frames = pipe.autoencoder.decode(latents_of(pipe, seed=5))
    assert np.array_equal(video.frames, embed(marked(Synthesis()(frames, height=80).frames), video.origin.watermark))
    assert video.prompt == video.metadata["title"] == PROMPT
    assert "model tiny, seed 5" in video.metadata["comment"]
    assert list(video.timings) == ["read", "sample", "decode", "finish"] and min(video.timings.values()) > 0
    assert pipe.load_seconds > 0


def latents_of(pipe, seed):
    """The same film, a stage at a time."""
    conditioning = pipe.text_encoder(pipe.prompt(PROMPT, seed=seed))
    return pipe.sampler(pipe.transformer, pipe.noise(0.5, "16:9", seed), conditioning, steps=2, guidance=4.0).values


def test_progress_tells_each_stage_and_step_in_order(make):
    told = []
    make(steps=3, progress=lambda *what: told.append(what))
    assert told == [("read", 0, 1), ("read", 1, 1),
                    ("sample", 0, 3), ("sample", 1, 3), ("sample", 2, 3), ("sample", 3, 3),
                    ("decode", 0, 1), ("decode", 1, 1), ("finish", 0, 1), ("finish", 1, 1)]


def test_a_given_image_stays_the_first_latent(pipe, make):
    image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    noise = pipe.noise(0.5, "16:9", 0)
    known, mask = pipe.known(image, noise)
    assert mask[:, 0].all() and not mask[:, 1:].any()
    conditioning = pipe.text_encoder(pipe.prompt(PROMPT))
    latents = pipe.sampler(pipe.transformer, noise, conditioning, known, mask, steps=2).values
    frame = enlarge(image[None], 80, 144)
    truth = pipe.autoencoder.encode(torch.from_numpy(frame).permute(3, 0, 1, 2)[None] / 127.5 - 1)
    assert torch.allclose(latents[:, :, :1], truth, atol=1e-5)
    assert not np.array_equal(make(image=image).frames, make().frames)


def test_a_picture_without_a_prompt_gets_one_of_what_it_shows(pipe):
    image = np.full((80, 144, 3), (60, 110, 200), np.uint8)
    run = pipe.trace(image=image, steps=1, seconds=0)
    said = Reader(Words.load())("", image=image)
    assert run.brief.prompt == said.prompt != "" and run.video.prompt == said.prompt
    assert f"no prompt was given; what the picture shows was read as {said.prompt!r}" in run.verdict.notes


def moving():
    """Five frames of a square over a gradient, as the decoder gives them."""
    y, x = np.mgrid[-1:1:80j, -1:1:144j]
    frames = np.stack([np.stack([x, y, 0.5 * np.sin(9 * x * y)]) for _ in range(5)], 1)
    for k in range(5):
        frames[:, k, 30:50, 20 * k:20 * k + 20] = 0.7
    return torch.from_numpy(frames[None].astype(np.float32))


def test_frames_go_straight_into_a_file_marked_and_signed_like_a_film_in_memory(pipe, tmp_path):
    told = []
    done = pipe.save(moving(), tmp_path / "film.mp4", prompt=PROMPT, seed=5, progress=lambda *now: told.append(now))
    found = verify(done.path)
    assert (done.codec, done.count, done.height, done.width) == ("h264", 5, 432, 768)
    assert found.genuine and found.agree
    assert found.watermark.payload == pipe.safety.origin(PROMPT, pipe.model, 5).watermark
    assert found.provenance.actions == ("created",) and found.provenance.generation["seed"] == "5"
    assert told == [("finish", 0, 1)] + [("finish", k, 5) for k in range(1, 6)]


def test_a_released_film_that_is_finished_again_keeps_its_marks_and_says_that_it_was_edited(pipe, tmp_path):
    video = pipe.safety.release(Synthesis()(moving(), prompt=PROMPT), model="tiny", seed=5)
    found = verify(pipe.save(video, tmp_path / "same.mov", codec="h264").path)
    assert found.genuine and found.agree and found.provenance.actions == ("created", "edited")
    assert np.abs(some_frames(tmp_path / "same.mov").astype(int) - video.frames).mean() < 3       # not marked twice
    tall = verify(pipe.save(video, tmp_path / "tall.mp4", aspect="9:16").path)                 # cropped: marked anew
    assert tall.genuine and tall.agree


@pytest.mark.parametrize("size, kept", [((112, 112), (432, 432)), ((144, 80), (768, 432)), ((90, 120), (432, 576))])
def test_a_film_keeps_its_shape_in_a_file_unless_another_is_asked_for(pipe, tmp_path, size, kept):
    frames = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    done = pipe.save(frames, tmp_path / "film.mp4")
    assert (done.height, done.width) == kept
    wide = pipe.save(frames, tmp_path / "wide.mp4", aspect="16:9", height=144)
    assert (wide.height, wide.width) == (144, 256)


def test_films_that_are_made_at_once_do_not_see_each_others_probes(pipe):
    def film():
        return pipe.trace("a cat", seconds=0.5, seed=3, steps=2, guidance=4.0, height=80).latents.values

    alone = film()
    with pipe.transformer.without("blocks.*.space"), ThreadPoolExecutor(2) as pool:
        assert torch.equal(pool.submit(film).result(), alone)
        assert len(pipe.transformer.probes.active) == 1 and not torch.equal(film(), alone)


def test_missing_keys_are_said_before_the_work(pipe, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SORAKIT_HOME", str(tmp_path / "file"))
    told = []
    with pytest.raises(OSError, match="SORAKIT_HOME"):
        pipe.save(moving(), tmp_path / "film.mp4", progress=lambda *now: told.append(now))
    assert told == [] and not (tmp_path / "film.mp4").exists()


def test_a_folder_of_pictures_cannot_be_signed_and_says_so(pipe, tmp_path):
    frames = np.zeros((2, 80, 144, 3), np.uint8)
    with pytest.raises(ValueError, match="does not end in one of"):
        pipe.save(frames, tmp_path / "frames")
    with pytest.raises(ValueError, match="a folder of PNG frames, which cannot be signed"):
        Synthesis().write(tmp_path / "frames", frames, origin=pipe.safety.origin(PROMPT, "tiny", 0))
    assert not list(tmp_path.iterdir())


def test_without_a_name_the_best_weights_for_the_device_are_loaded(tiny_weights, monkeypatch):
    asked = []
    monkeypatch.setattr("sorakit.pipeline.load_weights", lambda name: asked.append(name) or load_weights(tiny_weights))
    for names, device in ((["nano"], "cpu"), (["base", "nano"], "cpu"), (["nano"], "meta"), (["base", "nano"], "meta")):
        monkeypatch.setattr("sorakit.pipeline.shipped", lambda names=names: names)
        monkeypatch.setattr("sorakit.pipeline.pick_device", lambda name: torch.device(name))
        load(device=device)
    assert asked == ["nano", "nano", "nano", "base"]


def test_a_replaced_stage_is_used(pipe):
    class Grey(Synthesis):
        def __call__(self, frames, **asked):
            video = super().__call__(frames, **asked)
            return dataclasses.replace(video, frames=np.full_like(video.frames, 128))

    grey = dataclasses.replace(pipe, synthesis=Grey())(PROMPT, steps=1, seconds=0, height=80)
    assert np.abs(grey.frames[:, :40].astype(int) - 128).max() <= 20                  # no more than the watermark


@pytest.mark.parametrize("asked, said", [
    ({"prompt": ""}, "prompt is empty"),
    ({"prompt": " \n\u200b "}, "prompt is empty"),
    ({"prompt": "x" * 10_000}, "prompt has 10,000 characters; it takes up to 2,000"),
    ({"negative": "x" * 2001}, "negative has 2,001 characters"),
    ({"prompt": "?!"}, "has no word that the model knows"),
    ({"prompt": 7}, "prompt is of type int"),
    ({"aspect": "5:1"}, "aspect='5:1' is not a shape such as 16:9, 9:16, 1:1"),
    ({"width": 128, "height": None}, "width=128 comes without a height"),
    ({"video": "film.mp4"}, "video= is for the tools: sorakit.tools.remix"),
    ({"seconds": 11.0}, "seconds=11.0 does not fit; it takes a number from 0 to 10; sorakit.tools.reel makes longer"),
    ({"seconds": float("nan")}, "seconds=nan"),
    ({"seconds": -1}, "seconds=-1"),
    ({"height": 99_999}, "height=99999 does not fit; it takes an even number of pixels up to 8640, the short side 64"),
    ({"height": 81}, "height=81"),
    ({"height": 0}, "height=0"),
    ({"steps": 0}, "steps=0 does not fit; it takes a whole number from 1 to 1,000"),
    ({"steps": 2.5}, "steps=2.5"),
    ({"guidance": float("inf")}, "guidance=inf"),
    ({"seed": -1}, "seed=-1"),
    ({"seed": "7"}, "seed='7'"),
    ({"image": np.zeros((4, 4), np.uint8)}, "image is a uint8 array of shape (4, 4)"),
])
def test_what_cannot_be_made_is_said_by_the_name_of_the_argument(make, unchecked, asked, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make(**asked)


def test_a_refused_prompt_makes_nothing(make):
    told = []
    with pytest.raises(Refused, match="sexual content"):
        make("a naked man", progress=lambda *what: told.append(what))
    assert told == [("read", 0, 1)]


def test_missing_weights_and_unknown_devices_are_said(tmp_path, tiny_weights):
    with pytest.raises(WeightsError, match="neither a shipped preset"):
        load(tmp_path)
    with pytest.raises(ValueError, match="device='abacus'"):
        load(tiny_weights, "abacus")


# --- stage 1 ---------------------------------------------------------------------------------


def test_a_prompt_is_read_in_one_form_of_characters_without_what_cannot_be_seen():
    brief = Reader(Words.load())("  A\u00a0golden\u200b\n\tretriever\u0007, cafe\u0301 ", negative=" ﬁsh ")
    assert brief.prompt == "A golden retriever, café"
    assert brief.negative == "fish"
    assert brief.tokens[:3] == ("a", "golden", "retriever")


def test_an_image_is_read_upright_from_a_file_an_image_and_an_array(tmp_path):
    array = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = 6                                                # turned by 90 degrees, as a phone writes it
    Image.fromarray(array).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(array, -1))
    assert np.array_equal(read_image(Image.fromarray(array).convert("RGBA")), array)
    assert read_image(array) is array
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match="not a picture"):
        read_image(tmp_path / "text.png")
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")


# --- stage 5 ---------------------------------------------------------------------------------


def test_floats_become_the_nearest_bytes_and_are_clipped():
    frames = torch.tensor([-3.0, -1.0, 0.0, 1 / 127.5, 1.0, 9.0]).expand(1, 3, 1, 1, 6)
    assert to_bytes(frames)[0, 0, :, 0].tolist() == [0, 0, 128, 128, 255, 255]


def test_enlarging_keeps_flat_colours_and_places_and_crops_about_the_centre():
    frames = np.full((2, 80, 144, 3), (200, 100, 50), np.uint8)
    frames[:, 40:, 72:] = (10, 20, 30)
    big = enlarge(frames, 432, 768)
    assert big.shape == (2, 432, 768, 3)
    assert (big[0, 100, 100] == (200, 100, 50)).all() and (big[0, 350, 700] == (10, 20, 30)).all()
    edge = np.abs(np.diff(big[0, 400, :, 0].astype(int)))
    assert edge.argmax() == 383                                     # the middle column stays in the middle


@pytest.mark.parametrize("aspect", ["16:9", "9:16", "1:1"])
@pytest.mark.parametrize("height", [None, 114, 320, 1080])
def test_output_sizes_are_even_and_of_the_aspect(aspect, height):
    h, w = output_size(aspect, height)
    x, y = map(int, aspect.split(":"))
    assert h % 2 == w % 2 == 0 and abs(w - h * x / y) <= 1 and h in (height, h if height is None else -1)
