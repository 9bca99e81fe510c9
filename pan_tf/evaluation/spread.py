"""An evaluation by several processes or machines, each of which measures some pairs.

A worker makes the same `Evaluation` and measures ranges of its split as one process
measures all of it: in batches of the same images. The scores are put together in the
order of the split, so that the three files are those of one process.
"""

import contextlib
import functools
import io
import os

import numpy as np

from pan_tf import files
from pan_tf.evaluation.directions import Directions
from pan_tf.evaluation.measure import images_at_a_time

# Images of a part, at least: fewer are not worth their way.
_OF_A_PART = 32


def by(engine, made, evaluation):
    """What measures an evaluation by an engine, for `Evaluation.run`.

    Args:
        engine: `inference.bulk.Engine`.
        made: function that gives the evaluation, and takes `verified=` and
            `output_dir=`; workers get it pickled.
        evaluation: `Evaluation` that it gave.

    Raises:
        ValueError: if more is measured than pairs, one by one.
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
        UnusableFilesError: if a worker met files that cannot be used.
    """
    count = len(evaluation.split)
    # Ends of batches: in a batch of others an output may differ in its last bit.
    step = evaluation.batch_size or images_at_a_time(evaluation.geometry.image_size)
    step *= -(-_OF_A_PART // step)
    parts = [(begin, min(begin + step, count)) for begin in range(0, count, step)]
    print(f"{count} pairs in {len(parts)} parts, by {engine} ...", flush=True)
    known = functools.partial(
        made,
        verified=evaluation.data.describe(),
        output_dir=evaluation.output_dir / ".part",  # Nobody writes there.
    )
    fitted = Directions(evaluation).fitted
    work = functools.partial(_part, known, os.getcwd(), fitted)
    evaluation.output_dir.mkdir(parents=True, exist_ok=True)
    found = engine.each(parts, work, evaluation.output_dir)
    for part in found:
        if isinstance(part, str):
            raise files.UnusableFilesError(part)
    return _joined(found)


def _part(made, folder, fitted):
    """A function of (begin, end) that gives scores, or what is wrong with the files."""
    if os.path.isdir(folder):  # What is given relative to it is found.
        os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()):
        directions = Directions(made(), fitted)

    def measure(places):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                return _listed(directions.scores(range(*places)))
        except Exception as error:
            if said := files.unusable(error):
                return said
            raise

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
