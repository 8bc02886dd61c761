"""Stage 5, part by part, each against what is known to be true: a whole decode, a drawn film, an added shake."""

import os
import re
import signal
import subprocess
import sys
import time

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
import torch

from sorakit.latent.autoencoder import Autoencoder
from sorakit.synthesis import encode, measures
from sorakit.synthesis.assembly import Assembly, reach
from sorakit.synthesis.colour import LOOKS, AutoColour, Look, Lut3D, grid, named_look
from sorakit.synthesis.detail import Denoise, Sharpen
from sorakit.synthesis.finish import to_bytes
from sorakit.synthesis.rate import FrameRate, evened
from sorakit.synthesis.recipe import PRESETS, SIZES, Resize, Synthesis, Upscale
from sorakit.synthesis.stabilise import Stabilise, camera_steps, shaken, smooth
from sorakit.synthesis.stream import Stream, find_cuts
from sorakit.synthesis.upscale import Upscaler, load_upscaler, triples_of, upscale
from sorakit.training import upscaler as training
from sorakit.videofile import CODECS
from sorakit.weights import WeightsError
from sorakit.world.render import render
from sorakit.world.scene import Scene, Subject

CAR = Scene((Subject("car", "red", "drive"),), "highway", seed=3)
CAT = Scene((Subject("cat", "black", "walk"),), "snowfield", time="night", seed=4)


@pytest.fixture(scope="module")
def car():
    """A red car drives along a highway, 64 x 112, 9 frames of the model's rate."""
    return render(CAR, 64, 112, 1.0, 8.0).frames


@pytest.fixture(scope="module")
def texture():
    """A still picture full of corners, (1, 200, 280, 3)."""
    noise = np.random.default_rng(0).integers(0, 255, (25, 35, 3), np.uint8)
    return cv2.resize(noise, (280, 200), interpolation=cv2.INTER_CUBIC)[None]


# --- assembly --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decode():
    """A small autoencoder's decoder whose every weight counts."""
    torch.manual_seed(0)
    model = Autoencoder(channels=4, width=4).eval().requires_grad_(False)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    return model.decode


def test_windows_and_tiles_decode_to_the_frames_of_the_whole(decode):
    latents = torch.randn(1, 4, 10, 8, 5)
    whole = decode(latents)
    for window, tile in ((4, 4), (3, 100), (100, 5)):
        pieces = torch.cat(list(Assembly(window, tile).windows(decode, latents)), 2)
        assert pieces.shape == whole.shape
        assert measures.seam(pieces.numpy(), whole.numpy()) < 0.01 * whole.abs().max()
    assert np.abs(Assembly(4, 4)(decode, latents).frames().astype(int) - to_bytes(whole)).max() <= 1


def test_the_overlap_is_what_the_decoder_sees_and_no_less_would_do(decode):
    assert reach(decode, 4) == (Assembly().past, Assembly().halo)
    latents = torch.randn(1, 4, 8, 4, 8)
    whole = decode(latents)
    for less in (Assembly(8, 4, halo=2), Assembly(7, 8, past=4)):
        pieces = torch.cat(list(less.windows(decode, latents)), 2)
        assert not torch.allclose(pieces, whole, atol=1e-4)


def test_the_first_frames_are_there_before_the_last_are_decoded(decode):
    seen = []
    stream = Assembly(window=2)(lambda part: seen.append(part.shape[2]) or decode(part), torch.randn(1, 4, 9, 2, 2))
    next(iter(stream))
    assert seen == [2] and stream.count == 17
    assert stream.frames().shape[0] == 17 and max(seen) == 2 + Assembly().past


# --- frame rate ------------------------------------------------------------------------------------


