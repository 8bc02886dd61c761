"""Runs: what is kept is what was worked out; what is replayed is the same film unless something was changed."""

import dataclasses

import numpy as np
import pytest
import torch

import sorakit as sk
from sorakit.run import STAGES, Run

ASK = {"seconds": 0.5, "steps": 4, "seed": 3}


@pytest.fixture(scope="module")
def pipe(tiny_weights):
    return sk.load(tiny_weights, "cpu")


@pytest.fixture(scope="module")
def run(pipe):
    return pipe.trace("a red car", keep=("blocks.*.attention", "blocks.1.time", "blocks.0.feed"), **ASK)


def test_a_trace_makes_the_film_that_a_call_makes(pipe, run):
    film = pipe("a red car", **ASK)
    assert np.array_equal(pipe.trace("a red car", **ASK).video.frames, film.frames)
    assert np.abs(run.video.frames.astype(int) - film.frames).mean() < 1       # attention by hand rounds otherwise
    assert tuple(run.records) == STAGES
    assert all(record.seconds > 0 and record.memory >= 0 for record in run.records.values())
    assert run.prompt.prompt == "a red car" and run.verdict.decision == "allow"
    assert run.records["diffusion"].inputs["conditioning"] is run.conditioning
    assert torch.equal(run.steps[-1].x_next, run.latents.values)
    assert torch.equal(pipe.autoencoder.decode(run.latents.values), run.frames)


def test_a_traced_film_has_a_calls_notes_and_how_long_each_stage_took(pipe):
    traced, film = (make("a lorry on a hihgway", **ASK) for make in (pipe.trace, pipe))
    assert traced.video.notes == film.notes and len(film.notes) > 1
    assert tuple(traced.video.timings) == STAGES
    assert traced.replay(from_="decode").video.notes == film.notes


def test_a_trace_tells_progress_of_each_step(pipe):
    told = []
    traced = pipe.trace("a red car", progress=lambda *now: told.append(now), **ASK)
    assert told == [("sample", done, 4) for done in range(5)] and "progress" not in traced.request


def test_attention_is_kept_for_each_step_and_sums_to_one(run):
    assert [step.index for step in run.steps] == [0, 1, 2, 3]
    for step in run.steps:
        assert set(step.attention) == {"blocks.0.space", "blocks.0.word", "blocks.1.time", "blocks.1.word"}
        assert set(step.activations) == {"blocks.1.time", "blocks.0.feed"}
        space, time = step.attention["blocks.0.space"], step.attention["blocks.1.time"]
        assert space.shape == (3, 2, 45, 45) and time.shape == (1, 2, 135, 135)      # frames, heads, queries, keys
        for weights in step.attention.values():
            assert torch.allclose(weights.float().sum(-1), torch.ones(()), atol=2e-2)


def test_watching_changes_nothing(pipe, run):
    plain = pipe.trace("a red car", **ASK)
    assert not plain.steps[0].attention and not plain.steps[0].activations
    assert torch.allclose(plain.latents.values, run.latents.values, atol=1e-4)
    assert not pipe.transformer.probes.active


@pytest.mark.parametrize("stage", STAGES)
def test_replay_without_an_edit_is_the_same_film(run, stage):
    again = run.replay(from_=stage)
    assert not run.diff(again).stages and repr(run.diff(again)) == "Difference(none: the two runs are the same)"
    taken = [name for name, record in again.records.items() if not record.seconds]
    assert taken == list(STAGES[:STAGES.index(stage) + 1])


def test_replay_at_a_step_goes_on_from_there(run):
    again = run.replay(from_="diffusion", at=2)
    assert torch.allclose(again.latents.values, run.latents.values, atol=1e-4)
    assert again.steps[1] is run.steps[1] and [step.index for step in again.steps] == [0, 1, 2, 3]
    moved = run.replay(from_="diffusion", at=2, edit=lambda x: x.roll(1, -1))
    assert torch.equal(moved.steps[2].x, run.steps[2].x.roll(1, -1))
    difference = run.diff(moved)
    assert difference.stages[0] == "diffusion" and difference.x[1] == 0 < difference.x[2]
    assert difference.frames.shape == run.video.frames.shape and difference.largest == difference.frames.max() > 0


