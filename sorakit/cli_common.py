"""What the commands share: how they tell of their work, of mistakes and of plans."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

say = Console(highlight=False, soft_wrap=True)
say_aside = Console(stderr=True, highlight=False, soft_wrap=True)   # progress and errors, so that stdout stays clean

Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu. [dim]The best one here, if not given.[/dim]")]
Weights = Annotated[str | None, typer.Option(help="nano, base, or a folder with weights. [dim]The best that ships for "
                                                  "the device.[/dim]")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where to: .mp4, .webm, .mov, .webp or .gif.")]
Negative = Annotated[str, typer.Option(help="What to steer away from. [dim]Takes 25 steps, if not said.[/dim]")]
Seed = Annotated[int, typer.Option(help="Another seed, another film; the same seed, the same film.")]
Steps = Annotated[int | None, typer.Option(help="Denoising steps: more are slower and finer. [dim]4, or 25 "
                                                "where guided or steered away; over 8 take the flow model.[/dim]")]
Guidance = Annotated[float | None, typer.Option(help="How hard the prompt pulls. [dim]4, or folded in where "
                                                     "few-step weights are. A number takes the flow model.[/dim]")]
NewAspect = Annotated[str | None, typer.Option(help="16:9, 9:16, 1:1, 4:3, 3:4, 21:9 or any up to 4:1. [dim]16:9, "
                                                    "unless a preset has another.[/dim]")]
Height = Annotated[int | None, typer.Option(help="Pixels.")]
Width = Annotated[int | None, typer.Option(help="Pixels, with --height.")]
FinishPreset = Annotated[str | None, typer.Option("--preset", rich_help_panel="Finish",
                                                  help="web, cinema, social or classroom; what else is given goes "
                                                       "before it.")]
Size = Annotated[str | None, typer.Option(rich_help_panel="Finish",
                                          help="Of the short side: 480p, 720p, 1080p, 1440p, 4K, or pixels.")]
Fps = Annotated[float | None, typer.Option(rich_help_panel="Finish", help="Frames a second, by motion in between.")]
LookName = Annotated[str | None, typer.Option("--look", rich_help_panel="Finish",
                                              help="natural, cinematic, ... or a .cube file.")]
Stabilised = Annotated[bool, typer.Option("--stabilise", rich_help_panel="Finish", help="Take shake away.")]
Denoised = Annotated[float | None, typer.Option("--denoise", rich_help_panel="Finish", help="From 0 to 1.")]
Sharpened = Annotated[float | None, typer.Option("--sharpen", rich_help_panel="Finish", help="From 0 to 1.")]
CodecName = Annotated[str | None, typer.Option("--codec", rich_help_panel="Finish",
                                               help="h264 or h265 (.mp4, .mov), av1 (.mp4, .webm), vp9 (.webm), prores "
                                                    "(.mov).")]
PlanName = Annotated[str | None, typer.Option("--plan", envvar="SORAKIT_PLAN", rich_help_panel="Limits",
                                              help="Limits to keep: plus, pro, or a JSON file of your own.")]
LedgerFile = Annotated[Path, typer.Option("--ledger", envvar="SORAKIT_LEDGER", rich_help_panel="Limits",
                                          help="File that counts the films of a plan.")]
User = Annotated[str | None, typer.Option("--user", rich_help_panel="Limits",
                                          help="Whose films they are. [dim]Whoever is logged in.[/dim]")]
PolicyName = Annotated[str, typer.Option("--policy", envvar="SORAKIT_POLICY", rich_help_panel="Safety",
                                         help="What may be made: classroom, research or strict.")]
ConsentFile = Annotated[Path | None, typer.Option("--consent", envvar="SORAKIT_CONSENT", rich_help_panel="Safety",
                                                  help="File of names, pictures and films of people who "
                                                       "agreed: see sorakit consent.")]
AuditFile = Annotated[Path | None, typer.Option("--audit", envvar="SORAKIT_AUDIT", rich_help_panel="Safety",
                                                help="File to which every decision is added, prompts as hashes "
                                                     "unless the policy keeps their text; strict and research "
                                                     "ask for one.")]
LEDGER = Path("~/.sorakit/films.jsonl")


@contextlib.contextmanager
def told(cancelled: str):
    """What a user can put right is said in one line: exit code 2, or 130 for Ctrl-C."""
    try:
        yield
    except KeyboardInterrupt:
        say_aside.print(cancelled, markup=False)
        raise typer.Exit(130) from None
    except (ValueError, OSError) as error:
        say_aside.print("[bold red]error:[/bold red] ", end="")
        say_aside.print(" ".join(str(error).split()), markup=False)
        raise typer.Exit(2) from None


class Stages:
    """A line for each stage, with its steps and the time left; `took` keeps how long each was at work."""

    def __init__(self):
        self.took, self.since, self.tasks = {}, {}, {}
        self.bars = Progress(TextColumn("{task.description:<7}"), BarColumn(32), TextColumn("{task.fields[count]:>7}"),
                             TimeRemainingColumn(compact=True, elapsed_when_finished=True), console=say_aside)

    def __call__(self, stage: str, done: int, steps: int):
        if stage not in self.tasks:
            self.tasks[stage], self.since[stage] = self.bars.add_task(stage, total=None, count=""), time.perf_counter()
        count = f"{done}/{steps}" if steps > 1 else ""
        self.bars.update(self.tasks[stage], completed=done, total=steps if done or steps > 1 else None, count=count)
        if done == steps:
            self.took[stage] = time.perf_counter() - self.since[stage]

    def __enter__(self):
        self.bars.start()
        return self

    def __exit__(self, *_):
        self.bars.stop()


class Limits:
    """A plan and its ledger. Films count once the whole `with` has succeeded, the writing of their files included."""

    def __init__(self, plan: str | None, ledger: Path, user: str | None):
        self.open, self.ledger = contextlib.ExitStack(), None
        if plan is not None:
            import getpass

            from sorakit.tools.plans import Ledger, Plan

            try:
                user = getpass.getuser() if user is None else user
            except (KeyError, ImportError, OSError):
                raise ValueError("user: nobody is logged in by a name here; pass --user") from None
            self.ledger = Ledger(ledger.expanduser(), Plan.load(plan), user)

    def check(self, **size) -> None:
        self.ledger.check(**size)

    def film(self, **size):
        self.open.enter_context(self.ledger.film(**size))
        return contextlib.nullcontext()

    def __bool__(self):
        return self.ledger is not None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return self.open.__exit__(*error)

    def __str__(self):
        left = self.ledger.left()
        return f"plan {self.ledger.plan}" + ("" if left is None else f"; {left} left this month for {self.ledger.user}")


@contextlib.contextmanager
def at_work(cancelled: str, weights: str | None, device: str | None, limits: tuple, safety: tuple, *outputs: Path,
            codec: str | None = None, recipe: dict | None = None) -> Iterator[tuple]:
    """A pipeline, and what to tell its progress to. Paths and limits are looked at first, as they cost nothing.

    limits are what `Limits` takes, safety the policy, the consent file and the audit file, recipe what `recipe_of`
    takes.
    """
    with told(cancelled):
        from sorakit import videofile

        with Limits(*limits) as kept:
            for output in outputs:
                videofile.check_path(output, codec)
            if outputs:
                from sorakit.provenance import Authority

                Authority.local()
            with Stages() as stages:
                stages("load", 0, 1)
                synthesis = recipe_of(**recipe) if recipe else None
                from sorakit.pipeline import load

                pipe = load(weights, device)
                pipe.synthesis = synthesis or pipe.synthesis
                pipe.limits = kept or None
                policy, consent, audit = safety
                pipe.safety = pipe.safety.under(policy, consent=consent, audit=audit)
                stages("load", 1, 1)
                yield pipe, stages
        if kept:
            say_aside.print(f"{kept}", style="dim", markup=False)


def recipe_of(preset: str | None, size: str | None, fps: float | None, look: str | None, stabilise: bool,
              denoise: float | None, sharpen: float | None):
    """A `Synthesis` of what is given, or of a preset and what is changed of it."""
    from sorakit.synthesis.recipe import Synthesis

    asked = {"size": int(size) if size and size.isdigit() else size, "fps": fps, "look": look,
             "stabilise": stabilise or None, "denoise": denoise, "sharpen": sharpen}
    asked = {name: value for name, value in asked.items() if value is not None}
    return Synthesis(**asked) if preset is None else Synthesis.preset(preset, **asked)


def saved(stages: Stages, save: Callable[[Path], Path], output: Path) -> Path:
    stages("save", 0, 1)
    path = save(output)
    stages("save", 1, 1)
    return path


def show(path: Path, count: int, fps: float, height: int, width: int, stages: Stages, made: str = "",
         notes: tuple[str, ...] = ()) -> None:
    """Where a film is, what it measures and what took how long."""
    stages.bars.stop()
    say.print(f"{path}", style="bold", markup=False)
    say.print(", ".join(filter(None, (f"{count / fps:.1f} s", f"{count} frames of {height} x {width}", made))))
    for note in notes:
        say.print(note, markup=False)
    say.print(" · ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.took.items()), style="dim")
