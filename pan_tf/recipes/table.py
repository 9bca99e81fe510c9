"""The table of systems. A new system is a new row.

The only file where networks and loss terms meet. What is not explained beside a row is as
its source has it; docs/explanation/deviations.md lists the deviations.
"""

import dataclasses
import functools

from pan_tf import images
from pan_tf import networks
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import CentreLoss
from pan_tf.losses import CycleConsistencyLoss
from pan_tf.losses import FeatureMatchingLoss
from pan_tf.losses import IdentityLoss
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.losses import PerceptualLoss
from pan_tf.losses import PixelLoss
from pan_tf.models import Course
from pan_tf.models import UpdateSchedule
from pan_tf.recipes.recipe import Recipe

# T of Table II, of PAN's de-raining, and, as the paper has it, of Context-Encoders.
_PAN_TRANSFORMERS = {
    "translate": networks.pan_transformer,
    "restore": networks.deraining_transformer,
    "fill": networks.context_encoder_transformer,
}
# Those of the systems that Table III compares: ID-CGAN's. PAN's authors have it a little
# differently, and so do the rows of PAN.
_ID_CGAN_TRANSFORMERS = {
    **_PAN_TRANSFORMERS,
    "restore": networks.id_cgan_transformer,
}
_TANH_DISCRIMINATOR = functools.partial(
    networks.pan_discriminator, first_activation="tanh"
)
# One minibatch for an update of D and one of T, as all systems but PAN have it.
_SHARED_MINIBATCH = UpdateSchedule(d_updates=1, t_updates=1, reuse_minibatch=True)

# PAN, Tables I and II, Eq. 2 to 6, in the reading that trained stably: what the paper
# leaves open is settled by trials, docs/stability.md. Against `pan_literal`: D's first
# layer and smoothed label as released, T's side of Eq. 2 without its flat region, a
# margin and a D slow enough for D not to win, and an average of T to translate with.
_PAN = Recipe(
    transformers=_PAN_TRANSFORMERS,
    discriminator=_TANH_DISCRIMINATOR,
    terms=(
        AdversarialLoss("non_saturating", real_label=0.9),
        PerceptualAdversarialLoss(margin=2.0),
    ),
    schedule=UpdateSchedule(d_updates=1, t_updates=3),
    d_learning_rate=2e-5,
    ema=0.995,
)

# PAN for small budgets; docs/results.md says what each part is worth. P on the hidden
# layers of a conditional PatchGAN, under a margin that fits itself; a T with skips at
# every resolution; L1 alone first, then D fading in, then L1 alone again; a D that is
# shown pairs in ever new colours and places, since it knows a few hundred by heart within
# minutes, and then judges nothing else; a rate that begins high and ends at 0, and an
# average of T.
_PAN_PLUS = dataclasses.replace(
    _PAN,
    transformers={
        **_PAN_TRANSFORMERS,
        "translate": networks.resize_transformer,
        "restore": networks.resize_transformer,
    },
    discriminator=networks.patch_discriminator,
    terms=(
        AdversarialLoss("non_saturating"),
        PerceptualAdversarialLoss(margin="auto", activity=0.9),
        PixelLoss("l1", weight=100.0),
    ),
    schedule=UpdateSchedule(d_updates=1, t_updates=1),
    learning_rate=1e-3,
    d_learning_rate=2e-4,
    ema=0.998,
    course=Course(alone=0.3, fade=0.05, decay=0.3, settle=0.05),
    d_augment=("brightness", "contrast", "shift"),
    dtype_policy="auto",
)
_PLUS_ADVERSARIAL, _PLUS_P, _PLUS_L1 = _PAN_PLUS.terms

# ID-CGAN as its released code trains it; its switches give the rows of Table III.
_ID_CGAN = Recipe(
    transformers=_ID_CGAN_TRANSFORMERS,
    discriminator=functools.partial(
        networks.patch_discriminator, filters=48, use_bias=False
    ),
    terms=(
        AdversarialLoss("non_saturating"),
        PixelLoss("l2", weight=150.0),
        # As coded: what the name calls L2 is a mean absolute difference, and VGG is
        # given BGR in [-1, 1], which it was never trained on.
        PerceptualLoss("block2_conv2", "l1", preprocessing="none", weight=150.0),
    ),
    schedule=_SHARED_MINIBATCH,
    role="restore",
    batch_size=7,
    bn_statistics="image",
)
_ADVERSARIAL, _PIXEL, _ = _ID_CGAN.terms

