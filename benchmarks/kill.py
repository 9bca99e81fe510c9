"""Kills commands at random moments, goes on, and compares with an undisturbed run.

    python benchmarks/kill.py --out=killed --moments=20
    python benchmarks/kill.py --out=killed --moments=200 --jobs train --seed=7
    python benchmarks/kill.py --out=full --by=disk    # As root: it mounts small disks.
    python benchmarks/kill.py --out=full --by=quota --jobs train
    python benchmarks/kill.py --out=fixed --by=read_only --jobs train translate

Each command is run to its end once, then again and again under SIGKILL, each time at a
moment drawn uniformly over the time that it took (or onto a disk with too little room, or
one whose room comes and goes, or one that is read-only from such a moment on, where it
must end in a sentence); the same command goes on, until it ends by itself, and the folder
that it leaves must be the undisturbed one's to the bit: every tensor of every checkpoint,
every line, picture and table. In between, whatever has a final name must be whole. Prints
a line a command; exit status 1 if anything differed.

Commands run in forks, `benchmarks/commands.py`: the first second can be hit.
"""

import argparse
import contextlib
import csv
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import h5py
import numpy as np
import tensorflow as tf
from PIL import Image

from benchmarks.commands import finish
from pan_tf.runs import lock

SIZE = 64
TRAIN = {
    "dataset": "folder",
    "recipe": "pan_plus",
    "image_size": SIZE,
    "width": 0.05,
    "batch_size": 2,
    "iterations": 120,
    "log_every": 10,
    "save_every": 10,
    "validate_every": 30,
    "sample_images": 2,
}
_ROOM = 2**30  # Bytes, of a disk that nothing fills.
# Fields that tell of the clock or the machine, not of the work.
_CLOCK = {
    *("images_per_second", "data_wait", "data_cores", "memory_gib", "starts", "started"),
    *("exported", "seconds", "git"),
}


def train(place):
    flags = {**TRAIN, "data_dir": place / "pairs", "run_dir": place / "made"}
    return ["train", *(f"--{name}={value}" for name, value in flags.items())]


def evaluate(place):
    return [
        "evaluate",
        f"--run_dir={place / 'run'}",
        f"--data_dir={place / 'pairs'}",
        f"--output_dir={place / 'made'}",
    ]


def translate(place):
    return [
        "translate",
        f"--run_dir={place / 'run'}",
        f"--input={place / 'pairs'}",
        f"--output={place / 'made'}",
        "--existing=skip",
    ]


def export(place):
    return [
        "export",
        f"--run_dir={place / 'run'}",
        f"--export_dir={place / 'made'}",
    ]


def reproduce(place):
    """Two trainings, each a process of its own, and what is measured of them."""
    return [
        *("reproduce", "--table=pan5", "--tasks=aerial2map", "--systems=pan,pix2pix"),
        *(f"--budget=8,{SIZE},1", "--width=0.05", "--dataset=folder", "--direction=AtoB"),
        f"--data_dir={place / 'pairs'}",
        f"--output_dir={place / 'made'}",
    ]


def finetune_vgg(place):
    return [
        *("finetune_vgg", "--dataset=folder", "--vgg=vgg16", "--image_size=32"),
        *("--batch_size=4", "--iterations=12", "--save_every=4", "--log_every=2"),
        f"--data_dir={place / 'photos'}",
        f"--vgg_weights={place / 'vgg16.weights.h5'}",
        f"--run_dir={place / 'made'}",
    ]


def shards(place):
    return [
        *("prepare_data", "--shards=4"),
        f"--data_dir={place / 'pairs'}",
        f"--output_dir={place / 'made'}",
    ]


def archive(place):
    return [
        *("prepare_data", "--dataset=edges2shoes"),
        f"--data_dir={place / 'made'}",
    ]


def doctor(place):
    return [
        *("doctor", f"--image_size={SIZE}"),
        f"--data_dir={place / 'pairs'}",
        f"--output_dir={place / 'made'}",
    ]


