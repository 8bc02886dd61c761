"""How well films show what was asked, against the clips that training had seen: the weights that shipped over time,
all judged by the referee that ships now. Writes curve.json and curve.png.

    python benchmarks/curve.py --films 48

Versions come from the repository's history; those that today's code cannot load are left out and named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from tqdm import tqdm

from sorakit.evaluation.adherence import describe, judge, scenes_to_ask, shares_of
from sorakit.evaluation.referee import Referee
from sorakit.evaluation.report import make_films
from sorakit.pipeline import load

WHERE = "sorakit/weights/nano"
ROOT = Path(__file__).parents[1]
PARTS = ("subject", "colour", "action", "direction", "setting", "time", "camera", "scene, one subject")


def versions() -> list[str]:
    """The commits that changed the shipped weights, the oldest first."""
    log = subprocess.run(["git", "log", "--reverse", "--format=%h", "--", f"{WHERE}/card.json"], cwd=ROOT,
                         capture_output=True, text=True, check=True)
    return log.stdout.split()


def clips_of(commit: str) -> int:
    """How many clips the flow model of a version had seen."""
    card = subprocess.run(["git", "show", f"{commit}:{WHERE}/card.json"], cwd=ROOT, capture_output=True, check=True)
    return json.loads(card.stdout)["flow_training"]["clips_seen"]


def measure(commit: str, scenes, referee: Referee, steps: int) -> dict | None:
    """Clips seen and shares of one version; None if it does not load."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit, WHERE], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        card = json.loads((Path(folder) / WHERE / "card.json").read_text())
        try:
            pipe = load(Path(folder) / WHERE)
        except (ValueError, KeyError, RuntimeError) as error:                       # another network's weights
            print(f"{commit} is left out: {str(error).splitlines()[0]}")
            return None
    films = list(make_films(pipe, [describe(scene) for scene in scenes], 1, steps=steps, guidance=4.0))
    shares = shares_of([[judge(scene, reading)] for scene, reading in zip(scenes, referee.read(films))])
    return {"commit": commit, "clips": card["flow_training"]["clips_seen"],
            "shares": {part: [share.share, share.low, share.high] for part, share in shares.items()}}


def plot(rows: list[dict], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for part in PARTS:
        axes.plot([row["clips"] / 1e6 for row in rows], [100 * row["shares"][part][0] for row in rows], marker="o",
                  label=part)
    axes.set(xlabel="million clips and stills seen", ylabel="% right, by the referee", ylim=(0, 102))
    figure.legend(loc="outside right center", fontsize=8)
    figure.savefig(path, dpi=140)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=48, help="of combinations held out from training")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    scenes, referee = scenes_to_ask(arguments.films, held_out=True), Referee.load()
    rows = {}                                            # where only a student was added, the clips are the same
    for commit in tqdm(versions(), unit="version"):
        if clips_of(commit) not in rows and (row := measure(commit, scenes, referee, arguments.steps)):
            rows[row["clips"]] = row
    rows = list(rows.values())
    (arguments.out / "curve.json").write_text(json.dumps({**vars(arguments), "out": None, "rows": rows}, indent=1))
    plot(rows, arguments.out / "curve.png")
    for row in rows:
        print(row["commit"], row["clips"], {part: round(100 * share[0]) for part, share in row["shares"].items()})


if __name__ == "__main__":
    main()
