"""From a command line to options; what is wrong is named before anything is imported."""

import dataclasses
import os
import shlex
import subprocess
import sys

import pytest

from pan_tf import bundled
from pan_tf import calling
from pan_tf import cli
from pan_tf import habits
from pan_tf import image_files
from pan_tf import loading
from pan_tf.cli import parsing
from pan_tf.cli import train
from pan_tf.config import RECIPE_NAMES
from pan_tf.config import Config
from tests.commands import refused

ROOT = bundled.PACKAGE.parent


def parsed(*flags):
    return parsing.parse(Config, list(flags), "", "train")[0]


@pytest.fixture
def called_as():
    yield calling.called_as
    calling.called_as("pan-tf {}")


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_a_line_and_a_help(name, capsys):
    assert 10 < len(cli.summary(name)) < 80
    with pytest.raises(SystemExit) as stopped:
        cli.run(name, ["--help"])
    assert not stopped.value.code
    assert f"pan-tf {name}" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [[], ["--help"], ["help"]])
def test_the_overview_names_every_command(argv, capsys):
    cli.main(argv)
    out = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"    {name}" in out
    assert max(map(len, out.splitlines())) <= 100


def test_every_flag_is_in_the_help(capsys):
    with pytest.raises(SystemExit):
        cli.run("train", ["--help"])
    out = capsys.readouterr().out
    for field in dataclasses.fields(Config):
        assert f"--{field.name}" in out or f"--[no]{field.name}" in out


def test_a_command_that_does_not_exist():
    with pytest.raises(SystemExit, match=r"no command 'trian'\. Did you mean train"):
        cli.main(["trian"])
    with pytest.raises(SystemExit, match=r"no command 'test'\. Did you mean evaluate"):
        cli.main(["test"])


def test_a_hyphen_in_a_command_is_as_good():
    assert "One of --dataset, --edges_of and --shards" in refused("prepare-data")


def test_a_task_is_its_flagfile():
    path = bundled.folder("configs") / "derain.cfg"
    expected = Config.from_flagfile(path)
    assert parsed("--task=derain") == parsed("--task", "derain") == expected
    assert parsed("--task=derain", "--recipe=l1") == expected.replace(recipe="l1")


def test_the_quickstart_is_a_task_of_its_own():
    alone, both = (
        parsed("--task=quickstart"),
        parsed("--task=aerial2map", "--task=quickstart"),
    )
    assert alone == both  # They go on with each other's run.


def test_an_unknown_task():
    assert "Did you mean aerial2map?" in refused("train", "--task=aerial2mp")


def test_a_flagfile_that_is_not_there():
    message = refused("train", "--flagfile=configs/nowhere.cfg")
    assert "configs/nowhere.cfg" in message and "--task={aerial2map," in message


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--reciep=pan"], "Unknown command line flag 'reciep'. Did you mean: recipe"),
        (["--recipe=pna"], "flag --recipe=pna"),
        (["--seed=x"], "flag --seed=x: must be an integer in the range"),
        (["--noflip", "--verbose=no"], "flag --verbose=no: must be true or false"),
        (["stray"], "Unexpected arguments: stray"),
        (["--image_size=100"], "--image_size must be a multiple of"),
        (["--gpu_ids=0"], "--gpu_ids: all GPUs are used; CUDA_VISIBLE_DEVICES=0,1"),
        (["--name=x"], "--name: use --run_dir"),
        (["--dataroot=x"], "--dataroot: use --dataset=folder --data_dir=FOLDER."),
        (["--netG", "resnet_9blocks"], "--netG: use --transformer."),
        (["--n_epochs_decay=100"], "--n_epochs_decay: use --decay_start"),
    ],
)
def test_misuse_is_named(flags, message):
    assert message in refused("train", *flags)


@pytest.mark.parametrize("flag", ["--epochs=5", "--n_epochs=5", "--niter=5"])
def test_epochs_are_told_in_iterations(flag, tmp_path):
    assert "--iterations: an epoch is" in refused("train", flag)
    (tmp_path / "train").mkdir()
    for i in range(41):
        (tmp_path / "train" / f"{i}.jpg").touch()
    (tmp_path / "train" / "notes.txt").touch()
    flags = [flag, f"--data_dir={tmp_path}"]
    assert "epoch of your 41 pairs is 10 iterations of 4" in refused("train", *flags)
    # A task, or a flagfile, may say another batch.
    for file in ("--task=apple2orange", f"--flagfile={tmp_path / 'my.cfg'}"):
        (tmp_path / "my.cfg").write_text("--batch_size=16\n")
        assert "--iterations: an epoch is" in refused("train", file, *flags)
    flags.append("--batch_size=1")
    assert "epoch of your 41 pairs is 41 iterations of 1" in refused("train", *flags)


