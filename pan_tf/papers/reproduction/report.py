"""A reproduced table as HTML, Markdown, JSON and pictures."""

import itertools

import numpy as np
from PIL import Image

from pan_tf import files
from pan_tf import images
from pan_tf import pages
from pan_tf.evaluation.baselines import TITLES
from pan_tf.evaluation.baselines import label_of
from pan_tf.evaluation.compare import FEWEST
from pan_tf.metrics import KEPT_METRICS
from pan_tf.metrics import ROWS
from pan_tf.pages import charts
from pan_tf.pages import pictures
from pan_tf.size import Size

# What else is measured of some systems.
_OTHERS = {
    "metrics_of_centre": "The missing centre alone",
    "metrics_back": "The inverse",
    "metrics_with_moving": "Normalized by moving averages in place of each image's own "
    "statistics",
}


def write(reproduction, record, shown):
    """Writes index.html, results.md, results.json and a picture a task.

    Args:
        reproduction: `Reproduction`.
        record: what results.json is to hold; gets means, ranks and sentences.
        shown: task -> `{"source", "target", "outputs": system -> uint8}`.
    """
    output_dir = reproduction.output_dir
    tasks = []
    for name, task in record["tasks"].items():
        metrics = record["metrics"]
        _add_means_and_ranks(task, metrics)
        task["sentences"] = _sentences(task, metrics)
        columns = _columns(task, shown[name])
        grid = images.grid(*(pixels for _, pixels in columns))
        with files.whole(output_dir / f"{name}.png") as partial:
            Image.fromarray(grid).save(partial, format="png")
        tasks.append(
            {
                "name": name,
                **task,
                "table": _table(task, metrics),
                "others": [
                    (title, _table(task, metrics, key))
                    for key, title in _OTHERS.items()
                    if _has(task, key)
                ],
                "columns": [label for label, _ in columns],
                "rows": [
                    [pictures.data_uri(pixels[i]) for _, pixels in columns]
                    for i in range(len(columns[0][1]))
                ],
                "charts": _charts(
                    task, metrics if reproduction.table.paired else KEPT_METRICS
                ),
            }
        )
    files.write(output_dir / "results.md", _markdown(record, tasks))
    width = max(Size.of(task["image_size"]).width for task in tasks)
    page = pages.render(
        "reproduction.html",
        {
            "record": record,
            "titles": [ROWS[metric].label for metric in record["metrics"]],
            "tasks": tasks,
            "shown_width": pictures.shown_width(width),
        },
    )
    files.write(output_dir / "index.html", page)
    # Last: it marks the rest as whole.
    files.write_json(output_dir / "results.json", record)


def _add_means_and_ranks(task, metrics):
    for row in task["systems"].values():
        row["mean"] = _over_seeds(row, "metrics")
        for key in _OTHERS:
            row[key.replace("metrics", "mean")] = _over_seeds(row, key)
        row["rank"], row["paper_rank"] = {}, {}
    # Only the paper's systems have ranks: ours among those that were trained, the
    # paper's among all that it has.
    rows = [r for r in task["systems"].values() if r["paper"]]
    for metric in metrics:
        ours = [r["mean"][metric]["mean"] for r in rows if r["mean"]]
        for row in rows:
            if metric not in row["paper"]:
                continue
            paper = [numbers[metric] for numbers in task["paper"].values()]
            row["paper_rank"][metric] = _rank(metric, row["paper"][metric], paper)
            if row["mean"]:
                row["rank"][metric] = _rank(metric, row["mean"][metric]["mean"], ours)


def _rank(metric, value, values):
    """1 for the best; equal values have equal ranks."""
    own = ROWS[metric].merit(value)
    return 1 + sum(ROWS[metric].merit(other) > own for other in values)


def _over_seeds(row, key):
    """metric -> mean, lowest and highest over the seeds; None without such numbers."""
    if not row["seeds"] or key not in row["seeds"][0]:
        return None
    means = {}
    for metric in row["seeds"][0][key]:
        values = [seed[key][metric]["mean"] for seed in row["seeds"]]
        means[metric] = {
            "mean": float(np.mean(values)),
            "lowest": min(values),
            "highest": max(values),
        }
    return means


def _sentences(task, metrics):
    """What the table says of the paper's claim, and of the baselines."""
    sentences = []
    rows = {n: r for n, r in task["systems"].items() if r["mean"]}
    ours = {n: r for n, r in rows.items() if r["paper"]}
    if len(ours) > 1:
        agree = []
        known = [m for m in metrics if all(m in row["paper"] for row in ours.values())]
        for metric in known:
            merit = ROWS[metric].merit
            paper = {n: merit(r["paper"][metric]) for n, r in ours.items()}
            own = {n: merit(r["mean"][metric]["mean"]) for n, r in ours.items()}
            # Where the paper has two equal, either order is its own.
            pairs = itertools.permutations(ours, 2)
            if all(own[a] > own[b] for a, b in pairs if paper[a] > paper[b]):
                agree.append(ROWS[metric].label)
        sentences.append(
            "The order of the paper's systems is the paper's on "
            f"{', '.join(agree) if agree else f'none of the {len(known)} metrics'}."
        )
    count = task.get("n", FEWEST)
    if len(rows) > 1 and count < FEWEST:
        return [
            *sentences,
            f"{count} images do not say which system is best: at least {FEWEST} are "
            "needed.",
        ]
    for metric in metrics if rows else ():
        merits = {
            n: ROWS[metric].merit(r["mean"][metric]["mean"]) for n, r in rows.items()
        }
        greatest = max(merits.values())
        best = [rows[n]["label"] for n, merit in merits.items() if merit == greatest]
        above = [
            TITLES[name]
            for name, numbers in task["baselines"].items()
            # Nothing is expected to be better than what is real.
            if name != "real" and ROWS[metric].merit(numbers[metric]["mean"]) >= greatest
        ]
        said = ["is best" if len(best) == 1 else "are best, equally"] * (len(rows) > 1)
        said += [f"not better than: {', '.join(above)}"] * bool(above)
        if said:
            label = f"{ROWS[metric].label}: {' and '.join(best)}"
            sentences.append(f"{label} {'; '.join(said)}.")
    return sentences


