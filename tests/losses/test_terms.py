import dataclasses
import json
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from pan_tf import losses
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.losses import TERMS
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import CentreLoss
from pan_tf.losses import CycleConsistencyLoss
from pan_tf.losses import DiscriminatorOutput
from pan_tf.losses import FeatureMatchingLoss
from pan_tf.losses import IdentityLoss
from pan_tf.losses import LossTerm
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.losses import PerceptualLoss
from pan_tf.losses import PixelLoss
from pan_tf.losses import Translation
from pan_tf.losses import check_names
from pan_tf.networks import declarations


def translation(real_logit, generated_logit, gap):
    """D's view of a pair whose only feature differs by `gap` everywhere."""
    image = tf.zeros((1, 4, 4, 3))

    def seen(logit, feature):
        return DiscriminatorOutput(
            [tf.constant([[logit]])], [tf.fill((1, 4, 4, 2), feature)]
        )

    views = {"target": seen(real_logit, 0.0), "output": seen(generated_logit, gap)}
    return Translation(image, image, image, d_outputs=views)


def test_perceptual_sides_are_equations_4_and_5():
    term = PerceptualAdversarialLoss(lambdas=(5.0,), margin=3.0)
    view = translation(0.0, 0.0, gap=0.5)
    assert float(term.loss("transformer", view)) == pytest.approx(2.5)
    assert float(term.loss("discriminator", view)) == pytest.approx(0.5)


@pytest.mark.parametrize(("gap", "active"), [(0.5, 1.0), (0.7, 0.0)])
def test_hinge_is_active_below_the_margin(gap, active):
    term = PerceptualAdversarialLoss(lambdas=(5.0,), margin=3.0)
    diagnostics = term.diagnostics(translation(0.0, 0.0, gap))
    assert float(diagnostics["d_hinge_active"]) == active


def test_weight_is_theta_on_both_sides():
    view = translation(0.3, -0.2, 0.0)
    for player in ("transformer", "discriminator"):
        one = float(AdversarialLoss().loss(player, view))
        assert float(AdversarialLoss(weight=2.5).loss(player, view)) == pytest.approx(
            2.5 * one
        )


def test_a_weight_of_ds_own_leaves_ts_alone():
    """Context-Encoders: T's share of the game is weighed, D's own loss is not."""
    view = translation(0.3, -0.2, 0.0)
    plain, weighed = AdversarialLoss(), AdversarialLoss(weight=0.001, d_weight=1.0)
    for player, weight in (("transformer", 0.001), ("discriminator", 1.0)):
        assert float(weighed.loss(player, view)) == pytest.approx(
            weight * float(plain.loss(player, view))
        )


def test_players_pull_the_generated_logit_apart():
    for kind in ("saturating", "non_saturating", "hinge"):
        term = AdversarialLoss(kind)
        low, high = translation(0.0, -1.0, 0.0), translation(0.0, 1.0, 0.0)
        assert term.transformer_loss(high) < term.transformer_loss(low)
        assert term.discriminator_loss(high) > term.discriminator_loss(low)


def test_probabilities_are_those_of_the_logits():
    diagnostics = AdversarialLoss().diagnostics(translation(0.0, -100.0, 0.0))
    assert float(diagnostics["d_real_probability"]) == 0.5
    assert np.isclose(float(diagnostics["d_generated_probability"]), 0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdversarialLoss("wgan"), "`kind` must be one of"),
        (lambda: AdversarialLoss(real_label=0.0), "`real_label` must be above 0"),
        (lambda: AdversarialLoss("hinge", 0.9), "`real_label` must be 1 for a hinge"),
        (lambda: FeatureMatchingLoss(()), "`lambdas` must be"),
        (
            lambda: PerceptualLoss(("block1_conv1",), layer_weights=(1.0, 2.0)),
            "`layer_weights` must be",
        ),
        (lambda: PerceptualAdversarialLoss(margin=0.0), "`margin` must be positive"),
        (lambda: PerceptualAdversarialLoss(lambdas=(-1.0,)), "`lambdas` must be"),
    ],
)
def test_illegal_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def images(target, output, size=64):
    """Flat images of two levels."""
    shape = (2, size, size, 3)
    return Translation(None, tf.fill(shape, target), tf.fill(shape, output))


