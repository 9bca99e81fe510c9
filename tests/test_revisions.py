"""Runs of networks that were others by the same names are recognised, not loaded."""

import json
import pathlib

import pytest

from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.inference import Translator
from pan_tf.networks.revisions import revision
from pan_tf.run_folder import RunFolder
from pan_tf.training import StopRequest
from pan_tf.training import Training

DATA = {"name": "maps", "fingerprint": "abc"}
KINDS = [
    (name, kind)
    for name, recipe in recipes.RECIPES.items()
    for kind in recipe.transformers
]
# T of all of these left its activations out.
WRONG = ("deraining_transformer", "id_cgan_transformer", "manipulation_transformer")


def run_of(path, config, recorded):
    """A run folder; `recorded` None for one from before revisions were recorded."""
    folder = RunFolder(path)
    folder.start(config, DATA, [], recorded)
    if recorded is None:
        manifest = json.loads((path / "manifest.json").read_text())
        del manifest["revisions"]
        manifest["git"] = "f96f81b"
        (path / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_old_runs_are_refused_where_their_network_was_another(name, kind, tmp_path):
    config = Config(recipe=name, transformer=kind, image_size=256)
    folder = run_of(tmp_path / "run", config, None)
    builder = networks.original(recipes.RECIPES[name].transformers[kind])
    if builder.__name__ not in WRONG:
        recipes.check_revisions(config, folder)
        return
    with pytest.raises(ValueError, match=f"whose {builder.__name__} had no") as caught:
        recipes.check_revisions(config, folder)
    message = str(caught.value)
    assert str(folder.path) in message and "f96f81b" in message
    assert "no tanh at its end" in message or "no ReLU in its residual" in message


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_todays_runs_are_welcome(name, kind, tmp_path):
    config = Config(recipe=name, transformer=kind, image_size=256)
    folder = run_of(tmp_path / "run", config, recipes.revisions(config))
    recipes.check_revisions(config, folder, to_train=True)


def test_a_new_folder_is_welcome(tmp_path):
    recipes.check_revisions(Config(), RunFolder(tmp_path / "new"), to_train=True)


def test_losses_that_changed_only_stop_a_run_from_going_on(tmp_path):
    config = Config(recipe="context_encoder", image_size=128)
    folder = run_of(tmp_path / "run", config, None)
    recipes.check_revisions(config, folder)
    with pytest.raises(ValueError, match=r"multiplied D's loss by \.001 too"):
        recipes.check_revisions(config, folder, to_train=True)


def test_a_run_of_a_newer_version_is_refused(tmp_path):
    config = Config()
    recorded = recipes.revisions(config)
    recorded["transformer"][1] += 1
    folder = run_of(tmp_path / "run", config, recorded)
    with pytest.raises(ValueError, match="pan_transformer is of revision 2, newer than"):
        recipes.check_revisions(config, folder)


def test_a_run_of_a_network_by_another_name_is_refused(tmp_path):
    config = Config()
    recorded = recipes.revisions(config) | {"discriminator": ["another", 1]}
    folder = run_of(tmp_path / "run", config, recorded)
    with pytest.raises(ValueError, match="is another where this one has pan_discrim"):
        recipes.check_revisions(config, folder)


def test_of_several_changes_those_since_the_run_are_told():
    @revision(3, {1: "had no end", 2: "had no middle"})
    def build():
        pass

    assert networks.what_changed(build, 1) == "had no end; then had no middle"
    assert networks.what_changed(build, 2) == "had no middle"


def test_translating_by_an_old_run_is_refused(tmp_path):
    config = Config(recipe="pan", transformer="deraining", image_size=64)
    run_of(tmp_path / "run", config, None)
    with pytest.raises(ValueError, match="no tanh at its end"):
        Translator(tmp_path / "run")


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe": "pan", "transformer": "deraining"},
        {"recipe": "context_encoder", "synthesize": "hole", "batch_size": 4},
    ],
)
def test_going_on_with_an_old_run_is_refused_and_leaves_it_alone(settings, tmp_path):
    config = Config(
        dataset="bluemarble", image_size=64, run_dir=str(tmp_path / "run"), **settings
    )
    run_of(tmp_path / "run", recipes.complete(config), None)
    before = {p: p.read_bytes() for p in pathlib.Path(tmp_path / "run").iterdir()}
    with pytest.raises(ValueError, match="is a run of another pan_tf"):
        Training(config, StopRequest())
    after = {p: p.read_bytes() for p in pathlib.Path(tmp_path / "run").iterdir()}
    assert before == after


def test_a_run_records_what_it_is(tmp_path):
    config = Config(recipe="pan", transformer="deraining", image_size=64)
    assert recipes.revisions(config) == {
        "transformer": ["deraining_transformer", 2],
        "discriminator": ["pan_discriminator", 1],
        "recipe": ["pan", 1],
    }
