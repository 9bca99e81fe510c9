"""Reads thousands of files as nobody should have them, and gives them to every command.

    python benchmarks/hostile_files.py --out=hostile --files=10000
    python benchmarks/hostile_files.py --out=hostile --files=500 --jobs translate --seed=7

The files are `tests/corpus.py`'s. `read` compares their pixels with what was put into
them, or with Pillow's. The other jobs run commands on folders of them, some with links in
circles, links to nothing, pipes and folders called .png: each must end by itself, without
a traceback, and account for every file. Prints a line a job; exit status 1 at any fault.
"""

import argparse
import concurrent.futures
import functools
import multiprocessing
import os
import pathlib
import random
import re
import resource
import shutil
import sys
import time
import warnings

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from absl import logging
from PIL import Image

from benchmarks.commands import finish
from pan_tf import image_files
from tests import corpus

SIZE = 64
SECONDS = 10
MEMORY = 6 * 2**30  # Of address space beside what a fork has: a file may claim more.
TRAIN = {
    "dataset": "folder",
    "recipe": "pan",
    "image_size": SIZE,
    "width": 0.05,
    "batch_size": 1,
    "iterations": 2,
    "validate_every": 0,
}


def _set_up():
    warnings.simplefilter("ignore")
    used = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    limit = used * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def read(options):
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(
        os.cpu_count(), fork, initializer=_set_up
    ) as pool:
        fault = functools.partial(corpus.fault_of, options.seed, seconds=SECONDS)
        found = list(pool.map(fault, range(options.files), chunksize=50))
    return [each for each in found if each], options.files


def _fresh(place):
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def fill(folder, options):
    """Files of the corpus in a folder: path -> sample."""
    folder.mkdir(parents=True)
    samples = {}
    for number in range(options.folder):
        sample = corpus.sample(options.seed, number)
        path = pathlib.Path(os.fsdecode(os.fsencode(folder) + b"/" + sample.name))
        path.write_bytes(sample.contents)
        samples[path] = sample
    return samples


def trap(folder):
    """Puts into a folder what is no file, by names of images."""
    (folder / "lost.png").symlink_to("nowhere.png")
    (folder / "ring.png").symlink_to("ring.png")
    (folder / "round").symlink_to(".")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")


def translate(options):
    """All of a folder, and every output beside what reading its input gives."""
    place = _fresh(options.out / "translate")
    samples = fill(place / "in", options)
    trap(place / "in")
    log = place / "log.txt"
    status, took = _run(
        options,
        log,
        "translate",
        run_dir=options.out / "run",
        input=place / "in",
        output=place / "out",
    )
    text = log.read_text("utf-8", "surrogateescape")
    faults = _faults_of_log(text)
    counted = re.search(r"(\d+) in, (\d+) out, (\d+) failed\.", text)
    if not counted:
        return [*faults, f"status {status}, and no count"], len(samples)
    came, went, failed = map(int, counted.groups())
    outputs = [path for path in (place / "out").rglob("*") if path.is_file()]
    # Links to nothing and pipes have names of images: they are told as failures too.
    named = {p for p in (place / "in").iterdir() if not p.is_dir() and _is_named(p)}
    if (came, went) != (len(named), len(outputs)) or came != went + failed:
        faults.append(
            f"{len(named)} files, {len(outputs)} outputs, but: {counted.group()}"
        )
    if bool(failed) != bool(status):
        faults.append(f"{failed} failed, status {status}")
    for path, size in zip(samples, _in_fork(_sizes_of, list(samples)), strict=True):
        names = (path.stem + ".png", path.name + ".png", path.name)
        sizes = []
        for out in (each for each in outputs if each.name in names):
            with Image.open(out) as image:
                sizes.append(image.size)
        if _is_named(path) and size is not None and size not in sizes:
            faults.append(f"{path.name!r}: {size}, but {sizes}")
    if took > SECONDS * len(samples):
        faults.append(f"{took:.0f} s")
    return faults, len(samples)


def _in_fork(function, *arguments):
    """What a function returns; TensorFlow must not be used before a fork."""
    fork = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, fork, initializer=_set_up) as pool:
        return pool.submit(function, *arguments).result()


def _sizes_of(paths):
    """(width, height) of each that can be read, None of the others."""
    sizes = []
    for path in paths:
        try:
            height, width = image_files.read_picture(path, 3).pixels.shape[:2]
            sizes.append((width, height))
        except image_files.ImageFileError:
            sizes.append(None)
    return sizes


def _is_named(path):
    endings = {e for e, f in Image.registered_extensions().items() if f in Image.OPEN}
    endings |= set(image_files.ENDINGS)
    return path.suffix.lower() in endings and not path.name.startswith(".")


def refuse(command, two, options, traps=False):
    """Pairs that are all sorts of things: refused in a sentence, or used."""
    place = _fresh(options.out / f"{command}{'-two' if two else ''}")
    for split in ("train", "test"):
        for side in ("A", "B") if two else ("",):
            fill(place / "data" / f"{split}{side}", options)
            if traps:
                trap(place / "data" / f"{split}{side}")
    log = place / "log.txt"
    flags = {"dataset": "folder", "data_dir": place / "data"}
    if command == "train":
        flags = {**TRAIN, **flags, "run_dir": place / "made"}
    elif command == "evaluate":
        flags |= {"run_dir": options.out / "run", "output_dir": place / "made"}
    else:
        flags |= {"output_dir": place / "made"}
    status, took = _run(options, log, command, **flags)
    faults = _faults_of_log(log.read_text("utf-8", "surrogateescape"))
    if status == 0 and command != "doctor":
        faults.append("damaged pairs were used")
    if took > SECONDS * options.folder:
        faults.append(f"{took:.0f} s")
    return faults, options.folder * 2 * (1 + two)


