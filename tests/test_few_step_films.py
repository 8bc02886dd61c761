"""Weights that know few steps: which request takes which model, and what runs, views and tools make of either."""

import dataclasses
import json
import re

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import sorakit as sk
from sorakit import tools
from sorakit.cli import app
from sorakit.diffusion.sampler import Sampler, schedule
from sorakit.evaluation import report
from sorakit.evaluation.referee import Referee
from sorakit.pipeline import load
from sorakit.transformer.model import Transformer
from sorakit.types import Video
from sorakit.views import charts, displays, explorers, insides, pictures

ASK = {"seconds": 0.5, "seed": 1, "height": 80}


@pytest.fixture(scope="module")
def loaded(few_step_weights):
    return load(few_step_weights, "cpu")


@pytest.fixture(scope="module")
def plain(tiny_weights):
    """The same flow model, with no student beside it."""
    return load(tiny_weights, "cpu")


@pytest.fixture
def pipe(loaded):
    """With a sampler of its own, as a test may change that."""
    return dataclasses.replace(loaded, sampler=dataclasses.replace(loaded.sampler))


@pytest.fixture(scope="module")
def taken(loaded):
    """Runs of the same prompt, by the few-step network and by the flow model."""
    trace = lambda **asked: loaded.trace("a cat", keep="blocks.*.attention", **ASK, **asked)
    return trace(), trace(steps=6, guidance=3.0)


def frames_of(pipe, **asked):
    """A film's frames before the watermark, which names the weights."""
    return pipe.trace("a cat", **ASK, **asked).records["synthesis"].output.frames


def takes(pipe, **asked):
    """Which network a request takes, and its steps and guidance."""
    sampler, network, steps, guidance = pipe.plan(*map(asked.get, ("steps", "guidance")), asked.get("negative", ""))
    assert (sampler.method == "few_step") == (network is pipe.few_step)
    return "few" if network is pipe.few_step else "flow", steps, guidance


# --- which model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked, taken", [
    ({}, ("few", 4, 1.0)), ({"steps": 1}, ("few", 1, 1.0)), ({"steps": 8}, ("few", 8, 1.0)),
    ({"steps": 9}, ("flow", 9, 4.0)), ({"steps": 25}, ("flow", 25, 4.0)), ({"guidance": 4.0}, ("flow", 25, 4.0)),
    ({"guidance": 1.0, "steps": 4}, ("flow", 4, 1.0)), ({"negative": "dogs"}, ("flow", 25, 4.0))])
def test_few_steps_are_taken_unless_only_the_flow_model_can_do_what_is_asked(pipe, plain, asked, taken):
    assert takes(pipe, **asked) == taken
    assert takes(plain, **asked) == ("flow", asked.get("steps", 25), asked.get("guidance", 4.0))


def test_the_flow_models_films_are_those_of_weights_without_few_steps(pipe, plain):
    film = frames_of(plain, steps=3)
    assert np.array_equal(frames_of(pipe, steps=3, guidance=4.0), film)
    assert not np.array_equal(frames_of(pipe, steps=3), film)


def test_few_steps_have_their_guidance_folded_in(taken):
    few, flow = taken
    assert [(step.folded, step.guidance, step.unconditional) for step in few.steps] == 4 * [(True, 1.0, None)]
    assert not any(step.folded for step in flow.steps) and flow.steps[0].unconditional is not None
    assert "guidance folded in" in repr(few.steps[0]) and "guidance 3" in repr(flow.steps[0])


def test_a_look_into_the_flow_model_is_seen_in_the_film(pipe):
    with pipe.transformer.without("blocks.*.word"):
        assert takes(pipe) == ("flow", 25, 4.0) and takes(pipe, steps=2) == ("flow", 2, 4.0)
        without = frames_of(pipe, steps=2)
        kept = pipe.trace("a cat", keep="blocks.1.time", **ASK, steps=2)         # watches both, and one was watched
    assert not np.array_equal(without, frames_of(pipe, steps=2, guidance=4.0))
    assert not kept.steps[0].folded and np.array_equal(kept.records["synthesis"].output.frames, without)
    assert takes(pipe) == ("few", 4, 1.0)


def test_a_look_into_the_few_step_model_is_seen_too(pipe):
    with pipe.few_step.without("blocks.*.word"):
        assert takes(pipe) == ("few", 4, 1.0)
        without = frames_of(pipe, steps=2)
    assert not np.array_equal(without, frames_of(pipe, steps=2))


def test_what_is_put_in_the_place_of_a_stage_is_used(pipe):
    other = Transformer(channels=8, width=64, depth=2, heads=2).eval().requires_grad_(False)
    assert takes(dataclasses.replace(pipe, transformer=other)) == ("flow", 25, 4.0)
    for change in ({"method": "heun"}, {"guide": "apg"}, {"interval": (0.5, 1.0)}, {"shift": 2.0}):
        assert takes(dataclasses.replace(pipe, sampler=dataclasses.replace(pipe.sampler, **change)))[0] == "flow"
    pipe.sampler.steps_default, pipe.sampler.guidance_default = 12, 7.0
    assert takes(pipe) == ("flow", 12, 7.0)
    assert takes(dataclasses.replace(pipe, sampler=Sampler())) == ("flow", 25, 4.0)


