"""A film in a file, finished: steadied, coloured, sharpened, at another size and rate, into another kind of file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from sorakit.pipeline import Pipeline
from sorakit.prompt.files import open_film, stream_frames
from sorakit.provenance import Origin, path_of, verify
from sorakit.safety.verify import some_frames
from sorakit.safety.watermark import detect
from sorakit.synthesis.encode import Encoded
from sorakit.synthesis.stream import Stream
from sorakit.tools.shot import format_of, hash_of, phase
from sorakit.types import Brief

LONG = 4 * 3600.0                # seconds of a film that are read
COUNTED = 32                     # longer side at which frames are counted


def finish(pipe: Pipeline, film: str | Path, path: str | Path, *, aspect: str | None = None,
           height: int | None = None, width: int | None = None, progress=None, **encoding) -> Encoded:
    """A film's file through `pipe.synthesis` into another file, a frame at a time. No model is at work.

    >>> pipe.synthesis = Synthesis.preset("cinema")                                       # doctest: +SKIP
    >>> finish(pipe, "waves.mp4", "waves_4k.mp4")                                         # doctest: +SKIP

    It keeps its own size and rate where neither the recipe nor the call has another. It is screened, gets both marks
    unless it has them, and is signed, with the film that it was made from as ingredient. Sound is dropped. See
    `Pipeline.save` for encoding and errors.
    """
    file = open_film(film)
    rate = {"fps": file.fps, "seconds": LONG}
    with phase(progress, "read"):
        count = sum(1 for _ in stream_frames(file, side=COUNTED, **rate))
        own = detect(some_frames(file.path), thorough=False).payload
    verdict = pipe.safety.screen(Brief("", film=hash_of(film)))
    origin = origin_of(pipe, file.path, own)
    stream = Stream(lambda: stream_frames(file, side=max(file.height, file.width), **rate), count, file.fps,
                    file.height, file.width)
    format = format_of(pipe, (file.height, file.width), aspect, height, width)
    return pipe.save(stream, path, origin=origin, verdict=verdict, has_marks=own is not None, height=format.height,
                     width=format.width, progress=progress, **encoding)


def origin_of(pipe: Pipeline, film: Path, watermark: int | None) -> Origin:
    """What the finished file is to say: what the film's own says, if it is trusted, and that it was edited."""
    found = verify(film)
    said = found.generation if found.trusted else {}
    origin = pipe.safety.origin(said.get("prompt", ""), said.get("model", pipe.model), int(said.get("seed", 0)),
                                ("c2pa.edited",), path_of(film))
    return dataclasses.replace(origin, prompt_sha256=said.get("prompt sha256", origin.prompt_sha256),
                               weights=said.get("weights sha256", origin.weights),
                               watermark=origin.watermark if watermark is None else watermark)
