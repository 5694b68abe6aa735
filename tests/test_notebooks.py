"""The notebooks as files: built from their sources, tidy, made of the package's own code. nbval runs them."""

import ast
import importlib.util
import itertools
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbval.plugin import get_sanitize_patterns
from PIL import Image

import mdm_lib

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks" / "source").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTIONS = sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))


def load_builder():
    """notebooks/build.py as a module; it is a script and part of no package."""
    spec = importlib.util.spec_from_file_location("notebook_builder", ROOT / "notebooks" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


builder = load_builder()
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path: Path):
    return nbformat.read(path, as_version=4)


def code_cells(path: Path) -> list:
    return [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]


def outputs(path: Path) -> list:
    return [output for cell in code_cells(path) for output in cell.outputs]


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def prose(path: Path) -> str:
    """All Markdown of a notebook, fenced code taken out."""
    text = "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    return re.sub(r"(?ms)^(```+|~~~+).*?^\1\s*$", "", text)


# ---------------------------------------------------------------- source and notebook


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_notebook_is_built_from_its_present_source(source):
    reason = builder.why_stale(source, source.parents[1] / f"{source.stem}.ipynb")
    assert reason is None, f"{reason}; run: python notebooks/build.py {source.stem}"


def test_every_notebook_has_a_source():
    assert {path.stem for path in [*NOTEBOOKS, *SOLUTIONS]} <= {source.stem for source in SOURCES}


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_every_solution_passes_its_check(path):
    """As stored; nbval runs them and compares."""
    for cell in code_cells(path)[1:]:
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert re.match("✔ ", printed), f"{cell.source}\n{printed}"


@each_notebook
def test_set_up_cell_is_the_builders_and_comes_first(path):
    cells = code_cells(path)
    assert cells[0].source == builder.setup_cell()
    assert "nbval-ignore-output" in tags(cells[0])
    assert sum("start_notebook" in cell.source for cell in cells) == 1


def test_set_up_cell_has_the_address_of_pyproject():
    address = re.search(r'(?m)^Repository = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))[1]
    cell = builder.setup_cell()
    assert f'"{address}"' in cell
    assert len(cell.splitlines()) <= 12
    assert max(map(len, cell.splitlines())) <= 120


def run_set_up_cell_without_the_course(monkeypatch, address: str) -> list[list[str]]:
    """Execute the set-up cell where ``mdm_lib`` is missing until pip has run; returns the commands it ran."""
    commands = []

    def run(command, check):
        assert check, "a command that fails must not go unnoticed"
        commands.append(command)
        if "pip" in command:
            sys.modules["mdm_lib"] = mdm_lib

    monkeypatch.setitem(sys.modules, "mdm_lib", None)  # makes `import mdm_lib` raise ModuleNotFoundError
    monkeypatch.setattr("subprocess.run", run)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    exec(builder.SETUP_CELL.format(repository=address), {})
    return commands


def test_set_up_cell_without_the_course_fetches_it(monkeypatch, capsys):
    clone, install = run_set_up_cell_without_the_course(monkeypatch, "https://some.where/course")
    assert clone == ["git", "clone", "--depth", "1", "https://some.where/course", "hmd"]
    assert install == [sys.executable, "-m", "pip", "install", "-q", "-e", "./hmd[course]"]
    assert "torch" in capsys.readouterr().out


def test_set_up_cell_without_the_course_and_without_an_address_says_what_to_do(monkeypatch):
    with pytest.raises(AssertionError, match=r"no address yet.*pip install -e '\.\[course\]'"):
        run_set_up_cell_without_the_course(monkeypatch, "https://example.invalid/course")


# ---------------------------------------------------------------- what is stored


@each_notebook
def test_stored_outputs_show_everywhere(path):
    """Widgets need a live session: GitHub shows stored ones as a blank, JupyterLab as "model not found"."""
    assert "widget" not in str(read(path).metadata)
    assert all("jupyter.widget" not in mime for output in outputs(path) for mime in output.get("data", {}))
    assert outputs(path), "no outputs are stored; nbval has nothing to compare"
    assert all(cell.execution_count for cell in code_cells(path))
    assert path.stat().st_size < 1_000_000


@each_notebook
def test_stored_outputs_are_clean(path):
    for output in outputs(path):
        assert output.output_type != "error"
        text = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        assert not re.search(r"\bat 0x[0-9a-fA-F]{6,}", text), f"a memory address teaches nothing: {text[:80]}"
        assert str(ROOT) not in text, f"a path of the machine that built it: {text[:80]}"


@each_notebook
def test_few_outputs_are_left_unchecked_and_those_are_asserted(path):
    cells = code_cells(path)
    ignored = [index for index, cell in enumerate(cells) if "nbval-ignore-output" in tags(cell)]
    assert len(ignored) <= max(2, len(cells) // 5)
    for index in ignored[1:]:  # the first is the set-up cell
        assert "assert" in cells[index + 1].source, f"no assertion after:\n{cells[index].source}"
    for cell in cells:  # other ways out of the comparison
        assert "NBVAL_" not in cell.source
        assert not {"nbval-skip", "skip-execution", "raises-exception"} & set(tags(cell))


@each_notebook
def test_no_cell_runs_a_shell(path):
    """jupytext turns a ```bash block of the prose into a `%%bash` cell; ```` ```bash .noeval ```` stays prose."""
    assert not [cell.source for cell in code_cells(path) if re.match(r"%%|!", cell.source)]


# ---------------------------------------------------------------- prose


def heading_levels(text: str) -> list[int]:
    return [len(marks) for marks in re.findall(r"(?m)^(#{1,6}) ", text)]


def heading_faults(levels: list[int]) -> list[str]:
    """What is wrong with the order of headings: one H1, at the start, and no level left out on the way down."""
    faults = [] if levels[:1] == [1] and levels.count(1) == 1 else ["there must be one H1, and first"]
    jumps = [f"H{a} is followed by H{b}" for a, b in itertools.pairwise(levels) if b > a + 1]
    return faults + jumps


def images_without_alt(text: str) -> list[str]:
    images = re.findall(r"!\[\s*\]\([^)]*\)|<img\b[^>]*>", text)
    return [image for image in images if not re.search(r'\balt\s*=\s*"\s*[^"\s]', image)]


@each_notebook
def test_headings_are_in_order(path):
    assert heading_faults(heading_levels(prose(path))) == []


@each_notebook
def test_template_parts(path):
    headings = re.findall(r"(?m)^## (.+)$", prose(path))
    assert headings[0] == "You will"
    assert "What you learned" in headings
    assert re.search(r"\*\*(Previous|Next)", prose(path)), "no link to the previous or the next chapter"


@each_notebook
def test_time_and_needs_are_told(path):
    assert re.search(r"(?m)^\*\*Time:\*\* .+\*\*Needs:\*\* .+", prose(path))


@each_notebook
def test_exercises_have_difficulty_minutes_and_a_folded_answer(path):
    exercises = prose(path).partition("\n## Exercises\n")[2].partition("\n## ")[0].split("\n### ")[1:]
    assert len(exercises) >= 3
    for number, exercise in enumerate(exercises, start=1):
        assert re.match(rf"{number}\. .+ ●[●○]{{4}} · \d+ minutes\n", exercise), exercise.splitlines()[0]
        summaries = re.findall(r"<details>\s*<summary>(\w+)</summary>", exercise)
        assert summaries in (["Answer"], ["Hint", "Answer"], ["Hint", "Solution"]), exercise.splitlines()[0]
    stubs = [cell for cell in code_cells(path) if "exercise" in tags(cell)]
    assert len(stubs) == sum("<summary>Solution</summary>" in exercise for exercise in exercises) >= 2
    for cell in stubs:
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert re.fullmatch(r"○ \w+: still to do\n", printed), f"{cell.source}\n{printed}"


@each_notebook
def test_images_have_alt_texts(path):
    html = [output.get("data", {}).get("text/html", "") for output in outputs(path)]
    assert images_without_alt("\n".join([prose(path), *html])) == []


@each_notebook
def test_links_to_files_lead_somewhere(path):
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", prose(path))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_prose_checks_find_faults():
    assert heading_faults([1, 2, 3, 2, 3]) == []
    assert heading_faults([1, 3]) == ["H1 is followed by H3"]
    assert heading_faults([2, 1, 2]) == heading_faults([1, 2, 1]) == ["there must be one H1, and first"]
    good = '![a walk](walk.png) <img src="a.png" alt="a run">'
    assert images_without_alt(good) == []
    assert len(images_without_alt('![](walk.png) <img src="a.png"> <img alt="" src="b.png">')) == 3


# ---------------------------------------------------------------- notebook and package


#: What a chapter must build exactly as the package holds it, once the chapter is there.
MUST_MIRROR = {
    "02_positional_encoding": {"mdm_lib.model.PositionalEncoding"},
    "03_noise_scheduler": {"mdm_lib.scheduler.NoiseScheduler"},
    "04_transformer_denoiser": {f"mdm_lib.model.{n}" for n in ("Block", "ActionCondition", "MDM")},
    "05_training_loop": {"mdm_lib.training.objective.masked_mse", "mdm_lib.training.objective.training_loss"},
    "06_reverse_sampler": {"mdm_lib.samplers.ddpm", "mdm_lib.samplers.ddim"},
    "08_evaluation": {
        *(f"mdm_lib.evaluation.measures.{n}_distance" for n in ("gaussian", "frechet")),
        *(f"mdm_lib.evaluation.measures.{n}" for n in ("diversity", "multimodality")),
        "mdm_lib.evaluation.physics.skating_ratio",
    },
    "09_guidance_and_fast_sampling": {"mdm_lib.guidance.guided", "mdm_lib.samplers.dpm_solver"},
}


def definition(code: str, name: str) -> str:
    """The syntax tree of class or function ``name`` in ``code``, docstrings taken out (comments are not in it)."""
    found = [node for node in ast.parse(code).body if getattr(node, "name", None) == name]
    assert len(found) == 1, f"{name} must be defined exactly once, not {len(found)} times"
    for node in ast.walk(found[0]):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:]
    return ast.unparse(found[0])


def mirrored(cell_source: str) -> list[str]:
    """The names that a cell says it mirrors: ``# mirrors mdm_lib.module.Name`` in its first lines."""
    opening = re.match(r"(?:#.*\n)*", cell_source)[0]
    return re.findall(r"(?m)^# mirrors (mdm_lib\.[\w.]+)$", opening)


def package_source(dotted_name: str) -> str:
    module = importlib.util.find_spec(dotted_name.rpartition(".")[0])
    return Path(module.origin).read_text(encoding="utf-8")


@each_notebook
def test_mirrored_code_is_the_packages(path):
    names = set()
    for cell in code_cells(path):
        said = mirrored(cell.source)
        assert len(said) == len(re.findall(r"(?mi)^\s*#\s*mirror", cell.source)), f"not understood: {cell.source[:80]}"
        for dotted_name in said:
            name = dotted_name.rpartition(".")[2]
            assert definition(cell.source, name) == definition(package_source(dotted_name), name)
        names.update(said)
    assert MUST_MIRROR.get(path.stem, set()) <= names


PACKAGE = '''
class Walker(nn.Module):
    """Walks."""

    def forward(self, x):
        """``[B]`` → ``[B]``."""
        return self.step(x) * 2  # both legs
'''


def test_comparison_ignores_docstrings_comments_and_layout():
    cell = "# mirrors mdm_lib.walk.Walker\nimport torch\nclass Walker(nn.Module):\n    def forward(self, x):\n" + (
        "        # twice\n        return (self.step(x)\n            * 2)\n"
    )
    assert mirrored(cell) == ["mdm_lib.walk.Walker"]
    assert definition(cell, "Walker") == definition(PACKAGE, "Walker")


@pytest.mark.parametrize(
    "change", [("* 2", "* 3"), ("self.step(x)", "x"), ("(nn.Module)", ""), ("forward(self, x)", "forward(self, x=1)")]
)
def test_comparison_finds_a_difference(change):
    assert definition(PACKAGE.replace(*change), "Walker") != definition(PACKAGE, "Walker")


def test_comparison_reads_the_package():
    real = package_source("mdm_lib.scheduler.NoiseScheduler")
    assert definition(real, "NoiseScheduler") != definition(real.replace("1 - betas", "betas"), "NoiseScheduler")
    with pytest.raises(AssertionError, match="exactly once"):
        definition(real, "Missing")


# ---------------------------------------------------------------- the builder


HEADER = "---\njupyter:\n  kernelspec:\n    display_name: Python 3\n    language: python\n    name: python3\n---\n\n"


def write_source(folder: Path, *cells: str, tags: str = "") -> Path:
    source = folder / "source" / "99_tiny.md"
    source.parent.mkdir(parents=True, exist_ok=True)
    fenced = "\n\n".join(f"```python{tags}\n{cell}\n```" for cell in cells)
    source.write_text(f"{HEADER}# Tiny\n\n{fenced}\n", encoding="utf-8")
    return source


def test_rebuild_gives_the_same_bytes(tmp_path):
    noisy = "import sys\nfor i in range(3):\n    print(i)\n    print('!', file=sys.stderr, flush=True)"
    plot = "import matplotlib.pyplot as plt\nplt.figure(figsize=(1, 1))\n_ = plt.plot([1, 2])"
    picture = "from PIL import Image\nImage.new('RGB', (9, 9))"
    source = write_source(tmp_path, noisy, plot, picture, "None", "None")
    first, second = tmp_path / "first.ipynb", tmp_path / "second.ipynb"
    builder.build(source, first)
    builder.build(source, second)
    assert first.read_bytes() == second.read_bytes()
    streams = [(output.name, output.text) for output in outputs(first) if output.output_type == "stream"]
    assert streams == [("stdout", "0\n1\n2\n"), ("stderr", "!\n!\n!\n")]
    assert len({cell.id for cell in read(first).cells}) == 6
    assert [cell.execution_count for cell in code_cells(first)] == [1, 2, 3, 4, 5]
    pictures = [set(output.data) for output in outputs(first) if output.output_type != "stream"]
    assert pictures == [{"image/png", "text/plain"}] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.ipynb", "second.ipynb", "source"]


def test_the_picture_of_the_cell_tagged_glance_is_put_aside(tmp_path):
    wide = "from PIL import Image\nImage.new('RGB', (1000, 200), 'red')"
    source = write_source(tmp_path / "notebooks", "1", wide, tags=' tags=["glance"]')
    builder.build(source, tmp_path / "notebooks" / "99_tiny.ipynb")
    with Image.open(tmp_path / "assets" / "glance" / "99_tiny.png") as picture:
        assert picture.size == (400, 80) and picture.convert("RGB").getpixel((9, 9)) == (255, 0, 0)


@each_notebook
def test_every_chapter_has_a_picture_for_the_readme(path):
    assert sum("glance" in tags(cell) for cell in code_cells(path)) == 1
    glance = ROOT / "assets" / "glance" / f"{path.stem}.png"
    assert glance.stat().st_size < 20_000
    for readme in ("README.md", "README_ja.md"):
        assert f"(assets/glance/{path.stem}.png)" in (ROOT / readme).read_text(encoding="utf-8")


def test_widgets_are_stripped_and_their_picture_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MDM_FAST", "1")  # and what is stored is the full run all the same
    player = (
        "import ipywidgets\n"
        "class Player(ipywidgets.IntSlider):\n"
        "    def _repr_mimebundle_(self, **kwargs):\n"
        "        return {**super()._repr_mimebundle_(**kwargs), 'image/png': 'iVBORw0KGgo='}\n"
        "Player()"
    )
    source = write_source(tmp_path, player, "ipywidgets.IntSlider()", "import os; print('MDM_FAST' in os.environ)")
    builder.build(source, tmp_path / "widgets.ipynb")
    assert "jupyter.widget" not in (tmp_path / "widgets.ipynb").read_text(encoding="utf-8")
    assert read(tmp_path / "widgets.ipynb").metadata == builder.METADATA
    with_picture, slider, fast = outputs(tmp_path / "widgets.ipynb")
    assert set(with_picture.data) == {"image/png", "text/plain"}
    assert slider.data == {"text/plain": "IntSlider(value=0)"}
    assert fast.text == "False\n"


def test_failing_cell_fails_the_build_and_leaves_the_old_notebook(tmp_path):
    notebook_path = tmp_path / "99_tiny.ipynb"
    notebook_path.write_text("old")
    source = write_source(tmp_path, "x = 1", "x / 0  # the culprit")
    with pytest.raises(builder.BuildError) as caught:
        builder.build(source, notebook_path)
    for part in ("99_tiny", "cell 3 of 3", "x / 0  # the culprit", "ZeroDivisionError: division by zero"):
        assert part in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert notebook_path.read_text() == "old"


def built_without_running(source: Path, notebook_path: Path) -> None:
    for path, notebook in builder.described(source, notebook_path).items():
        path.parent.mkdir(exist_ok=True)
        builder.tidy_outputs(notebook)
        builder.write(notebook, path)


STUB = """\
from mdm_lib import checks


def half(x):
    ...


checks.half(half)"""
SOLUTION = "<details><summary>Solution</summary>\n\n~~~python\n{}\n~~~\n\n</details>\n"


def write_exercise(folder: Path, solution: str) -> Path:
    source = write_source(folder, STUB, tags=' tags=["exercise"]')
    text = source.read_text(encoding="utf-8").replace("```python", "### Halve ●○○○○\n\nDo it.\n\n```python")
    source.write_text(f"{text}\n{solution}", encoding="utf-8")
    return source


def test_solutions_are_the_exercises_with_the_stub_replaced(tmp_path):
    source = write_exercise(tmp_path, SOLUTION.format("def half(x):\n    return x / 2  # of it"))
    solutions = builder.solved(builder.read_source(source), "99_tiny")
    title, set_up, text, code = [cell.source for cell in solutions.cells]
    assert title.startswith("# Solutions: Tiny") and "(../99_tiny.ipynb)" in title
    assert set_up == builder.setup_cell()
    assert text == "## Halve ●○○○○\n\nDo it."
    assert code == STUB.replace("    ...", "    return x / 2  # of it")


def test_a_chapters_solutions_are_stale_with_it(tmp_path):
    notebook_path = tmp_path / "99_tiny.ipynb"
    built_without_running(write_exercise(tmp_path, SOLUTION.format("def half(x):\n    return x / 2")), notebook_path)
    source = write_exercise(tmp_path, SOLUTION.format("def half(x):\n    return x * 0.5"))
    assert "99_tiny.ipynb was not built" in builder.why_stale(source, notebook_path)
    built_without_running(source, notebook_path)
    assert builder.why_stale(source, notebook_path) is None
    builder.solutions_path(notebook_path).unlink()
    assert "solutions/99_tiny.ipynb has not been built" in builder.why_stale(source, notebook_path)


@pytest.mark.parametrize("solution", ["No solution.", SOLUTION.format("def double(x):\n    return 2 * x")])
def test_an_exercise_without_its_solution_cannot_be_built(solution, tmp_path):
    with pytest.raises(builder.BuildError, match=r"99_tiny: .*\n(.*\n)*def half"):
        builder.described(write_exercise(tmp_path, solution), tmp_path / "99_tiny.ipynb")


def test_check_finds_what_is_stale(tmp_path):
    notebook_path = tmp_path / "99_tiny.ipynb"
    source = write_source(tmp_path, "x = 1", "# set-up")
    assert "has not been built" in builder.why_stale(source, notebook_path)
    built_without_running(source, notebook_path)
    assert builder.why_stale(source, notebook_path) is None
    assert code_cells(notebook_path)[1].source == builder.setup_cell()
    for other in [("x = 2", "# set-up"), ("x = 1",), ("# set-up", "x = 1")]:
        assert "not built from the present" in builder.why_stale(write_source(tmp_path, *other), notebook_path)
    tagged = write_source(tmp_path, "x = 1", "# set-up", tags=' tags=["nbval-ignore-output"]')
    assert "not built from the present" in builder.why_stale(tagged, notebook_path)


def test_check_says_which_and_how(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(builder, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(builder, "SOURCE", tmp_path / "source")
    source = write_source(tmp_path, "x = 1")
    assert builder.main(["--check"]) == 1
    assert "99_tiny.ipynb has not been built yet; run: python notebooks/build.py 99_tiny" in capsys.readouterr().err
    built_without_running(source, tmp_path / "99_tiny.ipynb")
    assert builder.main(["--check", "99"]) == 0
    assert builder.main(["--check", "42"]) == 1
    assert "no chapter starts with '42'; there are: 99_tiny" in capsys.readouterr().err


# ---------------------------------------------------------------- nbval


@pytest.mark.parametrize(
    ("text", "sanitised"),
    [
        ("loss 0.12:  40%|████      | 4/10 [00:01<00:02, 2.71it/s]\nend", "PROGRESS\nend"),
        ("120 ms, 3.1 µs", "DURATION, DURATION"),
        ("in 3.2 s, took 12 seconds", "in DURATION, took DURATION"),
        ("5.5 steps/s", "RATE"),
        ("<object at 0x7f3c2a1b9d60>", "<object at ADDRESS>"),
        ("/tmp/ipykernel_4711/123.py:3: Warning", "TEMPORARY:3: Warning"),
        (r"C:\Users\me\AppData\Local\Temp\tmp1 is gone", "TEMPORARY is gone"),
        ("<PIL.Image.Image image mode=RGB size=984x704>", "PICTURE"),
        # what is left to be compared
        ("60 frames are 3.0 s of motion", "60 frames are 3.0 s of motion"),
        ("<Figure size 640x480 with 1 Axes>", "<Figure size 640x480 with 1 Axes>"),
        ("loss 0.123 at t = 40", "loss 0.123 at t = 40"),
    ],
)
def test_sanitising(text, sanitised):
    for pattern, replacement in get_sanitize_patterns((ROOT / "tests" / "sanitize.cfg").read_text(encoding="utf-8")):
        text = re.sub(pattern, replacement, text)
    assert text == sanitised