# --- runs -------------------------------------------------------------------------------------------


def test_few_steps_are_replayed_and_edited_like_any(pipe, taken):
    few, _ = taken
    again = few.replay(at=2, keep=())
    assert torch.allclose(again.latents.values, few.latents.values, atol=1e-4)
    moved = few.replay(at=2, edit=lambda x: x.roll(1, -1))
    assert len(moved.steps) == 4 and all(step.folded for step in moved.steps) and few.diff(moved).x[2] > 0
    patched = few.replay(from_="text", patch={"blocks.1.time.attention": few})
    assert torch.allclose(patched.latents.values, few.latents.values, atol=1e-2)         # kept in half precision
    assert set(few.steps[0].attention) == {"blocks.0.space", "blocks.0.word", "blocks.1.time", "blocks.1.word"}


def test_a_replay_that_changes_models_goes_on_with_the_others_steps(taken):
    few, flow = taken
    guided = few.replay(at=2, guidance=3.0, steps=12)
    assert [step.folded for step in guided.steps[:3]] == [True, True, False] and guided.steps[2].guidance == 3.0
    assert [step.t for step in guided.steps[2:]] == [t for t in schedule(12) if 0 < t <= few.steps[2].t]
    assert guided.steps[-1].t_next == 0 and [step.index for step in guided.steps] == list(range(len(guided.steps)))
    fast = flow.replay(at=1, guidance=None, steps=None)
    assert [step.folded for step in fast.steps[:2]] == [False, True]
    t = flow.steps[1].t
    assert [step.t for step in fast.steps[1:]] == [t, *(later for later in schedule(4) if 0 < later < t)]


def test_a_saved_run_tells_that_guidance_was_folded_in(pipe, taken, tmp_path):
    few, _ = taken
    again = sk.Run.load(few.save(tmp_path / "few.run"), pipe)
    assert all(step.folded for step in again.steps) and not few.diff(again.replay(at=3)).largest > 1


# --- views ------------------------------------------------------------------------------------------


def test_what_shows_guidance_says_that_it_is_folded_in(taken):
    few, flow = taken
    for show in (pictures.guidance, explorers.explore_guidance):
        with pytest.raises(ValueError, match="guidance is folded into few-step weights; sample with steps=25"):
            show(few.steps)
    drawn = {part.get_text() for axes in charts.guidance_chart(few.steps).axes for part in axes.texts}
    assert drawn == {"no part without the prompt: guidance folded in"}
    assert not [part for axes in charts.guidance_chart(flow.steps).axes for part in axes.texts]
    live = explorers.explore_run(flow)
    assert "guidance" in live.parts
    live.close()


def test_few_steps_can_be_looked_at(taken):
    few, _ = taken
    live = explorers.explore_run(few)
    assert "guidance" not in live.parts
    assert set(live.parts) >= {"denoising", "attention", "latents", "schedule", "stages"}
    live["denoising"].set(step=3), live["attention"].set(step=2), live["schedule"].set(step=4)
    live.close()
    assert displays.show_run(few)["text/plain"].startswith("Run('a cat': 4 steps")
    assert pictures.step_sheet(few.steps[0]).size[0] > 100 and pictures.denoising(few.steps, n=6).size[0] > 100


def test_the_few_step_network_is_looked_into_with_both_its_times(pipe, taken):
    few, _ = taken
    for step in few.steps:
        said = insides.answer(pipe.few_step, few, step.index)
        assert torch.allclose(said, step.x0, atol=1e-3)
    sizes, into = insides.added(pipe.few_step, few, 1)
    without_end, _ = insides.added(pipe.transformer, few, 1)
    assert set(sizes) == set(without_end) and into.isfinite().all()


def test_a_pipeline_shows_its_few_step_network_if_it_has_one(pipe, plain):
    shown = displays.show_pipeline(pipe)["text/plain"]
    assert "few_step" in shown and "few_step" not in displays.show_pipeline(plain)["text/plain"]


# --- tools ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def film():
    y, x = np.mgrid[:80, :144]
    frames = np.stack([np.stack([(x + 8 * k) % 256, y * 2, 0 * x], -1) for k in range(9)]).astype(np.uint8)
    return Video(frames, 8.0, "waves on a beach")


SMALL = {"height": 80, "width": 144}


@pytest.mark.parametrize("make", [
    lambda pipe, film: tools.animate(pipe, film.frames[0], "waves", seconds=0.5, **SMALL),
    lambda pipe, film: tools.loop(pipe, prompt="waves", seconds=1.0, **SMALL),
    lambda pipe, film: tools.variations(pipe, "waves", 2, seconds=0.5, **SMALL)[1],
    lambda pipe, film: tools.Storyboard((tools.Card(0, "waves", video=film),), 1.5, **SMALL).film(pipe)])
