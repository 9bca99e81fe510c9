"""What several tests of networks count."""

import math


def parameters(network):
    """Number of trainable parameters."""
    return sum(math.prod(v.shape) for v in network.trainable_variables)
