"""Does a recipe learn in bfloat16 what it learns in float32?

    python benchmarks/dtypes.py --data_dir=my_pairs --out=dtypes
    python benchmarks/dtypes.py --out=dtypes --table --draw=curves.png

Trains each recipe in both with each seed, at 64 px and a quarter of the width, one after
the other; what is there is not trained again, and an interrupted training goes on. Then
prints the last validation: medians over seeds and [lowest, highest], and what bfloat16
differs by from float32, seed by seed, with a 95 % interval. `--draw` charts all
validations. docs/results.md has the outcome.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Name -> digits after the point.
METRICS = {"psnr": 2, "ssim": 3, "uqi": 3, "vifp": 3, "vgg_distance": 2}
DTYPES = ("float32", "mixed_bfloat16")
# Iterations: 4000 to 6000 images, a minute of two cores; CycleGAN's rounds are longer.
RECIPES = {"pan": 1500, "pan_plus": 1500, "pix2pix": 4000, "cyclegan": 600}


def run_dir(options, recipe, dtype, seed):
    return options.out / recipe / f"{dtype}-{seed}"


def train(options, recipe, dtype, seed):
    iterations = RECIPES[recipe]
    flags = {
        "recipe": recipe,
        "dataset": "folder",
        "data_dir": options.data_dir,
        "image_size": 64,
        "width": 0.25,
        "dtype_policy": dtype,
        "iterations": iterations,
        "seed": seed,
        "log_every": iterations // 10,
        "validate_every": iterations // 5,
        "save_every": iterations // 5,
        "run_dir": run_dir(options, recipe, dtype, seed),
    }
    if options.vgg_weights and recipe != "cyclegan":
        flags |= {"metrics": "vgg_distance", "vgg_weights": options.vgg_weights}
    command = [sys.executable, "-m", "pan_tf", "train"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    subprocess.run(command, check=True, cwd=ROOT)


def validations(options, recipe, dtype, seed):
    """Rows of metrics.jsonl that hold a validation; none of what is not there."""
    path = run_dir(options, recipe, dtype, seed) / "metrics.jsonl"
    if not path.exists():
        return []
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [row for row in rows if "val_psnr" in row]


def last_validations(options, recipe, dtype):
    found = (validations(options, recipe, dtype, seed) for seed in options.seeds)
    return [rows[-1] for rows in found if rows]


def table(options):
    print("| recipe | | " + " | ".join(METRICS) + " |")
    print("|" + "---|" * (len(METRICS) + 2))
    for recipe in options.recipes:
        last = {dtype: last_validations(options, recipe, dtype) for dtype in DTYPES}
        if not all(last.values()):
            continue
        for dtype, rows in last.items():
            print(f"| {recipe} | {dtype} | {cells(rows, spread)} |")
        pairs = list(zip(*(last[dtype] for dtype in reversed(DTYPES)), strict=True))
        print(f"| | difference | {cells(pairs, difference)} |")


def cells(rows, text):
    first = rows[0][0] if isinstance(rows[0], tuple) else rows[0]
    keys = {f"val_{name}": digits for name, digits in METRICS.items()}
    return " | ".join(text(rows, k, n) if k in first else "" for k, n in keys.items())


def spread(rows, key, digits):
    values = [row[key] for row in rows]
    low, high = min(values), max(values)
    return f"{np.median(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def difference(pairs, key, digits):
    """Mean over seeds, and half of Student's interval."""
    values = [one[key] - other[key] for one, other in pairs]
    half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return f"{np.mean(values):+.{digits}f} ± {half:.{digits}f}"


def draw(options):
    from matplotlib import pyplot

    keys = ("val_psnr", "val_uqi", "val_vgg_distance")
    figure, rows = pyplot.subplots(
        len(options.recipes), len(keys), figsize=(7.5, 1.8 * len(options.recipes))
    )
    for recipe, charts in zip(options.recipes, rows, strict=True):
        for number, dtype in enumerate(DTYPES):
            for seed in options.seeds:
                found = validations(options, recipe, dtype, seed)
                for chart, key in zip(charts, keys, strict=True):
                    points = [(row["iteration"], row[key]) for row in found if key in row]
                    if points:
                        label = dtype if seed == options.seeds[0] else None
                        chart.plot(*zip(*points, strict=True), f"C{number}", label=label)
        for chart, key in zip(charts, keys, strict=True):
            chart.set_visible(bool(chart.lines))
            chart.set_title(f"{recipe}: {key.removeprefix('val_')}", fontsize=9)
            chart.tick_params(labelsize=7)
    rows[0][0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(options.draw, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--data_dir")
    parser.add_argument("--vgg_weights")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument("--draw", help="a PNG file, for charts of the validations")
    options = parser.parse_args()
    options.out = options.out.resolve()
    if not (options.table or options.draw):
        for recipe in options.recipes:
            for seed in options.seeds:
                for dtype in DTYPES:
                    train(options, recipe, dtype, seed)
    table(options)
    if options.draw:
        draw(options)


if __name__ == "__main__":
    main()
