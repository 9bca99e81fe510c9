"""Settings as absl's flags: on a command line, and in files of flags."""

import codecs
import dataclasses
import os
from typing import Any

from absl import flags

NO_TASK = "--task goes with the command; in a flagfile use --flagfile=FILE."


def type_of(field):
    """str, int, float, bool or tuple; None is legal where it is the default."""
    for kind in (tuple, bool, int, float):
        if kind.__name__ in str(field.type):
            return kind
    return str


def define_flags(settings, flag_values):
    """Defines one absl flag for each setting.

    Args:
        settings: dataclass whose fields `setting` made.
        flag_values: absl's, of the command or of a test.
    """
    for field in dataclasses.fields(settings):
        define: Any = flags.DEFINE_string
        kwargs: dict[str, Any] = {}
        kind, limits = type_of(field), field.metadata
        if limits["repeated"]:
            define = flags.DEFINE_multi_string
        elif limits["parse"]:
            define, kwargs = flags.DEFINE, {"parser": _Parsed(limits["parse"])}
        elif kind is tuple:
            parser = _List(limits["choices"], "str" in str(field.type))
            define, kwargs = flags.DEFINE, {"parser": parser}
        elif limits["choices"]:
            parser = _Choice(limits["choices"], limits["aliases"])
            define, kwargs = flags.DEFINE, {"parser": parser}
        elif kind is bool:
            define = flags.DEFINE_boolean
        elif kind in (int, float):
            define = flags.DEFINE_integer if kind is int else flags.DEFINE_float
            kwargs = {"lower_bound": limits["minimum"], "upper_bound": limits["maximum"]}
        text = limits["help"]
        if limits["choices"]:
            text = f"<{'|'.join(limits['choices'])}>: {text}"
        define(
            name=field.name,
            default=field.default,
            help=text,
            flag_values=flag_values,
            **kwargs,
        )
        if limits["former"]:
            flags.DEFINE_alias(limits["former"], field.name, flag_values)


def from_flags(settings, flag_values):
    """The settings that parsed flags ask for.

    Raises:
        ValueError: if one is not legal.
    """
    values = {f.name: flag_values[f.name].value for f in dataclasses.fields(settings)}
    return settings(**values)


def accept_empty(flag_values):
    """Lets an empty value take a value back: `--name=` gives the flag its default again.

    Call it when all flags are defined. Flags that may be given several times are left
    alone.

    Args:
        flag_values: absl's, of the command or of a test.
    """
    for name in flag_values:
        flag = flag_values[name]
        if not isinstance(flag, flags.MultiFlag):
            parser: Any = _EmptyIsDefault(flag)
            flag.parser = parser


def read(settings, path):
    """The settings of a flagfile, as `--flagfile` reads it: `--noflip`, nested files, ...

    Args:
        settings: dataclass whose fields `setting` made.
        path: file of flags, such as a run's `run.cfg`; ~ is the user's home.

    Raises:
        OSError: if it cannot be read.
        ValueError: if a line is not a known setting, or one is not legal; the message
            names the file.
    """
    path = os.path.expanduser(path)
    with open(path, "rb") as file:  # absl's own error is no OSError.
        if file.read(3) == codecs.BOM_UTF8:
            raise ValueError(f"{path} begins with a byte order mark: save it without.")
    values = flags.FlagValues()
    define_flags(settings, values)
    # Every command has it beside its settings.
    flags.DEFINE_boolean("verbose", False, "", values)
    accept_empty(values)
    try:
        _, *rest = values(["pan_tf", f"--flagfile={path}"])
        if rest and rest[0].startswith("\ufeff"):
            raise ValueError("a --flagfile in it begins with a byte order mark.")
        if rest:
            raise ValueError(f"settings begin with --, and {rest[0]!r} does not.")
        return from_flags(settings, values)
    except (flags.Error, ValueError) as error:
        if getattr(error, "flagname", None) == "task":
            raise ValueError(f"{path}: {NO_TASK}") from None
        raise ValueError(f"{path}: {error}") from None


class _List(flags.ArgumentParser):
    """Parses what has commas in between into a tuple: numbers, texts, or choices."""

    def __init__(self, choices, of_texts=False):
        self._choices, self._of_texts = choices, of_texts or bool(choices)
        things = "texts" if of_texts else "numbers"
        things = f"some of {', '.join(choices)}," if choices else things
        self.syntactic_help = f"{things} with commas between them"

    def parse(self, argument):
        if isinstance(argument, tuple):
            return argument
        parts = argument.split(",")
        try:
            if self._choices and set(parts) - set(self._choices):
                raise ValueError
            return tuple(parts) if self._of_texts else tuple(map(float, parts))
        except ValueError:
            raise ValueError(f"must be {self.syntactic_help}") from None


class _Parsed(flags.ArgumentParser):
    """Parses by a function that raises ValueError with a rule."""

    def __init__(self, function):
        self.parse = function


class _Choice(flags.EnumParser):
    """Parses one of several names, or what one was called before."""

    def __init__(self, choices, aliases):
        super().__init__(choices)
        self._aliases = aliases

    def parse(self, argument):
        return super().parse(self._aliases.get(argument, argument))


class _EmptyIsDefault:
    """Parses as another parser does, but for an empty text, which is the default.

    What cannot be parsed is answered by what it must be.

    Args:
        flag: absl flag, defined already.
    """

    def __init__(self, flag):
        self._parser, self._default = flag.parser, flag.default

    def parse(self, argument):
        if argument == "":
            return self._default
        try:
            return self._parser.parse(argument)
        except ValueError:
            # absl says these in Python's words: "invalid literal for int()".
            if isinstance(self._parser, flags.BooleanParser):
                raise ValueError("must be true or false") from None
            if isinstance(self._parser, (flags.IntegerParser, flags.FloatParser)):
                raise ValueError(f"must be {self._parser.syntactic_help}") from None
            raise

    def __getattr__(self, name):
        return getattr(self._parser, name)
