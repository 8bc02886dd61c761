"""Measures how fast the world is drawn and a film is made: medians of repeated runs on an idle machine, ratios within
one run. Prints its tables, and with --out writes them as a page.

    python benchmarks/speed.py --weights nano --out docs/speed.md
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import sorakit as sk
from sorakit.types import NATIVE_FPS, Conditioning
from sorakit.world.render import render
from sorakit.world.scene import sample

PROMPT = "A golden retriever runs through a field of wildflowers with the sun setting in the background."
FRESH = r"""
import re, sys, time
from pathlib import Path
most = lambda: int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024     # Linux only
started = time.perf_counter()
import sorakit as sk
imported = time.perf_counter()
pipe = sk.load(sys.argv[1])
loaded, held = time.perf_counter(), most()
pipe(sys.argv[2]).save(sys.argv[3])
print(imported - started, loaded - imported, time.perf_counter() - loaded, held, most())
"""


def timed(work, runs: int = 5) -> float:
    """Median seconds of a call, the GPU's work included."""
    took = []
    for _ in range(runs):
        wait()
        started = time.perf_counter()
        work()
        wait()
        took.append(time.perf_counter() - started)
    return statistics.median(took)


def wait() -> None:
    """For a GPU, if there is one, to be done with what it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def world(clips: int = 96) -> Iterator[tuple]:
    scenes = [sample(np.random.default_rng([5, i])) for i in range(clips)]
    rate = lambda draw, height, width: clips / timed(lambda: [draw(render(s, height, width)) for s in scenes], 1)
    for height, width in ((64, 112), (80, 144), (96, 170)):
        yield f"{height} x {width}", rate(lambda clip: clip, height, width)
    yield "80 x 144, with subject masks", rate(lambda clip: clip.subject_mask, 80, 144)


def film(pipe, weights: str) -> Iterator[tuple]:
    films = []
    pipe(PROMPT)
    yield "load, warm", timed(lambda: sk.load(weights), 3)
    yield "film of 2 s", timed(lambda: films.append(pipe(PROMPT)))
    for stage in films[0].timings:
        yield f"- {stage}", statistics.median(video.timings[stage] for video in films)
    with tempfile.TemporaryDirectory() as folder:
        yield "prompt to saved MP4", timed(lambda: pipe(PROMPT).save(Path(folder) / "film.mp4"), 3)
        runs = [subprocess.run([sys.executable, "-c", FRESH, weights, PROMPT, str(Path(folder) / "film.mp4")],
                               check=True, capture_output=True, text=True).stdout.split() for _ in range(3)]
    imported, loaded, made, held, most = (statistics.median(values) for values in zip(*(map(float, r) for r in runs)))
    yield "in a fresh process: import", imported
    yield "- load", loaded
    yield "- film, saved", made
    yield "- memory once loaded (MiB)", held
    yield "- most memory (MiB)", most


def cost(pipe) -> Iterator[tuple]:
    pipe(PROMPT, steps=2)
    for steps in (1, 2, 4, 8, 25, 50):
        yield pipe.planned(steps), timed(lambda steps=steps: pipe(PROMPT, steps=steps), 3)
    for seconds in (1, 2, 4, 8):
        yield f"{seconds} s of film", timed(lambda seconds=seconds: pipe(PROMPT, seconds=seconds), 3)
    for height in (240, 432, 720, 1080):
        yield f"{height} pixels high", timed(lambda height=height: pipe(PROMPT, height=height), 3)
    sampler, network, steps, guidance = pipe.plan(None, None)
    words = pipe.text_encoder(pipe.prompt(PROMPT))
    for batch in (1, 2, 4, 8):
        noise = torch.cat([pipe.noise(2.0, "16:9", seed) for seed in range(batch)])
        some = Conditioning.together([words] * batch)
        work = lambda noise=noise, some=some: pipe.autoencoder.decode(
            sampler(network, noise, some, steps=steps, guidance=guidance, fps=NATIVE_FPS).values)
        yield f"sample and decode, each of {batch} at once", timed(work, 3) / batch


def limit(pipe) -> Iterator[tuple]:
    """GFLOP/s of a large product, and of what the models do, of which products and convolutions are counted."""
    a, b = torch.randn(2, 1536, 1536, device=pipe.device)
    a @ b
    peak = 2 * 1536**3 / timed(lambda: a @ b, 15) / 1e9
    yield "fp32 product, 1,536 x 1,536", peak, 1.0
    noise = pipe.noise(2.0, "16:9", 0)
    words = pipe.text_encoder(pipe.prompt(PROMPT))
    both, t = torch.cat([noise, noise]), torch.full((2, *noise.shape[2:]), 0.5, device=noise.device)
    forward = lambda: pipe.transformer(both, t, words.vectors.expand(2, -1, -1), words.mask.expand(2, -1))
    for name, work in (("transformer, a guided step", forward), ("decoder", lambda: pipe.autoencoder.decode(noise))):
        with FlopCounterMode(display=False) as counted:
            work()
        rate = counted.get_total_flops() / timed(work, 9) / 1e9
        yield name, rate, rate / peak


def peers(pipe) -> Iterator[tuple]:
    """Seconds beside diffusers' classes of the same size, on the same tokens, with random weights."""
    from diffusers import AutoencoderKLWan, LatteTransformer3DModel, WanTransformer3DModel

    noise = pipe.noise(2.0, "16:9", 0)
    _, channels, frames, h, w = noise.shape
    words = pipe.text_encoder(pipe.prompt(PROMPT))
    vectors, mask = words.vectors, words.mask
    heads, width, depth = pipe.transformer.blocks[0].heads, pipe.transformer.embed.out_features, len(
        pipe.transformer.blocks)
    size = lambda model: sum(p.numel() for p in model.parameters())
    ours = size(pipe.transformer)
    wan = nearest(ours, lambda ffn: WanTransformer3DModel(
        patch_size=(1, 1, 1), num_attention_heads=heads, attention_head_dim=width // heads, in_channels=channels,
        out_channels=channels, text_dim=width, freq_dim=64, ffn_dim=ffn, num_layers=depth), range(64, 1025, 64))
    latte = nearest(ours, lambda layers: LatteTransformer3DModel(
        num_attention_heads=heads, attention_head_dim=width // heads, in_channels=channels, out_channels=channels,
        num_layers=layers, sample_size=h, patch_size=1, cross_attention_dim=width, caption_channels=vectors.shape[-1],
        attention_bias=True, activation_fn="gelu-approximate", norm_type="ada_norm_single",
        norm_elementwise_affine=False, video_length=frames), range(2, depth + 1))
    square = torch.randn(1, channels, frames, h, h, device=noise.device)          # Latte takes square films only
    time_of = lambda value, like: torch.full((like.shape[0], *like.shape[2:]), value, device=like.device)
    ours_at = lambda x: timed(lambda: pipe.transformer(x, time_of(0.5, x), vectors, mask), 9)
    t = torch.tensor([500], device=noise.device)
    wan, latte = wan.to(noise.device), latte.to(noise.device)
    yield "transformer", "sorakit", ours, ours_at(noise)
    yield "transformer", "Wan", size(wan), timed(lambda: wan(noise, t, vectors), 9)
    yield "transformer, square", "sorakit", ours, ours_at(square)
    yield "transformer, square", "Latte", size(latte), timed(
        lambda: latte(square, t, vectors), 9)
    decoder = sum(p.numel() for name, p in pipe.autoencoder.named_parameters() if not name.startswith(
        ("to_latent", "encoder")))
    vae = nearest(decoder, lambda base: AutoencoderKLWan(base_dim=base, z_dim=16, num_res_blocks=1),
                  range(8, 65, 8), lambda model: size(model.decoder)).to(noise.device)
    yield "decode", "sorakit", decoder, timed(lambda: pipe.autoencoder.decode(noise))
    latents = torch.randn(1, 16, 5, 10, 18, device=noise.device)        # of 17 frames of 80 x 144 as well
    yield "decode", "Wan", size(vae.decoder), timed(lambda: vae.decode(latents), 3)


