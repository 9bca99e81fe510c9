"""Trains a system on a data set; run it again to resume.

    pan-tf train --task=aerial2map
    pan-tf train --dataset=folder --data_dir=my_pairs --image_size=128
    pan-tf train --dataset=folder --data_dir=my_pairs --dry_run

A task is a flagfile that comes with pan_tf: data, direction, and what is asked of T.
Later flags win over earlier ones, so put your own after it. The run folder is
runs/<recipe>-<data set>-<image size> unless --run_dir says otherwise. Ctrl-C, SIGTERM and
SIGHUP save and stop.
"""

import contextlib
import os
import sys

from pan_tf.config import Config as Options

__all__ = ["Options", "main"]


def main(config):
    from pan_tf import data
    from pan_tf import distribution
    from pan_tf import dry_run
    from pan_tf.metrics import MetricError
    from pan_tf.runs import training
    from pan_tf.runs.guards import NonFiniteError

    with training.StopRequest().listening() as stop:
        try:
            run = training.Training(config, stop)
        except training.REFUSALS as error:
            if config.dry_run:
                with contextlib.suppress(ValueError):  # It may be what is wrong.
                    dry_run.describe(config)
            sys.exit(f"\n{error}")
        if config.dry_run:
            dry_run.report(run)
            return
        try:
            is_done = run.run()
        except NonFiniteError as error:
            sys.exit(f"\nTraining diverged. {error}")
        except (training.RunFolderError, data.UnusableFilesError) as error:
            sys.exit(f"\n{error}")
        except MetricError as error:
            kept = " What was trained is saved." if run.folder.has_checkpoint() else ""
            sys.exit(f"\n{error}{kept}")
        if not is_done and distribution.num_workers(run.strategy) > 1:
            # A cluster's job that ends with 0 is done, and is not made again.
            sys.exit(os.EX_TEMPFAIL)
