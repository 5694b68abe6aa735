"""The house rules that a machine can see: who imports whom, what is light, which files follow which."""

import ast
import hashlib
import importlib
import os
import re
import subprocess
import sys
import warnings
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from rattler import MatchSpec

from mdm_lib import MotionClips, load_clips, moved
from mdm_lib.commands.cli import main
from mdm_lib.evaluation import judge, recogniser
from mdm_lib.motion.intake import UPRIGHT, resample

ROOT = Path(__file__).resolve().parent.parent

PACKAGE = ROOT / "mdm_lib"

#: Data flows one way: a folder (or a module that stands alone) imports from its own line and from those above it.
LAYERS = [
    ["errors", "config", "words", "runtime", "files", "reading", "notebook", "moved"],
    ["scheduler", "model"],
    ["conditions"],
    ["samplers", "ideal", "guidance"],
    ["motion"],
    ["formats"],
    ["features"],
    ["data"],
    ["checkpoint"],
    ["training"],
    ["sampling"],
    ["visualise"],
    ["evaluation"],
    ["widgets"],
    ["checks"],
    ["commands"],
    ["__main__"],
]
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
FILES = {".".join(p.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): p
         for p in sorted(PACKAGE.rglob("*.py")) if p != PACKAGE / "__init__.py"}  # fmt: skip


@cache
def imports(module: str) -> set[str]:
    """The modules of the package that a module of it imports, those inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            # a folder of which only modules are taken is a mere address
            dotted = inside if {name.removeprefix("mdm_lib.") for name in inside} <= set(FILES) else {node.module}
            names |= {name.removeprefix("mdm_lib.") for name in dotted if name.startswith("mdm_lib.")}
    return (names & set(FILES)) - {module}


def test_every_room_has_its_layer():
    assert {module.split(".")[0] for module in FILES} == set(LEVEL) - ({"conditions"} - set(FILES))


@pytest.mark.parametrize("module", FILES)
def test_data_flows_one_way(module):
    own = LEVEL[module.split(".")[0]]
    assert [name for name in imports(module) if LEVEL[name.split(".")[0]] > own] == []


def test_there_is_no_circle():
    """In the order in which ``TopologicalSorter`` walks, every module comes after all that it imports."""
    assert len(list(TopologicalSorter({module: imports(module) for module in FILES}).static_order())) == len(FILES)


@pytest.mark.parametrize("module", FILES)
def test_files_and_functions_are_short(module):
    """No file over 400 lines, no function over 40 lines of code (docstring, comments and blank lines apart)."""
    source = FILES[module].read_text(encoding="utf-8")
    assert source.count("\n") <= 400
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            first = node.body[ast.get_docstring(node) is not None].lineno if len(node.body) > 1 else node.body[0].lineno
            body = [line.strip() for line in lines[first - 1 : node.end_lineno]]
            code = [line for line in body if line and not line.startswith("#")]
            assert len(code) <= 40, f"{node.name} has {len(code)} lines"


def test_the_core_reads_in_one_sitting():
    """Scheduler, denoiser and the action's condition (in ``model.py``), objective, samplers."""
    whole = ("scheduler", "model", "training.objective", "samplers")
    assert sum(FILES[name].read_text(encoding="utf-8").count("\n") for name in whole) <= 443


def test_old_addresses_work():
    """What notebooks imported before the package had folders; see ``mdm_lib.moved``."""
    for old, places in moved.MODULES.items():
        module = importlib.import_module(f"mdm_lib.{old}")
        for place in places:
            present = importlib.import_module(f"mdm_lib.{place}")
            assert all(getattr(module, name) is getattr(present, name) for name in vars(present) if name[0] != "_")
    for old, names in moved.NAMES.items():
        for name in names:
            assert getattr(importlib.import_module(f"mdm_lib.{old}"), name) is not None
    with pytest.raises(ImportError):
        exec("from mdm_lib.skeleton import no_such_name")


