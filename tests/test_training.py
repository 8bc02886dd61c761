"""Training survives a SIGKILL, is the same on two processes as on one, and ends in weights that make films."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sorakit.training.data import captions_of, load_shard, render_shards, scene_of
from sorakit.training.loop import Loop
from sorakit.training.muon import Muon, orthogonal
from sorakit.types import NATIVE_SIZES
from sorakit.world.scene import Subject, is_held_out

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    render_shards(folder, 50, seed=1, quiet=True)
    return folder


@pytest.fixture(scope="module")
def autoencoder(data, tmp_path_factory):
    """Barely trained, by the command that trains for real."""
    from sorakit.training.autoencoder import train

    out = tmp_path_factory.mktemp("autoencoder")
    scores = train("nano", 1, out, data, clips=50, seed=1, batch=2, max_steps=3, test_clips=50)
    assert 15 < scores["clear"] < 40 and scores["subjects in clear weather"] < scores["clear"]
    return out


def test_a_decoder_trained_on_leaves_the_latents_as_they_were(data, autoencoder, tmp_path):
    from sorakit.training.autoencoder import load_autoencoder, train

    train("nano", 1, tmp_path, data, clips=50, seed=1, batch=1, max_steps=2, test_clips=50, decoder_of=autoencoder)
    (before, _), (after, card) = load_autoencoder(autoencoder), load_autoencoder(tmp_path)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder", "to_patch"}
    assert card["autoencoder_training"]["before"]["steps"] == 3 and card["autoencoder_training"]["decoder_alone"]


def test_a_decoder_learns_from_films_remade_by_a_flow_model(data, tiny_weights, tmp_path):
    from sorakit.training.autoencoder import Remake, train
    from sorakit.weights import load_weights

    train("nano", 1, tmp_path, data, clips=50, seed=1, batch=2, max_steps=2, test_clips=50, decoder_of=tiny_weights,
          remade_by=tiny_weights)
    before, after = load_weights(tiny_weights), load_file(tmp_path / "autoencoder.safetensors")
    changed = {name.split(".")[0] for name in after if not torch.equal(before.autoencoder[name], after[name])}
    assert changed == {"decoder", "to_patch"}
    remake, z = Remake(before, torch.device("cpu")), torch.randn(1, 8, 2, 3, 3)
    remake.transformer.forward = lambda x, t, *rest: (x - z) / t.unsqueeze(1)          # one that knows the film
    assert torch.allclose(remake(z, torch.Generator().manual_seed(0)), z, atol=1e-5)
    with pytest.raises(ValueError, match="decoder_of="):
        train("nano", 1, tmp_path, data, clips=50, remade_by=tiny_weights)


def test_latents_are_as_strong_as_they_are_in_pixels(data, autoencoder):
    """Fresh from its principal components, a latent channel's variance is its component's share of the pixels'."""
    from sorakit.latent.autoencoder import Autoencoder, joined
    from sorakit.training.autoencoder import _normalise, to_floats

    frames = torch.cat([to_floats(clip[:9]) for clip in load_shard(data / "1-00000.npz")[0][:20]
                        if clip.shape[1:3] == NATIVE_SIZES["16:9"]])
    model = Autoencoder(32, 8)
    shares = model.start_from_principal_components(frames)[:32]
    _normalise(model, frames)
    z = model.encode(frames)
    assert z.square().mean().sub(1).abs() < 0.02
    assert torch.allclose(z.var((0, 2, 3, 4)) / z.var((0, 2, 3, 4)).sum(), shares / shares.sum(), rtol=0.02, atol=1e-4)
    assert torch.allclose(model.decode(z), joined(model.from_raw(model.raw_latents(frames))), atol=1e-4)


def test_clips_are_what_their_seed_says_and_never_held_out(data):
    frames, masks, scenes = load_shard(data / "1-00000.npz")
    assert frames.shape == (50, 17, *NATIVE_SIZES["16:9"], 3) and masks.shape == frames.shape[:-1]
    assert scenes[7] == scene_of(1, 7) and not any(map(is_held_out, scenes))
    assert all((masks[i].any() == 0) for i, scene in enumerate(scenes) if not scene.subjects)
    assert captions_of(scenes[7], 1, 7) == captions_of(scenes[7], 1, 7)


