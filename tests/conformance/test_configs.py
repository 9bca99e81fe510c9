"""Every .cfg says what it is, parses, and dry-runs."""

import pathlib

import pytest

from pan_tf import dry_run
from pan_tf.config import Config

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.cfg"))

every_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


@every_config
def test_header_names_the_command(path):
    header = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any(f"--flagfile=configs/{path.name}" in line for line in header)


@every_config
def test_lines_are_flags_or_comments(path):
    """A line without -- would silently be taken for an argument."""
    for line in path.read_text().splitlines():
        assert not line.strip() or line.startswith(("#", "--")), line
        assert line.startswith("#") or "#" not in line, line


@every_config
def test_its_networks_are_described(path, capsys):
    dry_run.describe(Config.from_flagfile(path))
    assert "trainable parameters" in capsys.readouterr().out
