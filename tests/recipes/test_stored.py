"""A run is what its system.json says, whatever the table says by then."""

import dataclasses
import functools
import json

import pytest

from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.inference import Translator
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.recipes import system as systems
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.training import StopRequest
from pan_tf.runs.training import Training

DATA = {"name": "maps", "fingerprint": "abc"}
ROLES = [
    (name, role)
    for name, recipe in recipes.RECIPES.items()
    for role in recipe.transformers
]
# T of all of these left its activations out up to f96f81b.
WRONG = ("deraining_transformer", "id_cgan_transformer", "manipulation_transformer")


def config_of(name, role=None, **changes):
    if "fill" in (role, recipes.RECIPES[name].role):
        changes |= {"synthesize": "hole", "batch_size": 4}
    return Config(recipe=name, transformer=role, **changes)


def run_of(path, config, system=None):
    """A run folder that is begun, with a `System`; without, as version 0.1 made it."""
    folder = RunFolder(path)
    folder.start(config, DATA, [], system and system.to_json())
    folder.checkpoints.mkdir()
    (folder.checkpoints / "ckpt-1.index").touch()
    if system is None:
        change(path / "manifest.json", lambda manifest: manifest.update(git="f96f81b"))
    return folder


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def change(path, edit):
    """Edits a file of JSON."""
    found = json.loads(path.read_text())
    edit(found)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize(("name", "role"), ROLES)
def test_a_system_is_what_it_was_after_json(name, role):
    system = recipes.resolve(config_of(name, role))
    text = json.dumps(system.to_json())
    assert recipes.System.from_json(json.loads(text)) == system


@pytest.mark.parametrize(("name", "role"), ROLES)
def test_old_runs_are_refused_where_their_network_was_another(name, role, tmp_path):
    config = config_of(name, role)
    folder = run_of(tmp_path / "run", config)
    builder = networks.original(recipes.RECIPES[name].transformers[role])
    if builder.__name__ not in WRONG:
        assert recipes.stored(config, folder) == recipes.resolve(config)
        return
    with pytest.raises(ValueError, match=f"whose {builder.__name__} had no") as caught:
        recipes.stored(config, folder)
    message = str(caught.value)
    assert str(folder.path) in message and "f96f81b" in message
    assert "no tanh at its end" in message or "no ReLU in its residual" in message


def test_a_run_of_0_1_that_recorded_revisions_is_looked_at_by_them(tmp_path):
    config = Config(transformer="restore")
    folder = run_of(tmp_path / "run", config)
    recorded = {"transformer": ["deraining_transformer", 2], "recipe": ["pan", 1]}
    path = tmp_path / "run" / "manifest.json"
    change(path, lambda manifest: manifest.update(revisions=recorded))
    assert recipes.stored(config, folder) == recipes.resolve(config)
    recorded["transformer"][0] = "another"
    change(path, lambda manifest: manifest.update(revisions=recorded))
    with pytest.raises(ValueError, match="is another where this one has deraining_tr"):
        recipes.stored(config, folder)


def test_a_run_of_0_1_normalizes_as_its_manifest_says(tmp_path):
    config = Config()
    folder = run_of(tmp_path / "run", config)
    folder.note("inference", {"batch_normalization": "image"})
    system = recipes.stored(config, folder)
    assert system.bn_statistics == system.transformer.arguments["statistics"] == "image"


def test_a_run_without_its_system_is_taken_from_the_table_aloud(tmp_path, caplog):
    config = recipes.complete(Config(recipe="pix2pix"))
    folder = run_of(tmp_path / "run", config)
    assert recipes.stored(config, folder) == recipes.resolve(config)
    assert "has no system.json" in caplog.text and "pix2pix" in caplog.text
    caplog.clear()
    recipes.check_stored(config, folder)
    assert "has no system.json" in caplog.text