def test_stills_are_the_first_frames_of_other_clips(data, autoencoder):
    """Still k of data seed 1 is the first frame of clip k of data seed 2; its latent is what that film begins with."""
    from sorakit.evaluation.referee import KIND_NAMES
    from sorakit.latent.autoencoder import Autoencoder
    from sorakit.prompt.words import Words
    from sorakit.training.autoencoder import PRESETS, load_autoencoder, to_floats
    from sorakit.training.flow import ATTRIBUTES, COMMON, cache_latents
    from sorakit.world.render import render
    from sorakit.world.scene import DIRECTIONS, SETTINGS, TIMES

    eyes = Autoencoder(**PRESETS["nano"]).eval().requires_grad_(False)
    eyes.load_state_dict(load_autoencoder(autoencoder)[0])
    words = Words.load()
    store = cache_latents(eyes, words, data, 50, 50, seed=1)
    clip = render(scene_of(2, 7), *NATIVE_SIZES["16:9"], 2.0, 8.0)
    (films, *_), (stills, ids, mask, body, labels, often) = store.buckets
    assert torch.allclose(body[7, ..., 0].float().mean(), torch.tensor(clip.subject_mask[0].mean()).float(), atol=1e-2)
    assert films.shape[2:] == (9, 5, 9) and stills.shape[2:] == (1, 5, 9) and len(stills) == 50
    whole = eyes.encode(to_floats(clip.frames))
    assert torch.allclose(whole[0, :, :1], stills[7].float(), atol=0.05)
    assert (ids[7].numpy() == words.encode(captions_of(scene_of(2, 7), 2, 7), 48)[0]).all()
    scenes = [scene_of(2, k) for k in range(50)]
    for label, scene in zip(labels.tolist(), scenes):
        said = dict(zip(ATTRIBUTES, label, strict=True))
        assert SETTINGS[said["setting"]] == scene.setting and TIMES[said["time"]] == scene.time
        if scene.subjects:
            assert KIND_NAMES[said["kind"]] == scene.subjects[0].kind
            assert DIRECTIONS[said["direction"]] == scene.subjects[0].direction
        else:
            assert said["kind"] == said["direction"] == said["count"] == -1
    plain = [scene.style == "natural" and scene.weather == "clear" and scene.mood == "neutral"
             and len(scene.subjects) < 2 for scene in scenes]
    common = [max([1.0, *(COMMON.get(subject.kind, 1.0) for subject in scene.subjects)]) for scene in scenes]
    assert often.tolist() == [(3 if a else 1) * b for a, b in zip(plain, common)]
    assert {1, 3} < set(often.tolist())

    draws = [store.batch(2, torch.Generator().manual_seed(k), still_share=0.5) for k in range(40)]
    shapes = [tuple(latents.shape) for latents, *_ in draws]
    assert {shape[2] for shape in shapes} == {1, 5, 9}
    assert all(shape[0] == (16 if shape[2] == 1 else 2) for shape in shapes)
    assert 10 < sum(shape[2] == 1 for shape in shapes) < 30


def test_helpers_learn_from_what_is_heard_and_where_it_is_and_do_not_change_the_film():
    from sorakit.training.flow import ATTRIBUTES, FlowModel

    torch.manual_seed(0)
    model, films = FlowModel(8, 16, 64, 2, 2), torch.randn(3, 8, 2, 3, 4)
    asked = films, torch.randn(3, 5, 16), torch.ones(3, 5, dtype=torch.bool)
    noised = torch.zeros(3, 2, 3, 4, dtype=torch.bool), torch.randn_like(films), torch.rand(3)
    body, labels = torch.rand(3, 2, 3, 4, 3), torch.zeros(3, len(ATTRIBUTES), dtype=torch.long)
    alone, helped = (model(*asked, *noised, body=a, labels=b) for a, b in ((None, None), (body, labels)))
    nothing = model(*asked, *noised, labels=labels - 1)                     # nothing to be heard
    assert torch.equal(alone, nothing) and helped > alone + 0.5
    (helped - alone).backward()
    for weight in (model.heard.weight, model.where[-1].weight, model.text.embed.weight, model.transformer.embed.weight):
        assert weight.grad.abs().sum() > 0
    assert model.transformer.out.down.weight.grad is None or not model.transformer.out.down.weight.grad.any()
    model.zero_grad(set_to_none=True)
    (model(*asked, *noised, body=body, labels=labels, apart=True) - model(*asked, *noised)).backward()
    assert model.where[-1].weight.grad.abs().sum() > 0
    assert all(weight.grad is None or not weight.grad.any() for weight in model.text.parameters())