# T first, then D on what T made before, both on one minibatch: as the authors' code of
# both papers on unpaired sets has it.
_T_FIRST = UpdateSchedule(d_updates=1, t_updates=1, reuse_minibatch=True, t_first=True)

# CycleGAN as its authors' PyTorch code trains it by default, but for the decay of the
# rates over the second half, which is a flag.
_CYCLEGAN = Recipe(
    transformers=dict.fromkeys(("scenes", "faces"), networks.cyclegan_transformer),
    discriminator=functools.partial(
        networks.patch_discriminator, conditional=False, normalization="instance"
    ),
    terms=(
        AdversarialLoss("least_squares", pooled=True),
        CycleConsistencyLoss(weight=10.0),
        IdentityLoss(weight=5.0),
    ),
    schedule=_T_FIRST,
    role="scenes",
    batch_size=1,
    bn_statistics=None,
    paired=False,
    is_cycle=True,
    pool_size=50,
)

# The full system of the Perceptual Discriminators paper as its released code trains it,
# for faces (CelebA-HQ) and scenes (monet2photo).
_VGG_MS_CYCLEGAN = Recipe(
    transformers={
        "faces": networks.manipulation_transformer,
        "scenes": functools.partial(
            networks.manipulation_transformer, halvings=2, num_blocks=9
        ),
    },
    discriminator=networks.perceptual_discriminator,
    terms=(
        AdversarialLoss("least_squares"),
        CycleConsistencyLoss(weight=25.0),
        IdentityLoss(weight=25.0),
    ),
    schedule=_T_FIRST,
    role="faces",
    batch_size=16,
    learning_rate=1e-4,
    beta_1=0.9,
    bn_statistics=None,
    paired=False,
    is_cycle=True,
    vgg="vgg19",
    is_encoded=True,
    by_role={
        "scenes": {
            "discriminator": functools.partial(
                networks.perceptual_discriminator, most=128, heads=(16, 8)
            ),
            "terms": (
                AdversarialLoss("least_squares"),
                CycleConsistencyLoss(weight=10.0),
                IdentityLoss(weight=10.0),
            ),
        }
    },
)

_SOURCES_AGAIN = PerceptualLoss(None, "l1", between=("source", "output"))
_TARGETS_AGAIN = PerceptualLoss(
    None, "l1", between=("target", "identity"), name="perceptual_identity"
)


def _with_discriminator(recipe, change):
    """A recipe, whatever its role, with another D and no frozen encoder.

    Args:
        recipe: `Recipe`.
        change: builder of D -> builder of D.
    """
    by_role = {
        role: {**fields, "discriminator": change(fields["discriminator"])}
        for role, fields in recipe.by_role.items()
    }
    return dataclasses.replace(
        recipe,
        discriminator=change(recipe.discriminator),
        is_encoded=False,
        by_role=by_role,
    )


# One direction, one logit, no pretraining: the systems of Table 1 at low resolution. The
# paper gives neither M and N nor the weight of the identity loss: they are guesses.
_VGG_GAN = dataclasses.replace(
    _VGG_MS_CYCLEGAN,
    transformers=dict.fromkeys(
        ("faces", "scenes"),
        functools.partial(networks.manipulation_transformer, halvings=2, num_blocks=7),
    ),
    discriminator=functools.partial(networks.perceptual_discriminator, heads=(1,)),
    terms=(AdversarialLoss("non_saturating"), IdentityLoss(weight=10.0)),
    is_cycle=False,
    by_role={},
)

