"""Films as values and as files: what is written is read back and compared."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import time

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from sorakit import videofile
from sorakit.types import Video


@pytest.fixture
def video():
    """2.125 s of a red square that moves right over a blue to green gradient."""
    frames = np.zeros((17, 90, 160, 3), np.uint8)
    frames[..., 2] = np.linspace(60, 200, 160)
    frames[..., 1] = np.linspace(200, 60, 90)[:, None]
    for k, frame in enumerate(frames):
        frame[30:60, 8 * k:8 * k + 30] = (220, 30, 30)
    return Video(frames, 8.0, "a red square", metadata={"title": "a red square", "comment": "AI-generated, seed 7"})


def read(path):
    """What imageio-ffmpeg makes of a file: its metadata and its frames."""
    reader = imageio_ffmpeg.read_frames(str(path))
    meta = next(reader)
    width, height = meta["size"]
    return meta, np.stack([np.frombuffer(data, np.uint8).reshape(height, width, 3) for data in reader])


def described(path):
    """ffmpeg's own description of a file."""
    return subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)], capture_output=True,
                          text=True, check=False).stderr


@pytest.mark.parametrize("suffix, asked, codec, pixels", [
    (".mp4", None, "h264", "yuv420p"), (".webm", None, "vp9", "yuv420p"), (".mov", None, "prores", "yuv422p10le"),
    (".mp4", "h265", "hevc", "yuv420p"), (".mp4", "av1", "av1", "yuv420p"), (".webm", "av1", "av1", "yuv420p")])
def test_a_saved_film_has_the_same_frames_rate_and_size(video, tmp_path, suffix, asked, codec, pixels):
    meta, frames = read(video.save(tmp_path / f"film{suffix}", asked))
    assert (meta["codec"], meta["fps"], meta["size"]) == (codec, 8.0, (160, 90))
    assert meta["pix_fmt"].startswith(pixels)
    assert frames.shape == video.frames.shape
    assert np.abs(frames.astype(float) - video.frames).mean() < 5


def test_a_webp_has_the_same_frames_and_rate(video, tmp_path):
    with Image.open(video.save(tmp_path / "film.webp")) as webp:
        assert (webp.n_frames, webp.size, webp.info["loop"]) == (17, (160, 90), 0)
        webp.seek(16)
        assert np.abs(np.array(webp.convert("RGB")).astype(float) - video.frames[16]).mean() < 5
        assert webp.info["duration"] == 125


def test_a_codec_that_does_not_go_into_the_file_is_said(video, tmp_path):
    with pytest.raises(ValueError, match=re.escape("path='film.webm' does not fit codec='h265', which goes into .mp4")):
        video.save(tmp_path / "film.webm", "h265")
    assert not list(tmp_path.iterdir())


def test_a_gif_has_the_same_frames_and_rate(video, tmp_path):
    with Image.open(video.save(tmp_path / "film.gif")) as gif:
        assert (gif.n_frames, gif.size) == (17, (160, 90))
        duration, frames = 0, []
        for k in range(17):
            gif.seek(k)
            duration += gif.info["duration"]
            frames.append(np.array(gif.convert("RGB")))
        assert duration == pytest.approx(2125, abs=10)
        assert np.abs(np.stack(frames).astype(float) - video.frames).mean() < 6
        assert gif.info["loop"] == 0


def test_an_mp4_says_that_it_is_bt709_and_has_its_index_in_front(video, tmp_path):
    path = video.save(tmp_path / "film.mp4")
    assert "yuv420p(tv, bt709, progressive)" in described(path)
    data = path.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_colours_survive_the_way_through_bt709(tmp_path):
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [20, 20, 20], [255, 160, 60]], np.uint8)
    frame = colours.repeat(32, 0)[None].repeat(32, 0)                                           # 32 x 192
    path = Video(frame[None].repeat(4, 0), 8.0).save(tmp_path / "bars.mp4")
    decoded = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-vf",
                              "scale=in_color_matrix=bt709:in_range=tv", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                             capture_output=True, check=True).stdout
    seen = np.frombuffer(decoded, np.uint8).reshape(4, 32, 192, 3)[2, 16, 16::32]
    assert np.abs(seen.astype(int) - colours).max() <= 6


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_file_carries_title_and_comment(video, tmp_path, suffix):
    text = described(video.save(tmp_path / f"film{suffix}"))
    assert "a red square" in text and "AI-generated, seed 7" in text


def test_odd_sizes_are_saved_with_the_edge_repeated(video, tmp_path):
    meta, frames = read(Video(video.frames[:, :89, :159], 8.0).save(tmp_path / "odd.mp4"))
    assert meta["size"] == (160, 90)
    assert np.abs(frames[:, 89].astype(float) - frames[:, 88]).mean() < 3


