import sys

import pytest

from pan_tf import progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_short_jobs_show_nothing(clock, capsys):
    assert list(progress.followed(range(5), "reading")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().out == ""


def test_a_log_file_gets_a_line_now_and_then(clock, capsys):
    with progress.Progress(100, "reading") as steps:
        for _ in range(100):
            clock[0] += 1.0
            steps.advance()
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "reading [##..................] 10/100 | 1m30s left",
        "reading [########............] 40/100 | 1m00s left",
        "reading [##############......] 70/100 | 0m30s left",
        "reading [####################] 100/100 | 0m00s left",
    ]


def test_a_terminal_has_one_line_which_goes_away(clock, capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_live", lambda: True)
    with progress.Progress(3, "reading") as steps:
        for _ in range(3):
            clock[0] += 2.0
            steps.advance()
    out = capsys.readouterr().out
    assert "\n" not in out and "reading [######" in out
    assert out.rsplit("\r", 1)[1] == "" and out.rsplit("\r", 2)[1].isspace()


def test_a_shorter_line_leaves_nothing_of_a_longer_one(capsys, monkeypatch):
    monkeypatch.setattr(progress, "is_live", lambda: True)
    line = progress.Line()
    line.show("a long line")
    line.show("short")
    line.close()
    assert capsys.readouterr().out.endswith("\rshort      \rshort\rshort\n")


def test_a_notebook_is_live(monkeypatch):
    out = type("OutStream", (), {"__module__": "ipykernel.iostream"})()
    monkeypatch.setattr(sys, "stdout", out)
    assert progress.is_live()


def test_what_does_not_fit_is_left_out():
    assert progress.joined(["a" * 60, "b" * 60, "c" * 50], 120) == (
        "a" * 60 + " | " + "c" * 50
    )
    assert progress.joined(["a" * 130, "b"], 120) == "a" * 130
