"""A fine-tuning of VGG*: VGG with mean pools and leaky ReLUs, trained on as a classifier.

The Perceptual Discriminators paper: VGG-19, its pools and ReLUs exchanged, is "fine-tuned
on ILSVRC for two more days". It says nothing of the optimizer, and the weights are not
published. Ours: momentum, a rate that falls to zero by a cosine, VGG's own dropout, and a
weight decay that is a share of the weights, not, as VGG's, a term of the loss.

The run folder, checkpoints, guards and callbacks are those of a training. Beside them
lies `vgg19_star.weights.h5`, for --vgg_weights, which is renewed at every save.
"""

import contextlib

import keras
import tensorflow as tf
from absl import logging

from pan_tf import distribution
from pan_tf import networks
from pan_tf import runtime
from pan_tf.models import UpdateSchedule
from pan_tf.papers.finetuning import labeled
from pan_tf.papers.finetuning.settings import Settings
from pan_tf.runs import callbacks
from pan_tf.runs import guards
from pan_tf.runs.checkpoints import Checkpoints
from pan_tf.runs.checkpoints import RunState
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError


class Classifier(keras.Model):
    """A classifier that the callbacks of a training can follow.

    Attributes:
        iteration: minibatches consumed.
    """

    iteration = 0
    data_wait = None  # Keras takes batches inside of the compiled function.
    schedule = UpdateSchedule(d_updates=0, t_updates=1)

    @property
    def networks(self):
        """All networks that are trained: name -> network."""
        return {"classifier": self}

    def saved_parts(self):
        """What a checkpoint holds beside the run's state."""
        return {
            "classifier": self,
            "optimizer": self.optimizer,
            "seeds": [v for v in self.variables if "seed" in v.path],
        }


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
        stop.at_once = True  # Until there is something to save.
        distribution.check_alone("VGG is fine-tuned")
        self.folder = RunFolder(run_dir, Settings)
        self.strategy = distribution.make_strategy()
        distribution.check_replicas(settings, self.strategy.num_replicas_in_sync)
        if (self.folder.path / "run.json").exists():
            raise RunFolderError(
                f"--run_dir={run_dir} was made by an earlier version, whose folders are "
                "not gone on with; its weights file can be used. Choose another folder."
            )
        self.folder.check_free()
        self.folder.check(settings)
        if settings.dataset == "folder":
            before = self.folder.known_data() or {}
            known = [before.get(name) for name in ("fingerprint", "validation")]
            found = labeled.open_folder(settings.data_dir, known)
        else:
            found = labeled.open_imagenet(settings.data_dir)
        self.train, self.validation = found
        self.folder.check_data(self.train.fingerprint)
        self.vgg = {"network": settings.vgg, "sha256": None}
        if settings.vgg_weights:
            _, sha256 = networks.locate_vgg_weights(settings.vgg_weights, settings.vgg)
            self.folder.check_vgg(sha256)
            self.vgg["sha256"] = sha256
        self._has_begun = self.folder.has_checkpoint()
        self._beginning = None if self._has_begun else self._weights()

    @property
    def weights_path(self):
        """Where the weights are for --vgg_weights."""
        name = f"{self.settings.vgg}{'_star' * self.settings.star}.weights.h5"
        return self.folder.path / name

    def run(self):
        """Trains to the end, or until the stop request.

        Raises:
            NonFiniteError: if the loss or a weight is not finite; nothing of it is saved.
        """
        with self.folder.held(self.settings):
            try:
                self._run()
            except Exception as error:
                with contextlib.suppress(OSError, ValueError):  # One error is enough.
                    self.folder.note_failure(error)
                raise

    def _run(self):
        settings, run = self.settings, self.folder
        runtime.set_up_keras()
        keras.config.set_dtype_policy(settings.dtype_policy)
        keras.utils.set_random_seed(settings.seed)
        with self.strategy.scope():
            model = self._model()
            model.optimizer.build(model.trainable_variables)
        data = {"name": settings.dataset, "fingerprint": self.train.fingerprint}
        data["classes"] = len(self.train.classes)
        data["validation"] = self.validation and self.validation.fingerprint
        run.start(settings, data, [str(d) for d in self.strategy.extended.worker_devices])
        if not self._has_begun:
            run.note("vgg", self.vgg)
        state = RunState(model)
        checkpoints = Checkpoints(run.checkpoints, model, state, settings.keep)
        first = checkpoints.resume()
        run.forget_after(first)
        if first:
            print(f"Resuming at iteration {first}.", flush=True)
            # A kill may have come between a checkpoint and the file.
            networks.save_vgg_weights(model, self.weights_path, settings.vgg)
        if first < settings.iterations and not self.stop.requested:
            self._fit(model, state, checkpoints, first)

    def _fit(self, model, state, checkpoints, first):
        settings, run = self.settings, self.folder
        writer = tf.summary.create_file_writer(str(run.logs))
        clock = callbacks.Clock(settings.batch_size, settings.iterations)
        guard = guards.NonFiniteGuard(settings, checkpoints)
        followers = [
            _Count(),
            guard,
            clock,
            callbacks.ProgressLine(clock, settings.log_every),
            callbacks.MetricsLog(run, state, writer, clock, settings.log_every),
            *([_Validation(self, writer)] if self.validation else []),
            callbacks.Saving(checkpoints, guard, self.stop, settings.save_every),
            _Weights(self),
        ]
        with checkpoints.settled():
            model.fit(
                labeled.training_batches(
                    *(self.train, settings.image_size, settings.batch_size),
                    *(settings.seed, first),
                ),
                steps_per_epoch=settings.iterations - first,
                shuffle=False,  # They are.
                verbose=0,
                callbacks=followers,
            )
        writer.flush()

    def _model(self):
        settings = self.settings
        found = networks.vgg_classifier(
            *(settings.vgg, settings.star, len(self.train.classes)),
            *(settings.head, settings.image_size),
        )
        model = Classifier(found.inputs, found.outputs[0], name=found.name)
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
            self.vgg["began_with"] = "ImageNet weights, dense layers too"
            return convolutions, {n: model.get_layer(n).get_weights() for n in names}
        path, sha256 = networks.locate_vgg_weights(settings.vgg_weights, settings.vgg)
        self.vgg |= {"sha256": sha256, "began_with": "convolutions; dense layers random"}
        logging.warning(
            "*** The dense layers begin at random: only convolutions have weights. ***"
        )
        return networks.check_vgg_weights(path, settings.vgg), {}


