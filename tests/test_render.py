"""The drawn world's ground truth agrees with its pixels."""

import cv2
import numpy as np
import pytest

from sorakit.world.render import BUILDERS, render
from sorakit.world.scene import COLOURS, KINDS, SETTINGS, STYLES, TIMES, WEATHERS, Scene, Subject, sample

DOG = Scene((Subject("golden retriever", "golden", "run"),), "wildflower field", "day", seed=3)


def psnr(a, b):
    return -10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2 + 1e-12)


def test_same_scene_gives_the_same_pixels():
    assert np.array_equal(render(DOG, 80, 144).frames, render(DOG, 80, 144).frames)


def test_another_seed_moves_the_scenery():
    other = Scene(DOG.subjects, DOG.setting, DOG.time, seed=4)
    assert psnr(render(DOG, 80, 144, 0).frames, render(other, 80, 144, 0).frames) < 30


def test_two_seconds_at_eight_a_second_are_seventeen_frames():
    assert render(DOG, 48, 80, 2.0, 8.0).frames.shape == (17, 48, 80, 3)


def test_a_longer_film_at_twice_the_rate_holds_the_same_frames():
    slow, fast = render(DOG, 80, 144, 1.0, 8.0).frames, render(DOG, 80, 144, 2.0, 16.0).frames
    assert np.array_equal(slow, fast[:17:2])


def test_the_picture_does_not_depend_on_the_resolution():
    small, large = render(DOG, 80, 144, 0).frames[0], render(DOG, 320, 576, 0).frames[0]
    assert psnr(small, cv2.resize(large, (144, 80), interpolation=cv2.INTER_AREA)) > 27


@pytest.mark.parametrize("size", [(80, 144), (144, 80), (112, 112)])
def test_every_aspect_is_painted_to_its_edges(size):
    frames = render(Scene((), "beach", "day"), *size, 1.0).frames
    assert frames[:, -1].std() > 0 and frames[:, :, 0].min() >= 0 and (frames.max(-1) > 0).mean() > 0.999


def test_no_cloud_is_heaped_behind_who_flies():
    """The upper sky of a day on the beach, away from the gull and the sun: blue, where it is white without the gull."""
    gull = Subject("seagull", "white", "fly")
    whites = []
    for subjects in ((), (gull,)):
        clips = [render(Scene(subjects, "beach", "day", seed=seed), 80, 144, 0) for seed in range(4)]
        sky = [(clip.frames[0, :24].min(-1) > 215) & ~clip.subject_mask[0, :24] for clip in clips]
        whites.append(np.mean(sky))
    assert whites[1] < 0.6 * whites[0]


def in_both(clip, k):
    """Pixels of frame k that are still in frame k + 1: inside of it, and not behind something nearer."""
    y, x = np.mgrid[:clip.depth.shape[1], :clip.depth.shape[2]]
    x, y = np.rint(x + clip.flow[k, ..., 0]).astype(int), np.rint(y + clip.flow[k, ..., 1]).astype(int)
    inside = (x >= 0) & (y >= 0) & (x < clip.depth.shape[2]) & (y < clip.depth.shape[1])
    there = clip.depth[k + 1][y.clip(0, clip.depth.shape[1] - 1), x.clip(0, clip.depth.shape[2] - 1)]
    return inside & (np.abs(there - clip.depth[k]) < 1e-6)


@pytest.mark.parametrize("camera", ["static", "pan right", "zoom in", "tracking"])
def test_flow_warps_each_frame_onto_the_one_before(camera):
    scene = Scene(DOG.subjects, "desert", "day", camera=camera, seed=1)
    clip = render(scene, 160, 288, 1.0, 16.0)
    y, x = np.mgrid[:160, :288].astype(np.float32)
    for k in (4, 12):
        warped = cv2.remap(clip.frames[k + 1], x + clip.flow[k, ..., 0], y + clip.flow[k, ..., 1], cv2.INTER_LINEAR)
        seen = in_both(clip, k)
        inside = seen & cv2.erode(clip.masks[k].any(0).astype(np.uint8), np.ones((3, 3))).astype(bool)
        moved, still = (np.abs(clip.frames[k].astype(float) - other) for other in (warped, clip.frames[k + 1]))
        assert inside.sum() > 200 and moved[inside].mean() < min(6, 0.6 * still[inside].mean())
        assert moved[seen].mean() < 0.75 * still[seen].mean()


