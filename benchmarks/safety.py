"""What the safety stage catches and misses: prompts, disguises, and the watermark after attacks.

`python benchmarks/safety.py prompts` prints precision and recall on the half that nothing was chosen on, 100 disguised
prompts and the time a prompt takes; `watermark --clips 200` the attack table; `unmarked --clips 10000` false positives.
"""

from __future__ import annotations

import argparse
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

from sorakit.prompt.words import Words
from sorakit.safety.safety import Safety
from sorakit.safety.watermark import SURE, detect, embed

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


def levels(change):
    return lambda frames: np.clip(change(frames.astype(np.float32)), 0, 255).astype(np.uint8)


def jpeg(frame):
    return cv2.imdecode(cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)


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
    "turn 5 degrees": lambda f: each(turned, f),
    "screenshot 75%": lambda f: h264(23)(resized(h264(16)(f), 0.75)),
}


def clips(count, height=432, width=768):
    from sorakit.world.render import render
    from sorakit.world.scene import sample
    for seed in range(count):
        yield seed, render(sample(np.random.default_rng(10_000 + seed)), height, width).frames


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


def watermark(count):
    right, quality, seen = dict.fromkeys(ATTACKS, 0), [], []
    for seed, frames in clips(count):
        payload = int(np.random.default_rng(seed).integers(2**63))
        marked = embed(frames, payload)
        quality.append(10 * np.log10(255**2 / np.square(marked.astype(np.float32) - frames).mean()))
        seen.append(vmaf(marked, frames))
        for name, attack in ATTACKS.items():
            right[name] += detect(attack(marked)).payload == payload
        missed = {name: n for name, n in right.items() if n <= seed}
        print(f"{seed + 1} of {count}", missed, file=sys.stderr, flush=True)
    print(f"PSNR {np.mean(quality):.2f} dB, least {min(quality):.2f}; VMAF {np.mean(seen):.1f}, least {min(seen):.1f}")
    for name, number in right.items():
        print(f"{name:18s} {number}/{count} payloads right, {number / count:.1%}")


def unmarked(count):
    p_values = np.array([detect(frames, thorough=False).p_value for _, frames in clips(count)])
    print(f"{(p_values <= SURE).sum()} of {count} unmarked clips found marked; least p {p_values.min():.2g}")
    for level in (0.1, 0.01, 0.001):
        print(f"p <= {level:g}: {(p_values <= level).mean():.4f} of the clips")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("prompts", "watermark", "unmarked"))
    parser.add_argument("--clips", type=int, default=20)
    said = parser.parse_args()
    prompts() if said.what == "prompts" else {"watermark": watermark, "unmarked": unmarked}[said.what](said.clips)
