"""Makes the notebooks of the course from their sources: `python tutorials/build.py`, or `... 02_latent_space`.

Each lesson has one source, `lessons/NAME.py` (jupytext, py:percent). It is run, and becomes `NAME_solved.ipynb`. With
the solutions taken out, by nbgrader, and what they showed, it becomes the student's `NAME.ipynb`.
"""

from __future__ import annotations

import argparse
import copy
import os
import re
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions

FOLDER = Path(__file__).parent
KERNEL = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
          "language_info": {"name": "python"}}


def sources() -> list[Path]:
    """The lessons, in the order of the course."""
    return sorted((FOLDER / "lessons").glob("*.py"))


def solved_path(source: Path) -> Path:
    return FOLDER / f"{source.stem}_solved.ipynb"


def student_path(source: Path) -> Path:
    return FOLDER / f"{source.stem}.ipynb"


def build(source: Path, timeout: int = 1200, text_only: bool = False) -> None:
    """Write both notebooks of a lesson.

    With text_only nothing is run: what the cells show is taken from the solved notebook that is there. Raises
    ValueError if its code is another, or if a cell writes to stderr; CellExecutionError if a cell fails.
    """
    lesson = read(source)
    if text_only:
        take_outputs(lesson, nbformat.read(solved_path(source), as_version=4), source)
    else:
        NotebookClient(lesson, timeout=timeout, record_timing=False, resources={"metadata": {"path": str(FOLDER)}},
                       ).execute()
        lesson.metadata = nbformat.from_dict(KERNEL)
    for k, cell in enumerate(code_cells(lesson)):
        noise = [output.text for output in cell.get("outputs", []) if output.get("name") == "stderr"]
        if noise:
            raise ValueError(f"code cell {k} of {source.name} writes to stderr, which no student should see: {noise}")
    write(lesson, solved_path(source))
    write(student(lesson), student_path(source))


def read(source: Path) -> NotebookNode:
    """The lesson as a notebook that has not been run, with what nbval and nbgrader need to know of its cells.

    A cell tagged "exercise" defines one function, between its markers of a solution; one tagged "check" checks it.
    """
    lesson = jupytext.read(source, fmt="py:percent")
    lesson.metadata, lesson.nbformat, lesson.nbformat_minor = nbformat.from_dict(KERNEL), 4, 5
    name = ""
    for k, cell in enumerate(lesson.cells):
        cell.id, tags = f"cell-{k:02}", cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if "exercise" in tags:
            name = re.search(r"^def (\w+)", cell.source, re.M).group(1)
            cell.metadata["nbgrader"] = nbgrader(name, solution=True)
        elif "check" in tags:
            cell.metadata["nbgrader"] = nbgrader(f"{name}-check", grade=True, locked=True, points=1)
            cell.metadata["tags"] = [*tags, "nbval-check-output"]
    return lesson


def student(lesson: NotebookNode) -> NotebookNode:
    """The lesson without its solutions and what depends on them. Its checks fail until the student has done the work,
    and "Run All Cells" goes on after them."""
    lesson = copy.deepcopy(lesson)
    for cell in code_cells(lesson):
        if "nbgrader" in cell.metadata:
            cell.outputs, cell.execution_count = [], None
        if "check" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = ["check", "raises-exception"]
    return ClearSolutions().preprocess(lesson, {})[0]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def take_outputs(lesson: NotebookNode, run: NotebookNode, source: Path) -> None:
    """What the code cells of `run` showed, into the lesson's."""
    new, old = code_cells(lesson), code_cells(run)
    if [cell.source for cell in new] != [cell.source for cell in old]:
        raise ValueError(f"the code of {source.name} is not that of {solved_path(source).name}; build without --text")
    for cell, shown in zip(new, old):
        cell.outputs, cell.execution_count = shown.outputs, shown.execution_count


def nbgrader(grade_id: str, **role) -> dict:
    return {"schema_version": 3, "grade_id": grade_id, "grade": False, "solution": False, "locked": False,
            "task": False, **role}


def write(notebook: NotebookNode, path: Path) -> None:
    nbformat.validate(notebook)
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        nbformat.write(notebook, beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="such as 02_latent_space; all if none is named")
    parser.add_argument("--text", action="store_true", help="only text was changed: run nothing, keep what cells show")
    parser.add_argument("--timeout", type=int, default=1200, help="most seconds that one cell may take")
    options = parser.parse_args()
    known = {source.stem: source for source in sources()}
    unknown = set(options.lessons) - set(known)
    if unknown:
        parser.error(f"no lesson is called {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    for name in options.lessons or known:
        build(known[name], options.timeout, options.text)
        print(f"{student_path(known[name]).name} and {solved_path(known[name]).name}")


if __name__ == "__main__":
    main()
