"""Several Ts that are measured together: which they are, and whether they go together."""

import hashlib
import os
import pathlib

from pan_tf import data
from pan_tf import inference


def load(run_dirs, saved_models, checkpoint):
    """A `Translator` of each, runs first.

    Raises:
        FileNotFoundError, OSError: if something is not there, or damaged.
        ValueError: if one is given as the other.
    """
    for path in saved_models:
        if not (pathlib.Path(path) / "saved_model.pb").is_file():
            raise FileNotFoundError(f"No saved_model.pb in {path}: not a SavedModel.")
    translators = [
        inference.Translator(path, checkpoint) for path in (*run_dirs, *saved_models)
    ]
    for translator in translators[: len(run_dirs)]:
        if translator.config is None:
            raise ValueError(
                f"--run_dir={translator.path} is a SavedModel: use --saved_model."
            )
    return translators


def check_dataset(run_dirs, changes):
    """Without a run somebody must say what the data are."""
    if not run_dirs and "dataset" not in changes:
        raise ValueError(
            "--dataset must be given where there is no run, which knows its data."
        )


def names_of(translators):
    """The last part of each path, or the whole path where that is not unique."""
    short = [t.path.resolve().name for t in translators]
    return [
        name if short.count(name) == 1 else str(t.path)
        for name, t in zip(short, translators, strict=True)
    ]


def check(translators, names, changes):
    """Runs of one report must see the same source images."""
    (first, config), *others = [
        (name, t.config) for name, t in zip(names, translators, strict=True) if t.config
    ] or [(None, None)]
    for name, other in others:
        for field, of in (
            ("dataset", lambda c: c.dataset),
            ("image_size", lambda c: c.image_size),
            ("direction", data.direction),
            ("synthesize", lambda c: c.synthesize),
            ("attribute", lambda c: c.attribute),
        ):
            if field not in changes and of(config) != of(other):
                raise ValueError(
                    f"Runs to compare must have one --{field}, or the flag must be "
                    f"given. Received: {of(config)} in {first}, {of(other)} in {name}."
                )
    if len(set(names)) < len(names):
        raise ValueError(f"Each run once. Received: {', '.join(names)}.")


def check_shapes(translators, image_size, batch_size):
    """A SavedModel may have been exported for one size, or one batch."""
    for translator in translators:
        only = translator.field.size if translator.field else None
        if only not in (None, image_size):
            raise ValueError(
                f"--image_size must be that of {translator.path}, {only}. "
                f"Received: image_size={image_size}."
            )
        if translator.shape is None:
            continue
        batch, height, width = translator.shape[:3]
        if {height, width} - {None, image_size}:
            raise ValueError(
                f"--image_size must be that of {translator.path}, {height} x {width}. "
                f"Received: image_size={image_size}."
            )
        if batch is not None and (batch != 1 or batch_size != 1):
            raise ValueError(
                f"{translator.path} takes batches of {batch}; it must take any, or 1 "
                f"with --batch_size=1. Received: batch_size={batch_size}."
            )


def default_output_dir(translators, names, opened, images, image_size, suffix=""):
    """A folder in the only run, or beside the first of several."""
    first = translators[0]
    what = "-".join(
        [
            opened.name,
            images.split,
            opened.direction,
            *([opened.synthesized] if opened.synthesized else []),
            str(image_size),
            _short(opened.fingerprint) + suffix,
        ]
    )
    if len(translators) > 1:
        names = "-".join(names).replace(os.sep, "_")
        if len(names) > 100:
            names = _short(names)
        return first.path.parent / f"comparison-{names}-{what}"
    if first.config is None:
        # A SavedModel may be served from where it lies; nothing is put into it.
        return first.path.parent / f"evaluation-{first.path.name}-{what}"
    kind, iteration = first.checkpoint["kind"], first.checkpoint["iteration"]
    return first.path / "evaluation" / f"{what}-{kind}-{iteration}"


def _short(text):
    """Six digits that stand for a text in a file name."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]
