"""The margin that fits itself."""

import numpy as np
import pytest
import tensorflow as tf

from pan_tf.losses import DiscriminatorOutput
from pan_tf.losses import PerceptualAdversarialLoss
from pan_tf.losses import Translation
from pan_tf.losses.margin import BOUND
from pan_tf.losses.margin import MarginController


def apart(gap):
    """A translation whose P is `gap`, under a lambda of 1."""
    image = tf.zeros((1, 4, 4, 3))
    seen = {
        name: DiscriminatorOutput([tf.zeros((1, 1))], [tf.fill((1, 2, 2, 1), value)])
        for name, value in (("target", 0.0), ("output", gap))
    }
    return Translation(image, image, image, d_outputs=seen)


def follow(term, gap):
    """One update of D; whether the hinge was active."""
    numbers = term.diagnostics(apart(gap))
    term.follow(numbers)
    return float(numbers["d_hinge_active"])


@pytest.mark.parametrize("activity", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("scale", [0.7, 6.0])
def test_the_hinge_is_active_in_the_given_share_whatever_the_scale_of_p(activity, scale):
    term = PerceptualAdversarialLoss((1.0,), margin="auto", activity=activity)
    term, random = term.with_state(), np.random.default_rng(0)
    gaps = scale * np.exp(0.3 * random.standard_normal(1500))

    @tf.function
    def update(gap):
        numbers = term.diagnostics(apart(gap))
        term.follow(numbers)
        return numbers["d_hinge_active"]

    active = [float(update(tf.constant(gap, tf.float32))) for gap in gaps]
    assert np.mean(active[500:]) == pytest.approx(activity, abs=0.03)
    quantile = float(term.controller.margin)
    assert quantile == pytest.approx(np.quantile(gaps, activity), rel=0.15)


def test_it_begins_at_the_first_p_and_moves_by_a_fiftieth_of_the_error():
    term = PerceptualAdversarialLoss((1.0,), margin="auto", activity=0.25).with_state()
    assert float(term.discriminator_loss(apart(0.3))) == 0.0
    assert follow(term, 0.3) == 0.0  # Idle: a larger margin.
    assert float(term.controller.margin) == pytest.approx(0.3 * np.exp(0.005))
    assert follow(term, 0.0) == 1.0
    assert float(term.controller.margin) == pytest.approx(0.3 * np.exp(-0.01))


@pytest.mark.parametrize(("gap", "bound"), [(1e6, 0.4 * BOUND), (0.0, 0.4 / BOUND)])
def test_it_stays_within_its_bounds(gap, bound):
    term = PerceptualAdversarialLoss((1.0,), margin="auto").with_state()
    follow(term, 0.4)
    for _ in range(400):
        follow(term, gap)
    assert float(term.controller.margin) == pytest.approx(bound)


def test_the_loss_is_the_hinge_of_the_margin_of_the_moment():
    term = PerceptualAdversarialLoss((1.0,), margin="auto").with_state()
    term.controller.margin.assign(4.0)
    assert float(term.discriminator_loss(apart(0.5))) == pytest.approx(3.5)
    assert float(term.diagnostics(apart(0.5))["d_margin"]) == 4.0


def test_replicas_of_unlike_images_have_one_margin(two_replicas):
    """The mean of P decides, on both."""
    with two_replicas.scope():
        term = PerceptualAdversarialLoss((1.0,), margin="auto").with_state()

    @tf.function
    def update(both):
        two_replicas.run(lambda gap: term.follow(term.diagnostics(apart(gap))), (both,))

    for gaps in ((0.2, 0.4), (0.9, 0.1), (0.1, 0.2)):
        both = two_replicas.experimental_distribute_values_from_function(
            lambda context, gaps=gaps: tf.constant(gaps[context.replica_id_in_sync_group])
        )
        update(both)
    found = {}
    for name, variable in term.state().items():
        found[name], other = two_replicas.experimental_local_results(variable.value)
        assert float(found[name]) == float(other)
    # Begun at .3, then idle, idle, active, by half of a fiftieth each.
    expected = 0.3 * np.exp(0.01 * (1 + 1 - 1))
    assert float(found["margin"]) == pytest.approx(expected)


def test_a_fixed_margin_keeps_no_state_and_follows_nothing():
    term = PerceptualAdversarialLoss((1.0,), margin=2.0)
    assert term.with_state() is term and term.state() == {}
    assert "d_margin" not in term.diagnostics(apart(1.0))


def test_two_terms_do_not_share_a_margin():
    term = PerceptualAdversarialLoss((1.0,), margin="auto")
    one, other = term.with_state(), term.with_state()
    one.controller.margin.assign(5.0)
    assert float(other.controller.margin) == 0.0


@pytest.mark.parametrize("margin", [0.0, -1.0, "automatic", None])
def test_other_margins_are_refused(margin):
    with pytest.raises(ValueError, match=r"`margin` must be positive, or 'auto'"):
        PerceptualAdversarialLoss(margin=margin)


@pytest.mark.parametrize("activity", [0.0, 1.0])
def test_a_share_of_all_or_nothing_is_refused(activity):
    with pytest.raises(ValueError, match="`activity` must be between 0 and 1"):
        MarginController(activity)


def test_without_its_state_it_is_refused():
    with pytest.raises(ValueError, match="with_state"):
        PerceptualAdversarialLoss((1.0,), margin="auto").discriminator_loss(apart(1.0))
