import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pan_tf import config as config_lib
from pan_tf import networks
from pan_tf import recipes
from pan_tf.layers import Dropout
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import CentreLoss
from pan_tf.losses import CycleConsistencyLoss
from pan_tf.losses import FeatureMatchingLoss
from pan_tf.losses import IdentityLoss
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.losses import PerceptualLoss
from pan_tf.losses import PixelLoss
from pan_tf.losses import Translation
from pan_tf.recipes import system
from pan_tf.schedules import LinearDecay
from tests.networks.counting import parameters


def first_feature(recipe):
    """d_1 of an image of ones."""
    image = tf.ones((1, 64, 64, 3))
    return recipe.discriminator(64)({"source": image, "image": image})["features"][0]


def test_pan_is_the_reading_that_trains_stably(toy):
    """docs/stability.md."""
    recipe = recipes.resolve(toy())
    assert recipe.terms == (
        AdversarialLoss("non_saturating", real_label=0.9),
        PerceptualAdversarialLoss(lambdas=(5.0, 1.5, 1.5, 1.0), margin=2.0),
    )
    assert recipe.schedule == recipes.resolve(toy(recipe="pan_literal")).schedule
    assert (recipe.learning_rate, recipe.d_learning_rate) == (2e-4, 2e-5)
    assert recipe.ema == 0.995
    assert 0.9 < np.abs(first_feature(recipe)).max() < 1.0  # tanh, of a wide kernel.


def test_pan_literal_is_the_paper(toy):
    recipe = recipes.resolve(toy(recipe="pan_literal"))
    assert recipe.terms == (
        AdversarialLoss("saturating", real_label=1.0, weight=1.0),
        PerceptualAdversarialLoss(lambdas=(5.0, 1.5, 1.5, 1.0), margin=3.0),
    )
    schedule = recipe.schedule
    assert schedule.players == ("discriminator",) + ("transformer",) * 3
    assert schedule.minibatches == 4
    assert (recipe.learning_rate, recipe.beta_1) == (2e-4, 0.5)
    assert recipe.d_learning_rate == 2e-4 and recipe.ema == 0.0


def test_pan_official_is_the_released_script(toy):
    recipe = recipes.resolve(toy(recipe="pan_official"))
    assert recipe.terms[0] == AdversarialLoss("saturating", real_label=0.9)
    assert recipe.schedule.players == ("discriminator", "transformer")
    assert 0.9 < np.abs(first_feature(recipe)).max() < 1.0  # tanh, of a wide kernel.


def test_flags_replace_the_recipes_values(toy):
    recipe = recipes.resolve(
        toy(
            theta=0.5,
            lambdas=(0.0, 0.0, 0.0, 1.0),
            margin=2.0,
            adversarial="non_saturating",
            real_label=0.9,
            t_updates=2,
            reuse_minibatch=True,
            learning_rate=1e-3,
            d_learning_rate=1e-4,
            ema=0.0,
        )
    )
    assert recipe.terms == (
        AdversarialLoss("non_saturating", real_label=0.9, weight=0.5),
        PerceptualAdversarialLoss(lambdas=(0.0, 0.0, 0.0, 1.0), margin=2.0),
    )
    assert recipe.schedule.players == ("discriminator",) + ("transformer",) * 2
    assert recipe.schedule.minibatches == 1
    assert (recipe.learning_rate, recipe.d_learning_rate) == (1e-3, 1e-4)
    assert recipe.ema == 0.0


def test_adam_is_the_papers(toy):
    model = recipes.build(toy(recipe="pan_literal"))
    for optimizer in (model.t_optimizer, model.d_optimizer):
        config = optimizer.get_config()
        assert config["learning_rate"] == pytest.approx(2e-4)
        assert (config["beta_1"], config["beta_2"]) == (0.5, 0.999)
        assert config["epsilon"] == 1e-8


