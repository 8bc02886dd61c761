"""The creative tools as commands: `sorakit remix city.mp4 "a city at night" --style cyberpunk -o night.mp4`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import typer

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
    Steps,
    User,
    Weights,
    Width,
    at_work,
    saved,
    say,
    show,
    told,
)
from sorakit.whole import whole

app = typer.Typer()
PANEL = "Creative tools"

Film = Annotated[Path, typer.Argument(help="A film: .mp4, .webm, .gif, whatever ffmpeg reads.")]
Words = Annotated[str, typer.Argument(metavar="[PROMPT]", help="What it is to show. [dim]What it shows, if not "
                                                               "given.[/dim]")]
Aspect = Annotated[str | None, typer.Option(help="16:9, 9:16, 1:1, 4:3, 21:9 or any other. [dim]As what is given has "
                                                 "it.[/dim]")]
Fit = Annotated[str, typer.Option(help="What is done with another shape: crop, or pad.")]


@app.command(rich_help_panel=PANEL, help="Change a film to what the prompt says.\n\nFor example: [bold]sorakit remix "
                                         "city.mp4 \"a city at night in the rain\" --style cyberpunk -o night.mp4"
                                         "[/bold]")
def remix(
    film: Film, prompt: Words = "", output: Output = Path("remix.mp4"),
    strength: Annotated[str, typer.Option(help="subtle, mild, strong, or 0 (the film itself) to 1 (a new one).")]
    = "mild",
    style: Annotated[str | None, typer.Option(help="natural, cinematic, cyberpunk, watercolour, film noir, "
                                                   "paper cut-out, pixel art or sketch.")] = None,
    region: Annotated[str | None, typer.Option(help="Where it may change: left,top,right,bottom from 0 to 1, or a "
                                                    "picture that is white there.")] = None,
    aspect: Aspect = None, height: Height = None, width: Width = None, fit: Fit = "crop", negative: Negative = "",
    seed: Seed = 0, steps: Steps = None, guidance: Guidance = None, weights: Weights = None, device: Device = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked, given=(film,)) as (pipe, stages):
        from sorakit import tools

        take = tools.remix(pipe, film, prompt, strength=number_or_name(strength), style=style, region=area(region),
                           aspect=aspect, height=height, width=width, fit=fit, negative=negative, seed=seed,
                           steps=steps, guidance=guidance, progress=stages)
        save_and_show(take, output, stages, seed)


@app.command(rich_help_panel=PANEL, help="Make a film of cards in time, from a board's file or from --card.\n\nFor "
                                         "example: [bold]sorakit storyboard --card \"0: a woman walks into a forest\" "
                                         "--card \"2: a unicorn appears\" -o story.mp4[/bold]")
def storyboard(
    context: typer.Context,
    board: Annotated[Path | None, typer.Argument(help="A board as JSON, see sorakit.tools.Storyboard.")] = None,
    output: Output = Path("story.mp4"),
    card: Annotated[list[str] | None, typer.Option(help="A card, as \"second: words\"; give it several times.")]
    = None,
    prompt: Annotated[str, typer.Option(help="Said with every card: the subject, the style.")] = "",
    seconds: Annotated[float, typer.Option(help="How long, of a film of --card.")] = 4.0,
    transition: Annotated[str, typer.Option(help="From card to card: smooth or cut.")] = "smooth",
    preview: Annotated[Path | None, typer.Option(help="Draw a contact sheet (.png, .jpg) in two steps, and no film.")]
    = None,
    save_board: Annotated[Path | None, typer.Option(help="Keep the board as JSON.")] = None,
    aspect: NewAspect = None, height: Height = None, width: Width = None, negative: Negative = "", seed: Seed = 0,
    steps: Steps = None, guidance: Guidance = None, weights: Weights = None, device: Device = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    outputs = (output,) if preview is None else ()
    with told("cancelled"):
        from sorakit.tools import Storyboard

        if (board is None) == (not card):
            raise ValueError("give a board's file, or cards by --card: one of the two")
        shown = Storyboard.load(board) if board else Storyboard(
            tuple(card_of(text) for text in card), seconds, prompt, transition, aspect, height, width, seed=seed)
        if board:                                # what is said here goes before what the board says
            names = ("prompt", "seconds", "transition", "aspect", "height", "width", "seed")
            said = {name: context.params[name] for name in names
                    if context.get_parameter_source(name).name == "COMMANDLINE"}
            own = {"height": None, "width": None} if "aspect" in said else {}           # an aspect of the board's size
            shown = dataclasses.replace(shown, **{**own, **said})
        if preview:
            check_picture(preview)
        if save_board:
            shown.save(save_board)
    asked = (*outputs, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked) as (pipe, stages):
        if preview:
            sheet = shown.preview(pipe, steps=2 if steps is None else steps, negative=negative, guidance=guidance,
                                  progress=stages)
            stages.bars.stop()
            say.print(f"{draw(sheet, preview)}", style="bold", markup=False)
        else:
            take = shown.film(pipe, negative=negative, steps=steps, guidance=guidance, progress=stages)
            save_and_show(take, output, stages, shown.seed)


@app.command(rich_help_panel=PANEL, help="Keep parts of a film, change its pace, make it longer.\n\nFor example: [bold]"
                                         "sorakit recut intro.mp4 --keep 0.5-2 --keep 4- --speed 0.5 -o short.mp4"
                                         "[/bold]")
def recut(
    film: Film, output: Output = Path("recut.mp4"),
    keep: Annotated[list[str] | None, typer.Option(help="A part to keep, as start-stop, start- or -stop; give it "
                                                        "several times.")] = None,
    unit: Annotated[str, typer.Option(help="Of --keep: seconds or frames.")] = "seconds",
    speed: Annotated[float, typer.Option(help="2 is twice as fast, 0.5 half as fast.")] = 1.0,
    after: Annotated[float, typer.Option(help="Seconds of new content at the end.")] = 0.0,
    before: Annotated[float, typer.Option(help="Seconds of new content at the beginning.")] = 0.0,
    prompt: Annotated[str, typer.Option(help="What the new content shows.")] = "", negative: Negative = "",
    seed: Seed = 0, steps: Steps = None, guidance: Guidance = None, weights: Weights = None, device: Device = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked, given=(film,)) as (pipe, stages):
        from sorakit import tools

        take = tools.recut(pipe, film, [span(part, unit) for part in keep] if keep else None, unit=unit, speed=speed,
                           after=after, before=before, prompt=prompt, negative=negative, seed=seed, steps=steps,
                           guidance=guidance, progress=stages)
        save_and_show(take, output, stages, seed if take.runs else None)


@app.command(rich_help_panel=PANEL, help="Two films into one.\n\nFor example: [bold]sorakit blend forest.mp4 "
                                         "creature.mp4 --overlap 1 -o both.mp4[/bold]")
def blend(
    a: Film, b: Film, prompt: Words = "", output: Output = Path("blend.mp4"),
    curve: Annotated[str, typer.Option(help="transition, mix, sample, or your own points time:share, as in "
                                            "0:0,0.5:0.8,1:0.")] = "transition",
    overlap: Annotated[float | None, typer.Option(help="Seconds in which both are there. [dim]All of the shorter one."
                                                       "[/dim]")] = None,
    strength: Annotated[str, typer.Option(help="How far what is mixed is drawn anew: subtle, mild, strong or 0 to 1."
                                          )] = "mild",
    aspect: Aspect = None, height: Height = None, width: Width = None, fit: Fit = "crop", negative: Negative = "",
    seed: Seed = 0, steps: Steps = None, guidance: Guidance = None, weights: Weights = None, device: Device = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked, given=(a, b)) as (pipe, stages):
        from sorakit import tools

        take = tools.blend(pipe, a, b, prompt, curve=points(curve), overlap=overlap, strength=number_or_name(strength),
                           aspect=aspect, height=height, width=width, fit=fit, negative=negative, seed=seed,
                           steps=steps, guidance=guidance, progress=stages)
        save_and_show(take, output, stages, seed)


@app.command(rich_help_panel=PANEL, help="A film whose end leads into its beginning: of a film, or from --prompt.\n\n"
                                         "For example: [bold]sorakit loop --prompt \"a planet rotates\" --seconds 3 "
                                         "-o planet.gif[/bold]")
def loop(
    film: Annotated[Path | None, typer.Argument(help="A film to close; leave it out to make one.")] = None,
    output: Output = Path("loop.mp4"),
    prompt: Annotated[str, typer.Option(help="What it shows.")] = "",
    seconds: Annotated[float | None, typer.Option(help="How long, seam and all. [dim]The whole film and its seam; 2 s "
                                                       "without a film.[/dim]")] = None,
    seam: Annotated[str, typer.Option(help="New content from end to beginning: short (0.5 s), normal (1 s) or long "
                                           "(1.5 s).")] = "normal",
    times: Annotated[int, typer.Option(help="Write it so many times over.", min=1, max=60)] = 1,
    aspect: Aspect = None, height: Height = None, width: Width = None, negative: Negative = "", seed: Seed = 0,
    steps: Steps = None, guidance: Guidance = None, weights: Weights = None, device: Device = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked, given=(film,)) as (pipe, stages):
        from sorakit import tools

        take = tools.loop(pipe, film, prompt, seconds=seconds, seam=seam, aspect=aspect, height=height, width=width,
                          negative=negative, seed=seed, steps=steps, guidance=guidance, progress=stages)
        save_and_show(take, output, stages, seed, tools.repeated(take.video, times))


@app.command(rich_help_panel=PANEL, help="Let a picture move.\n\nFor example: [bold]sorakit animate beach.jpg "
                                         "\"gentle waves, a seagull flies past\" -o beach.mp4[/bold]")
def animate(
    image: Annotated[Path, typer.Argument(help="A photo or a drawing.")], prompt: Words = "",
    output: Output = Path("animate.mp4"),
    at: Annotated[str, typer.Option(help="Where the picture goes: first, last, both or a second.")] = "first",
    last: Annotated[Path | None, typer.Option(help="Another picture, to end with.")] = None,
    seconds: Annotated[float, typer.Option(help="How long.")] = 2.0,
    aspect: Aspect = None, height: Height = None, width: Width = None, fit: Fit = "crop", negative: Negative = "",
    seed: Seed = 0, steps: Steps = None, guidance: Guidance = None, weights: Weights = None, device: Device = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked, given=(image, last)) as (pipe, stages):
        from sorakit import tools

        where = number_or_name(at)
        if last is not None and where == "last":
            raise ValueError("at='last' and last= are the same place; leave one of them out")
        pictures = image if last is None else {where: image, "last": last}
        take = tools.animate(pipe, pictures, prompt, at=where, seconds=seconds, aspect=aspect, height=height,
                             width=width, fit=fit, negative=negative, seed=seed, steps=steps, guidance=guidance,
                             progress=stages)
        save_and_show(take, output, stages, seed)


@app.command(rich_help_panel=PANEL, help="Make a film longer: what comes next, or what came before.\n\nFor example: "
                                         "[bold]sorakit extend waves.mp4 --seconds 2 --before 1 -o longer.mp4[/bold]")
def extend(
    film: Film, prompt: Words = "", output: Output = Path("extend.mp4"),
    seconds: Annotated[float, typer.Option(help="Of new content after the film.")] = 0.0,
    before: Annotated[float, typer.Option(help="Seconds of new content before the film.")] = 0.0,
    negative: Negative = "", seed: Seed = 0, steps: Steps = None, guidance: Guidance = None, weights: Weights = None,
    device: Device = None, plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked, given=(film,)) as (pipe, stages):
        from sorakit import tools

        take = tools.extend(pipe, film, seconds, prompt, before=before, negative=negative, seed=seed, steps=steps,
                            guidance=guidance, progress=stages)
        save_and_show(take, output, stages, seed)


@app.command(rich_help_panel=PANEL, help="One to four films of one prompt, each by itself and all in a grid.\n\nFor "
                                         "example: [bold]sorakit variations \"a red car on a highway\" -n 4 -o car.mp4"
                                         "[/bold]")
def variations(
    prompt: Annotated[str, typer.Argument(help="What the films should show, in plain English.")],
    output: Output = Path("variations.mp4"),
    n: Annotated[int, typer.Option("--number", "-n", help="How many, from 1 to 4.")] = 4,
    seconds: Annotated[float, typer.Option(help="How long.")] = 2.0,
    aspect: NewAspect = None, height: Height = None, width: Width = None, negative: Negative = "", seed: Seed = 0,
    steps: Steps = None, guidance: Guidance = None, weights: Weights = None, device: Device = None,
    plan: PlanName = None, ledger: LedgerFile = LEDGER, user: User = None,
    policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, weights, device, plan, ledger, user, policy, consent, audit)
    with working(*asked) as (pipe, stages):
        from sorakit import tools

        takes = tools.variations(pipe, prompt, n, seconds=seconds, aspect=aspect, height=height, width=width,
                                 negative=negative, seed=seed, steps=steps, guidance=guidance, progress=stages)
        each = [output.with_name(f"{output.stem}-{seed + k}{output.suffix}") for k in range(n)]
        written = []
        try:
            for path, take in zip(each, takes):
                written.append(take.save(path))
            save_and_show(takes[0], output, stages, seed, tools.grid([take.video for take in takes]))
        except BaseException:                    # all of them or none
            for path in written:
                path.unlink(missing_ok=True)
            raise
        for path in written:
            say.print(f"{path}", markup=False)


@app.command(rich_help_panel=PANEL, help="Finish a film: size, frame rate, look, a steady camera, another kind of "
                                         "file. It is marked and signed like any other.\n\nFor example: [bold]sorakit "
                                         "finish waves.mp4 --preset cinema --stabilise -o waves.mov[/bold]")
def finish(
    film: Film, output: Output = Path("finished.mp4"), preset: FinishPreset = None, size: Size = None,
    fps: Fps = None, look: LookName = None, stabilise: Stabilised = False, denoise: Denoised = None,
    sharpen: Sharpened = None, codec: CodecName = None, aspect: Aspect = None, height: Height = None,
    width: Width = None, policy: PolicyName = "classroom", consent: ConsentFile = None, audit: AuditFile = None,
):
    asked = (output, None, "cpu", None, LEDGER, None, policy, consent, audit)
    recipe = {"preset": preset, "size": size, "fps": fps, "look": look, "stabilise": stabilise, "denoise": denoise,
              "sharpen": sharpen}
    with working(*asked, given=(film,), codec=codec, recipe=recipe) as (pipe, stages):
        from sorakit import tools
        from sorakit.tools.shot import about_sound

        done = tools.finish(pipe, film, output, aspect=aspect, height=height, width=width, codec=codec, progress=stages)
        show(done.path, done.count, done.fps, done.height, done.width, stages, notes=about_sound(film))


# --- what commands have in common -------------------------------------------------------------------


def working(*asked, given: tuple[Path | None, ...] = (), **finish):
    """See `at_work`; asked are the output, if there is one, the weights, the device, what `Limits` takes and what is
    said of safety; given are the files that must be there, finish codec and recipe."""
    *outputs, weights, device, plan, ledger, user, policy, consent, audit = asked
    for path in filter(None, given):
        if not path.expanduser().exists():
            with told(""):
                raise FileNotFoundError(f"{str(path)!r} does not exist")
    name = ", ".join(str(output) for output in outputs) or "nothing"
    return at_work(f"cancelled; {name} was not written" if outputs else "cancelled", weights, device,
                   (plan, ledger, user), (policy, consent, audit), *outputs, **finish)


def save_and_show(take, output: Path, stages, seed: int | None, video=None) -> None:
    video = video or take.video
    show(saved(stages, video.save, output), len(video.frames), video.fps, video.height, video.width, stages,
         "" if seed is None else f"seed {seed}",
         tuple(dict.fromkeys((*take.notes, *take.video.notes))))


def number_or_name(text: str):
    try:
        return float(text)
    except ValueError:
        return text


def span(text: str, unit: str) -> tuple:
    """start-stop of a part. Raises ValueError for what is not that."""
    found = re.fullmatch(r"\s*(\d*\.?\d*)\s*-\s*(\d*\.?\d*)\s*", text)
    kind = int if unit == "frames" else float
    try:
        start, stop = (kind(side) if side else None for side in found.groups())
    except (AttributeError, ValueError):
        raise ValueError(f"keep={text!r} does not fit; it takes start-stop in {unit}, such as "
                         + ("4-16" if unit == "frames" else "0.5-2") + "; one of them may be left out") from None
    return start, stop


def points(text: str):
    """A curve's name, or its points."""
    if ":" not in text:
        return text
    try:
        return [tuple(float(value) for value in point.split(":")) for point in text.split(",")]
    except ValueError:
        raise ValueError(f"curve={text!r} does not fit; points are time:share, such as 0:0,0.5:0.8,1:0") from None


def area(text: str | None):
    """A region's four sides, or a picture of it."""
    if text is None:
        return None
    try:
        sides = tuple(float(value) for value in text.split(","))
    except ValueError:
        from sorakit.prompt.files import read_image

        return read_image(text).mean(-1)
    if len(sides) != 4:
        raise ValueError(f"region={text!r} does not fit; it takes left,top,right,bottom from 0 to 1, or a picture")
    return sides


def card_of(text: str):
    """A card of "second: words"."""
    from sorakit.tools import Card

    second, colon, words = text.partition(":")
    if not colon or not isinstance(number_or_name(second), float):
        raise ValueError(f"card={text!r} does not fit; it takes \"second: words\", such as \"1.5: the sun sets\"")
    return Card(float(second), words.strip())


def check_picture(path: Path) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise ValueError(f"preview={path.name!r} does not end in .png or .jpg")


def draw(picture, path: Path) -> Path:
    """Write a picture; there is a whole one or none."""
    from PIL import Image

    path = path.expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as beside:
        Image.fromarray(picture).save(beside)
    return path
