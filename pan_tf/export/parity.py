"""Is what will be served what was trained? On real images, in a fresh process."""

import io
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import tensorflow as tf
from PIL import Image

from pan_tf import images
from pan_tf import paths
from pan_tf.image_files import read_picture
from pan_tf.image_files import read_raw
from pan_tf.image_files.pillow import ORIENTATION
from pan_tf.images import ImageSpec

FRESH = pathlib.Path(__file__).with_name("fresh_process.py")

# Largest legal absolute difference of outputs: of [-1, 1], and of one level in 255.
LIMITS = {"float_image": 1e-5, "image": 1.0, "serving_default": 1.0}
# A T may make more than that of the last bit of its input, as where it normalizes images
# by statistics that are next to nothing; its export may then differ as much, up to this.
_ROUNDING_LIMIT = 1e-3


def requests(sources, max_pixels, pixels_of, spec=None, is_any_size=True, are_files=True):
    """What is sent to every signature: batches, single images, odd sizes, files.

    Args:
        sources: pixels `[N, H, W, C]`, real images.
        max_pixels: that a request may hold.
        pixels_of: height, width -> those that an image counts as.
        spec: `ImageSpec` of the sources; None: of 8 bits.
        are_files: whether there is a signature of files.
        is_any_size: whether the model takes other sizes than theirs.

    Returns:
        List of (signature, array).
    """
    spec = spec or ImageSpec(sources.shape[-1])
    height, width = sources.shape[1:3]
    at_once = max_pixels // pixels_of(height, width)
    batches = [
        *(sources[i : i + at_once] for i in range(0, len(sources), at_once)),
        sources[:1],
    ]
    odd = [sources[:1, : height - 1, : width // 2 + 3], sources[:1, :1, :1]]
    odd = [each for each in odd if pixels_of(*each.shape[1:3]) <= max_pixels]
    if is_any_size:
        batches += odd
    sent = []
    for batch in batches:
        sent.append(("float_image", spec.to_float(batch).numpy()))
        sent.append(("image", batch))
    if not are_files:
        return sent
    files = [encoded(source, spec) for source in sources]
    for i in range(0, len(files), at_once):
        sent.append(("serving_default", np.array(files[i : i + at_once], object)))
    others = [encoded(batch[0], spec) for batch in odd] if is_any_size else []
    if not spec.labels and spec.takes_8_bits:
        others.append(_turned(images.as_rgb(sources[0])))
    sent += [("serving_default", np.array([file], object)) for file in others]
    return sent


def run(saved_model, sent):
    """The responses of a SavedModel in a fresh process, in order.

    Raises:
        RuntimeError: if it cannot be loaded or run there; the message is what it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = (
            pathlib.Path(folder) / name for name in ("asked.npz", "answered.npz")
        )
        # NumPy drops zeros at the end of bytes; PNG and JPEG never end in one.
        kept = {
            f"{i}:{name}": value.astype("S") if value.dtype == object else value
            for i, (name, value) in enumerate(sent)
        }
        np.savez(asked, **kept)
        status, said = start(*map(str, (paths.literal(saved_model), asked, answered)))
        if status:
            said = said.strip()[-2000:] or "no message"
            raise RuntimeError(f"{saved_model} cannot be run outside of pan_tf: {said}")
        with np.load(answered) as file:
            return [file[str(i)] for i in range(len(sent))]


def start(*arguments):
    """`fresh_process.py` in a process of its own: (exit status, what it said)."""
    # -P: nothing of this folder is imported by accident. Not -I, which would not see
    # packages that a user installed for themselves.
    command = [sys.executable, "-P", str(FRESH), *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    return result.returncode, result.stderr


def compare(translator, sent, responses):
    """Largest absolute differences of a SavedModel's outputs to a run's.

    Args:
        translator: `Translator` of the run.
        sent: what `requests` gives.
        responses: what `run` gives.

    Returns:
        signature -> `{"images", "largest_difference", "limit", "unit"}`; "limit" is of
        `LIMITS`, or what T makes of the last bit of its input, where it needs that.
    """
    report = {}
    for (signature, value), response in zip(sent, responses, strict=True):
        gap = max(
            _gap(*both) for both in _outputs(translator, signature, value, response)
        )
        row = report.setdefault(
            signature,
            {
                "images": 0,
                "largest_difference": 0.0,
                "limit": LIMITS[signature],
                "unit": "of [-1, 1]" if signature == "float_image" else "levels of 255",
            },
        )
        row["images"] += len(value)
        row["largest_difference"] = max(row["largest_difference"], gap)
        if signature == "float_image" and gap > row["limit"]:
            rounding = min(_of_the_last_bit(translator, value), _ROUNDING_LIMIT)
            row["limit"] = max(row["limit"], rounding)
    return report


def holds(report):
    """Whether every signature is within its limit."""
    return all(row["largest_difference"] <= row["limit"] for row in report.values())


def _gap(ours, theirs):
    """Largest difference; infinite where a number is none, or a shape another."""
    if ours.shape != theirs.shape or not np.isfinite([ours, theirs]).all():
        return np.inf
    gap = float(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0))
    return gap / images.STEP_16 if ours.dtype == np.uint16 else gap


def _of_the_last_bit(translator, value):
    """How far T's outputs move where every input is changed by its last bit."""
    changed = np.nextafter(value, np.float32(2))
    ours, theirs = (translator.translate_float(v).numpy() for v in (value, changed))
    return float(np.abs(ours.astype(np.float64) - theirs).max(initial=0.0))


def _outputs(translator, signature, value, response):
    """Pairs of arrays to compare: of the run, of the SavedModel."""
    if signature == "float_image":
        yield translator.translate_float(value).numpy(), response
    elif signature == "image":
        yield translator(value), response
    else:
        for source, output in zip(value, response, strict=True):
            ours = translator(read_picture(source, translator.source).pixels)
            yield ours, _levels(read_raw(output), translator.target)


def _levels(picture, spec):
    """Pixels of a PNG that was served."""
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = np.concatenate([pixels, picture.alpha[..., None]], -1)
    is_restored = spec.low is not None and spec.is_whole
    return spec.fit(pixels) if is_restored else pixels


def encoded(pixels, spec):
    """A PNG of the values that files of training have."""
    values = spec.restore(pixels)
    if not spec.is_whole:
        values = np.clip(np.round(values), 0, images.PEAK_16).astype(np.uint16)
    return tf.io.encode_png(values).numpy()


def _turned(pixels):
    """A JPEG whose EXIF asks for a turn."""
    image, file = Image.fromarray(pixels), io.BytesIO()
    exif = image.getexif()
    exif[ORIENTATION] = 6
    image.save(file, format="JPEG", exif=exif)
    return file.getvalue()
