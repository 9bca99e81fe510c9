"""Programs as processes of their own that import TensorFlow once: forks of one that did.

What starts a program anew is slower, and of a test in which that is the point.
"""

import contextlib
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import time
import traceback
import types

ROOT = pathlib.Path(__file__).parents[1]


@contextlib.contextmanager
def forks():
    """Context with `start` of a process that is forked, and ends after it."""
    forked = subprocess.Popen(
        [sys.executable, "-P", __file__],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def asked(*request):
        print(json.dumps(request), file=forked.stdin, flush=True)
        return json.loads(forked.stdout.readline())

    def start(program, *arguments, **environment):
        """`Program` of a file of Python, with variables of its own."""
        argv = [str(argument) for argument in (program, *arguments)]
        return Program(asked, argv, environment)

    try:
        yield start
    finally:
        forked.stdin.close()
        forked.wait()


class Program:
    """A process, as of `subprocess`, that has begun."""

    def __init__(self, asked, argv, environment):
        self._asked, self._place = asked, tempfile.TemporaryDirectory()
        self._said = [os.path.join(self._place.name, name) for name in ("out", "err")]
        self.pid, self.returncode = asked("start", argv, environment, self._said), None

    def poll(self):
        """Its exit status; None as long as it runs."""
        if self.returncode is None:
            self.returncode = self._asked("poll", self.pid)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def finished(self, timeout=300):
        """What it printed, and its status, after its end."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                os.kill(self.pid, 9)
            time.sleep(0.05)
        out, err = (pathlib.Path(path).read_text() for path in self._said)
        return types.SimpleNamespace(returncode=self.returncode, stdout=out, stderr=err)


def main():
    # All that a training imports, and nothing that begins to compute.
    from pan_tf import dry_run  # noqa: F401
    from pan_tf.cli import train  # noqa: F401
    from pan_tf.runs import training  # noqa: F401

    for line in sys.stdin:
        name, *request = json.loads(line)
        if name == "start":
            answer = os.fork()
            if not answer:
                _run(*request)
        else:
            found, status = os.waitpid(*request, os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if found else None
        print(json.dumps(answer), flush=True)


def _run(argv, environment, said):
    status = 1
    try:
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(said, start=1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
