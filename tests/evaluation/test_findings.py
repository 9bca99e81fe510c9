import numpy as np

from pan_tf.evaluation import findings
from pan_tf.evaluation.findings import Result


def result(name, psnr, ssim):
    return Result(name, {}, {"psnr": np.array(psnr), "ssim": np.array(ssim)})


A = result("a", [20.0, 22.0, 24.0, 20.5], [0.5, 0.6, 0.7, 0.4])
B = result("b", [19.0, 21.1, 23.0, 19.6], [0.6, 0.5, 0.7, 0.4])


def test_differences_are_taken_image_by_image():
    gap = findings.compare(A, B)["differences"]["psnr"]
    # The images vary by 2 dB, the differences only by .05.
    assert abs(gap["mean"] - 0.95) < 1e-9 and gap["ci95"][0] > 0.89


def test_the_sentence_says_who_is_better_where():
    sentence = findings.compare(A, B)["sentence"]
    assert sentence.startswith("a is better than b on psnr (by 0.95 dB, 0.9 to 1).")
    assert sentence.endswith("a and b cannot be told apart on ssim.")
    assert findings.compare(B, A)["sentence"].startswith("a is better than b on psnr")


def test_floors_are_named_where_they_win():
    floors = {
        "mean_color": {"psnr": A.scores["psnr"] - 1, "ssim": A.scores["ssim"] + 0.01},
        "copy_input": {name: values - 0.1 for name, values in A.scores.items()},
    }
    blank, copy = findings.against_floors(A, floors)
    assert blank.startswith(
        "The floor mean colour is beaten on psnr, is better on ssim (by"
    )
    assert copy == "The floor copy input is beaten on every metric."


def test_infinite_psnr_does_not_spoil_a_difference():
    perfect = result("p", [np.inf, np.inf], [1.0, 1.0])
    gaps = findings.differences(perfect.scores, perfect.scores)
    assert gaps["psnr"] == {"mean": 0.0, "ci95": [0.0, 0.0]}
