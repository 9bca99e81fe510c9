"""The one list of settings. Flags, validation and `run.cfg` derive from it.

No TensorFlow here: `--help` must answer at once. None, an empty flag, means "the
recipe's value", or the data set's, as the help says. Counts of work are in iterations: an
iteration is one minibatch consumed by an update of D or of T.
"""

import dataclasses

from pan_tf import tables
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import bits
from pan_tf.settings import number_or_auto
from pan_tf.settings import setting
from pan_tf.settings import value_range
from pan_tf.size import Size

RECIPE_NAMES = tuple(sorted(tables.keys("recipes/table.py", "RECIPES")))
# What a task asks of T; which one does it, the recipe says.
ROLES = ("translate", "restore", "fill", "scenes", "faces")
TRANSFORMER_NAMES = tables.decorated("networks", "transformer")
# What roles were called up to version 0.1.
_FORMER_ROLES = {"unet": "translate", "deraining": "restore", "inpainting": "fill"}
DATASET_NAMES = tables.keys("data/table.py", "DATASETS")
_WITH_ATTRIBUTES = tables.keys(
    "data/table.py", "DATASETS", where={"has_attributes": True}
)
SYNTHESIS_NAMES = ("none", *tables.keys("data/synthesis.py", "SYNTHESES"))
METRIC_NAMES = tables.keys("metrics/table.py", "METRICS")
VGG_NAMES = tables.keys("networks/vgg.py", "APPLICATIONS")
DIRECTIONS = ("AtoB", "BtoA")
PREPROCESSINGS = ("squash", "scale", "crop")


