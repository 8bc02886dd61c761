"""The command line: `sorakit generate` makes a film, `sorakit train` trains the models that make it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sorakit import cli_tools
from sorakit.cli_common import (
    LEDGER,
    AuditFile,
    CodecName,
    ConsentFile,
    Denoised,
    Device,
    FinishPreset,
    Fps,
    Guidance,
    Height,
    LedgerFile,
    LookName,
    Negative,
    NewAspect,
    Output,
    PlanName,
    PolicyName,
    Seed,
    Sharpened,
    Size,
    Stabilised,
    Stages,
    Steps,
    User,
    Weights,
    Width,
    at_work,
    say,
    show,
    told,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich",
                  help="Text to video, on your own machine, with a model that you can take apart.")
train = typer.Typer(no_args_is_help=True, help="Train the models from nothing. Stops after so many minutes; the same "
                                               "command goes on where it stopped.")

Preset = Annotated[str, typer.Option(help="How large a model: nano or base.")]
Minutes = Annotated[float, typer.Option(help="Minutes of training in all.", min=0)]
Out = Annotated[Path, typer.Option("--out", help="Folder for checkpoints, curves and samples.")]
Clips = Annotated[int, typer.Option(help="How many different clips to learn from; drawn once.", min=1)]
Stills = Annotated[int, typer.Option(help="How many first frames of other clips to learn from.", min=0)]
StillShare = Annotated[float, typer.Option(help="Share of the steps that learn from stills.", min=0, max=1)]
Workers = Annotated[int, typer.Option(help="Processes that draw them.", min=1)]
Half = Annotated[bool, typer.Option(help="Compute in bf16 on a CPU too: some are faster at it, some far slower.")]
Compiled = Annotated[bool, typer.Option(help="Compile the transformer's blocks first: minutes, and then a third less "
                                             "for each step. Wants a C++ compiler.")]
Data = Annotated[Path, typer.Option(help="Folder that keeps them.")]


@app.command(help="Make a film of a prompt.\n\nFor example: [bold]sorakit generate \"a black cat walks in the snow\" "
                  "--seed 7 -o cat.mp4[/bold]")
def generate(
    prompt: Annotated[str, typer.Argument(help="What the film should show, in plain English. [dim]What the --image "
                                               "shows, if not given.[/dim]")] = "",
    output: Output = Path("film.mp4"), negative: Negative = "",
    image: Annotated[Path | None, typer.Option(help="A picture to start from: the first frame.")] = None,
    seconds: Annotated[float, typer.Option(help="How long. [dim]Over 10 it is made in windows of 2, which know the "
                                                "second before them.[/dim]")] = 2.0,
    aspect: NewAspect = None, height: Height = None, width: Width = None, seed: Seed = 0, steps: Steps = None,
    guidance: Guidance = None, weights: Weights = None, device: Device = None,
    preset: FinishPreset = None, size: Size = None, fps: Fps = None, look: LookName = None,
    stabilise: Stabilised = False, denoise: Denoised = None, sharpen: Sharpened = None, codec: CodecName = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    cancelled = f"cancelled; {output} was not written"
    recipe = {"preset": preset, "size": size, "fps": fps, "look": look, "stabilise": stabilise, "denoise": denoise,
              "sharpen": sharpen}
    with at_work(cancelled, weights, device, (plan, ledger, user), (policy, consent, audit), output, codec=codec,
                 recipe=recipe) as (pipe, stages):
        from sorakit.pipeline import MAX_SECONDS
        from sorakit.tools import reel

        at_once = {"window": max(2.0, seconds)} if seconds <= MAX_SECONDS else {}
        film = reel(pipe, prompt, seconds, image=image, aspect=aspect, height=height, width=width, seed=seed,
                    negative=negative, steps=steps, guidance=guidance, progress=stages, **at_once)
        done = film.save(output, codec=codec, progress=stages)
        made = f"seed {seed}, {pipe.planned(steps, guidance, negative)}"
        show(done.path, done.count, done.fps, done.height, done.width, stages, made, film.notes)


@app.command(help="Tell where a film comes from: who signed it, whether it was changed since, and what its watermark "
                  "says.\n\nEnds with 0 for a film that is as it was signed, with 1 for any other.")
def verify(
    film: Annotated[Path, typer.Argument(help="A film: .mp4, .webm, .gif, whatever ffmpeg reads.")],
    as_json: Annotated[bool, typer.Option("--json", help="All that was found, for programs.")] = False,
    trust: Annotated[list[Path] | None, typer.Option(help="authority.pem of somebody whom you trust. [dim]Yours, "
                                                          "always.[/dim]")] = None,
):
    with told("cancelled"):
        from sorakit.safety.verify import verify

        found = verify(film, trust=tuple(trust or ()))
        say.print(found.json() if as_json else str(found), markup=False)
    raise typer.Exit(0 if found.genuine else 1)


@app.command(help="The line for a consent list that says that the people in a picture or film agreed to be shown.\n\n"
                  "For example: [bold]sorakit consent ada.jpg --consent agreed.txt[/bold]")
def consent(
    file: Annotated[Path, typer.Argument(help="The picture or film, just as it will be given; a .gif is a film.")],
    into: Annotated[Path | None, typer.Option("--consent", help="The list to add the line to. [dim]It is only printed, "
                                                                "if not given.[/dim]")] = None,
):
    with told("cancelled"):
        from sorakit.prompt.files import open_film, read_image
        from sorakit.safety.policy import add_consent, film_hash, picture_hash

        try:
            picture = None if file.suffix.lower() == ".gif" else read_image(file)
        except ValueError:                                   # no picture; what is no film either is told of below
            picture = None
        line = f"film: {film_hash(open_film(file).path)}" if picture is None else f"picture: {picture_hash(picture)}"
        if into is not None:
            add_consent(into, line)
        say.print(line, markup=False)


@app.command(help="Make films of the benchmark's prompts, read them back with the referee, and write the report.")
def evaluate(
    weights: Annotated[str, typer.Option(help="nano, base, or a folder with weights.")] = "nano",
    prompts: Annotated[str, typer.Option(help="seen, held-out or both.")] = "both",
    seeds: Annotated[int, typer.Option(help="Films of each prompt.")] = 2,
    films: Annotated[int, typer.Option(help="In each list of prompts, all seeds together.")] = 100,
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("docs"),
    steps: Steps = None, guidance: Guidance = None,
    batch: Annotated[int, typer.Option(help="Films at a time.")] = 8,
    data: Data = Path("checkpoints/data"),
    referee: Annotated[Path | None, typer.Option(help="Folder of a referee that you trained. [dim]The one that ships."
                                                      "[/dim]")] = None,
    device: Device = None,
):
    with told("cancelled; no report was written"):
        from sorakit.evaluation import report

        with Stages() as stages:
            parts = report.evaluate(weights, prompts, seeds, films, out, steps=steps, guidance=guidance, batch=batch,
                                    data=data, referee=referee, device=device, progress=stages)
    for name, part in parts.items():
        say.print(name, style="bold")
        for key, share in part.adherence.items():
            say.print(f"  {key:<20} {share}   ceiling {part.ceiling[key]}", markup=False)


@train.command("autoencoder", help="Stage 2: frames to latents and back, on clips of the drawn world.")
def train_autoencoder(preset: Preset = "nano", minutes: Minutes = 60.0, out: Out = Path("checkpoints/autoencoder"),
                      clips: Clips = 3000, workers: Workers = 1, data: Data = Path("checkpoints/data"),
                      start: Annotated[str | None, typer.Option(help="nano, base or a folder: go on from that one.")
                                       ] = None,
                      decoder_of: Annotated[str | None, typer.Option(
                          help="nano, base or a folder: keep that one's encoder, and train its decoder on.")
                      ] = None,
                      remade_by: Annotated[str | None, typer.Option(
                          help="nano, base or a folder: with --decoder-of, learn from films remade by its flow model.")
                      ] = None,
                      seed: Annotated[int, typer.Option(help="Another seed draws other clips.")] = 0,
                      subject_weight: Annotated[float, typer.Option(help="How much a pixel of a subject counts.")]
                      = 3.0, half: Half = False, device: Device = None):
    with told("stopped; the same command goes on from the last checkpoint"):
        from sorakit.training import autoencoder

        autoencoder.train(preset, minutes, out, data, clips=clips, workers=workers, start=start, decoder_of=decoder_of,
                          remade_by=remade_by, seed=seed, subject_weight=subject_weight, half=half, device=device)


@train.command("flow", help="Stages 3 and 4: words and noise to latents, once there is an autoencoder.")
def train_flow(preset: Preset = "nano", minutes: Minutes = 60.0, out: Out = Path("checkpoints/flow"),
               clips: Clips = 3000, workers: Workers = 1, data: Data = Path("checkpoints/data"),
               autoencoder: Annotated[Path, typer.Option(help="Folder of the trained autoencoder.")]
               = Path("checkpoints/autoencoder"),
               start: Annotated[str | None, typer.Option(
                   help="Finished weights to begin with, their autoencoder included: nano, base or a folder.")] = None,
               stills: Stills = 0, still_share: StillShare = 1 / 16, half: Half = False,
               seed: Annotated[int, typer.Option(help="Another seed draws other clips.")] = 1,
               fall: Annotated[float, typer.Option(help="Last share of the minutes, in which the learning rate falls "
                                                        "to nothing; 1 with --start.")] = 0.25,
               rate: Annotated[float, typer.Option(help="Share of the full learning rate to learn at.")] = 1.0,
               keep: Annotated[float, typer.Option(help="Share of --start in the weights that come out.")] = 0.0,
               routed: Annotated[float, typer.Option(help="First share of the minutes, in which half of the places "
                                                          "pass by the middle blocks.")] = 0.0,
               compiled: Compiled = False, device: Device = None):
    with told("stopped; the same command goes on from the last checkpoint"):
        from sorakit.training import flow

        flow.train(preset, minutes, out, data, autoencoder, clips=clips, workers=workers, start=start, seed=seed,
                   stills=stills, still_share=still_share, half=half, device=device, fall=fall, rate=rate,
                   compiled=compiled, keep=keep, routed=routed)


@train.command("few-step", help="Teaches a trained flow model to need 1 to 8 steps, with guidance built in.")
def train_few_step(start: Annotated[str, typer.Option(help="The flow model: nano, base or a folder.")] = "nano",
                   minutes: Minutes = 60.0, out: Out = Path("checkpoints/few_step"), clips: Clips = 3000,
                   workers: Workers = 1, data: Data = Path("checkpoints/data"), stills: Stills = 0,
                   still_share: StillShare = 1 / 16, half: Half = False, compiled: Compiled = False,
                   guidance: Annotated[float, typer.Option(help="How hard the prompt is to pull.")] = 4.0,
                   walks: Annotated[int, typer.Option(help="Batches of films that the flow model makes first, to "
                                                           "learn from; they are kept.")] = 100,
                   seed: Annotated[int, typer.Option(help="Another seed draws other clips.")] = 1,
                   device: Device = None):
    with told("stopped; the same command goes on from the last checkpoint"):
        from sorakit.training import few_step

        few_step.train(start, minutes, out, data, walks=walks, clips=clips, stills=stills, still_share=still_share,
                       guidance=guidance, seed=seed, workers=workers, half=half, compiled=compiled, device=device)


app.registered_commands += cli_tools.app.registered_commands
app.add_typer(train, name="train")


if __name__ == "__main__":
    sys.exit(app())
