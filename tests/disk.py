"""A disk that will not take it all, without being root."""

import contextlib
import resource


@contextlib.contextmanager
def limited_files(size):
    """Context in which no file of this process grows beyond a size, in bytes.

    To write more is an error of the system: EFBIG, as ENOSPC of a full disk.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
