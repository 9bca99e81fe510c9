"""Commands in the process of the test: TensorFlow is imported once."""

import contextlib
import io
import types

import pytest

from pan_tf import cli


def refused(name, *flags):
    """The sentence with which a command refuses its flags."""
    with pytest.raises(SystemExit) as error:
        cli.run(name, list(flags))
    assert isinstance(error.value.code, str), "It succeeded."
    return error.value.code


def finish(name, *flags):
    """What a command prints, and the status that it ends with, as of a process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.run(name, list(flags)) or 0
        except SystemExit as stopped:
            status = stopped.code
            if isinstance(status, str):
                status = print(status, file=err) or 1
    return types.SimpleNamespace(
        returncode=status, stdout=out.getvalue(), stderr=err.getvalue()
    )
