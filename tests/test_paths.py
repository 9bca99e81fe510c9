"""Paths as users give them."""

import dataclasses
import importlib
import pathlib

import pytest

import pan_tf
from pan_tf import cli
from pan_tf import paths
from pan_tf.config import Config
from pan_tf.papers.finetuning.settings import Settings as FinetuningSettings
from tests.commands import refused

URLS = ["gs://bucket/run", "s3://b/x", "https://a.org/x.png", "file:///x"]


def test_the_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.place("~/runs/a") == f"{tmp_path}/runs/a"
    assert paths.named("input", pathlib.Path("~")) == tmp_path
    assert paths.place("runs/~") == "runs/~"


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_refused_by_the_name_of_its_flag(url):
    with pytest.raises(ValueError, match=r"^--input must be a path of this machine") as e:
        paths.named("input", url)
    assert str(e.value).endswith(f"Received: input={url!r}.")


@pytest.mark.parametrize("path", ["C:/x", "a:b", "runs/a:1/x", "写真", "", "//host/x"])
def test_what_is_no_url_is_a_path(path):
    assert paths.place(path) == path


def test_a_plain_path_is_literal_as_it_is(tmp_path):
    assert paths.literal("runs/a") == pathlib.Path("runs/a")
    assert paths.literal(tmp_path / "ckpt-1") == tmp_path / "ckpt-1"


def test_a_folder_that_looks_like_a_pattern_has_one_link(tmp_path):
    folder = tmp_path / "a[1]*"
    folder.mkdir()
    (folder / "x.index").write_text("x")
    link = paths.literal(folder)
    assert not paths.SPECIAL & set(str(link)) and paths.literal(folder) == link
    assert paths.literal(folder / "x.index").read_text() == "x"
    assert link.resolve() == folder


def options():
    """(command, its settings) of every command that has some, and of `Config`."""
    for name in cli.COMMANDS:
        module = importlib.import_module(f"pan_tf.cli.{name}")
        if hasattr(module, "Options"):
            yield name, module.Options
    yield "Config", Config
    yield "finetuning", FinetuningSettings


def test_every_flag_of_a_path_is_one():
    kinds = (
        "_dir",
        "_weights",
        "_model",
        "input",
        "output",
        "init_from",
        "score",
        "edges_of",
    )
    missed = {
        f"{name} --{field.name}"
        for name, settings in options()
        for field in dataclasses.fields(settings)
        if field.name.endswith(kinds) and field.metadata["parse"] is not paths.place
    }
    assert not missed


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", ["--run_dir=gs://b/run"]),
        ("train", ["--data_dir=s3://b/pairs"]),
        ("evaluate", ["--run_dir=runs/a", "--run_dir=gs://b/run"]),
        ("translate", ["--run_dir=r", "--input=https://a.org/x.png", "--output=o"]),
        ("export", ["--run_dir=r", "--export_dir=gs://b/exported"]),
        ("doctor", ["--output_dir=gs://b/doctor"]),
    ],
)
def test_commands_refuse_a_url(command, flags):
    sentence = refused(command, *flags)
    name = flags[-1 if command != "translate" else 1].partition("=")[0]
    assert name in sentence and "must be a path of this machine" in sentence


@pytest.mark.parametrize("call", [pan_tf.Run, pan_tf.Translator])
def test_python_takes_the_home_too(call, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "runs")):
        call("~/runs/a")
    with pytest.raises(ValueError, match="run_dir must be a path of this machine"):
        call("gs://bucket/run")


@pytest.mark.parametrize(
    ("input", "sentence"),
    [
        (
            "photos/*.png",
            r"photos/\*.png is not there. It must be a file or a fol",
        ),
        ("-", "--input must be a file or a folder; standard input is not"),
        ("nowhere", "--input=nowhere is not there.$"),
    ],
)
def test_what_is_no_input_is_said_before_t_is_loaded(input, sentence, tmp_path):
    with pytest.raises((OSError, ValueError), match=sentence):
        pan_tf.translate("runs/none", input=input, output=tmp_path / "out")


def test_nothing_is_no_path():
    with pytest.raises(ValueError, match=r"^--export_dir must be a path"):
        paths.named("export_dir", "")


def test_a_folder_whose_name_is_no_text_has_a_link(tmp_path):
    folder = tmp_path / "\udcff"
    folder.mkdir()
    link = paths.literal(folder)
    assert str(link).encode("utf-8") and link.resolve() == folder


@pytest.mark.parametrize("path", ["~no-such-user/x", "~$document.png"])
def test_a_home_of_nobody_is_refused(path):
    with pytest.raises(ValueError, match="begins with a home that is not known"):
        paths.place(path)
    assert paths.place(f"./{path}") == f"./{path}"