@pytest.mark.parametrize(("kind", "expected"), [("l1", 0.5), ("l2", 0.25)])
def test_pixel_loss(kind, expected):
    loss = PixelLoss(kind, weight=100.0).loss("transformer", images(-0.25, 0.25))
    assert float(loss) == pytest.approx(100.0 * expected)
    assert not PixelLoss(kind).concerns("discriminator")
    with pytest.raises(ValueError, match="`region` must be one of: image, centre"):
        PixelLoss(kind, "center")


def test_pixel_loss_of_the_centre_is_not_thinned_out_by_the_rest():
    view = images(0.0, 0.0)
    output = np.zeros((2, 64, 64, 3), np.float32)
    output[:, 16:48, 16:48] = 0.5
    view.output = tf.constant(output)
    assert float(PixelLoss("l1", "centre").transformer_loss(view)) == pytest.approx(0.5)
    assert float(PixelLoss("l1").transformer_loss(view)) == pytest.approx(0.125)


def test_centre_loss_weighs_the_known_edge_tenfold():
    """128 px: 64 x 64 generated, of which 56 x 56 were missing."""
    term = CentreLoss()
    loss = float(term.transformer_loss(images(0.0, 0.5, size=128)))
    missing, edge = 56 * 56, 64 * 64 - 56 * 56
    assert loss == pytest.approx(0.25 * (missing + 10 * edge) / (64 * 64))


def test_centre_loss_sees_nothing_else():
    view = images(0.0, 0.0)
    output = np.ones((2, 64, 64, 3), np.float32)
    output[:, 16:48, 16:48] = 0.0
    view.output = tf.constant(output)
    assert float(CentreLoss().transformer_loss(view)) == 0.0


@pytest.mark.parametrize(("kind", "expected"), [("l1", 2.0), ("l2", 4.0)])
def test_perceptual_loss_is_of_features_in_units_of_its_scale(kind, expected):
    """A network that gives eight times the image, in units of four."""
    term = PerceptualLoss(
        kind=kind, scale=4.0, network=lambda image, training: 8.0 * image
    )
    assert float(term.transformer_loss(images(-0.5, 0.5))) == pytest.approx(expected)


@pytest.mark.parametrize("make", [PixelLoss, lambda kind: PerceptualLoss(kind=kind)])
def test_an_unknown_difference_is_refused(make):
    with pytest.raises(ValueError, match="`kind` must be one of: l1, l2"):
        make("l3")


def test_least_squares_are_halved_for_d_only():
    """((0.7 - 1)^2 + 0.2^2) / 2 and (0.2 - 1)^2; probabilities are D itself."""
    term = AdversarialLoss("least_squares")
    view = translation(0.7, 0.2, 0.0)
    assert float(term.discriminator_loss(view)) == pytest.approx(0.065)
    assert float(term.transformer_loss(view)) == pytest.approx(0.64)
    assert float(term.diagnostics(view)["d_real_probability"]) == pytest.approx(0.7)


def test_maps_of_logits_count_with_their_means():
    """Three heads of other sizes: the sum of what each alone would give."""
    term = AdversarialLoss("least_squares")
    logits = [tf.fill((1, size, size, 1), 0.1 * size) for size in (8, 4, 1)]
    view = translation(0.0, 0.0, 0.0)
    view.d_outputs["output"] = DiscriminatorOutput(logits, [])
    assert float(term.transformer_loss(view)) == pytest.approx(0.04 + 0.36 + 0.81)


def test_d_is_reminded_of_the_past_and_t_is_not():
    term = AdversarialLoss("least_squares", pooled=True)
    assert term.d_inputs("transformer") == ("output",)
    assert term.d_inputs("discriminator") == ("target", "pooled")
    view = translation(1.0, 1.0, 0.0)
    view.d_outputs["pooled"] = translation(0.0, 0.0, 0.0).d_outputs["output"]
    assert float(term.discriminator_loss(view)) == 0.0
    assert float(term.transformer_loss(view)) == 0.0


