"""What an evaluation leaves as numbers: metrics.json and per_image.csv."""

import csv
import dataclasses
import io
import itertools
import math

import numpy as np

import pan_tf
from pan_tf import files
from pan_tf.evaluation import compare
from pan_tf.metrics import ROWS
from pan_tf.runs.folder import RunFolder


def describe(evaluation):
    """What metrics.json holds of an `Evaluation` that has measured.

    With pairs and one T: `n`, `checkpoint`, `metrics`, `baselines`, and differences to
    them; with several Ts `runs` and `comparisons`. Without pairs: `directions`, and with
    one T also the first direction's `checkpoint`, `metrics` and `baselines`. Sentences
    say what the numbers say.
    """
    first, opened = evaluation.directions[0], evaluation.data
    found = {
        "n": len(first.split.source),
        "dataset": {
            "name": opened.name,
            "attribute": evaluation.config.attribute,
            "split": first.split.name,
            "direction": opened.direction,
            "synthesized": opened.synthesized,
            "image_size": evaluation.config.image_size.to_json(),
            "geometry": evaluation.geometry.to_json(),
            "fingerprint": opened.fingerprint,
        },
        "notes": [*evaluation.notes, *_dominated(first)],
        "weights": evaluation.weights.digests(),
        "pan_tf": pan_tf.__version__,
        "baselines": {name: r.metrics for name, r in first.baselines.items()},
    }
    if first.native:
        found["native"] = _native(evaluation, first)
    if len(first.results) == 1:
        found |= _one(first.results[0], first)
    if first.split.paired:
        return found | _of_pairs(first) | _planes(first)
    found["dataset"] |= {
        "sources": len(first.split.source),
        "targets": len(first.split.target),
    }
    return found | {
        "classifiers": {"seeds": len(evaluation.seeds), "epochs": evaluation.epochs},
        "dfi": evaluation.dfi and _settings(evaluation.dfi),
        "directions": {d.name: _direction(d) for d in evaluation.directions},
    }


def write(folder, found, directions):
    """Writes metrics.json and per_image.csv.

    Args:
        folder: where to.
        found: what `describe` gave.
        directions: `Direction`s.
    """
    # By which the folder is known as ours.
    files.write_json(folder / "metrics.json", found, allow_nan=False)
    files.write(folder / "per_image.csv", _table(directions))


def _dominated(direction):
    if not direction.split.paired:
        return []
    names = direction.split.source.names
    return [s for r in direction.results for s in compare.dominated(r, names)]


def _one(result, direction):
    """What metrics.json says of one T."""
    found = {"checkpoint": result.checkpoint, "metrics": result.metrics}
    if not direction.split.paired:
        return found
    return found | {
        "differences_to_baselines": {
            name: compare.differences(result.scores, baseline.scores)
            for name, baseline in direction.baselines.items()
        },
        "equal_images": int(np.isinf(result.scores["psnr_rgb"]).sum()),
    }


# What the name of a T ends with that saw files at their own scale.
NATIVE_SCALE = ", --scale=native"


def _native(evaluation, direction):
    """What metrics.json says of files as they are."""
    results, baselines = direction.native
    others = {r.name: r for r in results if r.name.endswith(NATIVE_SCALE)}
    results = [result for result in results if result.name not in others]
    pairs = [(r, others.get(f"{r.name}{NATIVE_SCALE}")) for r in results]
    scores = {name: result.scores for name, result in baselines.items()}
    scales = {
        name: str(translator.scale)
        for name, translator in zip(evaluation.names, evaluation.translators, strict=True)
    }
    found = {
        "about": "files as they are, at their own size, as `translate` writes them",
        "baselines": {name: result.metrics for name, result in baselines.items()},
        "sentences": [
            f"{result.name}, on files as they are: {sentence}"
            for result in results
            for sentence in compare.against_baselines(result, scores)
        ]
        + [compare.compare(*both)["sentence"] for both in pairs if both[1]],
        "at_native_scale": {
            result.name: other.metrics for result, other in pairs if other
        },
    }
    if len(results) == 1:
        return found | {
            "scale": scales[results[0].name],
            "metrics": results[0].metrics,
        }
    return found | {"scales": scales, "runs": {r.name: r.metrics for r in results}}


def _of_pairs(direction):
    results = direction.results
    if len(results) == 1:
        scores = {name: r.scores for name, r in direction.baselines.items()}
        return {"sentences": compare.against_baselines(results[0], scores)}
    comparisons = [compare.compare(*both) for both in itertools.combinations(results, 2)]
    return {
        "runs": {result.name: _one(result, direction) for result in results},
        "comparisons": comparisons,
        "sentences": [comparison["sentence"] for comparison in comparisons],
    }


def _planes(direction):
    """How each T trades pixels for looks on its way: its validations, and what is
    measured here, by PSNR and by each metric of realism that was measured."""
    results, found = direction.results, {}
    names = [name for name in results[0].metrics if ROWS[name].of_realism]
    for name in names:
        axes = {axis: f"val_{axis}" for axis in ("psnr", name)}
        trails = {}
        for result, translator in zip(results, direction.translators, strict=False):
            rows = []
            if translator.config is not None:
                rows = RunFolder(translator.path).read_metrics()
            trails[result.name] = [
                {"iteration": row["iteration"], **{a: row[k] for a, k in axes.items()}}
                for row in rows
                if all(math.isfinite(row.get(key, math.nan)) for key in axes.values())
            ]
        found[name] = trails
    return {"planes": found} if found else {}


def _direction(direction):
    sources = direction.baselines.get("copy_input")
    return {
        "n": len(direction.split.source),
        "runs": {result.name: _one(result, direction) for result in direction.results},
        "baselines": {
            name: {"checkpoint": None, "metrics": result.metrics}
            for name, result in direction.baselines.items()
        },
        "sentences": compare.against_sources(direction.results, sources)
        if sources
        else [],
    }


def _settings(settings):
    """Without the place of the weights, which is a machine's own."""
    return {k: v for k, v in dataclasses.asdict(settings).items() if k != "vgg_weights"}


def _table(directions):
    """The text of per_image.csv; columns say which direction and which T, if there can be
    several."""
    rows = []
    for direction in directions:
        is_paired, many = direction.split.paired, len(direction.results) > 1
        native = dict.fromkeys(r.name for r in direction.results)
        for result in direction.native[0] if direction.native else ():
            native[result.name] = result
        for result in direction.results:
            for i, name in enumerate(direction.split.source.names):
                about = {} if is_paired else {"direction": direction.name}
                about |= {"run": result.name} if many or not is_paired else {}
                scores = {
                    metric: repr(float(values[i]))
                    for metric, values in result.scores.items()
                    if is_paired or "identity" not in ROWS[metric].compares
                }
                if native[result.name]:
                    scores |= {
                        f"native_{metric}": repr(float(values[i]))
                        for metric, values in native[result.name].scores.items()
                    }
                rows.append(about | {"name": name} | scores)
    table = io.StringIO()
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()
