"""Validation of a training: numbers, pictures, and the best checkpoint."""

import functools

import tensorflow as tf

from pan_tf import data
from pan_tf import evaluation
from pan_tf import images
from pan_tf import inference
from pan_tf.metrics import ROWS
from pan_tf.runs.callbacks import EveryIterations


class Validation(EveryIterations):
    """Metrics on the validation split, pictures of some of it, the best checkpoint.

    Unpaired metrics do not select a best checkpoint.

    Args:
        run: `RunFolder`; None on workers that write nothing.
        state: `RunState`.
        writer: TensorBoard summary writer.
        checkpoints: `Checkpoints`.
        opened: `OpenedData`, of whose validation split some are shown.
        config: `Config`: interval, and what chooses the best.
        weights: `metrics.Weights` of what chooses the best, and of `config.metrics`.
        until: the last iteration of the run, after which it validates too; or None.
    """

    def __init__(
        self, run, state, writer, checkpoints, opened, config, weights=None, until=None
    ):
        super().__init__(config.validate_every, until)
        self.run, self.state, self.writer = run, state, writer
        self.checkpoints, self.best_by = checkpoints, config.best_by
        self.split, self.geometry = opened.validation, opened.geometry
        self.weights, self.also = weights, [config.best_by, *config.metrics]
        self.latest = None, None  # (iteration, scores) of the last validation.
        self._samples = data.spread(
            self.split, config.sample_images, self.geometry, centre=True
        )

    def act(self, iteration, logs):
        try:
            scores = self.measure()
        except Exception:
            self.checkpoints.save()  # Whatever is wrong with a metric or a file.
            raise
        self.latest = iteration, scores
        if self.best_by in scores and self._is_best(scores[self.best_by]):
            self.state.best, self.state.best_by = scores[self.best_by], self.best_by
            self.checkpoints.save_best(self.best_by)
        if self.run is not None:
            row = {f"val_{name}": value for name, value in scores.items()}
            self.run.append_metrics({"iteration": iteration, **row})
            picture = self.picture()
            self.run.save_picture(f"samples/{iteration:07d}", picture)
            with self.writer.as_default(step=iteration):
                for name, value in scores.items():
                    tf.summary.scalar(f"validation/{name}", value)
                tf.summary.image(self.title, picture[None])

    def _is_best(self, score):
        if self.state.best is None or self.state.best_by != self.best_by:
            return True
        merit = ROWS[self.best_by].merit
        return merit(score) > merit(self.state.best)

    def measure(self):
        """metric -> mean over the validation split."""
        return evaluation.validate(
            *self._translations,
            self.split,
            self.geometry,
            also=self.also,
            weights=self.weights,
        )

    @functools.cached_property
    def _translations(self):
        """T, and its inverse or None, for the images that are measured."""
        source, target = self.split.specs
        is_plain = source.bits == target.bits == 8
        if self.geometry.is_uniform and is_plain:
            return self.model.translate_pixels, self.model.translate_pixels_inversely
        networks = [network for network, _ in self.model.emas.values()]
        specs = [(source, target), (target, source)]
        made = [
            inference.WholeImages.of_network(network, *both)
            for network, both in zip(networks, specs, strict=False)
        ]
        return [*made, None][:2]

    def picture(self):
        """The samples, one a row, with the columns that `title` names."""
        source, target = self._samples["source"], self._samples["target"]
        there, back = self.model.translate_pixels, self.model.translate_pixels_inversely
        output = there(source)
        columns = [self.split.source.spec.show(source), output]
        if self._shows_both:
            inverse = back(target)
            columns.append(back(images.to_float(output)))
            columns += [images.to_uint8(target), inverse]
            columns.append(there(images.to_float(inverse)))
        else:
            columns.append(images.to_uint8(target))
        return images.grid(*columns)

    @property
    def _shows_both(self):
        """Whether a picture shows both directions, there and back."""
        has_inverse = self.model.translate_pixels_inversely is not None
        return has_inverse and not self.split.paired

    @property
    def title(self):
        """The columns of a picture."""
        if self._shows_both:
            return "source | output | back | target | output | back"
        return "source | output | target"
