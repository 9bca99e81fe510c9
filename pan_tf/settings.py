"""What a setting is: its type, limits and help. `flagfiles` makes flags of settings."""

import dataclasses
import math
import numbers
import os
from types import MappingProxyType
from typing import Any
from typing import ClassVar

from pan_tf import flagfiles
from pan_tf import paths
from pan_tf.flagfiles import type_of
from pan_tf.size import Size


def setting(
    default,
    help,
    choices=None,
    minimum=None,
    maximum=None,
    free=False,
    aliases=None,
    parse=None,
    former=None,
    required=False,
    repeated=False,
) -> Any:
    """A field of `Config`, or of what another command takes.

    Args:
        default: its value where no flag is given.
        help: one line for `--help`.
        choices: legal strings.
        minimum: smallest legal number.
        maximum: largest legal number.
        free: whether a run may be resumed with another value, since it changes what is
            written or how long, but not what is computed.
        aliases: former name of a choice -> its name now.
        parse: what makes the value of what is given, such as `Size.of`, or of a path
            `paths.place`; raises ValueError with the rule, "must be ...".
        former: what the flag was called before; still understood.
        required: whether it must be given.
        repeated: whether the flag may be given several times, a tuple's element each;
            `parse` is of an element then.
    """
    limits = {"choices": choices, "minimum": minimum, "maximum": maximum}
    return dataclasses.field(
        default=default,
        metadata={
            "help": help,
            "free": free,
            "aliases": aliases or {},
            "parse": parse,
            "former": former,
            "required": required,
            "repeated": repeated,
            **limits,
        },
    )


def to_text(value):
    """A value as the text of a flag."""
    if isinstance(value, tuple) and not isinstance(value, Size):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def parsed(field, value):
    """The value of a field, of what was given for it.

    Raises:
        ValueError: naming the flag, if nothing can be made of it.
    """
    rule = field.metadata
    if value is None and rule["required"]:
        raise ValueError(f"--{field.name} must be given.")
    if value is None and field.default is not None:
        raise ValueError(f"--{field.name} must have a value. Received: None.")
    if value is None:
        return None
    if rule["parse"]:
        try:
            if rule["repeated"]:
                return tuple(map(rule["parse"], value))
            return rule["parse"](value)
        except ValueError as error:
            received = f"Received: {field.name}={value!r}."
            raise ValueError(f"--{field.name} {error}. {received}") from None
    value = _of_type(field, value)
    return rule["aliases"].get(value, value) if rule["aliases"] else value


_KINDS = {
    str: ("text", str),
    bool: ("true or false", bool),
    int: ("a whole number", numbers.Integral),
    float: ("a number", numbers.Real),
    tuple: ("a list", tuple | list),
}


def _of_type(field, value):
    """A value from Python as a flag would give it: paths are texts, lists are tuples."""
    kind = type_of(field)
    said, legal = _KINDS[kind]
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    is_number = kind in (int, float)
    if not isinstance(value, legal) or (is_number and isinstance(value, bool)):
        raise ValueError(f"--{field.name} must be {said}. Received: {value!r}.")
    if kind is tuple and not value and field.default is None:
        # An empty flag is none, of which the default stands; some have a word for it.
        return ("none",) if "none" in (field.metadata["choices"] or ()) else None
    if kind is tuple:
        return tuple(_element(field, one) for one in value)
    # As a flag would give it, NumPy's numbers too.
    return kind(value) if is_number else value


def _element(field, value):
    """One of a list, as `_of_type` has it."""
    kind = float if "float" in str(field.type) else str
    said, legal = _KINDS[kind]
    if not isinstance(value, legal) or isinstance(value, bool):
        raise ValueError(
            f"--{field.name} must be a list, each {said}. Received: {value!r}."
        )
    return kind(value)


def whole_number(name, value, minimum=None):
    """A whole number from Python, NumPy's too, as an int.

    Args:
        name: of its flag.
        value: what is given.
        minimum: smallest legal number.

    Raises:
        ValueError: naming the flag.
    """
    said = "a whole number" + ("" if minimum is None else f", at least {minimum}")
    is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_whole or (minimum is not None and value < minimum):
        raise ValueError(f"--{name} must be {said}. Received: {value!r}.")
    return int(value)


