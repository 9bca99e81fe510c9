"""Weights of networks that metrics look through, as their authors published them."""

import dataclasses
import functools
import pathlib

from absl import logging

from pan_tf.networks.fetching import WeightsNotFoundError
from pan_tf.networks.fetching import digest
from pan_tf.networks.fetching import fetched


@dataclasses.dataclass(frozen=True)
class PublishedFile:
    """A file on a server.

    Attributes:
        url: where it is.
        sha256: of its contents.
    """

    url: str
    sha256: str

    @property
    def name(self):
        """As its server calls it."""
        return self.url.rpartition("/")[2]


PUBLISHED = {
    # LPIPS: torchvision's AlexNet, and what was learnt on top of it (version 0.1).
    "alexnet": PublishedFile(
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    "lpips_alex": PublishedFile(
        "https://raw.githubusercontent.com/richzhang/PerceptualSimilarity/master/lpips/"
        "weights/v0.1/alex.pth",
        "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0",
    ),
    # The network of the first FID (TensorFlow's of 2015-12-05), as pytorch-fid has it.
    "inception": PublishedFile(
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
}


def locate_published(network, folder=None):
    """A file of published weights, fetched if need be.

    Args:
        network: of `PUBLISHED`.
        folder: where the user keeps such files, by their published names; None for
            Keras' own folder, into which it is downloaded once.

    Returns:
        (path, sha256 of its contents).

    Raises:
        WeightsNotFoundError: naming the file, and how to do without a download.
    """
    file = PUBLISHED[network]
    if folder is not None:
        path = pathlib.Path(folder) / file.name
        if not path.is_file():
            raise WeightsNotFoundError(
                f"--metric_weights={folder} must hold {file.name}, which {file.url} has."
            )
        found = digest(path)
        if found != file.sha256:
            logging.warning(
                "*** %s is not the published one: its sha256 is %s, not %s. ***",
                path,
                found,
                file.sha256,
            )
        return str(path), found
    return _downloaded(file), file.sha256


@functools.cache
def _downloaded(file):
    try:
        path = fetched(
            file.name,
            file.url,
            "models/pan_tf",
            file_hash=file.sha256,
            hash_algorithm="sha256",
        )
    except Exception as error:  # Keras raises a bare Exception.
        raise WeightsNotFoundError(
            f"{file.name} is needed, which cannot be downloaded from {file.url} "
            f"({error}). Put it into a folder, and name that by --metric_weights=FOLDER. "
            "vgg_distance and kid_vgg look through VGG-16, and do without it."
        ) from None
    return str(path)
