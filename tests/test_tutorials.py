"""The course is in order: notebooks are what their sources say, students get no answers, and checks check."""

import ast
import configparser
import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from nbgrader.nbgraderformat import MetadataValidator

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tutorials"))       # as in JupyterLab, where a notebook's own folder is the first

import build  # noqa: E402
import checks  # noqa: E402

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SOURCES = build.sources()
each_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def notebooks(source):
    return [nbformat.read(path, as_version=4) for path in (build.student_path(source), build.solved_path(source))]


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def exercises():
    """(lesson, name, code of the solved cell, check's name) of every exercise."""
    for source in SOURCES:
        lesson = build.read(source)
        for cell, check in zip(tagged(lesson, "exercise"), tagged(lesson, "check")):
            yield source, cell.metadata["nbgrader"]["grade_id"], cell.source, check.source


EXERCISES = list(exercises())
each_exercise = pytest.mark.parametrize("source, name, code, check", EXERCISES, ids=[case[1] for case in EXERCISES])


def defined(source, name, code):
    """The function that a cell of a lesson defines, after the lesson's imports."""
    space = {}
    exec(build.code_cells(build.read(source))[0].source, space)
    exec(code, space)
    return space[name]


# --- notebooks and sources --------------------------------------------------------------------------


@each_lesson
def test_the_notebooks_are_what_their_source_says(source):
    lesson = build.read(source)
    for notebook, wanted in zip(notebooks(source), (build.student(lesson), lesson)):
        assert [(c.id, c.cell_type, c.source, c.metadata) for c in notebook.cells] == \
            [(c.id, c.cell_type, c.source, c.metadata) for c in wanted.cells], "run: python tutorials/build.py"
        assert notebook.metadata == wanted.metadata


@each_lesson
def test_every_cell_of_the_solved_edition_was_run_in_order_and_without_a_complaint(source):
    cells = build.code_cells(notebooks(source)[1])
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run: python tutorials/build.py"
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]


@each_lesson
def test_the_students_edition_holds_no_answer(source):
    student, solved = notebooks(source)
    shown = nbformat.writes(student)
    assert "BEGIN SOLUTION" not in shown and "END SOLUTION" not in shown
    code = {line.strip() for cell in student.cells for line in cell.source.splitlines()}
    for cell in tagged(solved, "exercise"):
        answer = re.search("BEGIN SOLUTION\n(.*?)### END", cell.source, re.S).group(1).split("\n")[:-1]
        seen = [line.strip() in code for line in answer if len(line.strip()) > 12]
        assert sum(seen) <= len(seen) / 2, answer            # a call that the lesson teaches may stand in both
    assert not [cell for cell in tagged(student, "exercise") + tagged(student, "check") if cell.outputs]


@each_lesson
def test_the_students_edition_keeps_what_other_cells_show(source):
    student, solved = notebooks(source)
    kept = [(a, b) for a, b in zip(build.code_cells(student), build.code_cells(solved)) if "nbgrader" not in a.metadata]
    assert all(a.outputs == b.outputs for a, b in kept)
    assert sum(bool(a.outputs) for a, _ in kept) > len(kept) / 2


@each_lesson
def test_nbgrader_takes_both_editions(source):
    for notebook in notebooks(source):
        MetadataValidator().validate_nb(notebook)


@each_lesson
def test_notebooks_are_light_and_their_cells_short(source):
    for path in (build.student_path(source), build.solved_path(source)):
        assert path.stat().st_size < 2**20
    lengths = {len(cell.source.splitlines()) for cell in build.code_cells(notebooks(source)[1])}
    assert max(lengths) <= 14


# --- the shape of a lesson --------------------------------------------------------------------------


@each_lesson
def test_a_lesson_says_what_it_is_for_breaks_something_and_leads_on(source):
    text = "\n".join(cell.source for cell in build.read(source).cells if cell.cell_type == "markdown")
    assert text.startswith("# ")
    learned = re.search(r"\*\*What you will know\*\*\n((?:- .*\n|  .*\n)+)", text).group(1)
    assert 3 <= learned.count("\n- ") + 1 <= 5
    assert re.search(r"^## \d+ · Break it$", text, re.M)
    reading = text.split("## Further reading")[1]
    assert len(re.findall(r"\[arXiv:(\d{4}\.\d{4,5})\]\(https://arxiv.org/abs/\1\)", reading)) >= 3
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links and all((build.FOLDER / link).exists() for link in links)


