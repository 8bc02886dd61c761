"""The mark that cannot be seen: it can be read again, after what happens to films, and is not found where it is not."""

import cv2
import numpy as np
import pytest

from sorakit.safety import watermark
from sorakit.safety.watermark import SURE, Detection, amplified, detect, embed
from sorakit.types import Video

PAYLOAD = 0x0123456789ABCDEF


@pytest.fixture(scope="module")
def plain():
    """Four frames of smooth hills and a moving ball."""
    rng = np.random.default_rng(0)
    coarse = cv2.resize(rng.uniform(60, 190, (5, 8, 3)).astype(np.float32), (768, 432), interpolation=cv2.INTER_CUBIC)
    coarse += rng.normal(0, 3, coarse.shape)
    frames = np.repeat(np.clip(coarse, 0, 255).astype(np.uint8)[None], 4, axis=0)
    for k, frame in enumerate(frames):
        cv2.circle(frame, (200 + 60 * k, 250), 50, (230, 60, 40), -1)
    return frames


@pytest.fixture(scope="module")
def marked(plain):
    return embed(plain, PAYLOAD)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.square(a.astype(float) - b).mean())


def test_the_payload_is_read_and_the_mark_is_faint(plain, marked):
    found = detect(marked, thorough=False)
    assert found.found and found.payload == PAYLOAD and found.p_value <= SURE and "0123456789abcdef" in str(found)
    assert psnr(marked, plain) >= 42


def test_nothing_is_found_without_a_mark_or_with_another_key(plain, marked):
    for frames, key in ((plain, watermark.PUBLIC_KEY), (marked, b"another key")):
        found = detect(frames, key, thorough=False)
        assert not found.found and found.payload is None and found.p_value > 1e-4


def each(change, frames):
    return np.stack([change(frame) for frame in frames])


def jpeg(frame):
    coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1]            # OpenCV has BGR
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("change", [
    lambda f: f[1:3],
    lambda f: f[:, :, ::-1],
    lambda f: each(lambda x: cv2.resize(x, (384, 216), interpolation=cv2.INTER_AREA), f),
    lambda f: each(jpeg, f),
    lambda f: np.clip(f * 0.8 + 20, 0, 255).astype(np.uint8),
    lambda f: each(lambda x: cv2.GaussianBlur(x, (0, 0), 1.5), f),
    lambda f: np.clip(f + np.random.default_rng(1).normal(0, 8, f.shape), 0, 255).astype(np.uint8),
], ids=["trimmed", "flipped", "half the size", "JPEG", "darker", "blurred", "noise"])
def test_the_payload_survives(marked, change):
    assert detect(change(marked), thorough=False).payload == PAYLOAD


def test_a_cropped_film_is_searched_for_the_tiles_size(marked):
    found = detect(np.ascontiguousarray(marked[:2, 60:60 + 324, 90:90 + 576]))
    assert found.payload == PAYLOAD and found.scale == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("size", [(432, 432), (768, 432), (240, 426)])
def test_other_shapes_and_sizes_carry_it_too(size):
    frames = np.random.default_rng(2).normal(128, 6, (2, *size, 3)).clip(0, 255).astype(np.uint8)
    assert detect(embed(frames, 5), thorough=False).payload == 5


def heard(payload, loud, noise):
    """Waves that sound like a payload's code in noise."""
    soft = loud * (2 * watermark._coded(payload) - 1) + noise
    return watermark._patterns(watermark.PUBLIC_KEY)[1:].T @ soft


def test_a_damaged_code_is_mended_and_said():
    noise = np.zeros(watermark.CODED)
    noise[[3, 40, 90]] = -1.1 * (2 * watermark._coded(PAYLOAD)[[3, 40, 90]] - 1)
    assert watermark._read(heard(PAYLOAD, 1, noise), (0, 0), watermark.PUBLIC_KEY) == (PAYLOAD, 3)


def test_a_loud_noise_is_decoded_and_mere_noise_is_no_payload():
    noise = np.random.default_rng(4).standard_normal((20, watermark.CODED))
    read = [watermark._read(heard(PAYLOAD, 1.6, row), (0, 0), watermark.PUBLIC_KEY)[0] for row in noise]
    assert read.count(PAYLOAD) >= 19
    assert not any(watermark._read(heard(0, 0, row), (0, 0), watermark.PUBLIC_KEY)[0] for row in noise)


def test_payloads_of_one_or_two_bits_have_codes_far_from_0_and_from_each_other():
    code = watermark._code()
    pairs = (code[:, None] ^ code).sum(-1)[np.triu_indices(len(code), 1)]
    assert min(code.sum(1).min(), pairs.min()) >= 16


@pytest.mark.parametrize("payload", [-1, 2**64])
def test_a_payload_that_does_not_fit_is_said(plain, payload):
    with pytest.raises(ValueError, match="payload="):
        embed(plain, payload)


def test_the_mark_can_be_made_visible_on_grey(plain, marked):
    shown = amplified(marked, plain)
    assert shown.std() > 15 and abs(shown.mean() - 128) < 3
    assert isinstance(Video(shown, 8.0), Video) and "no watermark" in str(Detection(False, 1, None, 1, 0, False, 0, 1))
