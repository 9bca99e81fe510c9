"""What judges outputs as whole sets, and how many images that takes."""

from absl import logging

from pan_tf import images
from pan_tf.data.split import evenly
from pan_tf.evaluation.compare import Result
from pan_tf.metrics import ROWS
from pan_tf.metrics import checked_set
from pan_tf.metrics.distribution.sets import Sets
from pan_tf.metrics.distribution.sets import domain_classifier
from pan_tf.metrics.distribution.two_sample import LEAST
from pan_tf.metrics.intervals import summarized


class Judges:
    """What judges the outputs of one direction as sets.

    Args:
        evaluation: `Evaluation`, which says by which metrics, and is given notes.
        direction: "AtoB" or "BtoA", for those notes.
        split: `Split` whose images are measured.
        train: `Split` on which the classifier of the domains is trained.
    """

    def __init__(self, evaluation, direction, split, train):
        self._names, self._weights = evaluation.of_sets, evaluation.weights
        self._seen = {}  # Features of the real images, by network.
        self._tests = {"seeds": evaluation.seeds, "epochs": evaluation.epochs}
        self._evaluation, self._train = evaluation, train
        self._real = evaluation.pixels(split.target)
        self._domains = None
        if not any("source" in ROWS[name].compares for name in self._names):
            return
        channels = self._real.shape[-1]
        sources, targets = (
            images.with_channels(evaluation.pixels(side), channels)
            for side in (train.source, train.target)
        )
        self._domains = domain_classifier(sources, targets, evaluation.epochs)
        if not self._domains.has_learnt:
            note = (
                f"{direction}: the classifier of the two domains has learnt nothing; its "
                "log-loss, .693 for all, says nothing of any system."
            )
            evaluation.notes.append(note)
            logging.warning("*** %s ***", note)

    def judge(self, outputs, judged=None):
        """metric -> `[N]`, or `{"mean", "ci95"}`."""
        sets = Sets(
            self._real,
            outputs,
            self._domains,
            judged=judged,
            weights=self._weights,
            seen=self._seen,
            **self._tests,
        )
        count = len(outputs if judged is None else judged)
        return {
            name: checked_set(name, ROWS[name].of_sets(sets), count)
            for name in self._names
        }

    def real_result(self):
        """`Result` of other real targets; the classifier of both domains, which was
        trained on those, is asked of the held-out ones."""
        # As many as there are held-out ones: what the best T could have.
        places = evenly(len(self._train.target), len(self._real))
        others = self._evaluation.pixels(self._train.target.subset(places))
        found = self.judge(others, judged=self._real)
        of_sets = {name: summarized(value) for name, value in found.items()}
        return Result("real", None, {}, of_sets)


def check_counts(splits, limit, least=LEAST):
    """Raises ValueError where lists are too short for what is made of them."""
    for each in splits:
        shortest = min(len(each.source), len(each.target))
        if min(shortest, limit) < least:
            # Pairs have no limit to set; it stays out of it.
            few = f", limit={limit}" if limit < shortest else ""
            raise ValueError(
                f"To measure sets of images takes {least} or more in every list. "
                f"Received: {len(each.source)} sources, {len(each.target)} targets "
                f"({each.name}){few}."
            )