RECIPES = {
    # PAN, and two other readings of it.
    "pan": _PAN,
    # `pan` with a pixel loss beside it, at the weight that the released script has an
    # option for: the single change that moved its curve most, docs/results.md.
    "pan_fast": dataclasses.replace(
        _PAN, terms=(*_PAN.terms, PixelLoss("l1", weight=25.0))
    ),
    "pan_plus": _PAN_PLUS,
    # What is left of it without D's side of P, without P, and without D: the same T and
    # rates.
    "fm_plus": dataclasses.replace(
        _PAN_PLUS,
        terms=(_PLUS_ADVERSARIAL, FeatureMatchingLoss(_PLUS_P.lambdas), _PLUS_L1),
    ),
    "cgan_plus": dataclasses.replace(_PAN_PLUS, terms=(_PLUS_ADVERSARIAL, _PLUS_L1)),
    "l1_plus": dataclasses.replace(
        _PAN_PLUS,
        discriminator=None,
        d_learning_rate=None,
        terms=(_PLUS_L1,),
        schedule=UpdateSchedule(d_updates=0, t_updates=1),
        course=Course(decay=0.3),
        d_augment=(),
    ),
    # As printed. The paper gives no value for the margin; 3.0 is that of the released
    # script.
    "pan_literal": Recipe(
        transformers=_PAN_TRANSFORMERS,
        discriminator=networks.pan_discriminator,
        terms=(AdversarialLoss(), PerceptualAdversarialLoss()),
        schedule=UpdateSchedule(d_updates=1, t_updates=3),
    ),
    # As its authors' released script trains it (facades).
    "pan_official": Recipe(
        transformers={
            **_PAN_TRANSFORMERS,
            "translate": networks.official_pan_transformer,
            "fill": networks.pan_inpainting_transformer,
        },
        discriminator=functools.partial(_TANH_DISCRIMINATOR, last_activation="linear"),
        terms=(AdversarialLoss(real_label=0.9), PerceptualAdversarialLoss()),
        schedule=UpdateSchedule(d_updates=1, t_updates=1),
    ),
    # Table III, "PA Loss + cGAN": `pan`, but D judges an image with its source.
    "pan_cgan": dataclasses.replace(
        _PAN,
        discriminator=functools.partial(_TANH_DISCRIMINATOR, conditional=True),
    ),
    # Table III: ID-CGAN and what is left of it without its perceptual loss, its
    # adversarial loss, or both.
    "id_cgan": _ID_CGAN,
    "l2_cgan": dataclasses.replace(_ID_CGAN, terms=(_ADVERSARIAL, _PIXEL)),
    "cgan": dataclasses.replace(_ID_CGAN, terms=(_ADVERSARIAL,)),
    "l2": dataclasses.replace(
        _ID_CGAN,
        discriminator=None,
        terms=(_PIXEL,),
        schedule=UpdateSchedule(d_updates=0, t_updates=1),
    ),
    # ID-CGAN with the squared difference that it names, of features that VGG's weights
    # were trained for. Those grow with VGG's input: divided by half of that they are of
    # an image in T's units, and the weight of 150 means what it means for pixels.
    "id_cgan_fixed": dataclasses.replace(
        _ID_CGAN,
        terms=(
            _ADVERSARIAL,
            _PIXEL,
            PerceptualLoss(
                "block2_conv2", "l2", "caffe", scale=images.PEAK / 2, weight=150.0
            ),
        ),
    ),
    # L1 of pixels, and of two layers of VGG, the deeper one weighing as much as pixels:
    # what many restoration systems train on. Features are in units of T's images.
    "l1_vgg": Recipe(
        transformers=_PAN_TRANSFORMERS,
        discriminator=None,
        terms=(
            PixelLoss("l1", weight=100.0),
            PerceptualLoss(
                ("block2_conv2", "block3_conv3"),
                "l1",
                scale=images.PEAK / 2,
                layer_weights=(0.5, 1.0),
                weight=100.0,
            ),
        ),
        schedule=UpdateSchedule(d_updates=0, t_updates=1),
    ),
    # The plainest baseline: PAN's T on the mean absolute difference alone.
    "l1": Recipe(
        transformers=_PAN_TRANSFORMERS,
        discriminator=None,
        terms=(PixelLoss("l1", weight=100.0),),
        schedule=UpdateSchedule(d_updates=0, t_updates=1),
    ),
    # Table V: pix2pix as its Torch code trains it (constant rate, sum of D's two losses),
    # with the bias-free layers of the authors' PyTorch code.
    "pix2pix": Recipe(
        transformers={**_PAN_TRANSFORMERS, "translate": networks.pix2pix_transformer},
        discriminator=networks.patch_discriminator,
        terms=(AdversarialLoss("non_saturating"), PixelLoss("l1", weight=100.0)),
        schedule=_SHARED_MINIBATCH,
        batch_size=1,
        bn_statistics="image",
        dtype_policy="auto",
    ),
    # pix2pixHD's losses: a conditional D at two scales, LSGAN, feature matching of weight
    # 10, each D counting by half. Its T has four halvings; ours is CycleGAN's ResNet.
    "pix2pixhd": Recipe(
        transformers={
            "translate": networks.cyclegan_transformer,
            "restore": networks.deraining_transformer,
        },
        discriminator=functools.partial(
            networks.separate_discriminators, conditional=True
        ),
        terms=(
            AdversarialLoss("least_squares"),
            FeatureMatchingLoss((0.5,) * 8, weight=10.0),
        ),
        schedule=_SHARED_MINIBATCH,
        batch_size=1,
        bn_statistics=None,
    ),
    # Table IV: Context-Encoders; T learns ten times as fast as D, whose own loss is
    # whole: the weight is of what D tells T.
    "context_encoder": Recipe(
        transformers={"fill": networks.context_encoder_transformer},
        discriminator=networks.context_encoder_discriminator,
        terms=(
            AdversarialLoss("non_saturating", weight=0.001, d_weight=1.0),
            CentreLoss(weight=0.999),
        ),
        schedule=_SHARED_MINIBATCH,
        role="fill",
        batch_size=64,
        learning_rate=2e-3,
        d_learning_rate=2e-4,
        revision=2,
        earlier_revisions={1: "multiplied D's loss by .001 too"},
    ),
    # Unpaired sets. PAN, Sec. IV-E: CycleGAN, and Eq. 7 on D's third and fourth layer.
    "cyclegan": dataclasses.replace(_CYCLEGAN, dtype_policy="auto"),
    "cyclegan_pa": dataclasses.replace(
        _CYCLEGAN,
        terms=(
            *_CYCLEGAN.terms,
            PerceptualAdversarialLoss((0.0, 0.0, 0.5, 0.5), margin=0.1, paired=False),
        ),
        batch_size=4,
    ),
    # Perceptual Discriminators: the full system with VGG as it is, and with VGG*.
    "vgg_ms_cyclegan": _VGG_MS_CYCLEGAN,
    "vgg_star_ms_cyclegan": dataclasses.replace(_VGG_MS_CYCLEGAN, star=True),
    # Its ablations, Fig. 4: VGG*'s architecture from random weights, trained with the
    # rest; a trunk that sees the image itself; a D for each scale.
    "rand_ms_cyclegan": _with_discriminator(
        _VGG_MS_CYCLEGAN, lambda d: functools.partial(d, sees="own_features")
    ),
    "ms_cyclegan": _with_discriminator(
        _VGG_MS_CYCLEGAN, lambda d: functools.partial(d, sees="image")
    ),
    "multiscale_cyclegan": _with_discriminator(
        _VGG_MS_CYCLEGAN, lambda d: networks.separate_discriminators
    ),
    # Its T as an autoencoder, to start from (`--init_from`): of faces of both domains, of
    # scenes as released of one, the photos; here of the sources. The released code
    # compares Gram matrices where it says features, of which no image can be had back.
    "autoencoder": dataclasses.replace(
        _VGG_MS_CYCLEGAN,
        discriminator=None,
        terms=(_SOURCES_AGAIN, _TARGETS_AGAIN),
        schedule=UpdateSchedule(d_updates=0, t_updates=1),
        is_cycle=False,
        is_encoded=False,
        by_role={"scenes": {"terms": (_SOURCES_AGAIN,)}},
    ),
    # Table 1: one direction.
    "vgg_gan": _VGG_GAN,
    "vgg_star_gan": dataclasses.replace(_VGG_GAN, star=True),
    "dcgan": dataclasses.replace(
        _VGG_GAN,
        discriminator=functools.partial(
            networks.perceptual_discriminator, heads=(1,), sees="image"
        ),
        terms=(AdversarialLoss("non_saturating"),),
        is_encoded=False,
    ),
}
