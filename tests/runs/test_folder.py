import json
import subprocess

import pytest

from pan_tf import files
from pan_tf.config import Config
from pan_tf.data.geometry import Geometry
from pan_tf.images import ImageSpec
from pan_tf.runs import folder
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError

DATA = {"name": "maps", "fingerprint": "abc"}


@pytest.fixture
def run(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.start(Config(dataset="maps"), DATA, ["CPU:0"])
    return run


def test_manifest_says_what_was_run(run):
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["flags"]["recipe"] == "pan"
    assert manifest["data"] == DATA
    assert {"tensorflow", "keras", "python"} <= manifest["versions"].keys()
    assert manifest["hardware"]["devices"] == ["CPU:0"]
    assert manifest["seed"] == 1 and "git" in manifest


def test_every_start_is_noted_and_the_first_kept(run):
    first = json.loads((run.path / "manifest.json").read_text())["started"]
    run.start(Config(dataset="maps"), DATA, ["CPU:0"])
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["started"] == first and len(manifest["starts"]) == 2


@pytest.mark.parametrize(
    "edit", [{"data": "maps"}, {"starts": 3}, {"vgg": [1]}, {"revisions": "a"}]
)
def test_a_damaged_manifest_is_named(edit, run):
    path = run.path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    (name,) = edit
    with pytest.raises(ValueError, match=rf"manifest\.json is damaged: its '{name}' is"):
        run.known_data()


def test_a_beginning_that_would_not_be_heard_is_refused(run):
    begun = Config(dataset="maps", init_from="other")
    run.check(begun)  # Nothing is there yet: it begins with that.
    run.checkpoints.mkdir()
    (run.checkpoints / "ckpt-4.index").touch()
    run.check(Config(dataset="maps"))
    with pytest.raises(RunFolderError, match="--init_from: None there, other now"):
        run.check(begun)


def test_iterations_that_were_trained_stay_in_run_cfg(run):
    run.start(Config(dataset="maps", iterations=16), DATA, ["CPU:0"])
    run.checkpoints.mkdir()
    (run.checkpoints / "ckpt-16.index").touch()
    run.start(Config(dataset="maps", iterations=8), DATA, ["CPU:0"])
    assert run.config().iterations == 16
    run.start(Config(dataset="maps", iterations=32), DATA, ["CPU:0"])
    assert run.config().iterations == 32
    # What was asked for only was not trained, and would make a replay another run.
    run.start(Config(dataset="maps", iterations=20), DATA, ["CPU:0"])
    assert run.config().iterations == 20


@pytest.mark.parametrize(
    ("names", "is_lost"),
    [
        (["result.json"], True),
        (["checkpoints/best/transformer-9.index"], True),
        # A kill between a validation and the first checkpoint.
        (["checkpoints/best/transformer-8.index"], False),
        (["result.json", "checkpoints/ckpt-8.index"], False),
    ],
)
def test_a_run_that_lost_its_checkpoints_is_not_trained_over(names, is_lost, run):
    config = Config(dataset="maps", save_every=8)
    run.start(config, DATA, ["CPU:0"])
    for name in names:
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_text("{}")
    if not is_lost:
        return run.check(config)
    with pytest.raises(RunFolderError, match=r"has lost the checkpoints .*ckpt-\*"):
        run.check(config)


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9", "pairs ", "a\x85b"])
def test_a_name_that_run_cfg_would_not_give_back_is_refused(tmp_path, name):
    config = Config(dataset="folder", data_dir=name)
    with pytest.raises(RunFolderError, match=r"^--data_dir='.*' cannot be written into"):
        RunFolder(tmp_path / "new").check(config)


def test_other_names_come_back_from_run_cfg(tmp_path):
    for name in ("a b", "写真", "#a", "//b", "--c", "a=b", "a,b", "'q'"):
        config = Config(dataset="folder", data_dir=name)
        assert not config.unwritable()
        (tmp_path / "run.cfg").write_text(config.to_flagfile())
        assert Config.from_flagfile(tmp_path / "run.cfg").data_dir == name


def test_the_same_configuration_is_welcome(run):
    run.check(Config(dataset="maps", iterations=5, save_every=7))
    run.check_data("abc")


def test_another_configuration_is_refused_by_its_flags(run):
    with pytest.raises(RunFolderError) as caught:
        run.check(Config(dataset="maps", seed=5, margin=1.0))
    message = str(caught.value)
    assert "--seed: 1 there, 5 now" in message
    assert "--margin: None there, 1.0 now" in message
    assert "--theta" not in message


@pytest.mark.parametrize(
    ("name", "value"), [("name", None), ("fingerprint", 5), ("images", 5)]
)
def test_a_damaged_record_of_the_data_is_named(run, name, value):
    run.note("data", run.known_data() | {name: value})
    with pytest.raises(ValueError, match=rf"manifest.json is damaged: '{name}' of"):
        run.known_data()
    with pytest.raises(ValueError, match="A geometry that was kept is damaged"):
        Geometry.from_json({"preprocess": "foo"})
    with pytest.raises(ValueError, match="What was kept of images is damaged"):
        ImageSpec.from_json({"chanels": 3})


def test_what_failed_before_it_saved_binds_nobody(run):
    run.note("vgg", {"sha256": "abc"})
    other = Config(dataset="facades", seed=5)
    run.checkpoints.mkdir()
    saved = run.checkpoints / "ckpt-4.index"
    saved.write_text("")
    run.note_failure(ValueError("x"))
    with pytest.raises(RunFolderError, match="--seed: 1 there, 5 now"):
        run.check(other)
    saved.unlink()
    run.note_failure(ValueError("x"))
    run.check(other)
    assert run.with_found(other) == other and run.known_data() is None
    run.check_vgg("def")
    run.start(other, DATA, ["CPU:0"])
    with pytest.raises(RunFolderError, match="--seed: 5 there, 1 now"):
        run.check(Config(dataset="facades"))


def test_other_data_are_refused_once_there_is_a_checkpoint(run):
    run.check_data("def")  # Nothing was trained on the others.
    run.checkpoints.mkdir()
    (run.checkpoints / "ckpt-4.index").write_text("")
    with pytest.raises(RunFolderError, match="other files than maps"):
        run.check_data("def")


def test_more_or_fewer_images_are_counted(run):
    run.checkpoints.mkdir()
    (run.checkpoints / "ckpt-4.index").write_text("")
    splits = {"train": {"split": "train", "pairs": 8}, "validation": None}
    data = {**DATA, **splits, "fingerprint": "abc:1"}
    run.note("data", data)
    splits["train"] = {"split": "train", "pairs": 9}
    with pytest.raises(
        RunFolderError, match=r"differ; 8 train pairs when it began, 9 now\)"
    ):
        run.check_data("def:1", splits=splits)


def test_a_folder_of_something_else_is_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(RunFolderError, match=r"no run\.cfg"):
        RunFolder(tmp_path).check(Config())


def test_resuming_forgets_lines_that_will_be_written_again(run):
    for iteration in (10, 20, 30):
        run.append_metrics({"iteration": iteration})
    with open(run.path / "metrics.jsonl", "a") as file:
        file.write('{"iteration": 4')  # Killed while writing.
    run.forget_after(20)
    lines = (run.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [10, 20]


def test_lines_of_metrics_that_are_none_are_passed_over(run):
    lines = [b'{"iteration": 4, "t_pixel": 1.0}', b"null", b'{"note": "x"}', b"[1]"]
    lines += [b'{"iteration": 8, "note": "caf\xe9"}', b'{"iteration": 12, "t_pi']
    (run.path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    rows = run.read_metrics()
    assert [row["iteration"] for row in rows] == [4, 8] and not run.warnings()
    run.forget_after(8)
    assert run.read_metrics() == rows


@pytest.mark.parametrize("contents", ["", "[]", '{"data": '])
@pytest.mark.parametrize("name", ["manifest.json", "system.json"])
def test_a_damaged_record_is_named(run, name, contents):
    (run.path / name).write_text(contents)
    with pytest.raises(ValueError, match=f"run/{name} is damaged"):
        run.known_data() if name == "manifest.json" else run.system()


def test_what_a_run_began_with_stays_in_its_configuration(tmp_path):
    run = RunFolder(tmp_path / "run")

    def started(init_from):
        run.start(Config(dataset="maps", init_from=init_from), DATA, ["CPU:0"])
        manifest = json.loads((run.path / "manifest.json").read_text())
        assert manifest["flags"]["init_from"] == run.config().init_from
        return run.config().init_from

    assert started("killed before there was a checkpoint") is not None
    assert started(None) is None
    assert started("first") == "first"
    run.checkpoints.mkdir()
    (run.checkpoints / "ckpt-4.index").touch()
    assert started(None) == started("another") == "first"


@pytest.mark.parametrize("kind", ["a file", "a link to nothing"])
def test_a_place_that_cannot_be_a_folder_is_refused(tmp_path, kind):
    if kind == "a file":
        (tmp_path / "x").touch()
    else:
        (tmp_path / "x").symlink_to("unmounted")
    with pytest.raises(RunFolderError, match=f"--run_dir=.*x is {kind}"):
        RunFolder(tmp_path / "x").check(Config(dataset="maps"))
    for name in ("x", "x/below"):
        with pytest.raises(ValueError, match=f"--output_dir=.*x is {kind}"):
            files.check_output_dir(tmp_path / name)


def test_no_partial_file_stays_behind(run):
    import numpy as np

    run.save_picture("samples/0000004", np.zeros((4, 4, 3), np.uint8))
    assert (run.path / "samples" / "0000004.png").exists()
    assert not list(run.path.rglob("*partial*"))


def test_the_commit_is_that_of_our_own_checkout(tmp_path, monkeypatch):
    """Not of a repository that holds the environment in which the package lies."""

    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "theirs")
    package = tmp_path / "environment" / "pan_tf"
    package.mkdir(parents=True)
    monkeypatch.setattr(folder.bundled, "PACKAGE", package)
    assert folder._git_commit() is None
    own = tmp_path / "pan_tf"
    own.mkdir()
    monkeypatch.setattr(folder.bundled, "PACKAGE", own)
    assert len(folder._git_commit()) >= 40


def test_to_begin_with_another_run_than_it_did_is_refused(run):
    run.start(Config(dataset="maps", init_from="first"), DATA, ["CPU:0"])
    run.checkpoints.mkdir()
    (run.checkpoints / "ckpt-4.index").touch()
    run.check(Config(dataset="maps", init_from="./first"))
    with pytest.raises(RunFolderError, match="--init_from: first there, other now"):
        run.check(Config(dataset="maps", init_from="other"))


def test_warnings_that_differ_in_numbers_only_are_one(run):
    for iteration, text in ((4, "Since 2, x .5."), (8, "Blank."), (9, "Since 6, x .75.")):
        run.append_metrics({"iteration": iteration, "warning": text})
    assert run.warnings() == ["Since 2, x .5. (Said 2 times.)", "Blank."]


def test_where_a_best_t_was_saved_a_failure_lets_nobody_else_begin(run):
    (run.checkpoints / "best").mkdir(parents=True)
    (run.checkpoints / "best" / "transformer-4.index").touch()
    run.note_failure(ValueError("x"))
    with pytest.raises(RunFolderError, match="--seed: 1 there, 5 now"):
        run.check(Config(dataset="maps", seed=5))
