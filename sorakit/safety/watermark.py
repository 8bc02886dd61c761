"""The mark that cannot be seen: 64 bits, spread by a key over every frame, found again after what happens to films.

A square tile of faint waves is laid over the whole picture, again and again. Half of what the detector needs is the
same in every film of a key (`sync`: where is the tile, how large, how turned); the rest are 128 patterns, each added or
taken away, for the payload's 64 bits and 64 sums of random halves of them. Spread spectrum after Cox et al. 1997
(doi:10.1109/83.650120), tiling against crops after Kutter 1998 (doi:10.1117/12.337432), a random linear code after
Shannon 1948, decoding by ordered statistics after Fossorier and Lin 1995 (doi:10.1109/18.412683).
"""

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

TILE = 128                                     # pixels, where a film's short side has SHORT
SHORT = 432
SLOWEST, FASTEST = 4, 14                       # waves a tile: lengths of 9 to 32 pixels, which codecs keep
BITS, CODED = 64, 128
SYNC_SHARE = 0.3                               # of the mark's energy
TINT = np.array([0.1, -0.244, 1.872], np.float32)               # of red, green, blue: eyes are dull for waves of blue
SEEN = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5]], np.float32)    # where to look: Y and Cb
PSNR = 42.2                                    # dB, of the mark alone
PUBLIC_KEY = b"sorakit"                        # anybody can find a mark of this key, and make one
READABLE = 0.75                                # cosine of what was heard and a code word; wrong ones reach 0.73
SURE = 1e-6                                    # p-value from which on a film counts as marked
STEP, TURN = 0.006, 0.4                        # of the search: relative size, and degrees
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
    wanted = np.append(math.sqrt(CODED * SYNC_SHARE / (1 - SYNC_SHARE)), 2 * _coded(int(payload)) - 1)
    loud = np.ones(1 + CODED)
    for _ in range(2):                                     # what the film itself says against a bit is outweighed
        marked = added(few, _sheet(frames.shape, wanted * loud, key, psnr))
        waves = _waves(_whitened(marked).sum(0), min(frames.shape[1:3]) / SHORT, 0.0)
        heard = _heard(waves, (0, 0), key) / wanted
        loud = np.clip(loud + 1 - heard / max(float(heard.mean()), 1e-9), 0.4, 2.5)
    return _sheet(frames.shape, wanted * loud, key, psnr)


def added(frames: UInt8[np.ndarray, "t h w 3"], sheet: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "t h w 3"]:
    """The frames with a sheet laid over each: mostly bluer and yellower, a little brighter and darker."""
    out, mark = np.empty_like(frames), np.rint(sheet[..., None] * TINT).astype(np.int16)
    for i, frame in enumerate(frames):
        cv2.add(frame, mark, out[i], dtype=cv2.CV_8U)
    return out


def detect(frames: UInt8[np.ndarray, "t h w 3"], key: bytes = PUBLIC_KEY, *, thorough: bool = True,
           most: int = 17) -> Detection:
    """Look for the mark in up to `most` frames; without `thorough` only in films that were not cropped or turned."""
    clean = _whitened(frames[np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int)])
    both, best, tried, payload, corrected = clean.sum(0), (-math.inf,), 0, None, 0
    for guesses in _guesses(both.shape, thorough):
        for scale, angle in guesses:
            for flipped in (False, True):
                z, shift = _synchronise(_waves(both[:, ::-1] if flipped else both, scale, angle), key)
                tried += 1
                best = max(best, (z, shift, scale, angle, flipped))
        z, shift, scale, angle, flipped = best
        p = _p_value(z, tried)
        if p <= SURE:
            waves = [_waves(colour[:, ::-1] if flipped else colour, scale, angle) for colour in clean]
            payload, corrected = _read(_weighed(np.stack(waves), shift, key), shift, key)
        if payload is not None:
            break
    return Detection(p <= SURE, p, payload, scale, angle, flipped, corrected, tried)


