"""Pages that are made of the code: commands and flags, and the table of recipes."""

import dataclasses
import html
import importlib

from mkdocs.structure.files import File

from pan_tf import cli
from pan_tf.cli import parsing


def on_files(files, config):
    for path, text in (
        ("reference/commands.md", commands()),
        ("reference/recipes.md", recipes()),
    ):
        files.append(File.generated(config, path, content=text))
    return files


def commands():
    """Every command: its help, and its flags as a table."""
    lines = [
        "# Commands and flags",
        "",
        "`pan-tf NAME`, `python -m pan_tf NAME` and, in a clone, "
        "`python scripts/NAME.py` are the same (of the client `serving/client.py`).",
        "An empty value, `--name=`, takes back what a flagfile set.",
        "",
        "| every command but `client` has | |",
        "|---|---|",
        *(f"| `{flag}` | {meaning} |" for flag, meaning in parsing.COMMON.items()),
        "",
    ]
    for name in cli.COMMANDS:
        module = importlib.import_module(f"pan_tf.cli.{name}")
        lines += [f"## pan-tf {name}", "", _text(module.__doc__.strip()), ""]
        if not hasattr(module, "Options"):
            lines += ["`pan-tf client --help` lists its flags.", ""]
            continue
        lines += ["| flag | meaning |", "|---|---|"]
        for field in dataclasses.fields(module.Options):
            # As HTML: a table's cell cannot hold a bar in backticks.
            flag = html.escape(parsing.flag(field)).replace("|", "&#124;<wbr>")
            meaning = _cell(field.metadata["help"])
            lines.append(f"| <code>{flag}</code> | {meaning} |")
        if parsing.takes_tasks(module.Options):
            lines.append(f"| `--task=NAME` | {parsing.TASK} |")
        lines.append("")
    return "\n".join(lines)


def recipes():
    """Every recipe, with what its row says."""
    from pan_tf.recipes import RECIPES

    lines = [
        "# Recipes",
        "",
        "The rows of the table, as they are without flags. What `resolve` makes of one, "
        "with a run's own settings, is its `system.json`.",
        "",
    ]
    for name, row in sorted(RECIPES.items()):
        lines += [f"## {name}", "", "| | |", "|---|---|"]
        for field in dataclasses.fields(row):
            value = getattr(row, field.name)
            # Its network is nobody's business where nothing looks through VGG.
            is_idle = field.name == "vgg" and not row.looks_through_vgg
            if value in (None, (), {}) or field.name == "revision" or is_idle:
                continue
            lines.append(f"| `{field.name}` | {_cell(_shown(value))} |")
        lines.append("")
    return "\n".join(lines)


def _shown(value):
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_shown(each)}" for key, each in value.items())
    if isinstance(value, tuple | list):
        return "; ".join(map(_shown, value))
    if hasattr(value, "func"):  # A builder with arguments in place.
        arguments = ", ".join(f"{k}={v}" for k, v in value.keywords.items())
        return f"`{value.func.__name__}({arguments})`"
    return f"`{getattr(value, '__name__', value)}`"


def _text(text):
    """A docstring whose `<name>` is no HTML; code, which is indented, knows none."""
    lines = text.split("\n")
    escaped = (s if s.startswith("    ") else s.replace("<", "&lt;") for s in lines)
    return "\n".join(escaped)


def _cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
