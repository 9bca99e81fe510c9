"""Systems within minutes: what a recipe, and each part of it, is worth on two cores.

    python benchmarks/small_budgets.py --data_dir=my_pairs --out=trials --seeds 1 2 3
    python benchmarks/small_budgets.py --out=trials --trials pan_plus fm_plus --table
    python benchmarks/small_budgets.py --out=trials --trials pan_plus --draw=curves.png

Trains each trial with each seed at 128 px and half width, in bfloat16, one after the
other, and measures its last checkpoint on the held-out pairs. What is there is not made
again; a training that was interrupted goes on. `--table` only prints what is there:
medians over the seeds and [lowest, highest], then what each trial differs by from the
first, seed by seed, with 95 % intervals. `--draw` charts the validations, the margin and
how active the hinge was. docs/results.md has the outcome.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# Name -> digits after the point.
METRICS = {
    "psnr": 2,
    "ssim": 3,
    "uqi": 3,
    "vif": 3,
    "vifp": 3,
    "vgg_distance": 2,
    "kid_vgg": 3,
}
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
    "not settled": _PLUS | {"settle": 0.0},
    "no decay": _PLUS | {"decay_start": 16999},
    "T's rate 2e-4": _PLUS | {"learning_rate": 2e-4},
    "no average": _PLUS | {"ema": 0.0},
    "L1 of 25": _PLUS | {"pixel_weight": 25},
    "D not augmented": _PLUS | {"d_augment": "none"},
    "D augmented by need": _PLUS | {"ada_target": 0.6},
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
    if not (run_dir / "result.json").exists():  # A signal ended it early, and in order.
        sys.exit(f"{run_dir} is not at its end; the same command goes on there.")
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
    """The rows of what is there, and what they differ by, as Markdown."""
    print("| trial | seeds | minutes | " + " | ".join(METRICS) + " |")
    print("|" + "---|" * (len(METRICS) + 3))
    measured, baselines = {}, {}
    for name in names:
        minutes = []
        for path in sorted((options.out / "measured" / name).glob("*/metrics.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            measured.setdefault(name, {})[path.parent.name] = record["metrics"]
            baselines = record["baselines"]
            minutes.append(_minutes(options.out / "runs" / name / path.parent.name))
        if minutes:
            found = list(measured[name].values())
            print(f"| {name} | {len(found)} | {np.median(minutes):.0f} | {cells(found)}")
    for name, record in baselines.items():
        print(f"| baseline: {name} | | | {cells([record])}")
    first, *others = names
    for name in others:
        if not {name, first} <= measured.keys():
            continue
        seeds = sorted(measured[name].keys() & measured[first].keys())
        if len(seeds) > 1:
            pairs = [(measured[name][seed], measured[first][seed]) for seed in seeds]
            print(f"| {name} - {first} | {len(seeds)} | | {differences(pairs)}")


def cells(found):
    """The median over seeds of each metric, and [lowest, highest]."""
    text = ""
    for metric, digits in METRICS.items():
        values = [each[metric]["mean"] for each in found]
        text += f"{np.median(values):.{digits}f}"
        if len(values) > 1:
            text += f" [{min(values):.{digits}f}, {max(values):.{digits}f}]"
        text += " | "
    return text.strip()


def differences(pairs):
    """The mean over seeds of each metric's difference, and half of a 95 % interval.

    The interval is Student's, over seeds: it is about trainings, not about images.
    """
    from scipy import stats

    text = ""
    for metric, digits in METRICS.items():
        values = [one[metric]["mean"] - other[metric]["mean"] for one, other in pairs]
        half = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
        text += f"{np.mean(values):+.{digits}f} ± {half:.{digits}f} | "
    return text.strip()


def draw(names, options):
    """Validations over iterations, the margin, and how active the hinge was.

    A line a seed, a colour a trial.
    """
    from matplotlib import pyplot

    charts = ("val_psnr", "val_uqi", "val_vgg_distance", "d_margin", "d_hinge_active")
    # Two rows, so that they can be read on a narrow page.
    figure, rows = pyplot.subplots(2, 3, figsize=(7.5, 4.6))
    grid, rest = rows.flat[: len(charts)], rows.flat[len(charts) :]
    for ax in rest:
        ax.axis("off")
    for number, name in enumerate(names):
        label = name
        for path in sorted((options.out / "runs" / name).glob("*/metrics.jsonl")):
            lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            for ax, key in zip(grid, charts, strict=True):
                points = [(row["iteration"], row[key]) for row in lines if key in row]
                if points:
                    at, values = zip(*points, strict=True)
                    ax.plot(at, values, color=f"C{number}", label=label, linewidth=1)
            label = None
    titles = ("PSNR, dB", "UQI", "VGG distance", "margin", "hinge active, share")
    for ax, title in zip(grid, titles, strict=True):
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelsize=7)
        ax.grid(alpha=0.3)
    grid[0].legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(options.draw, dpi=120)


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
    parser.add_argument("--draw", help="a PNG file, for charts of what is there")
    parser.add_argument(
        "--flag", action="append", default=[], help="of train, as --flag=--width=1"
    )
    options = parser.parse_args()
    options.out = options.out.resolve()
    if not (options.table or options.draw):
        for seed in options.seeds:
            for name in options.trials:
                train(name, seed, options)
    if options.draw:
        draw(options.trials, options)
    else:
        table(options.trials, options)


if __name__ == "__main__":
    main()