def tile_of(loud: Float[np.ndarray, " patterns"], key: bytes) -> Float[np.ndarray, "128 128"]:
    """The tile with sync and the 128 patterns this loud, or taken away below 0; of root mean square 1."""
    spectrum = np.zeros((TILE, TILE // 2 + 1), complex)
    spectrum[_ring()] = loud @ _patterns(key)
    tile = np.fft.irfft2(spectrum, (TILE, TILE), norm="ortho")
    return (tile / tile.std()).astype(np.float32)


def amplified(marked: UInt8[np.ndarray, "t h w 3"], plain: UInt8[np.ndarray, "t h w 3"],
              gain: float = 20.0) -> UInt8[np.ndarray, "t h w 3"]:
    """What the mark added, made visible on grey."""
    return np.clip(128 + gain * (marked.astype(np.int16) - plain), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=16)
def _patterns(key: bytes) -> np.ndarray:
    """Of a key, orthogonal and each of length 1 as complex amplitudes of the ring's waves: sync and bits, (129, n)."""
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(hashlib.sha256(b"watermark" + key).digest(), "big")))
    n = len(_ring()[0])
    basis, _ = np.linalg.qr(rng.standard_normal((2 * n, CODED + 1)))
    return basis.T[:, :n] + 1j * basis.T[:, n:]


