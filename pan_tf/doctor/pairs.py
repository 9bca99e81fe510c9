"""The pairs of a data set as the doctor sees them: one by one, and none is refused."""

import dataclasses
import functools
from collections.abc import Callable

from pan_tf import image_files
from pan_tf import images
from pan_tf.data.layouts import halves
from pan_tf.data.layouts import listing
from pan_tf.data.layouts import reading
from pan_tf.data.layouts import shards
from pan_tf.data.specs import of_files
from pan_tf.images import RGB


class BrokenPairError(Exception):
    """A pair that cannot be used; says why."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One pair.

    Attributes:
        split: "train", "val" or "test".
        name: unique in its split.
        inspect: () -> ((a, b), uint8 `[H, W, 3]` each; list of (check, sentence) on the
            files; mode of each file, such as "RGB"); raises BrokenPairError.
    """

    split: str
    name: str
    inspect: Callable

    def load(self):
        """(a, b), uint8 `[H, W, 3]`; raises BrokenPairError."""
        return self.inspect()[0]


def of_folder(data_dir):
    """The pairs of a folder, and what is wrong with its listing.

    Args:
        data_dir: holds `train`, or `trainA` and `trainB`, and so on.

    Returns:
        (`Item`s, list of (split, name, sentence) of files without a partner).

    Raises:
        FileNotFoundError: if there is no training split.
        ValueError: if two files differ in nothing but their ending.
    """
    items, lonely, specs = [], [], None
    for split in listing.SPLITS:
        if not listing.exists(data_dir, split):
            continue
        found, alone = listing.list_files(data_dir, split)
        specs = specs or _specs(found)
        lonely += [(split, file.name, f"{file} has no partner") for file in alone]
        items += [
            Item(split, name, functools.partial(_inspect, files, specs))
            for name, files in zip(found.names, found.files, strict=True)
        ]
    if not any(item.split == "train" for item in items):
        raise FileNotFoundError(
            f"No train/, nor trainA/ and trainB/ with common names, in {data_dir}."
            + shards.unfinished(data_dir)
        )
    return items, lonely


def suspicions(data_dir):
    """(split, name, sentence) of files of a folder that do not look like two halves."""
    return [
        (split, "all files", sentence)
        for split in listing.SPLITS
        if listing.exists(data_dir, split)
        for sentence in halves.suspicions(listing.list_files(data_dir, split)[0])
    ]


def of_split(split):
    """The pairs of a `Split`: its files were checked when it was prepared."""

    def item(i):
        def inspect():
            return tuple(side.numpy() for side in split.load(i)), [], ()

        return Item(split.name, split.source.names[i], inspect)

    return [item(i) for i in range(len(split))]


def _specs(found):
    """`ImageSpec` of side A and of side B, as training would read them."""
    specs = []
    for side in (0, -1):
        try:
            specs.append(of_files([files[side] for files in found.files]))
        except ValueError:
            specs.append(RGB)  # Each that is no RGB is named.
    return tuple(specs)


def _inspect(files, specs):
    try:
        headers = [_header(file) for file in files]
        a, b = reading.read(files, specs, is_side_by_side=len(files) == 1)
    except ValueError as error:
        raise BrokenPairError(str(error)) from None
    notes = [
        note
        for file, header in zip(files, headers, strict=True)
        for note in _notes(file, header)
    ]
    # The checks look at RGB of 8 bits, whatever is trained.
    a, b = images.as_rgb(a), images.as_rgb(b)
    return (a, b), notes, tuple(_mode(header) for header in headers)


def _notes(file, header):
    """(check, sentence) of what a user should know of a file."""
    if header.kind not in ("uint8", "bool"):
        yield "depth", f"{file} has {header.kind} values; 16 bits are trained with"
    if header.has_alpha:
        yield (
            "channels",
            f"{file} is transparent; alpha is dropped, unless --source_channels=4 or "
            "--target_channels=4",
        )
    if header.orientation != 1:
        yield (
            "orientation",
            f"{file} asks to be turned (EXIF {header.orientation}), and is",
        )
    if header.profile:
        become = "they become sRGB"
        if header.kind != "uint8":
            become = "they are taken as they are, which is wrong unless all are alike"
        yield "profile", f"{file} has colours of {header.profile}; {become}"


def _mode(header):
    """What most files of a side should have in common."""
    names = {1: "grey", 3: "RGB"}
    said = names.get(header.channels, f"{header.channels} channels")
    return said + (" with transparency" if header.has_alpha else "")


def _header(file):
    try:
        return image_files.read_header(file)
    except image_files.ImageFileError as error:
        raise ValueError(f"{file} {error}") from None
