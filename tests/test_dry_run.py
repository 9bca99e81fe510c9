import pytest

from pan_tf import dry_run
from pan_tf import networks
from pan_tf import recipes


@pytest.mark.parametrize(
    ("changes", "d_passes", "t_passes"),
    [
        ({}, 15, 10),
        ({"reuse_minibatch": True}, 13, 9),
        ({"d_updates": 2, "t_updates": 1}, 15, 5),
        ({"d_updates": 2, "t_updates": 1, "reuse_minibatch": True}, 15, 3),
    ],
)
def test_passes_of_a_cycle(toy, changes, d_passes, t_passes):
    """A pass forward counts once, one back once for images and once for weights."""
    recipe = recipes.resolve(toy(batch_size=10**6, **changes))
    t, d = recipe.transformer(64), recipe.discriminator(64)
    expected = d_passes * dry_run.multiply_accumulates(d)
    expected += t_passes * dry_run.multiply_accumulates(t)
    text = dry_run.cost(recipe, t, d, 64)
    assert f"about {expected / 1e3:,.0f} GMAC" in text


@pytest.mark.parametrize(
    "name", ["vgg_ms_cyclegan", "rand_ms_cyclegan", "cyclegan", "autoencoder", "l1"]
)
def test_every_kind_of_recipe_has_a_report(toy, capsys, name):
    dry_run.report(toy(recipe=name))
    out = capsys.readouterr().out
    assert "trainable parameters" in out and "A round: " in out
    assert ("And the same for the inverse." in out) == name.endswith("cyclegan")


def test_a_network_inside_a_network_is_counted():
    own = networks.perceptual_discriminator(64, sees="own_features", width=1 / 16)
    vgg = networks.vgg_encoder("vgg19", star=True, size=64)
    assert dry_run.multiply_accumulates(own) > dry_run.multiply_accumulates(vgg) > 1e9