def bits(text):
    """Bits of a channel from their text; raises ValueError with the rule."""
    if str(text) not in ("8", "16"):
        raise ValueError("must be 8 or 16")
    return int(text)


def number_or_auto(value):
    """A positive number from its text, or "auto"; raises ValueError with the rule."""
    if value == "auto":
        return value
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0.0 < number < math.inf:
        raise ValueError("must be a positive number, or auto")
    return number


def value_range(text):
    """Text of a range of values, checked: "full", "percentiles", or "low,high".

    Raises:
        ValueError: with the rule, if it is none of these.
    """
    if text in ("full", "percentiles"):
        return text
    try:
        low, high = map(float, str(text).split(","))
    except ValueError:
        low = high = 0.0
    if not (low < high and math.isfinite(high - low)):
        raise ValueError("must be full, percentiles, or two rising numbers, as 0,4095")
    return str(text)


def check(field, value):
    """Raises ValueError, naming the flag, if a value is beyond its field's limits."""
    if value is None:
        return
    rule = field.metadata
    values = value if isinstance(value, tuple) else (value,)
    if rule["choices"] and set(values) - set(rule["choices"]):
        raise ValueError(
            f"--{field.name} must be one of: {', '.join(rule['choices'])}. "
            f"Received: {field.name}={value!r}."
        )
    if rule["choices"] and len(set(values)) < len(values):
        raise ValueError(
            f"--{field.name} must name each once. Received: {field.name}={value!r}."
        )
    for number in values:
        low, high = rule["minimum"], rule["maximum"]
        if isinstance(number, float) and not math.isfinite(number):
            raise ValueError(
                f"--{field.name} must be finite. Received: {field.name}={value}."
            )
        if (low is not None and number < low) or (high is not None and number > high):
            bounds = f"at least {low}" + ("" if high is None else f", at most {high}")
            raise ValueError(
                f"--{field.name} must be {bounds}. Received: {field.name}={value}."
            )


@dataclasses.dataclass(frozen=True)
class Settings:
    """A frozen dataclass whose fields `setting` made: legal values, and flags."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = parsed(field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)
            check(field, value)

    # Name -> value, as of version 0.1, of what is found in files where it is left open.
    found_in_files: ClassVar = MappingProxyType({})

    @classmethod
    def names(cls):
        """Names of the settings, in order."""
        return [field.name for field in dataclasses.fields(cls)]

    def as_others_have_it(self):
        """name -> value of what a process must have in common with those it works with:
        places are each machine's own."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.metadata["parse"] is not paths.place
        }

    def with_defaults(self):
        """The same, as it was meant before these settings were there."""
        return self.replace(
            **{
                name: value
                for name, value in self.found_in_files.items()
                if getattr(self, name) is None
            }
        )

    def replace(self, **changes):
        """A copy with other values."""
        return dataclasses.replace(self, **changes)

    def differences(self, other):
        """Settings in which a resumed run must not differ: name -> (self's, other's)."""
        names = [f.name for f in dataclasses.fields(self) if not f.metadata["free"]]
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in names}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def going_on_from(self, before, iteration):
        """The same, as run.cfg is to have it where a run with other settings goes on.

        Args:
            before: those settings.
            iteration: of the checkpoint that it goes on from.
        """
        return self

    def to_json(self):
        """name -> value, as JSON can hold it."""
        return {
            name: value.to_json() if isinstance(value, Size) else value
            for name, value in vars(self).items()
        }

    def unwritable(self):
        """Names of the settings that a file of flags would not give back."""
        return [
            field.name
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), str)
            and (value != " ".join(value.strip().splitlines()) or not _is_utf8(value))
        ]

    def to_flagfile(self):
        """The text of `run.cfg`: one flag a line, those that are not empty."""
        lines = ["# pan_tf run; replay with --flagfile=run.cfg --run_dir=NEW"]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name != "dry_run":
                lines.append(f"--{field.name}={to_text(value)}")
        return "\n".join(lines) + "\n"

    @classmethod
    def from_flagfile(cls, path):
        """Reads a file of flags; see `flagfiles.read`."""
        return flagfiles.read(cls, path)


def _is_utf8(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
