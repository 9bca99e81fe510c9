"""The report of an evaluation, as one HTML page."""

import math

import numpy as np

from pan_tf import images
from pan_tf import pages
from pan_tf.data import evaluation_dataset
from pan_tf.evaluation.findings import FLOORS
from pan_tf.evaluation.findings import against_floors
from pan_tf.evaluation.measure import finite
from pan_tf.pages import charts
from pan_tf.pages import pictures
from pan_tf.run_folder import RunFolder

# How many images a section shows; all are measured, and stand in per_image.csv.
_EXTREMES, _DOZEN = 10, 12

_TITLES = {
    "balanced": "Balanced",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "uqi": "UQI",
    "vif": "VIF",
    "vifp": "VIFP",
    "psnr_rgb": "PSNR, RGB (dB)",
    "ssim_rgb": "SSIM, RGB",
}


def render(evaluation, results, baselines, record):
    """Makes the page.

    Args:
        evaluation: `Evaluation`.
        results: `Result`s, in order.
        baselines: floor -> metric -> `[n]`.
        record: what metrics.json holds.

    Returns:
        HTML.
    """
    sections = _sections(results, evaluation.rank_by)
    shown = sorted({i for _, places in sections for i in places})
    sets = _pictures(evaluation, shown)
    runs = record.get("runs") or {results[0].name: record}
    context = {
        "title": " | ".join(result.name for result in results),
        "record": record,
        "runs": runs,
        "many": len(results) > 1,
        "metrics": _TITLES,
        "floors": FLOORS,
        "sentences": _sentences(results, baselines, record),
        "histograms": _histograms(results, baselines),
        "curves": [
            (result.name, _curves(translator, result, record))
            for result, translator in zip(results, evaluation.translators, strict=True)
        ],
        "sections": [
            (title, [_row(evaluation, results, sets, i) for i in places])
            for title, places in sections
        ],
        "rank_by": _TITLES[evaluation.rank_by],
        "rank_key": evaluation.rank_by,
        "manifests": [
            (result.name, _manifest(translator.path))
            for result, translator in zip(results, evaluation.translators, strict=True)
        ],
        "full_error": pictures.FULL_ERROR,
        "scale": pictures.data_uri(
            pictures.colors(np.tile(np.linspace(0, 1, 160), (10, 1)))
        ),
        "shown_width": pictures.shown_width(evaluation.config.image_size),
    }
    return pages.render("report.html", context)


def _sentences(results, baselines, record):
    if "comparisons" in record:
        return [comparison["sentence"] for comparison in record["comparisons"]]
    return against_floors(results[0], baselines)


def _sections(results, rank_by):
    """(title, places) of the images to show."""
    scores = results[0].scores[rank_by]
    count = len(scores)
    few = min(_EXTREMES, count)
    dozen = np.random.default_rng(0).permutation(count)[:_DOZEN]
    random = (f"{len(dozen)} at random, the same in every report", sorted(dozen))
    if len(results) == 1:
        order = np.argsort(scores, kind="stable")
        return [
            (f"The {few} worst by {_TITLES[rank_by]}", order[:few]),
            (f"The {few} best by {_TITLES[rank_by]}", order[::-1][:few]),
            random,
        ]
    every = np.stack([finite(rank_by, r.scores[rank_by]) for r in results])
    if len(results) > 2:
        widest = np.argsort(-np.ptp(every, axis=0), kind="stable")[:few]
        return [
            (f"The {few} that divide them most by {_TITLES[rank_by]}", widest),
            random,
        ]
    gap = np.argsort(every[1] - every[0], kind="stable")
    a, b = (result.name for result in results)
    return [
        (f"The {few} that speak most for {a}, by {_TITLES[rank_by]}", gap[:few]),
        (f"The {few} that speak most for {b}, by {_TITLES[rank_by]}", gap[::-1][:few]),
        random,
    ]


def _pictures(evaluation, places):
    """place -> (source, target, [(output, error map) of each T]), as data URIs."""
    size = evaluation.config.image_size
    subset = evaluation.pairs.subset(places)
    shown = {}
    batches = evaluation_dataset(
        subset, image_size=size, batch_size=evaluation.batch_size or 8
    )
    done = 0
    for batch in batches:
        source, target = (images.to_uint8(batch[k]).numpy() for k in ("source", "target"))
        outputs = [
            np.asarray(t.translate(batch["source"])) for t in evaluation.translators
        ]
        for i in range(len(source)):
            shown[places[done + i]] = (
                pictures.data_uri(source[i]),
                pictures.data_uri(target[i]),
                [
                    (
                        pictures.data_uri(output[i]),
                        pictures.data_uri(pictures.error_map(output[i], target[i])),
                    )
                    for output in outputs
                ],
            )
        done += len(source)
    return shown


def _row(evaluation, results, sets, place):
    """What a row of the page shows of one image."""
    source, target, outputs = sets[place]
    made = [
        (result.name, *pair, {m: float(v[place]) for m, v in result.scores.items()})
        for result, pair in zip(results, outputs, strict=True)
    ]
    name = evaluation.pairs.names[place]
    return {"name": name, "source": source, "target": target, "outputs": made}


def _histograms(results, baselines):
    """(metric's title, one SVG a result) for each metric."""
    rows = []
    for metric, title in _TITLES.items():
        marks = {
            FLOORS[name]: float(np.mean(finite(metric, scores[metric])))
            for name, scores in baselines.items()
        }
        row = []
        for result in results:
            values = finite(metric, result.scores[metric])
            mean = {"mean": float(np.mean(values))}
            row.append((result.name, charts.histogram(values, mean | marks)))
        rows.append((title, row))
    return rows


def _curves(translator, result, record):
    """(title, SVG) of validation metrics, then of losses, from metrics.jsonl."""
    if translator.config is None:
        return []
    columns = {}
    for row in RunFolder(translator.path).read_metrics():
        for name, value in row.items():
            if name != "warning" and math.isfinite(value):
                columns.setdefault(name, []).append((row["iteration"], value))
    charted = []
    chosen = result.checkpoint["iteration"]
    for metric, title in _TITLES.items():
        points = columns.get(f"val_{metric}")
        if points:
            level = max(floor[metric]["mean"] for floor in record["baselines"].values())
            points = [(i, finite(metric, v)) for i, v in points]
            charted.append((f"Validation {title}", charts.curve(points, chosen, level)))
    losses = [name for name in columns if name[:2] in ("d_", "t_")]
    charted += [
        (name, charts.curve(columns[name], chosen)) for name in sorted(losses)[::-1]
    ]
    return charted


def _manifest(path):
    manifest = path / "manifest.json"
    return manifest.read_text("utf-8") if manifest.exists() else None
