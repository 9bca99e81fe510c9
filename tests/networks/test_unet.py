import numpy as np
import pytest

from pan_tf import networks
from pan_tf.size import Size
from tests.networks.counting import parameters


def shapes(network, suffix=""):
    """Output height and channels of the layers named by number, in order."""
    found = [layer for layer in network.layers if layer.name.startswith("layer_")]
    found = [layer for layer in found if not layer.name.endswith("_norm")]
    found.sort(key=lambda layer: int(layer.name.split("_")[1]))
    return [(layer.output.shape[1], layer.output.shape[3]) for layer in found]


def test_table_ii():
    network = networks.pan_transformer(256)
    assert parameters(network) == 16_831_875
    down = [(128, 64), (64, 128), (32, 256), (16, 512), (8, 512), (4, 512)]
    up = [(8, 512), (16, 256), (32, 128), (64, 64), (128, 64), (256, 3)]
    assert shapes(network) == down + up


def test_table_ii_normalizes_neither_its_first_nor_its_last_layer():
    names = {layer.name for layer in networks.pan_transformer(64).layers}
    assert {f"layer_{n}_norm" for n in range(2, 12)} <= names
    assert not {"layer_1_norm", "layer_12_norm"} & names


def test_released_network():
    network = networks.official_pan_transformer(256)
    assert parameters(network) == 45_873_987
    assert shapes(network)[7] == (1, 512)
    assert len(shapes(network)) == 16


@pytest.mark.parametrize(("size", "depth"), [(64, 6), (128, 7), (512, 8)])
def test_released_network_takes_fewer_layers_for_smaller_images(size, depth):
    network = networks.official_pan_transformer(size, depth=depth, width=1 / 64)
    assert network.output.shape == (None, size, size, 3)


@pytest.mark.parametrize("size", [64, 128, 192, 512])
def test_any_multiple_of_64(size):
    network = networks.pan_transformer(width=1 / 64)
    assert network.compute_output_shape((1, size, size, 3)) == (1, size, size, 3)


def test_width_scales_the_channels():
    network = networks.pan_transformer(256, width=0.5)
    assert shapes(network)[:3] == [(128, 32), (64, 64), (32, 128)]


def test_pix2pix():
    """Parameters as of the authors' PyTorch code."""
    network = networks.pix2pix_transformer(256)
    assert parameters(network) == 54_413_955
    down = [(128, 64), (64, 128), (32, 256), (16, 512), (8, 512), (4, 512), (2, 512)]
    up = [(2, 512), (4, 512), (8, 512), (16, 512), (32, 256), (64, 128), (128, 64)]
    assert shapes_without_dropout(network) == [*down, (1, 512), *up, (256, 3)]


def shapes_without_dropout(network):
    found = [x for x in network.layers if x.name.startswith("layer_")]
    found = [x for x in found if x.name.removeprefix("layer_").isdigit()]
    return [(x.output.shape[1], x.output.shape[3]) for x in found]


def test_pix2pix_drops_values_in_its_first_decoder_layers():
    for depth, numbers in ((8, (9, 10, 11)), (7, (8, 9)), (6, (7,))):
        network = networks.pix2pix_transformer(2**depth, depth=depth, width=1 / 64)
        dropped = [x.name for x in network.layers if x.name.endswith("_dropout")]
        assert dropped == [f"layer_{n}_dropout" for n in numbers]


def test_pix2pix_normalizes_neither_its_ends_nor_its_innermost_layer():
    names = {layer.name for layer in networks.pix2pix_transformer(256).layers}
    assert not {"layer_1_norm", "layer_8_norm", "layer_16_norm"} & names
    assert {f"layer_{n}_norm" for n in (*range(2, 8), *range(9, 16))} <= names


def test_the_resize_t_is_as_deep_as_its_shorter_side_bears():
    at = networks.resize_transformer.declaration.arguments_at
    assert at(Size(256, 256)) == at(Size(128, 384)) == {"depth": 7}


def test_first_kernel_of_the_released_network_starts_wider():
    network = networks.official_pan_transformer(64, depth=6)
    for number, stddev in ((1, 0.05), (2, 0.02)):
        kernel = network.get_layer(f"layer_{number}").kernel
        assert np.std(kernel) == pytest.approx(stddev, rel=0.1)
