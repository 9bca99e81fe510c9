import pytest

from pan_tf.schedules import LinearDecay


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 2.0), (100, 2.0), (150, 1.0), (200, 0.0), (300, 0.0)]
)
def test_constant_then_linear_to_zero(step, rate):
    assert float(LinearDecay(2.0, 100, 200)(step)) == pytest.approx(rate)
