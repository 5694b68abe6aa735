"""A real browser, and JupyterLab in it."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

import mdm_lib
from mdm_lib.commands.doctor import find_chromium

#: Milliseconds after which a wait has failed: no measure of speed, the machine may be slow and busy.
PATIENCE = 180_000

playwright = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
#: No news, no windowing (outputs stay in the page), no autosave.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false"},
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}


@pytest.fixture(scope="session")
def browser():
    """Chromium; skips with the way to get it when there is none."""
    with playwright.sync_playwright() as driver:
        own = driver.chromium.executable_path
        path = find_chromium() or (own if Path(own).exists() else None)
        if path is None:
            pytest.skip("needs Chromium: `apt install chromium`, or `python -m playwright install chromium`")
        chromium = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class Watch:
    """What went wrong in a page: errors on its console, and requests to any host but ``home``."""

    def __init__(self, page, home: str):
        self.errors, self.strangers = [], []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(error.stack or str(error)))
        page.on("request", lambda request: self._look_at(request.url, home))

    def _look_at(self, url: str, home: str):
        if not url.startswith((home, home.replace("http", "ws", 1), "data:", "blob:")):
            self.strangers.append(url)

    def check(self):
        assert not self.strangers, f"requests to other hosts: {self.strangers}"
        assert not self.errors, f"errors on the console: {self.errors}"


@pytest.fixture
def open_file(browser):
    """``open_file(path, **context)`` → a page from ``file://`` without a network; errors in it fail the test."""
    opened = []

    def open_file(path: Path, **context):
        page = browser.new_context(offline=True, **context).new_page()
        page.set_default_timeout(PATIENCE)
        opened.append((page, Watch(page, "file://")))
        page.goto(f"file://{path}")
        return page

    yield open_file
    for page, watch in opened:
        watch.check()
        page.context.close()


class Notebook:
    """A notebook that is open in JupyterLab; ``page`` is its Playwright page."""

    def __init__(self, page):
        self.page = page

    def run(self):
        """Run all cells; a failing cell fails the test."""
        self.page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        self.wait_until_idle()
        # Lab's command does not tell of a failure
        failed = [o for outputs in self.outputs() for o in outputs if o["output_type"] == "error"]
        assert not failed, f"a cell failed with {failed[0]['ename']}: {failed[0]['evalue']}"

    def run_cell(self, index: int):
        """Run one cell, as a reader does who presses shift and enter in it."""
        self.page.evaluate(
            """(index) => { const { content } = jupyterapp.shell.currentWidget;
               content.deselectAll();
               content.activeCellIndex = index;
               return jupyterapp.commands.execute('notebook:run-cell') }""",
            index,
        )
        self.wait_until_idle()

    def outputs(self) -> list[list[dict]]:
        """The outputs of each code cell."""
        cells = self.page.evaluate("jupyterapp.shell.currentWidget.content.model.toJSON()")["cells"]
        return [cell["outputs"] for cell in cells if cell["cell_type"] == "code"]

    def wait_until_idle(self):
        self.page.wait_for_function(
            """() => { const { sessionContext: context, content } = jupyterapp.shell.currentWidget;
               return context.isReady && context.session?.kernel?.status === 'idle'
                 && content.widgets.every((cell) => cell.model.executionState !== 'running') }"""
        )

    def ask(self, expression: str):
        """The value of a Python expression in the notebook's kernel, through JSON."""
        text = self._execute(f"import json; print(json.dumps({expression}))")
        return json.loads(text)

    def until(self, expression: str):
        """Wait until a Python expression is true in the kernel: what a control says gets there in its own time."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not self.ask(f"bool({expression})"):
            assert time.monotonic() < deadline, f"never true: {expression}"
            self.page.wait_for_timeout(50)

    def tell(self, code: str):
        """Run Python in the notebook's kernel, as another cell would."""
        self._execute(code)

    def _execute(self, code: str) -> str:
        result = self.page.evaluate(
            """async (code) => { let text = '';
               const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
               const future = kernel.requestExecute({ code });
               future.onIOPub = ({ content }) => { if (content.name === 'stdout') text += content.text };
               return { ...(await future.done).content, text } }""",
            code,
        )
        assert result["status"] == "ok", f"{result.get('ename')}: {result.get('evalue')}"
        return result["text"]


class Lab:
    """A JupyterLab server, and a browser to look at it."""

    def __init__(self, browser, folder: Path, address: str, token: str):
        self.browser, self.folder, self.address, self.token = browser, folder, address, token

    def open(self, sources: list[str], outputs: dict[int, list] | None = None, **context):
        """A notebook with these cells and stored outputs; what ``open_file`` says."""
        cells = [
            {"cell_type": "code", "id": f"cell-{i}", "source": source, "metadata": {}, "execution_count": None,
             "outputs": (outputs or {}).get(i, [])}
            for i, source in enumerate(sources)
        ]  # fmt: skip
        kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
        path = self.folder / f"test-{secrets.token_hex(4)}.ipynb"
        path.write_text(json.dumps({"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))
        return self.open_file(path, **context)

    @contextmanager
    def open_file(self, path: Path, **context):
        """A notebook in the server's folder; the browser must have seen no error and no other host."""
        page = self.browser.new_context(viewport={"width": 1200, "height": 900}, **context).new_page()
        page.set_default_timeout(PATIENCE)
        watch = Watch(page, self.address)
        page.goto(f"{self.address}/lab/tree/{path.relative_to(self.folder).as_posix()}?token={self.token}&reset")
        page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.sessionContext")
        notebook = Notebook(page)
        notebook.wait_until_idle()
        yield notebook
        watch.check()
        page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.context.close()


@pytest.fixture(scope="session")
def lab(browser, tmp_path_factory):
    """JupyterLab with settings, kernels and notebooks of its own."""
    home = tmp_path_factory.mktemp("lab")
    for name, setting in SETTINGS.items():
        file = home / "config/lab/user-settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(setting))
    (home / "notebooks").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, token = f"http://127.0.0.1:{port}", secrets.token_hex(16)
    folders = {f"JUPYTER_{name.upper()}_DIR": str(home / name) for name in ("config", "data", "runtime")}
    folders |= {"JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"), "IPYTHONDIR": str(home / "ipython")}
    folders |= {"JUPYTERLAB_SETTINGS_DIR": str(home / "config/lab/user-settings"), "OMP_NUM_THREADS": "1"}
    folders["PYTHONPATH"] = str(Path(mdm_lib.__file__).parents[1])  # kernels import what is tested here
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={home / 'notebooks'}", "--LabApp.news_url=None",
        "--LabApp.extension_manager=readonly", "--expose-app-in-browser",
    ]  # fmt: skip
    with open(home / "log.txt", "w") as log:
        environment = {**os.environ, **folders, "JUPYTER_TOKEN": token}
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=home)
    try:
        _wait_for(server, f"{address}/api/status?token={token}", home / "log.txt")
        yield Lab(browser, home / "notebooks", address, token)
    finally:
        server.terminate()
        server.wait(PATIENCE / 1000)


def _wait_for(server: subprocess.Popen, url: str, log: Path, seconds: float = 300):
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=30)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
