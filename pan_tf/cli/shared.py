"""Flags that several commands have."""

from pan_tf import tables
from pan_tf.config import DATASET_NAMES
from pan_tf.config import DIRECTIONS
from pan_tf.config import METRIC_NAMES
from pan_tf.config import SYNTHESIS_NAMES
from pan_tf.config import VGG_NAMES
from pan_tf.paths import place
from pan_tf.settings import setting
from pan_tf.size import Size

SET_METRIC_NAMES = tables.keys("metrics/table.py", "SET_METRICS")
ALL_METRIC_NAMES = (*METRIC_NAMES, *SET_METRIC_NAMES)

CHECKPOINT = setting(None, "Which one of a run; empty: best.", choices=("best", "last"))
DOWNLOAD = setting(True, "Whether what is not there may be downloaded.")
# What is measured, where it is not as a run had it.
DATASET = setting(None, "Data set; empty: the run's.", choices=DATASET_NAMES)
DATA_DIR = setting(None, "Where data sets are kept; empty: as the run had.", parse=place)
SPLIT = setting(None, "Split; empty: test, or val where there is no test.")
IMAGE_SIZE = setting(
    None, "Pixels a side, or height x width; empty: the run's.", parse=Size.of
)
DIRECTION = setting(None, "Empty: the run's.", choices=DIRECTIONS)
ATTRIBUTE = setting(None, "Attribute of faces; empty: the run's.")
SYNTHESIZE = setting(
    None,
    "Make sources of targets; empty: as the run, or the task, does.",
    choices=SYNTHESIS_NAMES,
)
DFI_VGG = setting(
    None,
    "The VGG that --dfi looks through; empty: vgg19.",
    choices=VGG_NAMES,
)
# Where it is done.
RUNNER = setting(
    None,
    "What Beam runs on: direct, processes of this machine; or one of its own, as "
    "FlinkRunner. Empty: this process, without Beam.",
)
WORKERS = setting(None, "Processes of --runner=direct; empty: one a core.", minimum=1)
BEAM_OPTIONS = setting("", "Beam's own options, as on its command line.")


def check_runner(options):
    """Refuses what is said of a runner where there is none."""
    if options.runner is None and (options.workers is not None or options.beam_options):
        raise ValueError("--workers and --beam_options go with --runner.")


def given(options, names):
    """name -> value, of those flags that were given one."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}
