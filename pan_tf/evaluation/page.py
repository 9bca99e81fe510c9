"""The report of an evaluation, as one HTML page. It draws what the record says."""

import html
import math

import numpy as np

from pan_tf import data
from pan_tf import images
from pan_tf import pages
from pan_tf.evaluation.baselines import TITLES
from pan_tf.evaluation.baselines import label_of
from pan_tf.evaluation.compare import FEWEST
from pan_tf.metrics import KEPT_METRICS
from pan_tf.metrics import METRICS
from pan_tf.metrics import ROWS
from pan_tf.pages import charts
from pan_tf.pages import pictures
from pan_tf.runs.folder import RunFolder

# How many images a section shows; all are measured, and stand in per_image.csv.
_EXTREMES, _DOZEN = 10, 12


def render(evaluation, record):
    """Makes the page.

    Args:
        evaluation: `Evaluation` that has measured.
        record: what metrics.json holds.

    Returns:
        HTML.
    """
    directions = evaluation.directions
    names = list(dict.fromkeys(r.name for d in directions for r in d.results))
    results = directions[0].results
    # Deep feature interpolation, the last result, is no network.
    both = list(zip(results, directions[0].translators, strict=False))
    context = {
        "title": " | ".join(names),
        "record": record,
        "image_size": evaluation.config.image_size,
        "measured": evaluation.geometry.measured(directions[0].split.by_middle),
        "geometry": _trained(evaluation),
        "paired": directions[0].split.paired,
        "many": len(results) > 1,
        "checkpoints": [(r.name, _checkpoint(r)) for r in results],
        "directions": [_direction(evaluation, d, record) for d in directions],
        "comparisons": _comparisons(record),
        "fewest": FEWEST,
        "histograms": _histograms(directions[0]),
        "marks": [TITLES[name] for name in directions[0].baselines],
        "planes": _planes(directions[0], record),
        "curves": [(r.name, _curves(t, r, directions[0])) for r, t in both],
        "about": [metric.about for metric in _measured(directions) if metric.about],
        "manifests": [(r.name, _manifest(t.path)) for r, t in both],
        "full_error": pictures.FULL_ERROR,
        "scale": pictures.data_uri(
            pictures.colors(np.tile(np.linspace(0, 1, 160), (10, 1)))
        ),
        "shown_width": _shown_width(evaluation.geometry),
    }
    return pages.render("report.html", context)


def _checkpoint(result):
    found = result.checkpoint
    if found["kind"] == "saved_model":
        said = "a SavedModel."
    elif found["kind"] == "dfi":
        said = "deep feature interpolation; nothing is trained."
    elif found["kind"] == "best":
        metric = ROWS.get(found["chosen_by"])
        label = metric.label if metric else found["chosen_by"]
        said = (
            f"iteration {found['iteration']}, the best checkpoint by {label} on the "
            "validation images."
        )
    else:
        said = f"iteration {found['iteration']}, the last checkpoint."
    equal = np.isinf(result.scores.get("psnr_rgb", [])).sum()
    return said + (f" {equal} outputs equal their targets." if equal else "")


def _measured(directions):
    """The rows of the table of metrics that were measured, in its order."""
    names = {n for d in directions for r in d.results for n in r.metrics}
    return [metric for name, metric in ROWS.items() if name in names]


def _direction(evaluation, direction, record):
    """What the page shows of a direction: a table, sentences, sections of pictures."""
    found = record.get("directions", {}).get(direction.name, record)
    shown = _Pictures(evaluation, direction)
    native = None
    if direction.native:
        native = _table(*direction.native)
        native["sentences"] = record["native"]["sentences"]
    return {
        "name": direction.name,
        **_table(direction.results, direction.baselines),
        "native": native,
        "sentences": found["sentences"],
        "sections": [
            (title, [shown.row(i) for i in places])
            for title, places in shown.choose(_sections(direction, evaluation.rank_by))
        ],
        "targets": [] if direction.split.paired else shown.targets(),
    }


def _table(results, baselines):
    """Columns and rows of a table of metrics."""
    columns = [(r.name, False, r.metrics) for r in results]
    columns += [(label_of(name), True, r.metrics) for name, r in baselines.items()]
    rows = [
        (
            metric.label,
            [
                (*_cell(metric, metrics.get(name)), is_baseline)
                for _, is_baseline, metrics in columns
            ],
        )
        for name, metric in ROWS.items()
        if any(name in metrics for _, _, metrics in columns)
    ]
    return {"columns": [(label, flag) for label, flag, _ in columns], "rows": rows}


