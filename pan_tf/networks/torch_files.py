"""Reads the state dictionaries that `torch.save` writes, without PyTorch.

Both forms: the zip archive of today, and the older sequence of pickles. Nothing but
tensors and containers is made of a file: whatever else its pickle names is refused, since
a pickle may call anything.
"""

import collections
import io
import pathlib
import pickle
import zipfile

import numpy as np

# What the older form begins with.
_MAGIC = 0x1950A86A20F9469CFC6C
_KINDS = {
    "BoolStorage": np.bool_,
    "ByteStorage": np.uint8,
    "CharStorage": np.int8,
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "IntStorage": np.int32,
    "LongStorage": np.int64,
    "ShortStorage": np.int16,
}


def read_state_dict(path):
    """The tensors of a file.

    Args:
        path: what `torch.save(network.state_dict(), path)` wrote, or a dictionary that
            holds one as `state_dict`.

    Returns:
        name -> NumPy array, in the file's order, contiguous.

    Raises:
        OSError: if it is not there.
        ValueError: naming the file, if it is not such a file, or is damaged.
    """
    path = pathlib.Path(path)
    try:
        found = _read_zip(path) if zipfile.is_zipfile(path) else _read_pickles(path)
        if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
            found = found["state_dict"]
        return {name: tensor.array() for name, tensor in found.items()}
    except OSError:
        raise
    # A pickle that was hurt raises nearly anything.
    except Exception as error:
        raise ValueError(
            f"{path} is no state dictionary as `torch.save` writes it, or is damaged: "
            f"{error}"
        ) from None


def entry(found, name):
    """An array of a state dictionary; ValueError if it has none of that name."""
    if name not in found:
        raise ValueError(f"its state dictionary has no {name}")
    return found[name]


def set_weights(model, layer, arrays):
    """Sets a layer's weights.

    Raises:
        ValueError: if they have other shapes.
    """
    ours = [tuple(variable.shape) for variable in model.get_layer(layer).weights]
    theirs = [array.shape for array in arrays]
    if ours != theirs:
        raise ValueError(f"its {layer} has shapes {theirs}, and must have {ours}")
    model.get_layer(layer).set_weights(arrays)


class _Storage:
    """Numbers in a row, which several tensors may share; read when all are known."""

    def __init__(self, dtype, count):
        self.dtype, self.count, self.data = dtype, count, None

    def fill(self, data):
        found = len(data) // self.dtype.itemsize
        if found < self.count:
            raise ValueError(f"a tensor has {found} of its {self.count} numbers")
        self.data = np.frombuffer(data, self.dtype, self.count)


class _Tensor:
    """A view of a storage."""

    def __init__(self, storage, offset, size, stride, *_):
        self._storage, self._offset = storage, offset
        self._size, self._stride = size, stride

    def array(self):
        """The numbers, as an array of their own."""
        if min((self._offset, *self._size, *self._stride), default=0) < 0:
            raise ValueError("a tensor begins before its storage, or goes backwards")
        last = sum((n - 1) * s for n, s in zip(self._size, self._stride, strict=True))
        if 0 not in self._size and self._offset + last >= self._storage.count:
            raise ValueError("a tensor reaches beyond its storage")
        return np.lib.stride_tricks.as_strided(
            self._storage.data[self._offset :],
            self._size,
            [s * self._storage.dtype.itemsize for s in self._stride],
        ).copy()


class _Unpickler(pickle.Unpickler):
    """Makes tensors, storages and containers, and nothing else."""

    def __init__(self, file, storages):
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _Tensor
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in _KINDS:
            return np.dtype(_KINDS[name]).newbyteorder("<")
        raise ValueError(f"it holds a {module}.{name}, and not only tensors")

    def persistent_load(self, pid):
        # (what, kind, key, device, count), and in the older form a view, which is None.
        _, kind, key, _, count, *view = pid
        if any(each is not None for each in view):
            raise ValueError("it holds views of storages, as before PyTorch 0.4")
        return self._storages.setdefault(key, _Storage(kind, count))


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        pickles = [n for n in archive.namelist() if n.split("/")[1:] == ["data.pkl"]]
        if len(pickles) != 1:
            raise ValueError("the archive has no data.pkl")
        folder, storages = pickles[0].removesuffix("data.pkl"), {}
        order = f"{folder}byteorder"
        if order in archive.namelist() and archive.read(order) != b"little":
            raise ValueError("it was written by a big-endian machine")
        found = _Unpickler(io.BytesIO(archive.read(pickles[0])), storages).load()
        for key, storage in storages.items():
            storage.fill(archive.read(f"{folder}data/{key}"))
    return found


def _read_pickles(path):
    storages = {}
    with open(path, "rb") as file:
        if _Unpickler(file, {}).load() != _MAGIC:
            raise ValueError("it begins otherwise")
        for _ in range(2):  # Protocol and machine.
            _Unpickler(file, {}).load()
        found = _Unpickler(file, storages).load()
        for key in _Unpickler(file, {}).load():
            count = int.from_bytes(file.read(8), "little")
            storages[key].fill(file.read(count * storages[key].dtype.itemsize))
    return found
