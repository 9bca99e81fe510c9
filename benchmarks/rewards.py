"""What each metric rewards: Blue Marble's test targets, spoilt in ways one can judge.

    python benchmarks/rewards.py
    python benchmarks/rewards.py --data_dir=my_pairs
    python benchmarks/rewards.py --dataset=etopo1 --metrics=vgg_distance,kid_vgg \
        --run_dir=runs/quickstart --picture=docs/rewards.png

Means over the 35 tiles of `bluemarble` or `etopo1`, or the folder's held-out pairs, at
256 px. Blank, blurred and
recoloured images, the right image shifted, the right colours with another tile's relief,
another tile altogether; with --run_dir also what a trained T makes.
"""

import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from absl import app
from absl import flags
from PIL import Image
from PIL import ImageFilter

from pan_tf import data
from pan_tf import evaluation
from pan_tf import images
from pan_tf import inference
from pan_tf.config import Config
from pan_tf.evaluation.baselines import fit
from pan_tf.evaluation.baselines import translations
from pan_tf.metrics import METRICS
from pan_tf.metrics import SET_METRICS
from pan_tf.metrics import locate_weights
from pan_tf.metrics.distribution.sets import Sets

flags.DEFINE_string("data_dir", None, "Folder of pairs; empty: --dataset.")
flags.DEFINE_string("dataset", "bluemarble", "Embedded data set.")
flags.DEFINE_list("metrics", [], "Measured beside the usual ones.")
flags.DEFINE_string("vgg_weights", None, "As of evaluate.")
flags.DEFINE_string("metric_weights", None, "As of evaluate.")
flags.DEFINE_string("run_dir", None, "A run on the same data, to measure too.")
flags.DEFINE_string("picture", None, "Where to save a picture of one tile.")
_TILE = "n20.8_w103.2"
_USUAL = [name for name, metric in METRICS.items() if metric.is_usual]


def spoilt(target):
    """name -> uint8 `[N, H, W, 3]`, made from the targets."""
    other = np.roll(target, 1, axis=0)
    soft, soft_other = blurred(target, 12), blurred(other, 12)
    noise = np.random.default_rng(0).normal(0, 10, target.shape)
    return {
        "target blurred, sigma 4": blurred(target, 4),
        "target blurred, sigma 12": soft,
        "target 2 px to the right": np.roll(target, 2, axis=2),
        "target 6 px to the right": np.roll(target, 6, axis=2),
        "target + noise of 10 levels": clipped(target + noise),
        "target 30 levels darker": clipped(target.astype(float) - 30),
        "right colours, wrong relief": clipped(soft.astype(float) + other - soft_other),
        "another tile's target": other,
    }


def blurred(pixels, sigma):
    kernel = ImageFilter.GaussianBlur(sigma)
    return np.stack([Image.fromarray(image).filter(kernel) for image in pixels])


def clipped(pixels):
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def paired(source, target, names):
    source, target = tf.constant(source), tf.constant(target)
    return data.Split.of_pairs("test", names, lambda i: (source[i], target[i]))


def main(argv):
    where = {"dataset": flags.FLAGS.dataset}
    if flags.FLAGS.data_dir:
        where = {"dataset": "folder", "data_dir": flags.FLAGS.data_dir}
    opened = data.open_data(Config(image_size=256, **where))
    pairs = opened.held_out
    (batch,) = data.evaluation_dataset(pairs, geometry=256, batch_size=len(pairs))
    target = images.to_uint8(batch["target"]).numpy()
    made = {
        f"baseline: {name}": translate(batch["source"]).numpy()
        for name, translate in translations(pairs, 256, fit(opened.train, 256)).items()
    }
    if flags.FLAGS.run_dir:
        translator = inference.Translator(flags.FLAGS.run_dir)
        made["trained T"] = translator.translate(batch["source"]).numpy()
    made |= spoilt(target)
    asked = flags.FLAGS.metrics
    weights = locate_weights(asked, flags.FLAGS.vgg_weights, flags.FLAGS.metric_weights)
    names = _USUAL + asked
    print(f"{'':28}" + "".join(f"{name:>13}" for name in names))
    scores, seen = {}, {}
    for name, pixels in made.items():
        scores[name] = evaluation.measure(
            images.to_uint8,
            paired(pixels, target, pairs.source.names),
            256,
            also=asked,
            weights=weights,
        )
        means = evaluation.means(scores[name])
        sets = Sets(target, pixels, weights=weights, seen=seen)
        for metric in set(asked) & set(SET_METRICS):
            means[metric] = SET_METRICS[metric].of_sets(sets)["mean"]
        print(f"{name:28}" + "".join(f"{means[m]:13.3f}" for m in names))
    if flags.FLAGS.picture:
        place = pairs.source.names.index(_TILE)
        shown = [name for name in ("baseline: mean_color", "trained T") if name in made]
        columns = [images.to_uint8(batch["source"]).numpy(), target]
        columns += [made[name] for name in shown]
        picture = images.grid(*(column[place : place + 1] for column in columns))
        Image.fromarray(picture).save(flags.FLAGS.picture, optimize=True)
        for name in shown:
            print(f"{_TILE} {name}: ", end="")
            print({m: round(float(v[place]), 3) for m, v in scores[name].items()})


if __name__ == "__main__":
    app.run(main)
