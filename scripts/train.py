"""Trains a recipe on a data set; run it again to resume.

    python scripts/train.py --flagfile=configs/aerial2map.cfg
    python scripts/train.py --dataset=folder --data_dir=my_pairs --image_size=128

Later flags win over earlier ones, so put your own after a --flagfile. The run folder is
runs/<recipe>-<data set>-<image size> unless --run_dir says otherwise. SIGTERM and Ctrl-C
save and stop.
"""

import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line

command_line.define_flags()
flags.adopt_module_key_flags(command_line)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    try:
        config = command_line.config_from_flags()
    except ValueError as error:
        sys.exit(str(error))
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf import dry_run
    from pan_tf.runs import training
    from pan_tf.runs.guards import NonFiniteError

    # TensorFlow reports every checkpoint at INFO, on a logger of its own.
    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    if config.dry_run:
        try:
            dry_run.report(config)
        except ValueError as error:
            sys.exit(str(error))
        return
    with training.StopRequest().listening() as stop:
        try:
            run = training.Training(config, stop)
        except training.REFUSALS as error:
            sys.exit(f"\n{error}")
        try:
            run.run()
        except NonFiniteError as error:
            sys.exit(f"\nTraining diverged. {error}")


if __name__ == "__main__":
    command_line.run(main)
