"""scripts/train.py as a user runs it: killed, resumed, misused."""

import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pan_tf.data.layouts import bluemarble
from pan_tf.images import LUMA
from tests import commands
from tests import programs

ROOT = pathlib.Path(__file__).parents[2]
ITERATIONS = 60
COUNTS = {"train": 60, "test": 12}
DATA = {}  # Where the tiles lie.


def command(*flags, script="train.py"):
    return [sys.executable, str(ROOT / "scripts" / script), *flags]


def finish(*flags, **kwargs):
    return subprocess.run(
        command(*flags, **kwargs), cwd=ROOT, capture_output=True, text=True, timeout=300
    )


@pytest.fixture(scope="module", autouse=True)
def tiles(tmp_path_factory):
    """Some tiles of Blue Marble as pairs of files: real images, few to measure."""
    root = DATA["dir"] = tmp_path_factory.mktemp("tiles")
    cut = {}
    for split, count in COUNTS.items():
        found = bluemarble.cut(split, 64)
        places = np.linspace(0, len(found.source) - 1, count).astype(int)
        cut[split] = [side[places] for side in (found.source, found.target)]
        (root / split).mkdir()
        for i, pair in enumerate(zip(*cut[split], strict=True)):
            Image.fromarray(np.concatenate(pair, 1)).save(root / split / f"{i:02}.png")
    return cut


def flags_for(run_dir):
    """Those tiles, at toy size: a few dozen rounds."""
    return [
        f"--flagfile={ROOT / 'configs' / 'aerial2map.cfg'}",
        "--dataset=folder",
        f"--data_dir={DATA['dir']}",
        "--image_size=64",
        "--width=0.015625",
        "--ema=0.95",
        "--t_updates=1",  # Less to trace, a dozen times.
        "--dtype_policy=float32",
        "--batch_size=2",
        f"--iterations={ITERATIONS}",
        "--log_every=10",
        "--save_every=10",
        "--validate_every=30",
        "--sample_images=2",
        f"--run_dir={run_dir}",
    ]


@pytest.fixture(scope="module")
def start():
    """Starts a script in a process that need not import TensorFlow any more."""
    with programs.forks() as start:
        yield lambda script, *flags: start(ROOT / "scripts" / script, *flags)


def interrupted(process, run_dir, at_iteration, number):
    """Sends a training a signal once it has logged an iteration; what became of it.

    A checkpoint must be there as well: a thread writes it, while the training goes on.
    """
    metrics = run_dir / "metrics.jsonl"
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        is_saved = any(run_dir.glob("checkpoints/ckpt-*.index"))
        logged = metrics.read_text() if metrics.exists() else ""
        if is_saved and f'"iteration": {at_iteration},' in logged:
            break
        time.sleep(0.02)
    process.send_signal(number)
    return process.finished()


def rows(run_dir):
    """metrics.jsonl without what depends on the clock."""
    timing = {"images_per_second", "data_wait", "data_cores", "memory_gib"}
    return [
        {k: v for k, v in json.loads(line).items() if k not in timing}
        for line in (run_dir / "metrics.jsonl").open()
    ]


def tensors(run_dir):
    """Every tensor of the newest checkpoint."""
    reader = tf.train.load_checkpoint(
        tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    )
    names = sorted(reader.get_variable_to_shape_map())
    return {name: reader.get_tensor(name) for name in names}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("straight") / "run"
    result = finish(*flags_for(run_dir))
    assert result.returncode == 0, result.stderr
    return run_dir, result.stdout


def test_killed_terminated_and_damaged_is_straight_to_the_bit(straight, start, tmp_path):
    """Begun from the other's run.cfg, and gone on with by the command itself."""
    run_dir = tmp_path / "run"
    begun = [f"--flagfile={straight[0] / 'run.cfg'}", f"--run_dir={run_dir}"]
    result = interrupted(start("train.py", *begun), run_dir, 20, signal.SIGKILL)
    assert result.returncode == -signal.SIGKILL, result.stderr
    again = start("train.py", *flags_for(run_dir))
    result = interrupted(again, run_dir, 40, signal.SIGTERM)
    assert result.returncode == 0, result.stderr
    assert "Resuming at iteration" in result.stdout
    assert "SIGTERM: saving, then stopping." in result.stdout
    assert "the same command goes on from there" in result.stdout

    newest = tf.train.latest_checkpoint(str(run_dir / "checkpoints"))
    (data,) = pathlib.Path(newest).parent.glob(f"{os.path.basename(newest)}.data-*")
    data.write_bytes(data.read_bytes()[:1000])
    result = start("train.py", *flags_for(run_dir)).finished()
    assert result.returncode == 0, result.stderr
    assert "is damaged" in result.stderr and "Resuming at iteration" in result.stdout

    assert rows(run_dir) == rows(straight[0])
    ours, theirs = tensors(run_dir), tensors(straight[0])
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        assert np.array_equal(value, theirs[name]), name