def test_patches_know_which_part_of_which_body_they_show(tmp_path):
    """A dog that goes left has its front at the left, one that goes right at the right; of two nobody asks."""
    from sorakit.training.flow import bodies_in

    masks = np.zeros((4, 17, 80, 144), bool)
    masks[:3, :, 16:48, 32:64] = True                                        # two by two patches, exactly
    np.savez(tmp_path / "shard.npz", masks=np.packbits(masks, -1))
    left = replace(scene_of(0, 0), subjects=(Subject("dog", "red", "run", "left"),))
    right = replace(left, subjects=(replace(left.subjects[0], direction="right"),))
    two = replace(left, subjects=(replace(left.subjects[0], count=2),))
    body = bodies_in(tmp_path / "shard.npz", [left, right, two, left]).float()
    assert body.shape == (4, 9, 5, 9, 3)
    assert body[..., 0].sum() == 3 * 9 * 4 and (body[:3, :, 1:3, 2:4, 0] == 1).all()
    front, top = body[0, 4, 1:3, 2:4, 1], body[0, 4, 1:3, 2:4, 2]
    assert torch.allclose(front, torch.tensor([[0.5, -0.5], [0.5, -0.5]]), atol=0.03)
    assert torch.allclose(top, torch.tensor([[0.5, 0.5], [-0.5, -0.5]]), atol=0.03)
    assert torch.allclose(body[1, ..., 1], -body[0, ..., 1], equal_nan=True)
    assert body[2:, ..., 1:].isnan().all() and body[0, 0, 0, 0, 1:].isnan().all()


def test_deeper_weights_make_the_same_films():
    from sorakit.training.flow import FlowModel, deepened

    torch.manual_seed(0)
    shallow, deep = (FlowModel(8, 16, 64, depth, 2) for depth in (4, 6))
    torch.nn.init.normal_(shallow.transformer.out.down.weight)
    weights = shallow.state_dict()
    deep.load_state_dict({**deep.state_dict(), **deepened(weights, 4, 6)})
    assert deepened(weights, 4, 4).keys() == weights.keys()
    x, t = torch.randn(2, 8, 3, 3, 4), torch.rand(2, 3, 3, 4)
    words = shallow.text(torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool))
    films = [model.transformer(x, t, *words) for model in (shallow, deep)]
    assert films[0].abs().mean() > 0.1 and torch.allclose(*films, atol=1e-5)
    films[1].square().mean().backward()
    for block in deep.transformer.blocks[4:]:                                # what is put in can learn
        assert block.out.weight.grad.abs().sum() > 0 and not block.out.weight.any()


def test_what_is_kept_of_the_weights_before_and_how_their_student_moves_along():
    from sorakit.training.flow import along, deepened, train

    before = {"transformer.out.up.bias": torch.tensor([4.0]), "few_step.out.up.bias": torch.tensor([5.0]),
              "few_step.end.2.bias": torch.tensor([7.0]), "where.0.bias": torch.tensor([1.0])}
    new = along({"transformer.out.up.bias": torch.tensor([8.0])}, before, 0.25)
    assert new == {"transformer.out.up.bias": torch.tensor([7.0]),                      # 3/4 of 8 and 1/4 of 4
                   "few_step.out.up.bias": torch.tensor([8.0]), "few_step.end.2.bias": torch.tensor([7.0])}
    two = {f"{network}.blocks.{k}.{part}.weight": torch.ones(1) for network in ("transformer", "few_step")
           for k in range(2) for part in ("qkv", "out")}
    four = deepened(two, 2, 4)
    assert [four[f"few_step.blocks.{k}.out.weight"].item() for k in range(4)] == [1, 1, 0, 0]
    assert all(four[name.replace("few_step", "transformer")] == value for name, value in four.items())
    for keep, start in ((1.0, "nano"), (-0.1, "nano"), (0.5, None)):
        with pytest.raises(ValueError, match="keep="):
            train("nano", keep=keep, start=start)
    with pytest.raises(ValueError, match="routed="):
        train("nano", routed=1.5)


