"""Signals that ask a run to save and stop."""

import contextlib
import os
import signal
import stat
import threading

# Environment variable: the parent process whose end stops a run.
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
        main one get none. Where the environment names a `PARENT`, its end is a SIGTERM.
        """
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}
        before = {n: h for n, h in before.items() if h is not signal.SIG_IGN}
        if threading.current_thread() is not threading.main_thread():
            before = {}

        def remember(number, frame):
            if number == signal.SIGHUP:
                _leave_terminal()
            if self.at_once:
                raise KeyboardInterrupt
            self.requested = True
            name = signal.Signals(number).name
            print(f"\n{name}: saving, then stopping.", flush=True)
            for each, handler in before.items():
                signal.signal(each, handler)

        for number in before:
            signal.signal(number, remember)
        ended = threading.Event()
        if signal.SIGTERM in before and PARENT in os.environ:
            parent = int(os.environ[PARENT])
            watch = threading.Thread(target=self._stop_with, args=(parent, ended))
            watch.daemon = True
            watch.start()
        try:
            yield self
        finally:
            ended.set()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop_with(self, parent, ended):
        """Asks this process to stop once its parent is gone, which was killed."""
        while os.getppid() == parent:
            if ended.wait(0.5):
                return
        if not self.requested:  # A second signal would not be held back.
            os.kill(os.getpid(), signal.SIGTERM)


def _leave_terminal():
    """Lets what is printed go nowhere where it went to a terminal, which is gone."""
    with open(os.devnull, "wb") as nowhere:
        for stream in (1, 2):
            with contextlib.suppress(OSError):
                if stat.S_ISCHR(os.fstat(stream).st_mode):
                    os.dup2(nowhere.fileno(), stream)
