"""Readings of PAN side by side: what decides whether it trains stably.

    pip install -e '.[benchmark]'                                  (matplotlib)
    python benchmarks/stability.py --data_dir=my_pairs --out=trials
    python benchmarks/stability.py --out=trials --draw=trials.png
    python benchmarks/stability.py --out=trials --pictures=outputs.png
    python benchmarks/stability.py --run=runs/pan-maps-256 --draw=run.png

Trains each row of `TRIALS` for some thousand iterations at 64 px and half width, then
measures T itself and its average at every checkpoint, on the validation pairs. A trial
that is there is not made again. `--draw` and `--pictures` show what is there.
docs/stability.md has the outcome.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

METRICS = ("psnr", "uqi")
GAP = 4  # Pixels between the pictures of a sample.
COMMON = {"image_size": 64, "width": 0.5, "ema": 0.995, "log_every": 40}
PRINTED = {"recipe": "pan_literal"}
RELEASED_D = PRINTED | {"first_activation": "tanh"}
NON_SATURATING = RELEASED_D | {"adversarial": "non_saturating"}
SLOW_D = {"real_label": 0.9, "d_learning_rate": 2e-5}
TRIALS = {
    "literal": PRINTED,
    "tanh_ns_m3": NON_SATURATING,
    "tanh_ns_m1": NON_SATURATING | {"margin": 1},
    "tanh_ns_m2_ls_dlr5": NON_SATURATING
    | SLOW_D
    | {"d_learning_rate": 5e-5, "margin": 2},
    "tanh_ns_m3_ls_dlr2": NON_SATURATING | SLOW_D,
    "leaky_ns_m2_ls_dlr2": PRINTED
    | SLOW_D
    | {"adversarial": "non_saturating", "margin": 2},
    "tanh_ns_m2_ls_dlr2_reuse": NON_SATURATING
    | SLOW_D
    | {"margin": 2, "reuse_minibatch": "true"},
    "tanh_ns_m2_ls_dlr2": NON_SATURATING | SLOW_D | {"margin": 2},
}


def train(name, options):
    """One trial: a run folder, and beside it what its checkpoints are worth."""
    run_dir, measured = options.out / "runs" / name, options.out / f"{name}.jsonl"
    if measured.exists():
        return
    flags = COMMON | TRIALS[name]
    # A round on one reused minibatch is one iteration, on fresh ones four.
    share = 4 if flags.get("reuse_minibatch") else 1
    iterations, every = options.iterations // share, options.every // share
    flags |= {
        "dataset": options.dataset,
        "data_dir": options.data_dir,
        "run_dir": run_dir,
        "iterations": iterations,
        "log_every": COMMON["log_every"] // share,
        "validate_every": iterations,
        "save_every": every,
        "keep": iterations,
    }
    command = [sys.executable, str(ROOT / "scripts" / "train.py")]
    subprocess.run([*command, *(f"--{k}={v}" for k, v in flags.items())], check=True)
    rows = measure(run_dir)
    shutil.rmtree(run_dir / "checkpoints")
    measured.write_text("".join(json.dumps(row) + "\n" for row in rows))


def measure(run_dir):
    """Metrics of T and of its average at every checkpoint, on the validation pairs."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    from pan_tf import data
    from pan_tf import evaluation
    from pan_tf import images
    from pan_tf import recipes
    from pan_tf.config import Config

    config = Config.from_flagfile(run_dir / "run.cfg")
    pairs = data.open_data(config, config.dataset, verified=None).validation
    transformer = recipes.resolve(config).transformer(None)
    translate = tf.function(lambda x: images.to_uint8(transformer(x, training=False)))
    found = tf.train.get_checkpoint_state(str(run_dir / "checkpoints"))
    rows = []
    for path in found.all_model_checkpoint_paths:
        row = {"iteration": int(path.rpartition("-")[2])}
        for label, key in (("raw", "transformer"), ("ema", "deployed")):
            status = tf.train.Checkpoint(**{key: transformer}).read(path)
            status.assert_existing_objects_matched().expect_partial()
            scores = evaluation.measure(translate, pairs, config.image_size)
            row[label] = evaluation.means(scores)
        rows.append(row)
    return rows