@functools.lru_cache(maxsize=1)
def _ring():
    """Rows and columns, in the half spectrum of a tile, of the waves that are used."""
    rows = np.fft.fftfreq(TILE, 1 / TILE)[:, None]
    columns = np.arange(TILE // 2 + 1)[None]
    radius = np.hypot(rows, columns)
    return np.nonzero((radius >= SLOWEST) & (radius <= FASTEST) & (columns > 0))


@functools.lru_cache(maxsize=1)
def _code() -> np.ndarray:
    """The code words (64, 128) of the payloads with one bit set; any other is a sum of them."""
    sums = np.frombuffer(hashlib.shake_256(b"sorakit code").digest(BITS * (CODED - BITS) // 8), np.uint8)
    return np.hstack([np.eye(BITS, dtype=np.uint8), np.unpackbits(sums).reshape(BITS, CODED - BITS)])


def _coded(payload: int) -> Float[np.ndarray, " bits"]:
    bits = np.unpackbits(np.frombuffer(payload.to_bytes(BITS // 8, "big"), np.uint8))
    return (bits @ _code() % 2).astype(float)


def _sheet(shape, loud, key: bytes, psnr: float) -> Float[np.ndarray, "h w"]:
    """The tile over the whole picture, as strong as a PSNR says."""
    height, width = shape[1:3]
    scale = min(height, width) / SHORT
    rows, columns = math.ceil(height / scale / TILE) + 1, math.ceil(width / scale / TILE) + 1
    matrix = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]], np.float32)       # pixel centres
    sheet = cv2.warpAffine(np.tile(tile_of(loud, key), (rows, columns)), matrix, (width, height), flags=cv2.INTER_CUBIC)
    return sheet * np.float32(255 * 10 ** (-psnr / 20) / math.sqrt(np.square(sheet).mean() * np.square(TINT).mean()))


def _whitened(frames) -> Float[np.ndarray, "2 h w"]:
    """The mean of the frames in Y and in Cb, without what is large, slow or strong in them."""
    size = min(frames.shape[1:3]) / SHORT
    total = 0
    for frame in frames:
        seen = cv2.transform(frame.astype(np.float32), SEEN)
        band = cv2.GaussianBlur(seen, (0, 0), max(0.6, 1.4 * size)) - cv2.GaussianBlur(seen, (0, 0), 7 * size)
        total = total + np.clip(band, -8, 8)
    mean = total / len(frames)
    spread = np.sqrt(cv2.GaussianBlur(mean * mean, (0, 0), 12 * size)) + 0.4
    return np.moveaxis(np.clip(mean / spread, -2.5, 2.5) * np.float32((0.5, 1)), -1, 0)       # codecs drop more of Y


def _guesses(shape, thorough: bool):
    """Sizes and turns to try, likely ones first: (pixels of the film for one of the tile's, degrees)."""
    whole = min(shape) / SHORT
    yield [(whole, 0.0)]
    if thorough:
        yield [(whole * math.exp(STEP * i), 0.0) for i in range(-16, 84) if i]            # crops to 61% of the side
        yield [(whole, TURN * i) for i in range(-20, 21) if i]


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


def _radius() -> np.ndarray:
    """Whole waves a tile, of each wave of the ring."""
    rows, columns = _ring()
    return np.hypot(np.minimum(rows, TILE - rows), columns).astype(int)


def _by_radius(size) -> np.ndarray:
    """Root mean square of the waves of about the same length, so that none drowns the others."""
    square = np.bincount(_radius(), size**2) / np.maximum(np.bincount(_radius()), 1)
    return np.sqrt(square[_radius()]) + 1e-9


def _weighed(colours, shift, key: bytes) -> np.ndarray:
    """The waves of Y and Cb (2, n) as one, each length of each as loud as its sync says that it was kept: (n,)."""
    rows, columns = _ring()
    sync = _patterns(key)[0] * np.exp(-2j * np.pi * (rows * shift[0] + columns * shift[1]) / TILE)
    third = (_radius() - SLOWEST) * 3 // (FASTEST + 1 - SLOWEST)
    kept = np.stack([np.bincount(third, (waves * sync.conj()).real) for waves in colours])      # (2, 3)
    kept = kept / np.bincount(third, np.abs(sync)**2)
    return (np.maximum(kept, 0.1 * kept.max())[:, third] * colours).sum(0)


def _synchronise(waves, key: bytes) -> tuple[float, tuple[int, int]]:
    """How many standard deviations the best place of the tile stands out, and that place."""
    spectrum = np.zeros((TILE, TILE // 2 + 1), complex)
    spectrum[_ring()] = waves * _patterns(key)[0].conj()
    surface = np.fft.irfft2(spectrum, (TILE, TILE))
    at = int(surface.argmax())
    return float(surface.flat[at] / (surface.std() + 1e-12)), divmod(at, TILE)


def _p_value(z: float, tried: int) -> float:
    return -math.expm1(-tried * TILE * TILE * 0.5 * math.erfc(z / math.sqrt(2)))


def _read(waves, shift, key: bytes) -> tuple[int | None, int]:
    """The payload whose code fits best, and how many bits of the code were wrong; (None, 0) if none fits well."""
    soft = _heard(waves, shift, key)[1:]
    word = _nearest(soft)
    if soft @ (2.0 * word - 1) < READABLE * np.linalg.norm(soft) * math.sqrt(CODED):
        return None, 0
    return int.from_bytes(np.packbits(word[:BITS]).tobytes(), "big"), int((word != (soft > 0)).sum())


def _nearest(soft) -> UInt8[np.ndarray, " bits"]:
    """The code word that fits best of those that differ in up to three places from the 64 surest bits."""
    order = np.argsort(-np.abs(soft))
    code, sure = _reduced(_code()[:, order])
    word = (soft[order][sure] > 0).astype(np.uint8) @ code % 2
    gain, turn = (2.0 * word - 1) * soft[order], 1 - 2.0 * code                           # (128,), (64, 128)
    best, chosen = -math.inf, word
    for first in (np.zeros(CODED, np.uint8), *code):
        fits = turn * (gain * (1 - 2.0 * first)) @ turn.T                                 # with two more, (64, 64)
        i, j = divmod(int(fits.argmax()), BITS)
        if fits[i, j] > best:
            best, chosen = fits[i, j], word ^ first ^ code[i] ^ code[j]
    return chosen[np.argsort(order)]


def _reduced(code) -> tuple[np.ndarray, list[int]]:
    """The same code with a unit matrix in the first columns that allow it, and which these are."""
    code, sure = code.copy(), []
    for column in range(CODED):
        row = len(sure)
        below = row + np.flatnonzero(code[row:, column])
        if len(below):
            code[[row, below[0]]] = code[[below[0], row]]
            others = np.flatnonzero(code[:, column])
            code[others[others != row]] ^= code[row]
            sure.append(column)
    return code, sure


def _heard(waves, shift, key: bytes) -> Float[np.ndarray, " patterns"]:
    """How much sync and each coded bit are there (above 0) or taken away, with the tile at a place."""
    rows, columns = _ring()
    placed = waves * np.exp(2j * np.pi * (rows * shift[0] + columns * shift[1]) / TILE)
    return (_patterns(key).conj() @ placed).real
