"""Loss terms: the two sides, T's and D's, of one part of the game.

A system is a list of terms. A term names the images that it needs (`images`) and those
that D must see (`d_inputs`); the model shows them to D, each in a call of its own, and
hands the term a `Translation`. Where images are translated in both directions, a player
minimises the sum of both.
"""

import dataclasses
from typing import Any
from typing import ClassVar
from typing import NamedTuple

import keras

from pan_tf.config import Config

TERMS = {}  # Every kind of term, by the name of its class.


class DiscriminatorOutput(NamedTuple):
    """What a discriminator says of a batch of images.

    Attributes:
        logits: list of float `[B, ...]`, one map an output scale, before any sigmoid.
        features: list of float `[B, h, w, c]`, hidden layers, shallow to deep.
    """

    logits: list
    features: list


@dataclasses.dataclass
class Translation:
    """One batch in one direction: its images, and D's outputs for some of them.

    Attributes:
        source: float `[B, H, W, C]` in [-1, 1].
        target: the ground truth y; of unpaired sets any image of its domain.
        output: T(source).
        cycled: the other direction's T(output), in the source's domain.
        identity: T(target).
        pooled: output, or outputs of the past in its place; see
            `layers.ImagePool`.
        drawn: how D is shown the images, see `layers.DiscriminatorAugmentation`; or None.
        encoded: image name -> what D's frozen encoder makes of it, where D has one.
        d_outputs: image name -> `DiscriminatorOutput`.

    `cycled`, `identity` and `pooled` are None where no term names them.
    """

    source: Any
    target: Any
    output: Any
    cycled: Any = None
    identity: Any = None
    pooled: Any = None
    drawn: Any = None
    encoded: dict = dataclasses.field(default_factory=dict)
    d_outputs: dict = dataclasses.field(default_factory=dict)

    def images(self):
        """Those that were translated, by their names: what T has to do with."""
        names = "source", "target", "output", "cycled", "identity"
        return {name: getattr(self, name) for name in names}


@dataclasses.dataclass(frozen=True)
class LossTerm:
    """One named, weighted part of the game between T and D.

    A subclass defines `transformer_loss`, `discriminator_loss`, or both, each from a
    `Translation` to a float32 scalar, the mean over the replica's batch, which that
    player minimises. A side that it leaves out takes no part in the player's objective
    and gets no metric. It is in `TERMS` once it is defined, and Keras knows it.

    Attributes:
        weight: multiplies T's side, and D's unless that has its own.
        d_weight: multiplies D's side; None for `weight`.
        name: tag in logs, `t_<name>` and `d_<name>`; no two terms of a system may share
            one.
        images: names of images of a `Translation` that are made only where a term names
            them.
        needs_pairs: whether it compares an output with the target that belongs to it.
        needs_square: whether its images must be as high as they are wide.
        takes_region: whether its field `region` is what T generates, see `PixelLoss`.
        settings: settings of a run that the term takes, by flag -> its own field. That of
            `lambdas` has a weight for each of D's features.
        looks_through_vgg: whether it needs a VGG, see `with_vgg`.
        tells_real_sign: whether `diagnostics` has `d_real_sign`, how sure D is of
            targets, which `--ada_target` follows.
    """

    weight: float = dataclasses.field(default=1.0, kw_only=True)
    d_weight: float | None = dataclasses.field(default=None, kw_only=True)
    name: str = dataclasses.field(default="", kw_only=True)
    images: ClassVar = ()
    needs_pairs: ClassVar = False
    needs_square: ClassVar = False
    takes_region: ClassVar = False
    settings: ClassVar = {}
    looks_through_vgg: ClassVar = False
    tells_real_sign: ClassVar = False

    def __init_subclass__(cls):
        super().__init_subclass__()
        if unknown := {*cls.settings} - {*Config.names()}:
            raise ValueError(
                f"{cls.__name__}.settings must name settings of `Config`. Received: "
                f"{', '.join(sorted(unknown))}."
            )
        TERMS[cls.__name__] = keras.saving.register_keras_serializable("pan_tf")(cls)

    def with_vgg(self, features):
        """The term with the network that it looks through.

        Args:
            features: (layers, preprocessing) -> `networks.vgg_features`; without
                layers, the VGG's encoder.
        """
        return self

    def with_state(self):
        """The term with the weights that it keeps of its own, where it has some; made in
        the strategy's scope."""
        return self

    def state(self):
        """Those weights: name -> variable; a checkpoint holds them."""
        return {}

    def follow(self, numbers):
        """Changes those weights after an update of D.

        Args:
            numbers: what `diagnostics` found of that update, means over directions.
        """

    def d_inputs(self, player):
        """Names of the images that D must look at for one player's side."""
        return ()

    def diagnostics(self, translation):
        """Numbers worth watching, none of them a loss: name -> float32 scalar."""
        return {}

    def lambdas_of_features(self):
        """Its weights of D's features; None if it has none."""
        field = self.settings.get("lambdas")
        return field and getattr(self, field)

    def concerns(self, player):
        """Whether the term has a side for "transformer" or "discriminator"."""
        return hasattr(self, f"{player}_loss")

    def __call__(self, y_true, y_pred):
        """The weighted side of T as Keras has losses: `compile(loss=PixelLoss("l1"))`.

        Args:
            y_true, y_pred: target and output, float `[B, H, W, C]` in [-1, 1].

        Returns:
            float32 scalar.

        Raises:
            ValueError: if the term looks at more than these two images.
        """
        needs_d = self.d_inputs("transformer") or not self.concerns("transformer")
        if self.images or needs_d:
            raise ValueError(
                f"{type(self).__name__} is a part of a game: it compares more than an "
                "output with its target. Train it by a recipe; in `compile`, use "
                "PixelLoss or PerceptualLoss."
            )
        return self.loss("transformer", Translation(None, y_true, y_pred))

    def get_config(self):
        """Its fields, as Keras saves a compiled loss; without what was put there."""
        fields = (field for field in dataclasses.fields(self) if field.compare)
        return {field.name: getattr(self, field.name) for field in fields}

    @classmethod
    def from_config(cls, config):
        """A term of what `get_config` gave."""
        return cls(**tuples(config))

    def loss(self, player, translation):
        """The weighted side of one player."""
        weight = self.weight
        if player == "discriminator" and self.d_weight is not None:
            weight = self.d_weight
        return weight * getattr(self, f"{player}_loss")(translation)


def tuples(arguments) -> dict[str, Any]:
    """Arguments as they were before they were JSON, which knows lists only."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in arguments.items()}


def check_names(terms):
    """Refuses two terms of one name: a system would silently train on one of them.

    Raises:
        ValueError: naming the terms.
    """
    names = [term.name for term in terms]
    for term in terms:
        if names.count(term.name) > 1:
            raise ValueError(
                "Names of loss terms must be unique within a system. Received: "
                f"{names.count(term.name)} terms named {term.name!r}. Name one of them, "
                f"as in {type(term).__name__}(..., name='{term.name}_2')."
            )
