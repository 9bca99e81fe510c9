"""A system: a recipe with every value in place, as the run folder keeps it.

A row of the table says what is special about a system. What it leaves to defaults, and
what a run's own settings change, is written out here. So a run is what its `system.json`
says, whatever the table says by then.
"""

import dataclasses
import functools
import hashlib
import inspect
import json
from collections.abc import Callable

from pan_tf import networks
from pan_tf import tables
from pan_tf.images import ImageSpec
from pan_tf.losses import TERMS
from pan_tf.losses import LossTerm
from pan_tf.losses.terms import tuples
from pan_tf.models import Course
from pan_tf.models import UpdateSchedule
from pan_tf.size import Size


@dataclasses.dataclass(frozen=True)
class Network:
    """A builder with every argument in place: called, it builds the network.

    Attributes:
        builder: one of `networks.TRANSFORMERS` or `networks.DISCRIMINATORS`.
        arguments: argument -> value, all but the image size and the model's name.
        only_size: the one `Size` of images that it is built for; None for any.
        revision: of the builder that it was resolved with.
    """

    builder: Callable
    arguments: dict
    only_size: Size | None = None
    revision: int = 1

    @classmethod
    def of(cls, builder, image_size, **arguments):
        """A row's builder, at an image size, with a run's own arguments.

        Raises:
            ValueError: if the network does not exist at that size.
        """
        function, declared = networks.original(builder), networks.declaration(builder)
        given = {
            **declared.arguments_at(image_size),
            **given_to(builder),
            **arguments,
        }
        taken = inspect.signature(function).parameters
        if unknown := sorted(given.keys() - taken.keys()):
            raise ValueError(
                f"{function.__name__} must take {', '.join(unknown)}: see "
                "`networks.Declaration`."
            )
        declared.check_size(image_size, **given)
        return cls(
            function,
            _defaults(function) | given,
            image_size if declared.fills_centre else None,
            declared.revision,
        )

    def swapped(self):
        """The other direction: source and target have changed places."""
        names = ("source_channels", "target_channels")
        if self.arguments.keys().isdisjoint(names):
            return self
        there, back = (self.arguments[name] for name in names)
        changed = dict(zip(names, (back, there), strict=True))
        return dataclasses.replace(self, arguments={**self.arguments, **changed})

    def __call__(self, image_size=None, **kwargs):
        size = self.only_size or image_size
        return self.builder(size, **{**self.arguments, **kwargs})

    @property
    def declaration(self):
        """What its builder declares."""
        return networks.declaration(self.builder)


