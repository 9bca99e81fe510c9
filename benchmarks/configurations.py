"""Trains random legal combinations of flags, goes on, translates and exports.

    python benchmarks/configurations.py --out=combinations --count=1000

Each combination of recipe, T, kind of files and some eight more flags is drawn by a seed,
flags first that were not tried together yet; to try one again, take the printed flags.
It must be refused in a sentence before a run folder is begun; or else train for a round
or two, go on for another, translate images and be exported, each with status 0. At toy
size. Prints what became of each, and how many pairs of flags were tried together, or
refused together; `pairs.json` in --out keeps them, so that a later call goes on. Exit
status 1 at any fault.
"""

import argparse
import collections
import dataclasses
import itertools
import json
import pathlib
import random
import re
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
from PIL import Image

from benchmarks.commands import finish
from pan_tf import flagfiles
from pan_tf.config import RECIPE_NAMES
from pan_tf.config import Config

SIZES = ("64", "64", "128", "64x128", "192x64", "96")
SECONDS = 300
# Given by the kind of files, fixed, or not of the run itself.
_APART = {
    *("recipe", "dataset", "data_dir", "attribute", "fallback_dataset", "download"),
    *("run_dir", "dry_run", "image_size", "width", "recipe_digest", "init_from"),
    *("vgg_weights", "metric_weights", "iterations", "jit_compile", "synthesize"),
    *("source_labels", "source_channels", "target_channels", "source_bits"),
    *("target_bits", "source_range", "target_range"),
    *("save_every", "log_every", "best_by", "metrics", "vgg"),
}
# Numbers whose limits do not tell what is usual.
_USUAL = {
    "batch_size": (1, 3),
    "seed": (0, 99),
    "accumulate": (1, 3),
    "d_updates": (1, 3),
    "t_updates": (1, 3),
    "learning_rate": (0.0, 1e-2),
    "d_learning_rate": (0.0, 1e-2),
    "decay_start": (0, 4),
    "keep": (1, 4),
    "validate_every": (0, 8),
    "sample_images": (1, 12),
    "collapse_after": (0, 4),
    "data_cache": (0.0, 1.0),
}
_PARSED = {
    "load_size": ("72", "64", "64x128", "300", "80x144"),
    "margin": ("auto", "0.5", "3", "1e6"),
}


def value(draw, field):
    """A legal value of a setting, as a flag has it."""
    rule = field.metadata
    if rule["choices"]:
        several = flagfiles.type_of(field) is tuple
        count = draw.randint(1, 2) if several else 1
        return ",".join(draw.sample(sorted(rule["choices"]), count))
    if field.name in _PARSED:
        return draw.choice(_PARSED[field.name])
    kind = flagfiles.type_of(field)
    if kind is bool:
        return draw.choice(("true", "false"))
    low, high = _USUAL.get(field.name, (rule["minimum"], rule["maximum"]))
    low, high = low or 0, 10.0 if high is None else high
    if kind is int:
        return str(draw.randint(int(low), int(high)))
    if kind is tuple:  # `lambdas`: as many as a D has features, or not.
        return ",".join(str(draw.randint(0, 9)) for _ in range(draw.randint(1, 5)))
    number = draw.choice((low, high, draw.uniform(low, high)))
    return f"{number:.3g}"


FIELDS = {f.name: f for f in dataclasses.fields(Config) if f.name not in _APART}


def combination(draw, tried):
    """Flags of a training: name -> text.

    Args:
        draw: `random.Random`.
        tried: pairs of names, which are not looked for again.
    """
    names = draw.sample(sorted(FIELDS), len(FIELDS))
    chosen = names[:1]
    for _ in range(draw.randint(2, 9)):
        rest = [name for name in names if name not in chosen]
        new = {n: sum(_pair(n, c) not in tried for c in chosen) for n in rest}
        chosen.append(max(rest, key=new.get))
    flags = {"recipe": draw.choice(RECIPE_NAMES), "image_size": draw.choice(SIZES)}
    return flags | {name: value(draw, FIELDS[name]) for name in chosen}