def test_frames_in_between_are_nearer_to_the_truth_than_blending_and_than_ffmpeg(car):
    truth = render(CAR, 64, 112, 1.0, 24.0).frames
    new = [k for k in range(len(truth)) if k % 3]
    score = lambda frames: measures.psnr(frames[new], truth[new])
    stream = Stream.of(car, 8.0)
    moved, faded = FrameRate(24)(stream).frames(), FrameRate(24, "blend")(stream).frames()
    assert moved.shape == truth.shape
    assert np.array_equal(moved[::3], car)
    assert score(moved) > score(faded) + 2
    theirs = minterpolated(car, 24)
    new = [k for k in new if k < len(theirs)]
    assert score(moved) > score(np.concatenate([theirs, truth[len(theirs):]]))


def minterpolated(frames, fps):
    """ffmpeg's own interpolation, from 8 frames a second."""
    _, h, w, _ = frames.shape
    done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
                           "-s", f"{w}x{h}", "-r", "8", "-i", "-", "-vf", f"minterpolate=fps={fps}:scd=none",
                           "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], input=frames.tobytes(), capture_output=True,
                          check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, h, w, 3)


@pytest.mark.parametrize("fps, count", [(24, 25), (25, 26), (30, 31), (50, 51), (60, 61)])
def test_a_film_keeps_its_length_at_every_rate(fps, count):
    stream = FrameRate(fps, "nearest")(Stream.of(np.zeros((9, 16, 16, 3), np.uint8), 8.0))
    assert stream.count == count == len(stream.frames()) and stream.fps == fps


def test_a_bar_that_moves_lies_halfway_in_between():
    frames = np.full((2, 40, 80, 3), 90, np.uint8)
    frames[:, :, :, 1] = np.random.default_rng(0).integers(80, 100, (40, 80))
    for k, x in enumerate((20, 28)):
        frames[k, 10:30, x:x + 14] = (250, 200, 30)
    middle = FrameRate(2)(Stream.of(frames, 1.0)).frames()[1]
    columns = np.where(middle[20, :, 0] > 170)[0]
    assert (columns.min(), columns.max()) == (pytest.approx(24, abs=1), pytest.approx(37, abs=1))


def test_cuts_are_found_and_nothing_moves_across_them(car):
    film = np.concatenate([car[:5], render(CAT, 64, 112, 0.5, 8.0).frames])
    stream = find_cuts(Stream.of(film, 8.0))
    assert stream.cuts == {5} and stream.shots == [range(5), range(5, 10)]
    assert not find_cuts(Stream.of(car, 8.0)).cuts
    faster = FrameRate(24)(stream)
    between = faster.frames()[13:15]                                             # of the frames 4 and 5
    assert np.array_equal(between[0], film[4]) and np.array_equal(between[1], film[5])
    assert faster.cuts == {14}


# --- colour ----------------------------------------------------------------------------------------


def test_a_cast_is_taken_back_in_part_and_each_shot_has_one_setting():
    truth = render(Scene((Subject("car", "white", "drive"),), "city street", seed=3), 64, 112, 0.5, 8.0).frames
    cast = np.clip(truth * np.array([1.0, 0.87, 0.7]), 0, 255).astype(np.uint8)
    stream = AutoColour(0.7, 0, 0)(Stream.of(cast, 8.0))
    assert len(stream.report["colour"]) == 1
    gains = np.array(stream.report["colour"][0].gains)
    assert gains[2] > gains[1] > gains[0]
    same = AutoColour()(Stream.of(truth[:1].repeat(4, 0), 8.0)).frames()
    assert all(np.array_equal(frame, same[0]) for frame in same)


def test_dark_films_get_brighter_and_flat_ones_get_contrast(car):
    dark = (car * 0.3).astype(np.uint8)
    brighter = AutoColour(0, 1, 0)(Stream.of(dark, 8.0)).frames()
    assert dark.mean() + 20 < brighter.mean() < 160
    flat = (90 + car * 0.3).astype(np.uint8)
    assert AutoColour(0, 0, 1)(Stream.of(flat, 8.0)).frames().std() > 1.2 * flat.std()
    assert np.array_equal(AutoColour(0, 0, 0)(Stream.of(car, 8.0)).frames(), car)


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_is_one_change_of_colours_and_does_not_flicker(name, car):
    after = Look(name)(Stream.of(car, 8.0)).frames()
    assert np.abs(after.astype(int) - car).mean() > 1
    still = Look(name)(Stream.of(car[:1].repeat(3, 0), 8.0)).frames()
    assert measures.flicker(still) == 0
    assert measures.brightness_flicker(after) < 2 * measures.brightness_flicker(car) + 0.1
    grey = Lut3D.of(LOOKS[name])(np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2))
    assert (np.diff(grey.astype(int).sum(-1)) >= -3).all()                       # brighter stays brighter


