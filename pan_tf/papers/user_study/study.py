"""A study: for each held-out source, which system's output is the best?

As in Sec. 4 of the Perceptual Discriminators paper, Table 1 (a): the source in the
middle, the systems' outputs around it in an order of chance, one is to be picked.

    <output_dir>/
      index.html    the page, which needs no network: hand this file, and no other, out
      key.json      which output is whose
      choices/      where the files go that the page gives its subjects to send back

The page knows no system: an output's id is drawn for it alone, and their order, like that
of the questions, is drawn anew in every browser.
"""

import dataclasses
import pathlib
import secrets

import numpy as np

from pan_tf import files
from pan_tf import image_files
from pan_tf import images
from pan_tf import inference
from pan_tf import pages
from pan_tf.evaluation import LIMIT
from pan_tf.evaluation import Inputs
from pan_tf.pages import pictures

# What fits around a source.
_MOST = 8


@dataclasses.dataclass(frozen=True)
class Study:
    """What people are shown.

    Attributes:
        names: of the sources.
        sources: uint8 `[N, H, W, 3]`.
        outputs: system -> uint8 `[N, H, W, 3]`, two to eight of them.
        prompt: what is asked.
    """

    names: tuple
    sources: np.ndarray
    outputs: dict
    prompt: str

    def __post_init__(self):
        _check_names(list(self.outputs))
        for name, pixels in self.outputs.items():
            if pixels.shape[:3] != self.sources.shape[:3]:
                raise ValueError(
                    f"Outputs must be as the sources are, {self.sources.shape}. "
                    f"Received: {pixels.shape} of {name}."
                )

    @classmethod
    def of_runs(
        cls,
        run_dirs=(),
        saved_models=(),
        folders=None,
        checkpoint=None,
        inverse=False,
        split=None,
        questions=30,
        seed=1,
        prompt="Which of the images around it is the best version of the one in the "
        "middle? Mind how real it looks, and that it is still the same.",
        interpolation=None,
        **changes,
    ):
        """Translates held-out sources by several systems.

        Args:
            run_dirs: run folders.
            saved_models: SavedModels.
            folders: name -> folder of a foreign system's outputs, image files whose
                names without their ending are those of the sources.
            checkpoint: "best" or "last", of the run folders; None: "best".
            inverse: whether to study the inverses, of cycles.
            split: name of the split; None for the test split, or the validation split.
            questions: sources that are drawn, at most.
            seed: of the draw.
            prompt: what is asked.
            interpolation: `dfi.Settings`, for deep feature interpolation too; or None.
            **changes: settings of the data, in place of the first run's.

        Raises:
            FileNotFoundError, OSError: if something is not there, or damaged.
            ValueError: if systems do not go together.
        """
        # One by one, so that a SavedModel of a batch of one will do.
        found = Inputs(
            run_dirs,
            saved_models,
            checkpoint,
            split,
            unpaired=True,
            batch_size=1,
            **changes,
        )
        extra = ["dfi"] if interpolation else []
        _check_names([*(folders or {}), *found.names, *extra])
        if interpolation:
            if found.split.synthesize:
                raise ValueError("--dfi knows no sources that are made of targets.")
            if found.data.train is None:
                raise ValueError(
                    "--dfi compares images to train on, and there are none in --data_dir="
                    f"{found.config.data_dir}."
                )
            if {spec.channels for spec in found.split.specs} != {3}:
                raise ValueError(
                    "--dfi looks through VGG, which takes RGB on both sides."
                )
            interpolation = interpolation.located()
        translators = found.translators
        if inverse:
            translators = [
                inference.Translator(t.path, checkpoint, inverse=True)
                for t in translators
            ]
        split, train = found.split, found.data.train
        if inverse:
            split, train = split.swapped(), train and train.swapped()
        count = min(questions, len(split.source))
        drawn = np.random.default_rng(seed).permutation(len(split.source))[:count]
        places = np.sort(drawn)
        listed, sources = split.source.subset(places), found.sources(split, places)
        outputs = {}
        for name, path in (folders or {}).items():
            outputs[name] = _read_folder(path, listed.names, found.geometry)
        for name, translator in zip(found.names, translators, strict=True):
            # At the scale that they are shown at, each by itself.
            made = [translator.translate(images.to_float(s[None])) for s in sources]
            outputs[name] = np.concatenate(made)
        if interpolation:
            outputs["dfi"] = found.interpolated(
                interpolation, train.at_most(LIMIT), listed
            )
        return cls(listed.names, sources, outputs, prompt)


