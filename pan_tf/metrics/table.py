"""The table of metrics. A new metric is a new row.

Reports, comparisons, tables, charts, TensorBoard, `--best_by` and the other flags take
from here what is measured, what it is called, and whether the higher or the lower value
is better.
"""

import numpy as np

from pan_tf import networks
from pan_tf.metrics import perceptual
from pan_tf.metrics.distribution import features
from pan_tf.metrics.distribution import frechet
from pan_tf.metrics.distribution import kid
from pan_tf.metrics.distribution.two_sample import LEAST
from pan_tf.metrics.full_reference import functional
from pan_tf.metrics.full_reference import information
from pan_tf.metrics.metric import Metric


def balanced(scores):
    """One number of two metrics that are fooled by opposite things, at most 1.

    The mean of PSNR / 50 dB (at most 1) and UQI, both on luma. PSNR rewards blur, which
    UQI punishes; UQI rewards flatness where the target is flat, which PSNR does not. SSIM
    is left out, since it hardly tells a blank image from the truth without its details;
    VIF and VIFP, since on targets with next to no texture noise raises them.
    docs/metrics.md has the measurements.
    """
    return (np.minimum(scores["psnr"] / 50.0, 1.0) + scores["uqi"]) / 2.0


# PSNR of equal images is infinite: one such image would make a mean say nothing.
_PSNR = {"unit": "dB", "digits": 2, "largest": 100.0}
_ON_LUMA = (
    "PSNR, SSIM, UQI, VIF and VIFP are of the unrounded luma of 8-bit images, as MeTriX "
    "MuX defines them; the RGB variants of the three channels."
)

# These compare an output with the target that belongs to its source.
METRICS = {
    "balanced": Metric(
        "Balanced",
        of_scores=balanced,
        made_of=("psnr", "uqi"),
        about="Balanced is the mean of PSNR / 50 dB and UQI.",
    ),
    "psnr": Metric(
        "PSNR",
        function=functional.psnr,
        about=f"{_ON_LUMA} PSNR beyond 100 dB counts as 100 in means.",
        **_PSNR,
    ),
    "ssim": Metric("SSIM", function=functional.ssim, smallest=11),
    "uqi": Metric("UQI", function=functional.uqi, smallest=8),
    "vif": Metric(
        "VIF",
        function=information.vif,
        smallest=17,
        about="VIF of a target of less than one bit is 1 if the output has no texture "
        "either, else 0.",
    ),
    "vifp": Metric("VIFP", function=information.vifp, smallest=17),
    "psnr_rgb": Metric(
        "PSNR, RGB", function=functional.psnr_rgb, is_variant=True, **_PSNR
    ),
    "ssim_rgb": Metric(
        "SSIM, RGB", function=functional.ssim_rgb, is_variant=True, smallest=11
    ),
    "vgg_distance": Metric(
        "VGG distance",
        higher_is_better=False,
        make=perceptual.vgg_distance,
        smallest=16,
        needs=("vgg16",),
        of_realism=True,
        is_usual=False,
        about="VGG distance is between features of VGG-16, scaled to unit length at each "
        "position: the lower the better.",
    ),
    "lpips": Metric(
        "LPIPS",
        higher_is_better=False,
        make=perceptual.lpips,
        smallest=networks.ALEXNET_SMALLEST,
        needs=("alexnet", "lpips_alex"),
        check=perceptual.lpips,
        of_realism=True,
        is_usual=False,
        about="LPIPS is of version 0.1 with AlexNet: the lower the better.",
    ),
}

# These judge whole sets: do outputs look as the target's domain does? The first four as
# in Table 1 of the Perceptual Discriminators paper, but that an attribute of three
# classes, hair, is one class against the others here.
SET_METRICS = {
    "c2st": Metric(
        "C2ST",
        "nats",
        digits=3,
        least=LEAST,
        by_classifier=True,
        of_sets=lambda sets: sets.two_sample["cross_entropy"],
        beside_sources=(
            "Outputs of {} are {} to tell from real targets than their sources.",
            "harder",
            "easier",
            "neither harder nor easier",
        ),
        about="C2ST is the cross-entropy, on images that it was not trained on, of a "
        "classifier that learns to tell outputs from held-out real targets: the higher "
        "the better, .693 (ln 2) where it cannot tell, 0 where it always can. As many of "
        "both kinds, half to learn and half to test, several times. A classifier that is "
        "no better than chance on the images that choose its epoch answers one half. "
        "Classifiers are small and trained from scratch on the images at hand: compare "
        "their numbers with each other only.",
    ),
    "c2st_accuracy": Metric(
        "C2ST, share told",
        digits=3,
        least=LEAST,
        higher_is_better=False,
        by_classifier=True,
        of_sets=lambda sets: {"mean": sets.two_sample["accuracy"], "ci95": None},
    ),
    "c2st_learnt": Metric(
        "C2ST, share of tests that learnt",
        digits=3,
        least=LEAST,
        by_classifier=True,
        of_sets=lambda sets: {
            "mean": sets.two_sample["learnt"] / len(sets.seeds),
            "ci95": None,
        },
    ),
    "attribute_log_loss": Metric(
        "Attribute log-loss",
        "nats",
        digits=3,
        least=LEAST,
        higher_is_better=False,
        compares=("source", "target", "output"),
        by_classifier=True,
        of_sets=lambda sets: sets.domain_log_losses,
        beside_sources=(
            "Outputs of {} are {} like targets, to a classifier of the two domains, than "
            "their sources.",
            "more",
            "less",
            "neither more nor less",
        ),
        about="Attribute log-loss: a classifier is trained on real images of both "
        "domains; minus the log of the probability that it gives an output of being a "
        "target. In "
        "the column of real targets it is that of held-out ones, and C2ST is of training "
        "targets against held-out ones.",
    ),
    "kid_vgg": Metric(
        "KID, VGG",
        higher_is_better=False,
        of_sets=lambda sets: kid.unbiased(*sets.features("vgg16")),
        least=3,
        needs=("vgg16",),
        is_usual=False,
        about="KID, VGG is the unbiased kernel distance of outputs from held-out real "
        "targets in features of VGG-16: the lower the better, about 0 for real images. "
        "Its interval is by the jackknife over images.",
    ),
    "kid": Metric(
        "KID",
        higher_is_better=False,
        of_sets=lambda sets: kid.unbiased(*sets.features("inception")),
        least=3,
        needs=("inception",),
        check=features.EXTRACTORS["inception"],
        is_usual=False,
        about="KID is the unbiased kernel distance of outputs from held-out real targets "
        "in features of the Inception network that published numbers look through, over "
        "all images at once: the lower the better, about 0 for real images; often it is "
        "given times 1000. Its interval is by the jackknife over images.",
    ),
    "fid": Metric(
        "FID",
        digits=2,
        higher_is_better=False,
        of_sets=lambda sets: frechet.frechet_distance(*sets.features("inception")),
        least=3,
        biased_below=2048,
        needs=("inception",),
        check=features.EXTRACTORS["inception"],
        is_usual=False,
        about="FID is the Fréchet distance of outputs from held-out real targets in the "
        "features of the Inception network that published numbers look through: the "
        "lower the better. Its interval is by the jackknife over ten parts of each "
        "set.",
    ),
}

