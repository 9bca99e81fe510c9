"""`translate` where memory ends: a sentence, smaller tiles, an image, never half a one.

    python benchmarks/memory_limits.py --runs=20 --seed=1

Gives the process an address space (RLIMIT_AS) drawn between what TensorFlow starts with
and what the job takes, and tiles of a drawn size or none. Each image must come out as
without a limit, to a level, or be named with a sentence on memory, and no other file may
be there; a process that TensorFlow, or the C library, lets die must leave whole images
only. Ends with status 1 if anything was wrong. docs/reliability.md has the outcome.
"""

import argparse
import collections
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_SIDES = (300, 2000, 4000)
_TILES = ("", "0", "256", "2048")


def translate(folder, output, tile_size, limit=None):
    """The ended process."""

    def restrict():
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    command = [sys.executable, "-m", "pan_tf", "translate", "--scale=native"]
    command += [f"--run_dir={folder / 'run'}", f"--input={folder / 'in'}"]
    command += [f"--output={output}", f"--tile_size={tile_size}"]
    return subprocess.run(
        command,
        cwd=ROOT,
        preexec_fn=restrict,
        capture_output=True,
        text=True,
        timeout=600,
    )


def wrong(process, output, expected):
    """What is wrong with what a process left; empty if nothing is."""
    import numpy as np
    from PIL import Image

    found, problems = {p.name for p in output.glob("**/*") if p.is_file()}, []
    for name in found:
        if name not in expected:
            problems.append(f"{name} is there")
            continue
        pixels = np.asarray(Image.open(output / name), np.int16)
        if np.abs(pixels - expected[name]).max() > 1:
            problems.append(f"{name} differs")
    if process.returncode not in (0, 1):
        return problems
    said = process.stdout + process.stderr
    if "Traceback" in said:
        problems.append(said[-400:])
    failed = [line for line in said.splitlines() if line.startswith("FAILED")]
    if len(failed) + len(found) != len(expected):
        problems.append(f"{len(found)} out, {len(failed)} failed")
    return problems + [line for line in failed if "memory" not in line]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--low", type=float, default=1.7, help="GB, least")
    parser.add_argument("--high", type=float, default=3.5, help="GB, most")
    options = parser.parse_args()
    import numpy as np
    from PIL import Image

    from runs import picture
    from runs import untrained

    draw, counts, faults = random.Random(options.seed), collections.Counter(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        untrained(folder / "run", 0.25)
        (folder / "in").mkdir()
        for side in _SIDES:
            Image.fromarray(picture(side)).save(folder / "in" / f"{side}.png")
        translate(folder, folder / "out", "").check_returncode()
        expected = {
            path.name: np.asarray(Image.open(path), np.int16)
            for path in (folder / "out").iterdir()
        }
        for _ in range(options.runs):
            shutil.rmtree(folder / "out", ignore_errors=True)
            tiles = draw.choice(_TILES)
            limit = draw.uniform(options.low, options.high)
            process = translate(folder, folder / "out", tiles, int(limit * 1e9))
            problems = wrong(process, folder / "out", expected)
            kind = {0: "all out", 1: "named"}.get(process.returncode, "died")
            counts[kind] += 1
            faults += bool(problems)
            text = f"{limit:.2f} GB, tiles {tiles or 'by default'}: {kind}"
            print(f"{text} {'; '.join(problems)}", flush=True)
    print(f"{dict(counts)}; faults: {faults}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
