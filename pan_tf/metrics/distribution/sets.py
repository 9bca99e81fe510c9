"""Sets of images, and what metrics of whole sets ask of them, computed once."""

import functools

import numpy as np

from pan_tf.metrics.distribution.classifier import EPOCHS
from pan_tf.metrics.distribution.classifier import log_loss
from pan_tf.metrics.distribution.classifier import train_classifier
from pan_tf.metrics.distribution.features import extract
from pan_tf.metrics.distribution.two_sample import two_sample_test

# One in so many of the images of both domains chooses the classifier's epoch.
_CHOICE = 5


class Sets:
    """Outputs of one system, and real images of the target's domain.

    Args:
        real: uint8 `[N, H, W, C]`, held-out targets.
        outputs: uint8 `[M, H, W, C]`, of held-out sources.
        domains: as `domain_classifier` gives; None where none is known.
        seeds: of two-sample tests, one each.
        epochs: of each of their classifiers, at most.
        judged: images that `domains` judges in place of the outputs; None for those.
        weights: `Weights` of networks, for features; None where no metric needs them.
        seen: network -> features of `real`, if another system has seen them already; what
            is found is put there.
    """

    def __init__(
        self,
        real,
        outputs,
        domains=None,
        seeds=(1,),
        epochs=EPOCHS,
        judged=None,
        weights=None,
        seen=None,
    ):
        self.real, self.outputs = real, outputs
        self.seeds, self.epochs = seeds, epochs
        self._weights, self._seen = weights, {} if seen is None else seen
        self._of_outputs = {}
        self._domains = domains
        self._judged = outputs if judged is None else judged

    @functools.cached_property
    def two_sample(self):
        """What `two_sample_test` says."""
        return two_sample_test(self.real, self.outputs, self.seeds, self.epochs)

    def features(self, network):
        """Features of real images and of outputs: float64 `[N, d]`, `[M, d]`.

        Args:
            network: of `features.EXTRACTORS`.
        """
        for kept, pixels in ((self._seen, self.real), (self._of_outputs, self.outputs)):
            if network not in kept:
                kept[network] = extract(network, self._weights, pixels)
        return self._seen[network], self._of_outputs[network]

    @functools.cached_property
    def domain_log_losses(self):
        """Nats, `[M]`: minus the log of what a classifier of both domains gives the
        target's on each output."""
        return log_loss(self._domains(self._judged), 1)


def domain_classifier(sources, targets, epochs):
    """A `Classifier` that tells sources from targets, its kind 1.

    Args:
        sources: uint8 `[N, H, W, C]`, to train on.
        targets: uint8 `[M, H, W, C]`.
        epochs: through them, at most.
    """
    chosen = [kind[::_CHOICE] for kind in (sources, targets)]
    learnt = [np.delete(k, np.s_[::_CHOICE], axis=0) for k in (sources, targets)]
    # Few images take small batches, or there would be too few steps in an epoch.
    batch_size = 32 if sum(map(len, learnt)) > 500 else 8
    return train_classifier(learnt, chosen, 1, epochs, batch_size)