def _trained(evaluation):
    """(name, how its images were brought to size) of each run."""
    return [
        (name, translator.geometry)
        for name, translator in zip(evaluation.names, evaluation.translators, strict=True)
        if translator.geometry
    ]


def _shown_width(geometry):
    """CSS pixels that images are shown at."""
    if geometry.is_uniform or geometry.files is None:
        return pictures.shown_width(geometry.image_size.width)
    return pictures.shown_width(
        min(pictures.LARGEST, geometry.measured_size(*geometry.files.median).width)
    )


def _cell(metric, value, sign=""):
    """(mean, interval), as text."""
    if value is None:
        return "-", ""
    return metric.text(value["mean"], sign), metric.interval(value["ci95"], sign)


def _comparisons(record):
    """Columns and rows of the paired differences, as of `_table`; None for one T."""
    found = record.get("comparisons")
    if not found:
        return None
    names = [name for name in ROWS if name in found[0]["differences"]]
    rows = [
        (
            ROWS[n].label,
            [(*_cell(ROWS[n], c["differences"][n], "+"), False) for c in found],
        )
        for n in names
    ]
    columns = [(f"{c['first']} minus {c['second']}", False) for c in found]
    return {"columns": columns, "rows": rows}


def _sections(direction, rank_by):
    """(title, places) of the images to show."""
    count = len(direction.split.source)
    dozen = np.random.default_rng(0).permutation(count)[:_DOZEN]
    random = (f"{len(dozen)} at random, the same in every report", sorted(dozen))
    results = direction.results
    if not direction.split.paired:
        return [random]
    metric = METRICS[rank_by]
    order = np.argsort(metric.merit(results[0].scores[rank_by]), kind="stable")
    if count < 2 * _EXTREMES:  # Worst and best would be the same ones.
        of = f" of {results[0].name}" if len(results) > 1 else ""
        return [(f"All {count}, by {metric.label}{of}, the worst first", order)]
    if len(results) == 1:
        return [
            (f"The {_EXTREMES} worst by {metric.label}", order[:_EXTREMES]),
            (f"The {_EXTREMES} best by {metric.label}", order[::-1][:_EXTREMES]),
            random,
        ]
    every = np.stack([metric.merit(metric.finite(r.scores[rank_by])) for r in results])
    if len(results) > 2:
        widest = np.argsort(-np.ptp(every, axis=0), kind="stable")[:_EXTREMES]
        return [
            (f"The {_EXTREMES} that divide them most by {metric.label}", widest),
            random,
        ]
    gap = np.argsort(every[1] - every[0], kind="stable")
    sections = [
        (f"The {_EXTREMES} that speak most for {r.name}, by {metric.label}", order)
        for r, order in zip(
            results, (gap[:_EXTREMES], gap[::-1][:_EXTREMES]), strict=True
        )
    ]
    return [*sections, random]


class _Pictures:
    """Images of a direction, made once for all sections."""

    def __init__(self, evaluation, direction):
        self._evaluation, self._direction = evaluation, direction
        self._made = {}

    def choose(self, sections):
        """Makes what the sections show; returns them."""
        places = sorted({int(i) for _, chosen in sections for i in chosen})
        if not places:
            return sections
        split = self._direction.split
        is_paired = split.paired
        listed = split.subset(places) if is_paired else split.source.subset(places)
        batches = data.evaluation_dataset(
            listed,
            geometry=self._evaluation.geometry,
            batch_size=self._evaluation.batch_size or 8,
            # What is judged as a set is judged by its middle.
            centre=bool(self._direction.outputs),
        )
        done = 0
        for batch in batches:
            source = batch["source"] if is_paired else batch["image"]
            target = images.to_uint8(batch["target"]).numpy() if is_paired else None
            chosen = places[done : done + len(source)]
            outputs = self._outputs(source, chosen)
            pixels = np.asarray(split.source.spec.show(source))
            for i, place in enumerate(chosen):
                made = [output[i] for output in outputs]
                self._made[place] = pixels[i], None if target is None else target[i], made
            done += len(chosen)
        return sections

    def _outputs(self, source, places):
        kept = self._direction.outputs
        if kept:
            return [kept[r.name][places] for r in self._direction.results]
        return [images.shown(t.translate(source)) for t in self._direction.translators]

    def row(self, place):
        """What the page shows of one example."""

        def shown(pixels):
            return pictures.data_uri(pictures.fitted(pixels))

        place = int(place)
        source, target, outputs = self._made[place]
        rank_by = self._evaluation.rank_by
        made = []
        for result, output in zip(self._direction.results, outputs, strict=True):
            scores = {n: v[place] for n, v in result.scores.items() if n in METRICS}
            own = {"name": result.name, "output": shown(output)}
            own |= dict.fromkeys(("error", "ranked", "scores"))
            if target is not None:
                own |= {
                    "error": shown(pictures.error_map(output, target)),
                    "ranked": f"{html.escape(METRICS[rank_by].label)} "
                    f"<b>{METRICS[rank_by].text(scores[rank_by])}</b>",
                    "scores": ", ".join(
                        f"{METRICS[n].title} {METRICS[n].text(v)}"
                        for n, v in scores.items()
                        if not (METRICS[n].made_of or METRICS[n].is_variant)
                    ),
                }
            made.append(own)
        return {
            "name": self._direction.split.source.names[place],
            "source": shown(source),
            "target": None if target is None else shown(target),
            "outputs": made,
        }

    def targets(self):
        """(name, picture) of a dozen real targets, the same in every report."""
        listed = self._direction.split.target
        count = len(listed)
        places = sorted(np.random.default_rng(0).permutation(count)[:_DOZEN])
        pixels = self._evaluation.pixels(listed.subset(places))
        return [
            (listed.names[i], pictures.data_uri(image))
            for i, image in zip(places, pixels, strict=True)
        ]


