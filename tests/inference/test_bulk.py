"""Translation by Apache Beam; for an environment with the extra `beam`."""

import os
import pathlib
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image

import pan_tf
from pan_tf import cli


@pytest.fixture
def photos(tmp_path):
    """Six files in two folders, one of them no image."""
    draw = np.random.default_rng(0)
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i in range(5):
        pixels = draw.integers(0, 256, (64 + 8 * i, 72, 3), np.uint8)
        Image.fromarray(pixels).save(folder / ("more" if i % 2 else "") / f"ü{i}.png")
    (folder / "x.png").write_bytes(b"no image")
    shutil.copy(folder / "ü0.png", os.fsencode(folder) + b"/more/f\xff.png")
    return folder


def contents(folder):
    found = pathlib.Path(folder).rglob("*.png")
    return {path.relative_to(folder): path.read_bytes() for path in found}


@pytest.mark.parametrize("workers", [1, 2])
def test_outputs_are_those_of_one_process(small_run, photos, tmp_path, workers):
    pytest.importorskip("apache_beam")
    places = {"input": photos, "existing": "fail"}
    for name, age in (("killed", 1e6), ("other", 10.0)):
        made = tmp_path / "[s]*" / f".partial-outcomes-{name}"
        made.mkdir(parents=True)
        (made / "1").touch()
        for path in (made / "1", made):
            os.utime(path, (time.time() - age,) * 2)
    alone = pan_tf.translate(small_run, output=tmp_path / "alone", **places)
    spread = pan_tf.translate(
        small_run, output=tmp_path / "[s]*", runner="direct", workers=workers, **places
    )
    assert len(contents(tmp_path / "alone")) == 6
    assert contents(tmp_path / "[s]*") == contents(tmp_path / "alone")
    assert [p.name for p in spread.written] == [p.name for p in alone.written]
    assert spread.failures == alone.failures
    lines = (tmp_path / "[s]*" / "failures.tsv").read_text().splitlines()
    assert lines == ["\t".join(map(str, failure)) for failure in alone.failures]
    left = {path.name for path in (tmp_path / "[s]*").iterdir()}
    made = {"failures.tsv", "more", "ü0.png", "ü2.png", "ü4.png"}
    assert left == made | {".partial-outcomes-other"}


def test_one_file_and_places_relative_to_here(small_run, photos, tmp_path, monkeypatch):
    pytest.importorskip("apache_beam")
    monkeypatch.chdir(tmp_path)
    run_dir = pathlib.Path(os.path.relpath(small_run))
    outcome = pan_tf.translate(
        run_dir, input="photos/ü0.png", output="one/a.png", runner="direct", workers=1
    )
    assert outcome.written == [tmp_path / "one" / "a.png"]
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["a.png"]


def test_a_failures_file_that_is_there_is_kept(small_run, photos, tmp_path):
    pytest.importorskip("apache_beam")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "failures.tsv").write_text("mine\n")
    with pytest.raises(FileExistsError, match=r"failures\.tsv is there already"):
        pan_tf.translate(
            small_run,
            input=photos,
            output=tmp_path / "out",
            runner="direct",
            existing="overwrite",
        )
    assert (tmp_path / "out" / "failures.tsv").read_text() == "mine\n"


def test_it_goes_on_and_forgets_what_failed_before(small_run, photos, tmp_path):
    pytest.importorskip("apache_beam")
    places = {"input": photos, "output": tmp_path / "out", "runner": "direct"}
    pan_tf.translate(small_run, **places)
    shutil.copy(photos / "ü0.png", photos / "x.png")
    outcome = pan_tf.translate(small_run, **places, existing="skip")
    assert [path.name for path in outcome.written] == ["x.png"]
    assert len(outcome.skipped) == 6 and not outcome.failures
    assert not (tmp_path / "out" / "failures.tsv").exists()


@pytest.mark.parametrize(
    "flags", [["--workers=2"], ["--beam_options=--x=1"]], ids=lambda flags: flags[0]
)
def test_what_is_beams_goes_with_a_runner(small_run, photos, tmp_path, flags):
    given = [f"--run_dir={small_run}", f"--input={photos}", f"--output={tmp_path / 'o'}"]
    with pytest.raises(SystemExit, match="go with --runner"):
        cli.run("translate", [*given, *flags])
    assert not (tmp_path / "o").exists()


def test_workers_go_with_processes_of_this_machine():
    pytest.importorskip("apache_beam")
    from pan_tf.inference.bulk import Engine

    with pytest.raises(ValueError, match="--workers goes with --runner=direct"):
        Engine("FlinkRunner", 2)
    with pytest.raises(ValueError, match="--runner must be direct, or one of Beam's"):
        Engine("Flunk")
    with pytest.raises(ValueError, match="--beam_options: Beam does not know --flonk=1"):
        Engine("FlinkRunner", options="--flonk=1")
    with pytest.raises(ValueError, match="--beam_options: No closing quotation"):
        Engine("direct", options="--x='a")
    Engine("FlinkRunner", options="--flink_master=a:1 --environment_type=LOOPBACK")


def test_a_lost_worker_ends_the_job(tmp_path, monkeypatch, capsys):
    """Beam would wait for its results for ever."""
    pytest.importorskip("apache_beam")
    from pan_tf.inference import bulk

    ended, place = [], tmp_path / "outcomes"
    place.mkdir()
    monkeypatch.setattr("os._exit", ended.append)

    def run():
        raise RuntimeError("return code 137")

    with bulk._ending_with_workers(place):
        worker = threading.Thread(target=run, name="run_worker")
        worker.start()
        worker.join()
    assert ended == [1] and not place.exists()
    assert "A worker process is lost (return code 137)" in capsys.readouterr().err
