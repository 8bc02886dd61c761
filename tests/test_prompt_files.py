"""Any file that a person may drop: read upright and small, or refused with the reason."""

import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from sorakit.prompt.files import MAX_SIDE, open_film, read_film, read_image, stream_frames
from sorakit.types import Video
from sorakit.videofile import find_ffmpeg


def ffmpeg(*arguments):
    subprocess.run([find_ffmpeg(), "-y", "-v", "error", *map(str, arguments)], check=True)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two seconds, 96 x 64, red on the left and blue on the right."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    frames = np.zeros((16, 64, 96, 3), np.uint8)
    frames[:, :, :48, 0], frames[:, :, 48:, 2] = 230, 230
    return Video(frames, 8.0).save(path)


def test_exif_rotation_alpha_and_16_bits(tmp_path):
    picture = Image.new("RGB", (40, 20), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (40, 20, 3)
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_image(tmp_path / "clear.png") == 255).all()
    Image.fromarray(np.full((8, 8), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert abs(int(read_image(tmp_path / "deep.png").mean()) - 128) <= 1
    Image.new("L", (1, 1), 77).save(tmp_path / "dot.png")
    assert read_image(tmp_path / "dot.png").tolist() == [[[77, 77, 77]]]


def test_large_pictures_are_reduced_and_turned(tmp_path):
    picture = Image.new("RGB", (6000, 3000), "blue")
    exif = picture.getexif()
    exif[0x0112] = 8
    picture.save(tmp_path / "large.jpg", exif=exif)
    assert read_image(tmp_path / "large.jpg").shape == (MAX_SIDE, MAX_SIDE // 2, 3)


def test_a_decompression_bomb_is_refused_unread(tmp_path):
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    with pytest.raises(ValueError, match="image=.*megapixels"):
        read_image(tmp_path / "bomb.png")


@pytest.mark.parametrize("data, why", [(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"), (b"hello", "not a picture"),
                                       (b"", "not a picture")])
def test_what_is_no_picture_is_refused_with_the_reason(tmp_path, data, why):
    (tmp_path / "file.jpg").write_bytes(data)
    with pytest.raises(ValueError, match=f"image=.*{why}"):
        read_image(tmp_path / "file.jpg")


def test_a_cut_off_picture_is_refused(tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:4000])
    with pytest.raises(ValueError, match="image=.*damaged or cut off"):
        read_image(tmp_path / "b.png")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".mov"])
def test_films_of_every_kind_are_read(film, tmp_path, suffix):
    path = film if suffix == ".mp4" else tmp_path / f"film{suffix}"
    if suffix != ".mp4":
        ffmpeg("-i", film, path)
    video, size = read_film(path)
    assert size == (64, 96) and video.fps == pytest.approx(8, abs=0.5) and video.seconds == pytest.approx(2, abs=0.3)
    assert video.frames[5, 32, 10, 0] > 150 and video.frames[5, 32, 85, 2] > 150


def test_a_turned_film_comes_upright(film, tmp_path):
    ffmpeg("-display_rotation", 90, "-i", film, "-c", "copy", tmp_path / "turned.mp4")
    video, size = read_film(tmp_path / "turned.mp4")
    assert size == (96, 64) and video.frames.shape[1:3] == (96, 64)


def test_a_varying_frame_rate_is_evened_out(film, tmp_path):
    ffmpeg("-i", film, "-vf", "select='lt(n,8)+not(mod(n,3))'", "-fps_mode", "vfr", tmp_path / "vfr.mp4")
    video, _ = read_film(tmp_path / "vfr.mp4")
    assert video.seconds == pytest.approx(2, abs=0.5)


def test_large_films_are_streamed_small(tmp_path):
    ffmpeg("-f", "lavfi", "-i", "color=red:s=1920x1080:r=30:d=1", tmp_path / "large.mp4")
    frames = list(stream_frames(open_film(tmp_path / "large.mp4"), side=64))
    assert frames[0].shape == (36, 64, 3) and 10 <= len(frames) <= 13


def test_what_is_no_film_is_refused_with_the_reason(film, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", tmp_path / "sound.mp4")
    with pytest.raises(ValueError, match="video=.*no moving picture"):
        read_film(tmp_path / "sound.mp4")
    (tmp_path / "cut.mp4").write_bytes(film.read_bytes()[:300])
    (tmp_path / "text.mp4").write_text("hello")
    for name in ("cut.mp4", "text.mp4"):
        with pytest.raises(ValueError, match="^video="):
            read_film(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="video="):
        read_film(tmp_path / "none.mp4")
    with pytest.raises(ValueError, match="video=.*folder"):
        read_film(tmp_path)
    with pytest.raises(ValueError, match="video is of type int"):
        read_film(7)