def test_half_of_the_places_pass_by_the_middle_blocks_and_all_take_part_in_a_film():
    from sorakit.training.flow import ATTRIBUTES, FlowModel
    from sorakit.training.routing import Routing

    torch.manual_seed(0)
    model, films = FlowModel(8, 16, 64, 6, 2), torch.randn(2, 8, 3, 2, 2)
    torch.nn.init.normal_(model.transformer.out.down.weight, std=0.1)
    known = torch.zeros(2, 3, 2, 2, dtype=torch.bool)
    known[0, 0] = True                                                       # then each patch has its own time
    given = (films, torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool), known, torch.randn_like(films),
             torch.rand(2), None, torch.rand(2, 3, 2, 2, 3), torch.zeros(2, len(ATTRIBUTES), dtype=torch.long))
    whole, seen = model(*given), []
    model.routing = Routing(model.transformer)
    for k in (1, 3):
        model.transformer.blocks[k].register_forward_hook(lambda block, given, x: seen.append(x))
    assert torch.equal(model(*given), whole) and model.routing.kept is None
    model.routing.draw, seen[:] = torch.Generator().manual_seed(0), []
    loss = model(*given)
    loss.backward()
    same = (seen[0] == seen[1]).all(-1).view(2, 3, 4)                        # (b, t, places)
    assert same.sum(-1).unique().tolist() == [2] and (same == same[:1, :1]).all()
    assert loss != whole and all(weight.grad is not None for weight in model.transformer.blocks.parameters())
    draws = [model.routing._some(4, 1, "cpu").tolist() for _ in range(40)]
    assert {place for draw in draws for place in draw} == {0, 1, 2, 3}
    with torch.no_grad():
        assert torch.equal(model(*given), whole)


COMPARED = """
import torch
from sorakit.training.compiled import compile_blocks
from sorakit.training.flow import FlowModel

torch.manual_seed(0)
model, films = FlowModel(8, 16, 64, 4, 2), torch.randn(3, 8, 2, 3, 4)
given = (films, torch.randn(3, 5, 16), torch.ones(3, 5, dtype=torch.bool), torch.zeros(3, 2, 3, 4, dtype=torch.bool),
         torch.randn_like(films), torch.rand(3))
torch.nn.init.normal_(model.transformer.out.down.weight, std=0.1)
losses, gradients = [], []
for _ in range(2):
    model.zero_grad()
    losses.append(model(*given))
    losses[-1].backward()
    gradients.append([weight.grad.clone() for weight in model.transformer.parameters()])
    compile_blocks(model.transformer, half=False)
assert torch.allclose(*losses) and gradients[0][-1].any()
assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-6) for a, b in zip(*gradients))
"""


