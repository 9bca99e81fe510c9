"""Writes state dictionaries as PyTorch's zip form has them, without PyTorch."""

import collections
import contextlib
import io
import pickle
import sys
import types
import zipfile

import numpy as np


@contextlib.contextmanager
def _names():
    """Modules of PyTorch's names, for as long as a pickle is written."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*_):
        raise NotImplementedError

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    kinds = {}
    for name, dtype in (("FloatStorage", np.float32), ("LongStorage", np.int64)):
        kind = type(name, (), {"__module__": "torch"})
        setattr(torch, name, kind)
        kinds[np.dtype(dtype)] = kind
    with contextlib.ExitStack() as stack:
        for name, module in (("torch", torch), ("torch._utils", utils)):
            before = sys.modules.get(name)
            sys.modules[name] = module
            stack.callback(
                lambda n=name, b=before: (
                    sys.modules.pop(n) if b is None else sys.modules.update({n: b})
                )
            )
        yield rebuild, kinds


def save(path, arrays):
    """Writes name -> float32 or int64 array."""
    with _names() as (rebuild, kinds):

        class Storage:
            def __init__(self, key, array):
                self.pid = ("storage", kinds[array.dtype], key, "cpu", array.size)

        class Tensor:
            def __init__(self, key, array):
                strides = tuple(s // array.itemsize for s in array.strides)
                self.made = (
                    rebuild,
                    (Storage(key, array), 0, array.shape, strides, False, None),
                )

            def __reduce__(self):
                return self.made

        class Pickler(pickle.Pickler):
            def persistent_id(self, obj):
                return obj.pid if isinstance(obj, Storage) else None

        contiguous = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
        made = collections.OrderedDict(
            (name, Tensor(str(i), a)) for i, (name, a) in enumerate(contiguous.items())
        )
        pickled = io.BytesIO()
        Pickler(pickled, protocol=2).dump(made)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled.getvalue())
        for i, array in enumerate(contiguous.values()):
            archive.writestr(f"archive/data/{i}", array.tobytes())
