"""The function by which TF Serving loads a SavedModel, without Python's TensorFlow.

    python -I cpp_loader.py SAVED_MODEL INPUT OUTPUT SOURCE.npy RESULT.npy

`TF_LoadSessionFromSavedModel`, of the C library in the wheel, calls
`tensorflow::LoadSavedModel`, as TF Serving's factory does. INPUT and OUTPUT are names of
tensors of a float32 signature, as its SignatureDef gives them.
"""

import ctypes
import importlib.util
import pathlib
import sys

import numpy as np

_POINTER, _FLOAT = ctypes.c_void_p, 1


class _Port(ctypes.Structure):
    _fields_ = [("operation", _POINTER), ("index", ctypes.c_int)]


def library():
    """libtensorflow_cc, with the types of the functions that are called."""
    folder = pathlib.Path(importlib.util.find_spec("tensorflow").origin).parent
    ctypes.CDLL(str(folder / "libtensorflow_framework.so.2"), ctypes.RTLD_GLOBAL)
    tf = ctypes.CDLL(str(folder / "libtensorflow_cc.so.2"), ctypes.RTLD_GLOBAL)
    names = ctypes.POINTER(ctypes.c_char_p)
    sizes, number = ctypes.POINTER(ctypes.c_int64), ctypes.c_int
    ports, pointers = ctypes.POINTER(_Port), ctypes.POINTER(_POINTER)
    p = _POINTER
    signatures = {
        "TF_NewGraph": (p,),
        "TF_NewSessionOptions": (p,),
        "TF_NewStatus": (p,),
        "TF_GetCode": (number, p),
        "TF_Message": (ctypes.c_char_p, p),
        "TF_LoadSessionFromSavedModel": (
            *(p, p, p, ctypes.c_char_p),
            *(names, number, p, p, p),
        ),
        "TF_GraphOperationByName": (p, p, ctypes.c_char_p),
        "TF_AllocateTensor": (p, number, sizes, number, ctypes.c_size_t),
        "TF_TensorData": (p, p),
        "TF_NumDims": (number, p),
        "TF_Dim": (ctypes.c_int64, p, number),
        "TF_SessionRun": (
            *(None, p, p, ports, pointers, number),
            *(ports, pointers, number, p, number, p, p),
        ),
    }
    for name, (result, *arguments) in signatures.items():
        function = getattr(tf, name)
        function.restype, function.argtypes = result, arguments
    return tf


def main(saved_model, source_name, result_name, source_file, result_file):
    tf = library()
    status, graph = tf.TF_NewStatus(), tf.TF_NewGraph()

    def check():
        if tf.TF_GetCode(status):
            sys.exit(tf.TF_Message(status).decode())

    def port(tensor):
        name, _, index = tensor.partition(":")
        return _Port(tf.TF_GraphOperationByName(graph, name.encode()), int(index))

    tags = (ctypes.c_char_p * 1)(b"serve")
    session = tf.TF_LoadSessionFromSavedModel(
        tf.TF_NewSessionOptions(),
        None,
        saved_model.encode(),
        tags,
        1,
        graph,
        None,
        status,
    )
    check()
    source = np.load(source_file).astype(np.float32)
    sizes = (ctypes.c_int64 * source.ndim)(*source.shape)
    fed = tf.TF_AllocateTensor(_FLOAT, sizes, source.ndim, source.nbytes)
    ctypes.memmove(tf.TF_TensorData(fed), source.ctypes.data, source.nbytes)
    fetched = (_POINTER * 1)()
    tf.TF_SessionRun(
        *(session, None, ctypes.byref(port(source_name)), (_POINTER * 1)(fed), 1),
        *(ctypes.byref(port(result_name)), fetched, 1, None, 0, None, status),
    )
    check()
    result = fetched[0]
    shape = [tf.TF_Dim(result, i) for i in range(tf.TF_NumDims(result))]
    array = np.empty(shape, np.float32)
    ctypes.memmove(array.ctypes.data, tf.TF_TensorData(result), array.nbytes)
    np.save(result_file, array)
    if "tensorflow" in sys.modules:
        sys.exit("Python's TensorFlow was imported.")


if __name__ == "__main__":
    main(*sys.argv[1:])