@pytest.mark.skipif(not shutil.which("g++"), reason="compiling takes a C++ compiler")
def test_compiled_blocks_learn_what_the_others_learn():
    """In a process without the tests' type checks, which cannot be compiled."""
    done = subprocess.run([sys.executable, "-c", COMPARED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_products_in_bf16_are_those_in_fp32_but_for_rounding():
    from sorakit.training.half import use_half_products

    torch.manual_seed(0)
    whole = torch.nn.Sequential(torch.nn.Linear(48, 64), torch.nn.GELU(), torch.nn.Linear(64, 32, bias=False))
    half = torch.nn.Sequential(torch.nn.Linear(48, 64), torch.nn.GELU(), torch.nn.Linear(64, 32, bias=False))
    half.load_state_dict(whole.state_dict())
    use_half_products(half)
    x = torch.randn(2, 300, 48)
    for model in (whole, half):
        model(x.requires_grad_()).square().mean().backward()
    gradients = [torch.cat([weight.grad.flatten() for weight in model.parameters()]) for model in (whole, half)]
    assert not torch.equal(*gradients) and torch.cosine_similarity(*gradients, 0) > 0.9999
    assert torch.equal(half(x[:, :8]), whole(x[:, :8]))                         # too little to gain anything
    assert list(half.state_dict()) == list(whole.state_dict())


def test_muon_takes_the_nearest_orthogonal_matrix():
    torch.manual_seed(0)
    for shape in ((96, 32), (32, 96), (3, 16, 48)):
        g = torch.randn(shape)
        values = torch.linalg.svdvals(orthogonal(g))
        assert values.min() > 0.5 and values.max() < 1.4
        u, _, v = torch.linalg.svd(g, full_matrices=False)
        alike = torch.nn.functional.cosine_similarity(orthogonal(g).flatten(), (u @ v).flatten(), 0)
        assert alike > 0.97


def test_muon_in_bf16_takes_about_the_same_step():
    g = torch.randn(4, 48, 96, generator=torch.Generator().manual_seed(0))
    half, whole = orthogonal(g, half=True), orthogonal(g)
    assert not torch.equal(half, whole)
    assert torch.nn.functional.cosine_similarity(half.flatten(), whole.flatten(), 0) > 0.999


def test_subjects_count_more_only_where_the_noise_no_longer_hides_them():
    from sorakit.training.flow import SUBJECT_WEIGHT, subject_weight

    inside = torch.tensor([0.0, 0.125, 1.0]).expand(3, 1, 1, 3)
    weight = subject_weight(inside, torch.tensor([0.97, 0.875, 0.3]))[:, 0, 0]
    assert weight[0].tolist() == [1, 1, 1]                                       # a mean over all places stays one
    assert weight[2].tolist() == [1, (1 + SUBJECT_WEIGHT) / 2, SUBJECT_WEIGHT]
    assert (weight[0] <= weight[1]).all() and (weight[1] <= weight[2]).all()


def test_muon_steps_as_torch_does():
    """The same update as `torch.optim.Muon` up to its bf16 rounding."""
    torch.manual_seed(0)
    ours, theirs = (torch.nn.Parameter(torch.ones(24, 24)) for _ in range(2))
    a = Muon([{"params": [ours]}], lr=0.1, weight_decay=0.0)
    b = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0)
    for _ in range(2):
        ours.grad = torch.randn(24, 24)
        theirs.grad = ours.grad.clone()
        a.step(), b.step()
    moved = torch.nn.functional.cosine_similarity((ours - 1).flatten(), (theirs - 1).flatten(), 0)
    assert moved > 0.99 and abs((ours - 1).norm() / (theirs - 1).norm() - 1) < 0.05


SCRIPT = """
import sys, time, torch
from sorakit.training.loop import Loop
torch.manual_seed(0)
model = torch.nn.Linear(4, 4)
loop = Loop(sys.argv[1], model, [torch.optim.AdamW(model.parameters(), lr=0.01)], minutes=5, max_steps=int(sys.argv[2]),
            every=0.2)
def step(n):
    loss = model(torch.randn(8, 4, generator=torch.Generator().manual_seed(n))).square().mean()
    print("LOSS", n, repr(loss.item()), flush=True)
    time.sleep(float(sys.argv[3]))
    return loss, 8
loop.run(step)
"""


def test_a_killed_run_goes_on_with_the_very_next_loss(tmp_path):
    losses = lambda text: dict(re.findall(r"LOSS (\d+) (\S+)", text))
    run = lambda name: subprocess.run([sys.executable, "-c", SCRIPT, tmp_path / name, "60", "0"], capture_output=True,
                                      text=True, env=ENVIRONMENT, check=True).stdout
    with subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path / "killed", "60", "0.05"], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, env=ENVIRONMENT) as killed:
        deadline = time.time() + 60
        while not (tmp_path / "killed" / "checkpoint.pt").exists() and time.time() < deadline:
            time.sleep(0.02)
        killed.send_signal(signal.SIGKILL)
    truth, again = losses(run("whole")), losses(run("killed"))
    assert 0 < len(again) < 60 and "0" not in again and "59" in again
    assert all(truth[n] == loss for n, loss in again.items())


def test_ctrl_c_keeps_the_step_at_hand(tmp_path):
    def step(n):
        if n == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return model.weight.square().sum(), 1

    model, before = torch.nn.Linear(2, 1), signal.getsignal(signal.SIGINT)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(KeyboardInterrupt):
        Loop(tmp_path, model, [optimiser], minutes=1).run(step)
    assert signal.getsignal(signal.SIGINT) is before
    again = Loop(tmp_path, torch.nn.Linear(2, 1), [optimiser], minutes=1)
    assert again.n == 4 and torch.equal(again.model.weight, model.weight)


@pytest.mark.parametrize("fall, expected", [(0.5, [1, 1, 1, 0.8, 0.4]), (1.0, [1, 0.8, 0.6, 0.4, 0.2])])
def test_the_rate_falls_in_the_last_share_of_the_minutes(tmp_path, monkeypatch, fall, expected):
    def step(n):
        rates.append(optimiser.param_groups[0]["lr"] / 0.1)
        now[0] += 600
        return model.weight.square().sum(), 1

    now, rates, model = [0.0], [], torch.nn.Linear(2, 1)
    monkeypatch.setattr("sorakit.training.loop.time.time", lambda: now[0])
    monkeypatch.setattr("sorakit.training.loop.WARMUP", 1)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    Loop(tmp_path, model, [optimiser], minutes=50, fall=fall, every=1e9).run(step)
    assert rates == pytest.approx(expected)


