"""What each sampler makes of so many evaluations of the network: how much of what was asked the referee finds in the
films, and how far the latents are from where 200 steps of the same flow lead. Writes steps.json and steps.png.

    python benchmarks/steps.py --weights nano --prompts 50 --seeds 2
    python benchmarks/steps.py --weights nano --prompts 4 --scorer none --evaluations 8 24

A scorer is a function `module:name` of films (t, h, w, 3) and the scenes that they were to show, which says numbers
by name.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from sorakit.diffusion.sampler import Sampler
from sorakit.evaluation.adherence import describe, judge, scenes_to_ask
from sorakit.pipeline import Pipeline, load, sampler_for
from sorakit.types import NATIVE_FPS, Brief
from sorakit.world.scene import Scene

SAMPLERS = {
    "Euler": Sampler(), "Heun": Sampler(method="heun"), "DPM-Solver++(2M)": Sampler(method="dpmpp_2m"),
    "UniPC": Sampler(method="unipc"), "DDIM": Sampler(method="ddim"), "ancestral": Sampler(method="ancestral"),
    "guidance interval": Sampler(interval=(0.3, 1.0)), "CFG-Zero*": Sampler(guide="cfg_zero"),
    "APG": Sampler(guide="apg"), "few-step": Sampler(method="few_step"),
}
ONE_FLOW = ("Euler", "Heun", "DPM-Solver++(2M)", "UniPC", "DDIM", "few-step")    # all on the way to the same film
AS_IN_PIPE = "as `pipe` walks"                                                   # ancestral, guided to shapes as well
REFERENCE = 200                                                                  # steps of Euler's method


class Counted:
    """A network that counts for how many films it was evaluated: with and without the prompt are two."""

    def __init__(self, network):
        self.network, self.films = network, 0

    def __call__(self, x, *args, **options):
        self.films += len(x)
        return self.network(x, *args, **options)

    def __getattr__(self, name):                     # whoever is guided to shapes also asks for parts by name
        return getattr(self.network, name)


def steps_of(name: str, evaluations: int) -> int:
    """How many steps come nearest to so many evaluations: guidance takes two for each, Heun's method twice that."""
    per_step = {"Heun": 4, "few-step": 1}.get(name, 2)
    return max(1, round(evaluations / per_step))


def measure(pipe: Pipeline, scenes: Sequence[Scene], seeds: int, evaluations: Sequence[int], guidance: float,
            score: Callable[[list[np.ndarray], list[Scene]], dict[str, float]] | None) -> list[dict]:
    """A row for each sampler and number of evaluations; few-step only for weights that have a two-time network."""
    few_step = getattr(pipe, "few_step", None)
    jobs = [(scene, seed) for scene in scenes for seed in range(seeds)]
    asked = [pipe.text_encoder(Brief(describe(scene))) for scene, _ in jobs]

    def latents(sampler, network, steps, guidance):
        return [sampler(network, pipe.noise(2.0, "16:9", seed), words, steps=steps, guidance=guidance,
                        fps=NATIVE_FPS).values for words, (_, seed) in zip(asked, jobs)]

    reference = latents(Sampler(), pipe.transformer, REFERENCE, guidance)
    rows = []
    for name, sampler in {**SAMPLERS, AS_IN_PIPE: sampler_for(pipe.transformer)}.items():
        network, scale = (few_step, 1.0) if name == "few-step" else (pipe.transformer, guidance)
        steps = sorted({steps_of(name, n) for n in evaluations}) if network is not None else []
        for n in tqdm(steps, desc=name, unit="budget"):
            counted = Counted(network)
            films = latents(sampler, counted, n, scale)
            row = {"sampler": name, "steps": n, "evaluations": counted.films / len(films)}
            if name in ONE_FLOW:
                row["distance"] = float(np.mean([rms(a - b) for a, b in zip(films, reference)]))
            if score:
                row |= score([pixels(pipe, film) for film in films], [scene for scene, _ in jobs])
            rows.append(row)
    return rows


def rms(x: torch.Tensor) -> float:
    return x.square().mean().sqrt().item()


@torch.no_grad()
def pixels(pipe: Pipeline, latents: torch.Tensor) -> np.ndarray:
    """The film as the model draws it, (t, h, w, 3) uint8."""
    film = (pipe.autoencoder.decode(latents).float().clamp(-1, 1) + 1) * 127.5
    return film[0].round().byte().permute(1, 2, 3, 0).cpu().numpy()


def adherence(films: list[np.ndarray], scenes: list[Scene]) -> dict[str, float]:
    """The share of attributes, and of whole scenes, that the referee which ships reads as they were asked."""
    from sorakit.evaluation.referee import Referee

    judged = [judge(scene, reading) for scene, reading in zip(scenes, Referee.load().read(films))]
    return {"attributes right": float(np.mean([np.mean([right for name, right in verdict.items()
                                                        if not name.startswith("scene")]) for verdict in judged])),
            "whole scene right": float(np.mean([verdict["scene"] for verdict in judged]))}


def plot(rows: list[dict], path: Path) -> None:
    """Each score, and the distance, against evaluations of the network: a line for each sampler."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    keys = sorted({key for row in rows for key in row} - {"sampler", "steps", "evaluations"})
    figure = Figure(figsize=(5 * len(keys), 4), layout="constrained")
    budgets = sorted({row["evaluations"] for row in rows if row["sampler"] == "few-step"}
                     or {row["evaluations"] for row in rows})
    for axes, key in zip(figure.subplots(1, len(keys), squeeze=False)[0], keys):
        for k, name in enumerate((*SAMPLERS, AS_IN_PIPE)):
            points = [(row["evaluations"], row[key]) for row in rows if row["sampler"] == name and key in row]
            if points:
                axes.plot(*zip(*points), marker="osD^v<>Px*h"[k], color="black" if name == AS_IN_PIPE else f"C{k}",
                          label=name, markersize=4)
        axes.set(xscale="log", xlabel="evaluations of the network a film",
                 ylabel=f"RMS to {REFERENCE} steps" if key == "distance" else key)
        axes.set_xticks(budgets, [f"{n:g}" for n in budgets])
        axes.xaxis.set_minor_locator(NullLocator())
        if key == keys[-1]:
            axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(path, dpi=140)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="nano")
    parser.add_argument("--prompts", type=int, default=50, help="how many, of combinations held out from training")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[1, 2, 4, 8, 12, 16, 24, 32, 50, 100])
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--scorer", default="adherence", help="adherence, none, or module:name")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs")
    arguments = parser.parse_args()
    module, _, name = arguments.scorer.rpartition(":")
    scorer = {"adherence": adherence, "none": None}[name] if not module else getattr(
        importlib.import_module(module), name)
    table = measure(load(arguments.weights), scenes_to_ask(arguments.prompts, held_out=True), arguments.seeds,
                    arguments.evaluations, arguments.guidance, scorer)
    arguments.out.mkdir(parents=True, exist_ok=True)
    about = {key: getattr(arguments, key) for key in ("weights", "prompts", "seeds", "guidance", "scorer")}
    (arguments.out / "steps.json").write_text(json.dumps({**about, "rows": table}, indent=1))
    plot(table, arguments.out / "steps.png")
    for row in table:
        print("  ".join(f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
                        for key, value in row.items()))
