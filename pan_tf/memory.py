"""How much memory is left, where the system says so.

On a CPU TensorFlow does not survive an allocation that fails, so what is too large has to
be seen beforehand.
"""

import os
import pathlib
import resource

_MEMINFO = pathlib.Path("/proc/meminfo")
_STATM = pathlib.Path("/proc/self/statm")
_CGROUP = pathlib.Path("/sys/fs/cgroup")
_RECLAIMABLE = ("active_file", "inactive_file")


def available_bytes():
    """Bytes that can still be had, on this machine, in this container and process.

    Returns:
        Number of bytes; None where the system does not say.
    """
    every = _of_machine(), _of_container(), _of_process()
    return min((free for free in every if free is not None), default=None)


def _of_machine():
    try:
        lines = _MEMINFO.read_text().splitlines()
    except OSError:
        return None
    kilobytes = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(kilobytes[0]) if kilobytes else None


def _of_process():
    """What the process may still map (RLIMIT_AS, `ulimit -v`)."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        pages = int(_STATM.read_text().split()[0])
    except (OSError, ValueError):
        return None
    return max(0, limit - pages * os.sysconf("SC_PAGE_SIZE"))


def _of_container():
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        lines = (_CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    # Files that the kernel keeps in memory for as long as nobody needs it.
    cached = sum(
        int(line.split()[1]) for line in lines if line.split()[0] in _RECLAIMABLE
    )
    return max(0, int(limit) - used + cached)