def read(path):
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def draw(out, path):
    """A row of charts a trial, of those that are there."""
    rows = []
    for name in TRIALS:
        if (out / f"{name}.jsonl").exists():
            logs = read(out / "runs" / name / "metrics.jsonl")
            reused = TRIALS[name].get("reuse_minibatch")
            label = name.replace("_ls", "\n_ls")
            rows.append(
                (label, logs, read(out / f"{name}.jsonl"), 1000 if reused else 4000)
            )
    chart(rows, path)


def draw_run(run_dir, path):
    """The same of one run, whose validations measured the average of T only."""
    logs = read(run_dir / "metrics.jsonl")
    scores = [
        {"iteration": row["iteration"], "ema": {m: row[f"val_{m}"] for m in METRICS}}
        for row in logs
        if "val_psnr" in row
    ]
    chart([("pan", logs, scores, logs[-1]["iteration"])], path)


def chart(rows, path):
    """D's outputs, the hinge, then metrics of T and its average.

    Args:
        rows: (label, lines of metrics.jsonl, measurements, last iteration).
        path: of the PNG.
    """
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(
        len(rows), 4, figsize=(13, 1.9 * len(rows) + 0.4), squeeze=False
    )
    for (name, logs, scores, end), axes in zip(rows, grid, strict=True):
        logs = [row for row in logs if "d_hinge_active" in row]
        at = [row["iteration"] for row in logs]
        for key, label in (
            ("d_real_probability", "D(y)"),
            ("d_generated_probability", "D(T(x))"),
        ):
            axes[0].plot(at, smooth([row[key] for row in logs], 3), label=label)
        axes[1].plot(at, smooth([row["d_hinge_active"] for row in logs]), color="C3")
        for ax, metric in zip(axes[2:], METRICS, strict=True):
            for key, color, label in (
                ("raw", "0.6", "T"),
                ("ema", "C2", "average of T"),
            ):
                points = [(r["iteration"], r[key][metric]) for r in scores if key in r]
                if points:
                    ax.plot(*zip(*points, strict=True), color=color, label=label)
        axes[0].set_ylabel(name, fontsize=8)
        for ax, limits in zip(axes, ((0, 1), (0, 1.02), (18, 29), (0, 0.1)), strict=True):
            ax.set_xlim(0, end)
            ax.set_ylim(*limits)
            ax.tick_params(labelsize=7)
            ax.grid(alpha=0.3)
    titles = ("D's outputs", "hinge active, share", "PSNR, dB", "UQI")
    for ax, title in zip(grid[0], titles, strict=True):
        ax.set_title(title, fontsize=9)
    grid[0][0].legend(fontsize=7)
    grid[0][2].legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def pictures(out, path):
    """Source, the last output of each trial that is there, target; twice as large."""
    from PIL import Image

    names = [name for name in TRIALS if (out / f"{name}.jsonl").exists()]
    columns, outputs = [], []
    for name in names:
        last = max((out / "runs" / name / "samples").glob("*.png"))
        picture = Image.open(last)
        step = (picture.width + GAP) // 3
        columns = [
            picture.crop((i * step, 0, i * step + step - GAP, picture.height))
            for i in range(3)
        ]
        outputs.append(columns[1])
    columns[1:2] = outputs
    width, height = columns[0].size
    sheet = Image.new("RGB", (len(columns) * (width + GAP) - GAP, height), "white")
    for i, column in enumerate(columns):
        sheet.paste(column, (i * (width + GAP), 0))
    sheet.resize((2 * sheet.width, 2 * height), Image.Resampling.NEAREST).save(path)
    print("source |", " | ".join(names), "| target")


def smooth(values, width=10):
    """Means of the last few values."""
    return [
        sum(values[max(0, i - width + 1) : i + 1]) / min(width, i + 1)
        for i in range(len(values))
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", default="folder")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--out", type=pathlib.Path, default="trials")
    parser.add_argument("--trials", nargs="+", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--iterations", type=int, default=4000)
    parser.add_argument("--every", type=int, default=400, help="between measurements")
    parser.add_argument("--draw", metavar="PNG", help="plot what is there, and stop")
    parser.add_argument("--run", type=pathlib.Path, help="with --draw: this run folder")
    parser.add_argument("--pictures", metavar="PNG", help="lay outputs side by side")
    options = parser.parse_args()
    if options.pictures:
        pictures(options.out, options.pictures)
        return
    if options.draw:
        if options.run:
            draw_run(options.run, options.draw)
        else:
            draw(options.out, options.draw)
        return
    for name in options.trials:
        train(name, options)


if __name__ == "__main__":
    main()
