"""What judges sets goes by what rows say, not by what they are called."""

import dataclasses
import types

import numpy as np
import pytest

from pan_tf.data.split import Images
from pan_tf.data.split import Split
from pan_tf.evaluation.judges import Judges
from pan_tf.metrics import ROWS
from pan_tf.metrics import SET_METRICS


@pytest.mark.fast
def test_another_row_of_domains_has_their_classifier(monkeypatch):
    row = dataclasses.replace(ROWS["attribute_log_loss"], title="Domain log-loss")
    monkeypatch.setitem(SET_METRICS, "domain_log_loss", row)
    monkeypatch.setitem(ROWS, "domain_log_loss", row)
    dark, light = (np.full((24, 32, 32, 3), level, np.uint8) for level in (20, 220))
    names = tuple(map(str, range(len(dark))))
    split = Split(
        "train", *(Images(names, pixels.__getitem__) for pixels in (dark, light))
    )
    pixels = {id(split.source): dark, id(split.target): light}
    evaluation = types.SimpleNamespace(
        of_sets=["domain_log_loss"],
        weights=None,
        seeds=1,
        epochs=30,
        notes=[],
        pixels=lambda listed: pixels[id(listed)],
    )
    judges = Judges(evaluation, "AtoB", split, split)
    losses = {
        name: np.mean(judges.judge(outputs)["domain_log_loss"])
        for name, outputs in (("dark", dark), ("light", light))
    }
    assert losses["light"] < 0.1 < 1 < losses["dark"], losses
