"""A row of the table of data sets says what its images are."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.data import DATASETS
from pan_tf.data import open_data
from pan_tf.data import specs_asked_for
from pan_tf.data.layouts.published import Published
from pan_tf.data.table import Dataset
from pan_tf.images import RGB
from pan_tf.images import ImageSpec

DEEP, GREY = ImageSpec(3, 16), ImageSpec(1)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A data set of 16-bit grey `height` and RGB `view`, by the name of another."""
    for side, shape in (("height", (64, 64)), ("view", (64, 64, 3))):
        (tmp_path / side).mkdir(parents=True)
        for i in range(2):
            pixels = np.full(shape, 200 if len(shape) == 3 else 40000)
            image = Image.fromarray(pixels.astype([np.uint16, np.uint8][len(shape) - 2]))
            image.save(tmp_path / side / f"{i}.png")
    layout = Published({"train": ("height", "view")}, "Nobody, 2026")
    row = Dataset(layout, images=(ImageSpec(1, 16), RGB))
    monkeypatch.setitem(DATASETS, "maps", row)
    return Config(dataset="maps", data_dir=str(tmp_path), image_size=64)


def test_no_flag_need_say_it(published):
    split = open_data(published).train
    assert split.specs == (ImageSpec(1, 16), RGB)
    source, target = split.load(0)
    assert source.dtype == np.uint16 and (source.numpy() == 40000).all()
    assert target.shape == (64, 64, 3) and (target.numpy() == 200).all()
    system = recipes.resolve(published)
    arguments = system.transformer.arguments
    assert arguments["source_channels"] == 1 and arguments["target_channels"] == 3
    assert (system.source, system.target) == split.specs


def test_flags_and_directions_change_it(published):
    def asked(**changes):
        return specs_asked_for(published.replace(**changes))

    assert asked(direction="BtoA") == (RGB, ImageSpec(1, 16))
    assert asked(source_bits=8) == (GREY, RGB)
    assert asked(source_channels=3, target_bits=16) == (DEEP, DEEP)
    assert asked(source_labels=5) == (ImageSpec(5, 8, 5), RGB)
    assert asked(dataset="facades") == (RGB, RGB)


def test_a_row_that_does_not_go_together_is_named():
    layout = DATASETS["rain100l"].layout
    with pytest.raises(ValueError, match="'AtoC' is no direction"):
        Dataset(layout, "AtoC")
    with pytest.raises(ValueError, match="Published has no `sides`: is_own"):
        dataclasses.replace(DATASETS["rain100l"], is_own=True)
    for images in ((RGB,), (1, 3), (RGB, RGB, RGB)):
        with pytest.raises(ValueError, match="must be two of ImageSpec"):
            Dataset(layout, images=images)
    with pytest.raises(ValueError, match="has as many channels as labels"):
        Dataset(layout, images=(ImageSpec(labels=5), RGB))


def test_label_maps_of_a_row_stay_label_maps(published, monkeypatch):
    labelled = dataclasses.replace(DATASETS["maps"], images=(ImageSpec(5, 8, 5), RGB))
    monkeypatch.setitem(DATASETS, "maps", labelled)
    assert specs_asked_for(published)[0] == ImageSpec(5, 8, 5)
    for changes in ({"source_channels": 3}, {"source_bits": 16}):
        with pytest.raises(ValueError, match="has label maps for sources, of 5 labels"):
            specs_asked_for(published.replace(**changes))
    for changes in ({}, {"target_channels": 3}):
        turned = published.replace(direction="BtoA", **changes)
        with pytest.raises(ValueError, match="--dataset=maps has label maps for targets"):
            recipes.resolve(turned)
    with pytest.raises(ValueError, match=r"Label maps for sources .* go with pairs"):
        recipes.resolve(published.replace(recipe="cyclegan"))
