"""A row whose parts do not go together is refused in a sentence, before a training."""

import dataclasses
import functools
import types
from typing import ClassVar

import keras
import numpy as np
import pytest

from pan_tf import dry_run
from pan_tf import networks
from pan_tf import recipes
from pan_tf.losses import TERMS
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import CycleConsistencyLoss
from pan_tf.losses import FeatureMatchingLoss
from pan_tf.losses import LossTerm
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.losses import PerceptualLoss
from pan_tf.losses import PixelLoss
from pan_tf.models import UpdateSchedule
from pan_tf.networks import declarations
from pan_tf.recipes import checks


def t_of(change):
    """A builder of a T with another last layer."""

    @declarations.transformer()
    def own(image_size=None, width=1.0, source_channels=3, target_channels=3, name=None):
        image = keras.Input((None, None, source_channels), name="source")
        return keras.Model(image, change(image, target_channels), name=name)

    return {"transformers": {"translate": own}}


def d_of(outputs, channels=None):
    """A builder of a D with other outputs, of images of so many channels."""

    @declarations.discriminator()
    def own(image_size=None, width=1.0, source_channels=3, target_channels=3, name=None):
        shape = (None, None, channels or target_channels)
        given = {key: keras.Input(shape, name=key) for key in ("source", "image")}
        seen = keras.layers.Conv2D(4, 3)(given["image"])
        return keras.Model(given, outputs(seen), name=name)

    return {"discriminator": own}


def convolution(channels, **kwargs):
    return keras.layers.Conv2D(channels, 3, padding="same", **kwargs)


def without_width(decorate=lambda builder: builder):
    def own(image_size=None, name=None):
        pass

    return {"transformers": {"translate": decorate(own)}}


def slip():
    """A term whose settings have a slip of the pen."""

    @dataclasses.dataclass(frozen=True)
    class Slip(LossTerm):
        name: str = dataclasses.field(default="slip", kw_only=True)
        settings: ClassVar = {"pixel_weight": "wieght"}

        def transformer_loss(self, translation):
            return 0.0

    return Slip()


@pytest.fixture(autouse=True)
def tables():
    """Leaves the tables of networks as they were."""
    kept = {
        id(table): dict(table)
        for table in (networks.TRANSFORMERS, networks.DISCRIMINATORS, TERMS)
    }
    yield
    for table in (networks.TRANSFORMERS, networks.DISCRIMINATORS, TERMS):
        table.clear()
        table.update(kept[id(table)])


