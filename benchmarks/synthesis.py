"""Measures every part of the finish against the drawn world's truth, and what a film costs, on an idle machine.

    python benchmarks/synthesis.py quality --scenes 24
    python benchmarks/synthesis.py cost --seconds 2
    python benchmarks/synthesis.py memory --size 1080p
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
import typer

from sorakit.pipeline import load
from sorakit.synthesis import measures
from sorakit.synthesis.colour import LOOKS, AutoColour, Look
from sorakit.synthesis.detail import Denoise, Sharpen
from sorakit.synthesis.rate import FrameRate
from sorakit.synthesis.recipe import Synthesis, Upscale
from sorakit.synthesis.stabilise import Stabilise, camera_steps, shaken
from sorakit.synthesis.stream import Stream, find_cuts
from sorakit.synthesis.upscale import SHIPPED
from sorakit.tools import reel
from sorakit.training.data import scene_of
from sorakit.world.render import render

app = typer.Typer(help=__doc__)
SEED = 10_000_040                      # of scenes that the upscaler has not seen
WAYS = ("rate", "upscale", "stabilise", "denoise", "sharpen", "colour", "looks", "cuts")


@app.command()
def quality(scenes: int = 24, only: str = ",".join(WAYS), upscaler: str = str(SHIPPED)) -> None:
    """Each part before and after, beside its baselines; means over held-out scenes."""
    drawn = [scene_of(SEED, k) for k in range(scenes)]
    for name in only.split(","):
        rows = [globals()[f"_{name}"](*((drawn, k, upscaler) if name == "upscale" else (drawn, k)))
                for k in range(scenes)]
        print(f"\n{name}")
        for measure in rows[0]:
            values = [row[measure] for row in rows]
            print(f"  {measure:<44} {np.mean(values):8.2f}   ({min(values):.2f} to {max(values):.2f})", flush=True)


def _rate(drawn, k):
    """8 to 60 frames a second; only frames that are new, and that ffmpeg makes too, count."""
    given, clip = render(drawn[k], 160, 288, 1.0, 8.0), render(drawn[k], 160, 288, 1.0, 60.0)
    ours, faded = (FrameRate(60, method)(Stream.of(given.frames, 8.0)).frames() for method in ("motion", "blend"))
    theirs = _ffmpeg(given.frames, 8.0, "minterpolate=fps=60:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none")
    new = [n for n in range(len(theirs)) if n * 8 % 60]
    length = len(theirs)
    films = {"motion": ours, "blending": faded, "ffmpeg minterpolate": theirs}
    row = {f"PSNR, {name}, dB": measures.psnr(film[new], clip.frames[new]) for name, film in films.items()}
    return row | {f"warping error, {name}, levels": measures.warping_error(film[:length], clip.flow[:length - 1])
                  for name, film in {**films, "truth": clip.frames}.items()}


def _upscale(drawn, k, upscaler):
    low, high = (render(drawn[k], *size, 0.5, 8.0).frames for size in ((80, 144), (320, 576)))
    row = {}
    for method in ("lanczos", "network"):
        made = Upscale(method, upscaler)(Stream.of(low, 8.0)).frames()
        row |= {f"PSNR, {method}, dB": measures.psnr(made, high), f"slope, {method}, levels": measures.sharpness(made),
                f"flicker, {method}, levels": measures.flicker(made)}
    return row | {"slope, truth, levels": measures.sharpness(high), "flicker, truth, levels": measures.flicker(high)}


def _stabilise(drawn, k):
    """Shake of 2% of the height and of half a degree, added to 2 s at 24 frames a second; jitter in pixels."""
    frames = render(drawn[k], 288, 512, 2.0, 24.0).frames
    rng = np.random.default_rng(k)
    shake = np.concatenate([rng.normal(0, 4.8, (len(frames), 2)), rng.normal(0, 0.009, (len(frames), 1)),
                            np.zeros((len(frames), 1))], 1)
    film = shaken(frames, shake, 24)
    path = Stabilise()(Stream.of(film, 24.0)).report["stabilise"]
    before, after = measures.jitter(shake, 24), measures.jitter(shake + path.wanted - path.seen, 24)
    seen = lambda frames: measures.jitter(np.cumsum(camera_steps(Stream.of(frames, 24.0)), 0), 24)
    deshake, vidstab = _ffmpeg(film, 24.0, "deshake"), _vidstab(film)
    ours = Stabilise()(Stream.of(film, 24.0)).frames()
    return {"jitter added": before, "jitter left (true path)": after, "jitter gone, %": 100 * (1 - after / before),
            "crop, %": 100 * path.crop, "jitter left, seen in the film": seen(ours),
            "  ffmpeg deshake": seen(deshake), "  ffmpeg vidstab": seen(vidstab)}


def _denoise(drawn, k):
    clip = render(drawn[k], 80, 144, 1.0, 8.0).frames
    noisy = np.clip(clip + np.random.default_rng(k).normal(0, 10, clip.shape), 0, 255).astype(np.uint8)
    films = {"noisy": noisy, "Denoise(0.7)": Denoise(0.7)(Stream.of(noisy, 8.0)).frames(),
             "ffmpeg hqdn3d": _ffmpeg(noisy, 8.0, "hqdn3d=8:8:6:6"),
             "non-local means": np.stack([cv2.fastNlMeansDenoisingColored(f, None, 9, 9) for f in noisy]),
             "clean through Denoise(0.3)": Denoise(0.3)(Stream.of(clip, 8.0)).frames()}
    return {f"PSNR, {name}, dB": measures.psnr(film, clip) for name, film in films.items()}


def _sharpen(drawn, k):
    clip = render(drawn[k], 160, 288, 0.5, 8.0).frames
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), 1.2) for frame in clip])
    sharp = Sharpen(0.6)(Stream.of(soft, 8.0)).frames()
    plain = np.stack([cv2.addWeighted(f, 2.8, cv2.GaussianBlur(f, (0, 0), 1.0), -1.8, 0) for f in soft])
    return {f"{what}, {name}": measure(film) for name, film in (("soft", soft), ("Sharpen", sharp), ("unsharp", plain))
            for what, measure in (("PSNR, dB", lambda f: measures.psnr(f, clip)), ("slope", measures.sharpness),
                                  ("halo, levels", lambda f: measures.halo(f, soft)))}


def _colour(drawn, k):
    """A cast of up to a quarter and a stop of light added; mean distance to the truth in levels."""
    clip = render(drawn[k], 80, 144, 0.5, 8.0).frames
    rng = np.random.default_rng(k)
    gains = rng.uniform(0.8, 1.25, 3)
    cast = np.clip(clip * gains / gains.mean(), 0, 255).astype(np.uint8)
    dark = (255 * ((clip / 255) ** 2.2 / 2) ** (1 / 2.2)).astype(np.uint8)
    apart = lambda a, b: float(np.abs(a.astype(float) - b).mean())
    balance, exposure = AutoColour(0.7, 0, 0), AutoColour(0, 0.5, 0)
    after = lambda part, film: part(Stream.of(film, 8.0)).frames()
    return {"cast": apart(cast, clip), "cast balanced": apart(after(balance, cast), clip),
            "change of what has no cast": apart(after(balance, clip), clip),
            "a stop too dark": apart(dark, clip), "exposed": apart(after(exposure, dark), clip),
            "change of what is well exposed": apart(after(exposure, clip), clip)}


def _looks(drawn, k):
    """Flicker of the mean colour, beside that of the film without a look, in levels."""
    clip = render(drawn[k], 80, 144, 1.0, 8.0).frames
    return {"none": measures.brightness_flicker(clip)} | {
        name: measures.brightness_flicker(Look(name)(Stream.of(clip, 8.0)).frames()) for name in LOOKS}


def _cuts(drawn, k):
    """Two scenes joined: cuts found, and found where there are none."""
    films = [render(drawn[n % len(drawn)], 80, 144, 1.0, 8.0).frames for n in (k, k + 1)]
    found = find_cuts(Stream.of(np.concatenate(films), 8.0)).cuts
    return {"found, of 1": float(9 in found), "false": float(len(found - {9}))}


@app.command()
def cost(seconds: float = 2.0, upscaler: str = "auto") -> None:
    """Seconds of computing for a second of film at 30 frames a second, by part and size."""
    for size in ("480p", "720p", "1080p", "4K"):
        recipe = Synthesis(fps=30, size=size, look="cinematic", stabilise=True, sharpen=0.3, enlarge=upscaler)
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            recipe.write(Path(folder) / "film.mp4", _native(seconds))
        took = time.perf_counter() - started
        parts = {**recipe.costs, "ffmpeg and checking": took - sum(recipe.costs.values())}
        print(f"{size:<6} {took / seconds:7.2f} s   " + ", ".join(f"{k} {v / seconds:.2f}" for k, v in parts.items()))


@app.command()
def memory(size: str = "1080p", seconds: str = "5,10,20,40") -> None:
    """Peak memory in MiB, of this process and of ffmpeg, for films of several lengths; each in its own process, with
    all that makes one: the models in windows (one step each), decoding, the finish, both marks, encoding, signing."""
    for length in seconds.split(","):
        done = subprocess.run([sys.executable, __file__, "one", size, length], capture_output=True, text=True,
                              check=True)
        print(f"{size} {length:>4} s: {done.stdout.strip()}", flush=True)


@app.command(hidden=True)
def one(size: str, seconds: float) -> None:
    pipe = load("nano")
    pipe.synthesis = Synthesis(fps=30, size=size, look="cinematic", stabilise=True, sharpen=0.3)
    started, done, seen = time.perf_counter(), threading.Event(), [0]
    threading.Thread(target=_watch, args=(done, seen)).start()
    with tempfile.TemporaryDirectory() as folder:
        reel(pipe, "waves on a beach", seconds, steps=1, guidance=1.0).save(Path(folder) / "film.mp4")
    done.set()
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{own} MiB here, {max(seen)} MiB in ffmpeg, {time.perf_counter() - started:.0f} s")


def _watch(done, seen):
    """The most memory in MiB that a child has had, by Linux's own count of each; a fork is counted as ffmpeg once it is
    that."""
    while not done.wait(0.1):
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                said = dict(line.split(":", 1) for line in status.read_text().splitlines())
            except OSError:                      # it has ended
                continue
            if int(said["PPid"]) == os.getpid() and said["Name"].strip().startswith("ffmpeg"):
                seen.append(int(said["VmHWM"].split()[0]) // 1024)


def _native(seconds):
    return render(scene_of(SEED, 2), 80, 144, seconds, 8.0).frames


def _ffmpeg(frames, fps, filters):
    _, h, w, _ = frames.shape
    done = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
                           "-s", f"{w}x{h}", "-r", str(fps), "-i", "-", "-vf", filters, "-f", "rawvideo", "-pix_fmt",
                           "rgb24", "-"], input=frames.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, h, w, 3)


def _vidstab(frames):
    with tempfile.TemporaryDirectory() as folder:
        seen = f"{folder}/transforms.trf"
        _ffmpeg(frames, 24.0, f"vidstabdetect=shakiness=10:result={seen}")
        return _ffmpeg(frames, 24.0, f"vidstabtransform=input={seen}:smoothing=18")


if __name__ == "__main__":
    app()
