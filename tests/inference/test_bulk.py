"""Translation by Apache Beam; for an environment with the extra `beam`."""

import functools
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
from pan_tf import files
from pan_tf.inference.jobs import TranslationJob
from pan_tf.inference.work import Outcome


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

    assert Engine("Direct", 2).runner == "direct"
    with pytest.raises(ValueError, match="--workers goes with --runner=direct"):
        Engine("FlinkRunner", 2)
    with pytest.raises(ValueError, match="--runner must be direct, or one of Beam's"):
        Engine("Flunk")
    with pytest.raises(ValueError, match="--beam_options: Beam does not know --flonk=1"):
        Engine("FlinkRunner", options="--flonk=1")
    with pytest.raises(ValueError, match="--beam_options: No closing quotation"):
        Engine("direct", options="--x='a")
    with pytest.raises(
        ValueError, match="--beam_options: argument --direct_running_mode"
    ):
        Engine("FlinkRunner", options="--direct_running_mode=foo")
    for option in ("--direct_num_workers=1", "--direct_running_mode multi_threading"):
        with pytest.raises(ValueError, match="--workers says how many"):
            Engine("direct", options=option)
    Engine("FlinkRunner", options="--flink_master=a:1 --environment_type=LOOPBACK")


def test_a_worker_that_finds_another_t_translates_nothing(small_run, photos, tmp_path):
    pytest.importorskip("apache_beam")
    from pan_tf.inference import bulk

    made = functools.partial(pan_tf.Translator, small_run)
    places = [os.fsencode(photos / "ü0.png"), os.fsencode(tmp_path / "o.png")]
    outcomes = []
    for digest in (made().digest(), "of another"):
        translate = bulk._translation(made, digest, None, "fail")
        outcomes.append(Outcome.from_json(translate((*places, "PNG"))))
    ours, others = outcomes
    assert ours.written == [tmp_path / "o.png"] and not others.written
    ((path, said),) = others.failures
    assert path == photos / "ü0.png" and said.startswith("another T is there by now")
    missing = functools.partial(pan_tf.Translator, tmp_path / "not there")
    found = bulk._translation(missing, "any", None, "fail")((*places, "PNG"))
    assert "not there" in found["failures"][0][1]


def test_what_an_engine_says_is_said(small_run, photos, tmp_path, monkeypatch):
    beam = pytest.importorskip("apache_beam")
    from pan_tf.inference import bulk

    class Broken(beam.runners.PipelineRunner):
        def run_pipeline(self, *_):
            raise RuntimeError("Some words.\nUnable to fetch the server.\n")

    monkeypatch.setattr(bulk, "_runner", lambda name: Broken())
    given = {"input": photos, "output": tmp_path / "o", "runner": "FlinkRunner"}
    with pytest.raises(files.TroubleError, match="--runner=FlinkRunner: Unable to fetch"):
        pan_tf.translate(small_run, **given)
    assert not (tmp_path / "o").exists()


def test_results_that_a_disk_has_no_room_for_are_failures(
    small_run, photos, tmp_path, monkeypatch
):
    pytest.importorskip("apache_beam")
    from pan_tf.inference import bulk

    bulk._Keep(os.fsencode(tmp_path / "not there")).setup()
    full = bulk._Keep(os.fsencode(tmp_path / "not there"))
    full.setup()
    full.process("a result")  # Nothing raises.
    lines = iter([True, False])

    class Half(bulk._Keep):
        def process(self, line):
            if next(lines, True):
                super().process(line)

    engine = bulk.Engine("direct", 1)

    def run(items, handler, place):
        keep = Half(os.fsencode(place))
        keep.setup()
        for line in handler.run_inference(list(enumerate(items)), handler.load_model()):
            keep.process(line)

    monkeypatch.setattr(bulk.Engine, "_run", lambda self, *given: run(*given))
    made = functools.partial(pan_tf.Translator, small_run)
    job = TranslationJob(photos, tmp_path / "o")
    outcome = engine.run(job, made, made())
    assert len(outcome.written) == 5 and len(outcome.failures) == 2
    said = dict(outcome.failures)
    assert any("has the disk of" in sentence for sentence in said.values())
    assert len((tmp_path / "o" / "failures.tsv").read_text().splitlines()) == 2


@pytest.mark.parametrize("code", [137, 1])
def test_a_lost_worker_ends_the_job(tmp_path, monkeypatch, capsys, code):
    """Beam would wait for its results for ever."""
    pytest.importorskip("apache_beam")
    from pan_tf.inference import bulk

    ended, place = [], tmp_path / "outcomes"
    place.mkdir()
    monkeypatch.setattr("os._exit", ended.append)

    def run():
        raise RuntimeError(f"return code {code}")

    with bulk._ending_with_workers(place):
        worker = threading.Thread(target=run, name="run_worker")
        worker.start()
        worker.join()
    assert ended == [1] and not place.exists()
    said = capsys.readouterr().err
    assert f"A worker process is lost (return code {code})" in said
    assert ("too little memory" in said) == (code == 137)
