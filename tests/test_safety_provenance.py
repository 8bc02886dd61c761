"""What a file says of itself, and whether it can be believed."""

import json
import stat

import numpy as np
import pytest

from sorakit.provenance import SIGNABLE, Authority, Origin, beside, path_of, sign, verify
from sorakit.types import Video
from sorakit.videofile import SUFFIXES

ORIGIN = Origin("nano", 7, "ab" * 32, weights="f00", watermark=0xABC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.local(tmp_path_factory.mktemp("home"))


@pytest.fixture
def film(tmp_path):
    def make(suffix=".mp4"):
        frames = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3)).astype(np.uint8)
        return Video(frames, 8.0).save(tmp_path / f"film{suffix}")
    return make


@pytest.mark.parametrize("suffix", SIGNABLE)
def test_a_signed_film_says_what_made_it_and_is_trusted_by_its_own_authority(film, authority, suffix):
    path = sign(film(suffix), ORIGIN, authority=authority)
    found = verify(path, authority=authority)
    assert (found.signed, found.changed, found.trusted) == (True, False, True)
    assert found.actions == ("created",) and found.tool == "sorakit" and "local signer" in found.signer
    assert found.generation == {"model": "nano", "seed": "7", "prompt sha256": "ab" * 32, "weights sha256": "f00",
                                "watermark": "0000000000000abc"}
    assert "not changed since" in str(found) and json.loads(found.json())["trusted"] is True
    assert beside(path).exists() == (suffix == ".webm")


def test_the_prompt_is_written_only_where_the_origin_has_it(film, authority):
    found = verify(sign(film(), Origin("nano", 7, "ab" * 32, "a black cat"), authority=authority), authority=authority)
    assert found.generation["prompt"] == "a black cat"


@pytest.mark.parametrize("suffix", SIGNABLE)
def test_one_flipped_bit_is_noticed(film, authority, suffix):
    path = film(suffix)
    size = path.stat().st_size
    data = bytearray(sign(path, ORIGIN, authority=authority).read_bytes())
    where = len(data) - size // 3                                      # in the pictures, which come last
    data[where] ^= 1
    path.write_bytes(data)
    found = verify(path, authority=authority)
    assert found.changed and found.problems and "do not rely" in str(found)


def test_another_authority_is_valid_but_trusted_only_when_its_certificate_is_given(film, authority, tmp_path):
    other = Authority.local(tmp_path / "other")
    path = sign(film(), ORIGIN, authority=other)
    found = verify(path, authority=authority)
    assert (found.changed, found.trusted) == (False, False) and "no reason to trust" in str(found)
    assert verify(path, authority=authority, trust=[other.folder / "authority.pem"]).trusted
    for given in (path, film()):
        with pytest.raises(ValueError, match="trust=.*no.pem.* is no certificate"):
            (tmp_path / "no.pem").write_text("no certificate")
            verify(given, authority=authority, trust=[tmp_path / "no.pem"])


def test_signing_again_by_another_keeps_no_trust(film, authority, tmp_path):
    path = sign(sign(film(), ORIGIN, authority=authority), ORIGIN, authority=Authority.local(tmp_path / "other"))
    found = verify(path, authority=authority)
    assert found.signed and not found.trusted


def test_a_film_without_a_manifest_says_so(film, authority):
    found = verify(film(), authority=authority)
    assert not found.signed and found.changed is None and "no signed provenance" in str(found)


def test_an_edited_film_names_what_it_was_made_from(film, authority, tmp_path):
    first = sign(film(), ORIGIN, authority=authority)
    second = Video(np.zeros((3, 64, 64, 3), np.uint8), 8.0).save(tmp_path / "edited.mp4")
    edited = Origin("nano", 7, "ab" * 32, actions=("c2pa.edited",), made_from=(str(first),))
    found = verify(sign(second, edited, authority=authority), authority=authority)
    assert not found.changed and found.ingredients == ("film.mp4",) and "edited" in found.actions
    first.unlink()
    with pytest.raises(FileNotFoundError, match="which is gone"):
        sign(second, edited, authority=authority)
    with pytest.raises(ValueError, match="made_from="):
        sign(second, Origin("nano", 7, "ab" * 32, actions=("c2pa.edited",)), authority=authority)


@pytest.mark.parametrize("name", ["film.webm", "film.mkv", "film.avi", "film", "named_wrongly.png"])
def test_a_file_of_any_kind_is_named_as_what_a_film_was_made_from(film, authority, tmp_path, name):
    source = film(".webm").rename(tmp_path / name)
    made = Video(np.zeros((3, 64, 64, 3), np.uint8), 8.0).save(tmp_path / "edited.mp4")
    edited = Origin("nano", 7, "ab" * 32, actions=("c2pa.edited",), made_from=path_of(source))
    found = verify(sign(made, edited, authority=authority), authority=authority)
    assert not found.changed and found.ingredients == (name,) and "edited" in found.actions


def test_keys_are_for_their_owner_only_and_are_kept(authority):
    for name in ("authority.key", "signer.key"):
        assert stat.S_IMODE((authority.folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    assert Authority.local(authority.folder.parent).certificate == authority.certificate


def test_looking_makes_no_keys_and_a_folder_that_takes_none_is_said(film, tmp_path, monkeypatch):
    monkeypatch.setenv("SORAKIT_HOME", str(tmp_path / "none"))
    assert not verify(film()).signed and Authority.existing() is None and not (tmp_path / "none").exists()
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SORAKIT_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="SORAKIT_HOME"):
        sign(film(), ORIGIN)


def test_every_kind_of_film_that_can_be_written_can_be_signed():
    assert set(SUFFIXES) == set(SIGNABLE)


def test_what_cannot_be_signed_and_a_missing_file_are_said(authority, tmp_path):
    with pytest.raises(ValueError, match=r"\.mp4, \.mov, \.webp, \.gif, \.webm"):
        sign(tmp_path / "film.avi", ORIGIN, authority=authority)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        verify(tmp_path / "nowhere.mp4", authority=authority)