def test_run_folder_is_complete(straight):
    run_dir, _ = straight
    for name in (
        "run.cfg",
        "manifest.json",
        "metrics.jsonl",
        "result.json",
        "result.png",
    ):
        assert (run_dir / name).stat().st_size > 0
    manifest = json.loads((run_dir / "manifest.json").read_text())
    system = json.loads((run_dir / "system.json").read_text())
    assert system["bn_statistics"] == "moving" and system["recipe"] == "pan"
    assert manifest["data"]["name"] == "folder"
    assert manifest["data"]["train"] == {"split": "train", "pairs": COUNTS["train"]}
    samples = sorted(p.name for p in (run_dir / "samples").iterdir())
    assert samples == ["0000030.png", "0000060.png"]


def test_result_stands_beside_the_baselines(straight, tiles):
    run_dir, output = straight
    result = json.loads((run_dir / "result.json").read_text())
    assert result["n"] == COUNTS["test"]
    luma = np.dot(np.subtract(*(side.astype(float) for side in tiles["test"])), LUMA)
    copied = np.mean(10 * np.log10(255**2 / np.mean(luma**2, axis=(1, 2))))
    assert set(result["baselines"]) == {"copy_input", "mean_color", "color_table"}
    assert result["baselines"]["copy_input"]["psnr"] == pytest.approx(copied, abs=1e-4)
    for part in ("baseline: color_table", "best (iteration", "last (iteration 60)"):
        assert part in output


def test_evaluation_finds_what_training_found(straight, tmp_path):
    run_dir, _ = straight
    flags = (f"--run_dir={run_dir}", "--checkpoint=last", f"--output_dir={tmp_path}")
    result = commands.finish("evaluate", *flags)
    assert result.returncode == 0, result.stderr
    assert f"Report: {tmp_path / 'index.html'}" in result.stdout
    ours = json.loads((tmp_path / "metrics.json").read_text())
    theirs = json.loads((run_dir / "result.json").read_text())
    assert ours["n"] == COUNTS["test"] and ours["checkpoint"]["iteration"] == 60
    for metric, mean in theirs["last"]["metrics"].items():
        # Batches of another size round a few pixels differently.
        assert ours["metrics"][metric]["mean"] == pytest.approx(mean, rel=1e-3), metric
        for name, baseline in theirs["baselines"].items():
            again = ours["baselines"][name][metric]["mean"]
            assert again == pytest.approx(baseline[metric], rel=1e-6)


def test_a_run_is_translated_with_exported_and_translated_with_again(
    straight, start, tmp_path
):
    run_dir, _ = straight
    photos = tmp_path / "photos"
    photos.mkdir()
    tiles = bluemarble.cut("test", 128).source
    Image.fromarray(tiles[0]).save(photos / "a.png")
    Image.fromarray(tiles[1][:100, :75]).save(photos / "b.jpg")
    (photos / "broken.png").write_bytes(b"x")
    export_dir = tmp_path / "exported"
    flags = (f"--run_dir={run_dir}", f"--export_dir={export_dir}")
    result = start("export.py", *flags).finished()
    assert result.returncode == 0, result.stderr
    assert f"Exported: {export_dir / '1'}" in result.stdout
    assert "float_image" in result.stdout and "limit 1e-05" in result.stdout
    outputs = {}
    for name, source in {
        "run": f"--run_dir={run_dir}",
        "served": f"--saved_model={export_dir / '1'}",
    }.items():
        flags = (source, f"--input={photos}", f"--output={tmp_path / name}")
        result = commands.finish("translate", *flags)
        assert result.returncode == 1
        assert "3 in, 2 out, 1 failed." in result.stdout
        assert "broken.png: is not an image" in result.stderr
        assert "Traceback" not in result.stderr
        paths = sorted((tmp_path / name).iterdir())
        assert [path.name for path in paths] == ["a.png", "b.png"]
        outputs[name] = [np.asarray(Image.open(path)).astype(int) for path in paths]
    assert [output.shape for output in outputs["run"]] == [(128, 128, 3), (100, 75, 3)]
    for ours, theirs in zip(*outputs.values(), strict=True):
        assert np.abs(ours - theirs).max() <= 1
    again = commands.finish("translate", *flags)
    assert again.returncode != 0 and "outputs are there already" in again.stderr


