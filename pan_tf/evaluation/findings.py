"""What the numbers say, as plain sentences and as paired differences."""

import dataclasses

from pan_tf.evaluation.measure import finite
from pan_tf.evaluation.statistics import mean_and_interval
from pan_tf.evaluation.statistics import verdict

FLOORS = {
    "copy_input": "copy input",
    "mean_color": "mean colour",
    "color_table": "colour table",
}


@dataclasses.dataclass(frozen=True)
class Result:
    """One T, measured on a split.

    Attributes:
        name: short, unique among the results of one report.
        checkpoint: `Translator.checkpoint`.
        scores: metric -> float64 `[n]`.
    """

    name: str
    checkpoint: dict
    scores: dict


def summary(scores):
    """metric -> `{"mean", "ci95"}`."""
    return {name: mean_and_interval(finite(name, v)) for name, v in scores.items()}


def differences(scores, others):
    """metric -> `{"mean", "ci95"}` of scores minus others, image by image."""
    return {
        name: mean_and_interval(finite(name, values) - finite(name, others[name]))
        for name, values in scores.items()
    }


def compare(first, second):
    """Two results side by side.

    Returns:
        `{"first", "second", "differences", "sentence"}`; differences are first minus
        second.
    """
    gaps = differences(first.scores, second.scores)
    wins = {1: [], -1: [], 0: []}
    for metric, gap in gaps.items():
        wins[verdict(gap)].append(metric)
    sentences = [
        f"{a.name} is better than {b.name} on {_listed(wins[sign], gaps)}."
        for sign, a, b in ((1, first, second), (-1, second, first))
        if wins[sign]
    ]
    if wins[0]:
        both = f"{first.name} and {second.name}"
        sentences.append(f"{both} cannot be told apart on {_and(wins[0])}.")
    return {
        "first": first.name,
        "second": second.name,
        "differences": gaps,
        "sentence": " ".join(sentences),
    }


def against_floors(result, floors):
    """A sentence on each floor: where the result beats it, surely, and where not."""
    sentences = []
    for name, scores in floors.items():
        gaps = differences(result.scores, scores)
        verdicts = {metric: verdict(gap) for metric, gap in gaps.items()}
        better = [metric for metric, sign in verdicts.items() if sign > 0]
        worse = [metric for metric, sign in verdicts.items() if sign < 0]
        open_ = [metric for metric, sign in verdicts.items() if sign == 0]
        title = f"The floor {FLOORS[name]}"
        if len(better) == len(verdicts):
            sentences.append(f"{title} is beaten on every metric.")
            continue
        parts = [f"is beaten on {_and(better)}"] if better else []
        parts += [f"is better on {_listed(worse, gaps)}"] if worse else []
        parts += [f"cannot be told apart on {_and(open_)}"] if open_ else []
        sentences.append(f"{title} {', '.join(parts)}.")
    return sentences


def _listed(metrics, gaps):
    """Metrics with the size of the difference and its interval."""
    described = []
    for metric in metrics:
        mean, ci95 = gaps[metric]["mean"], gaps[metric]["ci95"]
        low, high = sorted(abs(end) for end in ci95)
        unit = " dB" if metric.startswith("psnr") else ""
        described.append(f"{metric} (by {abs(mean):.3g}{unit}, {low:.3g} to {high:.3g})")
    return _and(described)


def _and(items):
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