def test_tools_fill_gaps_in_few_steps_and_keep_what_is_known(pipe, film, make):
    take = make(pipe, film)
    for run in take.runs:
        known, mask = run.known
        assert [step.folded for step in run.steps] == 4 * [True]
        if mask is not None:
            where = mask.unsqueeze(1).expand_as(known)
            assert torch.equal(run.latents.values[where], known[where])


@pytest.mark.parametrize("make", [
    lambda pipe, film, **how: tools.remix(pipe, film, "a storm", strength=0.9, **how),
    lambda pipe, film, **how: tools.blend(pipe, film, film, "waves", strength=0.9, **how)])
@pytest.mark.parametrize("how, guidance", [({"steps": 4}, 4.0), ({"steps": 4, "guidance": 2.0}, 2.0)])
def test_films_that_are_part_noised_walk_with_the_flow_model(pipe, plain, film, make, how, guidance):
    take = make(pipe, film, **how)
    assert not any(step.folded for run in take.runs for step in run.steps)
    assert all(run.steps[0].guidance == guidance for run in take.runs)
    assert torch.equal(take.latents, make(plain, film, **how).latents)


def test_a_remix_with_the_films_own_words_gives_it_back_and_at_1_the_film_of_the_prompt(pipe, film):
    same = tools.remix(pipe, film, film.prompt, strength=0.7, steps=3)
    assert (same.latents - tools.remix(pipe, film, film.prompt, strength=0).latents).abs().max() < 1e-3
    new = tools.remix(pipe, film, "a storm", strength=1.0, seed=3)
    assert torch.equal(new.latents, pipe.trace("a storm", seconds=1.0, seed=3).latents.values)


def test_a_reel_is_made_in_few_steps_and_a_preview_in_two(pipe):
    told = []
    reel = tools.reel(pipe, "waves", 0.5, seed=1, **SMALL, progress=lambda *now: told.append(now))
    assert len(list(reel)) == 5 and told[-1] == ("sample", 4, 4)
    told.clear()
    board = tools.Storyboard((tools.Card(0, "waves"),), 0.5, **SMALL)
    assert board.preview(pipe, tile=64, progress=lambda *now: told.append(now)).ndim == 3
    assert ("sample", 2, 2) in told


# --- the command line and the report ----------------------------------------------------------------


@pytest.mark.parametrize("options, made", [
    ([], "4 steps, guidance folded in"), (["--steps", "8"], "8 steps, guidance folded in"),
    (["--steps", "25"], "25 steps, guidance 4"), (["--guidance", "3"], "25 steps, guidance 3"),
    (["--negative", "dogs"], "25 steps, guidance 4")])
def test_generate_tells_how_a_film_was_made(pipe, few_step_weights, tmp_path, monkeypatch, options, made):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sorakit.pipeline.load", lambda *_: pipe)
    asked = ["generate", "a cat", "--seconds", "0.5", "--height", "80", "-o", "cat.gif", *options]
    result = CliRunner().invoke(app, [*asked, "--weights", str(few_step_weights), "--device", "cpu"],
                                env={"COLUMNS": "200"})
    assert result.exit_code == 0 and f"seed 0, {made}\n" in result.stdout
    assert re.search(rf"{made.split()[0]}/{made.split()[0]}", result.stderr)


@pytest.mark.parametrize("asked, said, again", [
    ({}, "4 steps, guidance folded in, seed 0", "--steps 4 --out "),
    ({"steps": 9}, "9 steps, guidance 4, seed 0", "--steps 9 --guidance 4 --out ")])
def test_the_report_says_which_steps_and_guidance_were_scored(few_step_weights, tmp_path, monkeypatch, asked, said,
                                                              again):
    torch.manual_seed(0)
    monkeypatch.setattr(report, "REFERENCE", 2)
    untrained = Referee(width=24, features=16).eval().requires_grad_(False)
    parts = report.evaluate(few_step_weights, "held-out", 1, 2, tmp_path, referee=untrained, data=tmp_path,
                            device="cpu", **asked)
    assert len(parts["held-out"].films) == 2
    page, stored = (tmp_path / "benchmark.md").read_text(), json.loads((tmp_path / "benchmark.json").read_text())
    assert said in page and again in page
    assert (stored["steps"], stored["guidance"]) == (asked.get("steps", 4), 4.0 if asked else None)


def test_weights_whose_card_says_so_take_few_steps_only_when_asked(few_step_weights, tmp_path):
    from sorakit.weights import load_weights, save_weights

    weights = load_weights(few_step_weights)
    card = weights.card | {"few_step": weights.card["few_step"] | {"default": False}}
    pipe = load(save_weights(tmp_path, weights.autoencoder, weights.flow, card), "cpu")
    assert takes(pipe) == ("flow", 25, 4.0)
    assert takes(pipe, steps=4) == ("few", 4, 1.0) and takes(pipe, steps=8) == ("few", 8, 1.0)
    assert takes(pipe, steps=4, guidance=3.0) == ("flow", 4, 3.0)