def use(options):
    """Good files, of all kinds and sizes, in two folders of equal names: trained on."""
    place = _fresh(options.out / "use")
    for side in "AB":
        folder = place / "data" / f"train{side}"
        folder.mkdir(parents=True)
    count = 0
    for number in range(options.folder):
        sample = corpus.sample(options.seed, number, damaged=0.0)
        if sample.truth is corpus.REFUSED:
            continue
        name = os.fsdecode(sample.name)
        if not image_files.is_image(name):
            continue
        for side in "AB":
            (place / "data" / f"train{side}" / name).write_bytes(sample.contents)
        count += 1
    log = place / "log.txt"
    flags = {**TRAIN, "data_dir": place / "data", "run_dir": place / "made"}
    status, _ = _run(options, log, "train", **flags)
    faults = _faults_of_log(log.read_text("utf-8", "surrogateescape"))
    if status:
        faults.append(f"status {status}; see {log}")
    return faults, count


def export(options):
    """A run is exported whose images have been damaged since; or as if they had not:
    every other time damaged files keep their sizes and times."""
    place = _fresh(options.out / "export")
    random_ = random.Random(options.seed)
    good = {}
    for name in (f"{split}{side}/{i}.png" for split, side, i in _NAMES):
        path = place / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = Image.effect_noise((100, 80), 60.0).convert("RGB")
        noise.save(path)
        good[path] = path.read_bytes()
    log = place / "log.txt"
    flags = {**TRAIN, "data_dir": place / "data", "run_dir": place / "run"}
    if _run(options, log, "train", **flags)[0]:
        return [f"was not trained; see {log}"], len(good)
    faults, count = [], 0
    for number in range(max(1, options.folder // len(good))):
        damaged = random_.sample(sorted(good), random_.randint(1, len(good)))
        for each in damaged:
            sample = corpus.sample(options.seed, count)
            count += 1
            before = each.stat()
            if number % 2:
                size = before.st_size
                each.write_bytes(sample.contents[:size].ljust(size, b"\0"))
                os.utime(each, ns=(before.st_atime_ns, before.st_mtime_ns))
            else:
                each.write_bytes(sample.contents)
        log = place / f"log-{number}.txt"
        made = place / "exported" / str(number)
        status, took = _run(
            options, log, "export", run_dir=place / "run", export_dir=made
        )
        found = _faults_of_log(log.read_text("utf-8", "surrogateescape"))
        if took > SECONDS * 6:
            found.append(f"{took:.0f} s")
        # Images that cannot be used any more are no obstacle: others prove parity.
        if status or not (made / "1" / "saved_model.pb").exists():
            found.append(f"status {status}, and {sorted(made.glob('*'))}")
        faults += [f"{number}: {fault}" for fault in found]
        for path, contents in good.items():
            path.write_bytes(contents)
    return faults, count


_NAMES = [
    (split, side, i)
    for split, last in (("train", 6), ("test", 3))
    for side in "AB"
    for i in range(last)
]


def _run(options, log, command, **flags):
    argv = [command, *(f"--{name}={value}" for name, value in flags.items())]
    return finish(argv, log, seconds=SECONDS * max(60, options.folder))


def _faults_of_log(text):
    signs = ("Traceback (most recent call last)", "Segmentation fault", "{{function_node")
    return [f"{sign} in the log" for sign in signs if sign in text]


JOBS = {
    "read": read,
    "translate": translate,
    "train": functools.partial(refuse, "train", False),
    "train-two": functools.partial(refuse, "train", True),
    "traps": functools.partial(refuse, "train", False, traps=True),
    "doctor": functools.partial(refuse, "doctor", False),
    "doctor-two": functools.partial(refuse, "doctor", True),
    "evaluate": functools.partial(refuse, "evaluate", False),
    "use": use,
    "export": export,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--files", type=int, default=10_000, help="that are read")
    parser.add_argument("--folder", type=int, default=300, help="files in a folder")
    parser.add_argument("--jobs", nargs="+", default=list(JOBS), choices=JOBS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.set_verbosity("fatal")
    options.out = options.out.resolve()
    run, log = options.out / "run", options.out / "log.txt"
    if not (run / "run.cfg").exists():
        options.out.mkdir(parents=True, exist_ok=True)
        flags = {**TRAIN, "dataset": "bluemarble", "run_dir": run}
        if finish(["train", *(f"--{k}={v}" for k, v in flags.items())], log)[0]:
            sys.exit(f"The training failed; see {log}.")
    broken = False
    for name in options.jobs:
        begun = time.monotonic()
        faults, count = JOBS[name](options)
        took = time.monotonic() - begun
        print(f"{name}: {count} files, {len(faults)} faults, {took:.0f} s", flush=True)
        for fault in faults:
            print(f"    {fault}"[:400], flush=True)
        broken |= bool(faults)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