def test_flow_of_a_still_camera_is_nothing_outside_of_subjects():
    clip = render(DOG, 80, 144, 0.5)
    outside = ~clip.masks[:-1].any(1)
    assert np.abs(clip.flow[outside]).max() < 1e-3


def test_masks_never_overlap_and_boxes_hold_them():
    scene = Scene((Subject("cat", "black", "walk", count=3),), "snowfield", "day", seed=5)
    clip = render(scene, 96, 172, 1.0)
    assert clip.masks.shape[:2] == (9, 3) and clip.masks.sum(1).max() == 1
    assert clip.names == ["cat"] * 3
    for k, i in np.argwhere(clip.masks.any((2, 3))):
        left, top, right, bottom = clip.boxes[k, i]
        assert clip.masks[k, i].sum() == clip.masks[k, i, top:bottom, left:right].sum() > 0


def test_the_cheap_subject_mask_is_the_union_of_the_masks_but_for_the_foreground():
    clip = render(DOG, 80, 144, 0.5)
    assert (clip.masks.any(1) & ~clip.subject_mask).sum() == 0
    assert clip.masks.any(1).sum() > 0.6 * clip.subject_mask.sum()


def test_visible_falls_when_a_subject_leaves_the_frame():
    scene = Scene((Subject("car", "red", "drive", speed="fast"),), "highway", "day", seed=2)
    visible = render(scene, 80, 144, 4.0, 2.0).visible[:, 0]
    assert visible[2] > 0.6 and visible[-1] < visible[2] - 0.3


def test_subjects_are_nearer_than_the_sky_and_move_the_way_they_are_told():
    for direction, sign in (("left", -1), ("right", 1)):
        scene = Scene((Subject("horse", "brown", "run", direction),), "desert", "day", seed=1)
        clip = render(scene, 80, 144, 2.0)
        centre = clip.boxes[:, 0, [0, 2]].mean(1)
        assert sign * (centre[12] - centre[4]) > 10
        assert clip.depth[8][clip.masks[8, 0]].max() < clip.depth[8, 0].min()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_builds_for_each_action_and_keeps_its_shapes(kind):
    for action in KINDS[kind].actions:
        rig = BUILDERS[kind](COLOURS[KINDS[kind].colours[0]], action, np.random.default_rng(0))
        poses = np.array([rig.pose(phase) for phase in np.linspace(0, 2, 9)])
        assert np.isfinite(poses).all() and len(rig.shapes) > 5
        assert np.abs(np.diff(poses, axis=0)).max() > 1e-3, "nothing moves"


@pytest.mark.parametrize("setting", SETTINGS)
def test_each_setting_looks_like_no_other(setting):
    looks = {name: render(Scene((), name, "day", seed=1), 48, 80, 0).frames[0] for name in (setting, "park", "stage")}
    assert all(psnr(looks[setting], look) < 22 for name, look in looks.items() if name != setting)


def test_times_weathers_and_styles_change_the_picture():
    for field, values in (("time", TIMES), ("weather", WEATHERS), ("style", STYLES)):
        films = [render(Scene(DOG.subjects, DOG.setting, **{field: value}), 80, 144, 0).frames for value in values]
        for i, a in enumerate(films):
            assert all(psnr(a, b) < 32 for b in films[i + 1:]), field


def test_any_sampled_scene_can_be_drawn():
    rng = np.random.default_rng(11)
    for _ in range(40):
        clip = render(sample(rng), 32, 48, 0.25, 8.0)
        assert np.isfinite(clip.flow).all() and clip.frames.std() > 3


@pytest.mark.parametrize("arguments", [(8, 144), (80, 8), (80, 144, -1), (80, 144, 2, 0)])
def test_sizes_that_cannot_be_drawn_are_named(arguments):
    with pytest.raises(ValueError, match="is too small: it takes"):
        render(DOG, *arguments)
