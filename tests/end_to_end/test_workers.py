"""Two processes on this machine train together under MultiWorkerMirroredStrategy."""

import json

import numpy as np
import pytest

from pan_tf import recipes
from pan_tf.config import Config
from tests import programs
from tests.ports import free_ports
from tests.trained import few_metrics
from tests.trained import train

# Trains, then leaves this worker's weights where the test finds them.
WORKER = """
import sys
import numpy as np
from pan_tf import recipes
from pan_tf.runs import training
from pan_tf.config import Config
from tests.trained import few_metrics

build, models = recipes.build, []
recipes.build = lambda config: models.append(build(config)) or models[0]
config = Config.from_flagfile(sys.argv[1])
with few_metrics():
    training.Training(config, training.StopRequest()).run()
np.savez(sys.argv[2], *[v.numpy() for v in models[0].variables])
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts the worker of an index, of a cluster of some."""
    program = tmp_path_factory.mktemp("worker") / "worker.py"
    program.write_text(WORKER)
    with programs.forks() as start:

        def worker(config, weights, cluster, index):
            task = {"type": "worker", "index": index}
            known = {"cluster": {"worker": cluster}, "task": task}
            return start(program, config, weights, TF_CONFIG=json.dumps(known))

        yield worker


def config_file(toy, tmp_path, name, data_dir, **changes):
    path = tmp_path / f"{name}.cfg"
    config = toy(
        dataset="folder",
        data_dir=str(data_dir),
        recipe="pan_official",
        width=1 / 64,
        batch_size=2,
        log_every=2,
        save_every=2,
        validate_every=4,
        run_dir=str(tmp_path / name),
        **changes,
    )
    path.write_text(config.to_flagfile())
    return path


def test_workers_of_other_flags_or_data_are_refused(
    start, toy, pair_folder, small_run, tmp_path
):
    few = pair_folder(train=3, folder="half_copied")
    one = config_file(toy, tmp_path, "two", pair_folder())
    begun = {"seed": 7, "init_from": str(small_run)}
    other = config_file(toy, tmp_path, "other", few, **begun)
    cluster = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = [
        start(config, tmp_path / "none.npz", cluster, i)
        for i, config in enumerate((one, other))
    ]
    for worker, seed in zip(workers, (1, 7), strict=True):
        ended = worker.finished()
        said = ended.stdout + ended.stderr
        assert ended.returncode == 1
        assert f"What differs: --seed ({seed} here), data (" in said
        differing = said.partition("What differs")[2]
        assert "--init_from (" in differing and "--run_dir" not in differing
    assert not (tmp_path / "two").exists() and not (tmp_path / "other").exists()


def test_two_workers_agree_with_each_other_and_with_one(
    start, toy, pair_folder, tmp_path, monkeypatch
):
    data_dir = pair_folder()
    shared = config_file(toy, tmp_path, "two", data_dir)
    alone = config_file(toy, tmp_path, "one", data_dir)
    cluster = [f"127.0.0.1:{port}" for port in free_ports(2)]
    workers = [start(shared, tmp_path / f"worker{i}.npz", cluster, i) for i in range(2)]
    for ended in [worker.finished() for worker in workers]:
        assert ended.returncode == 0, ended.stdout + ended.stderr
    build, models = recipes.build, []
    monkeypatch.setattr(
        recipes, "build", lambda config: models.append(build(config)) or models[0]
    )
    with few_metrics():
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