def _check_names(names):
    if not 2 <= len(names) <= _MOST:
        raise ValueError(
            f"A study compares 2 to {_MOST} systems. Received: "
            f"{', '.join(names) or 'none'}."
        )
    if len(set(names)) < len(names):
        raise ValueError(f"System names must be unique. Received: {', '.join(names)}.")


def write_study(study, output_dir):
    """Writes the page and its key.

    Args:
        study: `Study`.
        output_dir: folder, empty or not there, or with a study that has no page yet.

    Raises:
        ValueError: if the folder holds files.
    """
    output_dir = pathlib.Path(output_dir)
    check_output_dir(output_dir)
    systems = list(study.outputs)
    # Drawn without a seed: the key of one study tells nothing of the next.
    ids = [secrets.token_hex(6) for _ in range(len(study.names) * len(systems))]
    key, questions = {}, []
    for number, name in enumerate(study.names):
        own = dict(zip(systems, ids[number * len(systems) :], strict=False))
        key[f"q{number}"] = {"source": name, "options": {own[s]: s for s in systems}}
        # Sorted by what says nothing.
        options = [
            {"id": own[s], "image": pictures.data_uri(study.outputs[s][number])}
            for s in sorted(systems, key=own.get)
        ]
        source = pictures.data_uri(study.sources[number])
        questions.append({"id": f"q{number}", "source": source, "options": options})
    digest = secrets.token_hex(6)
    page = pages.render(
        "user_study.html",
        {
            "study": {"id": digest, "questions": questions},
            "prompt": study.prompt,
            "shown_width": pictures.shown_width(study.sources.shape[2]),
        },
    )
    (output_dir / "choices").mkdir(parents=True, exist_ok=True)
    record = {"study": digest, "prompt": study.prompt, "systems": systems}
    record["questions"] = key
    files.write_json(output_dir / "key.json", record)
    files.write(output_dir / "index.html", page)


def check_output_dir(path):
    """Refuses a folder that holds files, but for what a command without an end has left.

    Raises:
        ValueError: as of `files.check_output_dir`.
    """
    folder = pathlib.Path(path)
    there = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    there = {name for name in there if not files.is_partial(name)}
    # All but the page, which is written last.
    is_begun = "choices" in there and there <= {"choices", "key.json"}
    if not is_begun or any((folder / "choices").iterdir()):
        files.check_output_dir(path)


def _read_folder(path, names, geometry):
    """The outputs of a foreign system, shown as the sources are, in their order."""
    found = {}
    for file in sorted(pathlib.Path(path).iterdir()):
        if image_files.is_image(file):
            if other := found.get(file.stem):
                raise ValueError(f"--outputs: {other} and {file} are of one source.")
            found[file.stem] = file
    # A name may have lost its ending already, and hold a dot of its own.
    stems = [n if n in found else pathlib.PurePath(n).stem for n in names]
    missing = [stem for stem in stems if stem not in found]
    if missing:
        raise FileNotFoundError(
            f"No image of {', '.join(missing[:5])} in {path}: outputs are named as the "
            f"sources of the study, {len(stems)} of them."
        )

    def shown(file):
        try:
            pixels = image_files.read_picture(file).pixels
        except image_files.ImageFileError as error:
            raise image_files.ImageFileError(f"{file} {error}") from error
        return images.to_uint8(geometry.centre((pixels,))[0])

    return np.stack([shown(found[stem]) for stem in stems])
