"""The referee, the judge, the measures on clips made bad on purpose, and the report."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from sorakit.evaluation import adherence, measures, referee, report
from sorakit.evaluation.referee import Reading, Referee, SubjectReading
from sorakit.prompt.words import Words
from sorakit.synthesis.finish import to_bytes
from sorakit.training import data
from sorakit.training import referee as training
from sorakit.types import NATIVE_SIZES
from sorakit.weights import WeightsError
from sorakit.world.render import render
from sorakit.world.scene import KINDS, Scene, Subject

DOG = Scene((Subject("dog", "red", "run", "left"),), "beach", "day", camera="static", seed=5)
PAIR = Scene((Subject("cat", "blue", "walk"), Subject("bird", "green", "fly", "left")), "park", "night", "rain",
             "film noir", camera="pan left")


@pytest.fixture(scope="module")
def clip():
    return render(DOG, 80, 144)


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    return Referee(width=24, features=16).eval().requires_grad_(False)


def read_as(scene: Scene) -> Reading:
    """What a referee says that sees this scene and is sure of it."""
    sure = lambda values, value: {v: 0.9 if v == value else 0.1 / len(values) for v in values}
    subjects = tuple(SubjectReading(s.kind, 0.9, **{part: sure(values, getattr(s, part)) for part, values in
                                                    referee.SUBJECT_PARTS.items()},
                                    path=np.zeros((5, 2)), area=np.zeros(5)) for s in scene.subjects)
    kinds = {kind: float(any(s.kind == kind for s in scene.subjects)) for kind in KINDS}
    return Reading(**{part: sure(values, getattr(scene, part)) for part, values in referee.SCENE_PARTS.items()},
                   kinds=kinds, subjects=subjects, frames=(1, 4, 8, 12, 15))


# --- the referee --------------------------------------------------------------------------------


def test_looks_at_frames_that_have_neighbours():
    assert referee.moments_of(17) == (1, 4, 8, 12, 15)
    assert referee.moments_of(5) == (0, 1, 2, 3, 4)
    assert referee.moments_of(1) == (0,)


def test_chosen_frames_hold_colours_and_the_change_before_and_after():
    films = torch.arange(4, dtype=torch.uint8).view(1, 4, 1, 1, 1).expand(1, 4, 16, 16, 3) ** 2    # 0, 1, 4, 9
    frames = referee.chosen_frames(films, torch.tensor([1, 3]))
    assert frames.shape == (1, 2, 5, 16, 16)
    change = frames[0, :, 3:, 0, 0] * 127.5 / 2
    torch.testing.assert_close(change, torch.tensor([[1.0, 3.0], [5.0, 0.0]]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", NATIVE_SIZES.values())
def test_reads_every_native_size_as_probabilities(untrained, size):
    films = np.random.default_rng(0).integers(0, 255, (3, 17, *size, 3), np.uint8)
    readings = untrained.read(films, batch=2)
    assert len(readings) == 3
    for part in referee.SCENE_PARTS:
        assert sum(getattr(readings[0], part).values()) == pytest.approx(1, abs=1e-4)
    assert isinstance(readings[0].best(), Scene)
    assert untrained.remember(films).film.shape == (3, 16)


def test_reading_does_not_depend_on_the_batch(untrained):
    films = np.random.default_rng(0).integers(0, 255, (3, 17, 80, 144, 3), np.uint8)
    alone, together = untrained.read(films[2:]), untrained.read(films)
    assert alone[0].kinds == pytest.approx(together[2].kinds, abs=1e-4)


@pytest.mark.parametrize("film", [np.zeros((17, 80, 144, 3)), np.zeros((17, 81, 144, 3), np.uint8), "film.mp4"])
def test_refuses_what_is_not_a_native_film(untrained, film):
    with pytest.raises(ValueError, match="films"):
        untrained.read([film])


def test_what_it_says_of_a_kind_comes_from_that_kinds_cells_alone(untrained):
    frames = torch.randn(1, 5, 5, 80, 144)
    seen = untrained(frames)
    maps = torch.full_like(seen.maps, -40.0)
    maps[:, :, 1, :, :9], maps[:, :, 2, :, 9:] = 0.0, 0.0                  # the first kind left, the second right
    repainted = seen.cells.clone()
    repainted[..., 9:] += 1.0
    before = untrained.attributes(dataclasses.replace(seen, maps=maps), torch.tensor([[0, 1]]))
    after = untrained.attributes(dataclasses.replace(seen, maps=maps, cells=repainted), torch.tensor([[0, 1]]))
    for part in referee.SUBJECT_PARTS:
        torch.testing.assert_close(before[part][:, 0], after[part][:, 0])
        assert not torch.allclose(before[part][:, 1], after[part][:, 1])


def test_the_path_is_the_middle_of_the_map():
    where = np.zeros((1, 10, 18))
    where[0, 4:6, 0:2] = 1
    path, area = referee._path(where)
    assert path[0] == pytest.approx([0.5, 1 / 18]) and area[0] == pytest.approx(4 / 180)


def test_trains_on_shards_and_loads_what_it_wrote(tmp_path, tiny_weights, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 2), monkeypatch.setattr(training, "SHARD", 2)
    monkeypatch.setattr(training, "BATCH", 2)
    scores = training.train(9, tmp_path / "out", tmp_path / "data", tiny_weights, clips={0: 2}, stills={2: 2},
                            held_out=2, test_clips=2, max_steps=2)
    assert set(scores) == {"renders", "renders, reconstructed", "held-out combinations",
                           "held-out combinations, reconstructed"}
    model = Referee.load(tmp_path / "out" / "weights")
    assert sum(p.numel() for p in model.parameters()) < 3e6
    training.train(9, tmp_path / "on", tmp_path / "data", tiny_weights, clips={0: 2}, stills={2: 2}, held_out=2,
                   test_clips=2, max_steps=1, start=tmp_path / "out" / "weights")
    on = Referee.load(tmp_path / "on" / "weights").state_dict()
    moved = [(value - on[name]).abs().max() for name, value in model.state_dict().items()]
    assert 0 < max(moved) < 1e-3                     # one step, and not from nothing
    assert json.loads((tmp_path / "on" / "weights" / "referee.json").read_text())["referee_training"]["before"]
    path = tmp_path / "out" / "weights" / "referee.safetensors"
    assert path.stat().st_size < 6e6
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="sha256"):
        Referee.load(tmp_path / "out" / "weights")


def test_learns_to_tell_two_scenes_apart(tmp_path):
    torch.manual_seed(0)
    scenes = [DOG, dataclasses.replace(PAIR, style="natural")]
    clips = [render(scene, 80, 80, 1.0) for scene in scenes]
    frames = referee.chosen_frames(torch.from_numpy(np.stack([c.frames for c in clips])), torch.tensor([1, 3, 5]))
    masks = np.stack([c.subject_mask for c in clips])[:, [1, 3, 5]]
    cells = torch.from_numpy(masks.reshape(2, 3, 10, 8, 10, 8).mean((3, 5))).float()
    labels = [training.labels_of(scene, flip=False, moving=True) for scene in scenes]
    labels = {key: torch.tensor([label[key] for label in labels]) for key in labels[0]}
    model = Referee(width=24, features=16)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(40):
        optimiser.zero_grad()
        training.loss_of(model, frames, cells, labels).backward()
        optimiser.step()
    readings = model.eval().read([c.frames for c in clips])
    assert [reading.best().setting for reading in readings] == ["beach", "park"]
    assert {subject.kind for subject in readings[1].subjects} == {"cat", "bird"}


def test_a_mirrored_film_is_labelled_the_other_way():
    straight, flipped = (training.labels_of(PAIR, flip=flip, moving=True) for flip in (False, True))
    assert straight["direction"] == [1, 0] and flipped["direction"] == [0, 1]
    assert referee.SCENE_PARTS["camera"][flipped["camera"]] == "pan right"
    assert straight["colour"] == [-1, -1]                                  # black and white
    still = training.labels_of(DOG, flip=False, moving=False)
    assert still["action"] == still["direction"] == [-1, -1] and still["camera"] == -1 and still["colour"][0] == 0


# --- the judge ----------------------------------------------------------------------------------


def test_a_film_of_the_scene_is_right_in_everything_that_can_be_judged():
    assert all(adherence.judge(DOG, read_as(DOG)).values())
    right = adherence.judge(PAIR, read_as(PAIR))
    assert all(right.values()) and "colour" not in right and "scene, one subject" not in right
    assert "time" not in adherence.judge(Scene((), "underwater"), read_as(Scene((), "underwater")))


@pytest.mark.parametrize("change, wrong", [
    ({"setting": "park"}, {"setting"}), ({"time": "night"}, {"time"}), ({"camera": "zoom in"}, {"camera"}),
    ({"subjects": (dataclasses.replace(DOG.subjects[0], colour="blue"),)}, {"colour"}),
    ({"subjects": (dataclasses.replace(DOG.subjects[0], direction="right"),)}, {"direction"}),
    ({"subjects": (dataclasses.replace(DOG.subjects[0], kind="cat"),)},
     {"subject", "colour", "count", "action", "direction"}),
    ({"subjects": (*DOG.subjects, Subject("cat", "red", "run"))}, {"subject"}),
])
def test_a_film_of_another_scene_is_wrong_where_it_differs(change, wrong):
    right = adherence.judge(DOG, read_as(dataclasses.replace(DOG, **change)))
    assert {name for name, value in right.items() if not value} == wrong | {"scene", "scene, one subject"}


def test_colours_are_bound_to_their_subjects():
    scene = dataclasses.replace(PAIR, style="natural")
    swapped = tuple(dataclasses.replace(s, colour=o.colour) for s, o in zip(scene.subjects, scene.subjects[::-1]))
    right = adherence.judge(scene, read_as(dataclasses.replace(scene, subjects=swapped)))
    assert right["subject"] and not right["colour"]


def test_prompts_say_everything_and_fit():
    assert adherence.describe(DOG) == ("A red dog running to the left on a beach during the day under a clear sky, "
                                       "realistic, static camera")
    scenes = [s for held_out in (False, True) for s in adherence.scenes_to_ask(60, held_out=held_out)]
    _, mask = Words.load().encode([adherence.describe(scene) for scene in scenes], 100)
    assert mask.sum(1).max() <= 48
    assert adherence.scenes_to_ask(5, held_out=True) == adherence.scenes_to_ask(9, held_out=True)[:5]


def test_intervals_are_wilsons():
    share = adherence.share_of(np.array([[True]] * 8 + [[False]] * 2))
    assert (share.share, share.low, share.high) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    perfect = adherence.share_of(np.ones((50, 1), bool))
    assert perfect.high == 1 and perfect.low == pytest.approx(0.9287, abs=1e-4)


def test_films_of_one_prompt_that_are_all_alike_count_once():
    alike = adherence.share_of(np.repeat(np.arange(40) % 2 == 0, 5).reshape(40, 5))
    once = adherence.share_of((np.arange(40) % 2 == 0)[:, None])
    assert alike.low == pytest.approx(once.low, abs=0.01) and alike.films == 200


# --- the measures, on clips made bad on purpose ------------------------------------------------


def test_flicker_rises_with_light_that_flickers(clip):
    light = np.where(np.arange(17) % 2, 1.1, 0.9)[:, None, None, None]
    flickering = (clip.frames * light).clip(0, 255).astype(np.uint8)
    assert measures.flicker(flickering) > 2 * measures.flicker(clip.frames)
    two = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)])
    assert measures.flicker(two) == pytest.approx(0.2)


def test_shuffled_frames_do_worse(clip):
    shuffled = clip.frames[np.random.default_rng(0).permutation(17)]
    assert measures.warping_error(shuffled) > 1.2 * measures.warping_error(clip.frames)
    assert measures.flicker(shuffled) > 1.2 * measures.flicker(clip.frames)


def test_noise_that_comes_and_goes_cannot_be_warped_away(clip):
    noise = np.random.default_rng(0).normal(0, 12, clip.frames.shape)
    assert measures.warping_error((clip.frames + noise).clip(0, 255).astype(np.uint8)) > \
        2 * measures.warping_error(clip.frames)


def test_frozen_frames_have_no_motion(clip):
    frozen = np.repeat(clip.frames[:1], 17, 0)
    assert measures.motion_magnitude(frozen, 8) == pytest.approx(0, abs=1e-3) and not measures.is_dynamic(frozen, 8)
    assert measures.flicker(frozen) == 0 == measures.warping_error(frozen)
    assert measures.motion_magnitude(clip.frames, 8) > 0.02 and measures.is_dynamic(clip.frames, 8)


def test_exact_flow_warps_a_moving_picture_onto_itself():
    picture = np.random.default_rng(0).integers(0, 255, (32, 48, 3), np.uint8)
    frames = np.stack([np.roll(picture, k, 1) for k in range(3)])
    flow = np.zeros((2, 32, 48, 2), np.float32)
    flow[..., 0] = 1
    assert measures.warping_error(frames, flow) == 0 < measures.warping_error(frames, 0 * flow)
    assert measures.motion_magnitude(frames, 8, flow) == pytest.approx(8 / 32)
    with pytest.raises(ValueError, match="flow"):
        measures.warping_error(frames, flow[:1])


def test_the_worlds_own_flow_is_near_the_estimate():
    clip = render(Scene((), "desert", camera="pan left", seed=3), 80, 144, 1.0)
    assert measures.motion_magnitude(clip.frames, 8, clip.flow) == \
        pytest.approx(measures.motion_magnitude(clip.frames, 8), rel=0.5)


def test_subject_consistency_falls_when_the_subject_changes():
    same = np.tile([1.0, 0.0], (5, 1))
    assert measures.subject_consistency(same) == pytest.approx(1)
    changed = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    assert measures.subject_consistency(changed) == pytest.approx((1 + (0 + 0) / 2 + (0 + 1) / 2) / 3)


def test_frechet_distance_of_gaussians_is_the_closed_form():
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, (20_000, 3))
    assert measures.frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert measures.frechet_distance(a, 2 * a + 1) == pytest.approx(3 * (1 + 1), rel=0.05)
    mixed = a @ rng.normal(size=(3, 3))
    first, second = np.cov(a, rowvar=False), np.cov(mixed, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(first @ second).real).sum()
    truth = np.square(a.mean(0) - mixed.mean(0)).sum() + np.trace(first + second) - 2 * roots
    assert measures.frechet_distance(a, mixed) == pytest.approx(truth, rel=1e-6)


def test_a_film_that_was_recited_is_found():
    training_films = np.random.default_rng(0).normal(size=(30, 8))
    distance, which = measures.nearest_neighbours(np.stack([2 * training_films[7], -training_films[7]]), training_films)
    assert which[0] == 7 and distance[0] == pytest.approx(0, abs=1e-6) and distance[1] > 0.01


@pytest.mark.parametrize("measure", [measures.flicker, measures.warping_error])
def test_one_frame_has_nothing_to_measure(measure):
    with pytest.raises(ValueError, match="frames"):
        measure(np.zeros((1, 16, 16, 3), np.uint8))


# --- the report ---------------------------------------------------------------------------------


def test_one_command_writes_the_report(tmp_path, tiny_weights, untrained, monkeypatch):
    monkeypatch.setattr(report, "REFERENCE", 3)
    known = dataclasses.asdict(adherence.share_of(np.ones((600, 1))))
    training.write(tmp_path / "referee", untrained, {"accuracy": {"renders": {"setting": known}}})
    parts = report.evaluate(tiny_weights, "held-out", seeds=2, films=4, out=tmp_path / "docs", steps=1,
                            referee=tmp_path / "referee", data=tmp_path, batch=3)
    tmp_path /= "docs"
    assert len(parts["held-out"].films) == 4 and parts["held-out"].films[0].shape == (17, 80, 144, 3)
    stored = json.loads((tmp_path / "benchmark.json").read_text())
    assert stored["weights"] == "tiny" and len(stored["parts"]["held-out"]["judged"]) == 2
    page = (tmp_path / "benchmark.md").read_text()
    assert "| setting | 100.0 (99.4-100.0) |" in page and "| motion magnitude |" in page
    assert {path.name for path in tmp_path.iterdir()} == {"benchmark.json", "benchmark.md", "benchmark.png",
                                                         "benchmark_films.jpg"}


def test_batched_films_are_those_of_the_pipeline(tiny_weights):
    import sorakit as sk

    pipe = sk.load(tiny_weights)
    films = list(report.make_films(pipe, ["a red dog", "a beach at night"], 2, batch=3, steps=2))
    conditioning = pipe.text_encoder(pipe.prompt("a beach at night"))
    latents = pipe.sampler(pipe.transformer, pipe.noise(2.0, "16:9", 1), conditioning, steps=2, fps=8.0)
    alone = to_bytes(pipe.autoencoder.decode(latents.values))
    assert np.abs(films[3].astype(int) - alone).mean() < 1 < np.abs(films[2].astype(int) - alone).mean()


@pytest.mark.parametrize("wrong", [{"prompts": "all"}, {"prompts": []}, {"seeds": 0}, {"films": 1}])
def test_evaluate_refuses_what_does_not_fit(tiny_weights, untrained, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        report.evaluate(tiny_weights, **{"out": None, "referee": untrained, **wrong})
