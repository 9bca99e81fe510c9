"""A fine-tuning of VGG*: VGG with mean pools and leaky ReLUs, trained on as a classifier.

The Perceptual Discriminators paper: VGG-19, its pools and ReLUs exchanged, is "fine-tuned
on ILSVRC for two more days". It says nothing of the optimizer, and the weights are not
published. Ours: momentum, a rate that falls to zero by a cosine, VGG's own dropout, and a
weight decay that is a share of the weights, not, as VGG's, a term of the loss.

    <run_dir>/
      vgg19_star.weights.h5    for --vgg_weights; renewed at every save
      run.json                 settings, data, what it began with
      metrics.jsonl            loss and accuracy since the last line, and of validation
      checkpoints/             to go on from
"""

import dataclasses
import json
import math
import pathlib

import keras
import tensorflow as tf
from absl import logging

import pan_tf
from pan_tf import distribution
from pan_tf import files
from pan_tf import networks
from pan_tf import runtime
from pan_tf.papers.finetuning import labeled
from pan_tf.runs.checkpoints import damage
from pan_tf.runs.folder import RunFolderError

_KEEP = 2
# Settings that change no result.
_PLACES = ("data_dir", "vgg_weights", "save_every", "validation_images")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is trained, on what.

    Attributes:
        dataset: "imagenet2012", prepared by TFDS, or "folder".
        data_dir: where it is.
        vgg: "vgg19", as published, or "vgg16".
        vgg_weights: file of its convolutions to begin with; None: those of
            `keras.applications`, and of imagenet2012 its dense layers too.
        head: "vgg" or "pooled", see `networks.vgg_classifier`; None: vgg for
            imagenet2012, pooled for other classes.
        star: whether it is VGG*.
        image_size: pixels a side, a multiple of 32.
        batch_size: images in a minibatch, over all replicas.
        iterations: minibatches.
        learning_rate: of the first of them.
        momentum: share of the last step.
        weight_decay: share of a weight that a step takes away, times the rate.
        seed: of the order, crops, dropout, and the head.
        dtype_policy: Keras' name of it.
        save_every: iterations between checkpoints.
        validation_images: at most so many.

    Raises:
        ValueError: if a setting is not legal.
    """

    dataset: str = "imagenet2012"
    data_dir: str = "data"
    vgg: str = "vgg19"
    vgg_weights: str | None = None
    head: str | None = None
    star: bool = True
    image_size: int = 224
    batch_size: int = 64
    iterations: int = 100_000
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    seed: int = 1
    dtype_policy: str = "float32"
    save_every: int = 1000
    validation_images: int = 10_000

    def __post_init__(self):
        if self.image_size < 32 or self.image_size % 32:
            raise ValueError(
                "--image_size must be a multiple of 32: VGG halves images five times. "
                f"Received: image_size={self.image_size}."
            )
        for name in ("batch_size", "iterations", "save_every", "validation_images"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(
                    f"--{name} must be at least 1. Received: {name}={value}."
                )
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(
                "--momentum must be at least 0 and below 1. "
                f"Received: momentum={self.momentum}."
            )
        for name in ("learning_rate", "weight_decay"):
            value = getattr(self, name)
            if value < 0.0:
                raise ValueError(
                    f"--{name} must be at least 0. Received: {name}={value}."
                )
        if self.head is None:
            head = "vgg" if self.dataset == "imagenet2012" else "pooled"
            object.__setattr__(self, "head", head)
        if self.begins_whole and self.image_size != 224:
            raise ValueError(
                "--image_size must be 224, or --vgg_weights or --head=pooled be given: "
                "VGG's own dense layers know that size only. "
                f"Received: image_size={self.image_size}."
            )

    @property
    def begins_whole(self):
        """Whether it begins with ImageNet's dense layers too."""
        is_own = self.dataset == "imagenet2012" and self.head == "vgg"
        return is_own and self.vgg_weights is None


