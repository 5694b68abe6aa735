"""The house rules that a machine can see: who imports whom, what is light, which files follow which."""

import ast
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from rattler import MatchSpec

from mdm_lib.cli import main

ROOT = Path(__file__).resolve().parent.parent

#: Data flows one way: a module imports only from modules to its left.
ORDER = [
    "errors", "config", "runtime", "skeleton", "data.clips", "files", "data.synthetic", "data.arrays_only",
    "data.humanact12", "data.bandai", "data.factors", "data", "features", "scheduler", "ideal", "model", "checkpoint",
    "training", "samplers", "sampling", "recogniser", "metrics", "scorecard", "evaluation", "pictures",
    "pictures.figure", "pictures.page", "pictures.plots", "visualise", "player", "widgets",
    "checks.tutor", "checks.start_here", "checks.motion_data", "checks.positional_encoding", "checks.noise_scheduler",
    "checks.denoiser",
    "checks.training_loop", "checks.reverse_sampler", "checks.guidance", "checks", "runs", "cli", "__main__",
]  # fmt: skip


def imports(module: str) -> set[str]:
    """The modules of the package that a module of it imports."""
    path = ROOT / "mdm_lib" / module.replace(".", "/")
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            dotted = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
            names |= {name.removeprefix("mdm_lib.") for name in dotted if name.startswith("mdm_lib.")}
    return names & set(ORDER)


def test_every_module_has_its_place():
    files = {p.relative_to(ROOT / "mdm_lib").with_suffix("") for p in (ROOT / "mdm_lib").rglob("*.py")}
    modules = {".".join(f.parts).removesuffix(".__init__") for f in files} - {"__init__"}
    assert modules == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_data_flows_one_way(module):
    allowed = set(ORDER[: ORDER.index(module)]) | {module}
    # a package may gather its own modules
    assert imports(module) <= allowed | {name for name in ORDER if name.startswith(f"{module}.")}


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


def test_the_placeholder_address_stands_in_one_place():
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).split()
    address = re.search(r'Repository = "(.*)"', (ROOT / "pyproject.toml").read_text()).group(1)
    holders = {
        name for name in tracked if os.path.isfile(ROOT / name) and address.encode() in (ROOT / name).read_bytes()
    }
    assert {name for name in holders if not name.endswith(".ipynb")} == {"pyproject.toml"}