def test_noir_is_grey_and_cinematic_has_teal_shadows_and_orange_lights():
    colours = np.array([[[40, 40, 40], [200, 200, 200], [200, 40, 40]]], np.uint8)
    noir = named_look("noir")(colours)[0].astype(int)
    assert (noir.max(-1) - noir.min(-1) <= 1).all()
    shadow, light, _ = named_look("cinematic")(colours)[0].astype(int)
    assert shadow[2] > shadow[0] and light[0] > light[2]


def test_a_table_that_changes_nothing_changes_nothing_and_strength_mixes(car):
    assert np.abs(Lut3D(grid(17))(car[0]).astype(int) - car[0]).max() <= 1
    full, half = (Look("noir", strength)(Stream.of(car[:1], 8.0)).frames().astype(float) for strength in (1, 0.5))
    assert np.abs(half - (full + car[:1]) / 2).max() <= 2
    assert np.abs(Look("noir", 0)(Stream.of(car[:1], 8.0)).frames().astype(int) - car[:1]).max() <= 1


def test_cube_files_are_written_read_and_mean_what_ffmpeg_says(tmp_path, car):
    path = named_look("cinematic").write(tmp_path / "cinematic.cube")
    again = Lut3D.read(path)
    assert again.title == "cinematic" and np.allclose(again.table, named_look("cinematic").table, atol=1e-6)
    _, h, w, _ = car.shape
    done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s",
                           f"{w}x{h}", "-i", "-", "-vf", f"lut3d=file={path}:interp=trilinear", "-f", "rawvideo",
                           "-pix_fmt", "rgb24", "-"], input=car[:1].tobytes(), capture_output=True, check=True)
    theirs = np.frombuffer(done.stdout, np.uint8).reshape(h, w, 3).astype(int)
    assert np.abs(again(car[0]) - theirs).max() <= 2


def test_cube_files_of_one_dimension_and_with_a_domain_are_read(tmp_path):
    path = tmp_path / "a.cube"
    path.write_text("# inverted\nTITLE \"a b\"\nLUT_1D_SIZE 2\n1 1 1\n0 0 0\n")
    assert np.allclose(Lut3D.read(path).table, 1 - grid(65), atol=1e-6)
    rows = "\n".join(f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1))
    path.write_text(f"LUT_3D_SIZE 2\nDOMAIN_MIN 0 0 0\nDOMAIN_MAX 2 2 2\n{rows}\n")
    assert np.allclose(Lut3D.read(path)(np.full((1, 1, 3), 200, np.uint8)), 100, atol=1)


@pytest.mark.parametrize("text, said", [
    ("LUT_3D_SIZE 2\n0 0 0\n", "has 1 colours"),
    ("LUT_3D_SIZE 2\nred green blue\n", "line 2 of a.cube"),
    ("", "has 0 colours"),
])
def test_what_is_no_cube_file_is_said(tmp_path, text, said):
    (tmp_path / "a.cube").write_text(text)
    with pytest.raises(ValueError, match=re.escape(said)):
        Lut3D.read(tmp_path / "a.cube")


# --- stabilisation ---------------------------------------------------------------------------------