class _Count(keras.callbacks.Callback):
    """Counts iterations; lets logs be those of one batch, not means since the start."""

    def on_train_batch_begin(self, batch, logs=None):
        self.model.reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self.model.iteration += 1


class _Validation(callbacks.EveryIterations):
    """Loss and accuracy on the validation split."""

    def __init__(self, finetuning, writer):
        settings = finetuning.settings
        super().__init__(settings.validate_every, settings.iterations)
        self.finetuning, self.writer = finetuning, writer

    def act(self, iteration, logs):
        settings, run = self.finetuning.settings, self.finetuning.folder
        batches = labeled.validation_batches(
            *(self.finetuning.validation, settings.image_size),
            *(settings.batch_size, settings.validation_images),
        )
        found = self.model.evaluate(batches, verbose=0, return_dict=True)
        row = {f"val_{name}": float(value) for name, value in found.items()}
        run.append_metrics({"iteration": iteration, **row})
        numbers = " | ".join(f"{name} {value:.4g}" for name, value in row.items())
        print(f"iteration {iteration}/{settings.iterations} | {numbers}", flush=True)
        with self.writer.as_default(step=iteration):
            for name, value in found.items():
                tf.summary.scalar(f"validation/{name}", value)


class _Weights(callbacks.EveryIterations):
    """Writes the file for --vgg_weights, whenever a checkpoint is saved."""

    def __init__(self, finetuning):
        super().__init__(finetuning.settings.save_every)
        self.finetuning = finetuning

    def on_train_end(self, logs=None):
        self.act(self.model.iteration, logs)

    def act(self, iteration, logs):
        path, vgg = self.finetuning.weights_path, self.finetuning.settings.vgg
        networks.save_vgg_weights(self.model, path, vgg)
