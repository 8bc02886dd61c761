"""What a file says of itself, and whether it can be believed."""

import json
import stat

import numpy as np
import pytest

from sorakit.safety.provenance import Authority, sign, verify
from sorakit.types import Video


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.local(tmp_path_factory.mktemp("home"))


@pytest.fixture
def film(tmp_path):
    def make(suffix=".mp4"):
        frames = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3)).astype(np.uint8)
        return Video(frames, 8.0).save(tmp_path / f"film{suffix}")
    return make


def signed(path, authority, **options):
    return sign(path, model="nano", seed=7, prompt="a black cat", authority=authority, **options)


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_signed_film_says_what_made_it_and_is_trusted_by_its_own_authority(film, authority, suffix):
    found = verify(signed(film(suffix), authority, watermark=0xABC, weights="f00"), authority=authority)
    assert (found.signed, found.changed, found.trusted) == (True, False, True)
    assert found.actions == ("created",) and found.tool == "sorakit" and "local signer" in found.signer
    assert found.generation["model"] == "nano" and found.generation["seed"] == "7"
    assert found.generation["watermark"] == "0000000000000abc" and found.generation["weights sha256"] == "f00"
    assert "prompt" not in found.generation and len(found.generation["prompt sha256"]) == 64
    assert "not changed since" in str(found) and json.loads(found.json())["trusted"] is True


def test_the_prompt_is_written_only_when_asked(film, authority):
    found = verify(signed(film(), authority, keep_prompt=True), authority=authority)
    assert found.generation["prompt"] == "a black cat"


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_one_flipped_bit_is_noticed(film, authority, suffix):
    path = film(suffix)
    size = path.stat().st_size
    data = bytearray(signed(path, authority).read_bytes())
    where = len(data) - size // 3                                      # in the pictures, which come last
    data[where] ^= 1
    path.write_bytes(data)
    found = verify(path, authority=authority)
    assert found.changed and found.problems and "do not rely" in str(found)


def test_another_authority_is_valid_but_not_trusted(film, authority, tmp_path):
    other = Authority.local(tmp_path / "other")
    found = verify(signed(film(), other), authority=authority)
    assert (found.changed, found.trusted) == (False, False) and "no reason to trust" in str(found)


def test_a_film_without_a_manifest_says_so(film, authority):
    found = verify(film(), authority=authority)
    assert not found.signed and found.changed is None and "no signed provenance" in str(found)


def test_an_edited_film_names_what_it_was_made_from(film, authority, tmp_path):
    first = signed(film(), authority)
    second = Video(np.zeros((3, 64, 64, 3), np.uint8), 8.0).save(tmp_path / "edited.mp4")
    found = verify(signed(second, authority, made_from=(first,), action="c2pa.edited"), authority=authority)
    assert not found.changed and found.ingredients == ("film.mp4",) and "edited" in found.actions


def test_keys_are_for_their_owner_only_and_are_kept(authority):
    for name in ("authority.key", "signer.key"):
        assert stat.S_IMODE((authority.folder / name).stat().st_mode) == 0o600
    assert Authority.local(authority.folder.parent).certificate == authority.certificate


def test_a_webm_cannot_be_signed_and_a_missing_file_is_said(film, authority, tmp_path):
    with pytest.raises(ValueError, match=r"\.mp4, \.gif"):
        signed(tmp_path / "film.webm", authority)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        verify(tmp_path / "nowhere.mp4", authority=authority)
