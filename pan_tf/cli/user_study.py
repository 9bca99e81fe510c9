"""Asks people which system's output is best: makes a blind page, and scores it.

    pan-tf user_study --run_dir=runs/a --run_dir=runs/b --output_dir=study
    pan-tf user_study --score=study

The page, study/index.html, needs no network: hand that file, and no other, to your
subjects. The files it gives them go into study/choices/. study/key.json says which output
is whose.
"""

import dataclasses
import pathlib
import sys

from pan_tf import paths
from pan_tf.cli import shared
from pan_tf.paths import place
from pan_tf.settings import Settings
from pan_tf.settings import setting
from pan_tf.size import Size


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Settings):
    """What the flags say."""

    score: str | None = setting(None, "Folder of a study to score.", parse=place)
    output_dir: str | None = setting(None, "Where to write a new study.", parse=place)
    run_dir: tuple[str, ...] = setting(
        (), "Run folder of a system.", repeated=True, parse=place
    )
    saved_model: tuple[str, ...] = setting(
        (), "SavedModel of a system.", repeated=True, parse=place
    )
    outputs: tuple[str, ...] = setting(
        (),
        "A system from elsewhere: NAME=FOLDER of its outputs, image files named as "
        "the sources of the study.",
        repeated=True,
    )
    dfi: bool = setting(False, "Deep feature interpolation as one more system.")
    vgg: str | None = shared.DFI_VGG
    vgg_weights: str | None = setting(None, "As of train.", parse=place)
    checkpoint: str | None = shared.CHECKPOINT
    inverse: bool = setting(False, "Ask about the inverse of cycles.")
    questions: int | None = setting(None, "Sources that are drawn; empty: 30.", minimum=1)
    seed: int | None = setting(None, "Seed of the draw; empty: 1.", minimum=0)
    prompt: str | None = setting(None, "What is asked; empty: which is best.")
    dataset: str | None = shared.DATASET
    data_dir: str | None = shared.DATA_DIR
    download: bool = shared.DOWNLOAD
    split: str | None = shared.SPLIT
    image_size: Size | None = shared.IMAGE_SIZE
    direction: str | None = shared.DIRECTION
    synthesize: str | None = shared.SYNTHESIZE
    attribute: str | None = shared.ATTRIBUTE

    def __post_init__(self):
        super().__post_init__()
        if (self.score is None) == (self.output_dir is None):
            raise ValueError(
                "Either --output_dir, to make a study, or --score, to score one."
            )
        for name in self.names() if self.score else ():
            if name != "score" and getattr(self, name) != getattr(type(self), name):
                raise ValueError(f"--{name} makes a study; it does not go with --score.")
        for name in () if self.dfi else ("vgg", "vgg_weights"):
            if getattr(self, name) is not None:
                raise ValueError(f"--{name} goes with --dfi.")


# What `Study.of_runs` takes in another form, or not at all.
_OTHERWISE = {"score", "output_dir", "run_dir", "saved_model", "outputs", "dfi"}
_DFI = {"vgg", "vgg_weights"}


def main(options):
    from pan_tf.image_files import ImageFileError
    from pan_tf.inference.work import REFUSALS

    try:
        _score(options.score) if options.score else _make(options)
    except (*REFUSALS, ImageFileError) as error:
        sys.exit(f"\n{error}")


def _make(options):
    from pan_tf.papers import dfi
    from pan_tf.papers import user_study

    settings = shared.given(options, {*options.names()} - _OTHERWISE - _DFI)
    if options.dfi:
        through = shared.given(options, _DFI)
        settings["interpolation"] = dfi.Settings(**through)
    user_study.check_output_dir(options.output_dir)
    study = user_study.Study.of_runs(
        options.run_dir, options.saved_model, _folders(options.outputs), **settings
    )
    user_study.write_study(study, options.output_dir)
    page = pathlib.Path(options.output_dir) / "index.html"
    print(f"{len(study.names)} questions on {', '.join(study.outputs)}: {page}")


def _folders(named):
    folders = {}
    for text in named:
        name, _, path = text.partition("=")
        path = path and paths.named("outputs", path)
        if not (name and path and path.is_dir()) or name in folders:
            raise ValueError(
                "--outputs must be NAME=FOLDER, each name once, the folder there. "
                f"Received: outputs={text!r}."
            )
        folders[name] = path
    return folders


def _score(study_dir):
    from pan_tf.papers import user_study

    results = user_study.score(study_dir)
    print(
        f"{results['answers']} answers of {results['subjects']} subjects; by chance each "
        f"would be picked {results['chance']:.0%} of the time. Share [95 % interval]:"
    )
    for name, row in results["systems"].items():
        interval = "[{:.1%}, {:.1%}]".format(*row["ci95"]) if row["ci95"] else ""
        print(f"    {name:30}{row['share']:6.1%}  {interval}".rstrip())
    best = next(iter(results["systems"]))
    if results["answers"] < user_study.FEWEST:
        print(
            f"So few answers do not say who is ahead: at least {user_study.FEWEST} are "
            "needed."
        )
        return
    for name, lead in results["leads"].items():
        low, high = lead["ci95"]
        surely = "surely ahead of" if low > 0 else "not surely ahead of"
        print(f"{best} is {surely} {name}: {lead['mean']:+.1%} [{low:+.1%}, {high:+.1%}]")