def test_decay_counts_each_players_own_steps(toy):
    model = recipes.build(toy(iterations=400, decay_start=200))
    t_schedule, d_schedule = (
        optimizer._learning_rate for optimizer in (model.t_optimizer, model.d_optimizer)
    )
    assert isinstance(t_schedule, LinearDecay)
    assert (t_schedule.decay_start, t_schedule.decay_end) == (150, 300)
    assert (d_schedule.decay_start, d_schedule.decay_end) == (50, 100)


def test_an_average_of_zero_is_none(toy):
    model = recipes.build(toy(ema=0.0))
    assert model.ema_transformer is model.transformer
    assert recipes.build(toy()).ema_transformer is not model.transformer


def test_the_discriminator_may_have_its_own_learning_rate(toy):
    model = recipes.build(toy(d_learning_rate=5e-5))
    assert float(model.t_optimizer.learning_rate) == pytest.approx(2e-4)
    assert float(model.d_optimizer.learning_rate) == pytest.approx(5e-5)


def test_table_iii_is_id_cgan_with_its_switches(toy):
    """One T, D of 48 channels, weights of 150, Adam at 2e-4, batch 7, a shared batch."""
    adversarial = AdversarialLoss("non_saturating")
    pixel = PixelLoss("l2", weight=150.0)
    as_coded = PerceptualLoss("block2_conv2", "l1", "none", weight=150.0)
    terms = {
        "l2": (pixel,),
        "cgan": (adversarial,),
        "l2_cgan": (adversarial, pixel),
        "id_cgan": (adversarial, pixel, as_coded),
    }
    for name, expected in terms.items():
        recipe = recipes.resolve(toy(recipe=name, batch_size=None, width=1.0))
        assert recipe.terms == expected
        assert (recipe.role, recipe.bn_statistics) == ("restore", "image")
        assert (recipe.batch_size, recipe.learning_rate) == (7, 2e-4)
        assert recipe.ema == 0.0
        assert recipe.schedule.minibatches == 1
        if name == "l2":
            assert recipe.discriminator is None and recipe.d_learning_rate is None
            assert recipe.schedule.players == ("transformer",)
        else:
            assert recipe.schedule.players == ("discriminator", "transformer")
            first = recipe.discriminator(64).get_layer("layer_1").kernel
            assert first.shape == (4, 4, 6, 48)


def test_id_cgan_fixed_feeds_vgg_what_it_was_trained_on(toy):
    *same, perceptual = recipes.resolve(toy(recipe="id_cgan_fixed")).terms
    assert same == list(recipes.resolve(toy(recipe="l2_cgan")).terms)
    assert (perceptual.preprocessing, perceptual.kind) == ("caffe", "l2")
    assert (perceptual.scale, perceptual.weight) == (127.5, 150.0)


def test_pix2pix_is_the_published_one(toy):
    recipe = recipes.resolve(toy(recipe="pix2pix", batch_size=None, width=1.0))
    assert recipe.terms == (
        AdversarialLoss("non_saturating"),
        PixelLoss("l1", weight=100.0),
    )
    assert (recipe.batch_size, recipe.bn_statistics) == (1, "image")
    assert recipe.schedule.players == ("discriminator", "transformer")
    assert recipe.schedule.minibatches == 1
    assert recipe.discriminator(64).get_layer("layer_1").kernel.shape == (4, 4, 6, 64)


def test_context_encoder_is_the_published_one(toy):
    recipe = recipes.resolve(
        toy(recipe="context_encoder", batch_size=None, synthesize="hole")
    )
    assert recipe.terms == (
        AdversarialLoss("non_saturating", weight=0.001, d_weight=1.0),
        CentreLoss(edge_weight=10.0, weight=0.999),
    )
    assert (recipe.learning_rate, recipe.d_learning_rate) == (2e-3, 2e-4)
    assert (recipe.batch_size, recipe.bn_statistics) == (64, "moving")


