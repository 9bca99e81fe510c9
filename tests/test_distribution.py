"""Who trains together, by TF_CONFIG; the documentation's own scripts make it."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from pan_tf import distribution
from pan_tf import files
from tests.ports import free_ports

GUIDE = pathlib.Path(__file__).parents[1] / "docs" / "howto" / "gpus.md"


def block(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return found


def tf_config(cluster, kind="worker", index=0):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """Slurm's commands, whose srun runs two tasks; and ours, which prints TF_CONFIG."""
    scripts = {
        "scontrol": '[ "$*" = "show hostnames n[1-2]" ] && printf "n1\\nn2\\n"',
        "srun": 'for i in 0 1; do SLURM_PROCID=$i "$@" || exit 1; done',
        "pan-tf": 'echo "$TF_CONFIG|$*"',
    }
    for name, text in scripts.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_NODELIST", "n[1-2]")


def outcome_of(script, *arguments):
    """Of each line of a script's output: (`cluster`, what `pan-tf` was given)."""
    command = ["bash", "-c", script, "script", *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = []
    for line in lines.splitlines():
        config, _, given = line.partition("|")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TF_CONFIG", config)
            found.append((distribution.cluster(), given))
    return found


def test_the_guides_slurm_script(stand_ins):
    found = outcome_of(block("bash"), "--task=aerial2map", "--run_dir=/shared/my runs")
    hosts = ["n1:12345", "n2:12345"]
    given = "train --task=aerial2map --run_dir=/shared/my runs"
    assert found == [((hosts, 0), given), ((hosts, 1), given)]


def test_the_guides_kubernetes_job(stand_ins, monkeypatch):
    text = block("yaml").partition("- |\n")[2].partition("volumeMounts")[0]
    hosts = ["pan-tf-0.pan-tf:12345", "pan-tf-1.pan-tf:12345"]
    for index in range(2):
        monkeypatch.setenv("JOB_COMPLETION_INDEX", str(index))
        (found,) = outcome_of(text)
        assert found == (
            (hosts, index),
            "train --task=aerial2map --run_dir=/shared/runs/a",
        )


@pytest.mark.parametrize("text", ["", "  ", "{}", '{"cluster": {}}'])
def test_without_workers_a_process_is_alone(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    assert distribution.cluster() is None
    monkeypatch.delenv("TF_CONFIG")
    assert distribution.cluster() is None


@pytest.mark.parametrize(
    ("kind", "index", "place"), [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)]
)
def test_a_chief_comes_before_the_workers(kind, index, place, monkeypatch):
    cluster = {"worker": ["a:1", "b:1"], "chief": ["c:1"]}
    monkeypatch.setenv("TF_CONFIG", tf_config(cluster, kind, index))
    assert distribution.cluster() == (["c:1", "a:1", "b:1"], place)


@pytest.mark.parametrize(
    "text",
    [
        "a:1,b:1",
        "[1]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": ["a:1"], "task": {"type": "worker", "index": 0}}',
        tf_config({"worker": ["a:1"]}, index=1),
        tf_config({"worker": ["a:1"]}, index=-1),
        tf_config({"worker": ["a:1"]}, kind="chief"),
        tf_config({"worker": ["a:1"]}, index="x"),
        tf_config({"worker": "localhost:12345"}),
        tf_config({"worker": ["localhost"]}),
        tf_config({"worker": ["a:1", "b:"]}),
        tf_config({"worker": ["a:0"]}),
        tf_config({"worker": ["a:65536"]}),
        tf_config({"worker": [1, 2]}),
        tf_config({"worker": {"0": "a:1"}}),
        tf_config({"worker": ["a:1"]}, index=float("inf")),
        tf_config({"worker": ["a:1", "b:1"]}, index=0.9),
        tf_config({"worker": ["a:1", "b:1"]}, index=True),
        tf_config({"worker": ["fe80::1", "fe80::2"]}),
        tf_config({"worker": ["a:1,b:1"]}),
        tf_config({"worker": ["http://a:1"]}),
        tf_config({"worker": ["a b:1"]}),
        tf_config({"worker": ["a:\u0661"]}),
        100_000 * "[",
    ],
)
def test_what_names_no_process_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON"):
        distribution.cluster()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (
            tf_config({"worker": ["a:1", "b:1"]}, index=2),
            "There is no worker 2: the cluster has 2, counted from 0. ",
        ),
        (
            tf_config({"worker": ["a:1"]}, kind="chief"),
            "There is no chief 0: the cluster has none. ",
        ),
        (tf_config({"worker": ["a:1"]}, index=-1), "-1 is no index."),
        (tf_config({"worker": ["a:1", ":1"]}), "':1' is no host and port."),
        (tf_config({"worker": ["a:99999"]}), "'a:99999' is no host and port."),
        ('{"cluster": {"worker": ["a:1"]}}', "It has no 'task'."),
        (tf_config({"worker": ["a:1"]}, index=5000 * "1"), f"{5000 * '1'} is no index."),
    ],
)
def test_what_is_wrong_is_named(text, wrong, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON") as caught:
        distribution.cluster()
    assert f"in brackets. {wrong}" in str(caught.value)


def test_what_grpc_knows_is_not_said(monkeypatch):
    def lost():
        text = "Barrier failed.\n[type.googleapis.com/tensorflow.X='']\nAdditional GRPC"
        raise tf.errors.UnavailableError(None, None, text)

    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1", "b:2"]}))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lost)
    with pytest.raises(files.TroubleError) as caught:
        distribution.make_strategy.__wrapped__()
    assert str(caught.value) == "TF_CONFIG: b:2 did not join. (Barrier failed.)"


@pytest.mark.parametrize("address", ["[fe80::1%eth0]:1", "10.0.0.1:1", "node-1.net:1"])
def test_what_an_address_may_be(address, monkeypatch):
    jobs = {"chief": [address], "worker": [], "ps": []}  # Empty lists name nobody.
    monkeypatch.setenv("TF_CONFIG", tf_config(jobs, "chief", "0"))
    assert distribution.cluster() == ([address], 0)


@pytest.mark.parametrize(
    "text",
    [
        tf_config({"worker": ["a:1"]}, "evaluator"),
        tf_config({"worker": ["a:1"], "evaluator": ["b:1"]}, "evaluator"),
        tf_config({"worker": ["a:1"], "evaluator": ["b:1"]}),
    ],
)
def test_a_process_that_does_not_train_is_refused(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=r"must name workers.* Received: evaluator\.$"):
        distribution.cluster()


def test_an_address_that_is_taken_is_named(monkeypatch):
    def busy():
        raise tf.errors.UnknownError(None, None, "Could not start gRPC server")

    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1", "b:2"]}, index=1))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", busy)
    with pytest.raises(ValueError, match=r"b:2 cannot be listened at.*gRPC server"):
        distribution.make_strategy.__wrapped__()


