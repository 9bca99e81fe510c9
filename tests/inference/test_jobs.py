"""N in, N out, in their folders, and each failure named."""

import errno
import os
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from PIL import TiffImagePlugin

from pan_tf import networks
from pan_tf.images import ImageSpec
from pan_tf.inference import TranslationJob
from pan_tf.inference import jobs
from pan_tf.inference import traffic
from pan_tf.inference.tiles import Tiling
from tests.commands import refused
from tests.conftest import smooth_noise


class Negative:
    """A translator that can be worked out by hand."""

    source = target = ImageSpec()

    def translate_image(self, pixels, tile_size=None, on_tile=None):
        return 255 - pixels, self.tiling(*pixels.shape[:2], tile_size)

    def describe_scale(self):
        return "Scale: native."

    def scale_warning(self, height, width):
        return "is far" if height > 1000 else None

    def seen_size(self, height, width):
        return height, width

    def tiling(self, height, width, tile_size=None):
        if not tile_size:
            return None
        tiling = Tiling.of(tile_size, networks.ReceptiveField(64, 0))
        return tiling if tiling.count(height, width) > 1 else None


def test_notes_that_differ_in_numbers_only_are_counted():
    many = [f"{i}.png: {200 + i}x150 is seen at scale .{i + 3}6." for i in range(400)]
    many[5] = f"a: {many[5]}"
    others = ["x.png: has lost its alpha.", *(f"{i} is a link." for i in range(9))]
    outcome = jobs.Outcome(notes=[*many, *others])
    assert str(outcome).splitlines()[:-1] == [
        *many[:3],
        "... and 397 more notes like these.",
        *others,
    ]
    assert outcome.to_json()["notes"][399] == many[399]


@pytest.fixture
def photos(tmp_path):
    """Two good pictures, one of them in a folder below; a broken one; a text."""
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    random = np.random.default_rng(0)
    Image.fromarray(smooth_noise(random, 20, 30)).save(folder / "a.png")
    Image.fromarray(smooth_noise(random, 300, 40)).save(folder / "below" / "b.TIF")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "notes.txt").write_text("x")
    return folder


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_a_folder_in_an_outputs_place_is_no_output(photos, tmp_path, existing):
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    outcome = jobs.translate_files(Negative, photos, tmp_path / "out", existing=existing)
    assert [path.name for path in outcome.written] == ["b.png"] and not outcome.skipped
    said = dict(outcome.failures)[photos / "a.png"]
    assert said == f"{tmp_path / 'out' / 'a.png'} is a folder"


def test_a_folder_gives_a_folder_and_failures_are_listed(photos, tmp_path):
    job = TranslationJob(photos, tmp_path / "out")
    outcome = job.run(Negative())
    assert names(tmp_path / "out") == ["a.png", "below/b.png"]
    assert len(job.targets) == len(outcome.written) + len(outcome.failures) == 3
    ((path, sentence),) = outcome.failures
    assert path == photos / "broken.jpg" and "is not an image" in sentence
    assert job.left_alone == [photos / "notes.txt"]
    before = np.asarray(Image.open(photos / "a.png"))
    assert (np.asarray(Image.open(tmp_path / "out" / "a.png")) == 255 - before).all()


def test_the_inputs_format_can_be_kept(photos, tmp_path):
    TranslationJob(photos, tmp_path / "out", keep_format=True).run(Negative())
    assert names(tmp_path / "out") == ["a.png", "below/b.TIF"]
    assert Image.open(tmp_path / "out" / "below" / "b.TIF").format == "TIFF"


def test_one_file_gives_the_file_that_is_named(photos, tmp_path):
    TranslationJob(photos / "a.png", tmp_path / "out.jpg").run(Negative())
    assert Image.open(tmp_path / "out.jpg").format == "JPEG"
    TranslationJob(photos / "a.png", tmp_path / "folder").run(Negative())
    assert names(tmp_path / "folder") == ["a.png"]
    with pytest.raises(ValueError, match=r"ends in \.png"):
        TranslationJob(photos / "a.png", tmp_path / "out.xyz")


