"""The whole way from a prompt to a film, on a model that is tiny and untrained: how it works, not how it looks."""

import dataclasses
import re

import numpy as np
import pytest
import torch
from PIL import Image

from sorakit.pipeline import load
from sorakit.prompt.reader import Reader, read_image
from sorakit.prompt.words import Words
from sorakit.safety.mark import marked
from sorakit.safety.safety import Refused
from sorakit.safety.watermark import embed
from sorakit.synthesis.finish import enlarge, output_size, to_bytes
from sorakit.synthesis.recipe import Synthesis
from sorakit.transformer.model import Transformer
from sorakit.weights import WeightsError, load_weights, save_weights

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


@pytest.mark.parametrize("aspect, size", [("16:9", (432, 768)), ("9:16", (768, 432)), ("1:1", (432, 432))])
def test_each_aspect_is_delivered_exactly(make, aspect, size):
    video = make(aspect=aspect, height=None)
    assert (video.height, video.width) == size


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
    conditioning = pipe.text_encoder(pipe.prompt(PROMPT))
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


def test_a_replaced_stage_is_used(pipe):
    class Grey(Synthesis):
        def __call__(self, frames, **asked):
            video = super().__call__(frames, **asked)
            return dataclasses.replace(video, frames=np.full_like(video.frames, 128))

    grey = dataclasses.replace(pipe, synthesis=Grey())(PROMPT, steps=1, seconds=0, height=80)
    assert np.abs(grey.frames[:, :40].astype(int) - 128).max() <= 12                  # no more than the watermark


@pytest.mark.parametrize("asked, said", [
    ({"prompt": ""}, "prompt is empty"),
    ({"prompt": " \n\u200b "}, "prompt is empty"),
    ({"prompt": "x" * 10_000}, "prompt has 10,000 characters; it takes up to 2,000"),
    ({"negative": "x" * 2001}, "negative has 2,001 characters"),
    ({"prompt": "?!"}, "has no word that the model knows"),
    ({"prompt": 7}, "prompt is of type int"),
    ({"aspect": "4:5"}, "aspect='4:5' is not one of 16:9, 9:16, 1:1"),
    ({"seconds": 11.0}, "seconds=11.0 does not fit; it takes a number from 0 to 10"),
    ({"seconds": float("nan")}, "seconds=nan"),
    ({"seconds": -1}, "seconds=-1"),
    ({"height": 99_999}, "height=99999 does not fit; it takes an even number of pixels from 64 to 2160"),
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
@pytest.mark.parametrize("height", [None, 64, 320, 1080])
def test_output_sizes_are_even_and_of_the_aspect(aspect, height):
    h, w = output_size(aspect, height)
    x, y = map(int, aspect.split(":"))
    assert h % 2 == w % 2 == 0 and abs(w - h * x / y) <= 1 and h in (height, h if height is None else -1)


def test_few_step_weights_are_used_unless_something_else_is_asked_for(tiny_weights, tmp_path):
    flow = load_weights(tiny_weights)
    network = Transformer(**flow.card["transformer"], two_times=True)
    torch.manual_seed(1)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    student = {f"few_step.{name}": value for name, value in network.state_dict().items()}
    both = load(save_weights(tmp_path / "both", flow.autoencoder, flow.flow | student,
                                flow.card | {"few_step": {"steps": 4}}), "cpu")
    ask = {"seconds": 0.5, "seed": 1}
    run = both.trace("a cat", **ask)
    assert len(run.steps) == 4 and run.steps[0].unconditional is None
    made = lambda pipe, **asked: pipe.trace("a cat", **ask, steps=3, **asked).records["synthesis"].output.frames
    plain = made(load(tiny_weights, "cpu"))                          # before the watermark, which names the weights
    assert np.array_equal(made(both, guidance=4.0), plain)
    assert not np.array_equal(made(both), plain)
    assert len(both.trace("a cat", **ask, negative="dogs").steps) == 25
