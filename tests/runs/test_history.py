"""What a run logged, as notebooks show it."""

from pan_tf.runs.history import History


def test_what_a_foreign_run_holds_is_shown_not_obeyed():
    evil = "<img src=x onerror=alert(1)>"
    page = History([{"iteration": 1, evil: 0.5}, {"iteration": 2, "a": evil}])
    assert "<img" not in page._repr_html_()
    assert page._repr_html_().count("&lt;img src=x onerror=alert(1)&gt;") == 2
