"""The mark that cannot be seen: 64 bits, spread by a key over every frame, found again after what happens to films.

A square tile of faint waves is laid over the whole picture, again and again. Half of what the detector needs is the
same in every film of a key (`sync`: where is the tile, how large, how turned); the rest are 128 patterns, each added or
taken away, for the payload's 64 bits and 64 more of Reed-Solomon code. Spread spectrum after Cox et al. 1997
(doi:10.1109/83.650120), tiling against crops after Kutter 1998 (doi:10.1117/12.337432), decoding with erasures after
Forney 1966 (doi:10.1109/TIT.1966.1053873).
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from reedsolo import ReedSolomonError, RSCodec

TILE = 128                                     # pixels, where a film's short side has SHORT
SHORT = 432
SLOWEST, FASTEST = 4, 16                       # waves a tile: lengths of 8 to 32 pixels, which codecs keep
BITS, CODED = 64, 128
SYNC_SHARE = 0.25                              # of the mark's energy
PSNR = 46.0                                    # dB, of the mark alone
PUBLIC_KEY = b"sorakit"                        # anybody can find a mark of this key, and make one
SURE = 1e-6                                    # p-value from which on a film counts as marked
STEP, TURN = 0.004, 0.25                       # of the search: relative size, and degrees
FEW = 3                                        # frames that a film's sheet is fitted to


@dataclass(frozen=True)
class Detection:
    """What was found in a film.

    `p_value` bounds the chance of so strong a sync in a film without a mark, over all places, sizes and turns that
    were tried, if its correlations are Gaussian.
    """

    found: bool
    p_value: float
    payload: int | None                        # 64 bits, or None where they cannot be read
    scale: float                               # size of the film's pixels against those that were marked
    angle: float                               # degrees
    flipped: bool                              # left and right
    corrected: int                             # coded bits that had to be corrected
    tried: int                                 # sizes and turns

    def __str__(self):
        if not self.found:
            return f"no watermark (p = {self.p_value:.2g})"
        what = f"payload {self.payload:016x}" if self.payload is not None else "a payload that cannot be read"
        how = [f"at {self.scale:.3g} of its size"] if abs(self.scale - 1) > 0.01 else []
        how += [f"turned by {self.angle:.1f} degrees"] if self.angle else []
        how += ["flipped"] if self.flipped else []
        return f"watermark with {what} (p = {self.p_value:.2g}{', ' + ', '.join(how) if how else ''})"


def embed(frames: UInt8[np.ndarray, "t h w 3"], payload: int, key: bytes = PUBLIC_KEY,
          psnr: float = PSNR) -> UInt8[np.ndarray, "t h w 3"]:
    """The frames with the mark, which differ from them by `psnr` dB. Raises ValueError for a payload that is not a
    whole number of 64 bits."""
    return added(frames, fitted(frames, payload, key, psnr))


def fitted(frames: UInt8[np.ndarray, "t h w 3"], payload: int, key: bytes = PUBLIC_KEY,
           psnr: float = PSNR) -> Float[np.ndarray, "h w"]:
    """What `added` is to add to frames like these, so that a film can be marked a frame at a time."""
    if not isinstance(payload, (int, np.integer)) or not 0 <= payload < 2**BITS:
        raise ValueError(f"payload={payload!r} is not a whole number from 0 to 2**{BITS} - 1")
    few = frames[np.linspace(0, len(frames) - 1, min(FEW, len(frames))).round().astype(int)]
    rooms = [_room(frame) for frame in few]
    signs, loud = 2 * _coded(int(payload)) - 1, np.ones(CODED)
    for _ in range(2):                                     # what the film itself says against a bit is outweighed
        sheet = _sheet(frames.shape, signs * loud, key)
        marked = added(few, sheet * _gain(rooms, sheet, psnr), rooms)
        waves = _waves(_whitened(marked), min(frames.shape[1:3]) / SHORT, 0.0)
        heard = _soft(waves, (0, 0), key) * signs
        loud = np.clip(loud + 1 - heard / max(float(heard.mean()), 1e-9), 0.4, 2.5)
    sheet = _sheet(frames.shape, signs * loud, key)
    return sheet * np.float32(_gain(rooms, sheet, psnr))


def added(frames: UInt8[np.ndarray, "t h w 3"], sheet: Float[np.ndarray, "h w"],
          rooms: list | None = None) -> UInt8[np.ndarray, "t h w 3"]:
    """The frames with a sheet laid over each: more of it where a frame is busy (`rooms` has it, if it is known)."""
    out = np.empty_like(frames)
    for i, frame in enumerate(frames):
        mark = np.rint(sheet * (rooms[i] if rooms else _room(frame))).astype(np.int16)
        cv2.add(frame, cv2.merge([mark, mark, mark]), out[i], dtype=cv2.CV_8U)
    return out


def detect(frames: UInt8[np.ndarray, "t h w 3"], key: bytes = PUBLIC_KEY, *, thorough: bool = True,
           most: int = 17) -> Detection:
    """Look for the mark in up to `most` frames; without `thorough` only in films that were not cropped or turned."""
    clean = _whitened(frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)])
    best, tried = (-math.inf,), 0
    for guesses in _guesses(clean.shape, thorough):
        for scale, angle in guesses:
            for flipped in (False, True):
                waves = _waves(clean[:, ::-1] if flipped else clean, scale, angle)
                z, shift = _synchronise(waves, key)
                tried += 1
                if z > best[0]:
                    best = (z, shift, waves, scale, angle, flipped)
        if _p_value(best[0], tried) < 1e-9:
            break
    z, shift, waves, scale, angle, flipped = best
    p = _p_value(z, tried)
    payload, corrected = _read(waves, shift, key)
    return Detection(p <= SURE, p, payload if p <= SURE else None, scale, angle, flipped, corrected, tried)


def tile_of(bits: Float[np.ndarray, " bits"], key: bytes) -> Float[np.ndarray, "128 128"]:
    """The tile whose coded bits are added this loudly, and taken away below 0; of root mean square 1."""
    sync, patterns = _patterns(key)
    bits = bits / np.linalg.norm(bits)
    spectrum = np.zeros((TILE, TILE // 2 + 1), complex)
    spectrum[_ring()] = math.sqrt(SYNC_SHARE) * sync + math.sqrt(1 - SYNC_SHARE) * (bits @ patterns)
    tile = np.fft.irfft2(spectrum, (TILE, TILE), norm="ortho")
    return (tile / tile.std()).astype(np.float32)


def amplified(marked: UInt8[np.ndarray, "t h w 3"], plain: UInt8[np.ndarray, "t h w 3"],
              gain: float = 20.0) -> UInt8[np.ndarray, "t h w 3"]:
    """What the mark added, made visible on grey."""
    return np.clip(128 + gain * (marked.astype(np.int16) - plain), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=4)
def _patterns(key: bytes):
    """Of a key, orthogonal and each of length 1 as complex amplitudes of the ring's waves: sync (n,), bits (128, n)."""
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(b"watermark" + key).digest(), "big")))
    n = len(_ring()[0])
    basis, _ = np.linalg.qr(rng.standard_normal((2 * n, CODED + 1)))
    basis = basis.T[:, :n] + 1j * basis.T[:, n:]
    return basis[0], basis[1:]