def test_saving_makes_missing_folders_replaces_and_leaves_nothing_else(video, tmp_path):
    path = tmp_path / "a" / "b" / "film.mp4"
    path.parent.mkdir(parents=True)
    path.write_text("old")
    video.save(path)
    video.save(tmp_path / "c" / "film.mp4")
    assert path.stat().st_size > 1000
    assert [p.name for p in path.parent.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("make_path, error, said", [
    (lambda tmp: tmp / "film.avi", ValueError, "does not end in one of .mp4, .mov, .webm, .webp, .gif"),
    (lambda tmp: tmp / "film", ValueError, "does not end in one of"),
    (lambda tmp: "/proc/film.mp4", OSError, "cannot be written"),
    (lambda tmp: tmp / "file" / "film.mp4", OSError, "cannot be written"),
    (lambda tmp: tmp / "folder.mp4", IsADirectoryError, "is a folder"),
])
def test_a_path_that_cannot_be_written_is_said_before_anything_is(video, tmp_path, make_path, error, said):
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder.mp4").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for attempt in (video.save, videofile.check_path):
        with pytest.raises(error, match=re.escape(said)):
            attempt(make_path(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("ffmpeg", ["/nonexistent/ffmpeg", "/bin/false"])
def test_no_ffmpeg_is_said_and_leaves_nothing(video, tmp_path, monkeypatch, ffmpeg):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", ffmpeg)
    with pytest.raises(FileNotFoundError, match="pip install imageio-ffmpeg"):
        video.save(tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


def test_a_failing_ffmpeg_is_quoted_and_leaves_nothing(video, tmp_path, monkeypatch):
    broken = dataclasses.replace(videofile.CODECS["h264"], options=("-c:v", "no_such_codec"))
    monkeypatch.setitem(videofile.CODECS, "h264", broken)
    with pytest.raises(OSError, match="no_such_codec"):
        video.save(tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_while_saving_leaves_nothing(tmp_path, heeds_ctrl_c):
    code = ("import numpy as np; from sorakit.types import Video\n"
            "frames = np.random.default_rng(0).integers(0, 255, (300, 480, 640, 3), np.uint8)\n"
            "print('saving', flush=True); Video(frames, 8.0).save('film.mp4')")
    child = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE,
                             preexec_fn=heeds_ctrl_c, stderr=subprocess.DEVNULL,
                             env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert child.stdout.readline() == b"saving\n"
    deadline = time.monotonic() + 30
    while not any(p.stat().st_size for p in tmp_path.iterdir()):          # ffmpeg is at work
        assert child.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    assert child.wait(10) != 0
    assert not list(tmp_path.iterdir())


def test_slices_are_in_seconds(video):
    part = video[0.5:1.5]
    assert np.array_equal(part.frames, video.frames[4:12])
    assert (part.seconds, part.fps, part.prompt, part.metadata) == (1.0, 8.0, video.prompt, video.metadata)
    assert np.array_equal(video[-1:].frames, video.frames[-8:])
    assert np.array_equal(video[:].frames, video.frames)


def test_what_is_no_slice_of_seconds_is_said(video, unchecked):
    with pytest.raises(ValueError, match="no frame lies between 3 and 4 s: the film is 2.125 s long"):
        video[3:4]
    with pytest.raises(ValueError, match="no frame lies between"):
        video[-0.05:]                                                   # less than half a frame, not the whole film
    for index in (1, 0.5, slice(0, 1, 2)):
        with pytest.raises(TypeError, match=re.escape("video[0.5:1.5]")):
            video[index]


def test_size_and_length_are_in_pixels_and_seconds(video):
    assert (video.height, video.width, video.seconds) == (90, 160, 2.125)
    assert repr(video) == "Video(17 frames of 90 x 160, 8 a second, 'a red square')"


@pytest.mark.parametrize("frames, fps, said", [
    (np.zeros((2, 4, 4, 3), np.float32), 8.0, "frames is a float32 array; a Video takes a uint8 array (t, h, w, 3)"),
    (np.zeros((4, 4, 3), np.uint8), 8.0, "frames has shape (4, 4, 3)"),
    (np.zeros((0, 4, 4, 3), np.uint8), 8.0, "at least one frame"),
    (np.zeros((1, 4, 4, 3), np.uint8), 0.0, "fps=0.0 is not a positive number"),
    (np.zeros((1, 4, 4, 3), np.uint8), float("nan"), "fps=nan"),
])
def test_what_is_no_film_is_said(frames, fps, said, unchecked):
    with pytest.raises(ValueError, match=re.escape(said)):
        Video(frames, fps)


def test_a_contact_sheet_shows_frames_from_first_to_last(video):
    sheet = video.contact_sheet(n=4, tile=90)                                    # tiles of the film's own size
    assert sheet.dtype == np.uint8 and sheet.shape == (90, 4 * 160 + 3 * 4, 3)
    for k, frame in enumerate((0, 5, 11, 16)):
        assert np.array_equal(sheet[:, 164 * k:164 * k + 160], video.frames[frame])
    assert (sheet[:, 160:164] == 255).all()


def test_a_contact_sheet_has_two_rows_of_wide_frames_one_of_tall_and_never_more_frames_than_the_film(video):
    assert video.contact_sheet(n=8, tile=90).shape == (2 * 90 + 4, 4 * 160 + 3 * 4, 3)
    tall = Video(np.ascontiguousarray(video.frames.transpose(0, 2, 1, 3)), 8.0)
    assert tall.contact_sheet(n=8, tile=160).shape == (160, 8 * 90 + 7 * 4, 3)
    assert video[:0.25].contact_sheet(n=8, tile=90).shape == (90, 2 * 160 + 4, 3)
    with pytest.raises(ValueError, match="n=0"):
        video.contact_sheet(0)


def test_a_film_in_a_notebook_is_a_player_and_a_picture(video):
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output

    from sorakit.views import register

    shell = InteractiveShell.instance()
    register(shell)
    try:
        with capture_output() as shown:
            shell.display_formatter.format(video)
    finally:
        InteractiveShell.clear_instance()
    player, sheet = (output.data for output in shown.outputs)
    assert '<video controls width="160" height="90"' in player["text/html"]
    assert "data:video/mp4;base64," in player["text/html"]
    assert sheet["image/png"].startswith("iVBOR")                                # PNG, in base64
    assert player["text/plain"] == sheet["text/plain"] == repr(video)
