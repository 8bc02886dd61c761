"""What the safety stage catches and misses: prompts, disguises, and the watermark after attacks.

`python benchmarks/safety.py prompts` prints precision and recall on the half that nothing was chosen on, 100 disguised
prompts and the time a prompt takes; `watermark --clips 200` the attack table, going on where it was stopped; `beside
--package FOLDER` the same of invisible-watermark's dwtDctSvd; `unmarked --clips 10000` false positives; `averaged` what
is read from averaged films; `times` what screening, marking and signing take.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np

import sorakit as sk
from sorakit.prompt.words import Words
from sorakit.safety import watermark as mark
from sorakit.safety.mark import marked
from sorakit.safety.safety import Safety
from sorakit.safety.watermark import SURE, detect, embed
from sorakit.types import Video

cv2.setNumThreads(1)
PROMPTS = Path(__file__).parents[1] / "tests" / "data" / "safety_prompts.jsonl"
DISGUISES = {
    "capitals": str.upper,
    "leetspeak": lambda s: s.translate(str.maketrans("aeio", "4310")),
    "spelled out": lambda s: "  ".join(" ".join(word) for word in s.split()),
    "dots": lambda s: " ".join(".".join(word) for word in s.split()),
    "zero-width": lambda s: "\u200b".join(s),
    "Cyrillic": lambda s: s.translate(str.maketrans("aeopcx", "аеорсх")),
    "full width": lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
    "accents": lambda s: s.translate(str.maketrans("aeiou", "áéíóú")),
    "drawn out": lambda s: "".join(c * 4 if c in "aeiou" else c for c in s),
    "backwards": lambda s: s[::-1],
}


def prompts():
    safety = Safety(words=Words.load())
    rows = [json.loads(line) for line in PROMPTS.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["half"] == "hold out"]
    verdicts = [safety.judge(row["prompt"]) for row in rows]
    print(f"{'category':26s}  n  stopped  in its category  precision")
    for category in sorted({row["category"] for row in rows}):
        mine = [v for v, row in zip(verdicts, rows) if row["category"] == category]
        stopped = np.mean([v.decision != "allow" for v in mine])
        if category == "harmless":
            print(f"{category:26s} {len(mine):3d}  {stopped:.3f}")
            continue
        fits = {category, "minors"} if category == "sexual content" else {category}        # those are both
        named = [row["category"] in fits for v, row in zip(verdicts, rows)
                 if any(reason.category == category for reason in v.reasons)]
        right = np.mean([any(reason.category == category for reason in v.reasons) for v in mine])
        print(f"{category:26s} {len(mine):3d}  {stopped:.3f}    {right:.3f}            "
              f"{np.mean(named) if named else float('nan'):.3f}")
    bad = [row["prompt"] for row, v in zip(rows, verdicts) if row["category"] != "harmless" and v.decision == "refuse"]
    for name, change in DISGUISES.items():
        caught = np.mean([safety.judge(change(prompt)).decision != "allow" for prompt in bad[::len(bad) // 10][:10]])
        print(f"disguise: {name:14s} {caught:.0%} of 10 caught")
    started = time.perf_counter()
    for row in rows[:100]:
        safety.judge(row["prompt"])
    print(f"{(time.perf_counter() - started) * 10:.1f} ms a prompt")


def each(change, frames):
    return np.stack([change(frame) for frame in frames])


def resized(frames, by):
    size = (round(frames.shape[2] * by / 2) * 2, round(frames.shape[1] * by / 2) * 2)
    return each(lambda frame: cv2.resize(frame, size, interpolation=cv2.INTER_AREA if by < 1 else cv2.INTER_CUBIC),
                frames)


def coded(frames, *codec, rate=8, suffix=".mp4"):
    """Through ffmpeg and back."""
    height, width = frames.shape[1:3]
    ffmpeg, raw = imageio_ffmpeg.get_ffmpeg_exe(), ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / f"film{suffix}")
        size = ["-s", f"{width}x{height}", "-r", str(rate)]
        subprocess.run([ffmpeg, "-v", "error", *raw, *size, "-i", "-", *codec, path],
                       input=frames.tobytes(), check=True)
        data = subprocess.run([ffmpeg, "-v", "error", "-i", path, *raw, "-"], check=True, capture_output=True).stdout
    return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)


def h264(crf):
    return lambda frames: coded(frames, "-c:v", "libx264", "-crf", str(crf), "-pix_fmt", "yuv420p")


def cropped(frames, part=0.7):
    height, width = (round(side * part) for side in frames.shape[1:3])
    y, x = (frames.shape[1] - height) // 3, (frames.shape[2] - width) // 4
    return np.ascontiguousarray(frames[:, y:y + height, x:x + width])


def turned(frame, degrees=5):
    height, width = frame.shape[:2]
    return cv2.warpAffine(frame, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1), (width, height))


def hue(frame):
    hsv = cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 15) % 180
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)


def grey(frame):
    return cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def levels(change):
    return lambda frames: np.clip(change(frames.astype(np.float32)), 0, 255).astype(np.uint8)


def jpeg(frame):
    coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])[1]            # OpenCV has BGR
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]


ATTACKS = {
    "none": lambda f: f, "H.264 CRF 23": h264(23), "H.264 CRF 28": h264(28), "H.264 CRF 33": h264(33),
    "H.265 CRF 28": lambda f: coded(f, "-c:v", "libx265", "-crf", "28", "-x265-params", "log-level=error"),
    "VP9 CRF 33": lambda f: coded(f, "-c:v", "libvpx-vp9", "-crf", "33", "-b:v", "0", "-cpu-used", "4", suffix=".webm"),
    "resize 0.5": lambda f: resized(f, 0.5), "resize 2": lambda f: resized(f, 2), "crop to 70%": cropped,
    "brightness": levels(lambda f: f + 30), "contrast": levels(lambda f: (f - 128) * 1.3 + 128),
    "hue": lambda f: each(hue, f), "gamma": levels(lambda f: 255 * (f / 255) ** 1.4),
    "blur": lambda f: each(lambda x: cv2.GaussianBlur(x, (0, 0), 2), f),
    "noise": levels(lambda f: f + np.random.default_rng(0).normal(0, 10, f.shape)), "JPEG 50": lambda f: each(jpeg, f),
    "rate 30 to 24": lambda f: coded(f, "-vf", "fps=24", "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p",
                                     rate=30),
    "half the frames": lambda f: f[::2], "trimmed": lambda f: f[len(f) // 3:],
    "GIF": lambda f: coded(f, suffix=".gif"), "flip": lambda f: np.ascontiguousarray(f[:, :, ::-1]),
    "turn 5 degrees": lambda f: each(turned, f), "black and white": lambda f: each(grey, f),
    "screenshot 75%": lambda f: h264(23)(resized(h264(16)(f), 0.75)),
}


def clip(seed, height, width, frames):
    from sorakit.world.render import render
    from sorakit.world.scene import sample
    return render(sample(np.random.default_rng(10_000 + seed)), height, width, (frames - 1) / 8).frames


def vmaf(marked, plain) -> float:
    """Netflix's measure of how alike two films look to people, of 100 (libvmaf in the ffmpeg binary)."""
    height, width = plain.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "8"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("marked.rgb", "plain.rgb")]
        for path, frames in zip(paths, (marked, plain)):
            path.write_bytes(np.ascontiguousarray(frames).data)
        same = ";".join(f"[{k}:v]format=yuv420p[v{k}]" for k in (0, 1))
        said = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *raw, "-i", paths[0], *raw, "-i",
                               paths[1], "-lavfi", f"{same};[v0][v1]libvmaf", "-f", "null", "-"],
                              check=True, capture_output=True, text=True).stderr
    return float(re.search(r"VMAF score: ([\d.]+)", said).group(1))