def test_pan_fast_is_pan_with_a_pixel_loss(toy):
    pan, fast = (recipes.resolve(toy(recipe=name)) for name in ("pan", "pan_fast"))
    assert fast.terms == (*pan.terms, PixelLoss("l1", weight=25.0))
    assert (fast.schedule, fast.ema) == (pan.schedule, pan.ema)


def test_pan_cgan_is_pan_with_a_discriminator_that_sees_the_source(toy):
    pan, both = (recipes.resolve(toy(recipe=name)) for name in ("pan", "pan_cgan"))
    assert (both.terms, both.schedule) == (pan.terms, pan.schedule)
    kernels = [r.discriminator(64).get_layer("layer_1").kernel.shape for r in (pan, both)]
    assert [shape[2] for shape in kernels] == [3, 6]


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (
            "translate",
            {"pan": "pan", "pan_official": "official_pan", "pix2pix": "pix2pix"},
        ),
        ("restore", {"pan": "deraining", "l2": "id_cgan", "pix2pix": "deraining"}),
        ("fill", {"pan": "context_encoder", "pan_official": "pan_inpainting"}),
    ],
)
def test_a_task_asks_for_a_role_and_the_recipe_says_which(toy, role, expected):
    for recipe, name in expected.items():
        depth = {"depth": 6} if name in ("official_pan", "pix2pix") else {}
        built = getattr(networks, f"{name}_transformer")(64, width=1 / 16, **depth)
        config = toy(recipe=recipe, transformer=role, synthesize="hole")
        resolved = recipes.resolve(config).transformer(64)
        assert [v.shape for v in resolved.variables] == [v.shape for v in built.variables]


def test_discriminators_of_inpainting_see_the_centre(toy):
    for recipe in ("pan", "pix2pix", "context_encoder"):
        config = toy(recipe=recipe, transformer="fill", synthesize="hole")
        discriminator = recipes.resolve(config).discriminator(64)
        assert any("cropping" in layer.name for layer in discriminator.layers)


def test_context_encoder_does_nothing_but_inpainting(toy):
    with pytest.raises(ValueError, match="--transformer must be one of: fill"):
        recipes.resolve(toy(recipe="context_encoder", transformer="translate"))


@pytest.mark.parametrize(
    ("recipe", "changes"),
    [
        ("l1", {"theta": 1.0}),
        ("l2", {"d_learning_rate": 1e-4}),
        ("l1", {"d_updates": 1}),
        ("pix2pix", {"lambdas": (1.0, 1.0, 1.0, 1.0)}),
        ("cgan", {"first_activation": "tanh"}),
    ],
)
def test_a_setting_without_a_meaning_is_refused(toy, recipe, changes):
    (name,) = changes
    with pytest.raises(ValueError, match=f"--recipe={recipe} has no use for --{name}"):
        recipes.resolve(toy(recipe=recipe, **changes))


def test_a_pixel_loss_is_weighed_anew_or_added(toy):
    terms = recipes.resolve(toy(recipe="pix2pix", pixel_weight=5.0)).terms
    assert terms[-1] == PixelLoss("l1", weight=5.0)
    pan = recipes.resolve(toy()).terms
    added = recipes.resolve(toy(pixel_weight=25.0)).terms
    assert added == (*pan, PixelLoss("l1", weight=25.0))


def test_what_the_recipe_decides_is_recorded(toy, vgg_weights):
    assert recipes.complete(toy(recipe="pix2pix", batch_size=None)).batch_size == 1
    assert recipes.complete(toy(recipe="pan", batch_size=None)).batch_size == 4
    config = toy(recipe="id_cgan", vgg_weights=str(vgg_weights))
    completed = recipes.complete(config)
    assert completed.replace(recipe_digest=None) == config
    assert completed.recipe_digest == system.digest(recipes.RECIPES["id_cgan"])


