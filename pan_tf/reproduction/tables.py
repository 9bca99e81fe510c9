"""What the PAN paper compares, where, and with which result (arXiv:1706.09138).

A table is a list of tasks; a task is a flagfile of `configs/` and the systems that the
paper trained on it. Numbers are PSNR in dB, SSIM, UQI and VIF, as printed.
"""

import dataclasses

METRICS = ("psnr", "ssim", "uqi", "vif")


@dataclasses.dataclass(frozen=True)
class System:
    """One row of a table.

    Attributes:
        name: of its folder.
        label: the paper's name for it.
        recipe: name of the recipe.
        settings: what is set beside it, by names of `Config`.
        paper: metric -> the paper's number; None where it prints none.
    """

    name: str
    label: str
    recipe: str
    settings: dict = dataclasses.field(default_factory=dict)
    paper: dict | None = None


@dataclasses.dataclass(frozen=True)
class Task:
    """One data set in one direction.

    Attributes:
        config: stem of its flagfile in `configs/`.
        label: the paper's name for it.
        systems: those of the paper, and what we set beside them.
    """

    config: str
    label: str
    systems: tuple


@dataclasses.dataclass(frozen=True)
class Table:
    """One table or figure.

    Attributes:
        title: what it is, and what is compared in it.
        tasks: `Task`s.
    """

    title: str
    tasks: tuple


def _numbers(*values):
    return dict(zip(METRICS, values, strict=True))


def _versus_pix2pix(config, label, theirs, ours):
    return Task(
        config,
        label,
        (
            System("pix2pix", "pix2pix-cGAN", "pix2pix", paper=_numbers(*theirs)),
            System("pan", "PAN", "pan", paper=_numbers(*ours)),
        ),
    )


# Misprints of Table V: its rows "ID-cGAN" are pix2pix-cGAN, says the text around it.
TABLES = {
    "pan3": Table(
        "Table III: losses compared on de-raining",
        (
            Task(
                "derain",
                "De-raining",
                (
                    System(
                        "l2", "L2", "l2", paper=_numbers(22.77, 0.7959, 0.6261, 0.357)
                    ),
                    System(
                        "cgan",
                        "cGAN",
                        "cgan",
                        paper=_numbers(21.87, 0.7306, 0.5810, 0.3173),
                    ),
                    System(
                        "l2_cgan",
                        "L2 + cGAN",
                        "l2_cgan",
                        paper=_numbers(22.19, 0.8083, 0.6278, 0.3640),
                    ),
                    System(
                        "id_cgan",
                        "ID-CGAN",
                        "id_cgan",
                        paper=_numbers(22.91, 0.8198, 0.6473, 0.3885),
                    ),
                    System("id_cgan_fixed", "ID-CGAN, VGG fed rightly", "id_cgan_fixed"),
                    System(
                        "pan",
                        "PAN",
                        "pan",
                        paper=_numbers(23.35, 0.8303, 0.6644, 0.4050),
                    ),
                    System(
                        "pan_cgan",
                        "PA loss + cGAN",
                        "pan_cgan",
                        paper=_numbers(23.22, 0.8078, 0.6375, 0.3904),
                    ),
                ),
            ),
        ),
    ),
    "pan4": Table(
        "Table IV: a missing centre, Context-Encoder and PAN",
        (
            Task(
                "inpaint",
                "In-painting",
                (
                    System(
                        "context_encoder",
                        "Context-Encoder",
                        "context_encoder",
                        paper=_numbers(21.74, 0.8242, 0.7828, 0.5818),
                    ),
                    System(
                        "pan",
                        "PAN",
                        "pan",
                        paper=_numbers(21.85, 0.8307, 0.7956, 0.6104),
                    ),
                ),
            ),
        ),
    ),
    "pan5": Table(
        "Table V: pix2pix and PAN",
        (
            _versus_pix2pix(
                "labels2cityscapes",
                "Semantic labels -> Cityscapes images",
                (15.74, 0.4275, 0.0732, 0.0521),
                (16.06, 0.4820, 0.1116, 0.0658),
            ),
            _versus_pix2pix(
                "edges2shoes",
                "Edges -> Shoes",
                (20.07, 0.7504, 0.2724, 0.2268),
                (19.51, 0.7816, 0.3442, 0.2393),
            ),
            _versus_pix2pix(
                "edges2handbags",
                "Edges -> Handbags",
                (16.50, 0.6307, 0.3978, 0.1723),
                (15.90, 0.6570, 0.4042, 0.1841),
            ),
            _versus_pix2pix(
                "cityscapes2labels",
                "Cityscapes images -> Semantic labels",
                (19.46, 0.7270, 0.1555, 0.1180),
                (20.67, 0.7725, 0.1732, 0.1638),
            ),
            _versus_pix2pix(
                "aerial2map",
                "Aerial -> map",
                (26.10, 0.6465, 0.0913, 0.0291),
                (28.32, 0.7520, 0.3372, 0.1617),
            ),
        ),
    ),
    # One hidden layer of D at a time. P of one layer of weight 1 is about a ninth of that
    # of all at their weights (their sum is 9), and so must the margin be.
    "pan_fig4": Table(
        "Fig. 4: the perceptual adversarial loss of a single hidden layer of D",
        (
            Task(
                "labels2cityscapes",
                "Semantic labels -> Cityscapes images",
                tuple(
                    System(
                        f"layer_{i + 1}",
                        f"l{i + 1} alone",
                        "pan",
                        {
                            "lambdas": tuple(float(i == j) for j in range(4)),
                            "margin": 2.0 / 9.0,
                        },
                    )
                    for i in range(4)
                ),
            ),
        ),
    ),
    # The figure's values of theta are not in the text.
    "pan_fig5": Table(
        "Fig. 5: theta, the weight of the adversarial loss",
        (
            Task(
                "labels2facades",
                "Labels -> facades",
                tuple(
                    System(
                        f"theta_{theta:g}", f"theta = {theta:g}", "pan", {"theta": theta}
                    )
                    for theta in (0.0, 0.1, 1.0, 10.0, 100.0)
                ),
            ),
        ),
    ),
}
