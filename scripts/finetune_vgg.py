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

flags.DEFINE_enum("dataset", "imagenet2012", ["imagenet2012", "folder"], "Images.")
flags.DEFINE_string("data_dir", "data", "Where they are.")
flags.DEFINE_string("run_dir", None, "Where to write.", required=True)
flags.DEFINE_enum("vgg", "vgg19", ["vgg16", "vgg19"], "Which VGG.")
flags.DEFINE_string(
    "vgg_weights",
    None,
    "File of convolutions to begin with; empty: those of keras.applications, downloaded.",
)
flags.DEFINE_enum(
    "head",
    None,
    ["pooled", "vgg"],
    "VGG's own three dense layers, or one on the mean of each channel; empty: the first "
    "for imagenet2012, the second for other classes.",
)
flags.DEFINE_boolean("star", True, "Mean pools and leaky ReLUs, as VGG* has them.")
flags.DEFINE_integer("image_size", 224, "Pixels a side, a multiple of 32.")
flags.DEFINE_integer("batch_size", 64, "Images in a minibatch, over all replicas.")
flags.DEFINE_integer("iterations", 100_000, "Minibatches.")
flags.DEFINE_float("learning_rate", 1e-3, "At first; it falls to 0 by a cosine.")
flags.DEFINE_float("momentum", 0.9, "Share of the last step.")
flags.DEFINE_float("weight_decay", 5e-4, "Times the rate.")
flags.DEFINE_integer("seed", 1, "Of order, crops, dropout and new layers.")
flags.DEFINE_enum(
    "dtype_policy",
    "float32",
    ["float32", "mixed_bfloat16", "mixed_float16"],
    "Keras dtype policy.",
)
flags.DEFINE_integer("save_every", 1000, "Iterations between checkpoints.")
flags.DEFINE_integer("validation_images", 10_000, "At most so many.")

_NAMES = (
    "dataset",
    "data_dir",
    "vgg",
    "vgg_weights",
    "head",
    "star",
    "image_size",
    "batch_size",
    "iterations",
    "learning_rate",
    "momentum",
    "weight_decay",
    "seed",
    "dtype_policy",
    "save_every",
    "validation_images",
)


def main(argv):
    if len(argv) > 1:
        sys.exit(f"Unexpected arguments: {' '.join(argv[1:])}. Settings begin with --.")
    values = {name: flags.FLAGS[name].value for name in (*_NAMES, "run_dir")}
    # Now, not above: TensorFlow takes seconds to import, --help must not.
    from pan_tf.papers.finetuning import Finetuning
    from pan_tf.papers.finetuning import Settings
    from pan_tf.runs import training

    logging.getLogger("tensorflow").setLevel(logging.WARNING)
    with training.StopRequest().listening() as stop:
        try:
            settings = Settings(**{name: values[name] for name in _NAMES})
            finetuning = Finetuning(settings, values["run_dir"], stop)
        except training.REFUSALS as error:
            sys.exit(f"\n{error}")
        try:
            finetuning.run()
        except FloatingPointError as error:
            sys.exit(f"\n{error}")
        if stop.requested:
            print("Stopped; the same command goes on from there.")
        else:
            print(f"Weights for --vgg_weights: {finetuning.weights_path}")


if __name__ == "__main__":
    command_line.run(main)