ALONE = {"discriminator": None, "schedule": UpdateSchedule(d_updates=0, t_updates=1)}
GAME = (AdversarialLoss(), PixelLoss("l1"))
BAD = {
    "needs a discriminator, and none": {**ALONE, "terms": GAME},
    "has a discriminator that no term trains": {"terms": (PixelLoss("l1"),)},
    r"schedule\.d_updates=0": {
        **ALONE,
        "terms": (PixelLoss("l1"),),
        "schedule": UpdateSchedule(d_updates=1, t_updates=1),
    },
    "which needs a pool_size": {"terms": (AdversarialLoss(pooled=True),)},
    "which needs is_cycle": {"terms": (*GAME, CycleConsistencyLoss())},
    r"of \['ouput'\]: images are": {
        "terms": (*GAME, PerceptualLoss(between=("target", "ouput")))
    },
    "looks through 'vgg11'": {"terms": (*GAME, PerceptualLoss()), "vgg": "vgg11"},
    "which is no LossTerm": {"terms": (*GAME, keras.losses.MeanSquaredError())},
    "has a PixelLoss, which compares outputs with their targets, and no pairs": {
        "paired": False
    },
    "has a PerceptualLoss, which compares": {
        "terms": (AdversarialLoss(), PerceptualLoss()),
        "paired": False,
    },
    "shown a target beside a source that it does not belong to": {
        "terms": (AdversarialLoss(), PerceptualAdversarialLoss(paired=False)),
        "discriminator": functools.partial(networks.pan_discriminator, conditional=True),
        "paired": False,
    },
    "has a discriminator that its schedule never updates": {
        "schedule": UpdateSchedule(d_updates=0, t_updates=1)
    },
    r"RECIPES\['pan'\]: --ema must be at least 0": {"ema": 2.0},
    r"RECIPES\['pan'\]: --learning_rate must be at least": {"learning_rate": -1.0},
    r"has a Slip, whose settings name fields that it lacks: \['wieght'\]": lambda: {
        "terms": (*GAME, slip())
    },
    r"own makes images of bfloat16: its last layer needs": lambda: {
        **t_of(lambda x, channels: convolution(channels, dtype="bfloat16")(x))
    },
    "float32 is not JSON": {"terms": (*GAME, PixelLoss("l2", weight=np.float32(2)))},
    "4 features, and FeatureMatchingLoss 2 lambdas": {
        "terms": (*GAME, FeatureMatchingLoss(lambdas=(1.0, 1.0)))
    },
    "own is no network of a recipe": without_width,
    "own must take source_channels, target_channels, width": lambda: without_width(
        declarations.transformer()
    ),
    r"makes images of \(32, 32, 3\) of those of \(64, 64, 3\)": lambda: t_of(
        lambda x, channels: convolution(channels, strides=2)(x)
    ),
    r"makes images of \(64, 64, 1\) of .*\(64, 64, 3\) are to be made": lambda: t_of(
        lambda x, channels: convolution(1)(x)
    ),
    r"own must return \['features', 'logits'\], a dictionary": lambda: d_of(
        lambda seen: seen
    ),
    r"own must return \['features', 'logits'\]": lambda: d_of(
        lambda seen: {"logits": [seen]}
    ),
    r"of \['pooled'\]: images are": {
        "terms": (*GAME, PerceptualLoss(between=("target", "pooled")))
    },
    r"has a PixelLoss of weight=-5\.0": {"terms": (*GAME[:1], PixelLoss(weight=-5.0))},
    "has a PixelLoss of weight=inf": {"terms": (*GAME[:1], PixelLoss(weight=np.inf))},
    "has a PixelLoss of weight='3'": {"terms": (*GAME[:1], PixelLoss(weight="3"))},
    "has a AdversarialLoss of d_weight=nan": {
        "terms": (AdversarialLoss(d_weight=np.nan),)
    },
    r"has beta_1=1\.0": {"beta_1": 1.0},
    r"has pool_size=2\.5": {"pool_size": 2.5},
    "has no learning_rate": {"learning_rate": None},
    r"gives cyclegan_transformer \(None, 3\) by position": {
        "transformers": {
            "translate": functools.partial(
                functools.partial(networks.cyclegan_transformer, None, 3), padding="same"
            )
        }
    },
    "encodes what its discriminator sees": {
        **ALONE,
        "terms": (PixelLoss("l1"),),
        "is_encoded": True,
    },
    "has 'restor' in by_role": {"by_role": {"restor": {"batch_size": 3}}},
    "has 'batch' in by_role": {"by_role": {"translate": {"batch": 3}}},
    "takes images of 4 channels, and is shown such of 3": lambda: d_of(
        lambda seen: {"logits": [seen], "features": [seen]}, channels=4
    ),
}


@pytest.mark.parametrize(("sentence", "changes"), BAD.items(), ids=range(len(BAD)))
def test_it_is_named(sentence, changes, toy, monkeypatch):
    changes = changes if isinstance(changes, dict) else changes()
    row = dataclasses.replace(recipes.RECIPES["pan"], terms=GAME)
    monkeypatch.setitem(recipes.RECIPES, "pan", dataclasses.replace(row, **changes))
    config = toy(recipe="pan")
    with pytest.raises(ValueError, match=sentence):
        recipes.build(recipes.complete(config))


def test_a_d_sees_features_where_it_is_encoded(toy, monkeypatch, narrow_vgg):
    given = {"vgg_weights": str(narrow_vgg)}
    for name, is_encoded, sentence in (
        ("cyclegan", True, "patch_discriminator must take a list of VGG's features"),
        ("vgg_gan", False, "perceptual_discriminator must take one tensor"),
    ):
        row = dataclasses.replace(recipes.RECIPES[name], is_encoded=is_encoded)
        monkeypatch.setitem(recipes.RECIPES, name, row)
        config = toy(recipe=name, **(given if is_encoded else {}))
        with pytest.raises(ValueError, match=f"{sentence} as 'image'"):
            recipes.build(config)


def test_what_a_row_says_of_its_round_and_width_stays(toy, monkeypatch):
    row = dataclasses.replace(
        recipes.RECIPES["pan"],
        schedule=UpdateSchedule(1, 3, accumulate=4),
        discriminator=functools.partial(networks.pan_discriminator, width=0.5),
    )
    monkeypatch.setitem(recipes.RECIPES, "pan", row)
    asked = recipes.resolve(toy(recipe="pan", width=0.25))
    assert asked.schedule.accumulate == 4
    assert asked.transformer.arguments["width"] == 0.25
    assert asked.discriminator.arguments["width"] == 0.125
    assert recipes.resolve(toy(recipe="pan", accumulate=2)).schedule.accumulate == 2


