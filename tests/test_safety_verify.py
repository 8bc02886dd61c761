"""A released film from the pipeline's last line to its file and back, and what is said after somebody was at it."""

import hashlib
import json
import subprocess
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from sorakit.cli import app
from sorakit.safety.policy import Consent, Policy, picture_hash
from sorakit.safety.safety import LIKENESS, Refused, Safety
from sorakit.safety.verify import Payload, verify
from sorakit.types import Brief, Verdict, Video

PROMPT, WEIGHTS = "a black cat", "1c2d" + "0" * 60


def plain(prompt=PROMPT, seed=0):
    """Two seconds of smooth hills."""
    coarse = np.random.default_rng(seed).uniform(60, 190, (5, 8, 3)).astype(np.float32)
    hills = cv2.resize(coarse, (384, 216), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    return Video(np.stack([np.roll(hills, 2 * k, 1) for k in range(9)]), 8.0, prompt)


@pytest.fixture(scope="module")
def safety():
    return Safety(weights=WEIGHTS)


@pytest.fixture(scope="module")
def film(safety):
    return safety.release(plain(), model="nano", seed=7)


@pytest.fixture(scope="module")
def saved(film, tmp_path_factory):
    return film.save(tmp_path_factory.mktemp("films") / "film.mp4")


def test_a_payload_is_read_as_it_was_written():
    payload = Payload.of(WEIGHTS, 2**40 + 7, "abcdef" + "0" * 58)
    assert payload == Payload("1c2d", 7, "abcdef") == Payload.read(payload.number) and payload.number < 2**64


def test_a_release_is_the_same_each_time_and_another_seed_is_another_mark(safety, film):
    again, other = (safety.release(plain(), model="nano", seed=seed) for seed in (7, 8))
    assert np.array_equal(film.frames, again.frames) and film.origin == again.origin
    assert not np.array_equal(film.frames, other.frames) and film.origin.watermark != other.origin.watermark


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_a_saved_film_is_signed_and_its_watermark_names_the_same_film(film, tmp_path, suffix):
    found = verify(film.save(tmp_path / f"film{suffix}"))
    assert found.genuine and found.agree and found.provenance.trusted
    assert found.payload == Payload.of(WEIGHTS, 7, film.origin.prompt_sha256)
    assert found.provenance.generation["prompt"] == PROMPT
    assert "it says that it is AI-generated" in str(found)


def test_a_part_says_that_it_was_trimmed(film, tmp_path):
    found = verify(film[0.25:0.75].save(tmp_path / "part.mp4"))
    assert found.genuine and found.provenance.actions == ("created", "trimmed")


def test_without_its_manifest_a_film_still_says_who_made_it(saved, tmp_path):
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(saved), "-c", "copy",
                    str(tmp_path / "bare.mp4")], check=True)
    found = verify(tmp_path / "bare.mp4")
    assert not found.genuine and not found.provenance.signed and found.agree is None
    assert found.payload.seed == 7 and "The signature is gone" in str(found)


def test_a_changed_byte_is_said(saved, tmp_path):
    data = bytearray(saved.read_bytes())
    data[-2000] ^= 1
    (tmp_path / "film.mp4").write_bytes(data)
    found = verify(tmp_path / "film.mp4")
    assert not found.genuine and "was changed" in found.verdict


def test_a_signed_film_that_nothing_can_be_read_from_any_more_is_said_to_be_changed(saved, tmp_path):
    data = bytearray(saved.read_bytes())
    at = data.rfind(b"mdat") + 4
    data[at:] = bytes(len(data) - at)
    (tmp_path / "film.mp4").write_bytes(data)
    found = verify(tmp_path / "film.mp4")
    assert not found.genuine and not found.watermark.found and "was changed" in found.verdict


def test_a_signature_on_another_films_pixels_is_said(safety, film, tmp_path):
    from dataclasses import replace

    other = safety.release(plain("a red car", 1), model="nano", seed=8)
    found = verify(replace(other, origin=film.origin).save(tmp_path / "mixed.mp4"))
    assert found.agree is False and not found.genuine and "another film" in found.verdict


def test_a_film_of_nobody_is_nobodys(tmp_path):
    found = verify(plain().save(tmp_path / "plain.mp4"))
    assert not found.genuine and found.payload is None and "does not make it real" in str(found)
    (tmp_path / "text.mp4").write_text("no film")
    with pytest.raises(ValueError, match="no film"):
        verify(tmp_path / "text.mp4")


def test_an_unreleased_webm_takes_away_the_manifest_of_the_film_that_was_there(film, tmp_path):
    film.save(tmp_path / "film.webm")
    plain().save(tmp_path / "film.webm")
    assert [path.name for path in tmp_path.iterdir()] == ["film.webm"]


def test_the_command_line_says_it_in_words_and_as_json_and_by_its_exit_code(saved, tmp_path):
    said = CliRunner().invoke(app, ["verify", str(saved)])
    assert said.exit_code == 0 and "as it was signed" in said.stdout and "seed 7" in said.stdout
    told = json.loads(CliRunner().invoke(app, ["verify", str(saved), "--json"]).stdout)
    assert told["genuine"] and told["provenance"]["trusted"] and told["watermark"]["says"]["seed"] == 7
    bare = plain().save(tmp_path / "plain.mp4")
    assert CliRunner().invoke(app, ["verify", str(bare)]).exit_code == 1
    nothing = CliRunner().invoke(app, ["verify", str(tmp_path / "none.mp4")])
    assert nothing.exit_code == 2 and "is no file" in nothing.stderr