def _table(task, metrics, key="metrics"):
    """Rows of cells as text: label, ours, the paper's, ranks, cost."""
    is_main, untrained = key == "metrics", {"paper": None, "seeds": [], "failures": []}
    rows = [(r, r[key.replace("metrics", "mean")]) for r in task["systems"].values()]
    rows = [(row, mean) for row, mean in rows if mean is not None or is_main]
    for name, numbers in task.get(key.replace("metrics", "baselines"), {}).items():
        rows.append(({"label": label_of(name), **untrained}, numbers))
    return [
        {
            "label": row["label"],
            "cells": [_cell(row, mean, metric, is_main) for metric in metrics],
            **_cost(row),
        }
        for row, mean in rows
    ]


def _cell(row, mean, metric, is_main):
    cell, text = {"ours": None, "range": None, "paper": None}, ROWS[metric].text
    if mean and metric in mean:
        cell["ours"] = text(mean[metric]["mean"])
        if len(row["seeds"]) > 1:
            ends = (text(mean[metric][end]) for end in ("lowest", "highest"))
            cell["range"] = " to ".join(ends)
    if is_main and row["paper"] and metric in row["paper"]:
        cell["paper"] = text(row["paper"][metric])
        cell["rank"] = row["rank"].get(metric)
        cell["paper_rank"] = row["paper_rank"][metric]
    return cell


def _cost(row):
    seeds = row["seeds"]
    return {
        "minutes": sum(s["seconds"] for s in seeds) / len(seeds) / 60 if seeds else None,
        "batch_size": seeds[0]["batch_size"] if seeds else None,
        "failures": row["failures"],
    }


def _has(task, key):
    return any(key in seed for row in task["systems"].values() for seed in row["seeds"])


def _columns(task, shown):
    """(label, uint8 `[N, H, W, 3]`) in the figures' order."""
    outputs = [
        (task["systems"][name]["label"], np.asarray(pixels))
        for name, pixels in shown["outputs"].items()
    ]
    return [("source", shown["source"]), *outputs, ("target", shown["target"])]


def _charts(task, watched):
    """(title, SVG): each metric on the validation split while the systems trained."""
    charted = []
    for metric in watched:
        series = [
            # Over images seen: systems differ in their batch sizes.
            (row["label"], [(i * seed["batch_size"], v) for i, v in curve[metric]])
            for row in task["systems"].values()
            for seed, curve in zip(row["seeds"], row["curves"], strict=True)
            if curve.get(metric)
        ]
        if series:
            means = [f[metric]["mean"] for f in task["baselines"].values() if metric in f]
            level = max(means, key=ROWS[metric].merit, default=None)
            charted.append((ROWS[metric].label, charts.curves(series, level)))
    return charted


def _markdown(record, tasks):
    lines = [
        f"## {record['title']}",
        "",
        f"{record['budget']['seeds']} seed(s)"
        + "".join(f", {k} {v}" for k, v in record["settings"].items())
        + f". The paper: {record['papers_budget']}. Ours / the paper's; over seeds the "
        "mean, and [lowest, highest].",
        *(["", record["note"]] if record["note"] else []),
    ]
    for task in tasks:
        lines += [
            "",
            f"### {task['label']}: {task['n']} {task['split']} images of "
            f"{task['dataset']['name']}; {task['images_seen']} seen in training, at "
            f"{task['image_size']} px",
            "",
            *_markdown_table(task["table"], record["metrics"]),
        ]
        for title, table in task["others"]:
            table = _markdown_table(table, record["metrics"])
            lines += ["", f"{title}:", "", *table]
        lines += ["", *(f"- {sentence}" for sentence in task["sentences"])]
        lines += [
            f"- failed: {row['label']}, {failure}"
            for row in task["table"]
            for failure in row["failures"]
        ]
    return "\n".join(lines) + "\n"


def _markdown_table(rows, metrics):
    header = ["system", *(ROWS[m].label for m in metrics), "minutes"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = []
        for cell in row["cells"]:
            text = cell["ours"] or "-"
            if cell["range"]:
                text += f" [{cell['range'].replace(' to ', ', ')}]"
            if cell.get("rank"):
                text += f" ({cell['rank']})"
            if cell["paper"]:
                text += f" / {cell['paper']} ({cell['paper_rank']})"
            cells.append(text)
        minutes = "" if row["minutes"] is None else f"{row['minutes']:.1f}"
        lines.append("| " + " | ".join([row["label"], *cells, minutes]) + " |")
    return lines
