"""Builds the notebooks: source/NN_name.md (jupytext Markdown) is executed into NN_name.ipynb.

Its exercises, solved, become solutions/NN_name.ipynb: a cell with the tag ``exercise`` holds a stub and the call of
its check, and the text below it a folded solution, fenced by ~~~python, that takes the stub's place.

    python notebooks/build.py                 all chapters
    python notebooks/build.py 00 03           chapters by the start of their names
    python notebooks/build.py --check         execute nothing; is every notebook built from its present source?

The picture of the cell with the tag ``glance`` goes, small, into ../assets/glance/NN_name.png, for the README.

A rebuild on one machine gives the same bytes, so that a diff shows what changed and nothing else. (A cell
that prints seconds is the exception, and carries the tag ``nbval-ignore-output``.) In a source, a code cell
that holds only ``# set-up`` becomes the set-up cell below, and a fence such as
```` ```python tags=["nbval-ignore-output"] ```` tags its cell.
"""

import argparse
import ast
import base64
import hashlib
import io
import os
import re
import sys
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode
from PIL import Image
from tqdm import tqdm

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10: the same module under its old name; JupyterLab brings it
    import tomli as tomllib

NOTEBOOKS = Path(__file__).resolve().parent
SOURCE = NOTEBOOKS / "source"
PYPROJECT = NOTEBOOKS.parent / "pyproject.toml"

# No versions in here: they would change with every machine.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

SETUP_MARK = "# set-up"
SETUP_CELL = """\
try:
    import mdm_lib
except ModuleNotFoundError:  # on Colab, or with this notebook alone: fetch the course and install it
    import subprocess, sys
    course = "{repository}"
    assert ".invalid" not in course, "no address yet; in your copy: pip install -e '.[course]'"
    subprocess.run(["git", "clone", "--depth", "1", course, "hmd"], check=True)
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-e", "./hmd[course]"], check=True)
    sys.path.insert(0, "hmd")  # this Python started before the installation and has not seen it
from mdm_lib.notebook import start_notebook
start_notebook(seed=0)"""


class BuildError(Exception):
    """A chapter cannot be built; the message says which one, where and why."""


def setup_cell() -> str:
    """The cell that opens every chapter's code, with the course's address from pyproject.toml."""
    repository = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["urls"]["Repository"]
    return SETUP_CELL.format(repository=repository)


def read_source(source: Path) -> NotebookNode:
    """The notebook that a source describes, not yet executed."""
    notebook = jupytext.read(source, fmt="md")
    notebook.metadata = nbformat.from_dict(METADATA)
    seen = Counter()
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.strip() == SETUP_MARK:
            cell.source = setup_cell()
            cell.metadata.tags = ["nbval-ignore-output"]  # it prints versions
        content = f"{cell.cell_type}\n{cell.source}"
        # the same cell keeps its id when others come and go; equal cells are numbered
        cell.id = hashlib.sha256(f"{content}\n{seen[content]}".encode()).hexdigest()[:12]
        seen[content] += 1
    return notebook


def solved(notebook: NotebookNode, name: str) -> NotebookNode | None:
    """The chapter's exercises with their solutions in the stubs' places, or ``None`` where it has none.

    Raises:
        BuildError: an exercise has no solution below it, or the two do not fit.
    """
    cells, title = notebook.cells, re.search(r"(?m)^# (.+)$", notebook.cells[0].source)
    exercises = [index for index, cell in enumerate(cells) if "exercise" in cell.metadata.get("tags", [])]
    if not exercises:
        return None
    opening = f"# Solutions: {title[1]}\n\nOf the exercises in [the chapter](../{name}.ipynb), each with its check."
    solution_cells = [nbformat.v4.new_markdown_cell(opening), nbformat.v4.new_code_cell(setup_cell())]
    solution_cells[1].metadata.tags = ["nbval-ignore-output"]
    for index in exercises:
        text = "## " + cells[index - 1].source.rpartition("### ")[2]
        solution = re.search(r"(?ms)<summary>Solution</summary>\s*^~~~python\n(.*?)^~~~$", cells[index + 1].source)
        if solution is None:
            raise BuildError(f"{name}: no ~~~python solution below the exercise\n{cells[index].source}")
        code = put_in_place(cells[index].source, solution[1].strip(), name)
        solution_cells += [nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell(code)]
    solutions = nbformat.v4.new_notebook(metadata=nbformat.from_dict(METADATA), cells=solution_cells)
    for index, cell in enumerate(solutions.cells):
        cell.id = hashlib.sha256(f"{index} {cell.source}".encode()).hexdigest()[:12]
    return solutions


def put_in_place(exercise: str, solution: str, name: str) -> str:
    """``exercise`` with ``solution`` in place of what both define (a function, a class, a variable)."""

    def defined(code: str) -> dict[str, ast.stmt]:
        named = {getattr(node, "name", None): node for node in ast.parse(code).body}
        targets = {ast.unparse(node.targets[0]): node for node in ast.parse(code).body if isinstance(node, ast.Assign)}
        return {key: node for key, node in (named | targets).items() if key is not None}

    stubs = [node for key, node in defined(exercise).items() if key in defined(solution)]
    if len(stubs) != 1:
        raise BuildError(f"{name}: the solution must define the one thing that is to be written\n{exercise}")
    lines = exercise.splitlines()
    lines[stubs[0].lineno - 1 : stubs[0].end_lineno] = [solution]
    return "\n".join(lines)


