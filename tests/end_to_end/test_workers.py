"""Two processes on this machine train together under MultiWorkerMirroredStrategy."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from pan_tf import recipes
from pan_tf.config import Config
from tests.ports import free_ports
from tests.trained import train

ROOT = pathlib.Path(__file__).parents[2]

# Trains, then leaves this worker's weights where the test finds them.
WORKER = """
import sys
import numpy as np
from pan_tf import recipes
from pan_tf.runs import training
from pan_tf.config import Config

build, models = recipes.build, []
recipes.build = lambda config: models.append(build(config)) or models[0]
config = Config.from_flagfile(sys.argv[1])
training.Training(config, training.StopRequest()).run()
np.savez(sys.argv[2], *[v.numpy() for v in models[0].variables])
"""


def start(config, weights, cluster=None, index=0):
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CONFIG", None)
    if cluster:
        task = {"type": "worker", "index": index}
        environment["TF_CONFIG"] = json.dumps(
            {"cluster": {"worker": cluster}, "task": task}
        )
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(config), str(weights)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def config_file(toy, tmp_path, name, data_dir, **changes):
    path = tmp_path / f"{name}.cfg"
    config = toy(
        dataset="folder",
        data_dir=str(data_dir),
        recipe="pan_official",
        batch_size=2,
        log_every=2,
        save_every=2,
        validate_every=4,
        run_dir=str(tmp_path / name),
        **changes,
    )
    path.write_text(config.to_flagfile())
    return path


def test_workers_of_other_flags_or_data_are_refused(toy, pair_folder, tmp_path):
    few = pair_folder(train=3, folder="half_copied")
    one = config_file(toy, tmp_path, "two", pair_folder())
    other = config_file(toy, tmp_path, "other", few, seed=7)
    cluster = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = [
        start(config, tmp_path / "none.npz", cluster, i)
        for i, config in enumerate((one, other))
    ]
    for worker, seed in zip(workers, (1, 7), strict=True):
        said = worker.communicate(timeout=300)[0]
        assert worker.returncode == 1
        assert f"What differs: --seed ({seed} here), data (" in said
        assert "--run_dir" not in said.partition("What differs")[2]
    assert not (tmp_path / "two").exists() and not (tmp_path / "other").exists()


def test_two_workers_agree_with_each_other_and_with_one(
    toy, pair_folder, tmp_path, monkeypatch
):
    data_dir = pair_folder()
    shared = config_file(toy, tmp_path, "two", data_dir)
    alone = config_file(toy, tmp_path, "one", data_dir)
    cluster = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = [start(shared, tmp_path / f"worker{i}.npz", cluster, i) for i in range(2)]
    outputs = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [w.returncode for w in workers] == [0, 0], "\n".join(outputs)
    build, models = recipes.build, []
    monkeypatch.setattr(
        recipes, "build", lambda config: models.append(build(config)) or models[0]
    )
    train(Config.from_flagfile(alone))

    first, second = (np.load(tmp_path / f"worker{i}.npz") for i in range(2))
    for name in first.files:
        assert np.array_equal(first[name], second[name]), name
    single = [variable.numpy() for variable in models[0].variables]
    apart = [
        np.abs(value - first[f"arr_{i}"]).ravel()
        for i, value in enumerate(single)
        if value.dtype == np.float32
    ]
    # A step of Adam is 2e-4; a sign that rounding turns takes few weights a step apart.
    assert np.quantile(np.concatenate(apart), 0.95) < 1e-5

    def losses(run):
        row = json.loads((tmp_path / run / "metrics.jsonl").open().readline())
        return {k: v for k, v in row.items() if k[:2] in ("d_", "t_")}

    # The first round, from equal weights: the same global batch, the same losses.
    together, one = losses("two"), losses("one")
    assert together.keys() == one.keys()
    assert np.allclose(list(together.values()), list(one.values()), atol=2e-5)
    # The chief alone wrote, and everything is there.
    assert (tmp_path / "two" / "result.png").exists()
    checkpoints = {p.name for p in (tmp_path / "two" / "checkpoints").iterdir()}
    assert {"checkpoint", "ckpt-2.index", "ckpt-4.index", "best"} <= checkpoints
