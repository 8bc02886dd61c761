"""The creative tools as commands: the film that was asked for, a plan that holds, and one line where it cannot be."""

import dataclasses
import json
import os
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sorakit import provenance
from sorakit.cli import app
from sorakit.pipeline import load
from sorakit.types import Video

FAST = ["--steps", "1", "--guidance", "1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder but for a film of a second, another, and a picture."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SORAKIT_PLAN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    y, x = np.mgrid[:80, :144]
    frames = np.stack([np.stack([(x + 8 * k) % 256, y * 2, 0 * x], -1) for k in range(9)]).astype(np.uint8)
    Video(frames, 8.0).save("a.mp4")
    Video(frames[..., ::-1].copy(), 8.0).save("b.mp4")
    Image.fromarray(frames[0]).save("a.png")
    return tmp_path


@pytest.fixture(scope="module")
def loaded(tiny_weights):
    return load(tiny_weights, "cpu")


@pytest.fixture
def run(tiny_weights, folder, loaded, monkeypatch):
    """Runs a command with the tiny model, which is read from its file once for all."""
    monkeypatch.setattr("sorakit.pipeline.load", lambda *_: dataclasses.replace(loaded))
    return lambda *args: CliRunner().invoke(app, [*map(str, args), "--weights", str(tiny_weights), "--device", "cpu"],
                                            env={"COLUMNS": "200"})


def measure(path):
    return imageio_ffmpeg.count_frames_and_secs(str(path))[0], next(imageio_ffmpeg.read_frames(str(path)))["size"]


@pytest.mark.parametrize("args, frames, size", [
    (["remix", "a.mp4", "a city at night", "--style", "cyberpunk", "--strength", "0.9"], 9, (144, 80)),
    (["remix", "a.mp4", "snow", "--region", "0,0,0.5,1", "--height", "64"], 9, (116, 64)),
    (["recut", "a.mp4", "--keep", "0.25-0.5", "--keep", "0.75-"], 5, (144, 80)),
    (["recut", "a.mp4", "--keep", "2-6", "--unit", "frames", "--speed", "0.5"], 7, (144, 80)),
    (["blend", "a.mp4", "b.mp4", "waves", "--curve", "0:0,0.5:0.8,1:0"], 9, (144, 80)),
    (["loop", "--prompt", "a planet", "--seconds", "1", "--times", "2", "--height", "80"], 16, (142, 80)),
    (["loop", "a.mp4", "--prompt", "waves", "--seam", "short"], 12, (144, 80)),
    (["animate", "a.png", "it moves", "--seconds", "0.5"], 5, (144, 80)),
    (["animate", "a.png", "--last", "a.png", "--seconds", "1", "--aspect", "1:1", "--height", "64"], 9, (64, 64)),
    (["extend", "a.mp4", "waves", "--seconds", "0.5", "--before", "0.5"], 17, (144, 80)),
    (["storyboard", "--card", "0: a boat", "--card", "0.5: a storm", "--seconds", "1", "--height", "80"], 9, (142, 80)),
])
def test_each_tool_makes_the_film_that_was_asked_for_and_says_where(run, folder, args, frames, size):
    result = run(*args, *FAST, "-o", "out/film.mp4")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == str(folder / "out" / "film.mp4")
    assert measure(folder / "out" / "film.mp4") == (frames, size)
    assert [path.name for path in (folder / "out").iterdir()] == ["film.mp4"]
    assert "save" in result.stdout.splitlines()[-1]


def test_finish_makes_the_film_that_was_asked_for_marked_and_signed(run, folder):
    Path("dark.cube").write_text("LUT_3D_SIZE 2\n" + "".join(f"{r} {g} {b}\n" for b in (0, 0.5) for g in (0, 0.5)
                                                             for r in (0, 0.5)))
    result = CliRunner().invoke(app, ["finish", "a.mp4", "--preset", "classroom", "--size", "96", "--look", "dark.cube",
                                      "--stabilise", "--codec", "av1", "-o", "out/film.webm"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:2] == [str(folder / "out" / "film.webm"), "1.0 s, 25 frames of 96 x 172"]
    assert "25/25" in result.stderr and "finish" in result.stdout.splitlines()[-1]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["film.c2pa", "film.webm"]
    found = provenance.verify("out/film.webm")
    assert (found.signed, found.changed, found.ingredients) == (True, False, ("a.mp4",))
    assert next(imageio_ffmpeg.read_frames("out/film.webm"))["codec"] == "av1"


@pytest.mark.parametrize("args, said", [
    (["none.mp4"], "'none.mp4' does not exist"),
    (["a.png.txt"], "'a.png.txt' does not exist"),
    (["films.json"], "it is no film, or damaged"),
    (["a.mp4", "--preset", "tv"], "preset='tv' is not one of web, cinema, social, classroom"),
    (["a.mp4", "--look", "none.cube"], "none.cube"),
    (["a.mp4", "--sharpen", "3"], "amount=3.0 does not fit"),
    (["a.mp4", "-o", "frames"], "'frames' does not end in one of .mp4, .mov, .webm, .webp, .gif"),
    (["a.mp4", "-o", "out.mov", "--codec", "av1"], "path='out.mov' does not fit codec='av1'"),
])
def test_what_finish_cannot_do_is_one_clear_line_and_no_file(run, folder, args, said):
    (folder / "films.json").write_text("{}")
    before = sorted(folder.iterdir())
    result = CliRunner().invoke(app, ["finish", *args], env={"COLUMNS": "200"})
    assert result.exit_code == 2 and said in result.stderr and "Traceback" not in result.output
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_while_finishing_leaves_no_file(folder, interrupted):
    code, _, rest = interrupted(["finish", "a.mp4", "--size", "1440p", "--fps", "120", "-o", "out.mp4"], folder,
                                b"/121")                                    # it encodes
    assert code == 130 and b"cancelled; out.mp4 was not written" in rest
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "a.png", "b.mp4"]


def test_variations_are_written_each_by_itself_and_in_a_grid(run, folder):
    result = run("variations", "a red car", "-n", 2, "--seconds", 0.5, "--height", 80, "--seed", 5, *FAST, "-o",
                 "car.mp4")
    assert result.exit_code == 0, result.output
    assert measure("car.mp4")[1] == (142, 164) and measure("car-5.mp4")[1] == measure("car-6.mp4")[1] == (142, 80)


def test_a_board_is_kept_previewed_and_read_again(run, folder):
    cards = ["--card", "0: a boat", "--card", "0.5: a storm", "--seconds", "1", "--height", "80"]
    result = run("storyboard", *cards, "--preview", "sheet.png", "--save-board", "board.json")
    assert result.exit_code == 0 and result.stdout.strip() == str(folder / "sheet.png")
    assert Image.open("sheet.png").size[0] > 300 and not (folder / "story.mp4").exists()
    result = run("storyboard", "board.json", *FAST)
    assert result.exit_code == 0 and measure("story.mp4")[0] == 9
    assert run("storyboard", "board.json", "--aspect", "1:1", *FAST).exit_code == 0
    width, height = measure("story.mp4")[1]
    assert width == height


def test_what_was_made_up_or_dropped_is_said(run):
    result = run("extend", "a.mp4", "--seconds", 0.5, *FAST)
    assert result.exit_code == 0 and "no prompt was given" in result.stdout


# --- plans ------------------------------------------------------------------------------------------


def lines():
    return [json.loads(line) for line in Path("films.jsonl").read_text().splitlines()]


def test_a_plan_counts_what_was_made_and_refuses_what_is_over_it_at_no_charge(run, folder):
    (folder / "lesson.json").write_text('{"name": "lesson", "max_seconds": 1.5, "films_per_month": 2}')
    limits = ["--plan", "lesson.json", "--ledger", "films.jsonl", "--user", "ada", *FAST]
    for args, said in ((["extend", "a.mp4", "--seconds", "2"], "seconds=3.0 is more than plan 'lesson' allows"),
                       (["generate", "a boat", "--seconds", "2"], "seconds=2.0 is more than plan 'lesson' allows"),
                       (["generate", "a naked man", "--seconds", "1"], "prompt is refused"),
                       (["remix", "a.mp4", "blood and gore"], "prompt is refused")):
        result = run(*args, *limits)
        assert result.exit_code == 2 and said in result.stderr
        assert not (folder / "films.jsonl").exists() or not lines()
    for left in (1, 0):
        result = run("animate", "a.png", "it moves", "--seconds", "0.5", *limits)
        assert result.exit_code == 0 and f"{left} left this month for ada" in result.stderr
    result = run("generate", "a boat", "--seconds", "1", "-o", "last.mp4", *limits)
    assert result.exit_code == 2 and "films=1 is more than is left of plan 'lesson' for ada this month: 0 of 2" \
        in result.stderr
    assert len(lines()) == 2 and not (folder / "last.mp4").exists()


@pytest.mark.parametrize("plan, height, most", [("plus", 722, 720), ("pro", 1082, 1080)])
def test_the_seeds_plans_hold_by_name(run, folder, plan, height, most):
    result = run("generate", "a boat", "--seconds", 0.5, "--height", height, "--plan", plan, *FAST)
    assert result.exit_code == 2
    assert f"height={height} is more than plan '{plan}' allows: up to {most}" in result.stderr


def test_a_film_that_could_not_be_written_does_not_count(run, folder, monkeypatch):
    from sorakit import videofile

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(videofile, "write", full)
    result = run("animate", "a.png", "it moves", "--seconds", "0.5", *FAST, "--plan", "plus", "--ledger", "films.jsonl")
    assert result.exit_code == 2 and "no space left" in result.stderr and lines() == []


# --- what cannot be ---------------------------------------------------------------------------------


@pytest.mark.parametrize("args, said", [
    (["remix", "none.mp4"], "'none.mp4' does not exist"),
    (["remix", "a.png.txt"], "'a.png.txt' does not exist"),
    (["remix", "a.mp4", "--strength", "huge"], "strength='huge' is not one of subtle, mild, strong"),
    (["remix", "a.mp4", "--style", "baroque"], "style='baroque' is not one of natural, cinematic"),
    (["remix", "a.mp4", "--region", "0,1"], "region='0,1' does not fit"),
    (["remix", "a.mp4", "-o", "film.avi"], "'film.avi' does not end in one of"),
    (["recut", "a.mp4"], "nothing is asked for"),
    (["recut", "a.mp4", "--keep", "1-0.5"], "which ends before it starts"),
    (["recut", "a.mp4", "--keep", "all"], "keep='all' does not fit; it takes start-stop in seconds"),
    (["recut", "a.mp4", "--keep", "0.5-1", "--unit", "frames"], "keep='0.5-1' does not fit"),
    (["blend", "a.mp4", "b.mp4", "--curve", "0:0,1"], "curve="),
    (["blend", "a.mp4", "none.mp4"], "'none.mp4' does not exist"),
    (["loop"], "prompt is empty"),
    (["loop", "a.mp4", "--seconds", "0.6"], "seconds=0.6 leaves"),
    (["animate", "a.mp4"], "a.mp4"),
    (["animate", "a.png", "--at", "nowhere"], "at='nowhere' does not fit"),
    (["extend", "a.mp4"], "nothing to add"),
    (["variations", "a car", "-n", "9"], "n=9 does not fit"),
    (["storyboard"], "give a board's file, or cards by --card"),
    (["storyboard", "--card", "a boat"], "card='a boat' does not fit"),
    (["storyboard", "--card", "0: a boat", "--preview", "sheet.gif"], "preview='sheet.gif'"),
    (["storyboard", "a.png"], "is no storyboard"),
    (["extend", "a.mp4", "--seconds", "1", "--plan", "gold"], "plan='gold' is not one of plus, pro"),
])
def test_bad_input_is_one_clear_line_and_code_2_and_no_file(run, folder, args, said):
    before = sorted(folder.iterdir())
    result = run(*args, *(["--steps", "1"] if args[0] != "recut" else []))
    assert result.exit_code == 2, result.output
    assert said in result.stderr and "Traceback" not in result.output
    assert [line for line in result.stderr.splitlines() if line.startswith("error:")] == \
        [result.stderr.rstrip().splitlines()[-1]]
    assert sorted(folder.iterdir()) == before


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_ends_with_130_a_word_no_file_and_no_charge(tiny_weights, folder, interrupted):
    def charged():
        assert lines()[0]["at_work"]

    code, stdout, rest = interrupted(
        ["extend", "a.mp4", "waves", "--seconds", "4", "--steps", "1000", "-o", "out.mp4", "--plan", "plus",
         "--ledger", "films.jsonl", "--weights", str(tiny_weights), "--device", "cpu"], folder, b"/4000",
        charged)                                                            # four windows
    assert code == 130
    assert b"cancelled; out.mp4 was not written" in rest and b"Traceback" not in rest
    assert stdout == b"" and lines() == []
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp4", "a.png", "b.mp4", "films.jsonl"]


def test_finish_shows_an_example():
    shown = CliRunner().invoke(app, ["finish", "--help"], env={"COLUMNS": "160", "TERM": "dumb"})
    assert shown.exit_code == 0 and "For example" in shown.stdout and "--preset" in shown.stdout


@pytest.mark.parametrize("name", ["remix", "storyboard", "recut", "blend", "loop", "animate", "extend", "variations"])
def test_each_command_shows_an_example_and_its_limits(name):
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "160", "TERM": "dumb"})
    assert shown.exit_code == 0 and "For example" in shown.stdout and "--plan" in shown.stdout
