"""Commands in the process of the test: TensorFlow is imported once."""

import pytest

from pan_tf import cli


def refused(name, *flags):
    """The sentence with which a command refuses its flags."""
    with pytest.raises(SystemExit) as error:
        cli.run(name, list(flags))
    assert isinstance(error.value.code, str), "It succeeded."
    return error.value.code
