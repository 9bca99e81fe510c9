"""How much memory is left, where the system says so, and how a command begins with it.

On a CPU TensorFlow does not survive an allocation that fails, so what is too large has to
be seen beforehand.
"""

import gc
import os
import pathlib
import resource
import sys
import threading

_MEMINFO = pathlib.Path("/proc/meminfo")
_STATM = pathlib.Path("/proc/self/statm")
_CGROUP = pathlib.Path("/sys/fs/cgroup")
_RECLAIMABLE = ("active_file", "inactive_file")
_HUGE_PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
_TUNABLES = "GLIBC_TUNABLES"
# The last two keep what is freed for the next tensor of that size, whose pages are there.
_OURS = {
    "glibc.malloc.hugetlb": 1,
    "glibc.malloc.mmap_threshold": 2**30,
    "glibc.malloc.trim_threshold": 2**30,
}


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


def begin_with_huge_pages():
    """Begins the process again if that gives it pages of 2 MiB; call it before all work.

    Tensors take gigabytes, and with pages of 4 KiB a processor, above all a virtual one,
    looks up where they are more often than it can remember. Most distributions give huge
    pages to who asks. glibc asks where its tunables say so, which it reads when a process
    begins. Whoever has set GLIBC_TUNABLES, were it to nothing, keeps what they set.
    """
    is_late = "tensorflow" in sys.modules  # It has been imported for this process.
    if _TUNABLES in os.environ or is_late or not sys.executable or not _are_to_be_had():
        return
    os.environ[_TUNABLES] = ":".join(f"{name}={value}" for name, value in _OURS.items())
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def begin_without_collections(seconds=15.0):
    """Lets Python look for garbage only after a while; call it before all work.

    Imports and tracing make millions of objects, of which nearly all stay. Each time that
    their number has grown by a quarter, Python looks through all of them: a twelfth of
    the time from a command to its first step.

    Args:
        seconds: the while.

    Returns:
        The thread that waits for its end.
    """
    gc.disable()
    waiting = threading.Timer(seconds, gc.enable)
    waiting.daemon = True
    waiting.start()
    return waiting


def _are_to_be_had():
    """Whether glibc knows how to ask, since 2.35, and the kernel gives to who asks."""
    try:
        library, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        major, minor = map(int, version.split(".")[:2])
        is_for_who_asks = "[madvise]" in _HUGE_PAGES.read_text()
    except (AttributeError, OSError, ValueError):  # Another library, or system.
        return False
    return library == "glibc" and (major, minor) >= (2, 35) and is_for_who_asks