def test_equation_7_compares_means_over_the_batch():
    """Features 1 and 3 against 0 and 4: their means are equal, they are not."""

    def seen(one, other):
        feature = tf.constant([one, other], shape=(2, 1, 1, 1))
        return DiscriminatorOutput([], [tf.zeros((2, 1, 1, 1)), feature])

    view = translation(0.0, 0.0, 0.0)
    view.d_outputs = {"target": seen(1.0, 3.0), "output": seen(0.0, 4.0)}
    apart = PerceptualAdversarialLoss((0.0, 0.5), margin=0.1, paired=False)
    assert float(apart.loss("transformer", view)) == 0.0
    assert float(apart.loss("discriminator", view)) == pytest.approx(0.1)
    together = PerceptualAdversarialLoss((0.0, 0.5), margin=0.1)
    assert float(together.loss("transformer", view)) == pytest.approx(0.5)
    view.d_outputs["output"] = seen(0.0, 2.0)
    assert float(apart.loss("transformer", view)) == pytest.approx(0.5)


def test_cycle_and_identity_compare_with_the_source_and_the_target():
    image = tf.zeros((1, 4, 4, 3))
    view = Translation(image, image + 0.5, image, cycled=image + 0.2, identity=image)
    cycle = CycleConsistencyLoss(weight=10.0)
    assert float(cycle.loss("transformer", view)) == pytest.approx(2.0)
    assert float(IdentityLoss(weight=4.0).loss("transformer", view)) == pytest.approx(2.0)
    for term in (CycleConsistencyLoss(), IdentityLoss()):
        assert not term.concerns("discriminator")


@pytest.mark.parametrize(
    ("real", "generated", "d_loss", "t_loss"),
    [(0.5, -0.5, 1.0, 0.5), (2.0, -3.0, 0.0, 3.0), (-1.0, 1.5, 4.5, -1.5)],
)
def test_hinge_sides_by_hand(real, generated, d_loss, t_loss):
    """[1 - D(y)]^+ + [1 + D(T(x))]^+ and -D(T(x))."""
    view = translation(real, generated, 0.0)
    term = AdversarialLoss("hinge")
    assert float(term.discriminator_loss(view)) == pytest.approx(d_loss)
    assert float(term.transformer_loss(view)) == pytest.approx(t_loss)


def test_feature_matching_is_the_perceptual_distance_without_ds_side():
    view = translation(0.0, 0.0, gap=0.5)
    term = FeatureMatchingLoss((4.0,), weight=10.0)
    assert float(term.loss("transformer", view)) == pytest.approx(20.0)
    assert not term.concerns("discriminator")
    assert term.d_inputs("discriminator") == ()


def test_features_of_several_layers_are_weighed():
    """Twice the image and a third of it, 1 apart, by weights .5 and 3."""
    term = PerceptualLoss(
        ("block1_conv1", "block2_conv1"),
        kind="l1",
        layer_weights=(0.5, 3.0),
        network=lambda image, training: [2.0 * image, image / 3.0],
    )
    view = images(-0.5, 0.5)
    assert float(term.transformer_loss(view)) == pytest.approx(0.5 * 2 + 3 / 3)


def test_names_of_terms_must_be_unique():
    deep = PerceptualLoss("block4_conv1", name="deep")
    check_names([PerceptualLoss(), deep, AdversarialLoss()])
    with pytest.raises(
        ValueError, match=r"2 terms named 'perceptual'.*name='perceptual_2'"
    ):
        check_names([PerceptualLoss(), PerceptualLoss("block4_conv1")])


def test_every_kind_of_term_is_in_the_table_and_has_a_name():
    kinds = {
        kind
        for kind in vars(losses).values()
        if isinstance(kind, type) and issubclass(kind, LossTerm) and kind is not LossTerm
    }
    assert kinds <= {*TERMS.values()}  # Tests define some of their own.
    assert all(kind().name for kind in kinds)


def test_a_term_of_ones_own_is_known_once_it_is_defined():
    @dataclasses.dataclass(frozen=True)
    class RedLoss(LossTerm):
        """The difference of the red planes."""

        name: str = dataclasses.field(default="red", kw_only=True)

        def transformer_loss(self, t):
            return tf.reduce_mean(abs(t.target - t.output)[..., 0])

    row = dataclasses.replace(recipes.RECIPES["l1"], terms=(RedLoss(weight=3.0),))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(recipes.RECIPES, "l1", row)
        system = recipes.resolve(Config(dataset="maps", recipe="l1"))
    again = recipes.System.from_json(json.loads(json.dumps(system.to_json())))
    assert again == system and again.terms == (RedLoss(weight=3.0),)


