"""The cycle: two directions, T before D, and outputs of the past."""

import numpy as np
import pytest

from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.models import MinibatchCache
from pan_tf.models.variation import variation
from tests.models.test_translation import minibatch
from tests.models.test_translation import moved
from tests.models.test_translation import weights
from tests.trained import shallow


@pytest.fixture(scope="module")
def model():
    config = Config(dataset="bluemarble", image_size=64, width=1 / 32, recipe="cyclegan")
    with shallow():
        return recipes.build(config)


@pytest.mark.parametrize(
    ("player", "networks"),
    [
        ("transformer", {"transformer", "inverse"}),
        ("discriminator", {"discriminator", "inverse_discriminator"}),
    ],
)
def test_an_update_moves_both_networks_of_its_player_only(model, player, networks):
    before = {name: weights(network) for name, network in model.networks.items()}
    model.update(player, MinibatchCache(minibatch()))
    for name, network in model.networks.items():
        changed = moved(before[name], weights(network))
        assert all(changed) if name in networks else not any(changed)


def test_directions_mirror_each_other(model):
    images = minibatch()
    forward, backward = model.translate(images)
    assert forward.source is backward.target is images["source"]
    there, back = model.transformer, model.inverse
    np.testing.assert_allclose(forward.output, there(images["source"], training=True))
    np.testing.assert_allclose(forward.identity, there(images["target"], training=True))
    np.testing.assert_allclose(
        forward.cycled, back(forward.output, training=True), atol=1e-6
    )
    np.testing.assert_allclose(
        backward.cycled, there(backward.output, training=True), atol=1e-6
    )


def test_losses_are_sums_over_both_directions(model):
    translations = model.discriminate("transformer", model.translate(minibatch()))
    both = model.losses_of("transformer", translations)
    for term in model.terms:
        alone = [float(term.loss("transformer", each)) for each in translations]
        assert float(both[f"t_{term.name}"]) == pytest.approx(sum(alone), rel=1e-5)


def test_d_judges_what_t_made_before_its_update(toy, monkeypatch):
    """As the authors' code: one forward pass of T serves both players."""
    model = recipes.build(toy(recipe="cyclegan", width=1 / 32, batch_size=1))
    made, judged = [], []
    translate, history = model.translate, model.image_pool
    monkeypatch.setattr(
        model, "translate", lambda images: made.append(translate(images)) or made[-1]
    )
    monkeypatch.setattr(model, "image_pool", lambda x: judged.append(x) or history(x))
    images = {k: v[:1, None] for k, v in minibatch().items()}
    model.train_step(images)
    (translations,) = made
    assert len(judged) == 1
    assert np.array_equal(judged[0], translations[0].output)


def test_images_that_no_term_names_are_not_made(toy):
    model = recipes.build(toy(recipe="dcgan", width=1 / 16))
    (translation,) = model.discriminate("discriminator", model.translate(minibatch()))
    assert translation.identity is translation.cycled is translation.pooled is None


@pytest.mark.parametrize("recipe", ["vgg_ms_cyclegan", "vgg_gan"])
def test_the_encoder_sees_every_image_once_a_step(toy, narrow_vgg, monkeypatch, recipe):
    """In a direction: T's output, for both players, and the real image."""
    model = recipes.build(
        toy(recipe=recipe, width=1 / 16, vgg="vgg16", vgg_weights=str(narrow_vgg))
    )
    seen, encoder = [], model.encoder
    monkeypatch.setattr(
        model, "encoder", lambda x, training: seen.append(x) or encoder(x)
    )
    model.train_step({name: image[:, None] for name, image in minibatch().items()})
    directions = len(model.discriminators())
    assert len(seen) == 2 * directions
    assert len({id(image) for image in seen}) == 2 * directions


def test_an_average_follows_either_t(toy):
    model = recipes.build(toy(recipe="cyclegan", width=1 / 32, ema=0.9))
    assert set(model.emas) == {"deployed", "deployed_inverse"}
    start = {name: weights(average) for name, (average, _) in model.emas.items()}
    model.train_step({name: image[:, None] for name, image in minibatch().items()})
    for name, network in (
        ("deployed", model.transformer),
        ("deployed_inverse", model.inverse),
    ):
        average, _ = model.emas[name]
        assert average is not network
        # After one cycle the decay is (1 + 1) / (10 + 1).
        for before, now, mean in zip(
            start[name], weights(network), weights(average), strict=True
        ):
            np.testing.assert_allclose(mean, (2 * before + 9 * now) / 11, atol=1e-6)


def test_the_worse_direction_is_watched(model):
    """A collapse of one direction must not hide behind the other."""
    images = minibatch()
    # A third of the contrast: one direction's ratio is a multiple of the other's.
    views = MinibatchCache({**images, "target": images["target"] / 3.0})
    logs = model.differentiate("transformer", views)
    one, other = (float(variation(t)["output_contrast"]) for t in views.translations)
    assert abs(one - other) > 0.2 * min(one, other)
    assert float(logs["output_contrast"]) == pytest.approx(min(one, other), rel=1e-6)


def test_what_is_watched_of_d_is_the_mean_of_both_directions(model):
    views = MinibatchCache(minibatch())
    logs = model.differentiate("discriminator", views)
    (term,) = (term for term in model.terms if term.concerns("discriminator"))
    for name in ("d_real_probability", "d_generated_probability"):
        each = [float(term.diagnostics(t)[name]) for t in views.translations]
        assert float(logs[name]) == pytest.approx(sum(each) / 2)


def test_a_checkpoint_holds_the_past_of_either_direction(model):
    parts = model.saved_parts()
    assert parts["memory"] is model.image_pool
    assert parts["inverse_memory"] is model.inverse_image_pool
    assert model.image_pool is not model.inverse_image_pool
