"""What a setting is: its limits, its help, and its value as text."""

import dataclasses


def setting(default, help, choices=None, minimum=None, maximum=None, free=False):
    """A field of `Config`.

    Args:
        default: its value where no flag is given.
        help: one line for `--help`.
        choices: legal strings.
        minimum: smallest legal number.
        maximum: largest legal number.
        free: whether a run may be resumed with another value, since it changes what is
            written or how long, but not what is computed.
    """
    limits = {"choices": choices, "minimum": minimum, "maximum": maximum}
    return dataclasses.field(
        default=default, metadata={"help": help, "free": free, **limits}
    )


def type_of(field):
    """str, int, float, bool or tuple; None is legal where it is the default."""
    for kind in (tuple, bool, int, float):
        if kind.__name__ in str(field.type):
            return kind
    return str


def to_text(value):
    """A value as the text of a flag."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def from_text(kind, text):
    """The value of a flag's text, of a type that `type_of` gives.

    Raises:
        ValueError: if it is not one.
    """
    if kind is bool:
        return text == "true"
    if kind is tuple:
        try:
            return tuple(float(number) for number in text.split(","))
        except ValueError:
            raise ValueError(
                f"--lambdas must be numbers. Received: lambdas={text!r}."
            ) from None
    return kind(text)


def check(field, value):
    """Raises ValueError, naming the flag, if a value is beyond its field's limits."""
    if value is None:
        return
    rule = field.metadata
    if rule["choices"] and value not in rule["choices"]:
        raise ValueError(
            f"--{field.name} must be one of: {', '.join(rule['choices'])}. "
            f"Received: {field.name}={value!r}."
        )
    for number in value if isinstance(value, tuple) else (value,):
        low, high = rule["minimum"], rule["maximum"]
        if (low is not None and number < low) or (high is not None and number > high):
            bounds = f"at least {low}" + ("" if high is None else f", at most {high}")
            raise ValueError(
                f"--{field.name} must be {bounds}. Received: {field.name}={value}."
            )
