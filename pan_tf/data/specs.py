"""What a user's own files hold: channels, bits, and the range of their values."""

import dataclasses

import numpy as np
from absl import logging

from pan_tf import image_files
from pan_tf.data.geometry import Geometry
from pan_tf.data.split import LOOKED_AT
from pan_tf.data.split import evenly
from pan_tf.data.table import DATASETS
from pan_tf.files import naming
from pan_tf.images import PEAK_16
from pan_tf.images import WHOLE_KINDS
from pan_tf.images import ImageSpec

_SIDES = ("source", "target")
_SAMPLE = 64  # Images whose values are looked at for a range.
_PERCENTILES = (0.1, 99.9)


def recorded(found, path):
    """What a run's manifest, or an export's label, holds of images.

    Args:
        found: dictionary of what `to_json` gave: "geometry", and "images" by side; each
            may be missing, or None.
        path: of the file, in messages.

    Returns:
        (`ImageSpec`s of source and target, or None; `Geometry`, or None).

    Raises:
        ValueError: if it is damaged.
    """
    with naming(path):
        specs = found.get("images")
        sides = specs and tuple(ImageSpec.from_json(specs[side]) for side in _SIDES)
        return sides, Geometry.from_json(found.get("geometry"))


def with_found(config):
    """A configuration with channels and bits as its own files have them.

    Args:
        config: `Config`, located.

    Returns:
        (configuration, sentence on what was found; empty where all was given).

    Raises:
        FileNotFoundError, ValueError: if files are not there or cannot be read, or have
            no common number of channels.
    """
    if not DATASETS[config.dataset].is_own:
        return config, ""
    changes, said = {}, []
    for side, (files, headers) in _sides(config, LOOKED_AT).items():
        if not headers:
            continue  # None can be read; opening tells which and why.
        labels = config.source_labels if side == "source" else None
        found = ImageSpec(labels, 8, labels) if labels else _spec(files, headers)
        for name in ("channels", "bits"):
            given = getattr(config, f"{side}_{name}")
            if given is None:
                changes[f"{side}_{name}"] = getattr(found, name)
            elif not labels:
                found = dataclasses.replace(found, **{name: given})
        said.append(f"{side}s {found}")
    if not changes:
        return config, ""
    return config.replace(**changes), f"Found: {', '.join(said)}."


def specs_asked_for(config):
    """(`ImageSpec` of sources, of targets) of a configuration; what is open is the data
    set's."""
    source, target = DATASETS[config.dataset].images_of(config)
    labels = config.source_labels or source.labels
    given = (config.source_channels or labels, config.source_bits or 8)
    if labels and given != (labels, 8):
        raise ValueError(
            f"--dataset={config.dataset} has label maps for sources, of {labels} labels "
            "and 8 bits: leave --source_channels and --source_bits out. Received: "
            f"source_channels={config.source_channels}, source_bits={config.source_bits}."
        )
    if config.source_labels:
        source = ImageSpec(labels, 8, labels)
    elif not labels and (config.source_channels or config.source_bits):
        channels = config.source_channels or source.channels
        source = ImageSpec(channels, config.source_bits or source.bits)
    if not target.labels and (config.target_channels or config.target_bits):
        channels = config.target_channels or target.channels
        target = ImageSpec(channels, config.target_bits or target.bits)
    return source, target


def specs(config):
    """(`ImageSpec` of sources, of targets), ranges and kinds of files included.

    Ranges are those of the training images.
    """
    both = list(specs_asked_for(config))
    if not DATASETS[config.dataset].is_own:
        return tuple(both)
    ranges = config.source_range, config.target_range
    sides = _sides(config, None if "full" in ranges else LOOKED_AT)
    for i, side in enumerate(_SIDES):
        if both[i].labels:
            continue
        files, headers = sides[side]
        if not headers:
            continue
        both[i] = _with_range(both[i], getattr(config, f"{side}_range"), files, headers)
    return tuple(both)


def of_files(files):
    """`ImageSpec` of some files of one side, as `with_found` and `specs` have it.

    Raises:
        ValueError: if they have no common number of channels, or none can be read.
    """
    found = []
    for file in files:
        try:
            found.append((file, image_files.read_header(file)))
        except image_files.ImageFileError:
            continue
    if not found:
        raise ValueError("No file can be read.")
    known, headers = zip(*found, strict=True)
    return _with_range(_spec(known, headers), None, known, headers)


def _sides(config, limit):
    """side -> (files, headers) of the training images."""
    layout = DATASETS[config.dataset].layout
    sides = layout.sides(config, limit)
    if DATASETS[config.dataset].direction_of(config) == "BtoA":
        sides = sides[::-1]
    return dict(zip(_SIDES, sides, strict=True))


