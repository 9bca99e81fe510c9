"""Every .cfg says what it is, parses, and dry-runs."""

import pathlib
import re

import pytest

from pan_tf import bundled
from pan_tf import dry_run
from pan_tf import recipes
from pan_tf.cli import parsing
from pan_tf.config import RECIPE_NAMES
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
    dry_run.describe(Config.from_flagfile(path).replace(width=1 / 64))
    assert "trainable parameters" in capsys.readouterr().out


def commands_of_the_readme():
    """Arguments of `pan-tf train` in the README's table of systems."""
    text = (ROOT / "README.md").read_text()
    found = re.findall(r"^\| `(--task=[^`]+)` \| (.*) \|$", text, re.M)
    assert len(found) >= 10
    return found


@pytest.mark.parametrize("arguments, said", commands_of_the_readme())
def test_systems_of_the_readme_are_what_it_says(arguments, said):
    config, _ = parsing.parse(Config, arguments.split(), "", "train")
    recipes.resolve(config)
    names = {*bundled.tasks(), *RECIPE_NAMES}
    flags = ("prepare_data", "--")
    for name in re.findall("`([^`]+)`", said):
        name = name.removeprefix("--recipe=")
        assert name in names or name.startswith(flags), name
    for word, system in {"VGG\\*-GAN": "vgg_star_gan", "CycleGAN;": "cyclegan"}.items():
        if said.startswith(word):
            assert config.recipe == system
