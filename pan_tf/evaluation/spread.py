"""An evaluation by several processes or machines, each of which measures some pairs.

A worker makes the same `Evaluation` and measures ranges of its split as one process
measures all of it: in batches of the same images, by the same functions. The scores are
put together in the order of the split, so that on machines of one kind the three files
are those of one process.
"""

import functools
import os

import numpy as np

from pan_tf import files
from pan_tf.evaluation.directions import Directions
from pan_tf.evaluation.measure import images_at_a_time
from pan_tf.inference.work import tried

# Images of a part, at least: fewer are not worth their way.
_OF_A_PART = 32


def measurer(engine, made, evaluation):
    """A function that measures an evaluation by an engine, for `Evaluation.run`.

    Args:
        engine: `inference.bulk.Engine`.
        made: function that gives the evaluation, and takes `verified=` and
            `output_dir=`; workers get it pickled.
        evaluation: `Evaluation` that it gave.

    Raises:
        ValueError: if images are judged together.
    """
    if not evaluation.split.paired or evaluation.of_sets:
        judged = evaluation.of_sets or ["sets without pairs"]
        raise ValueError(
            "--runner spreads what is measured pair by pair; images are judged together "
            f"in {', '.join(judged)}. Leave out --runner."
        )
    return functools.partial(_measured, engine, made)


def _measured(engine, made, evaluation):
    """As `Directions.scores`.

    Raises:
        TroubleError: if a worker could not do its part; the message is what it said.
    """
    count = len(evaluation.split)
    # Ends of batches: in a batch of others an output may differ in its last bit.
    step = evaluation.batch_size or images_at_a_time(evaluation.geometry.image_size)
    step *= -(-_OF_A_PART // step)
    parts = [(begin, min(begin + step, count)) for begin in range(0, count, step)]
    print(f"{count} pairs in {len(parts)} parts, by {engine} ...", flush=True)
    made_there = functools.partial(
        made,
        verified=evaluation.data.describe(),
        output_dir=evaluation.output_dir / ".part",  # Nobody writes there.
    )
    work = functools.partial(
        _part,
        made_there,
        os.getcwd(),
        _digests(evaluation),
        Directions(evaluation).fitted,
    )
    evaluation.output_dir.mkdir(parents=True, exist_ok=True)
    found = engine.each(parts, work, evaluation.output_dir)
    for part in found:
        if part is None:
            raise files.TroubleError(
                f"Not evaluated: a part's numbers are lost. Has the disk of "
                f"{evaluation.output_dir} room?"
            )
        if isinstance(part, str):
            raise files.TroubleError(f"Not evaluated: {part}")
    return _joined(found)


def _digests(evaluation):
    """What the Ts are; a training that goes on may put others in their place."""
    return [translator.digest() for translator in evaluation.translators]


def _part(made, folder, digests, fitted):
    """A function of (begin, end) that gives scores, or what stands in their way."""

    def directions():
        if os.path.isdir(folder):  # What is given relative to it is found.
            os.chdir(folder)
        evaluation = made()
        if _digests(evaluation) != digests:
            raise ValueError(
                "a run got another checkpoint meanwhile. Has its training ended?"
            )
        return Directions(evaluation, fitted, is_quiet=True)

    measuring, failure = tried(directions)
    if failure:
        return lambda places: failure

    def measure(places):
        scores, failure = tried(lambda: _listed(measuring.scores(range(*places))))
        return failure or scores

    return measure


def _listed(scores):
    if isinstance(scores, dict):
        return {name: _listed(value) for name, value in scores.items()}
    return scores.tolist()


def _joined(found):
    """Scores of all parts, one after the other."""
    first = found[0]
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in found]) for name in first}
    return np.concatenate([np.asarray(part, np.float64) for part in found])
