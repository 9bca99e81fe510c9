"""Names in the tables of systems, metrics, data sets and networks, read off their source.

Flags offer these names, and `--help` must answer at once: the tables themselves import
TensorFlow, which takes seconds.
"""

import ast
import dataclasses
import functools
import pathlib
from typing import Any

_HERE = pathlib.Path(__file__).parent


def keys(file, table, where=None):
    """The keys of a dictionary that a module spells out.

    Args:
        file: the module, relative to the package, such as "recipes/table.py".
        table: the dictionary's name.
        where: keyword -> value, constants that the calls behind the keys must hold, such
            as `{"paired": False}`; None for all keys.

    Returns:
        Tuple of strings, in the order of the source.

    Raises:
        KeyError: if the module has no such dictionary.
    """
    for node in _statements(file):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            if any(getattr(target, "id", None) == table for target in node.targets):
                rows = zip(node.value.keys, node.value.values, strict=True)
                return tuple(
                    ast.literal_eval(key)
                    for key, row in rows
                    if all(_holds(row, *each) for each in (where or {}).items())
                )
    raise KeyError(f"{file} has no dictionary {table}")


def value(file, table, key, keyword):
    """A constant of a row, whether the row spells it out or is made of another one.

    Args:
        file, table: as of `keys`.
        key: of the row.
        keyword: of the constant.

    Returns:
        The constant; None where neither the row nor one that it is made of has it.
    """
    assigned = {
        getattr(target, "id", None): node.value
        for node in _statements(file)
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    rows = assigned[table]
    row = rows.values[[ast.literal_eval(each) for each in rows.keys].index(key)]
    while row is not None:
        if isinstance(row, ast.Name):
            row = assigned.get(row.id)
            continue
        for given in getattr(row, "keywords", ()):
            if given.arg == keyword:
                return ast.literal_eval(given.value)
        named = (each for each in row.args if isinstance(each, ast.Name))
        row = next(named, None)
    return None


def _holds(row, name, value):
    return any(
        keyword.arg == name and getattr(keyword.value, "value", None) == value
        for keyword in getattr(row, "keywords", ())
    )


def decorated(folder, decorator):
    """Names of the functions in a folder's modules that a decorator registers.

    Args:
        folder: relative to the package, such as "networks".
        decorator: its name; it stands there with arguments.

    Returns:
        Tuple of strings, sorted.
    """
    return tuple(
        sorted(
            node.name
            for path in sorted((_HERE / folder).glob("*.py"))
            for node in _statements(path.relative_to(_HERE))
            if isinstance(node, ast.FunctionDef)
            for call in node.decorator_list
            if isinstance(call, ast.Call) and getattr(call.func, "id", None) == decorator
        )
    )


def later(default) -> Any:
    """A field of a row, or of a part of one, that came after rows had been written down.

    At its default it is not written down: so what was written before still equals what
    it was written of.
    """
    return dataclasses.field(default=default, metadata={"later": True})


def written_fields(row):
    """The fields that define a row, without objects that are put into it later."""
    return [
        field
        for field in dataclasses.fields(row)
        if field.compare
        and not (
            field.metadata.get("later") and getattr(row, field.name) == field.default
        )
    ]


@functools.cache
def _statements(file):
    return ast.parse((_HERE / file).read_text(encoding="utf-8")).body
