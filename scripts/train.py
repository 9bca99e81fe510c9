"""`pan-tf train`, from a clone."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from pan_tf import cli

cli.script(__file__)