def test_tensorflow_is_not_shown_kinds_that_name_nobody(monkeypatch):
    """It would end in a segmentation fault."""
    jobs = {"chief": [], "worker": ["a:1", "b:2"], "ps": []}
    monkeypatch.setenv("TF_CONFIG", tf_config(jobs))
    seen = []
    strategy = lambda: seen.append(os.environ["TF_CONFIG"])  # noqa: E731
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", strategy)
    distribution.make_strategy.__wrapped__()
    assert [json.loads(text) for text in seen] == [
        json.loads(tf_config({"worker": ["a:1", "b:2"]}))
    ]


def test_an_address_of_two_processes_is_refused(monkeypatch):
    jobs = {"chief": ["a:1"], "worker": ["b:1", "a:1"]}
    monkeypatch.setenv("TF_CONFIG", tf_config(jobs))
    with pytest.raises(ValueError, match="each process once"):
        distribution.cluster()


def test_two_chiefs_are_refused(monkeypatch):
    jobs = {"chief": ["a:1", "b:1"], "worker": ["c:1"]}
    monkeypatch.setenv("TF_CONFIG", tf_config(jobs))
    with pytest.raises(ValueError, match=r"one chief at most\. Received: a:1, b:1\."):
        distribution.cluster()


def test_who_waits_for_other_workers_says_so_and_can_be_interrupted():
    workers = [f"127.0.0.1:{port}" for port in free_ports(2)]
    program = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from pan_tf import distribution\n"
        "distribution.make_strategy()\n"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"TF_CONFIG": tf_config({"worker": workers}, index=1)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout.readline() == f"Waiting for the other workers: {workers[0]}.\n"
    time.sleep(1)  # By now it waits in C++, for ten minutes or more.
    waiting.send_signal(signal.SIGINT)
    try:
        assert waiting.wait(20) == -signal.SIGINT
    finally:
        waiting.kill()
        waiting.stdout.close()


def test_sigterm_is_still_heard_once_workers_are_joined():
    """TensorFlow puts a handler of its own in the place of Python's, which is told."""
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('heard', flush=True))\n"
        "from pan_tf import distribution\n"
        "distribution.make_strategy()\n"
        "os.kill(os.getpid(), signal.SIGTERM)\n"
        "time.sleep(0.1)\n"
    )
    (port,) = free_ports(1)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"TF_CONFIG": tf_config({"worker": [f"127.0.0.1:{port}"]})},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert ended.stdout.splitlines()[-1] == "heard"


@pytest.mark.parametrize("kind", ["ps", "evaluator"])
def test_those_that_do_not_train_are_refused(kind, monkeypatch):
    cluster = {"worker": ["a:1"], kind: ["b:1"]}
    monkeypatch.setenv("TF_CONFIG", tf_config(cluster))
    with pytest.raises(ValueError, match=f"Received: {kind}"):
        distribution.cluster()


@pytest.mark.parametrize(
    ("workers", "error", "is_lost"),
    [
        (2, tf.errors.UnavailableError(None, None, "Socket closed"), True),
        (1, tf.errors.UnavailableError(None, None, "Socket closed"), False),
        (2, tf.errors.InvalidArgumentError(None, None, "a shape"), False),
        (2, ValueError("a setting"), False),
    ],
)
def test_a_lost_worker_is_told_from_other_errors(workers, error, is_lost, monkeypatch):
    monkeypatch.setattr(distribution, "num_workers", lambda strategy: workers)
    said = distribution.lost_worker(None, error)
    assert (said is not None and "Another worker is lost" in said) == is_lost


@pytest.mark.parametrize(
    "error", [tf.errors.InternalError, tf.errors.DeadlineExceededError]
)
def test_others_who_do_not_join_are_named(error, monkeypatch):
    def lonely():
        raise error(None, None, "Barrier failed: heartbeat timeout")

    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["a:1", "b:2"]}, index=1))
    monkeypatch.setattr(tf.distribute, "MultiWorkerMirroredStrategy", lonely)
    with pytest.raises(files.TroubleError, match=r"a:1 did not join.*heartbeat"):
        distribution.make_strategy.__wrapped__()


def test_a_background_job_ignores_ctrl_c_while_it_waits():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with distribution._obeying_interrupts():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