def test_added_shake_goes_and_the_pan_stays(texture):
    rng, n = np.random.default_rng(1), 40
    pan = np.zeros((n, 4))
    pan[:, 0] = -1.0 * np.arange(n)
    shake = np.concatenate([rng.normal(0, 2.0, (n, 2)), rng.normal(0, 0.01, (n, 1)), np.zeros((n, 1))], 1)
    frames = shaken(texture.repeat(n, 0), pan + shake, margin=40)
    stream = Stabilise(seconds=1.5)(Stream.of(frames, 24.0))
    path = stream.report["stabilise"]
    before, after = shake + pan, shake + pan + path.wanted - path.seen
    assert measures.jitter(after, 24) < 0.2 * measures.jitter(before, 24)
    speed = np.polyfit(np.arange(n), after[:, 0], 1)[0]
    assert speed == pytest.approx(-1.0, abs=0.1)
    assert 0 < path.crop < 0.2 and stream.frames().shape == frames.shape
    left = camera_steps(stream)                                                  # seen in the pictures themselves
    assert left[1:, :2].std(0).max() < 0.35 * camera_steps(Stream.of(frames, 24.0))[1:, :2].std(0).min()


def test_an_even_pan_is_left_as_it_is(texture):
    pan = np.zeros((12, 4))
    pan[:, 0] = np.arange(12) * 1.5
    assert np.allclose(smooth(pan, 24), pan, atol=1e-6)
    path = Stabilise()(Stream.of(shaken(texture.repeat(12, 0), pan, 30), 24.0)).report["stabilise"]
    assert path.crop < 0.01


# --- noise and edges -------------------------------------------------------------------------------


def test_noise_goes_and_the_film_is_nearer_to_the_truth(car):
    noisy = np.clip(car + np.random.default_rng(0).normal(0, 10, car.shape), 0, 255).astype(np.uint8)
    clean = Denoise(0.7)(Stream.of(noisy, 8.0)).frames()
    assert measures.psnr(clean, car) > measures.psnr(noisy, car) + 3
    assert measures.psnr(Denoise(0.3)(Stream.of(car, 8.0)).frames(), car) > 32   # a clean film loses little


def test_edges_get_sharper_and_halos_stay_within_their_bound(car):
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in car])
    for halo in (0, 4, 10):
        sharp = Sharpen(0.8, halo=halo)(Stream.of(blurred, 8.0)).frames()
        assert measures.halo(sharp, blurred) <= halo + 1                         # rounding of three channels
        assert measures.sharpness(sharp) > 1.05 * measures.sharpness(blurred)
    assert measures.psnr(sharp, car) > measures.psnr(blurred, car)


# --- upscaling -------------------------------------------------------------------------------------


def test_an_untrained_upscaler_is_bicubic_and_a_stream_of_it_is_all_frames_at_once():
    torch.manual_seed(0)
    model = Upscaler(width=8, blocks=1).eval().requires_grad_(False)
    frames = torch.rand(1, 3, 4, 8, 12) * 2 - 1
    bicubic = torch.nn.functional.interpolate(frames[0].transpose(0, 1), scale_factor=4, mode="bicubic")
    assert torch.allclose(model(triples_of(frames)), bicubic, atol=1e-5)
    torch.nn.init.normal_(model.out.weight, std=0.05)
    pictures = to_bytes(frames)
    exact = to_bytes(model(triples_of(torch.from_numpy(pictures).permute(3, 0, 1, 2)[None] / 127.5 - 1))
                     .transpose(0, 1)[None])
    assert np.abs(np.stack(list(upscale(model, iter(pictures)))).astype(int) - exact).max() <= 1


def test_frames_across_a_cut_do_not_see_each_other():
    torch.manual_seed(0)
    model = Upscaler(width=8, blocks=1).eval().requires_grad_(False)
    torch.nn.init.normal_(model.out.weight, std=0.1)
    films = np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)
    joined = np.stack(list(upscale(model, iter(films), frozenset({2}))))
    apart = [np.stack(list(upscale(model, iter(part)))) for part in (films[:2], films[2:])]
    assert np.array_equal(joined, np.concatenate(apart))


