"""A reproduced table as HTML, Markdown, JSON and pictures."""

import json

import numpy as np
from PIL import Image

from pan_tf import files
from pan_tf import images
from pan_tf import pages
from pan_tf.pages import charts
from pan_tf.pages import pictures
from pan_tf.reproduction.tables import METRICS

_TITLES = {"psnr": "PSNR (dB)", "ssim": "SSIM", "uqi": "UQI", "vif": "VIF"}
_FLOORS = {
    "copy_input": "floor: the source itself",
    "mean_color": "floor: mean colour",
    "color_table": "floor: colour table",
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
        _add_means_and_ranks(task)
        task["sentences"] = _sentences(task)
        columns = _columns(task, shown[name])
        grid = images.grid(*(pixels for _, pixels in columns))
        Image.fromarray(grid).save(output_dir / f"{name}.png")
        tasks.append(
            {
                "name": name,
                **task,
                "table": _table(task),
                "centre": _table(task, "centre") if _has_centre(task) else None,
                "columns": [label for label, _ in columns],
                "rows": [
                    [pictures.data_uri(pixels[i]) for _, pixels in columns]
                    for i in range(len(grid) and len(columns[0][1]))
                ],
                "charts": _charts(task),
            }
        )
    files.write(output_dir / "results.md", _markdown(record, tasks))
    page = pages.render(
        "reproduction.html",
        {
            "record": record,
            "tasks": tasks,
            "shown_width": pictures.shown_width(record["budget"]["image_size"]),
        },
    )
    files.write(output_dir / "index.html", page)
    # Last: it marks the rest as whole.
    files.write(output_dir / "results.json", json.dumps(record, indent=2) + "\n")


def _add_means_and_ranks(task):
    for row in task["systems"].values():
        row["mean"] = _over_seeds(row, "metrics")
        if _has_centre(task):
            row["mean_of_centre"] = _over_seeds(row, "metrics_of_centre")
        row["rank"], row["paper_rank"] = {}, {}
    rows = task["systems"]
    for metric in METRICS:
        ours = {n: r["mean"][metric]["mean"] for n, r in rows.items() if r["mean"]}
        paper = {n: r["paper"][metric] for n, r in rows.items() if r["paper"]}
        for key, values in (("rank", ours), ("paper_rank", paper)):
            for name, value in values.items():
                # Equal values have equal ranks.
                rank = 1 + sum(other > value for other in values.values())
                rows[name][key][metric] = rank


def _over_seeds(row, key):
    """metric -> mean, lowest and highest over the seeds; None without a seed."""
    if not row["seeds"]:
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


def _sentences(task):
    """What the table says of the paper's claim, and of the floors."""
    sentences = []
    rows = {n: r for n, r in task["systems"].items() if r["mean"]}
    ours = {n: r for n, r in rows.items() if r["paper"]}
    if len(ours) > 1:
        agree = []
        for metric in METRICS:
            paper = sorted(ours, key=lambda n: -ours[n]["paper"][metric])
            order = sorted(ours, key=lambda n: -ours[n]["mean"][metric]["mean"])
            if paper == order:
                agree.append(_TITLES[metric])
        sentences.append(
            "The order of the paper's systems is the paper's on "
            f"{', '.join(agree) if agree else 'none of the four metrics'}."
        )
    for metric in METRICS:
        best = max(rows, key=lambda n: rows[n]["mean"][metric]["mean"], default=None)
        if best is None:
            continue
        value = rows[best]["mean"][metric]["mean"]
        above = [
            _FLOORS[floor].removeprefix("floor: ")
            for floor, numbers in task["baselines"].items()
            if numbers[metric]["mean"] >= value
        ]
        sentences.append(
            f"{_TITLES[metric]}: {rows[best]['label']} is best"
            + (f"; not better than: {', '.join(above)}." if above else ".")
        )
    return sentences


def _table(task, of="image"):
    """Rows of cells as text: label, ours, the paper's, ranks, cost."""
    key = "mean" if of == "image" else "mean_of_centre"
    rows = []
    for row in task["systems"].values():
        cells = []
        for metric in METRICS:
            ours = row[key] and row[key][metric]
            paper = row["paper"] and row["paper"][metric] if of == "image" else None
            cells.append(
                {
                    "ours": ours and _number(metric, ours["mean"]),
                    "range": ours
                    and len(row["seeds"]) > 1
                    and f"{_number(metric, ours['lowest'])} to "
                    f"{_number(metric, ours['highest'])}",
                    "paper": paper and _number(metric, paper),
                    "rank": row["rank"].get(metric) if of == "image" else None,
                    "paper_rank": row["paper_rank"].get(metric) if paper else None,
                }
            )
        rows.append({"label": row["label"], "cells": cells, **_cost(row)})
    for name, numbers in task["baselines"].items():
        if of != "image":
            continue
        cells = [
            {
                "ours": _number(metric, numbers[metric]["mean"]),
                "range": None,
                "paper": None,
                "rank": None,
                "paper_rank": None,
            }
            for metric in METRICS
        ]
        floor = {"label": _FLOORS[name], "cells": cells, "minutes": None}
        rows.append({**floor, "batch_size": None, "failures": []})
    return rows


def _cost(row):
    seeds = row["seeds"]
    return {
        "minutes": sum(s["seconds"] for s in seeds) / len(seeds) / 60 if seeds else None,
        "batch_size": seeds[0]["batch_size"] if seeds else None,
        "failures": row["failures"],
    }


def _has_centre(task):
    return any(
        "metrics_of_centre" in s for r in task["systems"].values() for s in r["seeds"]
    )


def _number(metric, value):
    return f"{value:.2f}" if metric == "psnr" else f"{value:.4f}"


def _columns(task, shown):
    """(label, uint8 `[N, H, W, 3]`) in the figures' order."""
    outputs = [
        (task["systems"][name]["label"], np.asarray(pixels))
        for name, pixels in shown["outputs"].items()
    ]
    source, target = (
        np.asarray(images.to_uint8(shown[name])) for name in ("source", "target")
    )
    return [("source", source), *outputs, ("target", target)]


def _charts(task):
    """(title, SVG): each metric on the held-out split while the systems trained."""
    charted = []
    for metric in METRICS:
        series = [
            (row["label"], [(_images_seen(row, seed, i), v) for i, v in curve[metric]])
            for row in task["systems"].values()
            for seed, curve in zip(row["seeds"], row["curves"], strict=True)
            if curve.get(metric)
        ]
        if series:
            level = max(numbers[metric]["mean"] for numbers in task["baselines"].values())
            charted.append((_TITLES[metric], charts.curves(series, level)))
    return charted


def _images_seen(row, seed, iteration):
    return iteration * seed["batch_size"]


def _markdown(record, tasks):
    budget = record["budget"]
    lines = [
        f"## {record['title']}",
        "",
        f"{budget['iterations']} iterations of the paper's four images each, "
        f"{budget['image_size']} px, {budget['seeds']} seed(s)"
        + "".join(f", {k} {v}" for k, v in record["settings"].items())
        + ". Ours / the paper's; over seeds the mean, and [lowest, highest].",
    ]
    for task in tasks:
        lines += [
            "",
            f"### {task['label']}: {task['n']} {task['split']} images of "
            f"{task['dataset']['name']}",
            "",
            *_markdown_table(task["table"]),
        ]
        if task["centre"]:
            lines += [
                "",
                "The missing centre alone:",
                "",
                *_markdown_table(task["centre"]),
            ]
        lines += ["", *(f"- {sentence}" for sentence in task["sentences"])]
        failures = [f for row in task["table"] for f in row["failures"]]
        lines += [f"- failed: {failure}" for failure in failures]
    return "\n".join(lines) + "\n"


def _markdown_table(rows):
    header = ["system", *(_TITLES[m] for m in METRICS), "minutes"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for row in rows:
        cells = []
        for cell in row["cells"]:
            text = cell["ours"] or "-"
            if cell["range"]:
                text += f" [{cell['range'].replace(' to ', ', ')}]"
            if cell["rank"]:
                text += f" ({cell['rank']})"
            if cell["paper"]:
                text += f" / {cell['paper']} ({cell['paper_rank']})"
            cells.append(text)
        minutes = "" if row["minutes"] is None else f"{row['minutes']:.1f}"
        lines.append("| " + " | ".join([row["label"], *cells, minutes]) + " |")
    return lines