def test_files_that_differ_in_their_ending_do_not_replace_each_other(photos, tmp_path):
    Image.open(photos / "a.png").save(photos / "a.bmp")
    TranslationJob(photos, tmp_path / "out").run(Negative())
    assert names(tmp_path / "out") == ["a.bmp.png", "a.png.png", "below/b.png"]


def test_two_inputs_never_become_one_output(photos, tmp_path):
    for name in ("a.bmp", "a.bmp.tif"):
        Image.open(photos / "a.png").save(photos / name)
    with pytest.raises(ValueError, match=r"a\.bmp and .*a\.bmp\.tif would both become"):
        TranslationJob(photos, tmp_path / "out")


def test_a_kept_format_is_the_contents_not_the_names(photos, tmp_path):
    Image.open(photos / "a.png").save(photos / "c.png", format="JPEG")
    Image.open(photos / "a.png").save(photos / "d.jfif", format="JPEG")
    Image.open(photos / "a.png").save(photos / "e.gif")
    out = tmp_path / "out"
    TranslationJob(photos, out, keep_format=True).run(Negative())
    assert names(out) == ["a.png", "below/b.TIF", "c.jpg", "d.jfif", "e.png"]
    assert Image.open(out / "c.jpg").format == Image.open(out / "d.jfif").format == "JPEG"
    with pytest.raises(ValueError, match=r"x\.png must end as JPEG files do, \.jpg"):
        TranslationJob(photos / "c.png", tmp_path / "x.png", keep_format=True)


def test_the_output_of_a_folder_must_be_one(photos, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="must be a folder; it is a file"):
        TranslationJob(photos, tmp_path / "file")


def test_the_output_may_lie_above_the_input(photos):
    TranslationJob(photos, photos.parent).run(Negative())
    assert (photos.parent / "below" / "b.png").is_file()


def test_what_a_model_refuses_is_one_files_failure(photos, tmp_path):
    class Narrow(Negative):
        def translate_image(self, pixels, tile_size=None, on_tile=None):
            if pixels.shape[0] > 100:
                raise ValueError("m refused 300 x 40 pixels: too many.")
            return super().translate_image(pixels, tile_size, on_tile)

    outcome = TranslationJob(photos, tmp_path / "out").run(Narrow())
    assert len(outcome.written) == 1 and len(outcome.failures) == 2
    assert outcome.failures[0][1] == "m refused 300 x 40 pixels: too many."


def test_lost_transparency_is_noted(photos, tmp_path):
    Image.open(photos / "a.png").convert("RGBA").save(photos / "a.png")
    outcome = TranslationJob(photos / "a.png", tmp_path / "out.jpg").run(Negative())
    assert "its transparency is lost in a JPEG file" in outcome.notes[0]
    assert (
        not TranslationJob(photos / "a.png", tmp_path / "out.png").run(Negative()).notes
    )

    class Heights(Negative):
        target = ImageSpec(3, 8, low=0.0, high=1.0, kind="float32")

    outcome = TranslationJob(photos / "a.png", tmp_path / "out.tif").run(Heights())
    assert "its transparency is lost beside values of float32" in outcome.notes[0]


def test_outputs_that_are_there_are_kept_unless_told(photos, tmp_path):
    out = tmp_path / "out"
    TranslationJob(photos, out).run(Negative())
    (out / "a.png").write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="2 of 3 outputs are there already"):
        TranslationJob(photos, out)
    outcome = TranslationJob(photos, out, existing="skip").run(Negative())
    assert len(outcome.skipped) == 2 and (out / "a.png").read_bytes() == b"mine"
    (out / "a.png").write_bytes(b"")  # What a machine that failed leaves of a file.
    assert len(TranslationJob(photos, out, existing="skip").run(Negative()).skipped) == 1
    assert Image.open(out / "a.png").size == (30, 20)
    (out / "a.png").write_bytes(b"mine")
    TranslationJob(photos, out, existing="overwrite").run(Negative())
    assert Image.open(out / "a.png").size == (30, 20)