def test_a_fall_that_is_no_share_is_refused(tmp_path):
    with pytest.raises(ValueError, match="fall=0 "):
        Loop(tmp_path, torch.nn.Linear(2, 1), [], minutes=1, fall=0)


def test_processes_learn_at_the_rate_of_the_first_ones_clock(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_backend", lambda: "gloo")
    monkeypatch.setattr("torch.distributed.broadcast", lambda word, source: word.copy_(torch.tensor([1.0, 7.0])))
    loop = Loop(tmp_path, torch.nn.Linear(2, 1), [], minutes=1)
    loop.spent = 59.0
    assert loop._agree(False) is True and loop.spent == 7.0


def test_another_recipe_does_not_go_on_from_this_checkpoint(tmp_path):
    def loop(**recipe):
        model = torch.nn.Linear(2, 2)
        return Loop(tmp_path, model, [torch.optim.SGD(model.parameters(), lr=0.1)], minutes=1, recipe=recipe)

    loop(seed=1, start="nano")._save([])
    assert loop(seed=1, start="nano").n == 0
    with pytest.raises(ValueError, match="seed=2 .* began with, 1"):
        loop(seed=2, start="nano")


def test_a_training_goes_on_without_samples_that_cannot_be_written(tmp_path, capsys):
    from sorakit.training.loop import Loop

    def look():
        raise FileNotFoundError("no ffmpeg here")

    model = torch.nn.Linear(2, 2)
    loop = Loop(tmp_path, model, [torch.optim.SGD(model.parameters(), lr=0.1)], minutes=1, max_steps=3, every=0)
    loop.run(lambda n: (model(torch.ones(1, 2)).sum(), 1), look)
    assert loop.n == 3 and (tmp_path / "checkpoint.pt").exists() and "no ffmpeg here" in capsys.readouterr().err


def test_a_checkpoint_is_never_half_written(tmp_path, monkeypatch):
    model = torch.nn.Linear(2, 2)
    loop = Loop(tmp_path, model, [torch.optim.SGD(model.parameters(), lr=0.1)], minutes=1)
    loop._save([])
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def breaks(value, path):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", breaks)
    with pytest.raises(OSError, match="disk full"):
        loop._save([])
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


PARALLEL = """
import sys
from sorakit.training.flow import train
train("nano", 5, sys.argv[1], sys.argv[3], sys.argv[2], clips=50, seed=1, batch=4, max_steps=2, device="cpu",
      samples=False)
"""


def test_two_processes_train_the_same_model_as_one_and_it_makes_films(tmp_path, data, autoencoder):
    from sorakit.pipeline import load
    from sorakit.training.flow import train
    from sorakit.weights import load_weights

    script = tmp_path / "parallel.py"
    script.write_text(PARALLEL)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for path in data.glob("1-*.npz"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / path.name).symlink_to(path)                # drawn, not yet encoded
    for out, command in (("two", torchrun), ("one", [sys.executable])):
        subprocess.run([*command, script, tmp_path / out, autoencoder, tmp_path / "data"], check=True, env=ENVIRONMENT,
                       capture_output=True, timeout=300)
    one, two = (load_weights(tmp_path / out / "weights") for out in ("one", "two"))
    assert one.card["flow_training"]["clips_seen"] == two.card["flow_training"]["clips_seen"] == 8
    moved = {name: (value - two.flow[name]).abs().max().item() for name, value in one.flow.items()}
    assert max(moved.values()) < 2e-3, max(moved, key=moved.get)
    on = train("nano", 5, tmp_path / "on", data, clips=50, seed=1, batch=4, max_steps=1, samples=False, device="cpu",
               start=tmp_path / "one" / "weights", keep=0.25, routed=0.5)
    assert load_weights(on).card["flow_training"]["before"] == one.card["flow_training"]
    assert load_weights(on).card["flow_training"]["kept_of_before"] == 0.25
    assert load_weights(on).card["flow_training"]["routed"] == 0.5
    video = load(tmp_path / "one" / "weights", device="cpu")("a dog", steps=2, seconds=0.5)
    assert video.frames.std() > 1
