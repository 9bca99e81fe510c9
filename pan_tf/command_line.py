"""What the commands share: `Config` as flags, and how a command is run."""

from absl import app
from absl import flags

from pan_tf import settings
from pan_tf.config import Config


def define_flags():
    """Defines one absl flag for each setting."""
    settings.define_flags(Config)
    flags.adopt_module_key_flags(settings)


def config_from_flags(**changes):
    """The `Config` that the command line asks for.

    Raises:
        ValueError: if a setting is not legal.
    """
    return settings.from_flags(Config, **changes)


def run(main):
    """Parses the flags, in which an empty value takes a value back, and calls `main`."""
    settings.accept_empty()
    app.run(main)
