"""What a builder declares of its network: the settings it takes, its sizes, its revision.

Whoever puts a system together asks here, and needs to know no builder by name.
"""

import dataclasses
import functools
from collections.abc import Callable

from pan_tf.config import Config
from pan_tf.size import Size

TRANSFORMERS = {}  # Name -> builder.
DISCRIMINATORS = {}


@dataclasses.dataclass(frozen=True)
class Declaration:
    """What is true of every network of a builder.

    Attributes:
        settings: setting of a run -> argument of the builder that it sets.
        check_size: (`Size`, **arguments) -> None; raises ValueError, naming
            --image_size, where the network does not exist at that size.
        arguments_at: `Size` -> arguments that depend on it.
        fills_centre: of a T, whether it invents the centre of an image: its source must
            lack it, and it is built for one size of images only.
        rgb_only: whether its images must be RGB.
        min_batch: smallest batch that the network can be trained on.
        regions: of a D, the regions of an image that it can judge.
        revision: 2 at the first change of the network, and so on. Weights of one revision
            fit the variables of another, and compute something else.
        earlier: revision -> half a sentence that says what that one lacked or did
            otherwise, such as "had no tanh at its end".
    """

    settings: dict = dataclasses.field(default_factory=dict)
    check_size: Callable = lambda image_size, **arguments: None
    arguments_at: Callable = lambda image_size: {}
    fills_centre: bool = False
    rgb_only: bool = False
    min_batch: int = 1
    regions: tuple = ("image",)
    revision: int = 1
    earlier: dict = dataclasses.field(default_factory=dict)

    def what_changed(self, recorded):
        """What a network of an earlier revision was like, in half a sentence."""
        found = [
            text for number, text in sorted(self.earlier.items()) if number >= recorded
        ]
        return "; then ".join(found) or "was another network"


def transformer(**declared):
    """Decorates a builder of a T and puts it into `TRANSFORMERS`; see `Declaration`."""
    return functools.partial(_declare, TRANSFORMERS, Declaration(**declared))


def discriminator(**declared):
    """Decorates a builder of a D and puts it into `DISCRIMINATORS`; see `Declaration`."""
    return functools.partial(_declare, DISCRIMINATORS, Declaration(**declared))


def _declare(table, declaration, builder):
    if unknown := {*declaration.settings} - {*Config.names()}:
        raise ValueError(
            f"{builder.__name__}: settings must be those of `Config`. Received: "
            f"{', '.join(sorted(unknown))}."
        )
    builder.declaration = declaration
    table[builder.__name__] = builder
    return builder


def declaration(builder):
    """The `Declaration` of a builder, or of one with some arguments in place.

    Raises:
        ValueError: if it has none.
    """
    function = original(builder)
    if not hasattr(function, "declaration"):
        raise ValueError(
            f"{function.__name__} is no network of a recipe: decorate it by "
            "@transformer(...) or @discriminator(...)."
        )
    return function.declaration


def original(builder):
    """What a builder with some arguments in place calls in the end."""
    while isinstance(builder, functools.partial):
        builder = builder.func
    return builder


def multiple_of(number, why):
    """A `check_size` for sizes that must be a multiple of a number.

    Args:
        number: the number.
        why: half a sentence, such as "T halves the image six times".
    """

    def check(image_size, **arguments):
        if any(side % number for side in Size.of(image_size)):
            first = ", ".join(str(number * 2**i) for i in range(4))
            raise ValueError(
                f"--image_size must be a multiple of {number} ({first}, ...): {why}. "
                f"Received: image_size={image_size}."
            )

    return check
