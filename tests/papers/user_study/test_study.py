"""A study is blind, can be answered in a browser, and is scored as it was answered."""

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from pan_tf import cli
from pan_tf import files
from pan_tf import images
from pan_tf.image_files import ImageFileError
from pan_tf.papers.user_study import Study
from pan_tf.papers.user_study import score
from pan_tf.papers.user_study import write_study
from tests import browser
from tests import commands
from tests.conftest import smooth_noise


@pytest.fixture(scope="module")
def study():
    """Six sources; what a system makes of them tells which it is by its colour."""
    levels = {"alpha": 50, "beta": 100, "gamma": 150, "delta": 200}
    shape = (6, 8, 8, 3)
    outputs = {name: np.full(shape, v, np.uint8) for name, v in levels.items()}
    names = tuple(f"photo-{i}.png" for i in range(6))
    return Study(names, np.zeros(shape, np.uint8), outputs, "Which is best?")


@pytest.fixture
def written(study, tmp_path):
    write_study(study, tmp_path / "study")
    return tmp_path / "study"


def answer(written, subject, pick):
    """Writes the file of a subject that picks `pick(number of the question)`."""
    key = json.loads((written / "key.json").read_text())
    answers = []
    for number, (question, asked) in enumerate(key["questions"].items()):
        wanted = pick(number)
        if wanted is not None:
            (choice,) = [k for k, name in asked["options"].items() if name == wanted]
            answers.append({"question": question, "choice": choice})
    choices = {"study": key["study"], "subject": subject, "answers": answers}
    path = written / "choices" / f"{subject}.json"
    path.write_text(json.dumps(choices))
    return path


def test_the_page_knows_no_system(written, study):
    page = (written / "index.html").read_text()
    assert not any(name in page for name in (*study.outputs, *study.names))
    key = json.loads((written / "key.json").read_text())
    ids = re.findall(r'"id": "([0-9a-f]{12})"', page)
    options = [i for i in ids if i != key["study"]]
    assert len(options) == len(set(options)) == 6 * 4
    # Sorted by ids of chance: no system keeps a place.
    owner = {k: n for q in key["questions"].values() for k, n in q["options"].items()}
    order = [owner[i] for i in options]
    assert len({tuple(order[i : i + 4]) for i in range(0, 24, 4)}) > 1


def test_the_score_counts_picks(written):
    answer(written, "one", lambda i: "beta" if i < 4 else "delta")
    answer(written, "two", lambda i: "beta" if i < 2 else None)
    results = score(written)
    assert (results["subjects"], results["answers"]) == (2, 8)
    assert results["chance"] == 0.25
    shares = {name: row["share"] for name, row in results["systems"].items()}
    assert shares == {"beta": 0.75, "delta": 0.25, "alpha": 0.0, "gamma": 0.0}
    assert next(iter(results["systems"])) == "beta"
    assert results["leads"]["delta"]["mean"] == 0.5
    assert json.loads((written / "results.json").read_text()) == results


def test_the_interval_is_over_subjects(written):
    """Ten people who each always pick the same say less than sixty independent picks."""
    for i in range(10):
        answer(written, f"s{i}", lambda _, i=i: "alpha" if i < 5 else "beta")
    low, high = score(written)["systems"]["alpha"]["ci95"]
    # Of 10 coins: a standard deviation of .158; of 60: of .065.
    assert 0.15 < low < 0.25 and 0.75 < high < 0.85


def test_a_few_answers_do_not_say_who_is_ahead(written):
    """All for one by chance: other subjects drawn from them would never differ."""
    answer(written, "one", lambda i: "beta" if i < 1 else None)
    lead = next(iter(score(written)["leads"].values()))
    assert lead["mean"] == 1.0 and lead["ci95"] is None
    result = commands.finish("user_study", f"--score={written}")
    assert result.returncode == 0 and "surely" not in result.stdout
    assert "So few answers do not say who is ahead" in result.stdout


def test_a_damaged_key_is_named(written):
    answer(written, "one", lambda i: "beta")
    for text, message in (("{}", "it lacks questions, study"), ('{"a', "is damaged")):
        (written / "key.json").write_text(text)
        with pytest.raises(ValueError, match=rf"key\.json.*{message}"):
            score(written)


def test_nobody_counts_twice(written):
    path = answer(written, "one", lambda i: "beta")
    shutil.copy(path, path.with_name("again.json"))
    with pytest.raises(ValueError, match=r"one\.json: its subject, 'one', stands in"):
        score(written)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"study": "other"}, "is of another study, other"),
        ({"answers": [{"question": "q0", "choice": "x"}]}, "one of its options"),
        ({"answers": None}, "not a file of choices"),
    ],
)
def test_a_foreign_file_is_named(written, change, message):
    path = answer(written, "one", lambda i: "beta")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message) as error:
        score(written)
    assert "one.json" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"questions": [1]},
        {"questions": {"q0": None}},
        {"questions": {"q0": {"options": ["x"]}}},
        {"systems": ["beta"]},
        {"systems": None},
    ],
)
def test_a_key_of_other_things_is_damaged(written, change):
    answer(written, "one", lambda i: "beta")
    path = written / "key.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=r"key\.json is damaged"):
        score(written)


