"""The cycle: two directions at once, each with its T and its D, for unaligned sets.

What differs from a single direction; the train step is the same.
"""

import functools

from pan_tf.models.translation import TranslationModel
from pan_tf.models.translation import follower
from pan_tf.models.translation import to_pixels


class CycleModel(TranslationModel):
    """T and its inverse, from source to target and back, after CycleGAN.

    One optimizer trains both Ts, another both Ds; both are Adam, whose step for a weight
    does not depend on the others.

    Args:
        transformer: T, source -> target.
        discriminator: of the target's domain.
        terms, schedule, average_decay, encoder, memory: as of `TranslationModel`; the
            encoder serves both Ds.
        inverse: T, target -> source.
        inverse_discriminator: of the source's domain.
        average: of T, or None.
        inverse_average: of the inverse, or None.
        inverse_memory: `layers.ImageHistory` of the inverse's outputs, or None.

    Attributes:
        deployed_inverse: the inverse to translate with.
    """

    def __init__(
        self,
        transformer,
        discriminator,
        terms,
        schedule,
        *,
        inverse,
        inverse_discriminator,
        inverse_average=None,
        inverse_memory=None,
        **kwargs,
    ):
        super().__init__(transformer, discriminator, terms, schedule, **kwargs)
        self.inverse = inverse
        self.deployed_inverse = follower(inverse_average, inverse)
        self.inverse_discriminator = inverse_discriminator
        self.inverse_memory = inverse_memory

    @functools.cached_property
    def translate_pixels_back(self):
        """The inverse at test time, as `translate_pixels`."""
        return to_pixels(self.deployed_inverse)

    def networks_of(self, player):
        name = {"transformer": "inverse", "discriminator": "inverse_discriminator"}[
            player
        ]
        return {**super().networks_of(player), name: getattr(self, name)}

    @property
    def averages(self):
        inverse = {"deployed_inverse": (self.deployed_inverse, self.inverse)}
        return super().averages | inverse

    @property
    def memories(self):
        return super().memories | {"inverse_memory": self.inverse_memory}

    def translate(self, minibatch):
        source, target = minibatch["source"], minibatch["target"]
        forward = self._translation(self.transformer, source, target)
        backward = self._translation(self.inverse, target, source)
        if "cycled" in self.images:
            forward.cycled = self.inverse(forward.output, training=True)
            backward.cycled = self.transformer(backward.output, training=True)
        return [forward, backward]

    def judges(self):
        inverse = (self.inverse_discriminator, self.inverse_memory)
        return [*super().judges(), inverse]
