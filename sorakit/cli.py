"""The command line: `sorakit generate` makes a film, `sorakit train` trains the models that make it."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich",
                  help="Text to video, on your own machine, with a model that you can take apart.")
train = typer.Typer(no_args_is_help=True, help="Train the models from nothing. Stops after so many minutes; the same "
                                               "command goes on where it stopped.")
app.add_typer(train, name="train")
say = Console(highlight=False, soft_wrap=True)
say_aside = Console(stderr=True, highlight=False, soft_wrap=True)   # progress and errors, so that stdout stays clean

Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu. [dim]The best one here, if not given.[/dim]")]
Preset = Annotated[str, typer.Option(help="How large a model: nano or base.")]
Minutes = Annotated[float, typer.Option(help="Minutes of training in all.", min=0)]
Out = Annotated[Path, typer.Option("--out", help="Folder for checkpoints, curves and samples.")]
Clips = Annotated[int, typer.Option(help="How many different clips to learn from; drawn once.", min=1)]
Workers = Annotated[int, typer.Option(help="Processes that draw them.", min=1)]
Data = Annotated[Path, typer.Option(help="Folder that keeps them.")]


@app.command(help="Make a film of a prompt.\n\nFor example: [bold]sorakit generate \"a black cat walks in the snow\" "
                  "--seed 7 -o cat.mp4[/bold]")
def generate(
    prompt: Annotated[str, typer.Argument(help="What the film should show, in plain English.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to: .mp4, .webm or .gif.")] = Path("film.mp4"),
    negative: Annotated[str, typer.Option(help="What to steer away from.")] = "",
    image: Annotated[Path | None, typer.Option(help="A picture to start from: the first frame.")] = None,
    seconds: Annotated[float, typer.Option(help="How long, up to 10.")] = 2.0,
    aspect: Annotated[str, typer.Option(help="16:9, 9:16 or 1:1.")] = "16:9",
    height: Annotated[int | None, typer.Option(help="Pixels. [dim]The short side has 432, if not given.[/dim]")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another film; the same seed, the same film.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps: more are slower and finer. [dim]4 with few-step "
                                                   "weights, else 25.[/dim]")] = None,
    guidance: Annotated[float | None, typer.Option(help="How hard the prompt pulls. [dim]4, if not given.[/dim]")]
    = None,
    weights: Annotated[str, typer.Option(help="nano, base, or a folder with weights.")] = "nano",
    device: Device = None,
):
    with told(f"cancelled; {output} was not written"):
        from sorakit import videofile

        videofile.check_path(output)
        with Stages() as stages:
            stages("load", 0, 1)
            from sorakit.pipeline import load

            pipe = load(weights, device)
            stages("load", 1, 1)
            video = pipe(prompt, negative=negative, image=image, seconds=seconds, aspect=aspect, seed=seed,
                         steps=steps, guidance=guidance, height=height, progress=stages)
            stages("save", 0, 1)
            path = video.save(output)
            stages("save", 1, 1)
    say.print(f"{path}", style="bold", markup=False)
    say.print(f"{video.seconds:.1f} s, {len(video.frames)} frames of {video.height} x {video.width}, seed {seed}")
    say.print(" · ".join(f"{stage} {seconds:.1f} s" for stage, seconds in stages.took.items()), style="dim")


@app.command(help="Make films of the benchmark's prompts, read them back with the referee, and write the report.")
def evaluate(
    weights: Annotated[str, typer.Option(help="nano, base, or a folder with weights.")] = "nano",
    prompts: Annotated[str, typer.Option(help="seen, held-out or both.")] = "both",
    seeds: Annotated[int, typer.Option(help="Films of each prompt.")] = 2,
    films: Annotated[int, typer.Option(help="In each list of prompts, all seeds together.")] = 100,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("docs"),
    steps: Annotated[int | None, typer.Option(help="Denoising steps.")] = None,
    guidance: Annotated[float | None, typer.Option(help="How hard the prompt pulls.")] = None,
    batch: Annotated[int, typer.Option(help="Films at a time.")] = 8,
    data: Data = Path("checkpoints/data"), device: Device = None,
):
    with told("cancelled; no report was written"):
        from sorakit.evaluation import report

        with Stages() as stages:
            parts = report.evaluate(weights, prompts, seeds, films, out, steps=steps, guidance=guidance, batch=batch,
                                    data=data, device=device, progress=stages)
    for name, part in parts.items():
        say.print(name, style="bold")
        for key, share in part.adherence.items():
            say.print(f"  {key:<20} {share}   ceiling {part.ceiling[key]}", markup=False)


@train.command("autoencoder", help="Stage 2: frames to latents and back, on clips of the drawn world.")
def train_autoencoder(preset: Preset = "nano", minutes: Minutes = 60.0, out: Out = Path("checkpoints/autoencoder"),
                      clips: Clips = 3000, workers: Workers = 1, data: Data = Path("checkpoints/data"),
                      decoder_of: Annotated[str | None, typer.Option(
                          help="nano, base or a folder: keep that one's encoder, and train its decoder on.")
                      ] = None,
                      device: Device = None):
    with told("stopped; the same command goes on from the last checkpoint"):
        from sorakit.training import autoencoder

        autoencoder.train(preset, minutes, out, data, clips=clips, workers=workers, decoder_of=decoder_of,
                          device=device)


@train.command("flow", help="Stages 3 and 4: words and noise to latents, once there is an autoencoder.")
def train_flow(preset: Preset = "nano", minutes: Minutes = 60.0, out: Out = Path("checkpoints/flow"),
               clips: Clips = 3000, workers: Workers = 1, data: Data = Path("checkpoints/data"),
               autoencoder: Annotated[Path, typer.Option(help="Folder of the trained autoencoder.")]
               = Path("checkpoints/autoencoder"),
               start: Annotated[str | None, typer.Option(
                   help="Finished weights to begin with, their autoencoder included: nano, base or a folder.")] = None,
               stills: Annotated[int, typer.Option(help="How many first frames of other clips to learn from.")] = 0,
               still_share: Annotated[float, typer.Option(help="Share of the steps that learn from stills.", min=0,
                                                          max=1)] = 1 / 16,
               half: Annotated[bool, typer.Option(help="Multiply in bf16 on a CPU too: some are faster at it, some far "
                                                       "slower.")] = False,
               seed: Annotated[int, typer.Option(help="Another seed draws other clips.")] = 1, device: Device = None):
    with told("stopped; the same command goes on from the last checkpoint"):
        from sorakit.training import flow

        flow.train(preset, minutes, out, data, autoencoder, clips=clips, workers=workers, start=start, seed=seed,
                   stills=stills, still_share=still_share, half=half, device=device)


@train.command("few-step", help="Teaches a trained flow model to need 1 to 8 steps, with guidance built in.")
def train_few_step(start: Annotated[str, typer.Option(help="The flow model: nano, base or a folder.")] = "nano",
                   minutes: Minutes = 60.0, out: Out = Path("checkpoints/few_step"), clips: Clips = 3000,
                   workers: Workers = 1, data: Data = Path("checkpoints/data"),
                   guidance: Annotated[float, typer.Option(help="How hard the prompt is to pull.")] = 4.0,
                   seed: Annotated[int, typer.Option(help="Another seed draws other clips.")] = 1,
                   device: Device = None):
    with told("stopped; the same command goes on from the last checkpoint"):
        from sorakit.training import few_step

        few_step.train(start, minutes, out, data, clips=clips, guidance=guidance, seed=seed, workers=workers,
                       device=device)


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
        say_aside.print(str(error), markup=False)
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


if __name__ == "__main__":
    sys.exit(app())
