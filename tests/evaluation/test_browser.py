"""Reports in a real browser.

Nothing overflows, no picture is blurred or missing, and no name is obeyed.
"""

import itertools
import shutil

import pytest

from pan_tf import doctor
from pan_tf.evaluation import Evaluation
from tests import browser

pytestmark = browser.needed

# Names of a run and of files, which a page must show, not obey.
EVIL = (
    "<img src=x onerror=document.body.dataset.obeyed=1>",
    "'\"><svg onload=document.body.dataset.obeyed=1>",
)
# Run in the page; what it finds goes into an attribute that --dump-dom prints.
LOOK = """<script>addEventListener("load", () => {
  const boxes = [...document.querySelectorAll(".images img")];
  const beyond = [...document.querySelectorAll("body *")].filter(
    e => !e.closest(".scroll, pre, svg") &&
      e.getBoundingClientRect().right > innerWidth + 1);
  document.body.dataset.found = JSON.stringify({
    width: innerWidth, page: document.documentElement.scrollWidth,
    beyond: beyond.map(e => e.outerHTML.slice(0, 80)),
    missing: boxes.filter(b => !b.naturalWidth).length, pictures: boxes.length,
    uneven: boxes.filter(b => b.clientWidth % b.naturalWidth).length,
    obeyed: document.body.dataset.obeyed,
    evil: document.body.innerText.split("dataset.obeyed=1>").length - 1,
    smoothed: boxes.filter(b => getComputedStyle(b).imageRendering != "pixelated").length,
  });
  parent.postMessage(document.body.dataset.found, "*");
});</script>"""
FRAME = """<body><script>addEventListener("message", e => {
  document.body.dataset.found = e.data;
});</script>
<iframe src="page.html" style="width: %dpx; height: 900px; border: 0"></iframe>"""


@pytest.fixture(scope="module")
def pages(small_run, small_pairs, tmp_path_factory):
    """Folders with a report, a comparison and a contact sheet, the script added."""
    root = tmp_path_factory.mktemp("pages")
    other = root / f"a_run_with_a_rather_long_name_of_its_own{EVIL[0]}"
    shutil.copytree(small_run, other)
    shutil.copytree(small_pairs, root / "pairs")
    for name in ("train-0.png", "train-1.png"):  # Each stands in test/ as well.
        shutil.copy(root / "pairs" / "train" / name, root / "pairs" / "test" / name)
    for split in ("train", "test"):  # Copies across splits: the doctor names them.
        for name in EVIL:
            folder = root / "pairs" / split
            shutil.copy(root / "pairs" / "test" / "train-1.png", folder / f"{name}.png")
    items, _ = doctor.of_folder(root / "pairs")
    looked = doctor.examine(items)
    doctor.write(root / "doctor", "pairs", items, *looked)
    for name, runs in (("one", [small_run]), ("two", [small_run, other])):
        Evaluation(runs, output_dir=root / name, data_dir=root / "pairs").run()
    for name in ("one", "two", "doctor"):
        page = (root / name / "index.html").read_text()
        (root / name / "page.html").write_text(page.replace("</body>", LOOK + "</body>"))
    return root


def test_pages_fit_the_window_with_sharp_pictures(pages, tmp_path):
    """One test of all, since a worker of its own would make the pages anew."""
    for name, width in itertools.product(("one", "two", "doctor"), (1400, 390)):
        frame = pages / name / f"frame-{width}.html"
        frame.write_text(FRAME % width)
        found = browser.found(frame, tmp_path)
        assert found["width"] == width and found["page"] <= width, name
        assert found["beyond"] == [], (name, width)
        assert found["pictures"] > 0, name
        assert found["evil"] >= len(EVIL) and found.get("obeyed") is None, name
        assert found["missing"] == found["uneven"] == found["smoothed"] == 0, name