def test_replay_with_other_values_counts_from_there_on(run):
    again = run.replay(from_="diffusion", at=1, guidance=1.0)
    assert torch.equal(again.steps[0].x, run.steps[0].x)
    assert again.steps[0].unconditional is not None and again.steps[1].unconditional is None
    taller = run.replay(from_="decode", height=360)
    assert taller.video.height == 360 and taller.latents is run.latents


def test_edits_of_latents_and_words(pipe, run):
    darker = run.replay(from_="decode", edit=lambda frames: frames - 1)
    assert darker.video.frames.mean() < run.video.frames.mean()
    swapped = run.replay(from_="text", edit=lambda _: pipe.text_encoder.swapped(run.brief, "red", "blue"))
    assert not torch.equal(swapped.conditioning.vectors, run.conditioning.vectors)
    asked = pipe.text_encoder(dataclasses.replace(run.brief, prompt=run.brief.said.replace("red", "blue")))
    assert torch.allclose(swapped.conditioning.vectors, asked.vectors, atol=1e-6)
    with pytest.raises(ValueError, match="word='dragon'.*red"):
        pipe.text_encoder.swapped(run.brief, "dragon", "blue")


def test_a_patch_comes_from_the_other_run(pipe, run):
    other = pipe.trace("a blue boat", keep="blocks.1.time", **ASK)
    patched = run.replay(from_="text", patch={"blocks.1.time": other})
    assert run.diff(patched).stages[0] == "diffusion"
    assert torch.allclose(patched.steps[1].activations["blocks.1.time"], other.steps[1].activations["blocks.1.time"])
    itself = run.replay(from_="text", patch={"blocks.1.time": run})
    assert torch.allclose(itself.latents.values, run.latents.values, atol=1e-4)
    with pytest.raises(ValueError, match="patch='blocks.0.space' was not kept"):
        run.replay("text", patch={"blocks.0.space": other})
    with pytest.raises(ValueError, match="patch='nonsense' is no name"):
        run.replay("text", patch={"nonsense": other})


def test_saved_and_loaded_it_is_the_same_run(pipe, run, tmp_path):
    again = Run.load(run.save(tmp_path / "film.run"), pipe)
    assert not run.diff(again).stages and again.request == run.request and repr(again) == repr(run)
    assert torch.equal(again.steps[2].attention["blocks.1.time"], run.steps[2].attention["blocks.1.time"])
    assert again.records["decode"].seconds == run.records["decode"].seconds
    assert not again.diff(again.replay(from_="diffusion", at=1)).stages or \
        again.diff(again.replay(from_="diffusion", at=1)).largest <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["film.run"]


def test_a_run_is_found_in_ones_home(run, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    run.save("~/film.run")
    assert not run.diff(Run.load("~/film.run")).stages


def test_damaged_files_say_so(run, tmp_path):
    path = run.save(tmp_path / "film.run")
    whole = path.read_bytes()
    for damaged in (b"", whole[:1000], whole[:-1000], b"not a run" * 100):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"film\.run' is damaged or not a run"):
            Run.load(path)
    with pytest.raises(FileNotFoundError, match="is not a file"):
        Run.load(tmp_path / "nothing.run")


def test_what_cannot_be_replayed_says_so(pipe, run, tmp_path):
    with pytest.raises(ValueError, match="from_='latents' is not one of prompt, screen"):
        run.replay(from_="latents")
    with pytest.raises(ValueError, match="at=4 .* from 0 to 3"):
        run.replay(at=4)
    for change in ({"seed": 9}, {"guidance": 7.0}, {"from_": "prompt", "prompt": "a blue boat"}, {"at": 1, "seed": 9}):
        with pytest.raises(ValueError, match="counts in stage"):        # no film is signed with a seed not its own
            run.replay(**change)
    for ignored in ({"patch": {"blocks.1.time": run}}, {"keep": "blocks.1"}, {"from_": "synthesis", "height": 80}):
        with pytest.raises(ValueError, match="counts? in stage '(diffusion|synthesis)', which is taken over"):
            run.replay(**ignored)
    with pytest.raises(ValueError, match="widht= cannot be changed in this run; it takes prompt, "):
        run.replay("decode", widht=80)
    longer = pipe.trace("a cat", keep="blocks.1.time", **ASK | {"seconds": 1.0})
    with pytest.raises(ValueError, match="patch='blocks.1.time' is .* it takes a run of the same seconds"):
        run.replay("text", patch={"blocks.1.time": longer})
    with pytest.raises(ValueError, match="pattern='blocks.9.*' fits no name"):
        pipe.trace("a cat", keep="blocks.9.*", **ASK)
    with pytest.raises(ValueError, match="no pipeline"):
        Run.load(run.save(tmp_path / "film.run")).replay()
    with pytest.raises(ValueError, match="same\n? ?seconds"):
        run.diff(pipe.trace("a cat", **ASK | {"seconds": 1.0}))


