"""What every recipe shares: a budget of minutes, a progress bar, curves, and checkpoints that survive a SIGKILL."""

from __future__ import annotations

import contextlib
import csv
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn
from tqdm import tqdm

from ..whole import whole

WARMUP = 100        # steps


class Loop:
    """Trains until its minutes are spent, counting those of the runs that it goes on from.

    `step(n)` computes the loss of step n from the seed and n alone, so a run that was killed goes on with the very
    next loss. Several processes (torchrun) each take their part of every batch. `fall` is the last share of the
    minutes, in which the learning rate falls to nothing; `recipe` what a training that goes on must have in common with
    the one that it goes on from: else ValueError.
    """

    def __init__(self, out: str | Path, model: nn.Module, optimisers: list, *, minutes: float,
                 max_steps: int | None = None, every: float = 120, fall: float = 0.25, recipe: dict | None = None):
        if not 0 < fall <= 1:
            raise ValueError(f"fall={fall!r} is not a share of the minutes: it takes more than 0 and at most 1")
        keep_memory()
        self.out = Path(out)
        self.out.mkdir(parents=True, exist_ok=True)
        self.model, self.optimisers = model, optimisers
        self.rates = [[group["lr"] for group in optimiser.param_groups] for optimiser in optimisers]
        self.average = {name: value.detach().clone().float() for name, value in model.state_dict().items()}
        self.minutes, self.max_steps, self.every = minutes, max_steps or float("inf"), every
        self.fall, self.recipe = fall, check_recipe(out, recipe or {})
        self.n, self.spent, self.clips = 0, 0.0, 0
        if (self.out / "checkpoint.pt").exists():
            self._load()

    def run(self, step: Callable[[int], tuple[torch.Tensor, int]], look: Callable[[], None] | None = None) -> None:
        """step(n) -> (loss, clips of this process); look() is called at each checkpoint to write samples.

        Ctrl-C ends it after the step at hand, with a checkpoint; a second one at once, with the last checkpoint.
        """
        with _ctrl_c() as asked:
            self._run(step, look, asked)

    def _run(self, step, look, asked: list):
        started, saved, before = time.time(), time.time(), self.spent
        ranks = distributed.get_world_size() if distributed.is_initialized() else 1
        first = not distributed.is_initialized() or distributed.get_rank() == 0
        bar = tqdm(total=round(self.minutes * 60), initial=round(self.spent), unit="s", disable=not first,
                   bar_format="{l_bar}{bar}| {remaining} left{postfix}")
        curve = []
        while self._agree(not asked and self.spent < self.minutes * 60 and self.n < self.max_steps):
            factor = min(1.0, (self.n + 1) / WARMUP, (1 - self.spent / (60 * self.minutes)) / self.fall)
            for optimiser, rates in zip(self.optimisers, self.rates):
                for group, rate in zip(optimiser.param_groups, rates):
                    group["lr"] = rate * factor
            loss, clips = step(self.n)
            loss.backward()
            self._share_gradients(ranks)
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            for optimiser in self.optimisers:
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
            self._update_average()
            self.n, self.clips, self.spent = self.n + 1, self.clips + clips * ranks, before + time.time() - started
            curve.append((self.n, self.clips, round(self.spent, 1), loss.item()))
            if self.n % 10 == 0:
                recent = sum(row[-1] for row in curve[-50:]) / len(curve[-50:])
                bar.set_postfix_str(f"loss {recent:.4f}, {self.clips / self.spent:.1f} clips/s, step {self.n}")
                bar.update(min(bar.total, round(self.spent)) - bar.n)
            if first and time.time() - saved > self.every:
                self._save(curve)
                curve, saved = [], time.time()
                show(look)
        if first:
            self._save(curve)
            show(look)
        bar.close()

    def averaged(self) -> dict[str, torch.Tensor]:
        """The running average of the weights, which makes better films than the weights themselves."""
        return {name: value.cpu() for name, value in self.average.items()}

    def _update_average(self):
        decay = min(0.999, self.n / (self.n + 20))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value.float(), 1 - decay)

    def _share_gradients(self, ranks):
        if ranks > 1:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    distributed.all_reduce(parameter.grad)
                    parameter.grad /= ranks

    def _agree(self, go: bool) -> bool:
        """All processes stop together, and learn at one rate: the first one's clock counts."""
        if not distributed.is_initialized():
            return go
        word = torch.tensor([go, self.spent], dtype=torch.float64)
        if distributed.get_backend() == "nccl":
            word = word.cuda()
        distributed.broadcast(word, 0)
        go, self.spent = word.tolist()
        return bool(go)

    def _save(self, curve):
        with (self.out / "curve.csv").open("a", newline="") as file:
            csv.writer(file).writerows(curve)
        plot_curve(self.out / "curve.csv", self.out / "curve.png")
        with whole(self.out / "checkpoint.pt") as beside:
            torch.save({"model": self.model.state_dict(), "average": self.average, "n": self.n, "spent": self.spent,
                        "clips": self.clips, "recipe": self.recipe,
                        "optimisers": [o.state_dict() for o in self.optimisers]}, beside)

    def _load(self):
        kept = torch.load(self.out / "checkpoint.pt", map_location=next(self.model.parameters()).device,
                          weights_only=True)
        try:
            self.model.load_state_dict(kept["model"])
        except RuntimeError as error:
            raise ValueError(f"out={str(self.out)!r} holds a training of a model of another shape; pass another out=, "
                             "or remove it") from error
        self.average, self.n, self.spent, self.clips = kept["average"], kept["n"], kept["spent"], kept["clips"]
        for optimiser, state in zip(self.optimisers, kept["optimisers"]):
            optimiser.load_state_dict(state)
            for kept_of in optimiser.state.values():
                if "step" in kept_of:
                    kept_of["step"] = kept_of["step"].cpu()                  # AdamW reads it at each step


