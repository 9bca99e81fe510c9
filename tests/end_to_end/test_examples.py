"""The notebook and the example run, as they stand in the documentation."""

import os
import pathlib
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
FEWER = """
from pan_tf.data.layouts import bluemarble
from tests.trained import few_metrics
bluemarble._MIN_CONTRAST = 40.0
few = few_metrics("ssim")
few.__enter__()
"""


@pytest.fixture
def clone(monkeypatch):
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)  # As users have it.


def test_the_notebook_runs(clone, tmp_path):
    """All of it; iterations, tiles and metrics are fewer, networks narrow."""
    notebook = nbformat.read(ROOT / "docs" / "tutorials" / "quickstart.ipynb", 4)
    (training,) = (c for c in notebook.cells if "pan_tf.train(" in c.source)
    assert "iterations = 2000" in training.source
    training.source = training.source.replace("2000", "8").replace(
        'task="quickstart",', 'task="quickstart", width=1 / 64, image_size=128,'
    )
    notebook.cells.insert(1, nbformat.v4.new_code_cell(FEWER))
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, resources=resources).execute()
    shown = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type != "stream"
    ]
    kinds = {kind for output in shown for kind in output.get("data", {})}
    assert {"text/html", "image/png"} <= kinds
    assert int(shown[-1]["data"]["text/plain"]) <= 1  # The export beside the run.
    said = "".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    )
    assert "iteration 8/8" in said
    assert not re.search("oneDNN|cuda|InitializeLog|Assets written", said)


def test_pan_in_90_lines(clone, tmp_path):
    path = ROOT / "examples" / "pan_in_90_lines.py"
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert 80 <= len(lines) <= 95
    command = [sys.executable, path, "2", tmp_path / "pan.png"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "round 2: P " in done.stdout
    assert Image.open(tmp_path / "pan.png").size == (512, 384)
