"""Data sets that come as an archive, and are prepared once as records of TFDS.

`Archived` is what such layouts have in common; a subclass has `builder(name, data_dir)`,
the TFDS builder, prepared or not, and `open`.
"""

import dataclasses
import gzip
import hashlib
import pathlib
import socket
import tarfile
import urllib.parse
import urllib.request
import zipfile
import zlib

from absl import logging

from pan_tf import calling
from pan_tf import files
from pan_tf import printing

_STALE = 3600.0  # Seconds; what another process writes to is younger.


@dataclasses.dataclass(frozen=True)
class Archive:
    """What is known of a published archive.

    Attributes:
        url: where it is downloaded from; or the host, where TFDS knows the rest.
        files: what is looked for in `downloads/manual/` before that; () for the last part
            of the URL.
        splits: its folders.
        num_bytes: exact size, where it has been published.
        sha256: where it has been published.
    """

    url: str
    files: tuple = ()
    splits: tuple = ("train", "val")
    num_bytes: int | None = None
    sha256: str | None = None

    def verify(self, path):
        """Compares a file with what has been published.

        Raises:
            ValueError: if its size or its sha256 is another.
        """
        name, size = self.url.rpartition("/")[2], path.stat().st_size
        if self.num_bytes is not None and size != self.num_bytes:
            raise ValueError(
                f"{path} must have {self.num_bytes} bytes to be the published {name}. "
                f"Received: {size} bytes; delete it and prepare again."
            )
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if self.sha256 is None:
            logging.warning(
                "No checksum of %s has been published; this one has sha256 %s.",
                name,
                sha256,
            )
        elif sha256 != self.sha256:
            raise ValueError(
                f"{path} must have sha256 {self.sha256} to be the published {name}. "
                f"Received: {sha256}; delete it and prepare again."
            )


@dataclasses.dataclass(frozen=True)
class Archived:
    """A layout of archives.

    Attributes:
        archive: `Archive`.
    """

    archive: Archive

    def missing(self, name, config, splits):
        data_dir = config.data_dir
        if self.is_prepared(name, data_dir):
            return None
        reason = "--nodownload was given"
        if config.download:
            try:
                self.prepare(name, data_dir)
                return None
            except FileNotFoundError as error:
                reason = str(error)
        return (
            f"The data set {name!r} is not in --data_dir={data_dir}, and {reason}\n"
            "Prepare it, with a network or with the archive put at "
            f"{self.manual_paths(name, data_dir)[0]}, by:\n"
            "    "
            + calling.command(
                "prepare_data", f"--dataset={name}", f"--data_dir={data_dir}"
            )
        )

    def is_prepared(self, name, data_dir):
        """Whether the data set lies prepared under `data_dir`."""
        folder = pathlib.Path(self.builder(name, data_dir).data_dir)
        return (folder / "dataset_info.json").exists()

    def prepare(self, name, data_dir):
        """Makes the data set from its archive, which is downloaded if it is not there.

        Raises:
            FileNotFoundError: if there is no archive, and its host does not give it.
            ValueError: if the archive is damaged, or not the published one.
        """
        from tensorflow_datasets.core.download import util

        wanted = self.manual_paths(name, data_dir)
        if not self.is_at_hand(name, data_dir) and not host_answers(self.archive.url):
            raise FileNotFoundError(
                f"{self.archive.url} cannot be reached. {self._by_hand(wanted)}"
            )
        builder, folder = self.builder(name, data_dir), pathlib.Path(data_dir)
        there = pathlib.Path(builder.data_dir).parent
        files.remove_stale(there.glob("incomplete.*"), _STALE)
        try:
            with printing.for_terminals():
                builder.download_and_prepare(download_dir=folder / "downloads")
        except util.DownloadError as error:
            raise FileNotFoundError(
                f"{self.archive.url} does not give it: {error} {self._by_hand(wanted)}"
            ) from None
        except _damages() as error:
            there = self.at_hand(name, data_dir) or [folder / "downloads"]
            raise ValueError(
                f"{' or '.join(map(str, there))} cannot be unpacked: it is damaged, or "
                "something else. Delete it and prepare again."
            ) from error

    or_else = ""  # Half a sentence on other files that will do.

    def _by_hand(self, files):
        return (
            "Download it elsewhere, put it at "
            f"{' and '.join(map(str, files))}{self.or_else} and run the command again."
        )

    def is_at_hand(self, name, data_dir):
        """Whether all files lie there that a download would bring."""
        return len(self.at_hand(name, data_dir)) == len(self.manual_paths(name, data_dir))

    def at_hand(self, name, data_dir):
        """The archives that need not be downloaded."""
        return [path for path in self.manual_paths(name, data_dir) if path.is_file()]

    def manual_paths(self, name, data_dir):
        """Where files are looked for before they are downloaded."""
        folder = pathlib.Path(data_dir) / "downloads" / "manual"
        files = self.archive.files or (self.archive.url.rpartition("/")[2],)
        return [folder / file for file in files]


def _damages():
    """What unpacking raises of an archive that is not whole, or is none."""
    from tensorflow_datasets.core.download import extractor

    own = tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError
    return *own, extractor.ExtractError


def host_answers(url, seconds=5.0):
    """TFDS retries a download without a network for minutes; ask first."""
    url = urllib.parse.urlsplit(url)
    by_proxy = url.scheme in urllib.request.getproxies()
    if by_proxy and not urllib.request.proxy_bypass(url.hostname):
        return True  # The host need not be reached from here.
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname, port), seconds).close()
    except OSError:
        return False
    return True
