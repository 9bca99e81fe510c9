"""Files of `torch.save` read without PyTorch: those in tests/golden are PyTorch's own."""

import pathlib
import pickle
import zipfile

import numpy as np
import pytest

from pan_tf.networks import read_state_dict
from pan_tf.networks import torch_files
from tests import torch_writer

FILES = pathlib.Path(__file__).parents[1] / "golden" / "torch_files"
EXPECTED = np.load(FILES / "small.npz")


@pytest.mark.parametrize(
    "name", ["zip", "legacy", "nested", "dict_legacy", "param_zip", "param_legacy"]
)
def test_tensors_are_those_that_pytorch_saved(name):
    """Both forms; parameters, a nested dictionary, views that share a storage."""
    found = read_state_dict(FILES / f"small_{name}.pth")
    assert found
    for key, array in found.items():
        np.testing.assert_array_equal(array, EXPECTED[key])
        assert array.dtype == EXPECTED[key].dtype and array.flags.c_contiguous
    if not name.startswith("param"):
        assert list(found) == list(EXPECTED)


def test_what_the_tests_write_is_read(tmp_path):
    arrays = {"a": np.arange(6, dtype="float32").reshape(2, 3), "b": np.array(7)}
    torch_writer.save(tmp_path / "file.pth", arrays)
    found = read_state_dict(tmp_path / "file.pth")
    assert list(found) == ["a", "b"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


class _Harmful:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path("harm"),)


def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("bad.pth", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": _Harmful()}))
    pathlib.Path("bad_legacy.pth").write_bytes(pickle.dumps(_Harmful()))
    for name in ("bad.pth", "bad_legacy.pth"):
        with pytest.raises(ValueError, match=rf"{name} is no state dictionary.*holds a"):
            read_state_dict(name)
    assert not pathlib.Path("harm").exists()


@pytest.mark.parametrize("name", ["zip", "legacy"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.97])
def test_a_file_cut_short_is_named(tmp_path, name, kept):
    whole = (FILES / f"small_{name}.pth").read_bytes()
    path = tmp_path / "cut.pth"
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(ValueError, match=r"cut\.pth is no state dictionary"):
        read_state_dict(path)


def test_a_file_that_is_not_there_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_state_dict(tmp_path / "none.pth")


@pytest.mark.parametrize(("offset", "stride"), [(1, 1), (2, -1), (-1, 1)])
def test_a_tensor_outside_of_its_storage_is_refused(offset, stride):
    storage = torch_files._Storage(np.dtype("<f4"), 3)
    storage.fill(bytes(12))
    with pytest.raises(ValueError, match="its storage"):
        torch_files._Tensor(storage, offset, (3,), (stride,)).array()


def test_numbers_of_a_big_endian_machine_are_refused(tmp_path):
    path = tmp_path / "file.pth"
    torch_writer.save(path, {"a": np.zeros(3, "float32")})
    with zipfile.ZipFile(path) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith("data.pkl")]
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name.replace("data.pkl", "byteorder"), "big")
    with pytest.raises(ValueError, match="big-endian machine"):
        read_state_dict(path)
