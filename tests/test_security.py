"""What no module does: run what a file says, or fetch without encryption."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
SOURCES = [
    p for name in ("pan_tf", "serving", "scripts") for p in ROOT.glob(f"{name}/**/*.py")
]
# Reads files of PyTorch by an unpickler that knows tensors and containers only.
RESTRICTED = ROOT / "pan_tf" / "networks" / "torch_files.py"


def names(tree):
    """Modules that are imported, and functions that are called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) == "os":
            yield f"os.{node.attr}"
        elif isinstance(node, ast.keyword) and node.arg in ("shell", "allow_pickle"):
            if not (isinstance(node.value, ast.Constant) and node.value.value is False):
                yield node.arg


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_obeyed(path):
    refused = {"pickle", "marshal", "shelve", "joblib", "dill", "yaml", "builtins"}
    refused |= {"eval", "exec", "shell", "allow_pickle", "os.system", "os.popen"}
    if path == RESTRICTED:
        refused.remove("pickle")
    assert not refused & set(names(ast.parse(path.read_text("utf-8"))))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_fetched_without_encryption(path):
    hosts = re.findall(r"http://([\w.-]+)", path.read_text("utf-8"))
    assert set(hosts) <= {"127.0.0.1", "localhost", "www.w3.org", "host"}
