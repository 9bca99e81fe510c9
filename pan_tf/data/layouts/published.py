"""Data sets that are used as their authors published them: unpacked, in `data_dir`.

None of them can be fetched by a program: their hosts are drives of other firms, or gone.
Without a split of their own to watch training by, that split is `test`.
"""

import dataclasses
import pathlib

from pan_tf.data.layouts import folder
from pan_tf.data.layouts import listing


@dataclasses.dataclass(frozen=True)
class Published(folder.Files):
    """Pairs of files below `data_dir`.

    Attributes:
        splits: our name of a split -> folder of pairs side by side, or (folder of A,
            folder of B). A's may be the folder `X2` inside.
        origin: who published it.
        a_suffix: what the names of A's files end with, and those of B's do not.
    """

    splits: dict
    origin: str
    a_suffix: str = ""

    def find(self, name, config, split):
        root, place = pathlib.Path(config.data_dir), self.splits.get(split)
        if place is None:
            return None
        if isinstance(place, str):
            is_there = (root / place).is_dir()
            return listing.side_by_side(root / place) if is_there else None
        a, b = (root / side for side in place)
        if (a / "X2").is_dir():  # Some of the archives have it, for some splits.
            a /= "X2"
        if not a.is_dir() and not b.is_dir():
            return None
        pairs, lonely = listing.two_folders(
            a, b, key=lambda stem: stem.removesuffix(self.a_suffix)
        )
        if lonely:
            raise ValueError(
                f"{a} and {b} must hold pairs. Without a partner: {listing.some(lonely)}"
            )
        return pairs

    def sentence(self, name, config):
        places = self.splits.values()
        wanted = [p if isinstance(p, str) else " and ".join(p) for p in places]
        return (
            f"The data set {name!r} ({self.origin}) is not in --data_dir="
            f"{config.data_dir}, and cannot be downloaded by a program. Unpack it there, "
            f"so that there are: {'; '.join(wanted)}. Pairs of another layout are read "
            "by --dataset=folder."
        )


@dataclasses.dataclass(frozen=True)
class NamedLists(folder.Files):
    """Images in one folder, and lists of their names, one list a side of each split.

    --attribute says which list of faces is which: A lacks it, B has it.

    Attributes:
        images: folder of the images, below `data_dir`.
        lists: folder of the lists, `<attribute>_<split>.txt` and `not_<...>`.
    """

    images: str
    lists: str

    def find(self, name, config, split):
        images, *lists = self._paths(config, split)
        if not all(path.exists() for path in (images, *lists)):
            return None
        return tuple(listing.named(images, path) for path in lists)

    def sentence(self, name, config):
        images, without, having = self._paths(config, "train")
        return (
            f"The data set {name!r} must lie in --data_dir={config.data_dir}: images in "
            f"{images}, and lists of their names, one a line, in {having} (those that "
            f"have the attribute) and {without}; likewise for test."
        )

    def _paths(self, config, split):
        """(folder of images, list of those without the attribute, of those with it)."""
        root = pathlib.Path(config.data_dir)
        lists = (f"{no}{config.attribute}_{split}.txt" for no in ("not_", ""))
        return root / self.images, *(root / self.lists / name for name in lists)