def test_weights_of_vgg_are_looked_for_before_anything_else(toy):
    with pytest.raises(networks.WeightsNotFoundError, match="nowhere"):
        recipes.complete(toy(recipe="id_cgan", vgg_weights="nowhere"))


def test_a_pixel_loss_of_inpainting_is_of_what_is_generated(toy):
    config = toy(recipe="pix2pix", transformer="fill", synthesize="hole")
    assert recipes.resolve(config).terms[-1] == PixelLoss("l1", "centre", weight=100.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"synthesize": "none"}, "it needs --synthesize=hole"),
        ({"image_size": 192}, "--image_size must be"),
        ({"batch_size": 1}, "--batch_size must be at least 2"),
    ],
)
def test_what_inpainting_needs(toy, changes, message):
    settings = {"synthesize": "hole", **changes}
    with pytest.raises(ValueError, match=message):
        recipes.resolve(toy(transformer="fill", **settings))


@pytest.mark.parametrize("recipe", ["l2", "pix2pix", "id_cgan"])
@pytest.mark.parametrize("role", ["translate", "restore", "fill"])
def test_two_images_have_two_translations(toy, recipe, role):
    """An image's own statistics leave nothing of a map of one position."""
    config = toy(recipe=recipe, transformer=role, synthesize="hole")
    transformer = recipes.resolve(config).transformer(64)
    for layer in transformer.layers:
        if isinstance(layer, Dropout):
            continue
        for variable in layer.variables:
            if variable.path.endswith(("kernel", "beta")):
                variable.assign(
                    variable
                    + 0.1
                    * tf.random.stateless_normal(variable.shape, (0, len(variable.shape)))
                )
    images = tf.random.stateless_uniform((2, 64, 64, 3), (0, 1), -1, 1)
    one, other = np.array(transformer(images))[:, 24:40, 24:40]
    assert np.abs(one - other).mean() > 1e-3


def test_cyclegan_is_the_pytorch_default(toy):
    recipe = recipes.resolve(toy(recipe="cyclegan", batch_size=None))
    assert recipe.terms == (
        AdversarialLoss("least_squares", pooled=True),
        CycleConsistencyLoss(weight=10.0),
        IdentityLoss(weight=5.0),
    )
    assert recipe.schedule.players == ("transformer", "discriminator")
    assert recipe.schedule.minibatches == recipe.batch_size == 1
    assert (recipe.learning_rate, recipe.beta_1, recipe.pool_size) == (2e-4, 0.5, 50)
    assert recipe.is_cycle and not recipe.paired


def test_cyclegan_pa_is_section_iv_e(toy):
    plain, pa = (
        recipes.resolve(toy(recipe=name, batch_size=None))
        for name in ("cyclegan", "cyclegan_pa")
    )
    *same, term = pa.terms
    assert tuple(same) == plain.terms and pa.batch_size == 4
    assert term == PerceptualAdversarialLoss((0, 0, 0.5, 0.5), margin=0.1, paired=False)
    features = pa.discriminator(256).output["features"]
    assert [f.shape[1:3] for f in features[2:]] == [(32, 32), (31, 31)]


@pytest.mark.parametrize(
    ("role", "weight", "maps", "blocks"), [("faces", 25, 3, 7), ("scenes", 10, 2, 9)]
)
def test_the_full_system_depends_on_the_role(toy, role, weight, maps, blocks):
    recipe = recipes.resolve(
        toy(recipe="vgg_ms_cyclegan", transformer=role, image_size=256, batch_size=None)
    )
    assert [t.weight for t in recipe.terms] == [1, weight, weight]
    assert len(recipe.discriminator(256).output["logits"]) == maps
    sums = [x for x in recipe.transformer().layers if isinstance(x, layers.Add)]
    assert len(sums) == blocks
    assert (recipe.batch_size, recipe.learning_rate, recipe.beta_1) == (16, 1e-4, 0.9)


