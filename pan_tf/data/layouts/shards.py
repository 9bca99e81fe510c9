"""Folders of images in few large files, for disks on which many small ones are slow.

`shards.json` beside the shards tells what they hold, and where: the files of `train`,
`trainA` and so on, byte by byte as they were. A shard is a TFRecord of examples
(`tf.train.Example`) with the features `name` and `contents`, which other programs can
read one after the other; here files are read by their places. To all that asks for images
they are the folders that they were made of: the same order, the same fingerprint.
"""

import dataclasses
import functools
import hashlib
import io
import json
import os
import pathlib
import types

import numpy as np
import tensorflow as tf

from pan_tf import files

INDEX = "shards.json"
# A plan, then each shard that is written, a line each.
_BEGUN = ".shards-begun"
MOST = 256  # Shards of a data set: all may stay open.
_VERSION = 1
_LARGEST = 2**31 - 2**16  # Bytes of a file: a message of protobuf holds 2 GiB.
_ENTRY = 4  # Name, shard, start and length of a file.
_HEADER, _FOOTER = 12, 4  # Bytes of a record around what it holds.


@dataclasses.dataclass(frozen=True)
class Member:
    """A file in a shard, as `pathlib.Path` is one in a folder.

    Attributes:
        shard: path of the shard.
        parent: path that its folder would have.
        name: of the file.
        start: where its contents begin in the shard, in bytes.
        length: of its contents.
    """

    shard: pathlib.Path
    parent: pathlib.PurePath
    name: str
    start: int
    length: int

    @property
    def stem(self):
        return os.path.splitext(self.name)[0]

    def is_file(self):
        return True

    def stat(self):
        """Its size, and when its shard was written."""
        changed = self.shard.stat().st_mtime_ns
        return types.SimpleNamespace(st_size=self.length, st_mtime_ns=changed)

    def open(self, mode="rb"):
        """A file of its bytes; only what is asked for is read."""
        assert mode == "rb", mode  # noqa: S101 (nobody writes into a shard)
        return io.BufferedReader(_Window(self), 2**16)

    def read_bytes(self):
        with self.open() as file:
            return file.read()

    def __str__(self):
        return f"{self.parent / self.name} (in {self.shard.name})"


class _Window(io.RawIOBase):
    """The bytes of a `Member`."""

    def __init__(self, member):
        self._member, self._at = member, 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def seek(self, offset, whence=io.SEEK_SET):
        base = {io.SEEK_CUR: self._at, io.SEEK_END: self._member.length}.get(whence, 0)
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer):
        member = self._member
        count = max(0, min(len(buffer), member.length - self._at))
        state = os.stat(member.shard)
        shard = _opened(member.shard, state.st_mtime_ns, state.st_size)
        found = os.pread(shard.fileno(), count, member.start + self._at)
        if len(found) < count and not found:
            raise OSError(f"{member.shard} ends before {member.name} does")
        buffer[: len(found)] = found
        self._at += len(found)
        return len(found)


class Folder:
    """A folder's images in shards, as `pathlib.Path` is a folder."""

    def __init__(self, root, name):
        self.root, self.name = root, name

    def is_dir(self):
        return True

    def members(self):
        """Tuple of `Member`s, in the order in which the folder lists them.

        Raises:
            ValueError: naming a shard that is not there, or not as long as it was.
        """
        changed = (self.root / INDEX).stat().st_mtime_ns
        found = _index(self.root, changed)
        for name in found["folders"][self.name]["shards"]:
            path, wanted = self.root / name, found["shards"][name]
            size = path.stat().st_size if path.is_file() else 0
            if size != wanted:
                raise ValueError(
                    f"{path} has {size} bytes, of {wanted} that {INDEX} names: copy the "
                    "folder again, or make it anew (prepare_data --shards)."
                )
        return _members(self.root, self.name, changed)

    def __str__(self):
        return str(self.root / self.name)

    def __truediv__(self, name):
        return self.root / self.name / name


def folder(root, name):
    """`Folder` of a split or side that lies in shards; None where it does not."""
    root = pathlib.Path(root)
    if (root / name).is_dir() or not (root / INDEX).is_file():
        return None
    known = _index(root, (root / INDEX).stat().st_mtime_ns)["folders"]
    return Folder(root, name) if name in known else None