def user_study(place):
    return [
        *("user_study", "--questions=8", f"--data_dir={place / 'pairs'}"),
        f"--run_dir={place / 'run'}",
        f"--outputs=others={place / 'photos' / 'val' / 'a'}",
        f"--output_dir={place / 'made'}",
    ]


JOBS = {
    job.__name__: job
    for job in (
        *(train, evaluate, translate, export),
        *(reproduce, finetune_vgg, shards, archive, doctor, user_study),
    )
}


SPLITS = (("train", 0, 24), ("val", 1, 8))  # Names, seeds and numbers of images.


def make_images(folder, seed, count, ending="png", pairs=False):
    """Smooth noise: quick to make, and nothing that must be licensed."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        small = Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        pixels = np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        if pairs:  # The doctor sees that they belong together.
            pixels = np.concatenate([pixels, 255 - pixels], axis=1)
        Image.fromarray(pixels).save(folder / f"{i:02}.{ending}")


def make_data(out):
    """Pairs, photos of two classes, an archive of pairs, weights of a VGG."""
    for split, seed, count in SPLITS:
        make_images(out / "pairs" / split, seed, count, pairs=True)
        make_images(out / "edges2shoes" / split, seed, count, "jpg", pairs=True)
        for name in ("a", "b"):
            make_images(out / "photos" / split / name, seed, count)
    with tarfile.open(out / "edges2shoes.tar.gz", "w:gz") as archive:
        archive.add(out / "edges2shoes", "edges2shoes")
    path = out / "vgg16.weights.h5"
    vgg = "keras.applications.VGG16(weights=None, include_top=False)"
    # A process of its own: this one must not use TensorFlow before it forks.
    program = f"import keras; {vgg}.save_weights({str(path)!r})"
    subprocess.run([sys.executable, "-c", program], check=True)


def contents(folder):
    """Relative path -> what must be equal there, of files with final names.

    Raises:
        Exception: any, if one is not whole.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        is_log = "logs" in path.parent.parts[len(folder.parts) :]
        # What TFDS leaves behind is deleted an hour later.
        is_left = "_temp" in name or "incomplete." in name
        if path.is_dir() or hidden or is_left or is_log:
            continue
        found[name] = _read(path)
    return found


def _read(path):
    if path.suffix == ".index":
        reader = tf.train.load_checkpoint(str(path.with_suffix("")))
        names = reader.get_variable_to_shape_map()
        # The run's own state is JSON; tensors are compared by their bytes.
        return {
            name: np.asarray(reader.get_tensor(name)).tobytes()
            for name in names
            if "OBJECT_GRAPH" not in name
        }
    if ".data-" in path.name or path.suffix == ".pb":
        return None  # Read with its index; a graph's order of nodes is not fixed.
    if path.name == "checkpoint":
        lines = path.read_text().splitlines()
        return [line for line in lines if "timestamp" not in line]
    if path.name == "key.json":  # Which output is whose: drawn for each study.
        key = json.loads(path.read_text())
        page = path.with_name("index.html")
        page = page.read_text() if page.exists() else path.read_text()
        for question in key["questions"].values():
            missing = [name for name in question["options"] if name not in page]
            if missing:
                raise ValueError(f"{path} is of another page: {missing}")
        return [question["source"] for question in key["questions"].values()]
    if path.name == "index.html" and path.with_name("key.json").exists():
        return None
    if path.with_name("results.json").exists() and path.suffix in (".html", ".md"):
        return re.sub(r"\b\d+\.\d\b", "", path.read_text())  # Minutes of a training.
    if path.suffix == ".jsonl":
        return [_timeless(json.loads(line)) for line in path.read_text().splitlines()]
    if path.suffix == ".json":
        return _timeless(json.loads(path.read_text()))
    if path.suffix == ".png":
        with Image.open(path) as image:
            return image.tobytes()
    if path.suffix == ".h5":  # Whose bytes have a will of their own.
        with h5py.File(path) as file:
            arrays = {}
            file.visititems(lambda name, found: arrays.update({name: found}))
            arrays = {k: v[()] for k, v in arrays.items() if hasattr(v, "dtype")}
            if not arrays:
                raise ValueError(f"{path} holds no weights.")
            return {name: array.tobytes() for name, array in arrays.items()}
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.reader(file))
    return path.read_bytes()


