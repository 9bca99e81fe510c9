"""The examples of docstrings give what they say."""

import doctest
import importlib

import pytest

# Modules that have examples. A new one is added here, or it is not run.
MODULES = (
    "calling",
    "config",
    "losses.functional",
    "metrics.full_reference.functional",
    "progress",
    "runs.history",
    "size",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(f"pan_tf.{name}")
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0 and found.failed == 0


def test_no_example_is_left_out():
    import pathlib

    import pan_tf

    root = pathlib.Path(pan_tf.__file__).parent
    with_examples = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in root.rglob("*.py")
        if ">>> " in path.read_text(encoding="utf-8")
    }
    assert with_examples == set(MODULES)