def write(folders, output_dir, count, on_file=None):
    """Writes the images of folders into shards; goes on where it was interrupted.

    Shards that are there, and whole, are not written again.

    Args:
        folders: name -> files, in order.
        output_dir: gets the shards of each folder, and `shards.json` when all are there.
        count: shards a folder, at most as many as it has files.
        on_file: called with each file that is written.

    Returns:
        name -> number of files.

    Raises:
        ValueError: if the folder holds files, or others' shards have been begun there, or
            there are to be too many.
    """
    root, plan = pathlib.Path(output_dir), _plan(folders, count)
    done = _done(root, plan)
    if done is None and (root / INDEX).exists():
        raise ValueError(
            f"--output_dir={root} holds other shards, of other files or of another "
            "number. Delete them, or choose another one."
        )
    if done is None:
        files.check_output_dir(root)
    if count * len(folders) > MOST:
        raise ValueError(
            f"--shards must be at most {MOST // len(folders)}: {len(folders)} folders "
            f"have so many each. Received: shards={count}."
        )
    root.mkdir(parents=True, exist_ok=True)
    if done is None:
        done = {}
        _note(root, plan)
    index = {"version": _VERSION, "plan": plan, "shards": {}, "folders": {}}
    for name, images in folders.items():
        own = index["folders"][name] = {"shards": [], "files": []}
        number = min(count, len(images))
        for shard in range(number):
            ends = [place * len(images) // number for place in (shard, shard + 1)]
            path = root / f"{name}-{shard:05}-of-{number:05}.tfrecord"
            some = images[slice(*ends)]
            size, members = done.get(path.name, (None, None))
            if size is None or not _is_whole(path, size):
                members = _write_shard(path, some, shard, on_file)
                size = path.stat().st_size
                _note(root, [path.name, [size, members]])
            elif on_file:
                for image in some:
                    on_file(image)
            own["files"] += members
            own["shards"].append(path.name)
            index["shards"][path.name] = size
    files.write(root / INDEX, json.dumps(index, separators=(",", ":")))
    (root / _BEGUN).unlink(missing_ok=True)
    return {name: len(own["files"]) for name, own in index["folders"].items()}


def _plan(folders, count):
    """What tells the shards of some files from those of others."""
    digest = hashlib.sha256(str(count).encode())
    for name, images in folders.items():
        for image in images:
            state = image.stat()
            entry = f"{name}/{image.name} {state.st_size} {state.st_mtime_ns}\n"
            digest.update(os.fsencode(entry))
    return digest.hexdigest()


def _done(root, plan):
    """Name -> [bytes, files] of each shard that an earlier command has written.

    None if there was no such command.

    Raises:
        ValueError: if it was to write others.
    """
    if (root / INDEX).exists():
        index = _index(root, (root / INDEX).stat().st_mtime_ns)
        if index.get("plan") != plan:
            return None
        done = {name: [size, []] for name, size in index["shards"].items()}
        for own in index["folders"].values():
            for member in own["files"]:
                done[own["shards"][member[1]]][1].append(member)
        return done
    path = root / _BEGUN
    if not path.exists():
        return None
    lines = path.read_text(encoding="utf-8").splitlines(True)
    if lines and not lines[-1].endswith("\n"):  # Killed in the middle of it.
        lines.pop()
        files.write(path, "".join(lines))
    begun, *done = [json.loads(line) for line in lines] or [plan]
    if begun != plan:
        raise ValueError(
            f"--output_dir={root} holds the beginning of other shards. Delete it, or "
            "choose another one."
        )
    for left in root.iterdir():  # By a command that was killed.
        if files.is_partial(left.name):
            left.unlink()
    if not lines:
        _note(root, plan)
    return dict(done)


def unfinished(root):
    """What to say of a folder of shards that are not all written; empty for others."""
    if not (pathlib.Path(root) / _BEGUN).exists():
        return ""
    return (
        f" {root} holds the beginning of shards: the same prepare_data --shards goes on."
    )


def _note(root, what):
    with open(root / _BEGUN, "a", encoding="utf-8") as file:
        file.write(json.dumps(what, separators=(",", ":")) + "\n")


def _write_shard(path, images, number, on_file):
    """Writes one; returns [name, number of the shard, start, length] of each file."""
    found, at = [], 0
    with files.whole(path) as partial:
        with tf.io.TFRecordWriter(str(partial)) as writer:
            for image in images:
                contents = image.read_bytes()
                if len(contents) > _LARGEST:
                    raise ValueError(
                        f"{image} has {len(contents)} bytes; a record of a shard holds "
                        f"{_LARGEST} at most."
                    )
                record = _example(image.name, contents)
                writer.write(record)
                start = at + _HEADER + record.index(contents)
                found.append([image.name, number, start, len(contents)])
                at += _HEADER + len(record) + _FOOTER
                if on_file:
                    on_file(image)
    return found


def _is_whole(path, size):
    """Whether a shard is there as it was written: its records have checksums."""
    if not path.exists() or path.stat().st_size != size:
        return False
    records = tf.data.TFRecordDataset(str(path))
    try:
        records.reduce(np.int64(0), lambda count, _: count + 1)
    except tf.errors.DataLossError:
        return False
    return True


def _example(name, contents):
    def feature(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    named = {"name": feature(os.fsencode(name)), "contents": feature(contents)}
    example = tf.train.Example(features=tf.train.Features(feature=named))
    return example.SerializeToString(deterministic=True)


@functools.lru_cache(maxsize=16)
def _index(root, changed):
    """`shards.json` of a folder, as it was at a time."""
    try:
        found = json.loads((root / INDEX).read_text(encoding="utf-8"))
        if found["version"] != _VERSION:
            raise ValueError(f"version {found['version']}")
        for own in found["folders"].values():
            sizes = [found["shards"][name] for name in own["shards"]]
            if any(len(member) != _ENTRY for member in own["files"]):
                raise ValueError("a file's entry is not whole")
            if any(not 0 <= member[1] < len(sizes) for member in own["files"]):
                raise ValueError("a file's shard is not listed")
        return found
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        said = str(error) if isinstance(error, ValueError) else repr(error)
        raise ValueError(
            f"{root / INDEX} cannot be read: {said.rstrip('.')}. Copy the folder again, "
            "or make it anew in an empty one (prepare_data --shards)."
        ) from None


@functools.lru_cache(maxsize=16)
def _members(root, folder_name, changed):
    found, parent = _index(root, changed)["folders"][folder_name], root / folder_name
    shards = [root / name for name in found["shards"]]
    return tuple(
        Member(shards[shard], parent, name, start, length)
        for name, shard, start, length in found["files"]
    )


@functools.lru_cache(maxsize=MOST)
def _opened(shard, changed, size):
    """A shard as it is; what nobody reads any more, and is forgotten, is closed."""
    return open(shard, "rb", buffering=0)