@dataclasses.dataclass(frozen=True)
class System:
    """What is trained, and how; fields that a `Recipe` has too mean the same.

    Attributes:
        recipe: the row's name.
        role: of T: "translate", "restore", "fill", "scenes" or "faces".
        transformer, discriminator: `Network`s; no D where no term looks at one.
        terms: tuple of `LossTerm`.
        d_learning_rate: Adam's of D, None only without a D.
        bn_statistics: what T normalizes by outside of training, "moving" or "image"; None
            for a T that normalizes nothing, or by each image anyway.
        vgg: the VGG that a term or D looks through; None if none does.
        source, target: `ImageSpec`s.
    """

    recipe: str
    role: str
    transformer: Network
    discriminator: Network | None
    terms: tuple
    schedule: UpdateSchedule
    batch_size: int
    learning_rate: float
    d_learning_rate: float | None
    beta_1: float
    ema: float
    bn_statistics: str | None
    paired: bool
    is_cycle: bool
    pool_size: int
    vgg: str | None
    is_encoded: bool
    star: bool
    revision: int
    source: ImageSpec
    target: ImageSpec
    course: Course | None = tables.later(None)
    d_augment: tuple = tables.later(())
    ada_target: float = tables.later(0.0)

    def to_json(self):
        """The system as what JSON can hold; `from_json` makes it again."""
        return to_json(self)

    @classmethod
    def from_json(cls, found):
        """The system that `to_json` wrote.

        Raises:
            ValueError: if a part is not known here, by a sentence that names it.
        """
        fields = dataclasses.fields(cls)
        names = {field.name for field in fields}
        optional = {field.name for field in fields if field.metadata.get("later")}
        if odd := (set(found) ^ names) - (optional - set(found)):
            odd = ", ".join(sorted(odd))
            raise ValueError(f"it lacks, or has without a meaning here: {odd}")
        return cls(
            **{
                **found,
                "transformer": _network(found["transformer"], networks.TRANSFORMERS),
                "discriminator": _network(
                    found["discriminator"], networks.DISCRIMINATORS
                ),
                "terms": tuple(_term(term) for term in found["terms"]),
                "schedule": UpdateSchedule(**found["schedule"]),
                "course": found.get("course") and Course(**found["course"]),
                "d_augment": tuple(found.get("d_augment", ())),
                "source": ImageSpec(**found["source"]),
                "target": ImageSpec(**found["target"]),
            }
        )

    def with_bn_statistics(self, statistics):
        """The same, whose T normalizes by other statistics; None for its own."""
        if statistics is None or "statistics" not in self.transformer.arguments:
            return self
        arguments = {**self.transformer.arguments, "statistics": statistics}
        transformer = dataclasses.replace(self.transformer, arguments=arguments)
        return dataclasses.replace(
            self, transformer=transformer, bn_statistics=statistics
        )


def digest(row):
    """Sixteen hexadecimal digits that change when a row of the table does."""
    text = json.dumps(to_json(row), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_json(value):
    """Parts of a system, or of a row, as what JSON can hold."""
    if isinstance(value, Network):
        found = {"builder": value.builder.__name__, "revision": value.revision}
        if value.only_size:
            found["only_size"] = value.only_size.to_json()
        return {**found, "arguments": to_json(value.arguments)}
    if dataclasses.is_dataclass(value):
        found = {
            field.name: to_json(getattr(value, field.name))
            for field in tables.written_fields(value)
        }
        is_term = isinstance(value, LossTerm)
        return {"term": type(value).__name__, **found} if is_term else found
    if callable(value):
        function = networks.original(value)
        return {
            "builder": function.__name__,
            "revision": networks.declaration(value).revision,
            "arguments": to_json(_defaults(function) | given_to(value)),
        }
    if isinstance(value, dict):
        return {key: to_json(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [to_json(each) for each in value]
    return value


def given_to(builder):
    """Arguments that `functools.partial`, also of one another, has put in place.

    Args:
        builder: of a network, as a row has it.

    Returns:
        argument -> value.
    """
    arguments = {}
    while isinstance(builder, functools.partial):
        arguments = {**builder.keywords, **arguments}
        builder = builder.func
    return arguments


def _defaults(function):
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if name not in ("image_size", "name")
    }


def _network(found, table):
    if found is None:
        return None
    name = found["builder"]
    if name not in table:
        raise ValueError(f"there is no {name} here")
    builder, arguments = table[name], tuples(found["arguments"])
    _check_known(name, arguments, _defaults(builder))
    if type(found["revision"]) is not int:
        raise ValueError(f"{name} has the revision {found['revision']!r}")
    only_size = found.get("only_size") and Size.of(found["only_size"])
    return Network(builder, arguments, only_size, found["revision"])


def _term(found):
    found = dict(found)
    name = found.pop("term")
    if name not in TERMS:
        raise ValueError(f"there is no {name} here")
    _check_known(name, found, [field.name for field in dataclasses.fields(TERMS[name])])
    if not isinstance(found.get("name", ""), str):
        raise ValueError(f"{name} is named {found['name']!r}")
    return TERMS[name].from_config(found)


def _check_known(name, given, known):
    if unknown := sorted({*given} - {*known}):
        raise ValueError(f"{name} takes no {', '.join(unknown)} here")
