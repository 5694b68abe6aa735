"""The doctor: what it says of a healthy machine, and of each thing that can be wrong."""

import importlib.metadata
import json
import sys

import pytest
from click.testing import CliRunner

from mdm_lib.commands import doctor
from mdm_lib.commands.cli import main
from mdm_lib.errors import InputError


def found(name: str) -> list[doctor.Finding]:
    return [finding for finding in doctor.examine() if finding.name == name]


def test_here_all_is_well():
    """The tests run where the course is installed: nothing may be a problem, and each line has its place."""
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    for name in ("python", "the package", "notebooks", "device", "threads", "model", "real motion", "folder"):
        assert any(line[2:].startswith(name) for line in lines), name
    assert f"torch {importlib.metadata.version('torch')}" in result.output
    assert "✗" not in result.output


def without(monkeypatch, *packages: str, **versions: str):
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name in packages:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions.get(name) or real(name)

    monkeypatch.setattr(doctor, "version", version)


def test_a_missing_package_of_the_notebooks_is_a_problem(monkeypatch):
    without(monkeypatch, "anywidget")
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "✗ notebooks    anywidget is missing\n" in result.output
    assert "→ pip install -c constraints.txt -e '.[course]'" in result.output
    assert "1 to fix" in result.output


def test_a_missing_package_of_the_tests_is_none(monkeypatch):
    without(monkeypatch, "nbval")
    [tests] = found("tests")
    assert (tests.state, tests.found) == ("missing", "nbval is missing")
    assert "'.[test]'" in tests.advice


def test_who_installed_the_package_alone_needs_no_notebooks(monkeypatch):
    monkeypatch.setattr(doctor, "IN_CHECKOUT", False)
    without(monkeypatch, "anywidget")
    [notebooks] = found("notebooks")
    assert notebooks.state == "missing" and notebooks.advice.startswith("pip install ")
    assert "anywidget" in notebooks.advice and "constraints" not in notebooks.advice


def test_an_old_package_is_named_with_both_versions(monkeypatch):
    without(monkeypatch, torch="1.13.1")
    [package] = found("the package")
    assert package.state == "problem" and package.found == "torch is 1.13.1, but >=2.6 is needed"


def test_a_folder_on_the_path_is_not_an_installation(monkeypatch):
    def requires(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "requires", requires)
    [packages] = found("packages")
    assert packages.state == "problem" and "not installed" in packages.found and "pip install" in packages.advice


@pytest.mark.parametrize("python, state", [(sys.executable, "ok"), ("/usr/bin/another-python", "problem")])
def test_a_kernel_of_another_python_is_found(python, state, tmp_path, monkeypatch):
    kernel = tmp_path / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python 3"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    from jupyter_client.kernelspec import KernelSpecManager

    monkeypatch.setattr(KernelSpecManager, "ensure_native_kernel", False)
    [line] = found("kernel")
    assert line.state == state and (state == "ok" or python in line.found)
    assert ("ipykernel install" in line.advice) == (state == "problem")


def test_a_damaged_model_says_how_to_get_it_back(tmp_path, monkeypatch):
    (tmp_path / "half.pth").write_bytes(b"half of a file")
    monkeypatch.setattr(doctor, "asset_path", lambda name: tmp_path / "half.pth")
    models = found("model")
    assert [model.state for model in models] == ["problem", "problem"]
    assert "half.pth" in models[0].found and "git checkout -- assets" in models[0].advice


def test_a_damaged_humanact12_is_told_from_a_missing_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [missing] = found("real motion")
    assert missing.state == "missing" and "download humanact12" in missing.advice
    doctor.HUMANACT12_FOLDER.mkdir(parents=True)
    (doctor.HUMANACT12_FOLDER / "humanact12poses.pkl").write_bytes(b"not a pickle")
    [damaged] = found("real motion")
    assert damaged.state == "problem" and "humanact12poses.pkl" in damaged.found


def test_no_chromium_matters_to_the_browser_tests_alone(monkeypatch):
    monkeypatch.setenv("PATH", "")
    [chromium] = found("chromium")
    assert chromium.state == "missing" and "only the browser tests" in chromium.advice


def test_a_folder_that_cannot_be_written_is_a_problem(monkeypatch):
    def refuse(**options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    [folder] = found("folder")
    assert folder.state == "problem" and "Read-only file system" in folder.found and "--out" in folder.advice


def test_a_check_that_breaks_does_not_hide_the_others(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("no driver")

    monkeypatch.setattr(doctor.runtime, "pick_device", broken)
    findings = list(doctor.examine())
    assert doctor.Finding("computing", "problem", "RuntimeError: no driver") in findings
    assert findings[-1].name == "folder"


def test_an_input_error_of_a_model_is_not_a_crash(monkeypatch):
    def refuse(name):
        raise InputError(f"no file {name!r} comes with the course")

    monkeypatch.setattr(doctor, "asset_path", refuse)
    assert "no file 'synthetic.pth'" in found("model")[0].found