def test_a_lost_system_is_not_replaced_by_another_of_the_table(tmp_path, monkeypatch):
    config = recipes.complete(Config(recipe="pix2pix"))
    folder = run_of(tmp_path / "run", config)
    row = recipes.RECIPES["pix2pix"]
    losses = tuple(dataclasses.replace(term, weight=7.0) for term in row.terms)
    changed = dataclasses.replace(row, terms=losses)
    monkeypatch.setitem(recipes.RECIPES, "pix2pix", changed)
    for use in (recipes.stored, recipes.check_stored):
        with pytest.raises(ValueError, match="run has lost its system") as caught:
            use(config, folder)
        assert "Restore that file" in str(caught.value)


@pytest.mark.parametrize(("name", "role"), ROLES)
def test_todays_runs_are_welcome(name, role, tmp_path):
    config = config_of(name, role)
    system = recipes.resolve(config)
    folder = run_of(tmp_path / "run", config, system)
    recipes.check_stored(config, folder)
    assert recipes.stored(config, folder) == system


def test_a_new_folder_is_welcome(tmp_path):
    recipes.check_stored(Config(), RunFolder(tmp_path / "new"))


def test_what_was_never_trained_begins_as_it_is_today(tmp_path):
    """As after a start that a faulty row ended."""
    config = Config()
    before = dataclasses.replace(recipes.resolve(config), learning_rate=1.0)
    folder = run_of(tmp_path / "run", config, before)
    with pytest.raises(ValueError, match=r"learning_rate: 1\.0 there"):
        recipes.check_stored(config, folder)
    (folder.checkpoints / "ckpt-1.index").unlink()
    recipes.check_stored(config, folder)
    folder.start(config, DATA, [], recipes.resolve(config).to_json())
    assert recipes.stored(config, folder) == recipes.resolve(config)


def test_losses_that_changed_only_stop_a_run_from_going_on(tmp_path):
    config = config_of("context_encoder", image_size=128)
    folder = run_of(tmp_path / "run", config)
    recipes.stored(config, folder)
    with pytest.raises(ValueError, match=r"multiplied D's loss by \.001 too"):
        recipes.check_stored(config, folder)
    before = dataclasses.replace(recipes.resolve(config), revision=1)
    folder = run_of(tmp_path / "other", config, before)
    with pytest.raises(ValueError, match=r"multiplied D's loss by \.001 too"):
        recipes.check_stored(config, folder)


@pytest.mark.parametrize("number", [-3, "a", None, 0.5])
def test_a_revision_that_never_was_is_a_difference(number, tmp_path):
    config = config_of("context_encoder", image_size=128)
    folder = run_of(tmp_path / "run", config, recipes.resolve(config))
    change(tmp_path / "run" / "system.json", lambda s: s.update(revision=number))
    with pytest.raises(ValueError, match=f"revision: {number} there, 2 now"):
        recipes.check_stored(config, folder)


def another_margin(row):
    adversarial, _ = row.terms
    terms = (adversarial, PerceptualAdversarialLoss(margin=7.0))
    return dataclasses.replace(row, terms=terms)


def another_discriminator(row):
    wide = functools.partial(row.discriminator, first_stddev=0.1)
    return dataclasses.replace(row, discriminator=wide)


@pytest.mark.parametrize(
    ("change_row", "difference"),
    [
        (another_margin, "terms.perceptual_adversarial.margin: 2.0 there, 7.0 now"),
        (
            another_discriminator,
            "discriminator.arguments.first_stddev: None there, 0.1 now",
        ),
        (
            lambda row: dataclasses.replace(row, learning_rate=1e-3),
            "learning_rate: 0.0002 there, 0.001 now",
        ),
    ],
)
def test_a_change_of_the_table_stops_a_run_and_is_named(
    tmp_path, monkeypatch, change_row, difference
):
    config = Config()
    before = recipes.resolve(config)
    folder = run_of(tmp_path / "run", config, before)
    changed = change_row(recipes.RECIPES["pan"])
    monkeypatch.setitem(recipes.RECIPES, "pan", changed)
    with pytest.raises(ValueError, match="another pan") as caught:
        recipes.check_stored(config, folder)
    assert difference in str(caught.value)
    assert recipes.stored(config, folder) == before  # And it translates as before.


