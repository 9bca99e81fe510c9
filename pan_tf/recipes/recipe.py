"""What a row of the table of systems says."""

import dataclasses
from collections.abc import Callable

from pan_tf import tables
from pan_tf.models import Course
from pan_tf.models import UpdateSchedule


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One row of the table of systems.

    Attributes:
        transformers: role -> builder of T, image size -> T. A task asks for a role, the
            row says which T is its own there.
        discriminator: image size -> D; None if no term looks at one.
        terms: what they are trained on.
        schedule: who is updated how often.
        role: of T, unless the configuration says.
        batch_size: images in a minibatch, over all replicas.
        learning_rate: Adam's, of T, and of D unless it has its own.
        d_learning_rate: D's own, or None.
        beta_1: Adam's first momentum.
        ema: share that the average of T keeps in a round; 0 for no average.
        bn_statistics: what T's batch normalization uses outside of training: "moving"
            averages, or those of each "image" by itself, where a paper tests in training
            mode, one image at a time; None for a T without.
        paired: whether it needs targets that belong to their sources. One that does not
            draws the two from sets of their own.
        is_cycle: whether T's inverse, with a D of its own, is trained too.
        pool_size: outputs of the past that are kept for each D; 0 for none.
        vgg: which one a perceptual loss or D looks through, "vgg16" or "vgg19".
        is_encoded: whether D looks through it.
        star: whether D's is VGG*, see `networks.vgg_encoder`.
        by_role: role -> fields that are different with it.
        course: what changes in a training on its way, or None.
        d_augment: names of `layers.D_AUGMENTATIONS`: how D is shown images.
        ada_target: how sure of targets D becomes before it is shown them changed, see
            `layers.DiscriminatorAugmentation`; 0 for always.
        dtype_policy: as of `Config`: "auto" where bfloat16 was measured to learn as
            float32 does (docs/results.md).
        revision: of the losses; another one cannot go on with a run. Those of networks
            are their builders' own.
        earlier_revisions: revision -> what it did otherwise.
    """

    transformers: dict
    discriminator: Callable | None
    terms: tuple
    schedule: UpdateSchedule
    role: str = "translate"
    batch_size: int = 4
    learning_rate: float = 2e-4
    d_learning_rate: float | None = None
    beta_1: float = 0.5
    ema: float = 0.0
    bn_statistics: str | None = "moving"
    paired: bool = True
    is_cycle: bool = False
    pool_size: int = 0
    vgg: str = "vgg16"
    is_encoded: bool = False
    star: bool = False
    by_role: dict = dataclasses.field(default_factory=dict)
    course: Course | None = tables.later(None)
    d_augment: tuple = tables.later(())
    ada_target: float = tables.later(0.0)
    # How it is computed, not what: no part of what runs are compared by.
    dtype_policy: str = dataclasses.field(default="float32", compare=False)
    revision: int = 1
    earlier_revisions: dict = dataclasses.field(default_factory=dict, compare=False)

    @property
    def transformer(self):
        """Builder of the row's own T."""
        return self.transformers[self.role]

    @property
    def looks_through_vgg(self):
        """Whether a term or D does."""
        return self.is_encoded or any(term.looks_through_vgg for term in self.terms)