def execute(notebook: NotebookNode, folder: Path, name: str) -> None:
    """Run all cells in a fresh kernel whose working directory is ``folder``; outputs go into ``notebook``."""
    from nbclient import NotebookClient  # takes half a second, and --check has no need of it
    from nbclient.exceptions import CellControlSignal, DeadKernelError

    # Widget state is stored first and stripped afterwards: without it nbclient drops what is printed
    # inside an Output widget. Timings are not recorded: they differ from run to run.
    client = NotebookClient(
        notebook, kernel_name="python3", timeout=None, record_timing=False, coalesce_streams=True,
        store_widget_state=True, resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"],  # the kernel's, not ours: it warns of its local port
    )  # fmt: skip
    # what is stored is always the full run
    environment = {key: value for key, value in os.environ.items() if key != "MDM_FAST"}
    with client.setup_kernel(env=environment):
        for index, cell in enumerate(tqdm(notebook.cells, desc=name, unit="cell")):
            try:
                client.execute_cell(cell, index)
            except (CellControlSignal, DeadKernelError) as error:
                reason = re.sub(r"\x1b\[[\d;]*m", "", str(error))  # without terminal colours
                raise BuildError(f"{name}: cell {index + 1} of {len(notebook.cells)} failed\n{reason}") from None


def tidy_outputs(notebook: NotebookNode) -> None:
    """Drop what works only in a live session (widgets), and number the runs 1, 2, 3 …

    An output that is a widget *and* a picture keeps the picture; one that is a PNG and a JPEG of the same
    picture, as Pillow's are, keeps the PNG.
    """
    executed = (cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip())
    for count, cell in enumerate(executed, start=1):
        cell.execution_count = count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            data = output.get("data", {})
            twice = {"image/jpeg"} if "image/png" in data else set()
            for mime in [mime for mime in data if "jupyter.widget" in mime or mime in twice]:
                del data[mime]
        cell.outputs = [output for output in cell.outputs if output.get("data") != {}]
    notebook.metadata = nbformat.from_dict(METADATA)  # nbclient put widget state and versions here


def write(notebook: NotebookNode, path: Path) -> None:
    """Write a notebook, if it is one."""
    nbformat.validate(notebook)
    write_bytes(path, (nbformat.writes(notebook) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write atomically: whoever reads meanwhile sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def write_glance(notebook: NotebookNode, notebook_path: Path) -> None:
    """Put the first picture of the cell tagged ``glance``, small and in few colours, where the README shows it."""
    tagged = [cell for cell in notebook.cells if "glance" in cell.metadata.get("tags", [])]
    pictures = [o.data["image/png"] for cell in tagged for o in cell.outputs if "image/png" in o.get("data", {})]
    if not pictures:
        return
    content = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(pictures[0]))) as picture:
        small = picture.convert("RGB")
        small.thumbnail((400, 150), Image.Resampling.LANCZOS)
        small.quantize(64).save(content, "png", optimize=True)
    write_bytes(notebook_path.parent.parent / "assets" / "glance" / f"{notebook_path.stem}.png", content.getvalue())


def described(source: Path, notebook_path: Path) -> dict[Path, NotebookNode]:
    """The notebooks that a source describes, not yet executed: the chapter, and its solutions where it has some."""
    chapter = read_source(source)
    solutions = solved(chapter, source.stem)
    return {notebook_path: chapter} | ({} if solutions is None else {solutions_path(notebook_path): solutions})


def solutions_path(notebook_path: Path) -> Path:
    """Where the solutions of a chapter are."""
    return notebook_path.parent / "solutions" / notebook_path.name


def build(source: Path, notebook_path: Path) -> None:
    """Execute one source into its notebooks.

    Raises:
        BuildError: when a cell fails; the notebook that was there before stays as it was.
    """
    for path, notebook in described(source, notebook_path).items():
        path.parent.mkdir(exist_ok=True)
        execute(notebook, path.parent, path.relative_to(notebook_path.parent).with_suffix("").as_posix())
        tidy_outputs(notebook)
        write(notebook, path)
        if path == notebook_path:
            write_glance(notebook, notebook_path)


def why_stale(source: Path, notebook_path: Path) -> str | None:
    """Why the notebooks are not what their present source builds, or ``None`` when they are. Executes nothing."""

    def without_outputs(notebook: NotebookNode) -> tuple:
        return notebook.metadata, [(c.id, c.cell_type, c.source, c.metadata) for c in notebook.cells]

    for path, expected in described(source, notebook_path).items():
        name = path.relative_to(notebook_path.parent).as_posix()
        if not path.exists():
            return f"{name} has not been built yet"
        if without_outputs(nbformat.read(path, as_version=4)) != without_outputs(expected):
            return f"{name} was not built from the present source/{source.name}"
    return None


def chapters(names: list[str]) -> dict[Path, Path]:
    """Source → notebook of the chapters whose names start with one of ``names``; of all of them when it is empty."""
    every = sorted(SOURCE.glob("*.md"))
    for name in names:
        if not any(source.stem.startswith(name) for source in every):
            raise BuildError(f"no chapter starts with {name!r}; there are: {', '.join(s.stem for s in every)}")
    chosen = [source for source in every if not names or source.stem.startswith(tuple(names))]
    return {source: NOTEBOOKS / f"{source.stem}.ipynb" for source in chosen}


def main(arguments: list[str] | None = None) -> int:
    """Build or check the chapters that were asked for; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="the start of a chapter's name, for instance 03; default: all")
    parser.add_argument("--check", action="store_true", help="execute nothing, only find notebooks that are stale")
    options = parser.parse_args(arguments)
    try:
        chosen = chapters(options.names)
        if not options.check:
            for source, notebook_path in chosen.items():
                build(source, notebook_path)
            return 0
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    stale = {source: reason for source, path in chosen.items() if (reason := why_stale(source, path))}
    for source, reason in stale.items():
        print(f"{reason}; run: python notebooks/build.py {source.stem}", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
