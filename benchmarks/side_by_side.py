"""Processes that take turns: how benchmarks compare two libraries on a noisy machine.

A side is an object in a process of its own, whose methods the parent calls one at a time;
only one side works at any moment. All have huge pages where pan_tf's commands have them;
`GLIBC_TUNABLES= python benchmarks/...` goes without.
"""

import json
import pathlib
import resource
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from pan_tf import memory


def begin():
    """Begins the benchmark, and so every side, as pan_tf's commands begin."""
    memory.begin_with_huge_pages()


class Worker:
    """The parent's end of a side's process.

    Args:
        script: the benchmark itself, which is to `serve` with these flags.
        *flags: which side, of what.
    """

    def __init__(self, script, *flags):
        self.process = subprocess.Popen(
            [sys.executable, script, *flags],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command):
        """Calls a method, "name" or "name argument".

        Returns:
            `{"seconds", "answer", "memory"}`: how long it took, what it returned, and the
            process's peak of memory in GiB.
        """
        print(command, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def serve(side):
    """A side's process: obeys lines on stdin, answers in JSON."""
    for line in sys.stdin:
        command, _, argument = line.strip().partition(" ")
        started = time.perf_counter()
        answer = getattr(side, command)(*filter(None, [argument]))
        seconds = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            json.dumps(
                {
                    "seconds": seconds,
                    "answer": answer if isinstance(answer, dict) else None,
                    "memory": memory,
                }
            ),
            flush=True,
        )
