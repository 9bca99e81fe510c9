"""What each system of a table gets, and one training of one.

Every training is a process of its own, `pan-tf train`, so that one that fails takes
nothing with it, and one that is interrupted goes on where it was.
"""

import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

from pan_tf import bundled
from pan_tf import files
from pan_tf.config import Config
from pan_tf.papers.reproduction.tables import Row
from pan_tf.runs import stopping
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError

# Status of a training that was told to stop; 130: before there was anything to save.
STOPPED = (-signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP, 130)


@dataclasses.dataclass(frozen=True)
class Budget:
    """What each system of a table gets.

    Attributes:
        iterations: minibatches of PAN's four images; a system of another batch size sees
            as many images. None: as many images as the task's flagfile has it.
        image_size: pixels a side; None: as the task's flagfile has it.
        seeds: number of trainings, with seeds from 1 up.
    """

    iterations: int | None = None
    image_size: int | None = None
    seeds: int = 1

    @classmethod
    def parse(cls, text):
        """From "iterations,image_size,seeds", of which the first two may be empty.

        Raises:
            ValueError: if they are not three positive numbers.
        """
        *own, seeds = text.split(",")
        try:
            numbers = [int(number) if number.strip() else None for number in own]
            numbers.append(int(seeds))
        except ValueError:
            numbers = []
        if len(numbers) != 3 or min(n for n in numbers if n is not None) < 1:
            raise ValueError(
                "--budget must be iterations,image_size,seeds, such as 4000,64,2, or "
                f",,2 for the paper's. Received: budget={text!r}."
            )
        return cls(*numbers)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One training of one system on one task."""

    system: Row
    seed: int
    config: Config

    @property
    def run_dir(self):
        return pathlib.Path(self.config.run_dir)

    @property
    def folder(self):
        return RunFolder(self.run_dir, flag="--output_dir")

    @property
    def result(self):
        """What result.json holds; None without it."""
        return files.read_json(self.run_dir / "result.json", ("last",))

    def check_result(self):
        """Raises ValueError if result.json is not what a training writes."""
        if (result := self.result) is None:
            return
        last = result["last"]
        if not isinstance(last, dict) or not isinstance(last.get("checkpoint"), int):
            raise ValueError(
                f"{self.run_dir / 'result.json'} is damaged: it names no last "
                "checkpoint. Without it the training is measured again."
            )

    @property
    def is_finished(self):
        """Whether it came to its end with the iterations that are asked for."""
        folder, result = self.folder, self.result
        if result is None:
            return False
        trained = folder.config()
        return (
            result["last"]["checkpoint"] >= self.config.iterations
            and not folder.with_found(self.config).differences(trained)
            and trained.iterations == self.config.iterations
        )

    def train(self, stop):
        """Runs a training to its end; None, or its exit status if that is not 0.

        A request to stop is passed on: the training saves, and ends.
        """
        self.run_dir.parent.mkdir(parents=True, exist_ok=True)
        self._wait(stop)
        if stop.requested:
            return None
        path = self.run_dir.with_suffix(".cfg")
        files.write(path, self.config.to_flagfile())
        command = [sys.executable, "-m", "pan_tf", "train", f"--flagfile={path}"]
        # This very package, also where it is not installed.
        paths = str(bundled.PACKAGE.parent), os.environ.get("PYTHONPATH")
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            stopping.PARENT: str(os.getpid()),
        }
        # A group of its own: Ctrl-C reaches it once, through us.
        child = subprocess.Popen(command, start_new_session=True, env=environment)
        is_told = False
        try:
            while child.poll() is None:
                if stop.requested and not is_told:
                    child.send_signal(signal.SIGTERM)
                    is_told = True
                time.sleep(0.2)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        return child.returncode or None

    def _wait(self, stop):
        """Waits until nobody has its folder: a killed command's training still saves."""
        is_told = False
        while not stop.requested:
            try:
                RunFolder(self.run_dir).check_free()
                return
            except RunFolderError as error:
                if not is_told:
                    print(f"{error}\nWaiting for it.", flush=True)
                is_told = True
            time.sleep(0.5)
