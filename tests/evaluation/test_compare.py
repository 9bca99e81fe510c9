import numpy as np

from pan_tf.evaluation import compare
from pan_tf.evaluation.compare import Result
from pan_tf.metrics import Metric


def result(name, psnr, ssim):
    return Result(name, {}, {"psnr": np.array(psnr), "ssim": np.array(ssim)})


A = result("a", [20.0, 22.0, 24.0, 20.5] * 3, [0.5, 0.6, 0.7, 0.4] * 3)
B = result("b", [19.0, 21.1, 23.0, 19.6] * 3, [0.6, 0.5, 0.7, 0.4] * 3)


def test_differences_are_taken_image_by_image():
    gap = compare.compare(A, B)["differences"]["psnr"]
    # The images vary by 2 dB, the differences only by .05.
    assert abs(gap["mean"] - 0.95) < 1e-9 and gap["ci95"][0] > 0.89


def test_the_sentence_says_who_is_better_where():
    sentence = compare.compare(A, B)["sentence"]
    assert sentence.startswith("a is better than b on psnr (by 0.95 dB, 0.9")
    assert sentence.endswith("a and b cannot be told apart on ssim.")
    assert compare.compare(B, A)["sentence"].startswith("a is better than b on psnr")


def test_few_images_bear_no_verdict():
    """Two images have an interval, the one value to the other, that seldom holds 0."""
    for count in (1, 2, 9):
        few, others = (
            Result(r.name, {}, {k: v[:count] for k, v in r.scores.items()})
            for r in (A, B)
        )
        said = compare.compare(few, others)["sentence"]
        images = "One image does" if count == 1 else f"{count} images do"
        assert said == (
            f"{images} not say whether a or b is better: at least 10 are needed."
        )
        (said,) = compare.against_baselines(few, {"copy_input": others.scores})
        assert said.startswith(f"{images} not say whether a baseline is beaten")


def test_equal_systems_are_seldom_told_apart():
    """Where verdicts begin, one in ten is wrong; of two images every other one."""
    random = np.random.default_rng(0)
    for count, least, most in ((compare.FEWEST, 0.0, 0.12), (2, 0.4, 0.6)):
        gaps = random.normal(size=(1000, count))
        wrong = [compare.verdict(compare.mean_and_interval(gap)) != 0 for gap in gaps]
        assert least < np.mean(wrong) < most


def test_a_mean_that_is_one_images_is_told():
    usual = np.array([0.1, 0.2, 0.1, 0.2, 0.1, 0.2, 0.1])
    names = [f"{i}.png" for i in range(8)]
    one = Result("a", {}, {"vif": np.append(usual, 35.0), "uqi": np.append(usual, 0.9)})
    assert compare.dominated(one, names) == [
        "a, vif: the mean of 8 images, 4.5, is above all that of one, 7.png; without it "
        "the mean is 0.143. The median is 0.15."
    ]
    few = Result("a", {}, {"vif": np.array([0.1, 0.1, 35.0])})
    blank = Result("a", {}, {"vif": np.zeros(8)})
    assert compare.dominated(few, names) == compare.dominated(blank, names) == []


def test_baselines_are_named_where_they_win():
    baselines = {
        "mean_color": {"psnr": A.scores["psnr"] - 1, "ssim": A.scores["ssim"] + 0.01},
        "copy_input": {name: values - 0.1 for name, values in A.scores.items()},
    }
    blank, copy = compare.against_baselines(A, baselines)
    assert blank.startswith(
        "The baseline, mean colour, is beaten on psnr, is better on ssim (by"
    )
    assert copy == "The baseline, the source itself, is beaten on every metric."


def test_infinite_psnr_does_not_spoil_a_difference():
    perfect = result("p", [np.inf, np.inf], [1.0, 1.0])
    gaps = compare.differences(perfect.scores, perfect.scores)
    assert gaps["psnr"] == {"mean": 0.0, "ci95": [0.0, 0.0]}