@pytest.mark.parametrize("existing", ["fail", "skip"])
def test_what_another_program_writes_meanwhile_is_kept(photos, tmp_path, existing):
    class Slow(Negative):
        def translate_image(self, pixels, tile_size=None, on_tile=None):
            (tmp_path / "out.png").write_bytes(b"mine")
            return super().translate_image(pixels, tile_size, on_tile)

    job = TranslationJob(photos / "a.png", tmp_path / "out.png", existing=existing)
    outcome = job.run(Slow())
    assert (tmp_path / "out.png").read_bytes() == b"mine" and not outcome.written
    if existing == "fail":
        ((source, said),) = outcome.failures
        assert source == photos / "a.png" and "another program has written it" in said
    else:
        assert len(outcome.skipped) == 1


def test_an_input_is_never_replaced(photos):
    photo = next(photos.rglob("*.png"))
    with pytest.raises(ValueError, match="must not replace an input"):
        TranslationJob(photo, photo, existing="overwrite")


def test_a_link_in_a_circle_is_a_sentence(photos, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((OSError, ValueError), match="loop"):
        TranslationJob(photos / "a.png", tmp_path / "loop" / "x.png")
    assert refused("doctor", f"--data_dir={tmp_path / 'loop'}")


def test_outputs_do_not_become_inputs(photos):
    (photos / "link").symlink_to(photos)
    for output in (photos, photos / "link"):
        with pytest.raises(ValueError, match="must be another folder than --input"):
            TranslationJob(photos, output)


def test_links_to_nothing_and_pipes_are_failures_and_are_not_opened(photos, tmp_path):
    (photos / "lost.png").symlink_to("nowhere.png")
    (photos / "ring.jpg").symlink_to("ring.jpg")
    (photos / "round").symlink_to(".")
    os.mkfifo(photos / "pipe.png")
    outcome = TranslationJob(photos, photos / "out").run(Negative())
    sentences = {path.name: sentence for path, sentence in outcome.failures}
    assert sentences.pop("broken.jpg").startswith("is not an image")
    assert sentences == {
        "lost.png": "is a link to nothing",
        "ring.jpg": "is a link to nothing",
        "pipe.png": "is not a file",
    }
    assert str(outcome).endswith("6 in, 2 out, 4 failed.")
    assert (
        f"{photos / 'round'} is a link to a folder; it is not followed" in outcome.notes
    )


def test_a_folder_that_cannot_be_listed_is_a_failure(photos, tmp_path, monkeypatch):
    listed = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("below"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    job = TranslationJob(photos, tmp_path / "out")
    assert job.lost == [(photos / "below", "cannot be listed: Permission denied")]


def test_the_output_may_lie_in_the_inputs_folder(photos):
    TranslationJob(photos, photos / "out").run(Negative())
    assert len(TranslationJob(photos, photos / "out", existing="skip").targets) == 3


def test_nothing_to_translate_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not there"):
        TranslationJob(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no image"):
        TranslationJob(tmp_path / "empty", tmp_path / "out")


def test_tiles_and_lost_tags_are_noted(photos, tmp_path):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[270] = "a place"
    pixels = smooth_noise(np.random.default_rng(0), 300, 40)
    Image.fromarray(pixels).save(photos / "below" / "b.TIF", tiffinfo=tags)
    outcome = TranslationJob(photos, tmp_path / "out").run(Negative(), tile_size=256)
    tiles, lost = outcome.notes
    assert "2 tiles of 256 px; seam score" in tiles
    assert lost.endswith("its TIFF tags are lost; --format=input keeps them")


def test_a_finer_tiling_for_want_of_memory_is_noted(photos, tmp_path):
    class Short(Negative):
        def translate_image(self, pixels, tile_size=None, on_tile=None):
            tiling = Tiling.of(256, networks.ReceptiveField(64, 0))
            many = tiling.count(*pixels.shape[:2]) > 1
            return 255 - pixels, tiling if many else None

    outcome = TranslationJob(photos, tmp_path / "out").run(Short())
    assert len(outcome.notes) == 2
    assert "below/b.TIF: too little memory; smaller tiles" in outcome.notes[0]
    assert "2 tiles of 256 px" in outcome.notes[1]


class Counting(Negative):
    """Counts how many images its T has at once; each waits for another, or a moment."""

    def __init__(self, expected):
        self.now, self.most = 0, 0
        self._lock = threading.Lock()
        self._barrier = threading.Barrier(expected, timeout=0.3)

    def translate_image(self, pixels, tile_size=None, on_tile=None):
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self._barrier.wait()
        except threading.BrokenBarrierError:
            self._barrier.reset()
        with self._lock:
            self.now -= 1
        return super().translate_image(pixels, tile_size, on_tile)


def test_small_images_are_translated_beside_each_other_and_told_in_order(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(6):
        pixels = np.full((8, 8, 3), 10 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{number}.png")
    translator = Counting(2)
    outcome = TranslationJob(tmp_path / "in", tmp_path / "out").run(translator)
    assert translator.most >= 2
    assert [path.stem for path in outcome.written] == list("012345")
    for number in range(6):
        found = np.asarray(Image.open(tmp_path / "out" / f"{number}.png"))
        assert (found == 255 - 10 * number).all()


@pytest.mark.parametrize(("side", "at_once"), [(1025, 2**24), (8, 100)])
def test_large_images_and_more_than_fit_are_translated_one_by_one(
    side, at_once, tmp_path, monkeypatch
):
    monkeypatch.setattr(traffic, "_PIXELS", at_once)
    (tmp_path / "in").mkdir()
    for number in range(3):
        np.save(tmp_path / "in" / f"{number}.npy", np.zeros((side, side, 3), np.uint8))
    translator = Counting(2)
    outcome = TranslationJob(tmp_path / "in", tmp_path / "out").run(translator)
    assert len(outcome.written) == 3
    assert translator.most == 1


@pytest.mark.parametrize(
    "message",
    [
        "the device is gone\nat 0x1",
        "Graph execution error:\n\nDetected at node T/x defined at (most recent call "
        'last):\n  File "a.py", line 1\n\nthe device is gone\n\t [[{{node T/x}}]]',
    ],
)
def test_what_tensorflow_refuses_is_one_files_failure(photos, tmp_path, message):
    class Failing(Negative):
        def translate_image(self, pixels, tile_size=None, on_tile=None):
            if len(pixels) == 300:
                raise tf.errors.InternalError(None, None, message)
            return super().translate_image(pixels, tile_size, on_tile)

    outcome = TranslationJob(photos, tmp_path / "out").run(Failing())
    assert [path.name for path in outcome.written] == ["a.png"]
    failed = {path.name: sentence for path, sentence in outcome.failures}
    assert failed["b.TIF"] == "the device is gone"


def test_an_interrupted_job_ends_at_the_next_tile(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    for number in range(3):
        np.save(tmp_path / "in" / f"{number}.npy", np.zeros((600, 600, 3), np.uint8))
    tiles, has_begun = [], threading.Event()

    class Endless(Negative):
        def translate_image(self, pixels, tile_size=None, on_tile=None):
            for tile in range(1000):
                tiles.append(tile)
                has_begun.set()
                time.sleep(0.01)
                on_tile()
            return super().translate_image(pixels, tile_size, on_tile)

    def interrupted(results, *rest):
        has_begun.wait(10)
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(jobs, "followed", interrupted)
    with pytest.raises(KeyboardInterrupt):
        TranslationJob(tmp_path / "in", tmp_path / "out").run(Endless(), 256)
    assert len(tiles) < 100
    assert not list((tmp_path / "out").rglob("*.png"))
