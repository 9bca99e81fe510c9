"""Fine-tunes VGG*, the network that perceptual discriminators look through.

    python scripts/finetune_vgg.py --data_dir=data --run_dir=runs/vgg_star
    python scripts/train.py --flagfile=configs/celebahq_smile.cfg \
        --vgg_weights=runs/vgg_star/vgg19_star.weights.h5

On ImageNet as TensorFlow Datasets prepares it, or, with --dataset=folder, on images in
<data_dir>/train/<class>/. Run it again to resume. SIGTERM and Ctrl-C save and stop.
"""

import logging
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import flags

from pan_tf import command_line
from pan_tf import settings
from pan_tf.papers.finetuning.settings import Settings

settings.define_flags(Settings)
flags.adopt_module_key_flags(settings)
flags.DEFINE_string("run_dir", None, "Where to write.", required=True)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.papers.finetuning.finetuning import Finetuning
    from pan_tf.runs import training
    from pan_tf.runs.guards import NonFiniteError

    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    with training.StopRequest().listening() as stop:
        try:
            chosen = settings.from_flags(Settings)
            finetuning = Finetuning(chosen, flags.FLAGS.run_dir, stop)
        except training.REFUSALS as error:
            sys.exit(f"\n{error}")
        try:
            finetuning.run()
        except NonFiniteError as error:
            sys.exit(f"\nTraining diverged. {error}")
        if stop.requested:
            print("Stopped; the same command goes on from there.")
        else:
            print(f"Weights for --vgg_weights: {finetuning.weights_path}")


if __name__ == "__main__":
    command_line.run(main)