def _histograms(direction):
    """(metric's title, one SVG a result) for each metric that every image has."""
    rows = []
    for name, metric in ROWS.items():
        if not all(name in result.scores for result in direction.results):
            continue
        marks = {
            TITLES[key]: float(np.mean(metric.finite(result.scores[name])))
            for key, result in direction.baselines.items()
            if name in result.scores
        }
        row = []
        for result in direction.results:
            values = metric.finite(result.scores[name])
            mean = {"mean": float(np.mean(values))}
            row.append((result.name, charts.histogram(values, mean | marks)))
        rows.append((metric.label, row))
    return rows


def _planes(direction, record):
    """(title, SVG) of each plane of the record."""
    drawn = []
    for name, trails in record.get("planes", {}).items():
        metric, psnr = ROWS[name], ROWS["psnr"]
        shown = []
        for result in direction.results:
            trail = [
                (f"iteration {point['iteration']}", point["psnr"], point[name])
                for point in trails.get(result.name, ())
            ]
            here = [result.metrics[axis]["mean"] for axis in ("psnr", name)]
            shown.append((result.name, [*trail, ("measured here", *here)]))
        baselines = [
            (TITLES[key], r.metrics["psnr"]["mean"], r.metrics[name]["mean"])
            for key, r in direction.baselines.items()
        ]
        # One that is worse in both than everything else would squeeze the rest.
        points = [point[1:] for _, trail in shown for point in trail]
        near = [
            baseline
            for baseline in baselines
            if any(
                psnr.merit(baseline[1]) >= psnr.merit(a)
                or metric.merit(baseline[2]) >= metric.merit(b)
                for a, b in points
            )
        ]
        far = [label for label, *_ in baselines if label not in [b[0] for b in near]]
        beyond = f" Worse in both, not drawn: {', '.join(far)}." if far else ""
        titles = psnr.label, metric.label
        chart = charts.plane(shown, near, titles, not metric.higher_is_better)
        drawn.append((f"{psnr.title} and {metric.title}.{beyond}", chart))
    return drawn


def _curves(translator, result, direction):
    """(title, SVG) of validation metrics, then of losses, from metrics.jsonl."""
    if translator.config is None:
        return []
    columns = {}
    for row in RunFolder(translator.path).read_metrics():
        for name, value in row.items():
            if isinstance(value, int | float) and math.isfinite(value):
                columns.setdefault(name, []).append((row["iteration"], value))
    charted = []
    chosen = result.checkpoint["iteration"]
    for name, metric in {**METRICS, **KEPT_METRICS}.items():
        points = columns.get(f"val_{name}")
        if not points:
            continue
        means = [
            r.metrics[name]["mean"]
            for r in direction.baselines.values()
            if name in r.metrics
        ]
        level = max(means, key=metric.merit, default=None)
        points = [(i, metric.finite(v)) for i, v in points]
        title = f"Validation {metric.label}"
        charted.append((title, charts.curve(points, chosen, level)))
    losses = [name for name in columns if name[:2] in ("d_", "t_")]
    charted += [
        (name, charts.curve(columns[name], chosen)) for name in sorted(losses)[::-1]
    ]
    return charted


def _manifest(path):
    manifest = path / "manifest.json"
    return manifest.read_text("utf-8") if manifest.exists() else None
