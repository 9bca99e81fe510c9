"""Trains the systems of a table of a paper, beside the paper's numbers.

    pan-tf reproduce --table=pan5 --data_dir=data
    pan-tf reproduce --table=pan5 --tasks=aerial2map --budget=4000,64,2 --width=0.5 \\
        --dataset=folder --data_dir=my_pairs --systems=l1,pix2pix,pan

The default budget is each paper's, days on a GPU. Run it again to go on where it was
interrupted. Ctrl-C, SIGTERM and SIGHUP save and stop.
"""

import dataclasses
import logging
import sys

from pan_tf import tables
from pan_tf.cli import shared
from pan_tf.config import DATASET_NAMES
from pan_tf.config import DIRECTIONS
from pan_tf.config import METRIC_WEIGHTS
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import setting

TABLES = tables.keys("papers/reproduction/tables.py", "TABLES")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    table: str | None = setting(None, "Table or figure.", choices=TABLES, required=True)
    budget: str = setting(
        ",,1",
        "iterations,image_size,seeds of each system: minibatches of PAN's four images (a "
        "system of another batch size sees as many images), pixels, number of trainings; "
        "the first two empty: the paper's.",
    )
    tasks: tuple[str, ...] = setting((), "Tasks of the table, by flagfile; empty: all.")
    systems: tuple[str, ...] = setting(
        (),
        "Systems of the table, or recipes that can do its tasks; empty: the table's.",
    )
    batch_size: int | None = setting(
        None,
        "Images in a minibatch, of every system; 0: each its own; empty: the paper's, 4 "
        "of PAN's tables, each its own of the others.",
        minimum=0,
    )
    width: float | None = setting(
        None, "Factor of all networks' channels; empty: as published."
    )
    dataset: str | None = setting(
        None, "In place of each task's own; empty: those.", choices=DATASET_NAMES
    )
    direction: str | None = setting(None, "Empty: the task's.", choices=DIRECTIONS)
    synthesize: str | None = shared.SYNTHESIZE
    data_dir: str = setting("data", "Where data sets are kept.", parse=place)
    download: bool = shared.DOWNLOAD
    vgg_weights: str | None = setting(None, "As of train.", parse=place)
    vgg_star_weights: str | None = setting(
        None,
        "Weights of VGG*, as finetune_vgg makes them, for the systems that look through "
        "it; empty: --vgg_weights.",
        parse=place,
    )
    metrics: tuple[str, ...] = setting(
        (), "Measured beside the table's own.", choices=shared.ALL_METRIC_NAMES
    )
    metric_weights: str | None = METRIC_WEIGHTS
    dtype_policy: str = setting("float32", "As of train; the papers' is float32.")
    limit: int | None = setting(
        None, "Without pairs: as in evaluate; empty: 2000.", minimum=8
    )
    epochs: int | None = setting(
        None, "Without pairs: as in evaluate; empty: 30.", minimum=1
    )
    dfi_iterations: int | None = setting(
        None, "--systems=dfi: as in evaluate --dfi; empty: 500.", minimum=1
    )
    output_dir: str | None = setting(
        None, "Where to write; empty: runs/<table>-<budget>.", parse=place
    )


# What `Reproduction` takes in another form.
_OTHERWISE = {"table", "budget", "output_dir", "limit", "epochs"}


def default_output_dir(options):
    """Where results go that are told no folder: by the table and the budget."""
    numbers = [number.strip() for number in options.budget.split(",")]
    if any(numbers[:2]):  # Else 64,,2 and ,64,2 would have one folder.
        numbers = [number or "paper" for number in numbers]
    return "-".join([f"runs/{options.table}", *filter(None, numbers)])


def main(options):
    from pan_tf.papers.reproduction import Budget
    from pan_tf.papers.reproduction import Reproduction
    from pan_tf.runs import training

    # TensorFlow warns of many functions traced; each system has one of its own.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    judged = {name: getattr(options, name) for name in ("limit", "epochs")}
    try:
        reproduction = Reproduction(
            options.table,
            Budget.parse(options.budget),
            options.output_dir or default_output_dir(options),
            classifiers={k: v for k, v in judged.items() if v is not None},
            **{n: getattr(options, n) for n in options.names() if n not in _OTHERWISE},
        )
    except training.REFUSALS as error:
        sys.exit(f"\n{error}")
    with training.StopRequest().listening() as stop:
        record = reproduction.run(stop)
    if record is None:
        print("Stopped; the same command goes on from there.")
        return None
    print(f"\n{(reproduction.output_dir / 'results.md').read_text(encoding='utf-8')}")
    print(f"Page: {reproduction.output_dir / 'index.html'}")
    if any(
        row["failures"]
        for task in record["tasks"].values()
        for row in task["systems"].values()
    ):
        sys.exit("Not every training came to its end.")