def test_the_pipelines_films_are_signed_and_screened_to_the_end(tiny_weights, tmp_path):
    from sorakit.pipeline import digest_of, load
    from sorakit.weights import load_weights

    audit = tmp_path / "audit.jsonl"
    pipe = load(tiny_weights, "cpu", policy="strict", audit=audit)
    path = pipe(PROMPT, seconds=0.5, steps=1, height=144, seed=3).save(tmp_path / "cat.mp4")
    found = verify(path)
    assert found.genuine and found.provenance.generation["weights sha256"] == digest_of(load_weights(tiny_weights).card)
    assert "prompt" not in found.provenance.generation and PROMPT.encode() not in path.read_bytes()
    assert json.loads(audit.read_text())["decision"] == "allow" and PROMPT not in audit.read_text()


def test_the_command_line_keeps_to_a_policy_that_ships_and_writes_its_audit(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ask = lambda *more: CliRunner().invoke(app, ["generate", "Tom Cruise runs", "--weights", str(tiny_weights), *more,
                                                 "--device", "cpu", "--steps", "1", "--seconds", "0.5"])
    refused, log = ask("--policy", "strict", "--audit", "log.jsonl"), tmp_path / "log.jsonl"
    assert refused.exit_code == 2 and "real people" in refused.stderr and "Tom" not in log.read_text()
    assert "policy='all.cfg' is not one of classroom, research, strict" in ask("--policy", "all.cfg").stderr
    (tmp_path / "yes.txt").write_text("Tom Cruise\n")
    assert ask("--consent", "yes.txt").exit_code == 0
    found = verify("film.mp4")
    assert found.genuine and found.provenance.generation["prompt"] == "Tom Cruise runs"
    assert ask().exit_code == 0 and verify("film.mp4").provenance.generation["prompt"] == "a man runs"


def test_consent_is_written_for_the_very_picture_or_film_and_kept_with_what_was_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(plain().frames[0]).save("ada.png")
    plain().save("ada.mp4")
    ask = lambda *args: CliRunner().invoke(app, ["consent", *args], env={"COLUMNS": "60"})
    assert ask("ada.png").stdout == f"picture: {picture_hash(plain().frames[0])}\n"
    assert ask("ada.mp4").stdout == f"film: {hashlib.sha256(Path('ada.mp4').read_bytes()).hexdigest()}\n"
    Path("agreed.txt").write_text("# our class\nTom Cruise")
    for file in ("ada.png", "ada.mp4", "ada.mp4"):
        assert ask(file, "--consent", "agreed.txt").exit_code == 0
    agreed = Consent.read("agreed.txt")
    assert agreed.covers("Tom Cruise") and agreed.pictures == {picture_hash(plain().frames[0])}
    assert len(agreed.films) == 1 and len(Path("agreed.txt").read_text().splitlines()) == 4
    for file, said in (("none.png", "none.png"), ("agreed.txt", "it is no film")):
        told = ask(file)
        assert told.exit_code == 2 and said in told.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ada.mp4", "ada.png", "agreed.txt"]


def faces():
    data = pytest.importorskip("skimage.data")
    return Video(np.stack([data.astronaut()[:400, :400]] * 3), 8.0, "a woman smiles")


def test_finished_frames_with_faces_are_not_let_out_unless_the_policy_or_consent_says_so(tmp_path):
    film, audit = faces(), tmp_path / "audit.jsonl"
    with pytest.raises(Refused, match=LIKENESS):
        Safety(policy=Policy("mine", {}, audit="hash"), audit=audit).release(film, model="nano", seed=1)
    assert json.loads(audit.read_text())["decision"] == "refuse"
    assert Safety(policy=Policy("mine", {}, faces="allow")).release(film, model="nano", seed=1).origin
    picture = film.frames[0, :, ::-1].copy()                     # that the film began with, in some other light
    agreed = Safety(consent=Consent(pictures=frozenset({picture_hash(picture)})))
    verdict = Verdict("allow", Brief("a woman smiles", image=picture))
    assert agreed.release(film, model="nano", seed=1, verdict=verdict).origin
    with pytest.raises(Refused):
        agreed.release(film, model="nano", seed=1)


def test_a_stream_is_marked_like_a_film_and_stopped_where_faces_stay(safety):
    film = plain()
    origin = safety.origin(PROMPT, "nano", 7)
    frames = np.stack(list(safety.released(iter(film.frames), 8.0, len(film.frames), origin)))
    whole = safety.release(film, model="nano", seed=7)
    assert np.abs(frames.astype(int) - whole.frames).mean() < 1
    assert verify_frames(frames) == origin.watermark
    with pytest.raises(Refused):
        list(safety.released(iter(np.repeat(faces().frames, 6, 0)), 8.0, 6 * len(faces().frames), origin))


@pytest.mark.parametrize("count", [1, 2, 3, 9, 16])
def test_short_streams_are_screened_as_films_are(safety, count):
    """However few frames there are, faces in all of them are not let out; also of films made from words alone."""
    origin, verdict = safety.origin(PROMPT, "nano", 7), safety.judge(PROMPT)
    frames = np.repeat(faces().frames[:1], count, 0)
    with pytest.raises(Refused):
        safety.release(Video(frames, 8.0, PROMPT), model="nano", seed=7, verdict=verdict)
    with pytest.raises(Refused):
        list(safety.released(iter(frames), 8.0, count, origin, verdict))


def verify_frames(frames):
    from sorakit.safety.watermark import detect

    return detect(frames, thorough=False).payload
