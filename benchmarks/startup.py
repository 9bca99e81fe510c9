"""Seconds of `import pan_tf`, until `--help` or a wrong flag answers, and the first step.

    python benchmarks/startup.py
    python benchmarks/startup.py --cases quickstart --turns 7

Each is measured in fresh processes. Printed are medians and [lowest, highest].
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import figures

ROOT = pathlib.Path(__file__).resolve().parents[1]
TRAIN = [sys.executable, str(ROOT / "scripts" / "train.py")]


def answers(*command):
    started = time.perf_counter()
    subprocess.run(command, capture_output=True, check=False, cwd=ROOT)
    return time.perf_counter() - started


def first_step(*flags):
    """Until the line that follows the first round is there."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*TRAIN, *flags, f"--run_dir={folder}/run", "--log_every=1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in process.stdout:
            if line.startswith("iteration"):
                break
        seconds = time.perf_counter() - started
        process.kill()
        process.wait()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--cases", nargs="+", help="only these, by how they begin")
    options = parser.parse_args()
    cases = {
        "python alone": lambda: answers(sys.executable, "-c", ""),
        "import pan_tf": lambda: answers(sys.executable, "-c", "import pan_tf"),
        "--help": lambda: answers(*TRAIN, "--help"),
        "a wrong flag": lambda: answers(*TRAIN, "--epochs=3", "--data_dir=data"),
        "quickstart, first round": lambda: first_step(
            f"--flagfile={ROOT / 'configs' / 'aerial2map.cfg'}",
            f"--flagfile={ROOT / 'configs' / 'quickstart.cfg'}",
        ),
        "paper's networks at 256 px, first round": lambda: first_step(
            "--dataset=bluemarble"
        ),
    }
    figures.heading()
    figures.columns("what", "s")
    for name, measure in cases.items():
        if not options.cases or name.startswith(tuple(options.cases)):
            figures.row(name, figures.spread([measure() for _ in range(options.turns)]))


if __name__ == "__main__":
    main()
