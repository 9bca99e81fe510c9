"""Trains random legal combinations of flags, goes on, translates and exports.

    python benchmarks/configurations.py --out=combinations --vgg_weights=vgg16.weights.h5

Each combination of recipe, T, kind of files and some eight more flags is drawn by a seed;
to try one again, take the printed flags. It must be refused in a sentence before a run
folder is begun; or else train for a round or two, go on for another, translate images and
be exported, each with status 0. At toy size: a 64th of the channels, one residual block.

A combination begins with two flags (or a recipe and a flag) that were not trained
together yet, under a recipe and values that the recipe's own checks accept, and grows
by flags that they accept too; two that no recipe accepts together are kept as refused,
with the sentence. `--no-legal` draws flags without asking, so that most combinations are
refused. Prints what became of each, and how many pairs are covered; `--pairs` keeps them,
so that a later call, or another one at the same time, goes on. Exit status 1 at a fault.
"""

import argparse
import collections
import pathlib
import random
import re
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


from benchmarks.commands import finish
from tests import combinations
from tests.trained import shallow

SECONDS = 300


def attempt(place, flags):
    """What becomes of a combination.

    Args:
        place: folder to work in.
        flags: name -> value.

    Returns:
        ("done" or "diverged", None), ("refused", the sentence), or ("fault", what is
        wrong).
    """
    run, log = place / "run", place / "log.txt"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)

    def command(name, **more):
        argv = [name, *(f"--{k}={v}" for k, v in more.items())]
        return finish(argv, log, seconds=SECONDS)[0]

    status = command("train", **flags, **combinations.FIXED, run_dir=run)
    text = log.read_text()
    if "Traceback (most recent call last)" in text:
        return "fault", "a traceback"
    if status is None:
        return "fault", f"more than {SECONDS} s"
    if status:
        if (run / "system.json").exists() and not _is_stopped(text):
            return "fault", f"begun, then: {text.strip().splitlines()[-1]}"
        last = (text.strip() or "nothing was said").splitlines()[-1]
        return ("diverged", None) if _is_stopped(text) else ("refused", last)
    # Another round; the first call has trained for one, or for two of one minibatch.
    minibatches = int(re.search(r" on (\d+) minibatch", text)[1])
    iterations = max(2, minibatches) + minibatches
    status = command(
        "train", **flags, **combinations.FIXED | {"iterations": iterations}, run_dir=run
    )
    text = log.read_text()
    is_said = "--iterations" in text or _is_stopped(text)
    if "Traceback" in text or (status and not is_said):
        return "fault", f"did not go on: {text.strip().splitlines()[-1]}"
    source = pathlib.Path(flags["data_dir"]) / "testA"
    if flags.get("direction") == "BtoA":
        source = source.with_name("testB")
    status = command("translate", run_dir=run, input=source, output=place / "out")
    # T of inpainting has one size, that of the crops it was trained on.
    is_fixed = "pixels only. Received" in log.read_text()
    if status and not is_fixed:
        return "fault", "was not translated with"
    count = len(list((place / "out").glob("*")))
    if not is_fixed and count != len(list(source.iterdir())):
        return "fault", "outputs are missing"
    if command("export", run_dir=run, export_dir=place / "exported"):
        return "fault", "was not exported"
    return "done", None


def _is_stopped(text):
    """Whether the guard has ended a run whose losses are no numbers any more."""
    return "not finite" in text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", type=pathlib.Path, help="empty: pairs.json in --out")
    parser.add_argument(
        "--legal",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether only flags are drawn that the recipe accepts",
    )
    parser.add_argument("--vgg_weights", type=pathlib.Path, required=True)
    options = parser.parse_args()
    out = options.out.resolve()
    weights = {"vgg_weights": options.vgg_weights.resolve()}
    kinds = [
        combinations.files(kind, out / "data") | weights for kind in combinations.KINDS
    ]
    pairs = combinations.Pairs(options.pairs or out / "pairs.json")
    with shallow():
        outcomes = try_all(options, out, kinds, pairs)
    print(dict(outcomes), pairs)
    return 1 if outcomes["fault"] else 0


def try_all(options, out, kinds, pairs):
    """Draws and tries combinations, printing; outcome -> how many there were."""
    draw_one = combinations.legal if options.legal else combinations.any_flags
    outcomes = collections.Counter()
    for number in range(options.first, options.first + options.count):
        draw = random.Random(f"{options.seed} {number}")
        flags, wanted = draw_one(draw, pairs, kinds)
        if not flags:
            break
        begun = time.monotonic()
        outcome, why = attempt(out / "at", flags)
        outcomes[outcome] += 1
        if outcome in ("done", "diverged"):
            pairs.trained(flags)
        elif wanted and outcome == "refused":
            pairs.refused(wanted, [why])
        took = time.monotonic() - begun
        print(f"{number}: {outcome}, {took:.0f} s, {flags['data_dir'].name}", flush=True)
        if why:
            said = " ".join(f"--{name}={v}" for name, v in flags.items())
            print(f"    {why}"[:300], f"    {said}", sep="\n", flush=True)
        if outcome == "fault":
            shutil.copytree(out / "at", out / f"fault-{number}", dirs_exist_ok=True)
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
