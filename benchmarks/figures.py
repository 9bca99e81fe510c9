"""How benchmarks say figures: where and when they were taken, medians with ranges."""

import datetime
import importlib.metadata
import os
import pathlib
import platform
import statistics
import sys

# Which of a processor's abilities decide how fast numbers are multiplied.
_ABILITIES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def heading(*packages):
    """Prints command, date, machine and versions, for a table to stand under.

    Args:
        *packages: what is used besides TensorFlow and Keras, by its name at PyPI.
    """
    program = pathlib.Path(sys.argv[0])
    command = " ".join(["python", f"{program.parent.name}/{program.name}", *sys.argv[1:]])
    model, abilities = _processor()
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [f"Python {platform.python_version()}"]
    for package in ("tensorflow", "keras", *packages):
        versions.append(f"{package} {importlib.metadata.version(package)}")
    print(f"`{command}`, {datetime.date.today()}")
    print(f"{model}, {cores} cores ({', '.join(abilities)}), {memory:.0f} GiB")
    print(", ".join(versions), flush=True)


def _processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine(), []
    facts = {}
    for line in lines:
        name, _, value = line.partition(":")
        facts.setdefault(name.strip(), value.strip())
    known = facts.get("flags", "").split()
    return facts.get("model name", platform.machine()), [
        each for each in _ABILITIES if each in known
    ]


def spread(values, digits=2):
    """Median and range as "1.37 [1.30, 1.45]"."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def row(*cells):
    """Prints a line of a Markdown table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def columns(*titles):
    """Prints the first two lines of a Markdown table."""
    row(*titles)
    print("|" + "---|" * len(titles), flush=True)
