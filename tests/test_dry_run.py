import pytest

from pan_tf import dry_run
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