def _timeless(value):
    if isinstance(value, dict):
        return {k: _timeless(v) for k, v in value.items() if k not in _CLOCK}
    if isinstance(value, list):
        return [_timeless(item) for item in value]
    return value


def differences(one, other):
    """Names of files that are not the same, or not there."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


class Kill:
    """SIGKILL, at a moment drawn over the time that the undisturbed command took."""

    hurt = "killed"

    def __init__(self, place, took, draw):
        self._took, self._draw = took, draw

    def attempt(self, argv, log, hurting):
        """Runs a command, hurt if so wished: (status, None where it was hurt; where)."""
        limit = self._draw.uniform(0, self._took) if hurting else None
        status, took = finish(argv, log, limit)
        return status, f"after {took:.2f} s"


class FullDisk:
    """A disk with room for a share, drawn, of what the undisturbed command left."""

    hurt = "stopped by a full disk"

    def __init__(self, place, took, draw):
        self._place, self._draw = place, draw
        self._size = _used(place)

    def attempt(self, argv, log, hurting):
        """As of `Kill`; to be hurt it must have ended in a sentence."""
        room = int(self._draw.uniform(0, 1.1) * self._size)
        # What lies there already, does.
        room = max(room, _used(self._place) + 4096) if hurting else _ROOM
        self._give(room)
        return self._judged(argv, log, hurting, f"with room for {room} bytes")

    def _give(self, room):
        _mount("-o", f"remount,size={room}", self._place)

    def _judged(self, argv, log, hurting, where):
        begin = log.stat().st_size if log.exists() else 0
        status, _ = finish(argv, log)
        said = log.read_bytes()[begin:].decode(errors="replace")
        if "Traceback" in said:
            raise RuntimeError(f"{where}: a traceback; see {log}")
        is_hurt = hurting and status != 0 and "No space left" in said
        return None if is_hurt else status, where


class Quota(FullDisk):
    """A disk that is full for a while and has room again, in turns."""

    hurt = "stopped by a quota that comes and goes"

    def __init__(self, place, took, draw):
        super().__init__(place, took, draw)
        self._took = took

    def attempt(self, argv, log, hurting):
        """As of `FullDisk`; a command that never met the full disk ends by itself."""
        if not hurting:
            return super().attempt(argv, log, False)
        seed = self._draw.random()
        child = os.fork()
        if not child:
            os.setsid()  # A `mount` that it has begun ends with it.
            try:
                self._come_and_go(random.Random(seed))
            finally:
                os._exit(1)
        try:
            return self._judged(argv, log, True, f"in turns {seed}")
        finally:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self._give(_ROOM)

    def _come_and_go(self, draw):
        """Until it is killed: room, then none, for shares of the command's time."""
        while True:
            time.sleep(draw.uniform(0, 0.5) * self._took)
            # What was written in between is more than the disk may get: once more.
            with contextlib.suppress(subprocess.CalledProcessError):
                self._give(_used(self._place) + draw.choice((2**12, 2**16)))
            time.sleep(draw.uniform(0, 0.1) * self._took)
            self._give(_ROOM)


class ReadOnly:
    """A disk that takes nothing any more, from a drawn moment on."""

    hurt = "stopped by a read-only disk"

    def __init__(self, place, took, draw):
        self._place, self._took, self._draw = place, took, draw

    def attempt(self, argv, log, hurting):
        """As of `Kill`: killed at a moment, begun again where nothing can be written."""
        if not hurting:
            return finish(argv, log)[0], "in the end"
        limit = self._draw.uniform(0, self._took)
        where = f"read-only after {limit:.2f} s"
        status, _ = finish(argv, log, limit)
        if status is not None:
            return status, where
        _wait_for_others(self._place)
        begin = log.stat().st_size if log.exists() else 0
        _mount("-o", "remount,ro", self._place)
        status, _ = finish(argv, log)
        _mount("-o", "remount,rw", self._place)
        said = log.read_bytes()[begin:].decode(errors="replace")
        if "Traceback" in said or (status and not said.strip()):
            raise RuntimeError(f"{where}: no sentence; see {log}")
        return None if status else 0, where


