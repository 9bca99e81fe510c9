"""`test_originals.py` once more, on a copy of pan_tf that computes in double precision.

In float32 a kink that turns can hide a small mistake, or look like one; in double there
is nothing to turn. The copy is today's text with every float32 made float64.
"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = """
import sys
sys.path.insert(0, {copy!r})
import pan_tf
assert pan_tf.__file__.startswith({copy!r})
import pytest
plain = ["-p", "no:cacheprovider", "-p", "no:xdist"]
sys.exit(pytest.main(["-q", "-rP", *plain, {tests!r}]))
"""


def test_in_double_precision_the_systems_are_the_originals(tmp_path):
    for file in (ROOT / "pan_tf").rglob("*.py"):
        copy = tmp_path / file.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        text = file.read_text(encoding="utf-8")
        copy.write_text(text.replace("float32", "float64"), encoding="utf-8")
    tests = str(ROOT / "tests/networks/test_originals.py")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(copy=str(tmp_path), tests=tests)],
        cwd=ROOT,
        env={**os.environ, "PAN_TF_DOUBLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print("\n".join(line for line in run.stdout.splitlines() if line[:5] == "float"))
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    assert " passed" in run.stdout and "skipped" not in run.stdout
