"""The cycle: two directions at once, each with its T and its D, for unpaired sets.

What differs from a single direction; the train step is the same.
"""

import functools

from pan_tf.models.translation import TranslationModel
from pan_tf.models.translation import ema_of
from pan_tf.models.translation import make_translate_function


class CycleModel(TranslationModel):
    """T and its inverse, from source to target and back, after CycleGAN.

    One optimizer trains both Ts, another both Ds; both are Adam, whose step for a weight
    does not depend on the others.

    Args:
        inverse: T, target -> source.
        inverse_discriminator: of the source's domain.
        inverse_ema_transformer: as `ema_transformer`, of the inverse.
        inverse_image_pool: `layers.ImagePool` of the inverse's outputs, or None.
        **kwargs: as of `TranslationModel`, of source -> target; one encoder and one
            augmentation serve both Ds.

    Attributes:
        inverse_ema_transformer: the inverse to translate with.
    """

    def __init__(
        self,
        *,
        inverse,
        inverse_discriminator,
        inverse_ema_transformer=None,
        inverse_image_pool=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.inverse = inverse
        self.inverse_ema_transformer = ema_of(inverse_ema_transformer, inverse)
        self.inverse_discriminator = inverse_discriminator
        self.inverse_image_pool = inverse_image_pool

    @functools.cached_property
    def translate_pixels_inversely(self):
        """The inverse at test time, as `translate_pixels`."""
        return make_translate_function(self.inverse_ema_transformer)

    def networks_of(self, player):
        name = {"transformer": "inverse", "discriminator": "inverse_discriminator"}[
            player
        ]
        return {**super().networks_of(player), name: getattr(self, name)}

    @property
    def emas(self):
        inverse = {"deployed_inverse": (self.inverse_ema_transformer, self.inverse)}
        return super().emas | inverse

    @property
    def image_pools(self):
        return super().image_pools | {"inverse_memory": self.inverse_image_pool}

    def translate(self, minibatch):
        source, target = minibatch["source"], minibatch["target"]
        forward = self._translation(self.transformer, source, target)
        backward = self._translation(self.inverse, target, source)
        if "cycled" in self.images:
            forward.cycled = self.pass_through(self.inverse, forward.output)
            backward.cycled = self.pass_through(self.transformer, backward.output)
        return [forward, backward]

    def discriminators(self):
        inverse = (self.inverse_discriminator, self.inverse_image_pool)
        return [*super().discriminators(), inverse]
