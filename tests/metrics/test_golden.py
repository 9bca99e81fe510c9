"""Equal to the MATLAB reference code; see tests/golden/README.md."""

import json
import math
import pathlib

import numpy as np
import pytest
from PIL import Image

from pan_tf import metrics

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def cases():
    for folder in (GOLDEN, GOLDEN / "edge"):
        values = json.loads((folder / "golden.json").read_text())
        extra = json.loads((folder / "golden_extra.json").read_text())
        for name in values:
            yield pytest.param(folder, name, values[name], extra[name], id=name)


@pytest.mark.filterwarnings("ignore:VIF of images below")
@pytest.mark.parametrize(("folder", "name", "values", "extra"), list(cases()))
def test_equal_to_the_reference_code(folder, name, values, extra):
    reference, prediction = (
        np.asarray(Image.open(folder / f"{name}_{side}.png").convert("RGB"))[None]
        for side in ("ref", "dist")
    )
    smallest = min(reference.shape[1:3])
    expected = {"psnr": values["psnr"]}
    if smallest >= 11:
        expected["ssim"] = values["ssim"]
    if smallest >= 8:
        expected["uqi"] = extra["uqi_exact"]
    if smallest >= 17:
        if not extra["vif_reference_ill_posed"]:
            expected["vif"] = extra["vif_pinv"]
        if math.isfinite(float(values["vifp"])):
            expected["vifp"] = values["vifp"]
    for metric, value in expected.items():
        measured = float(getattr(metrics, metric)(reference, prediction)[0])
        assert measured == pytest.approx(float(value), abs=1e-5), metric


def test_most_pairs_have_all_five_values():
    complete = [
        case.id
        for case in cases()
        if not case.values[3]["vif_reference_ill_posed"]
        and all(math.isfinite(float(v)) for v in case.values[2].values())
    ]
    assert len(complete) >= 20
