"""What the papers compare, where, and with which result.

A table is a list of tasks; a task is a flagfile of `configs/` and the systems that the
paper trained on it. Numbers are as printed: of PAN (arXiv:1706.09138) PSNR in dB, SSIM,
UQI and VIF; of Perceptual Discriminators (arXiv:1809.01396) C2ST and the attribute
log-loss in nats.
"""

import dataclasses

PAN_METRICS = ("psnr", "ssim", "uqi", "vif")
PD_METRICS = ("c2st", "attribute_log_loss")


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        name: of its folder.
        label: the paper's name for it.
        recipe: name of the recipe; None of what is not trained, deep feature
            interpolation.
        settings: what is set beside it, by names of `Config`.
        paper: metric -> the paper's number; None where it prints none.
        init_from: name of the system whose T it begins with, with the same seed.
        load_scale: size before the random crop, over that after it; None: as the task's
            flagfile has it.
        decay_from: share of the training after which the rates fall; None: as the task's
            flagfile has it.
        is_shown: whether it is of the table, and not only begun with.
    """

    name: str
    label: str
    recipe: str | None
    settings: dict = dataclasses.field(default_factory=dict)
    paper: dict | None = None
    init_from: str | None = None
    load_scale: float | None = None
    decay_from: float | None = None
    is_shown: bool = True


@dataclasses.dataclass(frozen=True)
class Task:
    """One data set in one direction.

    Attributes:
        config: stem of its flagfile in `configs/`.
        label: the paper's name for it.
        systems: those of the paper, and what we set beside them.
        settings: what is set in place of the flagfile's, by names of `Config`.
        suffix: tells tasks of one flagfile apart.
    """

    config: str
    label: str
    systems: tuple
    settings: dict = dataclasses.field(default_factory=dict)
    suffix: str = ""

    @property
    def name(self):
        """Unique in a table."""
        return self.config + self.suffix


@dataclasses.dataclass(frozen=True)
class Table:
    """One table or figure.

    Attributes:
        title: what it is, and what is compared in it.
        tasks: `Task`s.
        metrics: what it is compared by.
        batch_size: of every system; None: each its own.
        budget: what the paper gave each system, in words.
        note: what a reader of the paper's numbers must know.
        paired: whether outputs are compared with targets of their own.
    """

    title: str
    tasks: tuple
    metrics: tuple = PAN_METRICS
    # "batch size of 4 were used for all tasks" (PAN, Section IV-A).
    batch_size: int | None = 4
    budget: str = "about 100 000 iterations of four images, at 256 px"
    note: str = ""
    paired: bool = True


def _row(recipe, label, *numbers):
    """A system that is called as its recipe, and the paper's numbers, if it has some."""
    paper = dict(zip(PAN_METRICS, numbers, strict=True)) if numbers else None
    return Row(recipe, label, recipe, paper=paper)


def _versus_pix2pix(config, label, theirs, ours):
    rows = _row("pix2pix", "pix2pix-cGAN", *theirs), _row("pan", "PAN", *ours)
    return Task(config, label, rows)


_TABLE_1 = (
    Row("dfi", "DFI", None),
    _row("dcgan", "DCGAN"),
    # "with default parameters": 286 px cropped to 256, rates that fall from the half on.
    Row("cyclegan", "CycleGAN", "cyclegan", load_scale=286 / 256, decay_from=0.5),
    _row("vgg_gan", "VGG-GAN"),
    _row("vgg_star_gan", "VGG*-GAN"),
)
_PD_BATCH = "50 000 iterations of sixteen images"  # Of the released code.