def test_a_replay_by_another_table_is_refused(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path / "run")
    config = recipes.complete(Config())
    folder.start(config, DATA, [])
    path = tmp_path / "run" / "run.cfg"
    again = Config.from_flagfile(path)
    assert recipes.complete(again.replace(margin=5.0)).margin == 5.0
    monkeypatch.setitem(recipes.RECIPES, "pan", another_margin(recipes.RECIPES["pan"]))
    with pytest.raises(ValueError, match="is of another pan than that of this version"):
        recipes.complete(again)
    assert recipes.complete(again.replace(recipe_digest=None))


def test_the_digest_knows_all_roles_of_a_row_and_the_revisions_of_its_networks(
    monkeypatch,
):
    row = recipes.RECIPES["pan"]
    before = systems.digest(row)
    assert before == systems.digest(dataclasses.replace(row))
    declared = networks.declaration(networks.deraining_transformer)
    newer = dataclasses.replace(declared, revision=declared.revision + 1)
    monkeypatch.setattr(networks.deraining_transformer, "declaration", newer)
    assert systems.digest(row) != before


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda s: s["transformer"].update(revision=2),
            "pan_transformer is of revision 2, newer than the 1 here",
        ),
        (lambda s: s["transformer"].update(builder="swin"), "there is no swin here"),
        (
            lambda s: s["discriminator"]["arguments"].update(depth=3),
            "pan_discriminator takes no depth here",
        ),
        (
            lambda s: s["discriminator"].update(revision=None),
            "pan_discriminator has the revision None",
        ),
        (lambda s: s["terms"][0].update(term="Lpips"), "there is no Lpips here"),
        (lambda s: s["terms"][1].update(sharp=1), "AdversarialLoss takes no sharp"),
        (lambda s: s.update(diffusion=1), "without a meaning here: diffusion"),
        (lambda s: s.pop("terms"), "it lacks, .*: terms"),
    ],
)
def test_what_is_not_known_here_is_named(tmp_path, edit, message):
    config = Config()
    terms = recipes.resolve(config).terms[::-1]
    system = dataclasses.replace(recipes.resolve(config), terms=terms)
    folder = run_of(tmp_path / "run", config, system)
    change(tmp_path / "run" / "system.json", edit)
    with pytest.raises(
        ValueError, match=f"is a run of another pan_tf, whose .*{message}"
    ):
        recipes.stored(config, folder)


@pytest.mark.parametrize("course", ["text", 3, [], {"fade": 0.1}])
def test_a_damaged_course_is_told(course, tmp_path):
    config = Config(recipe="pan_plus", iterations=100)
    folder = run_of(tmp_path / "run", config, recipes.resolve(config))
    change(tmp_path / "run" / "system.json", lambda s: s.update(course=course))
    with pytest.raises(ValueError, match="is a run of another pan_tf, whose "):
        recipes.check_stored(config, folder)


def test_of_several_changes_those_since_the_run_are_told():
    earlier = {1: "had no end", 2: "had no middle"}
    declared = networks.Declaration(revision=3, earlier=earlier)
    assert declared.what_changed(1) == "had no end; then had no middle"
    assert declared.what_changed(2) == "had no middle"


def test_translating_by_an_old_run_is_refused(tmp_path):
    config = Config(recipe="pan", transformer="restore", image_size=64)
    run_of(tmp_path / "run", config)
    with pytest.raises(ValueError, match="no tanh at its end"):
        Translator(tmp_path / "run")


@pytest.mark.parametrize(
    "settings",
    [
        {"recipe": "pan", "transformer": "restore"},
        {"recipe": "context_encoder", "synthesize": "hole", "batch_size": 4},
    ],
)
def test_going_on_with_an_old_run_is_refused_and_leaves_it_alone(settings, tmp_path):
    config = Config(
        dataset="bluemarble", image_size=64, run_dir=str(tmp_path / "run"), **settings
    )
    run_of(tmp_path / "run", recipes.complete(config))
    before = contents(tmp_path / "run")
    with pytest.raises(ValueError, match="is a run of another pan_tf"):
        Training(config, StopRequest())
    assert contents(tmp_path / "run") == before
