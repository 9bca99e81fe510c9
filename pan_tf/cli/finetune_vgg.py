"""Fine-tunes VGG*, which perceptual discriminators look through.

    pan-tf finetune_vgg --data_dir=data --run_dir=runs/vgg_star
    pan-tf train --task=celebahq_smile --vgg_weights=runs/vgg_star/vgg19_star.weights.h5

On ImageNet as TensorFlow Datasets prepares it, or, with --dataset=folder, on images in
<data_dir>/train/<class>/. Run it again to resume. Ctrl-C, SIGTERM and SIGHUP save and
stop.
"""

import dataclasses
import sys

from pan_tf.papers.finetuning.settings import Settings
from pan_tf.paths import place
from pan_tf.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    run_dir: str | None = setting(None, "Where to write.", required=True, parse=place)


def main(options):
    from pan_tf.papers.finetuning.finetuning import Finetuning
    from pan_tf.runs import training
    from pan_tf.runs.guards import NonFiniteError

    settings = Settings(**{name: getattr(options, name) for name in Settings.names()})
    with training.StopRequest().listening() as stop:
        try:
            finetuning = Finetuning(settings, options.run_dir, stop)
        except training.REFUSALS as error:
            sys.exit(f"\n{error}")
        try:
            finetuning.run()
        except NonFiniteError as error:
            sys.exit(f"\nTraining diverged. {error}")
        except training.RunFolderError as error:
            sys.exit(f"\n{error}")
        if stop.requested:
            print("Stopped; the same command goes on from there.")
        else:
            print(f"Weights for --vgg_weights: {finetuning.weights_path}")
