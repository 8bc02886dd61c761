"""The command line: what it makes, what it says, and what it leaves behind when it cannot or is stopped."""

import os
import re
import shutil
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sorakit.cli import app
from sorakit.pipeline import load
from sorakit.safety.verify import some_frames

PROMPT = "a golden retriever runs through a field"


@pytest.fixture
def run(tiny_weights, tmp_path, monkeypatch):
    """Runs `sorakit generate` in an empty folder with a tiny model; returns its result."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(app, ["generate", *args, "--weights", str(tiny_weights), "--device", "cpu"])


def test_generate_makes_the_film_that_was_asked_for(run, tmp_path):
    result = run(PROMPT, "--aspect", "9:16", "--seconds", "1", "--seed", "7", "--steps", "2", "--guidance", "3",
                 "--negative", "rain", "--height", "128", "-o", "films/dog.mp4")
    assert result.exit_code == 0, result.output
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "films" / "dog.mp4"))
    assert (frames, seconds) == (9, pytest.approx(9 / 8, abs=0.02))
    meta = next(imageio_ffmpeg.read_frames(str(tmp_path / "films" / "dog.mp4")))
    assert (meta["size"], meta["fps"]) == ((72, 128), 8.0)


@pytest.mark.parametrize("asked, frames, size, fps", [
    (["--seconds", "0.5", "--aspect", "21:9", "--size", "64"], 5, (150, 64), 8.0),
    (["--seconds", "0.5", "--height", "80", "--width", "100"], 5, (100, 80), 8.0),
    (["--seconds", "1", "--preset", "social", "--size", "64", "--look", "noir", "--sharpen", "0"], 31, (64, 114), 30.0),
    (["--seconds", "11", "--size", "64"], 89, (114, 64), 8.0),
])
def test_generate_makes_any_shape_length_and_finish(run, tmp_path, asked, frames, size, fps):
    result = run(PROMPT, "--steps", "1", "--guidance", "1", *asked)
    assert result.exit_code == 0, result.output
    meta = next(imageio_ffmpeg.read_frames(str(tmp_path / "film.mp4")))
    assert (imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "film.mp4"))[0], meta["size"], meta["fps"]) == \
        (frames, size, fps)


def test_generate_makes_the_pipelines_film_up_to_ten_seconds(run, tmp_path, tiny_weights):
    assert run(PROMPT, "--steps", "2", "--seconds", "3", "--seed", "5", "-o", "cli.mp4").exit_code == 0
    load(tiny_weights, "cpu")(PROMPT, steps=2, seconds=3, seed=5).save(tmp_path / "pipe.mp4")
    one, two = (some_frames(tmp_path / name).reshape(17, 54, 8, 96, 8, 3).mean((2, 4))
                for name in ("cli.mp4", "pipe.mp4"))
    assert np.abs(one - two).mean() < 3                          # of blocks: H.264 has its own way with noise


def test_generate_of_a_picture_needs_no_words(run, tmp_path):
    Image.fromarray(np.full((80, 144, 3), (60, 110, 200), np.uint8)).save(tmp_path / "sky.png")
    result = run("--image", "sky.png", "--steps", "1", "--seconds", "0.5")
    assert result.exit_code == 0 and "no prompt was given; what the picture shows was read as" in result.stdout


def test_generate_prints_where_the_film_is_and_what_each_stage_took(run, tmp_path):
    result = run(PROMPT, "--steps", "1", "--seconds", "0.5", "-o", "dog.gif")
    where, what, stages = result.stdout.strip().splitlines()
    assert where == str(tmp_path / "dog.gif")
    assert what == "0.6 s, 5 frames of 432 x 768, seed 0, 1 step, guidance 4"
    assert re.fullmatch(r"load [\d.]+ s · sample [\d.]+ s · finish [\d.]+ s", stages)


@pytest.mark.parametrize("args, said", [
    ([""], "prompt is empty"),
    (["a dog " * 2000], "prompt has 12,000 characters; it takes up to 2,000"),
    (["a naked man"], "prompt is refused: sexual content ('naked')"),
    ([PROMPT, "--aspect", "9:1"], "aspect='9:1' is not a shape such as 16:9, 9:16, 1:1"),
    ([PROMPT, "--width", "640"], "width=640 comes without a height"),
    ([PROMPT, "--preset", "tv"], "preset='tv' is not one of web, cinema, social, classroom"),
    ([PROMPT, "--size", "900p"], "size='900p' does not fit; it takes 480p, 720p"),
    ([PROMPT, "--look", "sepia"], "look='sepia' is not one of natural"),
    ([PROMPT, "--codec", "vp9"], "path='film.mp4' does not fit codec='vp9', which goes into .webm"),
    ([PROMPT, "--height", "1000000"], "height=1000000 does not fit"),
    ([PROMPT, "--seconds", "1e9"], "seconds=1000000000.0 does not fit"),
    ([PROMPT, "--steps", "-3"], "steps=-3 does not fit"),
    ([PROMPT, "--image", "none.png"], "none.png"),
    ([PROMPT, "-o", "film.avi"], "'film.avi' does not end in one of .mp4, .mov, .webm, .webp, .gif"),
    ([PROMPT, "-o", "/proc/film.mp4"], "'/proc/film.mp4' cannot be written"),
    ([PROMPT, "--device", "abacus"], "device='abacus' is not on this machine"),
    ([PROMPT, "--guidance", "strong"], "--guidance"),
    ([PROMPT, "--weights", "[none]"], "weights='[none]' is neither a shipped preset"),
])
def test_bad_input_is_one_clear_line_and_code_2_and_no_file(tiny_weights, tmp_path, monkeypatch, args, said):
    monkeypatch.chdir(tmp_path)
    defaults = [] if "--weights" in args else ["--weights", str(tiny_weights)]
    result = CliRunner().invoke(app, ["generate", *args, *defaults], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.stderr and "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("harm, said", [
    (lambda folder: next(folder.glob("flow-*")).write_bytes(b"noise"), "does not have the sha256 of its card"),
    (lambda folder: next(folder.glob("flow-*")).unlink(), "is missing"),
    (lambda folder: (folder / "card.json").write_text("{"), "card.json of weights="),
    (lambda folder: (folder / "card.json").unlink(), "nor a folder with a card.json"),
])
def test_damaged_weights_are_one_clear_line_and_code_2_and_no_file(tiny_weights, tmp_path, monkeypatch, harm, said):
    shutil.copytree(tiny_weights, tmp_path / "weights")
    harm(tmp_path / "weights")
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    result = CliRunner().invoke(app, ["generate", PROMPT, "--weights", "../weights"])
    assert result.exit_code == 2
    assert said in result.stderr and "Traceback" not in result.output
    assert not list((tmp_path / "out").iterdir())


def test_no_ffmpeg_is_said_before_the_work(run, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", "/nonexistent/ffmpeg")
    result = run(PROMPT)
    assert result.exit_code == 2
    assert "pip install imageio-ffmpeg" in result.stderr and "sample" not in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_ends_with_130_a_word_and_no_file(tiny_weights, tmp_path, interrupted):
    code, stdout, rest = interrupted(["generate", PROMPT, "--steps", "1000", "--seconds", "10", "--weights",
                                      str(tiny_weights), "--device", "cpu"], tmp_path, b"/1000")    # it samples
    assert code == 130
    assert b"cancelled; film.mp4 was not written" in rest and b"Traceback" not in rest
    assert stdout == b"" and not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["autoencoder", "flow"])
def test_train_asks_the_recipe_for_what_was_asked(what, tmp_path, monkeypatch):
    import importlib
    import inspect

    recipe, asked = importlib.import_module(f"sorakit.training.{what}"), {}
    form = inspect.signature(recipe.train)
    monkeypatch.setattr(recipe, "train", lambda *given, **named: asked.update(form.bind(*given, **named).arguments))
    result = CliRunner().invoke(app, ["train", what, "--preset", "base", "--minutes", "3", "--out", str(tmp_path),
                                      "--clips", "50", "--workers", "2"])
    assert result.exit_code == 0, result.output
    wanted = {"preset": "base", "minutes": 3.0, "out": tmp_path, "clips": 50, "workers": 2, "device": None}
    assert {name: asked[name] for name in wanted} == wanted


@pytest.mark.parametrize("what", ["autoencoder", "flow"])
def test_training_an_unknown_preset_is_named(what):
    result = CliRunner().invoke(app, ["train", what, "--preset", "huge"])
    assert result.exit_code == 2 and "preset='huge' is not one of nano, base" in result.stderr


def test_training_the_flow_without_an_autoencoder_says_what_to_do(tmp_path):
    result = CliRunner().invoke(app, ["train", "flow", "--autoencoder", str(tmp_path)])
    assert result.exit_code == 2 and "sorakit train autoencoder" in result.stderr.replace("\n", " ")


@pytest.mark.parametrize("args, words", [
    ([], ["generate", "train", "Text to video"]),
    (["generate"], ["--aspect", "--seed", "--negative", "16:9, 9:16, 1:1, 4:3", "--preset", "For example"]),
    (["train"], ["autoencoder", "flow"]),
    (["train", "flow"], ["--preset", "--minutes", "--out"]),
])
def test_help_names_what_there_is(args, words):
    result = CliRunner().invoke(app, [*args, "--help"], env={"COLUMNS": "120", "TERM": "dumb"})
    assert result.exit_code == 0
    assert all(word in result.stdout for word in words), result.stdout


def test_help_does_not_wait_for_torch():
    code = "import sys, sorakit.cli; assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