class Finetuning:
    """One fine-tuning. Making it checks everything that a user can have got wrong.

    Args:
        settings: `Settings`.
        run_dir: where everything is written; the same command goes on there.
        stop: `training.StopRequest`, or anything with `requested`.

    Raises:
        DatasetNotFoundError, WeightsNotFoundError: if something is missing.
        RunFolderError: if the folder is of other settings or data.
        ValueError: if a setting is not legal, or files are unusable.
    """

    def __init__(self, settings, run_dir, stop):
        self.settings, self.stop = settings, stop
        self.run_dir = pathlib.Path(run_dir)
        self.strategy = distribution.make_strategy()
        if distribution.num_workers(self.strategy) > 1:
            raise ValueError(
                "VGG is fine-tuned on the devices of one machine: no TF_CONFIG."
            )
        replicas = self.strategy.num_replicas_in_sync
        if settings.batch_size % replicas:
            raise ValueError(
                f"--batch_size is global and must be a multiple of the {replicas} "
                f"replicas. Received: batch_size={settings.batch_size}."
            )
        is_folder = settings.dataset == "folder"
        open_sets = labeled.open_folder if is_folder else labeled.open_imagenet
        self.train, self.validation = open_sets(settings.data_dir)
        self._record = self._check_folder()
        self._has_begun = bool(self._checkpoints_there())
        self._beginning = None if self._has_begun else self._weights()

    @property
    def weights_path(self):
        """Where the weights are for --vgg_weights."""
        return (
            self.run_dir / f"{self.settings.vgg}{'_star' * self.settings.star}.weights.h5"
        )

    def run(self):
        """Trains to the end, or until the stop request.

        Returns:
            The last line of metrics; an empty one if there was nothing left to do.

        Raises:
            FloatingPointError: if the loss is not finite; nothing of it is saved.
        """
        settings = self.settings
        runtime.set_up_keras()
        keras.config.set_dtype_policy(settings.dtype_policy)
        keras.utils.set_random_seed(settings.seed)
        with self.strategy.scope():
            model = self._model()
            model.optimizer.build(model.trainable_variables)
            seeds = [v for v in model.variables if "seed" in v.path]
            checkpoint = tf.train.Checkpoint(
                model=model, optimizer=model.optimizer, seeds=seeds
            )
        folder = self.run_dir / "checkpoints"
        manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=_KEEP)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        if self._has_begun:
            self._restore(checkpoint)
            # A kill may have come between a checkpoint and the file.
            networks.save_vgg_weights(model, self.weights_path, settings.vgg)
        files.write(self.run_dir / "run.json", json.dumps(self._record, indent=2) + "\n")
        iteration, line = _iteration(model), {}
        while iteration < settings.iterations and not self.stop.requested:
            last = min(
                settings.iterations,
                (iteration // settings.save_every + 1) * settings.save_every,
            )
            batches = labeled.training_batches(
                *(self.train, settings.image_size, settings.batch_size),
                *(settings.seed, iteration),
            )
            history = model.fit(
                batches,
                steps_per_epoch=last - iteration,
                shuffle=False,  # They are.
                verbose=0,
                callbacks=[_Stop(self.stop)],
            ).history
            iteration = _iteration(model)
            line = {"iteration": iteration} | {k: v[-1] for k, v in history.items()}
            if not (math.isfinite(line["loss"]) and _is_finite(model)):
                raise FloatingPointError(
                    f"The loss is {line['loss']}, or a weight is not finite, at "
                    f"iteration {iteration}. The "
                    "checkpoint before is intact; try a lower --learning_rate, in "
                    "another --run_dir."
                )
            manager.save(checkpoint_number=iteration)
            networks.save_vgg_weights(model, self.weights_path, settings.vgg)
            if self.validation and not self.stop.requested:
                line |= self._validated(model)
            self._note(line)
        return line

    def _model(self):
        settings = self.settings
        model = networks.vgg_classifier(
            *(settings.vgg, settings.star, len(self.train.classes)),
            *(settings.head, settings.image_size),
        )
        rate = keras.optimizers.schedules.CosineDecay(
            settings.learning_rate, settings.iterations
        )
        optimizer = keras.optimizers.SGD(
            rate, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        model.compile(
            optimizer,
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            auto_scale_loss=True,
        )
        if self._beginning:
            convolutions, dense = self._beginning
            values = iter(convolutions)
            for layer in networks.convolutions(model):
                layer.set_weights([next(values) for _ in layer.weights])
            for name, weights in dense.items():
                model.get_layer(name).set_weights(weights)
            self._beginning = None  # Half a gigabyte.
        return model

    def _weights(self):
        """What it begins with: (weights of the convolutions, name -> of dense layers)."""
        settings = self.settings
        if settings.begins_whole:
            model = networks.imagenet_classifier(settings.vgg)
            convolutions = [
                w for each in networks.convolutions(model) for w in each.get_weights()
            ]
            names = ("fc1", "fc2", "predictions")
            self._record["began_with"] = "ImageNet weights, dense layers too"
            return convolutions, {n: model.get_layer(n).get_weights() for n in names}
        path, sha256 = networks.locate_vgg_weights(settings.vgg_weights, settings.vgg)
        self._record["began_with"] = f"convolutions of {sha256}; dense layers at random"
        logging.warning(
            "*** The dense layers begin at random: only convolutions have weights. ***"
        )
        return networks.check_vgg_weights(path, settings.vgg), {}

    def _check_folder(self):
        """What run.json is to hold; raises if the folder is another run's."""
        own = dataclasses.asdict(self.settings)
        given = self.settings.vgg_weights
        record = {
            "vgg_weights": given
            and networks.locate_vgg_weights(given, self.settings.vgg)[1],
            "settings": {k: v for k, v in own.items() if k not in _PLACES},
            "data": self.train.fingerprint,
            "validation": self.validation and self.validation.fingerprint,
            "classes": len(self.train.classes),
            "began_with": None,
            "pan_tf": pan_tf.__version__,
        }
        path = self.run_dir / "run.json"
        if not path.exists():
            files.check_output_dir(self.run_dir, "run.json", flag="run_dir")
            return record
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [
            f"{name}={value!r}, was {before['settings'].get(name)!r}"
            for name, value in record["settings"].items()
            if before["settings"].get(name) != value
        ]
        for name, what in (("data", "images"), ("vgg_weights", "--vgg_weights")):
            if before[name] != record[name]:
                changed.append(f"other {what}")
        if changed:
            raise RunFolderError(
                f"--run_dir={self.run_dir} holds another run: {'; '.join(changed)}. "
                "Choose another folder."
            )
        return before

    def _checkpoints_there(self):
        state = tf.train.get_checkpoint_state(str(self.run_dir / "checkpoints"))
        return list(state.all_model_checkpoint_paths) if state else []

    def _restore(self, checkpoint):
        """The newest checkpoint that is intact."""
        paths = self._checkpoints_there()
        for path in reversed(paths):
            problem = damage(path)
            if problem is None:
                checkpoint.restore(path).assert_existing_objects_matched()
                return
            logging.warning("*** %s is damaged (%s). ***", path, problem)
        raise OSError(
            f"None of the {len(paths)} checkpoints in {self.run_dir} can be read."
        )

    def _validated(self, model):
        settings = self.settings
        batches = labeled.validation_batches(
            *(self.validation, settings.image_size),
            *(settings.batch_size, settings.validation_images),
        )
        found = model.evaluate(batches, verbose=0, return_dict=True)
        return {f"val_{name}": value for name, value in found.items()}

    def _note(self, line):
        """Adds a line to metrics.jsonl, in place of those that came after it."""
        path = self.run_dir / "metrics.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [x for x in lines if json.loads(x)["iteration"] < line["iteration"]]
        files.write(path, "\n".join([*kept, json.dumps(line)]) + "\n")
        numbers = " | ".join(f"{k} {v:.4g}" for k, v in line.items() if k != "iteration")
        print(f"iteration {line['iteration']}/{self.settings.iterations} | {numbers}")


def _iteration(model):
    # Of a variable on several devices Keras' own conversion fails.
    return int(model.optimizer.iterations.value.numpy())


def _is_finite(model):
    return all(bool(tf.reduce_all(tf.math.is_finite(w))) for w in model.trainable_weights)


class _Stop(keras.callbacks.Callback):
    def __init__(self, stop):
        super().__init__()
        self._stop = stop

    def on_train_batch_end(self, batch, logs=None):
        if self._stop.requested:
            self.model.stop_training = True
