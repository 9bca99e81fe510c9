"""How this program was called, so that its messages name commands as they are called."""

import re
import shlex

# From a wheel, and from Python; `scripts/*.py` and `python -m pan_tf` say otherwise.
_form = ["pan-tf {}"]


def called_as(form):
    """Says how commands are called.

    Args:
        form: such as "python scripts/{}.py".
    """
    _form[:] = [form]


def command(name, *arguments):
    """A command line, as it has to be typed here.

    >>> command("train", "--recipe=pan")
    'pan-tf train --recipe=pan'
    """
    return " ".join([_form[0].format(name), *map(_quoted, arguments)])


def _quoted(argument):
    """An argument as a shell takes it; a flag's name is not within the quotes."""
    flag, sign, value = argument.partition("=")
    return flag + sign + shlex.quote(value) if sign else argument


def as_called(text):
    """A text whose commands are written `pan-tf NAME`, as they are called here."""
    return re.sub(r"\bpan-tf ([a-z]\w+)", lambda found: command(found[1]), text)
