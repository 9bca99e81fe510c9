"""`Config` as flags of a command: one absl flag for each setting."""

import dataclasses

from absl import flags

from pan_tf.config import Config
from pan_tf.settings import from_text
from pan_tf.settings import type_of


def define_flags():
    """Defines one absl flag for each setting."""
    for field in dataclasses.fields(Config):
        define, kwargs = flags.DEFINE_string, {}
        kind, limits = type_of(field), field.metadata
        if limits["choices"]:
            define, kwargs = flags.DEFINE_enum, {"enum_values": limits["choices"]}
        elif kind is bool:
            define = flags.DEFINE_boolean
        elif kind in (int, float):
            define = flags.DEFINE_integer if kind is int else flags.DEFINE_float
            kwargs = {"lower_bound": limits["minimum"], "upper_bound": limits["maximum"]}
        elif kind is tuple:
            define = flags.DEFINE_list
        define(field.name, default=field.default, help=limits["help"], **kwargs)


def config_from_flags(**changes):
    """The `Config` that the command line asks for.

    Raises:
        ValueError: if a setting is not legal.
    """
    names = [field.name for field in dataclasses.fields(Config)]
    values = {name: flags.FLAGS[name].value for name in names}
    if values["lambdas"] is not None:
        values["lambdas"] = from_text(tuple, ",".join(values["lambdas"]))
    return Config(**{**values, **changes})
