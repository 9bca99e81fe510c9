"""The pairs of a data set as the doctor sees them: one by one, and none is refused."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np

from pan_tf.data.layouts import folder

# Pillow's names of what training reads as it is.
_PLAIN_MODES = ("RGB", "L", "1", "P")
# 16 bits; older Pillow opens them as I.
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")
_ORIENTATION = 0x0112  # Of EXIF.


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
    items, lonely = [], []
    for split in ("train", "val", "test"):
        if not folder.exists(data_dir, split):
            continue
        listing, alone = folder.list_files(data_dir, split)
        lonely += [(split, file.name, f"{file} has no partner") for file in alone]
        items += [
            Item(split, name, functools.partial(_inspect, files))
            for name, files in zip(listing.names, listing.files, strict=True)
        ]
    if not any(item.split == "train" for item in items):
        raise FileNotFoundError(
            f"No train/, nor trainA/ and trainB/ with common names, in {data_dir}."
        )
    return items, lonely


def of_split(split):
    """The pairs of a `Split`: its files were checked when it was prepared."""

    def item(i):
        def inspect():
            return tuple(side.numpy() for side in split.load(i)), [], ()

        return Item(split.name, split.source.names[i], inspect)

    return [item(i) for i in range(len(split))]


def _pixels(image):
    """uint8 `[H, W, 3]`, as training reads it."""
    if image.mode in _DEEP_MODES:
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, -1)
    return np.asarray(image.convert("RGB"))


def _inspect(files):
    sides, notes, sizes, modes = [], [], [], []
    for file in files:
        image = _open(file)
        sizes.append(image.size)
        modes.append(image.mode)
        try:
            str(file).encode()
        except UnicodeEncodeError:
            raise BrokenPairError(f"{str(file)!a}: a name not in UTF-8") from None
        if _bits(file, image) > 8:
            notes.append(("depth", f"{file} has 16 bits a channel; 8 are read"))
        if image.mode in ("RGBA", "LA", "PA"):
            notes.append(
                (
                    "channels",
                    f"{file} is transparent ({image.mode}); alpha is dropped, unless "
                    "--source_channels=4 or --target_channels=4",
                )
            )
        elif image.mode not in (*_PLAIN_MODES, *_DEEP_MODES):
            raise BrokenPairError(f"{file} is neither RGB nor grey ({image.mode})")
        sides.append(_pixels(image))
        turned = image.getexif().get(_ORIENTATION, 1)
        if turned != 1:
            notes.append(
                ("orientation", f"{file} asks to be turned (EXIF {turned}); it is not")
            )
    if len(files) == 1 and sizes[0][0] % 2:
        raise BrokenPairError(f"{files[0]} is {sizes[0][0]} px wide, not two halves")
    if len(set(sizes)) > 1:
        a, b = (f"{width} x {height} px" for width, height in sizes)
        raise BrokenPairError(f"{files[0]} is {a}, but {files[1]} is {b}")
    if len(sides) == 1:
        half = sides[0].shape[1] // 2
        sides = [sides[0][:, :half], sides[0][:, half:]]
    return tuple(sides), notes, tuple(modes)


def _open(file):
    """The file, decoded to its end."""
    if not pathlib.Path(file).stat().st_size:
        raise BrokenPairError(f"{file} is empty")
    try:
        return folder.read(file)
    except ValueError as error:
        raise BrokenPairError(str(error)) from None


def _bits(file, image):
    """Bits a channel. Pillow reads a PNG of 16-bit colours as one of 8."""
    if image.format == "PNG":
        with open(file, "rb") as contents:
            return contents.read(25)[24]
    return 16 if image.mode in _DEEP_MODES else 8