@pytest.mark.parametrize(
    ("sentence", "given"),
    [
        ("`layer` must name one", {"layer": ()}),
        ("`between` must name two images", {"between": ("target",)}),
        ("`scale` must be positive", {"scale": 0.0}),
        ("one a layer", {"layer": ("block1_conv1",), "layer_weights": (1.0, 2.0)}),
    ],
)
def test_a_perceptual_loss_that_compares_nothing_is_refused(sentence, given):
    with pytest.raises(ValueError, match=sentence):
        PerceptualLoss(**given)


def test_layers_that_vgg_lacks_are_named():
    with pytest.raises(ValueError, match=r"vgg16 has no layer fc1\."):
        networks.vgg_features(("block1_conv1", "fc1"))
    with pytest.raises(ValueError, match="`preprocessing` must be one of: caffe, none"):
        networks.vgg_features("block1_conv1", "imagenet")


def test_weights_of_an_encoders_features_are_counted():
    encoder = types.SimpleNamespace(outputs=[None] * 5)
    term = PerceptualLoss(None, layer_weights=(1.0, 2.0))
    with pytest.raises(ValueError, match="one a layer"):
        term.with_vgg(lambda *given: encoder)


def test_what_compares_centres_needs_squares(toy):
    config = toy(
        recipe="context_encoder", transformer="pix2pix_transformer", image_size="256x512"
    )
    with pytest.raises(ValueError, match=r"CentreLoss, which needs square images"):
        recipes.resolve(config)


def test_a_name_must_do_for_keras():
    with pytest.raises(ValueError, match=r"RECIPES\['a/b'\] must be named by letters"):
        checks.check_row("a/b", recipes.RECIPES["pan"])


def test_what_can_be_written_down_is_read_again(toy, monkeypatch):
    builder = functools.partial(networks.cyclegan_transformer, num_blocks=1)
    row = dataclasses.replace(recipes.RECIPES["l1"], transformers={"translate": builder})
    monkeypatch.setitem(recipes.RECIPES, "l1", row)
    system = recipes.resolve(toy(recipe="l1"))
    checks.check_written(system)
    odd = dataclasses.replace(
        system.transformer, arguments={**system.transformer.arguments, "width": {1: 2}}
    )
    with pytest.raises(ValueError, match=r"RECIPES\['l1'\] is not the same once"):
        checks.check_written(dataclasses.replace(system, transformer=odd))


def own_term(**values):
    """A term with fields called as other terms' are, which mean something else."""

    @dataclasses.dataclass(frozen=True)
    class Own(LossTerm):
        region: str = "edges"
        lambdas: tuple = (1.0, 2.0)
        name: str = dataclasses.field(default="own", kw_only=True)

        def transformer_loss(self, translation):
            return 0.0

    return Own(**values)


def test_fields_of_a_terms_own_are_left_alone(toy, monkeypatch):
    row = dataclasses.replace(recipes.RECIPES["pan"], terms=(*GAME, own_term()))
    monkeypatch.setitem(recipes.RECIPES, "pan", row)
    model = recipes.build(recipes.complete(toy(recipe="pan")))
    (own,) = (term for term in model.terms if term.name == "own")
    assert (own.region, own.lambdas) == ("edges", (1.0, 2.0))


def test_a_flag_is_the_terms_that_takes_it_whatever_that_is_called(toy, monkeypatch):
    colour = PixelLoss("l2", weight=9.0, name="colour")
    row = dataclasses.replace(recipes.RECIPES["l1"], terms=(colour,))
    monkeypatch.setitem(recipes.RECIPES, "l1", row)
    (term,) = recipes.resolve(toy(recipe="l1", pixel_weight=5.0)).terms
    assert (term.name, term.kind, term.weight) == ("colour", "l2", 5.0)
    # One of that name which takes no such flag: two of one name are refused.
    row = dataclasses.replace(
        recipes.RECIPES["pan"], terms=(AdversarialLoss(), own_term(name="pixel"))
    )
    monkeypatch.setitem(recipes.RECIPES, "pan", row)
    with pytest.raises(ValueError, match="2 terms named 'pixel'"):
        recipes.build(recipes.complete(toy(recipe="pan", pixel_weight=5.0)))


def test_the_cost_is_known_of_networks_of_any_size(toy, monkeypatch, capsys):
    changes = t_of(lambda x, channels: convolution(channels)(x))
    row = dataclasses.replace(recipes.RECIPES["l1"], **changes)
    monkeypatch.setitem(recipes.RECIPES, "l1", row)
    config = recipes.complete(toy(recipe="l1"))
    dry_run.describe(config)
    assert "64 x 64 x 3" in capsys.readouterr().out