METRIC_WEIGHTS = setting(
    None,
    "Folder with the weights of networks that metrics look through, by their published "
    "names, such as alex.pth; empty: they are downloaded once. VGG: --vgg_weights.",
    free=True,
    parse=place,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Settings):
    """The settings of a run.

    >>> config = Config(recipe="pix2pix", image_size="256x512")
    >>> config.replace(iterations=2000).differences(config)
    {}
    >>> Config(recipe="pix2pi")
    Traceback (most recent call last):
        ...
    ValueError: --recipe must be one of: ...

    Raises:
        ValueError: if a setting is not legal; the message names the flag.
    """

    # What is trained, on what.
    recipe: str = setting("pan", "System to train.", choices=RECIPE_NAMES)
    dataset: str = setting(
        "folder",
        "Data set; `folder` is your own pairs in --data_dir, or two lists of images for "
        "unpaired recipes; `photos` single images of which --synthesize makes sources.",
        choices=DATASET_NAMES,
    )
    attribute: str | None = setting(
        None,
        "Attribute that T gives to faces that lack it; as celeb_a has it (Smiling, "
        "Male, ...), or the lists of celeba_hq (smiling, male, ...).",
    )
    data_dir: str = setting("data", "Where data sets are kept.", free=True, parse=place)
    direction: str | None = setting(
        None,
        "Which side is the source; empty: as the data set's task has it.",
        choices=DIRECTIONS,
    )
    synthesize: str = setting(
        "none",
        "Make each source of its target: put rain or snow on it, or take its centre "
        "away; none: sources come with the data set.",
        choices=SYNTHESIS_NAMES,
    )
    fallback_dataset: str | None = setting(
        None,
        "Data set to use, loudly, if --dataset is not there and cannot be fetched.",
        choices=DATASET_NAMES,
    )
    download: bool = setting(
        True, "Whether a data set that is not there may be downloaded.", free=True
    )

    # Networks.
    transformer: str | None = setting(
        None,
        "Role of T, in which the recipe has its own: translate into images of another "
        "kind, restore (small corrections), fill a missing centre; scenes or faces for "
        "unpaired sets. Or any T by its name. Empty: the recipe's own role.",
        choices=(*ROLES, *TRANSFORMER_NAMES),
        aliases=_FORMER_ROLES,
    )
    vgg: str | None = setting(
        None,
        "The VGG that D or a perceptual loss looks through; empty: the recipe's.",
        choices=VGG_NAMES,
    )
    vgg_weights: str | None = setting(
        None,
        "File of VGG's weights for recipes that look through it; empty: those of "
        "keras.applications, downloaded once.",
        free=True,
        parse=place,
    )
    discriminator_form: str | None = setting(
        None,
        "A perceptual discriminator as its released code, or as the paper's equations, "
        "have it; empty: as released.",
        choices=tables.keys("networks/perceptual.py", "_FORMS"),
    )

    recipe_digest: str | None = setting(
        None,
        "Digest of the recipe's row, as a run.cfg has it: a replay is refused where the "
        "table has changed; empty: not looked at.",
        free=True,
    )

    # Images.
    image_size: Size = setting(
        Size(256, 256),
        "Pixels a side, or height x width, as 256x512: multiples of 64; of 32 where no "
        "U-Net halves them six times; 64 is the least.",
        minimum=64,
        parse=Size.of,
    )
    source_channels: int | None = setting(
        None,
        "Channels of a source: 1 grey, 3 RGB, 4 RGB and alpha, or as many as files have; "
        "empty: found in your own files, 3 for named data sets.",
        minimum=1,
        maximum=64,
    )
    target_channels: int | None = setting(
        None, "Likewise of a target.", minimum=1, maximum=64
    )
    source_bits: int | None = setting(
        None,
        "Bits of a source's channels, 8 or 16; empty: found in your own files, 8 for "
        "named data sets.",
        parse=bits,
    )
    target_bits: int | None = setting(
        None, "Likewise of a target; outputs have as many.", parse=bits
    )
    source_labels: int | None = setting(
        None,
        "Number of classes, if sources are label maps: palette or grey images of whole "
        "numbers, of which T sees a plane each.",
        minimum=2,
        maximum=256,
    )
    source_range: str | None = setting(
        None,
        "Values of a source's files that become the least and the largest level: full "
        "(of 8 or 16 bits; of other files of all training images), percentiles (.1 and "
        "99.9, of some training images), or two numbers, as 0,4095. Empty: full for 8 "
        "and 16 bits, else percentiles.",
        parse=value_range,
    )
    target_range: str | None = setting(
        None,
        "Likewise of a target; undone where outputs are written.",
        parse=value_range,
    )
    width: float = setting(
        1.0,
        "Multiplies the channels of T and D; 1 as published.",
        minimum=1 / 64,
        maximum=64,
    )
    preprocess: str | None = setting(
        None,
        "How images are brought to size. squash: both sides to --load_size, then a "
        "random crop, as in the papers; scale: with their aspect, the shorter side to "
        "--load_size, then a random crop; crop: random crops of the files' own pixels. "
        "Empty: squash for named data sets; your own files get what fits them.",
        choices=PREPROCESSINGS,
    )
    load_size: Size | None = setting(
        None,
        "Pixels a side, or height x width, before the random crop; empty: --image_size * "
        "286 / 256. Not with --preprocess=crop.",
        minimum=64,
        parse=Size.of,
    )
    flip: bool | None = setting(
        None, "Mirror half of the training examples; empty: the data set's value."
    )
    augment: tuple[str, ...] | None = setting(
        None,
        "More augmentations of training examples, by name; mirroring is --flip.",
        choices=[
            name
            for name in tables.keys("data/augment.py", "AUGMENTATIONS")
            if name != "flip"
        ],
    )

    data_cache: float | None = setting(
        None,
        "GiB of memory for decoded training images, resized where they are; 0: none; "
        "empty: a quarter of what is free, at most 4.",
        minimum=0.0,
        maximum=2.0**20,
        free=True,
    )

    # Training.
    init_from: str | None = setting(
        None,
        "Run folder whose last T a new run starts with, its inverse too; of the same "
        "role, width and layers.",
        free=True,
        parse=place,
    )
    batch_size: int | None = setting(
        None,
        "Images in a minibatch, over all replicas, for each update; empty: the recipe's.",
        minimum=1,
        maximum=2**20,
    )
    iterations: int = setting(
        100_000,
        "Minibatches to consume, rounded up to whole rounds of updates.",
        minimum=1,
        free=True,
    )
    seed: int = setting(
        1, "Of weights, data order and augmentation.", minimum=0, maximum=2**32 - 1
    )
    d_updates: int | None = setting(
        None, "Updates of D in a round; empty: the recipe's.", minimum=1, maximum=1000
    )
    t_updates: int | None = setting(
        None, "Updates of T in a round; empty: the recipe's.", minimum=1, maximum=1000
    )
    reuse_minibatch: bool | None = setting(
        None,
        "One minibatch for all updates of a round, not one each; empty: the recipe's.",
    )
    accumulate: int = setting(
        1,
        "Minibatches of an update, which takes the mean of their gradients: as one "
        "minibatch so many times as large, in the memory of one, plus the images of "
        "all. Batch normalization, P's hinge and its margin see each by itself.",
        minimum=1,
        maximum=1024,
    )
    learning_rate: float | None = setting(
        None,
        "Adam's, of T, and of D unless it has its own; empty: the recipe's.",
        minimum=0.0,
    )
    d_learning_rate: float | None = setting(
        None, "D's own; empty: the recipe's, or as T's.", minimum=0.0
    )
    ema: float | None = setting(
        None,
        "Translate with a moving average of T that keeps this share in a round; 0: with "
        "T itself; empty: the recipe's.",
        minimum=0.0,
        maximum=1.0,
    )
    bn_statistics: str | None = setting(
        None,
        "What T's batch normalization uses outside of training: moving averages, or "
        "each image's own statistics; empty: the recipe's.",
        choices=("moving", "image"),
        former="statistics",
    )
    decay_start: int | None = setting(
        None,
        "Iteration from which both learning rates fall linearly to 0 at --iterations; "
        "empty: never.",
        minimum=0,
    )

    warm_up: float | None = setting(
        None,
        "Share of --iterations, from the first on, in which T is trained alone, on the "
        "losses without D; empty: the recipe's.",
        minimum=0.0,
        maximum=1.0,
    )
    fade: float | None = setting(
        None,
        "Share of --iterations, after --warm_up, over which the losses with D grow to "
        "their weights; empty: the recipe's.",
        minimum=0.0,
        maximum=1.0,
    )
    settle: float | None = setting(
        None,
        "Share of --iterations, at the end, in which T is trained alone again, on the "
        "losses without D; empty: the recipe's.",
        minimum=0.0,
        maximum=1.0,
    )
    d_augment: tuple[str, ...] | None = setting(
        None,
        "What happens to images before D sees them, alike to source, target and output; "
        "none: nothing; empty: the recipe's.",
        choices=("none", *tables.keys("layers/augmentation.py", "D_AUGMENTATIONS")),
    )
    ada_target: float | None = setting(
        None,
        "Adaptive augmentation (ADA) of what D sees: more while the mean sign of D's "
        "logits on targets is above this, less while it is below; .6 is usual, 0 for "
        "always; empty: the recipe's.",
        minimum=0.0,
        maximum=0.99,
    )

    # Losses (PAN, Eq. 2 to 6).
    theta: float | None = setting(
        None, "Weight of the adversarial loss; empty: the recipe's.", minimum=0.0
    )
    lambdas: tuple[float, ...] | None = setting(
        None, "Weights of D's features, one each; empty: the recipe's.", minimum=0.0
    )
    margin: float | str | None = setting(
        None,
        "m of the hinge, or auto: m follows P, so that the hinge is active in "
        "--hinge_activity of D's updates; empty: the recipe's.",
        parse=number_or_auto,
    )
    hinge_activity: float | None = setting(
        None,
        "Share of D's updates in which the hinge is active, under --margin=auto; empty: "
        "the recipe's.",
        minimum=0.01,
        maximum=0.99,
    )
    adversarial: str | None = setting(
        None,
        "T's side of the adversarial loss, or both by least squares or a hinge; empty: "
        "the recipe's.",
        choices=tables.keys("losses/adversarial.py", "_GAMES"),
    )
    real_label: float | None = setting(
        None,
        "What D is to say of real images; empty: the recipe's.",
        minimum=0.0,
        maximum=1.0,
    )
    first_activation: str | None = setting(
        None,
        "Of D's first layer (tanh: with its wide initial kernel); empty: the recipe's.",
        choices=tables.keys("networks/discriminators.py", "_FIRST_STDDEV"),
    )

    pixel_weight: float | None = setting(
        None,
        "Weight of the pixel loss, which is added (L1) to recipes that have none; empty: "
        "the recipe's.",
        minimum=0.0,
    )

    cycle_weight: float | None = setting(
        None, "Weight of cycle consistency; empty: the recipe's.", minimum=0.0
    )
    identity_weight: float | None = setting(
        None, "Weight of the identity loss; empty: the recipe's.", minimum=0.0
    )

    # How it is computed.
    dtype_policy: str | None = setting(
        None,
        "Keras dtype policy; auto: mixed_bfloat16 where this machine multiplies it fast, "
        "else float32, as the run folder records; empty: the recipe's.",
        choices=("float32", "mixed_bfloat16", "mixed_float16", "auto"),
    )
    jit_compile: bool = setting(
        False, "Compile forward and backward passes with XLA (for a single GPU)."
    )
    recompute: bool = setting(
        False,
        "Compute activations again in each backward pass, in place of keeping them: less "
        "memory, more time, the same numbers. Not with --jit_compile.",
        free=True,
    )
    deterministic: bool = setting(
        False, "Only deterministic kernels: bit-exact on GPUs too, and slower there."
    )

    # What is written.
    run_dir: str | None = setting(
        None,
        "Run folder; empty: runs/<recipe>-<data set>-<image size>.",
        free=True,
        parse=place,
    )
    log_every: int = setting(
        100, "Iterations between lines of metrics.jsonl.", minimum=1, free=True
    )
    save_every: int = setting(
        1000, "Iterations between checkpoints.", minimum=1, free=True
    )
    keep: int = setting(3, "Checkpoints to keep.", minimum=1, free=True)
    validate_every: int = setting(
        1000,
        "Iterations between validations; 0: never.",
        minimum=0,
        free=True,
    )
    collapse_after: int = setting(
        1000,
        "Iterations that a sign of collapse must stay before a warning; 0: no warnings.",
        minimum=0,
        free=True,
    )
    best_by: str = setting(
        "balanced",
        "Metric on the validation pairs that chooses the best checkpoint.",
        choices=METRIC_NAMES,
        free=True,
    )
    metrics: tuple[str, ...] = setting(
        (),
        "Measured at validations beside the usual ones.",
        choices=METRIC_NAMES,
        free=True,
    )
    metric_weights: str | None = METRIC_WEIGHTS
    sample_images: int = setting(
        8, "Examples in the pictures made at each validation.", minimum=1, free=True
    )
    dry_run: bool = setting(
        False,
        "Open the data, print configuration, networks, and the time and memory of "
        "measured rounds, and stop.",
        free=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if any(side % 32 for side in self.image_size):
            raise ValueError(
                "--image_size must be a multiple of 64 (64, 128, 256, 512, ...); of 32, "
                "from 64 up, for a T that halves images fewer than six times. Received: "
                f"image_size={self.image_size}."
            )
        if (self.attribute is not None) != (self.dataset in _WITH_ATTRIBUTES):
            raise ValueError(
                f"--attribute goes with {' and '.join(_WITH_ATTRIBUTES)}, and with them "
                f"it must be given. Received: dataset={self.dataset}, "
                f"attribute={self.attribute}."
            )
        seen_by_d = self.d_augment or ()
        if "none" in seen_by_d and len(seen_by_d) > 1:
            raise ValueError(
                "--d_augment=none excludes every other value. Received: "
                f"d_augment={','.join(seen_by_d)}."
            )
        if 2 in (self.source_channels, self.target_channels):
            raise ValueError(
                "--source_channels and --target_channels must be 1, 3, 4 or more. "
                f"Received: source_channels={self.source_channels}, "
                f"target_channels={self.target_channels}."
            )
        if self.source_labels and self.source_channels not in (None, self.source_labels):
            raise ValueError(
                "--source_channels follows from --source_labels: leave it out. Received: "
                f"source_channels={self.source_channels}, "
                f"source_labels={self.source_labels}."
            )
        if self.source_labels and self.synthesize != "none":
            raise ValueError(
                "--source_labels goes with sources that come with the data, not with "
                f"--synthesize={self.synthesize}."
            )
        if self.preprocess == "crop" and self.load_size is not None:
            raise ValueError(
                "--load_size goes with --preprocess=squash or scale: crop resizes "
                f"nothing. Received: load_size={self.load_size}."
            )
        if self.recompute and self.jit_compile:
            raise ValueError(
                "--recompute does not go with --jit_compile: XLA would merge both passes."
            )
        load, image = self.load_size or self.image_size, self.image_size
        if load.height < image.height or load.width < image.width:
            raise ValueError(
                "--load_size must be at least --image_size. Received: "
                f"load_size={self.load_size}, image_size={self.image_size}."
            )
        if self.decay_start is not None and self.decay_start >= self.iterations:
            raise ValueError(
                "--decay_start must be below --iterations. Received: decay_start="
                f"{self.decay_start}, iterations={self.iterations}."
            )

    @property
    def found_in_files(self):
        """As of `Settings`."""
        channels = self.source_labels or 3
        return {
            "preprocess": "squash",
            "source_channels": channels,
            "target_channels": 3,
            "source_bits": 8,
            "target_bits": 8,
            "dtype_policy": "float32",
        }

    @property
    def jittered_size(self):
        """`Size` before the random crop: the papers' 286 at 256, scaled."""
        if self.preprocess == "crop":
            return self.image_size
        return self.load_size or self.image_size.scaled(286 / 256)

    def going_on_from(self, before, iteration):
        """As of `Settings`; what a run began with is said once, and replayed.

        What was trained stays trained, also where fewer iterations are asked for now.
        """
        return self.replace(
            init_from=before.init_from, iterations=max(self.iterations, iteration)
        )

    def differences(self, other):
        """As of `Settings`; the end of a decaying schedule is part of the schedule."""
        found = super().differences(other)
        decays = self.decay_start is not None or other.decay_start is not None
        if decays and self.iterations != other.iterations:
            found["iterations"] = (self.iterations, other.iterations)
        return found