def show(look: Callable[[], None] | None) -> None:
    """Samples are no reason to end a training: one that cannot be written is told of."""
    try:
        if look:
            look()
    except OSError as error:
        tqdm.write(f"no samples this time: {error}", file=sys.stderr)


def check_recipe(out: str | Path, recipe: dict) -> dict[str, str]:
    """A recipe as it is kept. Raises ValueError if a folder holds a training that began with another one."""
    recipe, path = {name: str(value) for name, value in recipe.items()}, Path(out) / "checkpoint.pt"
    kept = torch.load(path, map_location="cpu", weights_only=True, mmap=True).get("recipe", {}) if path.exists() else {}
    for name, value in kept.items():
        if recipe.get(name, value) != value:
            raise ValueError(f"{name}={recipe[name]} is not what the training in out={str(out)!r} began with, {value}; "
                             "pass another out=, or remove it")
    return recipe


@contextlib.contextmanager
def _ctrl_c() -> Iterator[list[int]]:
    """Gives a list that fills at the first Ctrl-C, which does nothing else; raises KeyboardInterrupt at the end if it
    came. In threads, where nobody can press it, the list stays empty."""
    asked, before = [], signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    signal.signal(signal.SIGINT, lambda number, frame: (asked.append(number), signal.signal(signal.SIGINT, before)))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


def plot_curve(source: Path, target: Path, points: int = 200) -> None:
    """Draw the loss against the clips seen, each point the mean of many steps."""
    from matplotlib.figure import Figure

    if not source.stat().st_size:
        return
    rows = np.loadtxt(source, delimiter=",", ndmin=2)                       # step, clips, seconds, loss
    means = np.array([part.mean(0) for part in np.array_split(rows, min(points, len(rows)))])
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(means[:, 1], means[:, 3])
    axes.set(xlabel="clips seen", ylabel="loss")
    figure.savefig(target, dpi=120)


def keep_memory() -> None:
    """Tell glibc to keep freed memory instead of giving it back: a training step on a CPU is then a quarter faster."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):                  # another C library
            c = ctypes.CDLL("libc.so.6")
            c.mallopt(-4, 0)                                                 # M_MMAP_MAX: never map a block apart
            c.mallopt(-1, 2**31 - 1)                                         # M_TRIM_THRESHOLD


@contextlib.contextmanager
def first_goes_first() -> Iterator[None]:
    """What the first of several processes makes in this context, the others find made."""
    several = distributed.is_initialized()
    if several and distributed.get_rank():
        distributed.barrier()
    yield
    if several and not distributed.get_rank():
        distributed.barrier()


def join_processes() -> tuple[int, int]:
    """This process's rank and how many there are, joining those that torchrun started."""
    if "WORLD_SIZE" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