def test_choices_of_another_encoding_are_named_without_their_bytes(written):
    path = answer(written, "one", lambda i: "beta")
    path.write_text(path.read_text(), encoding="utf-16")
    with pytest.raises(ValueError, match="must be a text of UTF-8") as error:
        score(written)
    assert len(str(error.value)) < 300
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"one\.json is not a file of choices"):
        score(written)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"choices: it has no 'subject'\.$"):
        score(written)


@pytest.mark.parametrize(("name", "mark"), [("one.txt", ""), ("ONE.JSON", "\ufeff")])
def test_answers_count_whatever_their_file_is_called(written, name, mark):
    """The page's text, copied into an editor's file."""
    path = answer(written, "one", lambda i: "beta")
    path.with_name(name).write_text(mark + path.read_text(), encoding="utf-8")
    path.unlink()
    (path.parent / ".DS_Store").write_bytes(b"x")
    assert score(written)["subjects"] == 1


def test_subjects_of_any_script_have_files_of_their_own(written):
    page = (written / "index.html").read_text()
    assert r"/[^\p{L}\p{N}_-]+/gu" in page


def test_a_subject_is_a_text(written):
    path = answer(written, "one", lambda i: "beta")
    choices = json.loads(path.read_text()) | {"subject": ["one"]}
    path.write_text(json.dumps(choices))
    assert score(written)["subjects"] == 1


def test_without_choices_there_is_no_score(written, tmp_path):
    with pytest.raises(FileNotFoundError, match="No choices in"):
        score(written)
    with pytest.raises(FileNotFoundError, match="not a study"):
        score(tmp_path)


def test_a_study_is_not_overwritten(written, study):
    with pytest.raises(ValueError, match="holds files"):
        write_study(study, written)


def test_a_study_that_has_no_page_is_begun_again(study, tmp_path, monkeypatch):
    whole = files.write

    def full(path, text):
        if path.name == "index.html":
            raise OSError(28, "No space left on device")
        whole(path, text)

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(OSError, match="No space left"):
        write_study(study, tmp_path / "study")
    monkeypatch.undo()
    # As a kill in the middle of a file leaves it.
    (tmp_path / "study" / f"{files._PARTIAL}7-index.html").write_text("<")
    write_study(study, tmp_path / "study")
    key = json.loads((tmp_path / "study" / "key.json").read_text())
    assert key["study"] in (tmp_path / "study" / "index.html").read_text()
    (tmp_path / "study" / "index.html").unlink()
    (tmp_path / "study" / "choices" / "a.json").write_text("{}")
    with pytest.raises(ValueError, match="holds files"):
        write_study(study, tmp_path / "study")


def test_no_two_studies_are_taken_for_each_other(study, written, tmp_path):
    write_study(study, tmp_path / "again")
    path = answer(written, "one", lambda i: "beta")
    shutil.copy(path, tmp_path / "again" / "choices")
    with pytest.raises(ValueError, match="is of another study"):
        score(tmp_path / "again")


def test_one_system_cannot_be_compared(study):
    with pytest.raises(ValueError, match=r"compares 2 to 8 systems\. Received: alpha"):
        Study(study.names, study.sources, {"alpha": study.sources}, "?")