def test_the_upscaler_learns_from_where_lanczos_errs_and_its_weights_load(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "SHARD", 2)
    monkeypatch.setattr(training, "PRESET", {"width": 8, "blocks": 1})
    scores = training.train(out=tmp_path / "out", data=tmp_path, scenes=2, batch=2, crop=16, test_scenes=2, max_steps=2)
    model = load_upscaler(tmp_path / "out")
    assert model.width == 8 and scores["psnr_upscaler"] == pytest.approx(scores["psnr_lanczos"], abs=0.5)

    library = training.Library(training.render_pairs(tmp_path, 2, seed=training.DATA_SEED), "nano")
    monkeypatch.setattr(training, "SOFT", 0.0)
    rng, errors = np.random.default_rng(0), []
    for _ in range(400):
        low, high, plain = library.crop(rng, 16)
        assert low.shape == (3, 4, 16, 16) and high.shape == (3, 2, 64, 64)
        errors.append(plain)
    assert np.mean(errors) > 1.3 * np.mean([frames.mean() for frames in library.error])


def test_the_network_is_under_two_million_parameters():
    assert sum(weight.numel() for weight in Upscaler().parameters()) < 2_000_000


def test_missing_weights_are_said_and_auto_does_without(tmp_path, car):
    with pytest.raises(WeightsError, match="no upscaler in"):
        Upscale("network", tmp_path)(Stream.of(car, 8.0))
    stream = Stream.of(car[:1], 8.0)
    assert Upscale("auto", tmp_path)(stream) is stream
    already_large = Stream.of(np.zeros((1, 180, 320, 3), np.uint8), 8.0)
    assert Upscale("auto")(already_large) is already_large
    large = Upscale("lanczos")(stream)
    assert (large.height, large.width) == large.frames().shape[1:3] == (256, 448)


# --- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, codec", [("a.mp4", "h264"), ("a.mp4", "h265"), ("a.webm", "vp9"), ("a.mp4", "av1"),
                                         ("a.mov", "prores"), ("a.webp", "webp"), ("a.gif", "gif"), ("a", "png")])
