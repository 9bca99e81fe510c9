"""Signals that ask a run to save and stop."""

import contextlib
import os
import signal
import stat
import threading
import time

# Environment variable: the process that a run is a part of, and stops with.
PARENT = "PAN_TF_PARENT"


class StopRequest:
    """SIGTERM, SIGINT or SIGHUP, remembered until the round under way is done.

    A second signal is not held back.

    Attributes:
        requested: whether to save and stop.
        at_once: whether there is nothing to save: a signal is a KeyboardInterrupt then.
    """

    def __init__(self):
        self.requested = self.at_once = False

    @contextlib.contextmanager
    def listening(self):
        """Context in which the signals are remembered instead of obeyed.

        Signals that are ignored, as SIGHUP under nohup, stay so. Other threads than the
        main one get none.
        """
        names = ("SIGTERM", "SIGINT", "SIGHUP")  # Windows has no SIGHUP.
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        before = {number: signal.getsignal(number) for number in numbers}
        before = {n: h for n, h in before.items() if h is not signal.SIG_IGN}
        if threading.current_thread() is not threading.main_thread():
            before = {}

        def remember(number, frame):
            name = signal.Signals(number).name
            if name == "SIGHUP":
                _leave_terminal()
            if self.at_once:
                raise KeyboardInterrupt
            self.requested = True
            print(f"\n{name}: saving, then stopping.", flush=True)
            for each, handler in before.items():
                signal.signal(each, handler)

        for number in before:
            signal.signal(number, remember)
        if signal.SIGTERM in before and PARENT in os.environ:
            parent = int(os.environ[PARENT])
            threading.Thread(target=_stop_with, args=(parent,), daemon=True).start()
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _stop_with(parent):
    """Asks this process to stop once another is no longer its parent: it was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def _leave_terminal():
    """Lets what is printed go nowhere where it went to a terminal, which is gone."""
    with open(os.devnull, "wb") as nowhere:
        for stream in (1, 2):
            with contextlib.suppress(OSError):
                if stat.S_ISCHR(os.fstat(stream).st_mode):
                    os.dup2(nowhere.fileno(), stream)
