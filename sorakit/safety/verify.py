"""Where a film comes from: what its manifest says, what its pixels still say when the manifest is gone, and whether
the two agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from jaxtyping import UInt8

from sorakit import provenance
from sorakit.provenance import Authority, Provenance
from sorakit.safety.watermark import PUBLIC_KEY, Detection, detect

LOOKED_AT = 17                                 # frames, evenly from first to last
WEIGHTS, SEED, PROMPT = 16, 24, 24             # bits of a payload


@dataclass(frozen=True)
class Payload:
    """What the watermark's 64 bits say: the beginnings of two sha256, and the end of the seed."""

    weights: str                               # 4 hexadecimal digits of the weights' sha256
    seed: int                                  # modulo 2**24
    prompt: str                                # 6 hexadecimal digits of the prompt's sha256

    @classmethod
    def of(cls, weights: str, seed: int, prompt_sha256: str) -> Payload:
        return cls((weights or "0000")[:4], seed % 2**SEED, prompt_sha256[:6])

    @classmethod
    def read(cls, number: int) -> Payload:
        return cls(f"{number >> SEED + PROMPT:04x}", number >> PROMPT & 2**SEED - 1, f"{number & 2**PROMPT - 1:06x}")

    @property
    def number(self) -> int:
        return int(self.weights, 16) << SEED + PROMPT | self.seed << PROMPT | int(self.prompt, 16)

    def __str__(self):
        return (f"weights whose sha256 begins with {self.weights}, seed {self.seed}, prompt whose sha256 begins with "
                f"{self.prompt}")


@dataclass(frozen=True)
class Finding:
    """What is known of a film. `agree` is None where the manifest or the watermark is missing."""

    path: str
    provenance: Provenance
    watermark: Detection
    agree: bool | None

    @property
    def genuine(self) -> bool:
        """Signed, not changed since, and no watermark of another film; by whom is for the reader to judge."""
        return self.provenance.signed and not self.provenance.changed and self.agree is not False

    @property
    def payload(self) -> Payload | None:
        return None if self.watermark.payload is None else Payload.read(self.watermark.payload)

    def __str__(self):
        lines = [f"manifest:  {self.provenance}", f"watermark: {self.watermark}"]
        if self.payload:
            lines.append(f"           it says: {self.payload}")
        if self.agree is not None:
            lines.append("together:  manifest and watermark name " + ("the same film" if self.agree else
                         "different films: one of them was brought from elsewhere"))
        return "\n".join([self.verdict, *lines])

    @property
    def verdict(self) -> str:
        """In one sentence."""
        if self.agree is False:
            return "Do not trust this file: its manifest belongs to another film than its pixels."
        if self.provenance.signed and self.provenance.changed:
            return "This file was changed after it was signed."
        if self.provenance.signed:
            who = "by somebody you trust" if self.provenance.trusted else "by somebody you have no reason to trust"
            return f"This file is as it was signed, {who}; it says that it is AI-generated."
        if self.watermark.found:
            return "The signature is gone, but the pixels still say that sorakit made this film, or a part of it."
        return "Nothing is known of this film: no signature, no watermark. That does not make it real."

    def json(self) -> str:
        told = {"verdict": self.verdict, "genuine": self.genuine, **asdict(self)}
        if self.payload:
            told["watermark"] |= {"payload": f"{self.watermark.payload:016x}", "says": asdict(self.payload)}
        return json.dumps(told, indent=2, ensure_ascii=False)


def verify(path: str | Path, *, key: bytes = PUBLIC_KEY, authority: Authority | None = None,
           trust: Sequence[str | Path] = ()) -> Finding:
    """Read a film's manifest and look for its watermark; see `sorakit.provenance.verify` for authority and trust.

    Raises FileNotFoundError for no file, ValueError for one that is no film; a signed film that was changed so that no
    frame can be read is told of as changed.
    """
    found = provenance.verify(path, authority=authority, trust=trust)
    try:
        mark = detect(some_frames(path), key)
    except ValueError:
        if not (found.signer and found.changed):
            raise
        mark = Detection(False, 1.0, None, 1.0, 0.0, False, 0, 0)
    said = found.generation.get("watermark") if found.signed and not found.changed else None
    agree = None if said is None or mark.payload is None else said == f"{mark.payload:016x}"
    return Finding(str(path), found, mark, agree)


def some_frames(path: str | Path, most: int = LOOKED_AT) -> UInt8[np.ndarray, "t h w 3"]:
    """Up to `most` frames of a film, evenly from first to last. Raises ValueError for what is no film."""
    file = str(Path(path).expanduser().absolute())            # no name is taken for an address or an option
    try:
        count, _ = imageio_ffmpeg.count_frames_and_secs(file)
        reader = imageio_ffmpeg.read_frames(file)
        width, height = next(reader)["size"]
        wanted = set(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist())
        frames = [np.frombuffer(data, np.uint8).reshape(height, width, 3)
                  for k, data in enumerate(reader) if k in wanted]
    except (RuntimeError, OSError, StopIteration) as error:
        raise ValueError(f"path={str(path)!r} is no film that ffmpeg can read") from error
    if not frames:
        raise ValueError(f"path={str(path)!r} has no frames")
    return np.stack(frames)
