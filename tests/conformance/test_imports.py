"""Imports go one way; see CONTRIBUTING.md."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[2]

# A module may import from its own layer's package and from the layers before it.
LAYERS = [
    {"tables", "size", "calling", "bundled", "loading", "paths", "printing", "progress"},
    {"flagfiles"},
    {"settings", "habits"},
    {
        "images",
        "schedules",
        "config",
        "files",
        "fingerprints",
        "runtime",
        "memory",
        "tracing",
    },
    {"image_files"},
    {"layers", "losses.functional", "optimizers", "pages"},
    {"networks", "losses", "data", "distribution", "runs.folder"},
    {"models", "metrics"},
    {"recipes", "runs.checkpoints", "runs.snapshot"},
    {"inference", "papers.dfi"},
    {"evaluation", "export"},
    {"runs", "doctor"},
    {"dry_run", "papers"},
    {"interface"},
    {"cli"},
    {"__main__"},
]


def layer_of(module):
    """Index of the layer of `pan_tf.<module>`; the longest name that fits decides."""
    fits = [
        (len(name), index)
        for index, layer in enumerate(LAYERS)
        for name in layer
        if module == name or module.startswith(name + ".")
    ]
    assert fits, f"pan_tf.{module} is in no layer"
    return max(fits)[1]


def imports(path):
    """Names below pan_tf that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("pan_tf."):
                yield name.removeprefix("pan_tf.")


def module_name(path):
    parts = path.relative_to(ROOT / "pan_tf").with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def test_imports_go_one_way():
    for path in sorted((ROOT / "pan_tf").rglob("*.py")):
        module = module_name(path)
        if not module:
            continue
        for imported in imports(path):
            same = imported.split(".")[0] == module.split(".")[0]
            assert same or layer_of(imported) < layer_of(module), (
                f"{path.name} imports pan_tf.{imported}"
            )


def test_flags_and_help_need_no_tensorflow():
    modules = {"tables", "size", "settings", "config", "calling", "bundled"}
    for name in modules:
        tree = ast.parse((ROOT / "pan_tf" / f"{name}.py").read_text())
        found = {
            a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names
        }
        assert not found & {"tensorflow", "keras"}


def test_nothing_is_traced_with_autograph():
    """`pan_tf.tracing` makes all of them; AutoGraph costs each command seconds."""
    for path in (ROOT / "pan_tf").rglob("*.py"):
        if path.name != "tracing.py":
            assert "tf.function(" not in path.read_text(encoding="utf-8"), path
            assert "@tf.function" not in path.read_text(encoding="utf-8"), path


# What formats of files hold, bytes of a name, and a table of colours.
OF_OTHER_THINGS = {
    *("images.py", "files.py", "pages/pictures.py"),
    *("image_files/pillow.py", "export/decoding.py"),
}


def test_the_range_of_8_bits_is_known_in_one_place():
    found = {
        str(path.relative_to(ROOT / "pan_tf"))
        for path in sorted((ROOT / "pan_tf").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in (255, 127.5)
    }
    assert found == OF_OTHER_THINGS


def test_what_pays_on_cpus_only_is_chosen_in_one_place():
    asking = {
        path.relative_to(ROOT / "pan_tf").as_posix()
        for path in (ROOT / "pan_tf").rglob("*.py")
        if 'list_logical_devices("GPU")' in path.read_text()
    }
    # And the two that name devices, or their memory.
    assert asking == {"runtime.py", "distribution.py", "runs/callbacks.py"}