def _wait_for_others(place):
    """Waits for trainings whose command was killed: they save, and end."""
    for path in place.rglob(lock.NAME):
        while True:
            try:
                lock.check_free(path.parent)
                break
            except lock.HeldError:
                time.sleep(0.1)


WAYS = {"kill": Kill, "disk": FullDisk, "quota": Quota, "read_only": ReadOnly}


def _used(place):
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def _mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def disturb(name, job, options, draw):
    """Hurts a command `options.moments` times in all; what went wrong, as sentences."""
    # One place for all runs: they write down where they are.
    place, log = options.out / name, options.out / f"{name}.txt"
    prepare(place, job, options)
    status, took = finish(job(place), log)
    if status:
        return [f"the undisturbed run failed; see {log}"], 0, 0
    expected, faults, moments, runs = contents(place / "made"), [], 0, 0
    way = WAYS[options.by](place, took, draw)
    while moments < options.moments:
        prepare(place, job, options)
        runs, status = runs + 1, None
        while status is None:
            try:
                hurting = moments < options.moments
                status, where = way.attempt(job(place), log, hurting)
                _wait_for_others(place)
                if status is None:
                    moments += 1
                    contents(place / "made")
            except Exception as error:
                faults.append(f"{type(error).__name__}: {error}"[:300])
                moments += 1
        if status:
            faults.append(f"run {runs} ended with status {status} {where}; see {log}")
            moments += 1
            continue
        made = contents(place / "made")
        if name == "export":  # A kill after it was published: one version more.
            made = {re.sub(r"^\d+/", "1/", key): value for key, value in made.items()}
        unlike = differences(expected, made)
        if unlike:
            kept = options.out / f"{name}-{runs}"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(place, kept, symlinks=True)
            faults.append(f"run {runs} differs in {', '.join(unlike[:5])}; see {kept}")
    return faults, moments, runs


def prepare(place, job, options):
    """A fresh folder with what a job needs; a disk of its own, if that is to fill up."""
    if os.path.ismount(place):
        subprocess.run(["umount", place], check=True)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if options.by != "kill":
        _mount("-t", "tmpfs", "-o", "size=1g", "tmpfs", place)
    for name in ("pairs", "photos", "vgg16.weights.h5"):
        (place / name).symlink_to(options.out / name)
    (place / "run").symlink_to(options.out / "trained" / "made")
    if job is archive:
        manual = place / "made" / "downloads" / "manual"
        manual.mkdir(parents=True)
        (manual / "edges2shoes.tar.gz").symlink_to(options.out / "edges2shoes.tar.gz")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--moments", type=int, default=20, help="of each command")
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=JOBS)
    parser.add_argument("--by", default="kill", choices=WAYS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.out = options.out.resolve()
    if not (options.out / "vgg16.weights.h5").exists():
        make_data(options.out)
    trained = options.out / "trained"
    if not (trained / "made").exists():
        prepare(trained, train, options)
        status, _ = finish(train(trained), options.out / "log.txt")
        if status:
            sys.exit(f"The training failed; see {options.out / 'log.txt'}.")
    draw, broken = random.Random(options.seed), False
    for name in options.jobs:
        begun = time.monotonic()
        faults, moments, runs = disturb(name, JOBS[name], options, draw)
        took = time.monotonic() - begun
        print(
            f"{name}: {WAYS[options.by].hurt} {moments} times in {runs} runs, "
            f"{len(faults)} faults, {took:.0f} s",
            flush=True,
        )
        for fault in faults:
            print(f"    {fault}", flush=True)
        broken |= bool(faults)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
