"""What becomes of a command that is told to stop."""

import contextlib
import os
import signal
import sys
import threading

from pan_tf import paths


class _Stopped(BaseException):
    """A signal came; not an error that a command may handle."""


@contextlib.contextmanager
def unwinding():
    """Context that SIGTERM and SIGHUP leave as an exception leaves it, and then obeys.

    So what is half written is taken away, and processes that were started are ended, as
    after Ctrl-C; whoever sent the signal sees that the process ended by it. A second one
    is not held back. Signals that are ignored, as SIGHUP under nohup, stay so; other
    threads than the main one get none. A training has its own way to stop.
    """
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
        and threading.current_thread() is threading.main_thread()
    ]

    def leave(number, frame):
        signal.signal(number, signal.SIG_DFL)
        raise _Stopped(number)

    for number in numbers:
        signal.signal(number, leave)
    try:
        yield
    except _Stopped as stopped:
        # On its way here a training may have put `leave` back.
        (number,) = stopped.args
        signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # A terminal that is gone.
            sys.stdout.flush()
        paths.forget_links()
        os.kill(os.getpid(), number)
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