def dwt_dct_svd(folder):
    """`invisible-watermark`'s method with 64 bits: embed and read, each frame alone, bits by the frames' majority.

    Its package asks for torch, which the method does not use:
    `pip install --no-deps --target FOLDER invisible-watermark PyWavelets`.
    """
    sys.path.append(folder)
    spec = importlib.util.spec_from_file_location("dwtDctSvd", Path(folder) / "imwatermark" / "dwtDctSvd.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def bits(payload):
        return np.unpackbits(np.frombuffer(payload.to_bytes(8, "big"), np.uint8))

    def marked(frames, payload):
        coder = module.EmbedDwtDctSvd(list(bits(payload)), wmLen=64)
        return each(lambda frame: coder.encode(frame[..., ::-1])[..., ::-1], frames)

    def read(frames):
        coder = module.EmbedDwtDctSvd(wmLen=64)
        heard = np.mean([coder.decode(frame[..., ::-1]) for frame in frames], 0) > 0.5
        return int.from_bytes(np.packbits(heard).tobytes(), "big")
    return marked, read


def watermark(count, frames, kept, put=embed, read=lambda frames: detect(frames).payload, only=ATTACKS):
    """Attack marked clips. What is in the file `kept` already, of a run that was stopped, is not done again."""
    kept.parent.mkdir(exist_ok=True, parents=True)
    kept.touch()
    rows = [json.loads(line) for line in kept.read_text().splitlines()]
    for seed in range(len(rows), count):
        plain, payload = clip(seed, 432, 768, frames), int(np.random.default_rng(seed).integers(2**63))
        marked = put(plain, payload)
        rows.append({"psnr": float(10 * np.log10(255**2 / np.square(marked.astype(np.float32) - plain).mean())),
                     "vmaf": vmaf(marked, plain),
                     "read": {name: {payload: "right", None: "nothing"}.get(read(attack(marked)), "wrong")
                              for name, attack in ATTACKS.items() if name in only}})
        with kept.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
        missed = {name: what for name, what in rows[-1]["read"].items() if what != "right"}
        print(seed + 1, "of", count, missed, file=sys.stderr, flush=True)
    for name in ("psnr", "vmaf"):
        values = np.array([row[name] for row in rows])
        print(f"{name} of {len(rows)} clips: mean {values.mean():.2f}, median {np.median(values):.2f}, least "
              f"{values.min():.2f}; 95 or more in {(values >= 95).mean():.1%}")
    for name in only:
        said = [row["read"][name] for row in rows]
        print(f"{name:18s} {said.count('right')}/{len(rows)} payloads right, {said.count('right') / len(rows):.1%}, "
              f"{said.count('wrong')} wrong")


def unmarked(count, keys=10):
    """p-values of clips without a mark, for several keys each, and how far they are from uniform."""
    p_values = []
    for seed in range(count // keys):
        clean = mark._whitened(clip(seed, 90, 160, 1)).sum(0)
        both = [mark._waves(picture, 90 / mark.SHORT, 0.0) for picture in (clean, clean[:, ::-1])]
        p_values += [mark._p_value(max(mark._synchronise(waves, b"key %d" % k)[0] for waves in both), 2)
                     for k in range(keys)]
    p_values = np.sort(p_values)
    steps = np.arange(len(p_values) + 1) / len(p_values)
    print(f"{(p_values <= SURE).sum()} of {len(p_values)} found marked ({count // keys} clips, {keys} keys); "
          f"least p {p_values[0]:.2g}")
    print(f"Kolmogorov-Smirnov, against uniform: more small ones by {(steps[1:] - p_values).max():.4f}, "
          f"fewer by {(p_values - steps[:-1]).max():.4f}")
    for level in (0.1, 0.01, 0.001):
        print(f"p <= {level:g}: {(p_values <= level).mean():.4f}")


def averaged(count):
    """What is read from the mean of several marked films: different ones, and the same one with several payloads."""
    for many in (2, 3, 5):
        said = {"different films": [], "the same film": []}
        for trial in range(count):
            plain = [clip(many * trial + k, 216, 384, 2) for k in range(many)]
            payloads = [int(np.random.default_rng(many * trial + k).integers(2**63)) for k in range(many)]
            for name, films in (("different films", plain), ("the same film", plain[:1] * many)):
                mean = np.mean([embed(film, payload) for film, payload in zip(films, payloads)], 0, dtype=np.float32)
                found = detect(np.rint(mean).astype(np.uint8), thorough=False)
                said[name].append("one of theirs" if found.payload in payloads else "another" if found.payload
                                  is not None else "marked, unreadable" if found.found else "no mark")
        print(many, "averaged:", {name: {what: all.count(what) for what in sorted(set(all))}
                                  for name, all in said.items()})


def times(count):
    """Medians: screening a prompt; marking, encoding and signing a film of 17 frames of 432 x 768; making one."""
    safety = Safety(words=Words.load())
    texts = [json.loads(line)["prompt"] for line in PROMPTS.read_text(encoding="utf-8").splitlines()][:200]
    film = Video(clip(0, 432, 768, 17), 8.0, prompt="a red car")

    def median(work, tries):
        took = []
        for value in tries:
            started = time.perf_counter()
            work(value)
            took.append((time.perf_counter() - started) * 1000)
        return float(np.median(took))

    pipe = sk.load("nano", "cpu")
    released = safety.release(film, model="nano", seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        for name, work, tries in (
                ("screen a prompt", safety.judge, texts),
                ("look for faces", lambda _: safety.screen_frames(film.frames), range(count)),
                ("mark for people", lambda _: marked(film.frames, film.fps, safety.style), range(count)),
                ("watermark", lambda k: embed(film.frames, k), range(count)),
                ("encode and sign", lambda _: released.save(path), range(count)),
                ("encode alone", lambda _: film.save(path), range(count)),
                ("a film of 25 steps", lambda k: pipe("a red car", seed=k, steps=25), range(5))):
            print(f"{name:18s} {median(work, tries):6.1f} ms", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("prompts", "watermark", "beside", "unmarked", "averaged", "times"))
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--frames", type=int, default=9, help="of each attacked clip")
    parser.add_argument("--kept", type=Path, default=Path("checkpoints/safety"), help="where results are kept")
    parser.add_argument("--only", nargs="+", choices=ATTACKS, default=list(ATTACKS), metavar="ATTACK")
    parser.add_argument("--package", help="folder of invisible-watermark, for `beside`: see dwt_dct_svd")
    said = parser.parse_args()
    match said.what:
        case "prompts":
            prompts()
        case "watermark":
            watermark(said.clips, said.frames, said.kept / "watermark.jsonl", only=said.only)
        case "beside":
            watermark(said.clips, said.frames, said.kept / "beside.jsonl", *dwt_dct_svd(said.package), said.only)
        case _:
            {"unmarked": unmarked, "averaged": averaged, "times": times}[said.what](said.clips)