def test_what_is_taken_over_keeps_its_shape_and_its_picture(pipe, run):
    picture = np.full((80, 144, 3), 90, np.uint8)
    shown = pipe.trace("a red car", image=picture, **ASK)
    for begin in (lambda: run.replay("diffusion", at=2, height=80, width=80), lambda: run.replay(at=2, seconds=1.0),
                  lambda: shown.replay("known", aspect="1:1")):
        with pytest.raises(ValueError, match="height=, width=, aspect= or seconds= ask for .* x .* latents"):
            begin()
    assert run.replay("decode", height=80, width=80).video.width == 80
    with pytest.raises(ValueError, match="image=array.* counts in stage 'prompt'"):
        shown.replay("synthesis", image=picture + 1)
    assert not shown.diff(shown.replay("synthesis", image=picture.copy())).stages


def test_what_is_switched_off_is_off(pipe):
    noise, brief = pipe.noise(0.5, "16:9", 0), pipe.prompt("a dog")
    words = pipe.text_encoder(brief)
    t = torch.ones(1, *noise.shape[2:])
    velocity = lambda: pipe.transformer(noise, t, words.vectors, words.mask)
    whole = velocity()
    with pipe.transformer.without("blocks.*.word"):
        with torch.no_grad():
            for block in pipe.transformer.blocks:
                kept = block.word_out.weight.clone(), block.word_out.bias.clone()
                block.word_out.weight.zero_(), block.word_out.bias.zero_()
                block.kept = kept
        off = velocity()
    zeroed = velocity()
    for block in pipe.transformer.blocks:
        block.word_out.weight.copy_(block.kept[0]), block.word_out.bias.copy_(block.kept[1])
    assert torch.allclose(off, zeroed, atol=1e-5) and not torch.allclose(off, whole, atol=1e-3)
    with pipe.transformer.without("blocks.1.time", heads=[0, 1]):
        none = velocity()
    with pipe.transformer.without("blocks.1.time", heads=[1]):
        one = velocity()
    assert not torch.allclose(none, one, atol=1e-4) and not torch.allclose(one, whole, atol=1e-4)
    assert torch.equal(velocity(), whole)
    with pipe.transformer.without("blocks.1"):                              # the block as a whole lets all pass
        gone = velocity()
    with pipe.transformer.without("blocks.1.time", "blocks.1.word", "blocks.1.feed"):
        assert torch.equal(velocity(), gone) and gone.abs().mean() > 0.1
    for nothing in ("out", "embed", "blocks.1.nothing"):
        with pytest.raises(ValueError, match="fits no name"), pipe.transformer.without(nothing):
            pass
    with pytest.raises(ValueError, match=r"heads=\[9\] are not all there: .* has 2"), \
            pipe.transformer.without("blocks.1.time", heads=[9]):
        velocity()
    with pytest.raises(ValueError, match="pattern='blocks.0.time' fits no name"), \
            pipe.transformer.without("blocks.0.time"):
        pass


def test_attention_can_be_edited_on_its_way(pipe):
    noise, words = pipe.noise(0.5, "16:9", 0), pipe.text_encoder(pipe.prompt("a dog"))
    t = torch.ones(1, *noise.shape[2:])
    whole = pipe.transformer(noise, t, words.vectors, words.mask)
    with pipe.transformer.watch("blocks.1.time.attention", lambda name, value: value.roll(1, -1)):
        assert not torch.allclose(pipe.transformer(noise, t, words.vectors, words.mask), whole, atol=1e-4)
    with pipe.transformer.watch("*.attention", lambda name, value: None):
        assert torch.allclose(pipe.transformer(noise, t, words.vectors, words.mask), whole, atol=1e-4)
