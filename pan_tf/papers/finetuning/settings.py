"""The settings of a fine-tuning; flags derive from them. No TensorFlow here."""

import dataclasses

from pan_tf import settings as base
from pan_tf.config import VGG_NAMES
from pan_tf.paths import place
from pan_tf.settings import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(base.Settings):
    """What is trained, on what.

    Raises:
        ValueError: if a setting is not legal; the message names the flag.
    """

    dataset: str = setting("imagenet2012", "Images.", choices=("imagenet2012", "folder"))
    data_dir: str = setting("data", "Where they are.", free=True, parse=place)
    vgg: str = setting("vgg19", "Which VGG.", choices=VGG_NAMES)
    vgg_weights: str | None = setting(
        None,
        "File of convolutions to begin with; empty: those of keras.applications, "
        "downloaded.",
        free=True,
        parse=place,
    )
    head: str | None = setting(
        None,
        "VGG's own three dense layers, or one on the mean of each channel; empty: the "
        "first for imagenet2012, the second for other classes.",
        choices=("pooled", "vgg"),
    )
    star: bool = setting(True, "Mean pools and leaky ReLUs, as VGG* has them.")
    image_size: int = setting(224, "Pixels a side, a multiple of 32.", minimum=32)
    batch_size: int = setting(64, "Images in a minibatch, over all replicas.", minimum=1)
    iterations: int = setting(100_000, "Minibatches.", minimum=1)
    learning_rate: float = setting(
        1e-3, "At first; it falls to 0 by a cosine.", minimum=0.0
    )
    momentum: float = setting(0.9, "Share of the last step.", minimum=0.0)
    weight_decay: float = setting(5e-4, "Times the rate.", minimum=0.0)
    seed: int = setting(
        1, "Of order, crops, dropout and new layers.", minimum=0, maximum=2**32 - 1
    )
    dtype_policy: str = setting(
        "float32",
        "Keras dtype policy.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    log_every: int = setting(100, "Iterations between lines of metrics.jsonl.", minimum=1)
    save_every: int = setting(
        1000, "Iterations between checkpoints, and validations.", minimum=1, free=True
    )
    keep: int = setting(2, "Checkpoints to keep.", minimum=1, free=True)
    validation_images: int = setting(10_000, "At most so many.", minimum=1, free=True)

    def __post_init__(self):
        super().__post_init__()
        if self.image_size % 32:
            raise ValueError(
                "--image_size must be a multiple of 32: VGG halves images five times. "
                f"Received: image_size={self.image_size}."
            )
        if self.momentum >= 1.0:
            raise ValueError(
                "--momentum must be at least 0 and below 1. "
                f"Received: momentum={self.momentum}."
            )
        if self.head is None:
            head = "vgg" if self.dataset == "imagenet2012" else "pooled"
            object.__setattr__(self, "head", head)
        if self.begins_whole and self.image_size != 224:
            raise ValueError(
                "--image_size must be 224, or --vgg_weights or --head=pooled be given: "
                "VGG's own dense layers know that size only. "
                f"Received: image_size={self.image_size}."
            )

    @property
    def begins_whole(self):
        """Whether it begins with ImageNet's dense layers too."""
        is_own = self.dataset == "imagenet2012" and self.head == "vgg"
        return is_own and self.vgg_weights is None

    @property
    def validate_every(self):
        """Iterations between validations."""
        return self.save_every