def test_ablations_look_at_other_things(toy):
    def trainable(name):
        recipe = recipes.resolve(toy(recipe=name, image_size=256, width=1.0))
        return recipe.is_encoded, parameters(recipe.discriminator(256))

    assert trainable("vgg_ms_cyclegan") == (True, 9_357_699)
    assert trainable("ms_cyclegan") == (False, 3_814_083)
    is_encoded, size = trainable("rand_ms_cyclegan")
    assert not is_encoded and size > 9_357_699 + 10_000_000
    assert trainable("multiscale_cyclegan") == (False, 2 * 2_764_737)


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"recipe": "cyclegan", "pixel_weight": 1.0}, "--pixel_weight"),
        ({"recipe": "cyclegan", "vgg": "vgg16"}, "--vgg"),
        ({"recipe": "cyclegan", "bn_statistics": "image"}, "--bn_statistics"),
        ({"recipe": "dcgan", "cycle_weight": 1.0}, "--cycle_weight"),
        ({"recipe": "pan", "identity_weight": 1.0}, "--identity_weight"),
        ({"recipe": "cyclegan_pa", "first_activation": "tanh"}, "--first_activation"),
        ({"recipe": "multiscale_cyclegan", "discriminator_form": "released"}, "--discr"),
    ],
)
def test_settings_of_other_systems_are_refused(toy, settings, flag):
    with pytest.raises(ValueError, match=f"has no use for {flag}"):
        recipes.resolve(toy(**settings))


def test_sizes_that_t_or_d_cannot_take_are_refused(toy):
    with pytest.raises(ValueError, match="--image_size must be a multiple of 64"):
        recipes.resolve(toy(image_size=96))
    with pytest.raises(ValueError, match="--image_size must be a power of 2"):
        recipes.resolve(toy(recipe="vgg_ms_cyclegan", image_size=192))
    assert recipes.resolve(toy(recipe="cyclegan", image_size=96)).discriminator(96)


@pytest.mark.parametrize("name", sorted(networks.TRANSFORMERS))
def test_any_transformer_goes_with_a_recipe_that_can_take_it(toy, name):
    config = toy(recipe="l1", transformer=name, synthesize="hole")
    built = recipes.resolve(config).transformer(64)
    assert built.output_shape[-1] == 3


def test_a_named_transformer_takes_the_place_of_the_roles_own(toy):
    system = recipes.resolve(toy(recipe="pix2pix", transformer="cyclegan_transformer"))
    assert (system.role, system.bn_statistics) == ("translate", None)
    assert system.transformer.builder is networks.cyclegan_transformer
    assert system.discriminator.builder is networks.patch_discriminator
    back = recipes.resolve(toy(recipe="cyclegan", transformer="pan_transformer"))
    assert back.bn_statistics == "moving" and back.is_cycle


@pytest.mark.parametrize(
    "settings", [{"metrics": ("psnr",)}, {"synthesize": "rain"}, {"best_by": "vif"}]
)
def test_what_goes_with_pairs_is_refused_without(toy, settings):
    with pytest.raises(ValueError, match="--recipe=cyclegan has no pairs"):
        recipes.resolve(toy(recipe="cyclegan", **settings))


@pytest.mark.parametrize(
    ("recipe", "name", "message"),
    [
        ("cyclegan", "pan_inpainting_transformer", "it needs a recipe of pairs"),
        ("context_encoder", "pan_transformer", "which the D of .* cannot judge"),
        ("cyclegan", "restore", "must be one of: scenes, faces, .* or name a T"),
    ],
)
def test_a_transformer_that_a_recipe_cannot_take_is_refused(toy, recipe, name, message):
    settings = {"transformer": name, "synthesize": "hole"}
    with pytest.raises(ValueError, match=message):
        recipes.resolve(toy(recipe=recipe, **settings))