def test_runs_and_foreign_outputs_are_shown_together(small_run, small_pairs, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for i in range(4):
        pixels = np.full((32, 32, 3), 10 * i, np.uint8)
        Image.fromarray(pixels).save(foreign / f"test-{i}.jpg", quality=95)
    made = Study.of_runs([small_run], folders={"other": foreign}, questions=3)
    assert set(made.outputs) == {"other", "small"} and len(made.names) == 3
    with pytest.raises(
        ValueError, match=r"System names must be unique\. Received: small, sm"
    ):
        Study.of_runs([small_run], folders={"small": foreign})
    number = int(made.names[0].removeprefix("test-").partition(".")[0])
    assert abs(int(made.outputs["other"][0, 5, 5, 0]) - 10 * number) <= 2
    assert made.outputs["small"].shape == made.sources.shape == (3, 64, 64, 3)
    twin = foreign / f"test-{number}.png"
    twin.write_bytes((foreign / f"test-{number}.jpg").read_bytes())
    with pytest.raises(ValueError, match=rf"test-{number}\.png are of one source"):
        Study.of_runs([small_run], folders={"other": foreign}, questions=3)
    twin.unlink()
    (foreign / f"test-{number}.jpg").write_bytes(b"x")
    with pytest.raises(ImageFileError, match=rf"test-{number}\.jpg is not an image"):
        Study.of_runs([small_run], folders={"other": foreign}, questions=3)
    (foreign / f"test-{number}.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=f"No image of test-{number} in"):
        Study.of_runs([small_run], folders={"other": foreign}, questions=3)


def test_sources_that_are_made_of_targets_are_shown_too(tmp_path):
    random = np.random.default_rng(0)
    for folder, count in (("photos/test", 3), ("dark", 3), ("light", 3)):
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            pixels = smooth_noise(random, 64, 64)
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    where = {"dataset": "photos", "data_dir": tmp_path / "photos", "image_size": 64}
    folders = {name: tmp_path / name for name in ("dark", "light")}
    made = Study.of_runs(folders=folders, synthesize="hole", **where)
    assert made.names == ("0", "1", "2")
    hole = np.broadcast_to(images.central_mask(64), made.sources[0].shape)
    for i, source in enumerate(made.sources):
        whole = np.asarray(Image.open(tmp_path / f"photos/test/{i}.png"))
        np.testing.assert_array_equal(source[~hole], whole[~hole])
        assert (source[hole] != whole[hole]).mean() > 0.9
    with pytest.raises(ValueError, match="--dfi knows no sources that are made"):
        Study.of_runs(folders=folders, synthesize="hole", interpolation=1, **where)


def test_lists_of_a_test_split_alone_are_shown(tmp_path):
    random = np.random.default_rng(0)
    for folder, names in (("testA", "abc"), ("testB", "de"), ("x", "abc"), ("y", "abc")):
        (tmp_path / folder).mkdir()
        for name in names:
            pixels = smooth_noise(random, 64, 64)
            Image.fromarray(pixels).save(tmp_path / folder / f"{name}.png")
    folders = {name: tmp_path / name for name in "xy"}
    where = {"dataset": "folder", "data_dir": tmp_path, "image_size": 64}
    assert Study.of_runs(folders=folders, **where).names == ("a", "b", "c")
    with pytest.raises(ValueError, match="--dfi compares images to train on"):
        Study.of_runs(folders=folders, interpolation=1, **where)


# Answers as a person would: types a name, takes one answer back, and always picks the
# image that looks as beta's do. What the page would save goes into an attribute.
ANSWERS = """<script>addEventListener("load", () => {
  const options = study.questions.flatMap(question => question.options);
  const wanted = options.find(option => option.id == "%s").image;
  document.getElementById("start").click();  // Without a name: nothing happens.
  const began = !document.getElementById("asking").hidden;
  document.getElementById("subject").value = "Ada L.";
  document.getElementById("start").click();
  document.querySelector("#around button").click();
  document.getElementById("back").click();
  const places = new Set();
  while (document.getElementById("end").hidden) {
    const buttons = [...document.querySelectorAll("#around button")];
    const place = buttons.findIndex(button => button.firstChild.src == wanted);
    places.add(place);
    document.dispatchEvent(new KeyboardEvent("keydown", { key: String(place + 1) }));
  }
  let name = null, blob = null;
  URL.createObjectURL = given => { blob = given; return "#"; };
  HTMLAnchorElement.prototype.click = function () { name = this.download; };
  document.getElementById("save").click();
  document.body.dataset.found = JSON.stringify({
    began, places: places.size, name, size: blob.size,
    shown: document.getElementById("text").value,
    wide: document.documentElement.scrollWidth > innerWidth });
});</script>"""


@browser.needed
def test_a_browser_can_answer_it(written, tmp_path):
    page = (written / "index.html").read_text()
    options = json.loads((written / "key.json").read_text())["questions"]["q0"]["options"]
    (wanted,) = [own for own, name in options.items() if name == "beta"]
    answers = ANSWERS % wanted
    (tmp_path / "page.html").write_text(page.replace("</body>", answers + "</body>"))
    found = browser.found(tmp_path / "page.html", tmp_path / "profile")
    assert not found["began"] and not found["wide"]
    assert found["name"] == "choices-Ada_L_.json"
    assert found["size"] == len(found["shown"])
    assert found["places"] > 1  # The order is shuffled.
    (written / "choices" / found["name"]).write_text(found["shown"])
    results = score(written)
    assert results["answers"] == 6 and results["systems"]["beta"]["share"] == 1.0


def test_ahead_is_sure_where_its_interval_is_above_0(written, capsys):
    for i in range(10):
        answer(written, f"s{i}", lambda n, i=i: "alpha" if (n + i) % 2 else "beta")
    assert not cli.run("user_study", [f"--score={written}"])
    said = capsys.readouterr().out
    assert "alpha is not surely ahead of beta" in said
    assert "alpha is surely ahead of gamma" in said


def test_a_lead_has_an_interval_of_its_own_over_answers_too(written):
    for i in range(10):  # Each picks beta twice of six times.
        answer(written, f"s{i}", lambda n, i=i: "alpha" if (n + i) % 3 else "beta")
    lead = score(written)["leads"]["beta"]
    assert lead["mean"] == pytest.approx(1 / 3)
    assert lead["ci95"][0] < 0.25 and 0.4 < lead["ci95"][1] < 0.65


def test_a_question_is_answered_once(written):
    path = answer(written, "one", lambda i: "beta")
    choices = json.loads(path.read_text())
    choices["answers"] *= 2
    path.write_text(json.dumps(choices))
    with pytest.raises(ValueError, match=r"one\.json: each question once"):
        score(written)


def test_who_answers_nothing_is_no_subject(written):
    answer(written, "none", lambda i: None)
    answer(written, "one", lambda i: "beta")
    assert score(written)["subjects"] == 1