def nearest(size: int, make, choices, size_of=lambda model: sum(p.numel() for p in model.parameters())):
    """The model, of those of these choices, whose number of parameters is nearest."""
    best = min(choices, key=lambda choice: abs(size_of(make(choice)) - size))
    return make(best).eval().requires_grad_(False)


def page(pipe, weights: str) -> Iterator[str]:
    """The tables in Markdown, a line at a time."""
    device = torch.cuda.get_device_name() if pipe.device.type == "cuda" else cpu_name()
    yield "# How fast it is\n"
    yield (f"Weights `{weights}`, {pipe.device.type}, {device}, {os.cpu_count()} cores, torch {torch.__version__} with "
           f"{torch.get_num_threads()} threads, {time.strftime('%Y-%m-%d')}. Medians. "
           f"Again: `python benchmarks/speed.py --weights {weights} --out docs/speed.md`.\n")
    for title, head, rows in (
        ("The drawn world", ("17 frames each", "clips a second and core"), world()),
        (f"A film, {pipe.planned()}, 432 x 768", ("", "seconds"), film(pipe, weights)),
        ("What it depends on", ("", "seconds"), cost(pipe)),
        ("Against the limit", ("", "GFLOP/s", "of the product"), limit(pipe)),
        ("Against diffusers", ("", "", "parameters", "seconds"), peers(pipe)),
    ):
        yield f"## {title}\n"
        yield "| " + " | ".join(head) + " |"
        yield "|---" * len(head) + "|"
        for row in rows:
            yield "| " + " | ".join(value if isinstance(value, str) else f"{value:,}" if isinstance(value, int)
                                    else f"{value:.3f}" if value < 10 else f"{value:.1f}" for value in row) + " |"
        yield ""


def cpu_name() -> str:
    """What the processor calls itself."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--out", type=Path, help="page to write")
    arguments = parser.parse_args()
    lines = []
    with torch.no_grad():
        for line in page(sk.load(arguments.weights), arguments.weights):
            print(line, flush=True)
            lines.append(line)
    if arguments.out:
        beside = arguments.out.with_suffix(".tmp")
        beside.write_text("\n".join(lines))
        beside.replace(arguments.out)