def test_the_doctors_exit_status_is_its_verdict(tmp_path):
    from pan_tf.data.layouts import bluemarble

    tiles = bluemarble.cut("train", 64)
    (tmp_path / "pairs" / "train").mkdir(parents=True)
    for i in range(12):
        pair = np.concatenate([tiles.source[9 * i], tiles.target[9 * i]], axis=1)
        Image.fromarray(pair).save(tmp_path / "pairs" / "train" / f"{i}.png")
    flags = (f"--data_dir={tmp_path / 'pairs'}", f"--output_dir={tmp_path / 'out'}")
    result = finish(*flags, script="doctor.py")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "pairs passes." in result.stdout
    assert "misaligned: not checked, fewer than 20 usable pairs." in result.stdout
    (tmp_path / "pairs" / "train" / "3.png").write_bytes(b"")
    result = commands.finish("doctor", *flags)
    assert result.returncode == 1
    assert "train/3: " in result.stdout and "pairs DOES NOT PASS." in result.stdout


def test_tensorboard_has_scalars_images_and_settings(straight):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(straight[0] / "logs")).Reload()
    tags = events.Tags()
    expected = {"train/t_adversarial", "train/data_wait", "validation/vif"}
    assert expected <= set(tags["tensors"])
    assert "source | output | target" in tags["tensors"]
    assert any("hparams" in tag for tag in events.summary_metadata)


def test_a_finished_run_is_left_as_it_is(straight):
    run_dir, _ = straight
    before = rows(run_dir)
    result = commands.finish("train", *flags_for(run_dir))
    assert result.returncode == 0 and rows(run_dir) == before


def test_another_configuration_is_refused(straight):
    run_dir, _ = straight
    sentence = commands.refused("train", *flags_for(run_dir), "--seed=2", "--margin=1")
    assert "--seed: 1 there, 2 now" in sentence
    assert "--margin: None there, 1.0 now" in sentence


def test_prepare_data_names_a_wrong_archive(tmp_path):
    place = tmp_path / "downloads" / "manual" / "maps.tar.gz"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"not the archive")
    flags = ("--dataset=maps", f"--data_dir={tmp_path}")
    sentence = commands.refused("prepare_data", *flags)
    assert str(place) in sentence and "250242400 bytes" in sentence


SIGNALS = """
import os, signal, sys
from pan_tf.runs.stopping import StopRequest
name, is_ignored = sys.argv[1], sys.argv[2] == "ignored"
# Whatever this process inherited: a background job ignores some.
before = signal.SIG_IGN if is_ignored else signal.SIG_DFL
signal.signal(getattr(signal, name), before)
with StopRequest().listening() as stop:
    os.kill(os.getpid(), getattr(signal, name))
    assert stop.requested != is_ignored
assert signal.getsignal(getattr(signal, name)) is before
"""


@pytest.mark.parametrize(
    ("name", "how"), [("SIGINT", "obeyed"), ("SIGHUP", "obeyed"), ("SIGHUP", "ignored")]
)
def test_a_signal_is_a_request_to_stop_unless_it_is_ignored(name, how):
    """As SIGHUP is under nohup."""
    command = [sys.executable, "-c", SIGNALS, name, how]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert ("saving, then stopping" in done.stdout) == (how == "obeyed")


HANGUP = """
import os, pathlib, signal, sys
from pan_tf.runs.stopping import StopRequest
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sys.stdin.readline()  # By now the terminal is gone.
with StopRequest().listening() as stop:
    os.kill(os.getpid(), signal.SIGHUP)
    print("a line of progress" * 1000, flush=True)
    pathlib.Path(sys.argv[1]).write_text(f"requested: {stop.requested}")
"""


def test_a_terminal_that_is_closed_takes_nothing_with_it(tmp_path):
    outer, inner = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", HANGUP, tmp_path / "saved"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=inner,
        stderr=inner,
        text=True,
    )
    os.close(inner)
    os.close(outer)
    child.communicate("\n", timeout=120)
    assert child.returncode == 0
    assert (tmp_path / "saved").read_text() == "requested: True"