def test_a_setting_that_there_is_not_is_named_where_a_part_takes_it():
    with pytest.raises(ValueError, match=r"GreenLoss\.settings must .*: redness\."):

        class GreenLoss(LossTerm):
            settings: ClassVar = {"redness": "weight"}

    with pytest.raises(ValueError, match=r"my_t: settings must be .*: redness\."):

        @declarations.transformer(settings={"redness": "width"})
        def my_t():
            pass

    assert "GreenLoss" not in TERMS and "my_t" not in declarations.TRANSFORMERS


def test_probabilities_under_a_hinge_are_sigmoids_as_its_scores_have_no_range():
    diagnostics = AdversarialLoss("hinge").diagnostics(translation(0.0, -2.0, 0.0))
    assert float(diagnostics["d_real_probability"]) == 0.5
    # 1 / (1 + e^2); clipped as those of least squares it would be 0.
    generated = float(diagnostics["d_generated_probability"])
    assert generated == pytest.approx(0.1192, abs=1e-4)


def test_the_probability_of_several_maps_is_the_mean_over_them():
    view = translation(0.0, 0.0, 0.0)
    maps = [tf.fill((1, size, size, 1), level) for size, level in ((4, 0.2), (1, 0.8))]
    view.d_outputs["target"] = DiscriminatorOutput(maps, [])
    view.d_outputs["output"] = DiscriminatorOutput(maps[:1] * 2, [])
    diagnostics = AdversarialLoss("least_squares").diagnostics(view)
    assert float(diagnostics["d_real_probability"]) == pytest.approx(0.5)
    assert float(diagnostics["d_generated_probability"]) == pytest.approx(0.2)


def test_pixel_loss_of_the_centre_takes_in_the_edge_that_t_generates():
    """64 px: 32 x 32 generated, of which 28 x 28 were missing."""
    view = images(0.0, 0.0)
    output = np.zeros((2, 64, 64, 3), np.float32)
    output[:, 16:48, 16:48] = 1.0
    output[:, 18:46, 18:46] = 0.0
    view.output = tf.constant(output)
    loss = float(PixelLoss("l1", "centre").transformer_loss(view))
    assert loss == pytest.approx(1 - 28**2 / 32**2)


def test_a_negative_weight_of_a_layer_is_refused():
    with pytest.raises(ValueError, match="numbers of at least 0, one a layer"):
        PerceptualLoss(("block1_conv1", "block2_conv1"), layer_weights=(1.0, -1.0))


@pytest.mark.parametrize(
    ("between", "needs_pairs", "made"),
    [
        (("target", "output"), True, set()),
        (("source", "output"), False, set()),
        (("target", "identity"), False, {"identity"}),
        (("source", "identity"), True, {"identity"}),
        (("source", "cycled"), False, {"cycled"}),
    ],
)
def test_perceptual_loss_needs_pairs_where_one_image_alone_is_of_the_target(
    between, needs_pairs, made
):
    term = PerceptualLoss(between=between)
    assert term.needs_pairs == needs_pairs
    assert {*term.images} == made


def test_perceptual_loss_asks_for_its_own_layers_and_preprocessing():
    asked = []
    term = PerceptualLoss("block3_conv1", preprocessing="unit")
    term = term.with_vgg(lambda *given: asked.append(given) or "network")
    assert asked == [("block3_conv1", "unit")] and term.network == "network"


def test_a_label_of_more_than_1_is_refused():
    with pytest.raises(ValueError, match="`real_label` must be above 0 and at most 1"):
        AdversarialLoss(real_label=1.1)


def test_least_squares_draw_d_to_the_smoothed_label():
    """((0.9 - 0.9)^2 + 0.2^2) / 2: D is content at the label, not at 1."""
    term = AdversarialLoss("least_squares", real_label=0.9)
    loss = float(term.discriminator_loss(translation(0.9, 0.2, 0.0)))
    assert loss == pytest.approx(0.02)


def test_the_configuration_of_a_term_is_without_its_network():
    term = PerceptualLoss(("block1_conv1",), layer_weights=(2.0,), network=len)
    config = term.get_config()
    assert "network" not in config
    # JSON gives lists back.
    again = PerceptualLoss.from_config(json.loads(json.dumps(config)))
    assert again == term and again.layer_weights == (2.0,)