@pytest.mark.parametrize("module", ["scheduler", "model"])
def test_scheduler_and_model_import_nothing_but_torch(module):
    tree = ast.parse((ROOT / "mdm_lib" / f"{module}.py").read_text())
    roots = {(n.module if isinstance(n, ast.ImportFrom) else n.names[0].name).split(".")[0]
             for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)}  # fmt: skip
    assert roots <= {"torch", "math"}


def test_import_is_light():
    code = "import sys, mdm_lib; print([m for m in ('matplotlib', 'ipywidgets', 'gdown', 'PIL') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_environment_yml_is_valid():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *specs, pip = environment["dependencies"]
    assert [MatchSpec(spec).name.normalized for spec in specs] == ["python", "pip"]
    assert pip["pip"] == ["-c constraints.txt", "-e .[course]"]


def test_constraints_fit_the_ranges():
    """Every package that pyproject.toml names has a tested version."""
    from packaging.requirements import Requirement

    project = __import__("importlib.metadata", fromlist=["requires"]).requires("mdm_lib")
    named = {Requirement(line).name.lower().replace("_", "-") for line in project} - {"mdm-lib"}
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    tested = {Requirement(line).name.lower() for line in lines}
    assert named <= tested
    assert "torch==2.13.0" in lines


@pytest.mark.parametrize("japanese", ["README_ja.md", "docs/decisions_ja.md"])
def test_japanese_follows_english(japanese):
    """The first line of a translation names the English text that it follows."""
    source = ROOT / japanese.replace("_ja", "")
    current = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    first_line = (ROOT / japanese).read_text(encoding="utf-8").splitlines()[0]
    assert first_line == f"<!-- follows {source.name} {current} -->", (
        f"{japanese} is stale: bring it up to {source.name}, then let its first line end in {current} -->"
    )


@pytest.mark.parametrize("document", ["README.md", "README_ja.md", "CONTRIBUTING.md", "data/README.md"])
def test_links_and_commands_in_documents_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http"):
            assert ((ROOT / document).parent / target).exists(), target
    for command in re.findall(r"python -m mdm_lib (\w+)", text):
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0, command
    for target in re.findall(r"\bmake (demo|lab|test|notebooks|\w+)\b(?= )", text):
        if target in ("demo", "lab", "test", "notebooks"):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M)


@pytest.mark.parametrize("document", ["README.md", "README_ja.md"])
def test_the_readmes_code_runs(document, capsys):
    code = re.search(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.S)[1]
    shorter = code.replace("steps=500", "steps=4").replace("% 100", "% 2")
    assert shorter.count("steps=4") == 1
    names = {}
    exec(shorter, names)
    assert names["jumps"].shape == (4, 60, 22, 3)
    assert "'loss'" in capsys.readouterr().out


@pytest.mark.parametrize("document", ["README.md", "README_ja.md"])
def test_the_readmes_way_for_ones_own_motions_runs(document, tmp_path, monkeypatch, capsys):
    """With two dozen files as somebody else would have them: centimetres, z up, 30 frames a second."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recogniser, "STEPS", 5)
    monkeypatch.setattr(recogniser, "BATCH_SIZE", 8)
    monkeypatch.setattr(judge, "NUM_SPLITS", 2)
    people = load_clips("synthetic:24")
    for n, (clip, length) in enumerate(zip(people.joints, people.lengths, strict=True)):
        np.save(f"mine_{n}.npy", 100 * resample(clip[:length], 20, 30).numpy() @ np.array(UPRIGHT["z"], "f4"))
    code = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(encoding="utf-8"), re.S)[1]
    assert code.count("minutes=5") == 1 and len(code.splitlines()) == 10
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(code.replace("minutes=5", "steps=3"), names)
    assert MotionClips.load("mine.npz").fingerprint() == names["clips"].fingerprint()
    assert "FID" in capsys.readouterr().out


def test_the_placeholder_address_stands_in_one_place():
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    address = re.search(r'Repository = "(.*)"', (ROOT / "pyproject.toml").read_text()).group(1)
    holders = {
        name for name in tracked if os.path.isfile(ROOT / name) and address.encode() in (ROOT / name).read_bytes()
    }
    assert {name for name in holders if not name.endswith(".ipynb")} == {"pyproject.toml"}
