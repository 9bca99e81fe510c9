"""Workers that train together, one of which is hurt: is anything lost?

    python benchmarks/workers.py --out=workers --moments=4
    python benchmarks/workers.py --out=workers --count=3 --by=term

Processes of this machine train together under MultiWorkerMirroredStrategy, first
undisturbed. Then one of them, drawn, is killed (or asked to stop, by SIGTERM) at a
moment drawn over the time that the undisturbed training took. What is left after a
minute is killed as well (after SIGTERM nothing may be), and the same command is started
for all again, until it ends by itself. The run folder must be the undisturbed one's to
the bit. Prints a line a moment; exit status 1 if anything was wrong.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import kill
from benchmarks.commands import start
from tests.ports import free_ports

PATIENCE = 60.0  # Seconds in which workers end where another one has.
LONGEST = 600.0


class Workers:
    """The processes of one start."""

    def __init__(self, place, count):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        self.statuses = [None] * count
        self.begun = time.monotonic()
        self._running = {}
        for index in range(count):
            task = {"type": "worker", "index": index}
            config = json.dumps({"cluster": {"worker": addresses}, "task": task})
            argv = [*kill.train(place), f"--batch_size={2 * count}"]
            log = place.parent / f"{place.name}-{index}.txt"
            child = start(argv, log, environment={"TF_CONFIG": config})
            self._running[child] = index

    def wait(self, seconds):
        """Whether all have ended within so long; how long it took."""
        begun = time.monotonic()
        while self._running and time.monotonic() - begun < seconds:
            for child in list(self._running):
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    index = self._running.pop(child)
                    self.statuses[index] = os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        return not self._running, time.monotonic() - begun

    def running(self):
        """Indices of those that have not ended."""
        return set(self._running.values())

    def send(self, number, worker=None):
        """A signal to one worker, or to all that are left."""
        for child, index in self._running.items():
            if worker in (None, index):
                os.kill(child, number)


def straight(place, count):
    """The undisturbed training: (what it left, seconds)."""
    workers = Workers(place, count)
    done, took = workers.wait(LONGEST)
    if not done or any(workers.statuses):
        workers.send(signal.SIGKILL)
        sys.exit(
            f"The undisturbed training failed: {workers.statuses}; see {place}-*.txt"
        )
    return kill.contents(place / "made"), took


def disturb(place, options, took, draw):
    """Hurts a worker, and goes on to the end: sentence on what happened, faults."""
    victim, moment = draw.randrange(options.count), draw.uniform(0, took)
    workers, faults = Workers(place, options.count), []
    done, _ = workers.wait(moment)
    by = {"kill": signal.SIGKILL, "term": signal.SIGTERM}[options.by]
    heard = victim in workers.running()
    workers.send(by, victim)
    ended, waited = workers.wait(PATIENCE)
    said = f"worker {victim} hurt after {moment:.1f} s: others ended in {waited:.1f} s"
    if not ended:
        said = f"worker {victim} hurt after {moment:.1f} s: others were waiting yet"
        if options.by == "term":
            faults.append(f"after SIGTERM not all ended: {workers.statuses}")
    elif options.by == "term" and heard and 0 in workers.statuses:
        # 75: saved and stopped. Else the signal came before the first round.
        faults.append(f"SIGTERM did not stop them: statuses are {workers.statuses}")
    workers.send(signal.SIGKILL)
    workers.wait(PATIENCE)
    kill.contents(place / "made")  # Raises where something is not whole.
    again = Workers(place, options.count)
    done, _ = again.wait(LONGEST)
    again.send(signal.SIGKILL)
    if not done or any(again.statuses):
        faults.append(f"the next start ended with {again.statuses}")
    return said, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=2, help="workers")
    parser.add_argument("--moments", type=int, default=4)
    parser.add_argument("--by", default="kill", choices=("kill", "term"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    out = options.out.resolve()
    if not (out / "pairs").exists():
        for split, seed, count in kill.SPLITS:
            kill.make_images(out / "pairs" / split, seed, count, pairs=True)
    place, draw, broken = out / f"{options.count}-workers", random.Random(options.seed), 0
    fresh(place, out)
    expected, took = straight(place, options.count)
    print(f"undisturbed: {took:.0f} s", flush=True)
    for _ in range(options.moments):
        fresh(place, out)
        said, faults = disturb(place, options, took, draw)
        unlike = kill.differences(expected, kill.contents(place / "made"))
        if unlike:
            faults.append(f"differs in {', '.join(unlike[:5])}")
        print(f"{said}; {'; '.join(faults) or 'equal in the end'}", flush=True)
        broken += len(faults)
    return 1 if broken else 0


def fresh(place, out):
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "pairs").symlink_to(out / "pairs")


if __name__ == "__main__":
    sys.exit(main())
