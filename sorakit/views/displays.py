"""What a notebook shows of each value: MIME bundles, told to IPython by the names of the types.

Nothing heavy is imported here until something is shown.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import tempfile
from pathlib import Path

ROLE_COLOURS = {"subject": "#ffd6a5", "setting": "#caffbf", "time": "#bde0fe", "weather": "#d0d1ff", "style": "#ffc8dd",
                "mood": "#fdffb6", "camera": "#d8e2dc", "negation": "#ffadad", "rule": "#ff8a80"}


def bundle(text: str, *, picture=None, markup: str = "") -> dict[str, str]:
    """A MIME bundle: a text that does not change, and a PIL picture or HTML."""
    shown = {"text/plain": text}
    if markup:
        shown["text/html"] = markup
    if picture is not None:
        data = io.BytesIO()
        picture.save(data, format="PNG")
        shown["image/png"] = base64.b64encode(data.getvalue()).decode()
    return shown


# --- 1 and 6: the request ---------------------------------------------------------------------------


def show_brief(brief) -> dict[str, str]:
    marks = [(*thing.span, thing.role, _said(thing)) for thing in (*brief.subjects, *brief.elements)]
    lines = [f'<div style="line-height:2.1">{highlighted(brief.prompt, marks)}</div>']
    if brief.said:
        lines.append(f"<div>read as: {html.escape(brief.said)}</div>")
    if brief.negative:
        lines.append(f"<div>not: {html.escape(brief.negative)}</div>")
    if brief.relations:
        lines.append(f"<div>{html.escape('; '.join(map(str, brief.relations)))}</div>")
    return bundle(str(brief), markup="".join(lines) + notes(brief.notes))


def notes(said: tuple[str, ...]) -> str:
    """HTML of what a film or a brief has to say of itself, a line each."""
    return "".join(f'<div style="font-size:.9em;opacity:.8">\u2022 {html.escape(note)}</div>' for note in said)


def _said(thing) -> str:
    known = f"; {thing.nearest}" if thing.nearest else ""
    return f"{thing} ({thing.confidence:.0%} sure{known})"


def show_verdict(verdict) -> dict[str, str]:
    prompt = verdict.original or verdict.brief.prompt
    marks = []
    for reason in verdict.reasons:
        for words in reason.words:
            start = prompt.lower().find(words.lower())
            if start >= 0:
                marks.append((start, start + len(words), reason.category, f"{reason.category}, {_found_by(reason)}"))
    why = "; ".join(f"{reason.category} ({', '.join(reason.words) or reason.fired})" for reason in verdict.reasons)
    colour = {"allow": "#2a9d8f", "alter": "#b8860b", "refuse": "#c0392b"}.get(verdict.decision, "#555555")
    badge = (f'<span style="background:{colour};color:white;border-radius:4px;padding:.1em .6em;margin-right:.6em">'
             f"{html.escape(verdict.decision)}</span>")
    lines = [f'<div style="line-height:2.1">{badge}{highlighted(prompt, marks)}</div>']
    lines += [f"<div>{html.escape(f'{reason.category}: {_found_by(reason)}; the policy says {reason.action}')}</div>"
              for reason in verdict.reasons]
    if verdict.changes:
        lines.append(f"<div>made instead: <b>{html.escape(verdict.brief.prompt)}</b></div>")
    return bundle(f"Verdict({verdict.decision}{': ' + why if why else ''}; {verdict.brief.prompt!r})",
                  markup="".join(lines) + notes(verdict.notes))


def show_reason(reason) -> dict[str, str]:
    """One part of a verdict: what was found, in which words, how sure it is and what the policy says."""
    rows = [("found", reason.category), ("in the words", ", ".join(reason.words)), ("by", reason.fired),
            ("score", f"{reason.score:.2f}; it fires from {reason.threshold:.2f}"), ("the policy says", reason.action)]
    where = f" in {', '.join(map(repr, reason.words))}" if reason.words else ""
    return bundle(f"Reason({reason.category}{where}: {_found_by(reason)}; {reason.action})", markup=_table(rows))


def show_finding(finding) -> dict[str, str]:
    """What is known of a file: the verdict, then what its manifest and its pixels say."""
    colour = "#c0392b" if finding.agree is False or finding.provenance.changed else \
        "#2a9d8f" if finding.genuine else "#b8860b"
    rows = [("manifest", str(finding.provenance)), ("watermark", str(finding.watermark))]
    rows += [("it says", str(finding.payload))] if finding.payload else []
    rows += [("together", "the same film" if finding.agree else "different films")] if finding.agree is not None else []
    head = f'<div style="border-left:.4em solid {colour};padding:.2em .8em"><b>{html.escape(finding.verdict)}</b></div>'
    return bundle(str(finding), markup=head + _table(rows))


def show_detection(detection) -> dict[str, str]:
    """What was found of a watermark."""
    rows = [("watermark", "found" if detection.found else "not found"), ("chance of that", f"{detection.p_value:.2g}")]
    if detection.found:
        payload = "cannot be read" if detection.payload is None else f"{detection.payload:016x}"
        rows += [("payload", payload), ("bits put right", str(detection.corrected)),
                 ("size", f"{detection.scale:.3g} of the marked film's"),
                 ("turned by", f"{detection.angle:.1f} degrees"),
                 ("left and right", "exchanged" if detection.flipped else "as they were")]
    return bundle(f"Detection({detection})", markup=_table(rows))


def _table(rows: list[tuple[str, str]]) -> str:
    """HTML of names and what they are; rows with nothing to say are left out."""
    cell = lambda text, tag: f'<{tag} style="text-align:left;vertical-align:top">{html.escape(text)}</{tag}>'
    return "<table>" + "".join(f"<tr>{cell(name, 'th')}{cell(what, 'td')}</tr>" for name, what in rows if what) \
        + "</table>"


def _found_by(reason) -> str:
    sure = f", {reason.score:.2f} of at least {reason.threshold:.2f}" if reason.fired == "classifier" else ""
    return reason.fired + sure


def highlighted(text: str, marks: list[tuple[int, int, str, str]]) -> str:
    """HTML of a text, with marks (first character, one past the last, role, what to say of it) in the colours of their
    roles. Of two marks that overlap, the one that begins first stays, of two that begin together the longer one."""
    pieces, at = [], 0
    for start, end, role, said in sorted(marks, key=lambda mark: (mark[0], -mark[1])):
        if start < at or end <= start or end > len(text):
            continue
        pieces.append(html.escape(text[at:start]))
        colour = ROLE_COLOURS.get(role, ROLE_COLOURS["rule"])
        pieces.append(f'<mark title="{html.escape(said)}" style="background:{colour};color:#222;border-radius:4px;'
                      f'padding:.15em .35em">{html.escape(text[start:end])}<span style="font-size:.7em;opacity:.7;'
                      f'margin-left:.5em">{html.escape(role)}</span></mark>')
        at = end
    return "".join([*pieces, html.escape(text[at:])])


# --- 2 to 4: vectors, latents, steps ----------------------------------------------------------------


def show_conditioning(conditioning) -> dict[str, str]:
    from sorakit.views.charts import words_alike

    return words_alike(conditioning)._repr_mimebundle_() | {"text/plain": repr(conditioning)}


def show_latents(latents) -> dict[str, str]:
    from sorakit.views.pictures import latent_sheet

    return bundle(repr(latents), picture=latent_sheet(latents))


def show_step(step) -> dict[str, str]:
    from sorakit.views.pictures import step_sheet

    return bundle(repr(step), picture=step_sheet(step))


# --- 5: films ---------------------------------------------------------------------------------------


def show_video(video, text: str = "") -> None:
    """A player with the film in it and what it has to say of itself, then its contact sheet as a picture."""
    import mediapy
    from IPython.display import display
    from PIL import Image

    shown = min(1, 640 / video.width, 480 / video.height)
    with tempfile.TemporaryDirectory() as folder:
        try:
            film = video.save(Path(folder) / "film.mp4").read_bytes()
        except OSError:                                    # it cannot be signed: what it was made from is gone
            film = dataclasses.replace(video, origin=None).save(Path(folder) / "film.mp4").read_bytes()
    player = mediapy.html_from_compressed_video(film, round(video.width * shown), round(video.height * shown))
    text = text or "\n".join([repr(video), *video.notes])
    display({"text/html": player + notes(video.notes), "text/plain": text}, raw=True)
    display(bundle(text, picture=Image.fromarray(video.contact_sheet(tile=120))), raw=True)


def show_take(take) -> None:
    """The film that a tool made, as any film."""
    said = tuple(dict.fromkeys((*take.notes, *take.video.notes)))
    show_video(dataclasses.replace(take.video, notes=said), repr(take))


def show_storyboard(board) -> dict[str, str]:
    """Cards in time."""
    from sorakit.views.board import board_sheet, how_to, named

    shots = f"{len(board.shots)} shot{'s' * (len(board.shots) > 1)}"
    lines = [f"Storyboard({board.seconds:g} s, {len(board.cards)} card{'s' * (len(board.cards) > 1)}, {shots})"]
    for k, card in enumerate(board.cards):
        given = [named(card)] if card.image is not None or card.video is not None else []
        shown = "; ".join(filter(None, (card.text, *given)))
        lines.append(f"  {card.at:g} s{', ' + how_to(board, k) if k else ''}: {shown}")
    return bundle("\n".join(lines), picture=board_sheet(board))


def show_synthesis(recipe) -> dict[str, str]:
    """The parts in order, what each does, and what it took for the last film."""
    from sorakit.synthesis.recipe import SHORT_SIDE, name_of

    rows, costs = [], recipe.costs
    for k, part in enumerate(recipe.parts, start=1):
        what = " ".join((type(part).__doc__ or "").split()).split(". ")[0] if dataclasses.is_dataclass(part) else ""
        rows.append((str(k), getattr(part, "__name__", repr(part)), what.rstrip("."), costs.get(name_of(part))))
    rows.append((str(len(rows) + 1), f"resize, short side {recipe.size or SHORT_SIDE}", "To the size that is asked for",
                 costs.get("resize")))
    head = "<tr>" + "".join(f'<th style="text-align:left">{name}</th>' for name in
                            ("", "part", "what it does", *["seconds, last film"] * bool(costs))) + "</tr>"
    body = "".join("<tr>" + "".join(f'<td style="text-align:left">{html.escape(text)}</td>' for text in
                                    (number, part, what, *["" if spent is None else f"{spent:.2f}"] * bool(costs)))
                   + "</tr>" for number, part, what, spent in rows)
    return bundle(repr(recipe), markup=f"<table>{head}{body}</table>")


def show_reference(reference) -> dict[str, str]:
    """The palette, each colour as wide as its share, over the depth, near to far from bright to dark, with the
    horizon."""
    import cv2
    import numpy as np
    from PIL import Image

    height, width = 180, max(60, round(180 * reference.width / reference.height))
    depth = cv2.resize(np.ascontiguousarray(reference.depth, np.float32), (width, height))
    picture = np.repeat((255 * (1 - depth.clip(0, 1)))[..., None], 3, -1).astype(np.uint8)
    if reference.horizon is not None:
        picture[min(height - 1, round(reference.horizon * height))] = (230, 60, 60)
    ends = np.cumsum([swatch.share for swatch in reference.palette])
    which = np.searchsorted(ends / ends[-1], (np.arange(width) + 0.5) / width)
    colours = np.array([swatch.rgb for swatch in reference.palette], np.uint8)[which]
    return bundle(str(reference), picture=Image.fromarray(np.concatenate([np.tile(colours, (40, 1, 1)), picture])))


# --- runs -------------------------------------------------------------------------------------------


def show_run(run) -> dict[str, str]:
    """The film strip of its steps, where the time went, and the film."""
    import cv2

    from sorakit.views.charts import stacked, stages
    from sorakit.views.insides import autoencoder_of
    from sorakit.views.pictures import denoising
    from sorakit.views.sheet import chosen, sheet

    autoencoder = autoencoder_of(run)
    parts = [denoising(run.steps, autoencoder, whole=False)] if run.steps else []
    frames = chosen(len(run.video.frames), 6)
    film = sheet([list(run.video.frames[frames])], [[f"{k / run.video.fps:.2f} s" for k in frames]], ["film"],
                 method=cv2.INTER_AREA)
    parts += [film, stages(run)]
    # seconds differ from run to run, so the text leaves them out
    return bundle(f"Run({run.request['prompt']!r}: {len(run.steps)} steps, {run.video!r})", picture=stacked(*parts))


def show_record(record) -> dict[str, str]:
    rows = [(name, _kind(value)) for name, value in record.inputs.items()] + [("gives", _kind(record.output))]
    cells = "".join(f'<tr><td style="text-align:left"><b>{html.escape(name)}</b></td><td style="text-align:left">'
                    f"{html.escape(kind)}</td></tr>" for name, kind in rows)
    head = f"stage {record.stage}: {record.seconds:.3f} s, {record.memory / 2**20:.0f} MiB more memory"
    text = "\n".join([f"Record({record.stage})", *(f"  {name}: {kind}" for name, kind in rows)])
    return bundle(text, markup=f"<div>{html.escape(head)}</div><table>{cells}</table>")


def _kind(value) -> str:
    """A value in a few words, the same in each session."""
    if hasattr(value, "shape"):
        return f"{type(value).__name__} {' x '.join(map(str, value.shape))}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of " + ", ".join(_kind(v) for v in value)
    if isinstance(value, (str, int, float, bool, type(None))):
        return repr(value)
    text = repr(value)
    return type(value).__name__ if " at 0x" in text or len(text) > 160 or "\n" in text else text


def show_difference(difference) -> dict[str, str]:
    from sorakit.views.charts import apart, stacked
    from sorakit.views.pictures import films_apart

    parts = [films_apart(difference.a.video, difference.b.video, difference.frames)]
    parts += [apart(difference)] if difference.x else []
    return bundle(repr(difference), picture=stacked(*parts))


# --- the models -------------------------------------------------------------------------------------


def show_transformer(model) -> dict[str, str]:
    from sorakit.views.charts import parameters

    count = _parts(model, {"blocks": "block {}"})
    heads = model.blocks[0].heads
    text = (f"Transformer({sum(count.values()):,} parameters: {len(model.blocks)} blocks of width "
            f"{model.embed.out_features}, {heads} heads; {model.embed.in_features} latent channels)")
    axes = [f"{block.name} ({block.axis}, word)" for block in model.blocks]
    named = dict(zip(axes, (count.pop(f"block {k}") for k in range(len(model.blocks)))))
    return parameters({**count, **named}, "Transformer")._repr_mimebundle_() | {"text/plain": text}


def show_autoencoder(model) -> dict[str, str]:
    from sorakit.latent.autoencoder import SPACE, TIME
    from sorakit.views.charts import parameters

    count = _parts(model, {})
    text = (f"Autoencoder({sum(count.values()):,} parameters: {TIME} frames of {SPACE} x {SPACE} pixels to "
            f"{model.channels} channels, {3 * TIME * SPACE * SPACE / model.channels:g} numbers to one)")
    return parameters(count, "Autoencoder")._repr_mimebundle_() | {"text/plain": text}


def show_text_encoder(encoder) -> dict[str, str]:
    from sorakit.views.charts import parameters

    count, table = _parts(encoder.network, {"layers": "layer {}"}), encoder.words.vectors.shape
    text = (f"TextEncoder({sum(count.values()):,} parameters: {len(encoder.network.layers)} layers over a table of "
            f"{table[0]:,} fixed word vectors of width {table[1]})")
    return parameters(count, "TextEncoder")._repr_mimebundle_() | {"text/plain": text}


def show_sampler(sampler) -> dict[str, str]:
    from sorakit.views.charts import schedule_chart

    name = lambda choice: choice if isinstance(choice, str) else getattr(choice, "__name__", type(choice).__name__)
    text = (f"Sampler({name(sampler.method)}, {sampler.steps_default} steps, shift {sampler.shift:g}, "
            f"{name(sampler.guide)} guidance {sampler.guidance_default:g})")
    return schedule_chart(sampler.steps_default, sampler.shift)._repr_mimebundle_() | {"text/plain": text}


def _parts(model, lists: dict[str, str]) -> dict[str, int]:
    """Parameters of each part; those of lists one by one."""
    count: dict[str, int] = {}
    for name, weight in model.named_parameters():
        first, *rest = name.split(".")
        part = lists[first].format(rest[0]) if first in lists else first
        count[part] = count.get(part, 0) + weight.numel()
    return count


STAGE_WORDS = (("1", "prompt", "a request to a Brief"), ("2", "text_encoder", "words to vectors"),
               ("2", "autoencoder", "frames to latents and back"), ("3", "sampler", "noise to latents, step by step"),
               ("4", "transformer", "which way each latent moves"),
               ("4", "few_step", "the same, taught to need few steps"), ("5", "synthesis", "frames to a film"),
               ("6", "safety", "what may be made, and its mark"))


def show_pipeline(pipeline) -> dict[str, str]:
    rows = []
    for number, name, what in STAGE_WORDS:
        stage = getattr(pipeline, name)
        if stage is None:                                    # weights that do not know few steps
            continue
        network = getattr(stage, "network", stage)
        weights = sum(p.numel() for p in network.parameters()) if hasattr(network, "parameters") else 0
        rows.append((number, f"pipe.{name}", type(stage).__name__, what, f"{weights:,}" if weights else ""))
    head = ("stage", "attribute", "type", "what it does", "parameters")
    cell = lambda tag, text, k: f'<{tag} style="text-align:{"right" if k == 4 else "left"}">{html.escape(text)}</{tag}>'
    markup = "".join("<tr>" + "".join(cell("th" if row is head else "td", text, k) for k, text in enumerate(row))
                     + "</tr>" for row in (head, *rows))
    text = "\n".join([f"Pipeline({pipeline.model} on {pipeline.device})",
                      *(f"  {number} {name:<18} {kind:<12} {what}" for number, name, kind, what, _ in rows)])
    title = f"<div>Pipeline <b>{html.escape(pipeline.model)}</b> on {html.escape(str(pipeline.device))}</div>"
    return bundle(text, markup=f"{title}<table>{markup}</table>")


BUNDLES = {
    ("sorakit.types", "Brief"): show_brief,
    ("sorakit.types", "Reference"): show_reference,
    ("sorakit.types", "Verdict"): show_verdict,
    ("sorakit.types", "Reason"): show_reason,
    ("sorakit.safety.verify", "Finding"): show_finding,
    ("sorakit.safety.watermark", "Detection"): show_detection,
    ("sorakit.types", "Conditioning"): show_conditioning,
    ("sorakit.types", "Latents"): show_latents,
    ("sorakit.types", "DenoisingStep"): show_step,
    ("sorakit.run", "Run"): show_run,
    ("sorakit.run", "Record"): show_record,
    ("sorakit.run", "Difference"): show_difference,
    ("sorakit.tools.storyboard", "Storyboard"): show_storyboard,
    ("sorakit.synthesis.recipe", "Synthesis"): show_synthesis,
    ("sorakit.diffusion.sampler", "Sampler"): show_sampler,
    ("sorakit.latent.text", "TextEncoder"): show_text_encoder,
    ("sorakit.transformer.model", "Transformer"): show_transformer,
    ("sorakit.latent.autoencoder", "Autoencoder"): show_autoencoder,
    ("sorakit.pipeline", "Pipeline"): show_pipeline,
}
SHOWS = {("sorakit.types", "Video"): show_video, ("sorakit.tools.shot", "Take"): show_take}    # two outputs, not one
TEXTS = {                                                    # PIL's own text has an address in it
    ("PIL.Image", "Image"): lambda picture, printer, cycle: printer.text(
        f"Image({picture.mode}, {picture.width} x {picture.height})"),
}
