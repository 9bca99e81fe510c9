"""Files of the frozen networks that metrics look through."""

import dataclasses

from pan_tf import images
from pan_tf import networks
from pan_tf import paths
from pan_tf.metrics.table import ROWS
from pan_tf.metrics.table import with_parts


@dataclasses.dataclass(frozen=True)
class Weights:
    """Where they are.

    Attributes:
        files: network -> (path, sha256), as sorted pairs, so that it can be hashed.
    """

    files: tuple = ()

    def __getitem__(self, network):
        """Path of a network's file."""
        return dict(self.files)[network][0]

    def check_needed(self, folder, among):
        """Refuses a --metric_weights that nothing is looked for in.

        Args:
            folder: what was given, or None.
            among: the metrics that the command offers.

        Raises:
            ValueError: if no metric needs published weights.
        """
        if folder and not any(each in networks.PUBLISHED for each, _ in self.files):
            able = [n for n in among if {*ROWS[n].needs} & {*networks.PUBLISHED}]
            raise ValueError(
                f"--metric_weights goes with --metrics that need some: {', '.join(able)}."
            )

    def digests(self):
        """network -> sha256, for what records a measurement."""
        return {network: sha256 for network, (_, sha256) in self.files}


def check_channels(names, channels):
    """Refuses metrics that look through networks of RGB, for images of other channels.

    Raises:
        ValueError: naming the metric.
    """
    for name in with_parts(names):
        if ROWS[name].needs and channels not in images.CONVERTIBLE:
            raise ValueError(
                f"--metrics={name} looks at grey, RGB or RGB and alpha. Received: "
                f"target_channels={channels}."
            )


def locate_weights(names, vgg_weights=None, folder=None):
    """The files that some metrics need, fetched if need be, and read once to check them.

    Args:
        names: of rows of the table of metrics.
        vgg_weights: file of VGG-16's convolutions; None: those of `keras.applications`.
        folder: where other published files are, by their names; None: they are
            downloaded once.

    Returns:
        `Weights`.

    Raises:
        ValueError: naming the file, if one holds another network.
        WeightsNotFoundError: if one is not there.
    """
    names = with_parts(names)
    needed = sorted({network for name in names for network in ROWS[name].needs})
    folder = folder and paths.named("metric_weights", folder)
    files = []
    for network in needed:
        if network in networks.PUBLISHED:
            found = networks.locate_published(network, folder)
        else:
            found = networks.locate_vgg_weights(vgg_weights, network)
            networks.check_vgg_weights(found[0], network)
        files.append((network, found))
    weights = Weights(tuple(files))
    for name in names:
        if ROWS[name].check is not None:
            ROWS[name].check(weights)
    return weights