def test_where_the_lower_value_is_better_the_lower_one_wins(monkeypatch):
    lower = Metric("Distance", higher_is_better=False, function=abs)
    monkeypatch.setitem(compare.ROWS, "distance", lower)
    near, far = (
        Result(name, {}, {"distance": np.array(values)})
        for name, values in (("near", [0.1, 0.2] * 5), ("far", [0.9, 1.1] * 5))
    )
    said = "near is better than far on distance"
    assert compare.compare(near, far)["sentence"].startswith(said)
    assert compare.compare(far, near)["sentence"].startswith(said)
    (sentence,) = compare.against_baselines(near, {"copy_input": far.scores})
    assert sentence == "The baseline, the source itself, is beaten on every metric."


def sets_of(name, c2st, loss):
    return Result(
        name,
        {},
        {},
        {
            "c2st": {"mean": 0.0, "ci95": c2st},
            "c2st_accuracy": {"mean": 0.5, "ci95": None},
            "attribute_log_loss": {"mean": 0.0, "ci95": loss},
        },
    )


def test_sentences_on_sets_claim_no_more_than_the_intervals():
    results = [
        sets_of("better", [0.3, 0.4], [0.1, 0.2]),
        sets_of("open", [0.2, 0.4], [0.1, 1.0]),
        sets_of("worse", [0.0, 0.05], [3.0, 4.0]),
    ]
    said = compare.against_sources(results, sets_of("", [0.1, 0.2], [1.0, 2.0]))
    beginnings = [
        "better are harder to",
        "better are more like",
        "open are neither harder nor easier to",
        "open are neither more nor less like",
        "worse are easier to",
        "worse are less like",
    ]
    for beginning, sentence in zip(beginnings, said, strict=True):
        assert sentence.startswith(f"Outputs of {beginning}")


def test_any_other_metric_of_sets_has_a_plain_sentence(monkeypatch):
    row = Metric("KID", of_sets=lambda sets: None, higher_is_better=False)
    monkeypatch.setitem(compare.ROWS, "kid", row)
    one, sources = (
        Result(name, {}, {}, {"kid": {"mean": mean, "ci95": [mean - 0.1, mean + 0.1]}})
        for name, mean in (("near", 1.0), ("", 2.0))
    )
    (sentence,) = compare.against_sources([one], sources)
    assert sentence == "Outputs of near are better than their sources by KID."


def test_a_mean_that_is_one_negative_or_infinite_value_is_told():
    names = [f"{i}.png" for i in range(8)]
    values = {"uqi": np.append(np.full(7, 0.01), -1.0)}
    values["psnr"] = np.append(np.full(7, 10.0), np.inf)  # Counts as 100 dB.
    said = compare.dominated(Result("a", {}, values), names)
    assert [sentence.partition(":")[0] for sentence in said] == ["a, uqi", "a, psnr"]
    assert all("that of one, 7.png" in sentence for sentence in said)


def test_the_ends_of_an_interval_are_told_from_small_to_large():
    gap = {"mean": -0.5, "ci95": [-0.75, -0.25]}
    assert compare._listed(["ssim"], {"ssim": gap}) == "ssim (by 0.5, 0.25 to 0.75)"


def test_metrics_of_a_result_are_in_the_tables_order():
    scores = {"uqi": np.array([0.5, 0.6]), "psnr": np.array([20.0, 21.0])}
    of_sets = {"kid": {"mean": 0.1, "ci95": None}}
    assert list(Result("a", {}, scores, of_sets).metrics) == ["psnr", "uqi", "kid"]


def test_where_sets_are_measured_too_the_verdict_is_on_single_images():
    of_sets = {"kid": {"mean": 0.1, "ci95": [0.0, 0.2]}}
    one = Result("a", {}, A.scores, of_sets)
    others = {"copy_input": {name: v - 0.1 for name, v in A.scores.items()}}
    (said,) = compare.against_baselines(one, others)
    assert said.endswith("is beaten on every metric of single images.")


def test_sources_are_not_compared_by_what_outputs_keep_of_them():
    """`source_psnr` of a source is infinite: any output would be worse."""
    kept = {"source_psnr": np.full(10, 20.0)}
    sources = Result("", {}, {"source_psnr": np.full(10, np.inf)})
    assert compare.against_sources([Result("a", {}, kept)], sources) == []