def _spec(files, headers):
    is_deep = {header.kind for header in headers} - {"uint8", "bool"}
    return ImageSpec(_channels(files, headers), 16 if is_deep else 8)


def _channels(files, headers):
    counts = {header.channels for header in headers}
    if len(counts) == 1:
        count = counts.pop()
        if count == 2 or count > 64:
            raise ValueError(
                f"Images must have 1, 3, 4 or up to 64 channels. Received: {count} in "
                f"{files[0]}."
            )
        return count
    if counts <= {1, 3}:
        return 3
    first = {}
    for file, header in zip(files, headers, strict=True):
        first.setdefault(header.channels, file)
    named = ", ".join(f"{count} in {file}" for count, file in sorted(first.items()))
    raise ValueError(f"Images of one side must have equal channels. Received: {named}.")


def _with_range(spec, asked, files, headers):
    both = zip(files, headers, strict=True)
    of_kind = {"uint8" if h.kind == "bool" else h.kind: file for file, h in both}
    # Only transparency can have made a fourth channel of at most three.
    has_alpha = spec.channels == 4 and all(h.channels < 4 for h in headers)
    spec = dataclasses.replace(spec, has_alpha=has_alpha)
    kind = str(np.result_type(*of_kind))
    if kind == "uint16" and asked is None:
        both = zip(files, headers, strict=True)
        _warn_of_dark([file for file, header in both if header.kind == kind])
    spec = _of_kind(spec, asked, files, kind)
    if "uint8" in of_kind and not spec.takes_8_bits:
        # Files of 8 and of 16 bits alone go together.
        other = max(
            of_kind, key=lambda kind: (kind != "uint8") + (kind not in WHOLE_KINDS)
        )
        raise ValueError(
            f"Images of one side must not be of 8 bits and of {other} from {spec.low:g} "
            f"to {spec.high:g}. Received: {of_kind['uint8']} and {of_kind[other]}."
        )
    return spec


def _of_kind(spec, asked, files, kind):
    if kind in WHOLE_KINDS and asked in (None, "full"):
        return dataclasses.replace(spec, kind=kind)
    if asked not in (None, "full", "percentiles"):
        low, high = map(float, asked.split(","))
        return dataclasses.replace(spec, low=low, high=high, kind=kind)
    places = evenly(len(files), _SAMPLE)
    if asked == "full":
        places = range(len(files))
    values = [_some_values(files[place], asked == "full") for place in places]
    values = np.concatenate([each for each in values if each is not None] or [[]])
    if not (is_there := np.isfinite(values)).all():
        logging.warning(
            "*** %s: values are missing in some files (NaN, infinite, or GDAL's nodata). "
            "Training and metrics take the lowest of the range in their place. ***",
            files[0].parent,
        )
    values = values[is_there]
    if asked == "full":
        low, high = values.min(initial=np.inf), values.max(initial=-np.inf)
    else:
        low, high = np.percentile(values, _PERCENTILES) if len(values) else (0, 0)
    if not low < high:
        raise ValueError(
            f"{files[0].parent}: all values are equal, or none is finite; there is no "
            "range to train on."
        )
    return dataclasses.replace(spec, low=float(low), high=float(high), kind=kind)


def _warn_of_dark(files):
    """Values of 10 or 12 bits in files of 16 use a small part of their range."""
    places = evenly(len(files), 8)
    values = [_some_values(files[place], extremes_only=True) for place in places]
    values = [v[np.isfinite(v)] for v in values if v is not None]
    most = max((v.max() for v in values if len(v)), default=PEAK_16)
    if 0 < most < 2**14:
        logging.warning(
            "*** %s: files of 16 bits, whose largest value is %d. Training sees most of "
            "the range empty, and PSNR counts with 65535: --source_range or "
            "--target_range says what the range is, as 0,%d. ***",
            files[0].parent,
            most,
            2 ** int(np.ceil(np.log2(most + 1))) - 1,
        )


def _some_values(file, extremes_only):
    """Values of an image as float64 `[n]`: its extremes, or some that are spread.

    Missing ones are NaN: of extremes one, if there are any.
    """
    try:
        picture = image_files.read_raw(file)
    except image_files.ImageFileError:
        return None  # Opening it will tell.
    values, missing = picture.pixels.astype(np.float64).ravel(), picture.missing.ravel()
    values[missing] = np.nan
    if extremes_only:
        there = values[~missing]
        ends = [there.min(), there.max()] if len(there) else []
        return np.array([*ends, *[np.nan] * bool(missing.any())])
    return values[:: max(1, len(values) // 100_000)]