def _pair(one, other):
    return tuple(sorted((one, other)))


def _pairs(names):
    return set(itertools.combinations(sorted({*names} & {*FIELDS}), 2))


def files(kind, place):
    """Files of one kind, twelve to train on and four held out; flags that they need."""
    random_ = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for side in "AB":
            folder = place / f"{split}{side}"
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                _save(kind, side, random_, folder / str(i))
    return {"labels of A": {"source_labels": "5"}}.get(kind, {})


def _save(kind, side, random_, path):
    height, width = (int(v) for v in random_.integers(70, 200, 2))
    if kind.endswith("of one size"):
        height, width = 128, 128
    small = random_.integers(0, 256, (8, 8, 4), np.uint8)
    four = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(four)
    is_a = side == "A"
    if kind == "grey A" and is_a:
        Image.fromarray(pixels[..., 0]).save(path.with_suffix(".png"))
    elif kind == "RGBA of A" and is_a:
        four.save(path.with_suffix(".png"))
    elif kind == "16 bits of B" and not is_a:
        values = pixels[..., 0].astype(np.uint16) * 257
        Image.fromarray(values).save(path.with_suffix(".png"))
    elif kind == "labels of A" and is_a:
        Image.fromarray(pixels[..., 0] // 52).save(path.with_suffix(".png"))
    elif kind == "float arrays":
        np.save(path.with_suffix(".npy"), pixels[..., :2].mean(-1, dtype=np.float32))
    elif kind == "six channels of A" and is_a:
        both = np.concatenate([pixels[..., :3], pixels[..., 1:]], -1)
        np.save(path.with_suffix(".npy"), both)
    else:
        four.convert("RGB").save(path.with_suffix(".png"))


KINDS = (
    *("RGB", "RGB", "RGB of one size", "grey A", "RGBA of A", "16 bits of B"),
    *("labels of A", "float arrays", "six channels of A"),
)


def _pairs_of_one_size(place):
    """Sides of a pair must be of one size: B's files take A's."""
    for b in place.glob("*B/*"):
        (a,) = (b.parents[1] / b.parent.name.replace("B", "A")).glob(f"{b.stem}.*")
        if a.suffix == ".npy" or b.suffix == ".npy":
            size = np.load(a).shape[:2] if a.suffix == ".npy" else None
            size = size or Image.open(a).size[::-1]
        else:
            size = Image.open(a).size[::-1]
        if b.suffix == ".npy":
            values = np.load(b)
            rows = np.linspace(0, len(values) - 1, size[0]).astype(int)
            columns = np.linspace(0, values.shape[1] - 1, size[1]).astype(int)
            np.save(b, values[rows][:, columns])
        else:
            image = Image.open(b)
            image.resize(size[::-1], Image.Resampling.NEAREST).save(b)


def attempt(place, flags, needed, refusals, obey=True):
    """What becomes of a combination.

    Args:
        place: folder to work in.
        flags: name -> value; loses those that a refusal names.
        needed: names that stay.
        refusals: list that gets the sentences, each with the flags that it names.
        obey: whether the rest is tried again without those.

    Returns:
        ("done", "refused" or "diverged", None), or ("fault", what is wrong).
    """
    run, log = place / "run", place / "log.txt"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)

    def command(name, **more):
        argv = [name, *(f"--{k}={v}" for k, v in more.items())]
        return finish(argv, log, seconds=SECONDS)[0]

    fixed = {"width": "0.015625", "run_dir": run, "save_every": "1", "log_every": "1"}
    for _ in range(len(flags)):
        log.unlink(missing_ok=True)
        status = command("train", **flags, **fixed, iterations=2)
        text = log.read_text()
        # A refusal names the flags that do not go together: without them it may go.
        last = text.strip().splitlines()[-1] if text.strip() else ""
        idle = set(re.findall(r"--(\w+)", last)) & set(flags) - {"recipe", "image_size"}
        # --vgg was not drawn, but is what some recipes need.
        dropped = idle - needed if obey else idle & {"vgg"}
        if not status or not dropped:
            break
        refusals.append((last, dropped))
        for name in dropped:
            del flags[name]
    if "Traceback (most recent call last)" in text:
        return "fault", "a traceback"
    if status is None:
        return "fault", f"more than {SECONDS} s"
    if status:
        if (run / "system.json").exists() and not _is_stopped(text):
            return "fault", f"begun, then: {text.strip().splitlines()[-1]}"
        return ("diverged" if _is_stopped(text) else "refused"), None
    # Another round; the first call has trained for one, or for two of one minibatch.
    minibatches = int(re.search(r" on (\d+) minibatch", text)[1])
    iterations = max(2, minibatches) + minibatches
    status = command("train", **flags, **fixed, iterations=iterations)
    text = log.read_text()
    is_said = "--iterations" in text or _is_stopped(text)
    if "Traceback" in text or (status and not is_said):
        return "fault", f"did not go on: {text.strip().splitlines()[-1]}"
    source = pathlib.Path(flags["data_dir"]) / "testA"
    if flags.get("direction") == "BtoA":
        source = source.with_name("testB")
    if command("translate", run_dir=run, input=source, output=place / "out"):
        return "fault", "was not translated with"
    if len(list((place / "out").iterdir())) != len(list(source.iterdir())):
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
    parser.add_argument(
        "--obey",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether what a refusal does not name is tried again",
    )
    parser.add_argument("--vgg_weights", type=pathlib.Path, help="for recipes with a VGG")
    options = parser.parse_args()
    out = options.out.resolve()
    needed = {}
    for kind in set(KINDS):
        place = out / "data" / kind.replace(" ", "-")
        is_there = place.exists()
        needed[kind] = files(kind, place)
        if not is_there:
            _pairs_of_one_size(place)
    outcomes, told, kept = collections.Counter(), 0, out / "pairs.json"
    pairs = (
        {tuple(pair) for pair in json.loads(kept.read_text())} if kept.exists() else set()
    )
    for number in range(options.first, options.first + options.count):
        draw = random.Random(f"{options.seed} {number}")
        flags, kind = combination(draw, pairs), draw.choice(KINDS)
        flags |= needed[kind] | {"data_dir": out / "data" / kind.replace(" ", "-")}
        if options.vgg_weights:
            flags |= {"vgg_weights": options.vgg_weights.resolve(), "vgg": "vgg16"}
        begun, refusals, asked = time.monotonic(), [], {*flags}
        outcome, why = attempt(
            out / "at", flags, set(needed[kind]), refusals, options.obey
        )
        outcomes[outcome] += 1
        for _, named in refusals:  # Flags that do not go with the others.
            pairs |= {_pair(a, b) for a in named for b in asked if a != b} & _pairs(asked)
        if outcome != "refused":
            pairs |= _pairs(flags)
        kept.write_text(json.dumps(sorted(pairs)))
        if outcome == "refused":
            lines = (out / "at" / "log.txt").read_text().strip().splitlines()
            why = lines[-1] if lines else "nothing was said"
        told += len(refusals)
        took = time.monotonic() - begun
        print(f"{number}: {outcome}, {took:.0f} s, {kind}", flush=True)
        said = " ".join(f"--{name}={v}" for name, v in flags.items())
        for sentence, _ in refusals:
            print(f"    ({sentence})"[:300])
        if why:
            print(f"    {why}"[:300], f"    {said}", sep="\n", flush=True)
        if outcome == "fault":
            shutil.copytree(out / "at", out / f"fault-{number}", dirs_exist_ok=True)
    print(
        dict(outcomes),
        f"{told} refusals obeyed; {len(pairs)} of {len(_pairs(FIELDS))} pairs of flags",
    )
    return 1 if outcomes["fault"] else 0


if __name__ == "__main__":
    sys.exit(main())