def _attribute(attribute, label, *numbers):
    """A task of Table 1: for each system its C2ST and its log-loss."""
    return Task(
        "celeba_smile",
        label,
        tuple(
            dataclasses.replace(system, paper=dict(zip(PD_METRICS, pair, strict=True)))
            for system, pair in zip(_TABLE_1, numbers, strict=True)
        ),
        {"attribute": attribute},
        "" if attribute == "Smiling" else f"-{attribute}",
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
                    _row("l2", "L2", 22.77, 0.7959, 0.6261, 0.357),
                    _row("cgan", "cGAN", 21.87, 0.7306, 0.5810, 0.3173),
                    _row("l2_cgan", "L2 + cGAN", 22.19, 0.8083, 0.6278, 0.3640),
                    _row("id_cgan", "ID-CGAN", 22.91, 0.8198, 0.6473, 0.3885),
                    _row("id_cgan_fixed", "ID-CGAN, VGG fed rightly"),
                    _row("pan", "PAN", 23.35, 0.8303, 0.6644, 0.4050),
                    _row("pan_cgan", "PA loss + cGAN", 23.22, 0.8078, 0.6375, 0.3904),
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
                    _row(
                        "context_encoder",
                        "Context-Encoder",
                        21.74,
                        0.8242,
                        0.7828,
                        0.5818,
                    ),
                    _row("pan", "PAN", 21.85, 0.8307, 0.7956, 0.6104),
                ),
            ),
        ),
        budget="about 100 000 iterations of four images, at 128 px",
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
                    Row(
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
                    Row(f"theta_{theta:g}", f"theta = {theta:g}", "pan", {"theta": theta})
                    for theta in (0.0, 0.1, 1.0, 10.0, 100.0)
                ),
            ),
        ),
    ),
    # Horses -> zebras; the paper has pictures only.
    "pan_fig11": Table(
        "Fig. 11: the perceptual adversarial loss in CycleGAN",
        (
            Task(
                "horse2zebra",
                "Horses -> zebras",
                (
                    _row("cyclegan", "CycleGAN"),
                    _row("cyclegan_pa", "CycleGAN + PA loss"),
                ),
            ),
        ),
        PD_METRICS,
        paired=False,
        budget="200 epochs of four images at a time, at 256 px",
    ),
    "pd1": Table(
        "Perceptual Discriminators, Table 1 (b) and (c): faces at low resolution",
        (
            _attribute(
                "Smiling",
                "Smile",
                (0.001, 1.3),
                (0.006, 0.6),
                (0.053, 1.2),
                (0.086, 0.4),
                (0.052, 0.7),
            ),
            _attribute(
                "Male",
                "Gender",
                (0.0001, 0.5),
                (0.0003, 1.5),
                (0.0035, 0.8),
                (0.0021, 0.1),
                (0.0024, 0.1),
            ),
            _attribute(
                "Blond_Hair",
                "Hair colour (blond)",
                (0.0001, 1.14),
                (0.0006, 2.33),
                (0.0049, 2.41),
                (0.0096, 1.3),
                (0.0129, 1.24),
            ),
        ),
        PD_METRICS,
        paired=False,
        batch_size=None,
        budget=f"{_PD_BATCH}, at 160 px",
        note="The paper's classifiers are not described, and other than ours: ranks "
        "compare, numbers do not. Its C2ST of DFI are upper bounds. Its hair has three "
        "classes, ours two. Part (a) is a study of people: user_study.",
    ),
    # All begin with one autoencoder, as the released code has it.
    "pd_fig4": Table(
        "Perceptual Discriminators, Fig. 4: what D looks at",
        (
            Task(
                "celebahq_smile",
                "Female -> male",
                (
                    Row("autoencoder", "Autoencoder", "autoencoder", is_shown=False),
                    *(
                        Row(name, label, name, init_from="autoencoder")
                        for name, label in (
                            ("vgg_star_ms_cyclegan", "VGG*-MS-CycleGAN"),
                            ("vgg_ms_cyclegan", "VGG-MS-CycleGAN"),
                            ("rand_ms_cyclegan", "Rand-MS-CycleGAN"),
                            ("ms_cyclegan", "MS-CycleGAN"),
                            ("multiscale_cyclegan", "separate discriminators"),
                        )
                    ),
                ),
                {"attribute": "male"},
                "-male",
            ),
        ),
        PD_METRICS,
        paired=False,
        batch_size=None,
        budget=f"{_PD_BATCH}, at 256 px",
        note="The paper has pictures only, and no system that looks through VGG as it "
        "is.",
    ),
}
