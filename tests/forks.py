"""`fresh_process.py` without importing TensorFlow each time: forks of one that did.

    python -P forks.py FRESH_PROCESS

Reads a line of JSON a request, the arguments and a file for what is said there; prints
the exit status of the fork that answered it.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import traceback


class Forks:
    """The process that is forked; it lives as long as this one.

    Args:
        fresh_process: path of the program.
    """

    def __init__(self, fresh_process):
        self._forked = subprocess.Popen(
            [sys.executable, "-P", __file__, str(fresh_process)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, *arguments):
        """As `parity.start`."""
        with tempfile.NamedTemporaryFile("r") as said:
            request = json.dumps([*arguments, said.name])
            print(request, file=self._forked.stdin, flush=True)
            return int(self._forked.stdout.readline()), said.read()


def main(fresh_process):
    spec = importlib.util.spec_from_file_location("fresh_process", fresh_process)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    for line in sys.stdin:
        *arguments, said = json.loads(line)
        child = os.fork()
        if not child:
            answer(program, arguments, said)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def answer(program, arguments, said):
    status = 1
    try:
        with open(said, "w") as file:
            os.dup2(file.fileno(), 2)
        program.main(*arguments)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])