@functools.lru_cache(maxsize=1)
def _ring():
    """Rows and columns, in the half spectrum of a tile, of the waves that are used."""
    rows = np.fft.fftfreq(TILE, 1 / TILE)[:, None]
    columns = np.arange(TILE // 2 + 1)[None]
    radius = np.hypot(rows, columns)
    return np.nonzero((radius >= SLOWEST) & (radius <= FASTEST) & (columns > 0))


@functools.lru_cache(maxsize=1)
def _codec():
    return RSCodec((CODED - BITS) // 8)


def _coded(payload: int) -> Float[np.ndarray, " bits"]:
    code = bytes(_codec().encode(payload.to_bytes(BITS // 8, "big")))
    return np.unpackbits(np.frombuffer(code, np.uint8)).astype(float)


def _sheet(shape, bits, key: bytes) -> Float[np.ndarray, "h w"]:
    """The tile over the whole picture."""
    height, width = shape[1:3]
    scale = min(height, width) / SHORT
    rows, columns = math.ceil(height / scale / TILE) + 1, math.ceil(width / scale / TILE) + 1
    matrix = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]], np.float32)       # pixel centres
    return cv2.warpAffine(np.tile(tile_of(bits, key), (rows, columns)), matrix, (width, height), flags=cv2.INTER_CUBIC)


def _gain(rooms, sheet, psnr: float) -> float:
    """What the sheet is to be multiplied with for a PSNR."""
    square = np.mean([np.square(sheet * room).mean() for room in rooms]) + 1e-12
    return 255 * 10 ** (-psnr / 20) / math.sqrt(square)


def _room(frame) -> Float[np.ndarray, "h w"]:
    """How much of the mark each place takes: less on smooth ground, where it would be seen, more on busy one."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    size = max(3, round(9 * min(grey.shape) / SHORT) | 1)
    mean = cv2.blur(grey, (size, size))
    spread = cv2.sqrt(cv2.max(cv2.blur(cv2.multiply(grey, grey), (size, size)) - cv2.multiply(mean, mean), 0))
    return cv2.blur(cv2.min(cv2.max(0.85 + spread / 25, 0.85), 1.5), (size, size))


def _whitened(frames) -> Float[np.ndarray, "h w"]:
    """The mean of the frames, without what is large, slow or strong in them."""
    size = min(frames.shape[1:3]) / SHORT
    total = 0
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        band = cv2.GaussianBlur(grey, (0, 0), max(0.6, 1.6 * size)) - cv2.GaussianBlur(grey, (0, 0), 9 * size)
        total = total + np.clip(band, -8, 8)
    mean = total / len(frames)
    spread = np.sqrt(cv2.GaussianBlur(mean * mean, (0, 0), 12 * size)) + 0.5
    return np.clip(mean / spread, -2.5, 2.5)


def _guesses(shape, thorough: bool):
    """Sizes and turns to try, likely ones first: (pixels of the film for one of the tile's, degrees)."""
    whole = min(shape) / SHORT
    yield [(whole, 0.0)]
    if thorough:
        yield [(whole * math.exp(STEP * i), 0.0) for i in range(-25, 126) if i]           # crops to 61% of the side
        yield [(whole, TURN * i) for i in range(-32, 33) if i]


def _waves(clean, scale: float, angle: float) -> np.ndarray:
    """The ring's waves of the picture, brought to the tile's size, turned, and folded onto one tile: complex (n,)."""
    height, width = clean.shape
    rows, columns = math.ceil(height / scale / TILE), math.ceil(width / scale / TILE)
    cosine, sine = math.cos(math.radians(angle)) * scale, math.sin(math.radians(angle)) * scale
    y, x = (height - 1) / 2, (width - 1) / 2                                              # turned about the centre
    v, u = (height / scale - 1) / 2, (width / scale - 1) / 2
    matrix = np.array([[cosine, -sine, x - cosine * u + sine * v], [sine, cosine, y - sine * u - cosine * v]])
    flat = cv2.warpAffine(np.ascontiguousarray(clean), matrix, (columns * TILE, rows * TILE),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    folded = flat.reshape(rows, TILE, columns, TILE).sum((0, 2))
    waves = np.fft.rfft2(folded, norm="ortho")[_ring()]
    return waves / _by_radius(np.abs(waves))


def _by_radius(size) -> np.ndarray:
    """Root mean square of the waves of about the same length, so that none drowns the others."""
    rows, columns = _ring()
    radius = np.hypot(np.minimum(rows, TILE - rows), columns).astype(int)
    square = np.bincount(radius, size**2) / np.maximum(np.bincount(radius), 1)
    return np.sqrt(square[radius]) + 1e-9


def _synchronise(waves, key: bytes) -> tuple[float, tuple[int, int]]:
    """How many standard deviations the best place of the tile stands out, and that place."""
    spectrum = np.zeros((TILE, TILE // 2 + 1), complex)
    spectrum[_ring()] = waves * _patterns(key)[0].conj()
    surface = np.fft.irfft2(spectrum, (TILE, TILE))
    at = int(surface.argmax())
    return float(surface.flat[at] / (surface.std() + 1e-12)), divmod(at, TILE)


def _p_value(z: float, tried: int) -> float:
    return min(1.0, tried * TILE * TILE * 0.5 * math.erfc(z / math.sqrt(2)))


def _read(waves, shift, key: bytes) -> tuple[int | None, int]:
    """The payload whose code fits best, and how many bits of the code were wrong; (None, 0) if none can be read."""
    soft = _soft(waves, shift, key)
    received = np.packbits(soft > 0).tobytes()
    doubtful = np.argsort(np.abs(soft).reshape(-1, 8).min(1))                             # bytes, least certain first
    best = (-math.inf, None, 0)
    for erased in range(len(received) // 2 + 1):
        try:
            data = bytes(_codec().decode(received, erase_pos=[int(i) for i in doubtful[:erased]])[0])
        except ReedSolomonError:
            continue
        payload = int.from_bytes(data, "big")
        code = _coded(payload)
        best = max(best, (float(soft @ (2 * code - 1)), payload, int((code != (soft > 0)).sum())))
    return best[1:]


def _soft(waves, shift, key: bytes) -> Float[np.ndarray, " bits"]:
    """How much each coded bit is there (above 0) or taken away, with the tile at a place."""
    rows, columns = _ring()
    placed = waves * np.exp(2j * np.pi * (rows * shift[0] + columns * shift[1]) / TILE)
    return (_patterns(key)[1].conj() @ placed).real
