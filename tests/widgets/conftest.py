"""A kernel as a notebook's, and a reader who looks on."""

import pytest


class Kernel:
    """A notebook's kernel: which cell it runs, and for whom."""

    def __init__(self, allow_stdin: bool):
        self.kernel, self.allow_stdin = self, allow_stdin
        self.run("a cell")

    def run(self, cell: str):
        header = {"msg_id": object()}
        self.message = {"header": header, "metadata": {"cellId": cell}, "content": {"allow_stdin": self.allow_stdin}}

    def get_parent(self) -> dict:
        return self.message


@pytest.fixture
def reader(monkeypatch):
    """A kernel whose cells are run by a reader at a browser."""
    kernel = Kernel(allow_stdin=True)
    monkeypatch.setattr("mdm_lib.widgets.engine.get_ipython", lambda: kernel)
    return kernel