@each_lesson
def test_a_lesson_has_three_to_five_exercises_each_with_its_difficulty_its_minutes_and_its_check(source):
    cells = build.read(source).cells
    places = [k for k, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", [])]
    assert 3 <= len(places) <= 5
    for number, k in enumerate(places, 1):
        assert re.match(rf"### Exercise {number} · .+  \*\(difficulty [123] of 3, \d+ minutes\)\*", cells[k - 1].source)
        name = cells[k].metadata["nbgrader"]["grade_id"]
        assert cells[k + 1].source == f"checks.{name}({name})"
        assert "check" in cells[k + 1].metadata["tags"]


@each_lesson
def test_a_lesson_asserts_that_sorakit_does_the_same_and_has_cells_whose_output_is_compared(source):
    lesson = build.read(source)
    asserted = [cell for cell in build.code_cells(lesson) if any(isinstance(node, ast.Assert)
                for node in ast.walk(ast.parse(cell.source)))]
    assert len(asserted) >= 2
    assert len([cell for cell in tagged(lesson, "nbval-check-output") if "check" not in cell.metadata["tags"]]) >= 3


# --- the checks -------------------------------------------------------------------------------------


@each_exercise
def test_the_solution_passes_its_check(source, name, code, check, capsys):
    getattr(checks, name)(defined(source, name, code))
    assert capsys.readouterr().out.startswith("Right. ")


@each_exercise
def test_the_stub_that_students_get_fails_its_check(source, name, code, check):
    stub = next(cell.source for cell in tagged(notebooks(source)[0], "exercise")
                if cell.metadata["nbgrader"]["grade_id"] == name)
    with pytest.raises(checks.NotYet, match=f"{name} is not written"):
        getattr(checks, name)(defined(source, name, stub))


@each_exercise
def test_a_function_without_return_is_told_so(source, name, code, check):
    with pytest.raises(checks.NotYet, match="None"):
        getattr(checks, name)(lambda *args: None)


def by_replace(prompt, spans):
    for start, end in spans:
        prompt = prompt.replace(prompt[start:end], f"[{prompt[start:end]}]", 1)
    return prompt


def from_the_left(prompt, spans):
    for start, end in spans:
        prompt = prompt[:start] + "[" + prompt[start:end] + "]" + prompt[end:]
    return prompt


def one_short(prompt, spans):
    for start, end in sorted(spans, reverse=True):
        prompt = prompt[:start] + "[" + prompt[start:end - 1] + "]" + prompt[end - 1:]
    return prompt


def unsorted(prompt, spans):
    for start, end in spans[::-1]:
        prompt = prompt[:start] + "[" + prompt[start:end] + "]" + prompt[end:]
    return prompt


def turned(prompt, spans):
    spans.reverse()
    for start, end in spans:
        prompt = prompt[:start] + "[" + prompt[start:end] + "]" + prompt[end:]
    return prompt


def in_place(encode, frames, n):
    before = encode(frames)
    frames[:, :, n] += 1
    return int((encode(frames) - before).abs().amax((0, 1, 3, 4)).nonzero()[0])


def later_as_well(encode, frames, n):
    other = frames.clone()
    other[:, :, n:] += 1
    return int((encode(other) - encode(frames)).abs().amax((0, 1, 3, 4)).nonzero()[0])


def last_touched(encode, frames, n):
    other = frames.clone()
    other[:, :, n] += 1
    return int((encode(other) - encode(frames)).abs().amax((0, 1, 3, 4)).nonzero()[-1])


def held(kept, send=True):
    """A `hold` that puts kept(step, film, noise) where mask is True."""
    def hold(steps, film, mask, noise):
        for step in steps:
            x = torch.where(mask, kept(step, film, noise), step.x_next)
            if send:
                steps.send(x)
        return x
    return hold


def held_once(steps, film, mask, noise):
    step = next(steps)
    return steps.send(torch.where(mask, film, step.x_next)).x_next


def noised(step, film, noise):
    return (1 - step.t_next) * film + step.t_next * noise


def jaccard(found, right):
    return len(found & right) / len(found | right)


def harmonic(found, right):
    p, r = len(found & right) / len(found), len(found & right) / len(right)
    return 2 * p * r / (p + r)


def heun(second, first=0.5, other=0.5):
    """Heun's step with the second velocity from second(field, x, landing, t, t_next), and shares of both."""
    def step(field, x, t, t_next):
        here = field(x, t)
        landing = x + (t_next - t) * here
        return x + (t_next - t) * (first * here + other * second(field, x, landing, t, t_next))
    return step


def most_allowed(share):
    """A `threshold_for` that keeps another share(stopped, harmful) below most."""
    def threshold_for(scores, harmful, most):
        return next((t for t in np.sort(scores) if share(scores >= t, harmful) <= most), np.inf)
    return threshold_for


def below(scores, harmful, most):
    return next((t for t in np.sort(scores) if (scores[~harmful] >= t).mean() < most), np.inf)


def read_bits(picture, patterns, sign=1, mean=True):
    picture = picture - picture.mean() if mean else picture
    return [int(sign * (picture * pattern).sum() > 0) for pattern in patterns]


def number(bits):
    return int("".join(map(str, bits)), 2)


def rolled_by(picture, pattern, order=1):
    agreement = np.fft.ifft2(np.fft.fft2(picture) * np.fft.fft2(pattern).conj()).real
    return np.unravel_index(agreement.argmax(), agreement.shape)[::order]


def word(signed, changed, named, read):
    if signed:
        return "changed" if changed else "intact" if None in (named, read) or named == read else "mixed"
    return "unknown" if read is None else "stripped"


shifted = lambda steps, s: [s * u / (1 + (s - 1) * u) for u in (1 - k / steps for k in range(steps + 1))]

WRONG = {
    "highlight": [(by_replace, "str.replace|wrong place|for 'a red car"), (from_the_left, "second bracket"),
                  (one_short, "last letter"), (unsorted, "any order"), (turned, "any order")],
    "nearest": [(lambda v, table, n: (table @ v).argsort(descending=True)[:n], "inner product"),
                (lambda v, table, n: (table - v).norm(dim=1).argsort()[:n], "by distance"),
                (lambda v, table, n: torch.cosine_similarity(table, v[None]).argsort()[:n], "worst first"),
                (lambda v, table, n: torch.cosine_similarity(table, v[None]).argsort(descending=True), "gives 4")],
    "f1": [(lambda found, right: len(found & right) / len(found), "precision"),
           (lambda found, right: len(found & right) / len(right), "recall"),
           (jaccard, "Jaccard"), (harmonic, "divides by zero"),
           (lambda found, right: harmonic(found, right) if found else float(not right), "divides by zero")],
    "bag": [(lambda v, mask: v.mean(1), "padding"), (lambda v, mask: (v * mask[..., None]).sum(1), "the sum"),
            (lambda v, mask: (v * mask[..., None]).mean(1), "still counted"),
            (lambda v, mask: (v * mask[..., None]).sum(1) / mask.sum(1), "keepdim"),
            (lambda v, mask: (v * mask[..., None]).sum((0, 1)) / mask.sum(), "axis 1")],
    "compression": [(lambda t, h, w, c=192: t * h * w / ((1 + t // 2) * (h // 16) * (w // 16) * c), "three numbers"),
                    (lambda t, h, w, c=192: 3 * t * h * w / (t / 2 * (h / 16) * (w / 16) * c), "8.5"),
                    (lambda t, h, w, c=192: 3 * t * h * w / (t // 2 * (h // 16) * (w // 16) * c), "1 \\+ 8"),
                    (lambda t, h, w, c=192: (1 + t // 2) * (h // 16) * (w // 16) * c / (3 * t * h * w), "upside down"),
                    (lambda t, h, w, c=192: 3 * t * h * w / ((1 + t // 2) * (h // 16) * (w // 16) * 192), "argument")],
    "psnr": [(lambda a, b: 10 * torch.log10(1 / (a - b).square().mean()), "peak is 2"),
             (lambda a, b: 10 * torch.log10(2 / (a - b).square().mean().sqrt()), "half of what"),
             (lambda a, b: 20 * torch.log10(2 / (a - b).abs().mean()), "Square first"),
             (lambda a, b: 10 * torch.log(4 / (a - b).square().mean()), "base 10")],
    "components_for": [(lambda v, share: int((v.cumsum(0) / v.sum() < share).sum()), "counts from 0"),
                       (lambda v, share: int((v.cumsum(0) / v.sum() <= share).sum()) + 1, "exactly"),
                       (lambda v, share: int((v.cumsum(0) < share).sum()) + 1, "shares of the whole"),
                       (lambda v, share: int((v / v.sum() < share).sum()), "cumsum"),
                       (lambda v, share: int((v.cumsum(0) / v.sum() < share).sum()) + 1, "rounding")],
    "first_touched": [(in_place, "clone"), (last_touched, "last latent"), (lambda encode, frames, n: n, "own number"),
                      (lambda encode, frames, n: n // 2, "latent 3"),
                      (lambda encode, frames, n: (n + 1) // 2, "Measure it"), (later_as_well, "frame n alone")],
    "clean": [(lambda x, t, v: x - v, "whole unit"), (lambda x, t, v: x + t * v, "towards the noise"),
              (lambda x, t, v: x + (1 - t) * v, "the noise at the other end"),
              (lambda x, t, v: x - (1 - t) * v, "way back")],
    "heun": [(lambda field, x, t, t_next: x + (t_next - t) * field(x, t), "Euler's step"),
             (heun(lambda field, x, landing, t, t_next: field(landing, t)), "old time"),
             (heun(lambda field, x, landing, t, t_next: field(x, t_next)), "old place"),
             (heun(lambda field, x, landing, t, t_next: field(landing, t_next), 1, 1), "mean of the two")],
    "my_schedule": [(lambda steps, s: shifted(steps, s)[::-1], "0 to 1"),
                    (lambda steps, s: shifted(steps, s)[:-1], "5 times"),
                    (lambda steps, s: shifted(steps, 1), "ignores shift"),
                    (lambda steps, s: shifted(steps, 1 / s), "denser near the film")],
    "hold": [(held(noised, send=False), "sent"), (held(lambda step, film, noise: film), "clean"),
             (held(lambda step, film, noise: (1 - step.t) * film + step.t * noise), "step.t_next"),
             (held_once, "Go on to the end")],
    "stands_in": [(lambda rule, prompt: rule in prompt.lower(), "piece of a word"),
                  (lambda rule, prompt: f" {rule} " in prompt, "begins or ends"),
                  (lambda rule, prompt: rule in prompt.split(), "comma"),
                  (lambda rule, prompt: re.search(rf"\b{rule}\b", prompt) is not None, "Capital"),
                  (lambda rule, prompt: re.search(rf"\b{rule}\b", prompt.lower()) is not None, "Rules may have"),
                  (lambda rule, prompt: re.search(rf"\b{rule}\b", prompt, re.IGNORECASE) is not None, "any letter"),
                  (lambda rule, prompt: rule in re.findall(r"\w+", prompt.lower()), "two words"),
                  (lambda rule, prompt: set(rule.split()) <= set(re.findall(r"\w+", prompt.lower())),
                   "after the other")],
    "threshold_for": [(most_allowed(lambda stopped, harmful: (~harmful)[stopped].mean()), "share of the \\*stopped"),
                      (most_allowed(lambda stopped, harmful: stopped[harmful].mean()), "harmless prompts alone"),
                      (most_allowed(lambda stopped, harmful: (stopped & ~harmful).mean()), "too many|alone"),
                      (most_allowed(lambda stopped, harmful: (stopped & ~harmful).sum() / harmful.sum()), "One of two"),
                      (below, "exactly 0.2"), (lambda scores, harmful, most: np.inf, "none at all"),
                      (lambda scores, harmful, most: np.quantile(scores[~harmful], 1 - most), "most=0")],
    "message": [(lambda picture, patterns: number(read_bits(picture, patterns)[::-1]), "reverse"),
                (lambda picture, patterns: number(read_bits(picture, patterns, -1)), "turned"),
                (read_bits, "one number"),
                (lambda picture, patterns: number(read_bits(picture, patterns, mean=False)), "mean away")],
    "find_shift": [(lambda picture, pattern: rolled_by(pattern, picture), "way back"),
                   (lambda picture, pattern: rolled_by(picture, pattern, -1), "swapped"),
                   (lambda picture, pattern: np.ravel_multi_index(rolled_by(picture, pattern), picture.shape),
                    "unravel_index"),
                   (lambda picture, pattern: np.unravel_index(np.fft.ifft2(
                       np.fft.fft2(picture) * np.fft.fft2(pattern)).real.argmax(), picture.shape), "convolution")],
    "judged": [(lambda signed, changed, named, read: word(signed, changed, None, read), "'mixed'"),
               (lambda signed, changed, named, read: word(signed, changed, named, read)
                if not signed or None not in (named, read) else "mixed", "no contradiction"),
               (lambda signed, changed, named, read: word(signed, changed, named, read or None), "like any other"),
               (lambda signed, changed, named, read: "mixed" if signed and named != read
                else word(signed, changed, named, read), "worth nothing"),
               (lambda signed, changed, named, read: word(signed, changed, named or None, read), "like any other"),
               (lambda signed, changed, named, read: word(signed, changed and None not in (named, read), named, read),
                "also if it names 5"),
               (lambda *known: word(*known).replace("unknown", "real"), "does not make a film real")],
}


def test_every_check_is_tried_with_two_or_more_usual_mistakes():
    assert set(WRONG) == {name for _, name, _, _ in EXERCISES}
    assert min(map(len, WRONG.values())) >= 2


@pytest.mark.parametrize("name, wrong, said", [(name, *mistake) for name in WRONG for mistake in WRONG[name]])
def test_a_check_names_the_usual_mistake(name, wrong, said):
    with pytest.raises(checks.NotYet, match=said):
        getattr(checks, name)(wrong)


def test_a_notebook_shows_what_is_not_yet_right_without_a_traceback():
    assert checks.NotYet("more")._render_traceback_() == ["Not yet: more"]


# --- how notebooks are built and run ----------------------------------------------------------------

SMALL = '''# %%
import checks

# %% tags=["exercise"]
def clean(x, t, velocity):
    ### BEGIN SOLUTION
    return x - t * velocity
    ### END SOLUTION

# %% tags=["check"]
checks.clean(clean)
'''


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A lesson in a folder of its own."""
    monkeypatch.setattr(build, "FOLDER", tmp_path)
    (tmp_path / "lessons").mkdir()
    (tmp_path / "checks.py").write_text((ROOT / "tutorials" / "checks.py").read_text())
    source = tmp_path / "lessons" / "small.py"
    source.write_text(SMALL)
    return source


def test_one_source_makes_the_solved_and_the_students_notebook(small):
    build.build(small, timeout=250)
    student, solved = notebooks(small)
    assert solved.cells[2].outputs[0].text.startswith("Right. ") and "x - t * velocity" in solved.cells[1].source
    assert student.cells[1].source.endswith("velocity):\n    # YOUR CODE HERE\n    raise NotImplementedError()")
    assert student.cells[2].metadata["tags"] == ["check", "raises-exception"] and not student.cells[2].outputs
    assert not list(small.parents[1].glob(".*.tmp"))

    small.write_text("# %% [markdown]\n# A word more.\n\n" + SMALL)
    build.build(small, text_only=True)
    assert notebooks(small)[1].cells[0].source == "A word more."
    small.write_text(SMALL.replace("x - t", "x + t"))
    with pytest.raises(ValueError, match="small.py is not that of small_solved.ipynb"):
        build.build(small, text_only=True)


def test_a_lesson_that_is_not_there_is_named(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["build.py", "99_nothing"])
    with pytest.raises(SystemExit):
        build.main()
    assert "99_nothing" in capsys.readouterr().err


def test_the_sanitizer_hides_what_differs_from_run_to_run():
    rules = configparser.ConfigParser(interpolation=None)
    rules.read(ROOT / "tutorials" / "nbval.cfg")
    text = "12 steps in 1.25 s, 30 ms each, <Thing at 0x7f3a12bc>"
    for name in rules.sections():
        text = re.sub(rules[name]["regex"], rules[name]["replace"], text)
    assert text == "12 steps in TIME, TIME each, <Thing at ADDRESS>"


def test_ci_runs_the_notebooks_of_the_course():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert "tutorials" in options["testpaths"]
    assert re.search(r"--dist load(scope|file)", options["addopts"])             # one worker a notebook
    assert "--nbval-lax" in options["addopts"] and "--nbval-sanitize-with tutorials/nbval.cfg" in options["addopts"]