def test_every_kind_of_file_is_written_and_reads_back(name, codec, car, tmp_path):
    told = []
    done = encode.write(tmp_path / name, Stream.of(car[:4], 8.0), codec=codec, size=(90, 160),
                        poster=tmp_path / "poster.jpg", progress=lambda *p: told.append(p))
    assert (done.codec, done.count, done.height, done.width) == (codec, 4, 90, 160)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "poster.jpg"])
    assert [p[:2] for p in told] == [(k, 4) for k in (1, 2, 3, 4)] and told[-1][2] == 0
    if done.path.suffix in (".mp4", ".mov", ".webm"):
        text = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(done.path)],
                              capture_output=True, text=True, check=False).stderr
        assert CODECS[codec].name in text and "tv, bt709" in text and CODECS[codec].pixels in text
    if name == "a.mp4":
        data = done.path.read_bytes()
        assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_what_reads_back_wrong_is_said_and_leaves_nothing(car, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "_described", lambda path: ((90, 160), 12.0))
    with pytest.raises(OSError, match="does not read back as it was written"):
        encode.write(tmp_path / "a.mp4", Stream.of(car[:3], 8.0), size=(90, 160), poster=tmp_path / "poster.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, said", [
    ({"path": "a.avi"}, "path='a.avi' does not end in one of"),
    ({"path": "a.mp4", "codec": "divx"}, "codec='divx' is not one of h264"),
    ({"path": "a.webm", "codec": "h264"}, "does not fit codec='h264'"),
    ({"path": "a.mp4", "quality": 90}, "quality=90 does not fit; h264 takes a whole number from 0 to 51"),
])
def test_what_cannot_be_encoded_is_said(arguments, said, car, tmp_path):
    with pytest.raises(ValueError, match=re.escape(said)):
        encode.write(tmp_path / arguments.pop("path"), Stream.of(car, 8.0), **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_leaves_no_file(tmp_path, heeds_ctrl_c):
    code = ("import numpy as np; from sorakit.synthesis import encode; from sorakit.synthesis.stream import Stream\n"
            "frame = np.zeros((240, 320, 3), np.uint8)\n"
            "def frames():\n    for k in range(10**6):\n        if k == 5: print('at it', flush=True)\n"
            "        yield frame\n"
            "encode.write('film.mp4', Stream(frames, 10**6, 30.0, 240, 320))")
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE,
                             preexec_fn=heeds_ctrl_c, stderr=subprocess.DEVNULL,
                             env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert child.stdout.readline() == b"at it\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGINT)
    assert child.wait(20) != 0
    assert not list(tmp_path.iterdir())


# --- the recipe ------------------------------------------------------------------------------------


def test_parts_are_a_list_in_order_that_can_be_changed(car):
    recipe = Synthesis(fps=24, size=128, look="noir", stabilise=True, sharpen=0.3, denoise=0.2, colour=0.5,
                       enlarge="lanczos")
    assert [type(part).__name__ for part in recipe.parts] == \
        ["Denoise", "Stabilise", "AutoColour", "Upscale", "FrameRate", "Sharpen", "Look"]
    recipe.parts = [Look("noir"), lambda stream: stream.map(lambda frame: 255 - frame)]
    video = recipe(car, prompt="a car")
    assert (video.height, video.width, video.fps, video.prompt) == (128, 228, 8.0, "a car")
    assert set(recipe.costs) == {"look", "<lambda>", "resize"} and all(cost >= 0 for cost in recipe.costs.values())
    expected = Resize(128, 228)(Stream.of(np.stack([255 - named_look("noir")(f) for f in car]), 8.0)).frames()
    assert np.array_equal(video.frames, expected)


@pytest.mark.parametrize("size, aspect, expected", [
    ("480p", "16:9", (480, 854)), ("720p", "16:9", (720, 1280)), ("1080p", "16:9", (1080, 1920)),
    ("1440p", "16:9", (1440, 2560)), ("4K", "16:9", (2160, 3840)), ("1080p", "9:16", (1920, 1080)),
    ("4K", "9:16", (3840, 2160)), ("1080p", "1:1", (1080, 1080)), (None, "16:9", (432, 768)),
    ("1440p", "9:16", (2560, 1440)), ("480p", "21:9", (480, 1120)),
])
def test_sizes_are_of_the_short_side_in_the_films_aspect(size, aspect, expected):
    assert Synthesis(size=size).target(aspect) == expected
    assert Synthesis(size=size).target(aspect, 240)[0] == 240


def test_tensors_of_the_decoder_become_a_film_and_the_same_film_as_a_file(tmp_path):
    frames = torch.rand(1, 3, 3, 80, 144) * 2 - 1
    recipe = Synthesis(size=96, enlarge="lanczos")
    video = recipe(frames, aspect="16:9", prompt="noise")
    assert video.frames.shape == (3, 96, 170, 3) or video.frames.shape == (3, 96, 172, 3)
    done = recipe.write(tmp_path / "film", frames, aspect="16:9")
    assert (done.count, done.height, done.width) == video.frames.shape[:3]
    written = cv2.imread(str(tmp_path / "film" / "000001.png"))[..., ::-1]
    assert np.array_equal(written, video.frames[1])


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_recipes(name):
    height, width = Synthesis.preset(name).target()
    assert min(height, width) == SIZES[PRESETS[name]["size"]]
    assert (height > width) == (name == "social")


def test_memory_holds_a_few_frames_however_long_the_film_is():
    alive, most = [0], [0]

    class Frame(np.ndarray):
        def __del__(self):
            alive[0] -= 1

    def frames():
        for _ in range(30):
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield np.zeros((16, 24, 3), np.uint8).view(Frame)

    recipe = Synthesis(fps=24, look="warm", sharpen=0.2, denoise=0.3, enlarge="lanczos")
    stream = recipe.stream(Stream(frames, 30, 8.0, 16, 24), (64, 96))
    assert sum(1 for _ in stream) == 88
    assert most[0] <= 8


@pytest.mark.parametrize("make, said", [
    (lambda: Synthesis(size="900p"), "size='900p' does not fit; it takes 480p, 720p"),
    (lambda: Synthesis(fps=0.5), "fps=0.5 does not fit"),
    (lambda: Synthesis(look="sepia"), "look='sepia' is not one of natural, cinematic"),
    (lambda: Synthesis(sharpen=2), "amount=2 does not fit"),
    (lambda: Synthesis(aspect="5:1"), "aspect='5:1' is not a shape such as"),
    (lambda: Synthesis.preset("tv"), "preset='tv' is not one of web, cinema, social, classroom"),
    (lambda: Upscale("magic"), "method='magic' is not one of"),
    (lambda: Assembly(window=0), "window=0 does not fit"),
])
def test_what_does_not_fit_is_said(make, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        make()


def test_a_folder_that_holds_more_than_frames_is_left_alone(tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")
    frames = np.zeros((3, 48, 64, 3), np.uint8)
    with pytest.raises(IsADirectoryError, match="holds more than frames"):
        encode.write(folder, Stream.of(frames, 8.0))
    assert (folder / "thesis.txt").read_text() == "mine"
    for count in (3, 2):                                                # frames may be replaced by frames
        encode.write(tmp_path / "frames", Stream.of(frames[:count], 8.0))
        assert len(list((tmp_path / "frames").iterdir())) == count


@pytest.mark.parametrize("name", ["still.webp", "still.gif", "one.webp"])
def test_equal_frames_that_a_codec_merges_are_no_error(tmp_path, name):
    frames = np.full((1 if name == "one.webp" else 60, 48, 64, 3), 90, np.uint8)
    frames[len(frames) // 2:, :24] = 200
    assert encode.write(tmp_path / name, Stream.of(frames, 30.0)).count == len(frames)


def test_a_smooth_path_is_that_of_the_whole_system_of_equations():
    path = np.random.default_rng(0).normal(size=(40, 4)).cumsum(0)
    bend, stiffness = np.diff(np.eye(40), 2, axis=0), (12 / (2 * np.pi)) ** 4 * 16
    assert np.allclose(smooth(path, 12), np.linalg.solve(np.eye(40) + stiffness * bend.T @ bend, path), atol=1e-8)
    assert smooth(np.zeros((20_000, 4)), 12).shape == (20_000, 4)       # of ten minutes, in no more memory than it is


def test_a_loop_that_stops_and_goes_is_evened_and_one_that_does_not_stays_as_it_is():
    y, x = np.mgrid[:90, :160]

    def ball(degrees):                                                                      # goes round in a circle
        far = np.hypot(x - 80 - 25 * np.cos(np.radians(degrees)), y - 45 - 25 * np.sin(np.radians(degrees)))
        return (60 + 170 * np.clip((18 - far) / 6, 0, 1)).astype(np.uint8)[..., None].repeat(3, -1)

    def steps(ring):                                                                        # of its centre, in pixels
        weight = ring[..., 0].astype(float) - 60
        centre = np.stack([(weight * axis).sum((1, 2)) / weight.sum((1, 2)) for axis in (x, y)], 1)
        return np.linalg.norm(np.roll(centre, -1, 0) - centre, axis=1)

    even = np.stack([ball(22.5 * k) for k in range(16)])
    assert np.array_equal(evened(even), even)
    halting = np.stack([ball(45 * (k // 2) + 12 * (k % 2)) for k in range(16)])             # by 12 and by 33 degrees
    before, after = steps(halting), steps(evened(halting))
    assert before[1::2].mean() > 2.5 * before[::2].mean()
    assert 0.75 < after[1::2].mean() / after[::2].mean() < 1.3
    with pytest.raises(ValueError, match="together=3 does not fit 16 frames"):
        evened(halting, 3)