def test_names_of_roles_and_transformers_are_those_of_the_tables():
    assert set(config_lib.TRANSFORMER_NAMES) == set(networks.TRANSFORMERS)
    roles = {role for row in recipes.RECIPES.values() for role in row.transformers}
    assert set(config_lib.ROLES) == roles


def test_a_u_net_with_arguments_in_place_is_as_deep_as_the_image_allows(toy, monkeypatch):
    row = recipes.RECIPES["pix2pix"]
    narrow = functools.partial(row.transformer, width=0.5)
    row = dataclasses.replace(row, transformers={"translate": narrow})
    monkeypatch.setitem(recipes.RECIPES, "pix2pix", row)
    for size, depth in ((64, 6), (128, 7), (256, 8), (192, 6)):
        system = recipes.resolve(toy(recipe="pix2pix", image_size=size))
        assert system.transformer.arguments["depth"] == depth
    shallow = functools.partial(narrow, depth=3)
    row = dataclasses.replace(row, transformers={"translate": shallow})
    monkeypatch.setitem(recipes.RECIPES, "pix2pix", row)
    assert recipes.resolve(toy(recipe="pix2pix")).transformer.arguments["depth"] == 3


def test_sizes_are_those_of_the_networks_that_a_run_has(toy):
    assert recipes.resolve(toy(transformer="restore", image_size=96))
    with pytest.raises(ValueError, match="--image_size must be a multiple of 64"):
        recipes.resolve(
            toy(transformer="restore", recipe="l1", image_size=96).replace(
                transformer="pan_transformer"
            )
        )


def test_as_many_lambdas_are_needed_as_the_recipe_has(toy):
    with pytest.raises(ValueError, match="--lambdas must be 4 numbers, one a feature"):
        recipes.resolve(toy(lambdas=(1.0, 2.0)))


def test_pix2pixhd_has_the_papers_losses(toy):
    system = recipes.resolve(toy(recipe="pix2pixhd", batch_size=None, width=1.0))
    adversarial, matching = system.terms
    assert adversarial == AdversarialLoss("least_squares")
    assert matching == FeatureMatchingLoss((0.5,) * 8, weight=10.0)
    assert system.batch_size == system.schedule.minibatches == 1
    discriminator = system.discriminator(256)
    assert len(discriminator.output["logits"]) == 2
    assert len(discriminator.output["features"]) == len(matching.lambdas)
    for name in ("layer_1", "layer_scale_1_1"):
        assert discriminator.get_layer(name).kernel.shape == (4, 4, 6, 64)
    assert system.transformer.builder is networks.cyclegan_transformer


def test_a_discriminator_of_whole_images_cannot_judge_a_centre(toy):
    name = "context_encoder_transformer"
    config = toy(recipe="pix2pixhd", transformer=name, synthesize="hole")
    with pytest.raises(ValueError, match="generates the centre, which the D of"):
        recipes.resolve(config)


def test_l1_vgg_weighs_two_layers(toy, vgg_weights):
    """The perceptual loss is the weighted sum of its layers' differences."""
    config = toy(recipe="l1_vgg", vgg_weights=str(vgg_weights))
    model = recipes.build(config)
    _, term = model.terms
    images = [tf.random.stateless_uniform((1, 64, 64, 3), (i, 0), -1, 1) for i in (0, 1)]
    features = zip(*(term.network(image) for image in images), strict=True)
    differences = [np.abs(np.subtract(a, b)).mean() / 127.5 for a, b in features]
    found = term.transformer_loss(Translation(images[0], *images))
    expected = 0.5 * differences[0] + differences[1]
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_flag_chooses_the_adversarial_loss_of_both_sides(toy):
    for kind in ("least_squares", "hinge"):
        term, _ = recipes.resolve(toy(recipe="pix2pix", adversarial=kind)).terms
        assert term.kind == kind
    with pytest.raises(ValueError, match="must be 1 for a hinge"):
        recipes.resolve(toy(recipe="pan", adversarial="hinge"))
