"""What is said, and with which status, where one of several workers cannot go on."""

import os
import types

import pytest

from pan_tf import distribution
from pan_tf.cli import train
from pan_tf.config import Config
from pan_tf.runs import loop
from pan_tf.runs import training
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError


@pytest.mark.parametrize(
    ("workers", "is_done", "status"),
    [(2, False, os.EX_TEMPFAIL), (2, True, None), (1, False, None), (1, True, None)],
)
def test_a_cluster_learns_that_a_run_is_not_done(workers, is_done, status, monkeypatch):
    run = types.SimpleNamespace(run=lambda: is_done, strategy=None)
    monkeypatch.setattr(training, "Training", lambda config, stop: run)
    monkeypatch.setattr(distribution, "num_workers", lambda strategy: workers)
    if status is None:
        train.main(Config())
        return
    with pytest.raises(SystemExit) as ended:
        train.main(Config())
    assert ended.value.code == status


def test_workers_that_find_other_checkpoints_are_refused(tmp_path, monkeypatch):
    def differ(strategy, facts):
        raise ValueError(f"What differs: {facts}.")

    monkeypatch.setattr(distribution, "check_alike", differ)
    with pytest.raises(RunFolderError, match=r"must be one folder.*newest checkpoint.*8"):
        loop._check_shared(None, 8, RunFolder(tmp_path))
