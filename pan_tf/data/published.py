"""Data sets that are used as their authors published them: unpacked, in `data_dir`.

None of them can be fetched by a program: their hosts are drives of other firms, or gone.
Without a split of their own to watch training by, that split is `test`.
"""

import dataclasses
import pathlib

from pan_tf.data import folder


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the files of a data set lie below `data_dir`.

    Attributes:
        splits: our name of a split -> folder of pairs side by side, or (folder of A,
            folder of B). A's may be the folder `X2` inside.
        a_suffix: what the names of A's files end with, and those of B's do not.
        origin: who published it.
    """

    splits: dict
    origin: str
    a_suffix: str = ""


def _rain100(density):
    train, test = f"rain_data_train_{density}", f"rain_data_test_{density}"
    return Layout(
        splits={
            "train": (f"{train}/rain", f"{train}/norain"),
            "test": (f"{test}/rain", f"{test}/norain"),
        },
        origin="Yang et al., Deep Joint Rain Detection and Removal, CVPR 2017",
        a_suffix="x2",
    )


LAYOUTS = {
    "rain100h": _rain100("Heavy"),
    "rain100l": _rain100("Light"),
    "rain800": Layout(
        splits={"train": "rain/training", "test": "rain/test_syn"},
        origin="Zhang et al., ID-CGAN",
    ),
}


def find(name, data_dir, split):
    """Lists the files of a split.

    Args:
        name: of `LAYOUTS`.
        data_dir: where the archive was unpacked.
        split: "train", "val" or "test".

    Returns:
        `folder.Listing`; None if the data set has no such split, or it is not there.

    Raises:
        FileNotFoundError: if a folder is empty.
        ValueError: if a file has no partner.
    """
    layout, root = LAYOUTS[name], pathlib.Path(data_dir)
    place = layout.splits.get(split)
    if place is None:
        return None
    if isinstance(place, str):
        return folder.side_by_side(root / place) if (root / place).is_dir() else None
    a, b = (root / side for side in place)
    if (a / "X2").is_dir():  # Some of the archives have it, for some splits.
        a /= "X2"
    if not a.is_dir() and not b.is_dir():
        return None
    listing, lonely = folder.two_folders(
        a, b, key=lambda stem: stem.removesuffix(layout.a_suffix)
    )
    if lonely:
        raise ValueError(
            f"{a} and {b} must hold pairs. Without a partner: {folder.some(lonely)}"
        )
    return listing


def missing(name, data_dir):
    """The sentence to say where a data set is not there."""
    layout = LAYOUTS[name]
    places = [p for p in layout.splits.values()]
    wanted = [p if isinstance(p, str) else " and ".join(p) for p in places]
    return (
        f"The data set {name!r} ({layout.origin}) is not in --data_dir={data_dir}, and "
        "cannot be downloaded by a program. Unpack it there, so that there are: "
        f"{'; '.join(wanted)}. Pairs of another layout are read by --dataset=folder."
    )