# What is kept on the way. None says whether an output looks like the target's domain: a T
# that changes nothing has the best of each.
KEPT_METRICS = {
    "source_psnr": Metric(
        "Output against source",
        compares=("source", "output"),
        function=functional.psnr,
        about="PSNR against the source, of T(target) and there and back says what is "
        "kept, and is best for a T that changes nothing.",
        **_PSNR,
    ),
    "cycle_psnr": Metric(
        "There and back",
        compares=("source", "cycled"),
        function=functional.psnr,
        **_PSNR,
    ),
    "identity_psnr": Metric(
        "T(target) against target",
        compares=("target", "identity"),
        function=functional.psnr,
        **_PSNR,
    ),
}

# Every row by its name.
ROWS = METRICS | SET_METRICS | KEPT_METRICS


def check_tables(of_images, of_sets):
    """Refuses rows of whole sets among those that compare images, and the reverse.

    Raises:
        ValueError: naming the row.
    """
    for name, row in of_images.items():
        if row.of_sets is not None:
            raise ValueError(f"The metric {name!r} is of sets: put it into SET_METRICS.")
        odd = [p for p in row.made_of if p not in of_images or not of_images[p].of_images]
        if odd:
            raise ValueError(f"The metric {name!r} is made of {odd}: no rows of images.")
    for name, row in of_sets.items():
        if row.of_sets is None:
            raise ValueError(f"The metric {name!r} is not of sets: put it into METRICS.")


def check_compared(rows):
    """Refuses rows for pairs that compare what not every T of pairs makes.

    Raises:
        ValueError: naming the row.
    """
    for name, row in rows.items():
        if odd := {"cycled", "identity"} & {*row.compares}:
            raise ValueError(
                f"The metric {name!r} compares {sorted(odd)}, which only some systems "
                "without pairs make: put it into KEPT_METRICS."
            )


check_tables(METRICS | KEPT_METRICS, SET_METRICS)
check_compared(METRICS)


def with_parts(names):
    """Names of rows and of those that they are made of, each once, as in the table."""
    wanted = {part for name in names for part in (name, *ROWS[name].made_of)}
    return [name for name in ROWS if name in wanted]


class MetricError(ValueError):
    """What a row gave is not what its row promises; the message names it."""


def checked(name, values, count):
    """Scores of a row as float64, if they are what its row promises.

    Args:
        name: of the row.
        values: what its function gave of so many images.
        count: of the images.

    Raises:
        MetricError: if they are not one finite number an image.
    """
    values = np.asarray(values, np.float64)
    if values.shape != (count,):
        raise MetricError(
            f"The metric {name!r} must be one number an image, of the shape ({count},) "
            f"here. Received: the shape {values.shape}."
        )
    odd = ~np.isfinite(ROWS[name].finite(values))
    if odd.any():
        raise MetricError(
            f"The metric {name!r} is {values[odd][0]} for {odd.sum()} of {count} images: "
            "a row must give a number for every image (`largest` is what an infinite one "
            "counts as)."
        )
    return values


def checked_set(name, value, count):
    """As `checked`, of a row of sets: `[n]`, or `{"mean", "ci95"}` as plain floats."""
    if not isinstance(value, dict):
        if np.ndim(value):
            return checked(name, value, count)
        value = {"mean": value, "ci95": None}
    ends = value.get("ci95")
    numbers = [value.get("mean"), *(() if ends is None else ends)]
    if len(numbers) not in (1, 3) or None in numbers or not np.isfinite(numbers).all():
        raise MetricError(
            f"The metric {name!r} must be `[n]`, one number an output, or a mean and the "
            f"ends of its interval or None. Received: {value}."
        )
    mean, *ends = map(float, numbers)
    return {**value, "mean": mean, "ci95": ends or None}
