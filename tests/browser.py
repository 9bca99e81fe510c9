"""A real browser, for tests of pages."""

import html
import json
import re
import shutil
import subprocess

import pytest

_PROGRAM = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)

needed = pytest.mark.skipif(
    _PROGRAM is None, reason="no chromium or google-chrome is installed"
)


def found(page, profile):
    """What a page's script says that it found, as JSON in `document.body.dataset.found`.

    Args:
        page: path of an HTML file.
        profile: folder for the browser's own files.
    """
    result = subprocess.run(
        [
            _PROGRAM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            "--window-size=1500,1000",
            "--virtual-time-budget=10000",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    said = re.search(r'data-found="([^"]*)"', result.stdout)
    assert said, result.stdout[-2000:] + result.stderr[-2000:]
    return json.loads(html.unescape(said[1]))
