"""Systems within minutes: what a recipe, and each part of it, is worth on two cores.

    python benchmarks/small_budgets.py --data_dir=my_pairs --out=trials --seeds 1 2 3
    python benchmarks/small_budgets.py --out=trials --trials pan_plus l1_plus --table

Trains each trial with each seed at 128 px and half width, in bfloat16, one after the
other, and measures its last checkpoint on the held-out pairs. What is there is not made
again; a training that was interrupted goes on. `--table` only prints what is there:
means over the seeds, and [lowest, highest]. docs/results.md has the outcome.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

METRICS = ("psnr", "ssim", "uqi", "vif", "vifp", "vgg_distance", "kid_vgg")
COMMON = {
    "image_size": 128,
    "width": 0.5,
    "dtype_policy": "mixed_bfloat16",
    "log_every": 200,
    "validate_every": 2000,
    "save_every": 2000,
    "metrics": "vgg_distance",
}
# Iterations that take twenty minutes, by `--dry_run` on the machine of docs/results.md.
_PLUS = {"recipe": "pan_plus", "iterations": 17000}
TRIALS = {
    "pan_plus": _PLUS,
    "l1_plus": {"recipe": "l1_plus", "iterations": 15000},
    "pan_fast": {"recipe": "pan_fast", "iterations": 16600},
    "pix2pix": {"recipe": "pix2pix", "iterations": 15800},
    # The paper's claim: P with a side of D, and without.
    "fm_plus": _PLUS | {"recipe": "fm_plus"},
    "cgan_plus": _PLUS | {"recipe": "cgan_plus"},
    **{f"margin {m}": _PLUS | {"margin": m} for m in (1, 2, 3)},
    "activity .5": _PLUS | {"hinge_activity": 0.5},
    # The other parts, one taken away or exchanged.
    "T of Table II": _PLUS | {"transformer": "pan_transformer"},
    "T as released": _PLUS | {"transformer": "official_pan_transformer"},
    "no warm-up": _PLUS | {"warm_up": 0.0, "fade": 0.0},
    "no decay": _PLUS | {"decay_start": 16999},
    "T's rate 2e-4": _PLUS | {"learning_rate": 2e-4},
    "no average": _PLUS | {"ema": 0.0},
    "L1 of 25": _PLUS | {"pixel_weight": 25},
    "augmented D": _PLUS | {"d_augment": "brightness,contrast,shift"},
}


def train(name, seed, options):
    """One training, and metrics.json beside its run folder."""
    run_dir = options.out / "runs" / name / f"seed-{seed}"
    measured = options.out / "measured" / name / f"seed-{seed}"
    if (measured / "metrics.json").exists():
        return
    flags = COMMON | TRIALS[name] | {"seed": seed, "dataset": options.dataset}
    flags |= {"iterations": max(1, round(flags["iterations"] * options.share))}
    if "decay_start" in flags:
        flags["decay_start"] = flags["iterations"] - 1
    weights = [f"--vgg_weights={options.vgg_weights}"] if options.vgg_weights else []
    if options.data_dir:
        flags["data_dir"] = options.data_dir
    command = [sys.executable, "-m", "pan_tf"]
    given = [f"--{key}={value}" for key, value in flags.items()]
    given += [*weights, *options.flag, f"--run_dir={run_dir}"]
    subprocess.run([*command, "train", *given], check=True, cwd=ROOT)
    subprocess.run(
        [
            *command,
            "evaluate",
            f"--run_dir={run_dir}",
            "--checkpoint=last",
            "--metrics=vgg_distance,kid_vgg",
            *weights,
            f"--output_dir={measured}",
        ],
        check=True,
        cwd=ROOT,
    )


def table(names, options):
    """The rows of what is there, as Markdown."""
    print("| trial | seeds | minutes | " + " | ".join(METRICS) + " |")
    print("|" + "---|" * (len(METRICS) + 3))
    baselines = {}
    for name in names:
        found, minutes = [], []
        for path in sorted((options.out / "measured" / name).glob("*/metrics.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            found.append(record["metrics"])
            baselines = record["baselines"]
            minutes.append(_minutes(options.out / "runs" / name / path.parent.name))
        if found:
            print(f"| {name} | {len(found)} | {np.median(minutes):.0f} | {cells(found)}")
    for name, record in baselines.items():
        print(f"| baseline: {name} | | | {cells([record])}")


def cells(found):
    text = ""
    for metric in METRICS:
        values = [each[metric]["mean"] for each in found]
        digits = 2 if metric == "psnr" else 3
        text += f"{np.mean(values):.{digits}f}"
        if len(values) > 1:
            text += f" [{min(values):.{digits}f}, {max(values):.{digits}f}]"
        text += " | "
    return text.strip()


def _minutes(run_dir):
    """Of training, validations included, from the pace that a run logs."""
    from pan_tf.papers.reproduction.measuring import training_seconds
    from pan_tf.runs.folder import RunFolder

    folder = RunFolder(run_dir)
    return training_seconds(folder, folder.config()) / 60


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--dataset", default="folder")
    parser.add_argument("--data_dir")
    parser.add_argument("--vgg_weights")
    parser.add_argument("--trials", nargs="+", default=list(TRIALS), choices=TRIALS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--share", type=float, default=1.0, help="of the iterations")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    parser.add_argument(
        "--flag", action="append", default=[], help="of train, as --flag=--width=1"
    )
    options = parser.parse_args()
    options.out = options.out.resolve()
    if not options.table:
        for seed in options.seeds:
            for name in options.trials:
                train(name, seed, options)
    table(options.trials, options)


if __name__ == "__main__":
    main()