def test_help_for_flags_names_the_command_as_it_was_called(called_as):
    assert "pan-tf train --help lists the flags." in refused("train", "--nmae=x")
    called_as("python scripts/{}.py")
    message = refused("train", "--nmae=x")
    assert "python scripts/train.py --help lists the flags." in message
    assert "python scripts/train.py --task=aerial2map" in calling.as_called(train.__doc__)
    assert calling.as_called("pan_tf, pan-tf.") == "pan_tf, pan-tf."


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("translate", [], "Either --run_dir or --saved_model"),
        ("translate", ["--run_dir=x"], "--input must be given"),
        ("translate", ["--run_dir=x", "--input=y"], "--output must be given"),
        ("translate", ["--run_dir=x", "--input=y", "--output=z"], "--input=y is not"),
        ("translate", ["--run_dir=x", "--tile_size=-1"], "--tile_size"),
        ("translate", ["stray"], "Unexpected arguments: stray"),
        ("export", [], "--run_dir must be given"),
        ("export", ["--run_dir=x"], "--export_dir must be given"),
        ("export", ["--run_dir=x", "--export_dir=y"], "No run.cfg in x"),
        ("export", ["--max_pixls=9"], "Unknown command line flag 'max_pixls'"),
        ("evaluate", [], "--run_dir or --saved_model must name"),
        ("evaluate", ["--run_dir=nowhere"], "No run.cfg in nowhere"),
        ("evaluate", ["--run_dri=x"], "Unknown command line flag 'run_dri'"),
        ("evaluate", ["--saved_model=x"], "--dataset must be given"),
        ("evaluate", ["--metrics=psnr,x"], "--metrics"),
        ("evaluate", ["--run_dir=x", "--dfi_step=1"], "--dfi_step goes with --dfi"),
        ("doctor", ["--data_dir=nowhere"], "No train/"),
        ("doctor", ["--dataset=maps", "--nodownload"], "pan-tf prepare_data --dataset="),
        ("doctor", ["stray"], "Unexpected arguments: stray"),
        ("reproduce", [], "--table must be given"),
        ("reproduce", ["--table=pan9"], "--table"),
        ("reproduce", ["--table=pan4", "--budget=5"], "--budget must be"),
        ("user_study", [], "Either --output_dir"),
        ("user_study", ["--score=x", "--seed=2"], "--seed makes a study"),
        ("user_study", ["--output_dir=x", "--vgg=vgg16"], "--vgg goes with --dfi"),
        (
            "user_study",
            ["--output_dir=x", "--outputs=y"],
            "--outputs must be NAME=FOLDER",
        ),
        ("finetune_vgg", [], "--run_dir must be given"),
        ("prepare_data", [], "One of --dataset, --edges_of and --shards"),
        (
            "translate",
            ["--run_dir=r", "--input=i", "--output=o", "--workers=2"],
            "--workers and --beam_options go with --runner.",
        ),
        (
            "evaluate",
            ["--run_dir=r", "--beam_options=--x=1"],
            "--workers and --beam_options go with --runner.",
        ),
        (
            "train",
            ["--dataset=maps", "--nodownload"],
            "pan-tf prepare_data --dataset=maps",
        ),
        ("train", ["--dataset=folder", "--data_dir=nowhere"], "--data_dir=nowhere"),
    ],
)
def test_misuse_leaves_nothing(name, flags, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(name, *flags)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_fails_where_training_would(capsys):
    flags = ["--dataset=maps", "--nodownload", "--width=0.0625", "--dry_run"]
    assert "pan-tf prepare_data --dataset=maps" in refused("train", *flags)
    assert "trainable parameters" in capsys.readouterr().out


def test_the_client_is_a_command(capsys):
    with pytest.raises(SystemExit, match=r"nowhere\.png is not there"):
        cli.main(["client", "nowhere.png", "out.png"])


CALLS = [
    [sys.executable, "scripts/train.py"],
    [sys.executable, "-m", "pan_tf", "train"],
]


def test_help_is_there_without_docstrings():
    call = [sys.executable, "-OO", "-m", "pan_tf", "train", "--help"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "--iterations" in done.stdout


@pytest.mark.parametrize(("level", "is_quiet"), [(None, True), ("3", True), ("0", False)])
def test_a_wish_for_silence_is_none_for_noise(level, is_quiet):
    program = "from pan_tf import loading; print(loading._Hook.is_quiet)"
    env = {k: v for k, v in os.environ.items() if k != loading._LEVEL}
    env |= {} if level is None else {loading._LEVEL: level}
    call = [sys.executable, "-c", program]
    done = subprocess.run(call, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stdout == f"{is_quiet}\n"


@pytest.mark.parametrize("call", CALLS, ids=["script", "module"])
def test_help_and_errors_do_not_wait_for_tensorflow(call):
    call = [call[0], "-X", "importtime", *call[1:]]
    for flags in (["--help"], ["--epochs=3"]):
        done = subprocess.run([*call, *flags], cwd=ROOT, capture_output=True, text=True)
        assert "--iterations" in done.stdout + done.stderr
        assert done.returncode == (0 if flags == ["--help"] else 1)
        imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
        assert "absl.flags" in imported
        assert not imported & {"tensorflow", "keras", "tensorflow_datasets", "numpy"}


def test_every_command_but_the_client_has_a_script():
    texts = {path.stem: path.read_text() for path in (ROOT / "scripts").glob("*.py")}
    assert texts.keys() == {*cli.COMMANDS} - {"client"}
    for name, text in texts.items():
        assert f"`pan-tf {name}`" in text and "cli.script(__file__)" in text


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_a_recipes_batch_size_is_read_off_its_row(name):
    from pan_tf.recipes import RECIPES

    assert habits._batch_size(name) == RECIPES[name].batch_size


def test_the_images_counted_for_a_hint_are_those_that_are_read():
    assert sorted(habits._IMAGES) == sorted(image_files.ENDINGS)


@pytest.mark.parametrize(
    ("recipe", "said"), [("pan", "2 iterations of 4"), ("pix2pix", "10 iterations of 1")]
)
def test_an_epoch_is_that_of_the_recipe(recipe, said, tmp_path):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        for i in range(10):
            (tmp_path / f"train{side}" / f"{i}.png").touch()
    flags = ["--epochs", "5", "--data_dir", str(tmp_path), f"--recipe={recipe}"]
    assert f"your 10 pairs is {said}" in refused("train", *flags)


def test_a_flag_of_theirs_may_be_one_of_ours_denied():
    assert habits.hint("no_flip", [], Config.names()) == "--no_flip: use --noflip."


def test_a_command_can_be_copied_whatever_the_folder_is_called():
    made = calling.command("evaluate", "--run_dir=runs/my run [x]", "--all")
    assert shlex.split(made)[1:] == ["evaluate", "--run_dir=runs/my run [x]", "--all"]


@pytest.mark.parametrize(
    ("name", "flag"), [("translate", "--lr=1"), ("evaluate", "--niter=5")]
)
def test_no_hint_names_a_flag_that_the_command_has_not(name, flag):
    assert "Unknown command line flag" in refused(name, flag)


def test_what_other_commands_have_is_said_with_their_names():
    assert "`evaluate` has --split" in refused("train", "--phase=test")


def test_a_task_belongs_to_the_command_line(tmp_path):
    (tmp_path / "mine.cfg").write_text("--task=derain\n")
    message = refused("train", f"--flagfile={tmp_path / 'mine.cfg'}")
    assert "in a flagfile use --flagfile=FILE" in message
    assert "Unknown command line flag 'task'" in refused("evaluate", "--task=derain")


def test_destructors_add_nothing_to_the_sentence_of_the_end(tmp_path):
    """As those of HDF5, which print a traceback for all that a full disk left open."""
    program = """
import resource, sys
import h5py, numpy
from pan_tf import cli

class Open:
    def __del__(self):
        raise RuntimeError("still open")

def command():
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        kept, file = Open(), h5py.File(sys.argv[1], "w")
        file["weights"] = numpy.zeros(10_000)
        file.flush()
    except (OSError, RuntimeError):
        sys.exit("The disk is full.")

cli.main = command
cli.program()
"""
    call = [sys.executable, "-c", program, tmp_path / "a.h5"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "The disk is full.\n"
    assert done.returncode == 1


def test_a_byte_order_mark_is_named(tmp_path):
    (tmp_path / "my.cfg").write_bytes(b"\xef\xbb\xbf--seed=3\n")
    message = refused("train", f"--flagfile={tmp_path / 'my.cfg'}")
    assert "begins with a byte order mark" in message


def test_a_flagfile_in_another_encoding_is_named(tmp_path):
    (tmp_path / "my.cfg").write_bytes("--seed=3\n".encode("utf-16"))
    message = refused("train", f"--flagfile={tmp_path / 'my.cfg'}")
    assert (
        message.startswith(f"--flagfile={tmp_path / 'my.cfg'}: ") and "UTF-8" in message
    )


def test_flags_of_export_reach_it(monkeypatch):
    given = []

    def made(*arguments):
        given.extend(arguments)
        raise ValueError("enough")

    monkeypatch.setattr("pan_tf.export.Export", made)
    flags = ["--run_dir=r", "--export_dir=e", "--checkpoint=last", "--inverse"]
    with pytest.raises(SystemExit, match="enough"):
        cli.run("export", [*flags, "--scale=native", "--max_pixels=4096"])
    assert given == ["r", "e", "last", 4096, True, "native"]


def test_vgg_weights_go_to_dfi():
    from pan_tf.cli import evaluate

    options = evaluate.Options(
        run_dir=("r",), dfi=True, vgg="vgg16", vgg_weights="w", dfi_step=0.2
    )
    found = evaluate._dfi(options)
    assert (found.vgg, found.vgg_weights, found.step) == ("vgg16", "w", 0.2)


def test_a_systems_outputs_are_named_once(tmp_path):
    from pan_tf.cli import user_study

    with pytest.raises(ValueError, match="each name once"):
        user_study._folders([f"a={tmp_path}", f"a={tmp_path}"])
    flags = ["--output_dir=x", "--vgg_weights=w"]
    with pytest.raises(SystemExit, match="--vgg_weights goes with --dfi"):
        cli.run("user_study", flags)
