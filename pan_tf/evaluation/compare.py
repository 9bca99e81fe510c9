"""What the numbers say, as plain sentences and as paired differences."""

import dataclasses
import functools

import numpy as np

from pan_tf.evaluation.baselines import TITLES
from pan_tf.evaluation.measure import summary
from pan_tf.metrics import ROWS
from pan_tf.metrics.intervals import mean_and_interval
from pan_tf.metrics.intervals import verdict

# A mean is that of one image which makes more than this share of it, of so many images.
_DOMINATED, _DOMINATED_OF = 0.5, 8
# Images from which on there are verdicts: one in ten is wrong there, at twenty images one
# in fourteen. At five images one in six would be wrong, at two every other one.
FEWEST = 10


@dataclasses.dataclass(frozen=True)
class Result:
    """One T, measured on a split.

    Attributes:
        name: short, unique among the results of one report.
        checkpoint: `Translator.checkpoint`; None of a baseline.
        scores: metric -> float64 `[n]`, of those that there are for each image.
        of_sets: metric -> `{"mean", "ci95"}`, of those that are of whole sets.
    """

    name: str
    checkpoint: dict | None
    scores: dict
    of_sets: dict = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def metrics(self):
        """metric -> `{"mean", "ci95"}`, in the table's order."""
        found = summary(self.scores) | self.of_sets
        return {name: found[name] for name in ROWS if name in found}


def dominated(result, names):
    """A sentence for each metric whose mean is that of one image.

    VIF, for one, divides by what a target holds, which in a blank one is next to nothing.

    Args:
        result: `Result`.
        names: of its images.
    """
    sentences = []
    for metric, values in result.scores.items():
        values = ROWS[metric].finite(values)
        if len(values) < _DOMINATED_OF:
            continue
        place = int(np.argmax(np.abs(values)))
        share = abs(values[place]) / max(np.abs(values).sum(), np.finfo(float).tiny)
        if share > _DOMINATED:
            sentences.append(
                f"{result.name}, {metric}: the mean of {len(values)} images, "
                f"{values.mean():.3g}, is above all that of one, {names[place]}; without "
                f"it the mean is {np.delete(values, place).mean():.3g}. The median is "
                f"{np.median(values):.3g}."
            )
    return sentences


def differences(scores, others):
    """metric -> `{"mean", "ci95"}` of scores minus others, image by image."""
    return {
        name: mean_and_interval(
            ROWS[name].finite(values) - ROWS[name].finite(others[name])
        )
        for name, values in scores.items()
        if name in others
    }


def compare(first, second):
    """Two results side by side.

    Returns:
        `{"first", "second", "differences", "sentence"}`; differences are first minus
        second.
    """
    gaps = differences(first.scores, second.scores)
    names = {"first": first.name, "second": second.name}
    if unsure := _too_few(first.scores, f"{first.name} or {second.name} is better"):
        return {**names, "differences": gaps, "sentence": unsure}
    wins = {1: [], -1: [], 0: []}
    for metric, gap in gaps.items():
        wins[_merit(metric, gap)].append(metric)
    sentences = [
        f"{a.name} is better than {b.name} on {_listed(wins[sign], gaps)}."
        for sign, a, b in ((1, first, second), (-1, second, first))
        if wins[sign]
    ]
    if wins[0]:
        both = f"{first.name} and {second.name}"
        sentences.append(f"{both} cannot be told apart on {_and(wins[0])}.")
    return {**names, "differences": gaps, "sentence": " ".join(sentences)}


def against_baselines(result, baselines):
    """A sentence on each baseline: where the result beats it, surely, and where not.

    Args:
        result: `Result`.
        baselines: baseline -> metric -> float64 `[n]`.
    """
    if baselines and (unsure := _too_few(result.scores, "a baseline is beaten")):
        return [unsure]
    sentences = []
    for name, scores in baselines.items():
        gaps = differences(result.scores, scores)
        verdicts = {metric: _merit(metric, gap) for metric, gap in gaps.items()}
        better = [metric for metric, sign in verdicts.items() if sign > 0]
        worse = [metric for metric, sign in verdicts.items() if sign < 0]
        open_ = [metric for metric, sign in verdicts.items() if sign == 0]
        title = f"The baseline, {TITLES[name]},"
        if len(better) == len(verdicts):
            of = " of single images" if result.of_sets else ""
            sentences.append(f"{title} is beaten on every metric{of}.")
            continue
        parts = [f"is beaten on {_and(better)}"] if better else []
        parts += [f"is better on {_listed(worse, gaps)}"] if worse else []
        parts += [f"cannot be told apart on {_and(open_)}"] if open_ else []
        sentences.append(f"{title} {', '.join(parts)}.")
    return sentences


def against_sources(results, sources):
    """What metrics of whole sets say of outputs against their own sources, in words.

    Args:
        results: `Result`s.
        sources: `Result` of the sources themselves.
    """
    said = []
    for result in results:
        for metric in (name for name in ROWS if name in result.metrics):
            one, other = (r.metrics.get(metric) for r in (result, sources))
            if not (other and one["ci95"] and other["ci95"]):
                continue
            if not ROWS[metric].of_sets:
                continue
            sentence, better, worse, neither = ROWS[metric].beside_sources
            word = {1: better, -1: worse, 0: neither}[_apart(metric, one, other)]
            said.append(sentence.format(result.name, word, ROWS[metric].title))
    return said


def _too_few(scores, what):
    """A sentence in place of verdicts, where so few images bear none; else None."""
    count = min((len(values) for values in scores.values()), default=FEWEST)
    if count >= FEWEST:
        return None
    images = "One image does not" if count == 1 else f"{count} images do not"
    return f"{images} say whether {what}: at least {FEWEST} are needed."


def _merit(metric, gap):
    """+1 or -1 if a difference is surely for the better or for the worse, else 0."""
    return ROWS[metric].merit(verdict(gap))


def _apart(metric, one, other):
    """+1 or -1 if one mean is surely better or worse than another, else 0.

    Surely: their intervals leave each other out.
    """
    (low, high), (other_low, other_high) = one["ci95"], other["ci95"]
    return ROWS[metric].merit(int(low > other_high) - int(high < other_low))


def _listed(metrics, gaps):
    """Metrics with the size of the difference and its interval."""
    described = []
    for metric in metrics:
        mean, ci95 = gaps[metric]["mean"], gaps[metric]["ci95"]
        low, high = sorted(abs(end) for end in ci95)
        unit = f" {ROWS[metric].unit}" if ROWS[metric].unit else ""
        described.append(f"{metric} (by {abs(mean):.3g}{unit}, {low:.3g} to {high:.3g})")
    return _and(described)


def _and(items):
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last
