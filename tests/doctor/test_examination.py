"""A folder of real pairs, with everything in it that goes wrong."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from pan_tf import cli
from pan_tf import data
from pan_tf import doctor
from pan_tf.config import Config
from pan_tf.data.layouts import bluemarble
from pan_tf.doctor import examination
from pan_tf.doctor import report
from tests.commands import refused


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """trainA, trainB: 24 pairs of 128 px; testA, testB: 6."""
    root = tmp_path_factory.mktemp("clean")
    tiles = bluemarble.cut("train", 128)
    for split, places in (("train", range(0, 240, 10)), ("test", range(405, 465, 10))):
        for side, pixels in (("A", tiles.source), ("B", tiles.target)):
            (root / f"{split}{side}").mkdir()
            for i in places:
                Image.fromarray(pixels[i]).save(root / f"{split}{side}" / f"{i:03d}.png")
    return root


@pytest.fixture
def broken(clean, tmp_path):
    shutil.copytree(clean, tmp_path / "pairs")
    return tmp_path / "pairs"


@pytest.fixture
def without_alignment(monkeypatch):
    """Leaves out what takes long and is tested elsewhere."""
    monkeypatch.setattr(examination.alignment, "LEAST_PAIRS", 1000)


@pytest.fixture
def known_shifts(monkeypatch):
    """Every pair is looked at, and found aligned: what is learnt is tested elsewhere."""

    class Aligned:
        common_shift = 0.0, 0.0

        def __init__(self, pairs, seed=0):
            both = [pairs[i] for i in range(len(pairs))]
            assert all(a.shape == b.shape for a, b in both)

        def estimate(self, a, b):
            return examination.alignment.Estimate((8.0, -1.0), 0.0, 30.0, False)

    monkeypatch.setattr(examination.alignment, "Aligner", Aligned)


def look(root, **kwargs):
    items, unpaired = doctor.of_folder(root)
    return doctor.examine(items, unpaired, **kwargs)


def found(record):
    return {
        check: [pair["pair"] for pair in result["pairs"]]
        for check, result in record["checks"].items()
        if result["count"]
    }


def test_a_sound_folder_passes(clean, tmp_path):
    record, findings, estimates = look(clean)
    assert record["passed"] and record["failed"] == [] and findings == []
    assert record["pairs"] == {"train": 24, "test": 6} and len(estimates) == 30
    assert np.hypot(*record["checks"]["misaligned"]["common_shift"]) < 1
    items, _ = doctor.of_folder(clean)
    doctor.write(tmp_path, "clean", items, record, findings, estimates)
    assert json.loads((tmp_path / "doctor.json").read_text()) == record
    with open(tmp_path / "pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 30 and float(rows[0]["peak"]) > 0
    assert "clean: passes" in (tmp_path / "index.html").read_text()


def save(path, pixels, **kwargs):
    Image.fromarray(pixels).save(path, **kwargs)


def test_everything_broken_is_found_and_named(broken, without_alignment, tmp_path):
    a, b = broken / "trainA", broken / "trainB"
    cut = (a / "000.png").read_bytes()
    (a / "000.png").write_bytes(cut[: len(cut) // 2])
    (b / "010.png").write_bytes(b"")
    save(b / "020.png", np.asarray(Image.open(b / "020.png"))[:-2])
    save(b / "030.png", np.full((128, 128, 3), 90, np.uint8))
    shutil.copy(a / "050.png", a / "041.png")
    shutil.copy(b / "050.png", b / "041.png")
    for side in "AB":
        shutil.copy(
            broken / f"test{side}" / "425.png", broken / f"train{side}" / "060.png"
        )
    (a / "070.png").rename(tmp_path / "swap.png")
    (b / "070.png").rename(a / "070.png")
    (tmp_path / "swap.png").rename(b / "070.png")
    (b / "080.png").unlink()
    Image.open(a / "090.png").convert("L").save(a / "090.png")
    Image.open(a / "100.png").convert("RGBA").save(a / "100.png")
    deep = np.asarray(Image.open(a / "110.png").convert("L")).astype(np.uint16) * 257
    Image.fromarray(deep).save(a / "110.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    image = Image.open(a / "120.png")
    (a / "120.png").unlink()
    image.save(a / "120.jpg", exif=turned, quality=95)
    for side in (a, b):
        save(side / "130.png", np.asarray(Image.open(side / "130.png"))[:, :90])
        save(side / "140.png", np.asarray(Image.open(side / "140.png"))[:48, :48])

    record, findings, _ = look(broken)
    everything = found(record)
    assert everything == {
        "unreadable": ["train/000", "train/010", "train/020"],
        "unpaired": ["train/080.png"],
        "constant": ["train/030"],
        "leakage": ["train/060"],
        "swapped": ["train/070"],
        "duplicate": ["train/050"],
        "shape": ["train/130"],
        "small": ["train/140"],
        "depth": ["train/110"],
        "channels": ["train/100", "train/090", "train/100", "train/110"],
        "orientation": ["train/120"],
    }
    assert not record["passed"]
    assert record["failed"] == [
        "unreadable",
        "unpaired",
        "constant",
        "leakage",
        "swapped",
    ]
    messages = {(f.check, f.name): f.message for f in findings}
    assert "000.png cannot be read" in messages["unreadable", "000"]
    assert "is empty" in messages["unreadable", "010"]
    assert "128 x 128 px, but" in messages["unreadable", "020"]
    assert messages["leakage", "060"] == "the same as test/425"
    items, _ = doctor.of_folder(broken)
    doctor.write(tmp_path / "out", "broken", items, record, findings, {})
    page = (tmp_path / "out" / "index.html").read_text()
    assert "does not pass" in page and "not checked: fewer than" in page


def test_a_pair_that_goes_while_it_looks_is_named(broken, known_shifts, monkeypatch):
    estimate = examination.alignment.Aligner.estimate

    def and_lose_one(*arguments):
        (broken / "trainA" / "100.png").unlink(missing_ok=True)
        return estimate(*arguments)

    monkeypatch.setattr(examination.alignment.Aligner, "estimate", and_lose_one)
    monkeypatch.setattr(examination.os, "cpu_count", lambda: 1)
    sentence = refused("doctor", f"--data_dir={broken}", f"--output_dir={broken / 'out'}")
    assert "100.png" in sentence and "what changes these files?" in sentence


def test_shifted_pairs_beyond_the_tolerance_fail(broken):
    for name in ("010", "120"):
        for side, part in (("A", np.s_[8:, :]), ("B", np.s_[:-8, :])):
            file = broken / f"train{side}" / f"{name}.png"
            save(file, np.asarray(Image.open(file))[part])
    record, _, _ = look(broken)
    pairs = record["checks"]["misaligned"]["pairs"]
    assert {pair["pair"] for pair in pairs} == {"train/010", "train/120"}
    for pair in pairs:
        assert abs(pair["shift"][0] - 8) < 1.5 and abs(pair["shift"][1]) < 1.5
    assert record["failed"] == ["misaligned"]


def test_a_share_of_misaligned_pairs_may_be_allowed(clean):
    estimates = {
        ("train", str(i)): examination.alignment.Estimate(
            (8.0, 0.0), 20.0 + i, 30.0, True
        )
        for i in range(2)
    }
    findings = examination._misaligned(estimates)
    assert [finding.name for finding in findings] == ["1", "0"]  # Surest first.
    items, _ = doctor.of_folder(clean)
    for allowed, passed in ((0.03, False), (0.07, True)):
        record = examination._record(items, findings, {}, (0.0, 0.0), 30, allowed)
        assert record["passed"] == passed
    # One may be a false alarm, unless none is allowed.
    for allowed, passed in ((0.0, False), (0.001, True)):
        record = examination._record(items, findings[:1], {}, (0.0, 0.0), 30, allowed)
        assert record["passed"] == passed


def test_sides_that_say_nothing_of_each_other_have_no_shift(tmp_path):
    random = np.random.default_rng(0)
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        for i in range(24):
            blocks = Image.fromarray(random.integers(0, 256, (13, 13, 3), np.uint8))
            image = blocks.resize((96, 96), Image.Resampling.BICUBIC)
            image.save(tmp_path / f"train{side}" / f"{i:02d}.png")
    record, findings, _ = look(tmp_path)
    assert not findings and record["passed"]
    for check in ("offset", "misaligned"):
        assert "say too little of each other" in record["checks"][check]["not_checked"]


def test_splits_may_lie_otherwise(clean, tmp_path, without_alignment):
    (tmp_path / "train").mkdir()
    for i in range(12):
        pair = [Image.open(clean / f"train{s}" / f"{i * 10:03d}.png") for s in "AB"]
        both = np.concatenate([np.asarray(image) for image in pair], axis=1)
        image = Image.fromarray(both)
        (image.convert("L") if i == 5 else image).save(tmp_path / "train" / f"{i}.png")
    for side in "AB":
        shutil.copytree(clean / f"test{side}", tmp_path / f"val{side}")
    assert found(look(tmp_path)[0]) == {"channels": ["train/5"]}


def test_a_file_that_goes_before_the_page_is_made_costs_its_picture(
    broken, without_alignment, tmp_path
):
    items, unpaired = doctor.of_folder(broken)
    record, findings, estimates = doctor.examine(items, unpaired)
    for place in (broken / "trainA").iterdir():
        place.unlink()
    out = tmp_path / "out"
    examination.write(out, "gone", items, record, findings, estimates)
    assert json.loads((out / "doctor.json").read_text()) == record
    assert "train/000" in (out / "pairs.csv").read_text().replace(",", "/")


def test_a_shift_of_the_whole_set_fails():
    findings = examination._offset((0.5, -3.0))
    assert findings[0].message.startswith("B lies 0.5 px lower and 3.0 px to the left")
    assert examination._offset((0.8, -1.1)) == []


def test_side_by_side_pairs_of_odd_width_are_named(tmp_path):
    (tmp_path / "train").mkdir()
    save(tmp_path / "train" / "odd.png", np.zeros((64, 129, 3), np.uint8))
    record, _, _ = look(tmp_path)
    assert (
        "129 px wide, not two halves"
        in record["checks"]["unreadable"]["pairs"][0]["message"]
    )


def test_no_training_split_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="No train/"):
        doctor.of_folder(tmp_path)
    (tmp_path / ".shards-begun").touch()  # A killed command's.
    with pytest.raises(FileNotFoundError, match="the same prepare_data --shards goes on"):
        doctor.of_folder(tmp_path)
    config = Config(dataset="folder", data_dir=str(tmp_path))
    with pytest.raises(data.DatasetNotFoundError, match="the beginning of shards"):
        data.locate(config)


def test_most_is_more_than_half(tmp_path):
    (tmp_path / "train").mkdir()
    for height in (32, 48, 64, 96):
        name = f"{height}.png"
        save(tmp_path / "train" / name, np.zeros((height, 192, 3), np.uint8))
    save(tmp_path / "train" / "again.png", np.zeros((64, 192, 3), np.uint8))

    def said():
        pairs = look(tmp_path)[0]["checks"]["shape"]["pairs"]
        return {pair["message"].partition("; ")[2] for pair in pairs}

    assert said() == {"the most frequent shape, of 2, is 1.5 times as wide as high"}
    save(tmp_path / "train" / "third.png", np.zeros((64, 192, 3), np.uint8))
    save(tmp_path / "train" / "fourth.png", np.zeros((64, 192, 3), np.uint8))
    assert said() == {"most are 1.5 times as wide as high"}


def test_what_training_reads_is_sound_whatever_it_is_called(broken, without_alignment):
    a = broken / "trainA"
    image = Image.open(a / "200.png")
    image.save(a / "000.tiff")
    (a / "000.tiff").rename(a / "000.png")
    image.convert("CMYK").save(a / "010.jpg")
    (a / "010.png").unlink()
    (a / "020.png").write_text("no image")
    record, _, _ = look(broken)
    (only,) = record["checks"]["unreadable"]["pairs"]
    assert only["pair"] == "train/020" and "is not an image" in only["message"]


def test_strips_too_narrow_to_search_are_left_out_and_counted(tmp_path, known_shifts):
    tiles = bluemarble.cut("train", 128)
    (tmp_path / "train").mkdir()
    for i in range(32):
        pair = np.concatenate([tiles.source[10 * i], tiles.target[10 * i]], axis=1)
        if i % 4 == 0:
            pair = np.repeat(np.repeat(pair[:32], 4, axis=1), 2, axis=0)
        save(tmp_path / "train" / f"{i}.png", pair)
    record, _, estimates = look(tmp_path)
    assert len(estimates) == record["checks"]["misaligned"]["checked"] == 24
    assert record["checks"]["shape"]["count"] == 8


def test_slivers_of_one_pixel_are_examined(tmp_path):
    for side in "AB":
        (tmp_path / f"train{side}").mkdir()
        for i, size in enumerate([(1, 900), (900, 1), (1, 1), (1, 700)]):
            pixels = np.full((*size, 3), 10 * i, np.uint8)
            save(tmp_path / f"train{side}" / f"{i}.png", pixels)
    record, _, _ = look(tmp_path)
    assert record["checks"]["small"]["count"] == 4


def test_copies_across_many_files_are_named_once_each(broken, without_alignment):
    for n in range(6):
        for side in "AB":
            folder = broken / f"train{side}"
            shutil.copy(folder / "050.png", folder / f"copy-{n}.png")
    record, _, _ = look(broken)
    assert record["checks"]["duplicate"]["count"] == 6
    assert record["passed"]


def test_a_name_with_a_line_break_is_printed_in_one_line(capsys):
    from pan_tf.cli import doctor

    pairs = [{"pair": "train/a\nb.png", "message": "twice"}]
    check = {"count": 1, "severity": "warning", "pairs": pairs}
    doctor._print({"checks": {"duplicates": check}})
    assert r"train/a\nb.png: twice" in capsys.readouterr().out.splitlines()[1]


def test_the_doctor_says_what_training_would_see_and_what_are_no_halves(tmp_path, capsys):
    (tmp_path / "train").mkdir()
    smooth = np.arange(128, dtype=np.uint8)[None, :, None].repeat(64, 0).repeat(3, 2)
    for i in range(3):
        Image.fromarray(smooth + np.uint8(i)).save(tmp_path / "train" / f"{i}.png")
    cli.run("doctor", [f"--data_dir={tmp_path}", f"--output_dir={tmp_path / 'out'}"])
    said = capsys.readouterr().out
    assert "halves (warning): 1" in said
    assert "Training would see pairs of 64x64, " in said


def test_channels_of_side_b_are_looked_at(broken, without_alignment):
    file = broken / "trainB" / "090.png"
    Image.open(file).convert("L").save(file)
    assert found(look(broken)[0]) == {"channels": ["train/090"]}


def test_copies_of_what_is_held_out(broken, without_alignment):
    for side in "AB":
        train, test = broken / f"train{side}", broken / f"test{side}"
        for copy in (train / "060.png", train / "070.png"):
            shutil.copy(test / "425.png", copy)
        shutil.copy(test / "435.png", test / "445.png")
    expected = {"leakage": ["train/060", "train/070"], "duplicate": ["test/445"]}
    assert found(look(broken)[0]) == expected


def test_swapped_and_blank_pairs_are_not_aligned(broken, known_shifts, tmp_path):
    for side in "AB":
        (broken / f"train{side}" / "070.png").rename(tmp_path / side)
    for side, other in ("AB", "BA"):
        (tmp_path / side).rename(broken / f"train{other}" / "070.png")
    Image.new("RGB", (128, 128), (9, 9, 9)).save(broken / "trainB" / "030.png")
    record, findings, estimates = look(broken)
    assert found(record) == {"constant": ["train/030"], "swapped": ["train/070"]}
    assert record["checks"]["misaligned"]["checked"] == 28
    items, _ = doctor.of_folder(broken)
    doctor.write(tmp_path, "x", items, record, findings, estimates)
    with open(tmp_path / "pairs.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["shift_y"], row["shift_x"]) == ("8.00", "-1.00")


def test_where_training_pairs_are_few_all_are_learnt_from(broken, known_shifts, capsys):
    for side in "AB":
        for i in range(12):
            (broken / f"train{side}" / f"{10 * i:03d}.png").rename(
                broken / f"test{side}" / f"{10 * i:03d}.png"
            )
    look(broken)
    assert "Learning from 30 pairs" in capsys.readouterr().out


def test_what_is_moved_back_lies_on_a():
    a, b = np.zeros((2, 80, 40, 3), np.uint8)
    a[20:], b[25:] = 200, 200
    red = (report._overlay(a, b, (5.0, 0.0)) == (230, 20, 30)).all(-1)
    assert set(np.nonzero(red)[0]) == {19, 20}


@pytest.mark.parametrize(
    ("height", "width", "checks"),
    [(64, 64, set()), (63, 64, {"small"}), (128, 119, {"shape"})],
)
def test_sizes_from_which_on_pairs_pass(height, width, checks, broken, without_alignment):
    for side in "AB":
        file = broken / f"train{side}" / "070.png"
        Image.fromarray(np.asarray(Image.open(file))[:height, :width]).save(file)
    assert set(found(look(broken)[0])) == checks
