"""The commands as functions: `pan_tf.train`, `evaluate`, `translate`, and `Run`.

    run = pan_tf.train(recipe="pan_fast", data_dir="pairs", image_size=128)
    run.history["val_psnr"]
    run.evaluate()
    run.translator(pixels)
    run.export("exported/mine")

Settings are the commands' flags. What is wrong raises an exception, whose message names
the flag. (`pan_tf.export` is the package of that name, which can be called.)
"""

import difflib
import functools
import html
import os
import pathlib
from collections.abc import Iterable

import numpy as np
from PIL import Image

from pan_tf import bundled
from pan_tf import dry_run
from pan_tf import files
from pan_tf import flagfiles
from pan_tf import habits
from pan_tf import paths
from pan_tf import printing
from pan_tf import runtime
from pan_tf.config import Config
from pan_tf.evaluation import Evaluation
from pan_tf.evaluation import spread
from pan_tf.evaluation import text
from pan_tf.export import export
from pan_tf.inference import Outcome
from pan_tf.inference import Translator
from pan_tf.inference import translate_files
from pan_tf.pages import pictures
from pan_tf.papers import dfi as dfi_
from pan_tf.runs import training
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.history import History
from pan_tf.settings import whole_number


@printing.sturdy()
def train(task: str | None = None, **settings) -> "Run | None":
    """Trains a system, or goes on with a run; the command `pan-tf train`.

    Interrupt it (in a notebook: the cell) and it saves and returns; the same call goes on
    from there.

    Args:
        task: name of a flagfile that comes with pan_tf, such as "aerial2map".
        **settings: of `Config`; they win over the task's.

    Returns:
        `Run`; None with `dry_run`, which measures some rounds and prints what it found.

    Raises:
        KeyboardInterrupt: if it was interrupted before there was anything to save.
        DatasetNotFoundError, WeightsNotFoundError: if there are no data, or no weights.
        NonFiniteError: if training diverged.
        OSError, ValueError: if the data or a setting cannot be used.
        RunFolderError: if the run folder belongs to another run, or is in use.
    """
    for name in settings:
        if name not in Config.names():
            raise ValueError(_unknown(name, settings))
    if task is None:
        config = Config(**settings)
    elif task in bundled.tasks():
        flags = flagfiles.read(Config, bundled.folder("configs") / f"{task}.cfg")
        config = flags.replace(**settings)
    else:
        raise ValueError(
            f"`task` must be one of: {', '.join(bundled.tasks())}. "
            f"Received: task={task!r}."
        )
    with runtime.under_policy(), training.StopRequest().listening() as stop:
        run = training.Training(config, stop)
        if config.dry_run:
            dry_run.report(run)
            return None
        try:
            run.run()
        except KeyboardInterrupt:
            if not run.folder.has_checkpoint():
                raise  # There is nothing yet.
            print("Interrupted; what was trained is saved.", flush=True)
    return Run(run.folder.path)


def _unknown(name, settings):
    """The message for a setting that does not exist."""
    known = difflib.get_close_matches(name, Config.names(), 1)
    guess = f" Did you mean: {known[0]}?" if known else ""
    arguments = [f"--{key}={value}" for key, value in settings.items()]
    said = habits.hint(name, arguments, Config.names())
    return said or f"There is no setting {name!r}.{guess}"


@printing.sturdy()
def evaluate(
    run_dir=(),
    saved_model=(),
    *,
    unaligned: bool | None = None,
    checkpoint: str | None = None,
    dataset: str | None = None,
    data_dir=None,
    download: bool = True,
    split: str | None = None,
    image_size=None,
    preprocess: str | None = None,
    direction: str | None = None,
    synthesize: str | None = None,
    attribute: str | None = None,
    output_dir=None,
    rank_by: str | None = None,
    batch_size: int | None = None,
    metrics=(),
    vgg_weights=None,
    metric_weights=None,
    limit: int | None = None,
    seeds: int | None = None,
    epochs: int | None = None,
    dfi: bool | dfi_.Settings = False,
    runner: str | None = None,
    workers: int | None = None,
    beam_options: str = "",
) -> "Report":
    """Measures Ts on held-out images and writes a report; the command `pan-tf evaluate`.

    Args:
        run_dir: run folder, or a list of several to compare them.
        saved_model: SavedModel, or a list.
        dfi: whether to measure deep feature interpolation too; or its settings.
        unaligned, checkpoint, ...: the command's flags of these names.

    Returns:
        `Report`.

    Raises:
        As `evaluation.Evaluation`.
        ImportError: if `runner` is given, and Beam, an extra, is not installed.
        ValueError: if `runner` is given, and images are judged together.
    """
    counts = {"batch_size": batch_size, "limit": limit, "seeds": seeds, "epochs": epochs}
    for name, count in counts.items():
        if count is not None:
            whole_number(name, count, minimum=1)
    if not isinstance(unaligned, bool | None):
        raise ValueError(
            f"`unaligned` must be true, false or None. Received: unaligned={unaligned!r}."
        )
    if data_dir is not None:
        data_dir = paths.named("data_dir", data_dir)
    if not isinstance(dfi, bool | dfi_.Settings | None):
        raise ValueError(
            f"`dfi` must be true, false or its settings. Received: dfi={dfi!r}."
        )
    beam = engine(runner, workers, beam_options)
    chosen = dfi_.Settings() if dfi is True else dfi or None
    runs, models = _listed(run_dir), _listed(saved_model)
    made = functools.partial(
        Evaluation,
        runs,
        models,
        checkpoint=checkpoint,
        split=split,
        output_dir=output_dir,
        rank_by=rank_by,
        metrics=metrics,
        vgg_weights=vgg_weights,
        metric_weights=metric_weights,
        limit=limit,
        seeds=seeds,
        epochs=epochs,
        dfi=chosen,
        unpaired=unaligned,
        dataset=dataset,
        data_dir=data_dir and os.fspath(data_dir),
        download=download,
        image_size=image_size,
        preprocess=preprocess,
        direction=direction,
        synthesize=synthesize,
        attribute=attribute,
        batch_size=batch_size,
    )
    evaluation = made()
    measured = beam and spread.measurer(beam, made, evaluation)
    found = evaluation.run(measured=measured)
    return Report(found, evaluation.output_dir / "index.html")


@printing.sturdy()
def translate(
    run_dir=None,
    saved_model=None,
    *,
    input,
    output,
    checkpoint: str | None = None,
    inverse: bool = False,
    scale=None,
    tile_size: int | None = None,
    format: str = "png",
    existing: str = "fail",
    runner: str | None = None,
    workers: int | None = None,
    beam_options: str = "",
) -> Outcome:
    """Translates a file, or a folder of files; the command `pan-tf translate`.

    Args:
        run_dir: run folder; or
        saved_model: SavedModel.
        input, output: a file, or a folder.
        checkpoint, inverse, scale: as of `Translator`.
        tile_size: as in a call of a `Translator`.
        format: "png", or "input", each file's own.
        existing: "fail", "skip" or "overwrite", where an output is there already.
        runner, workers, beam_options: as of `inference.bulk.Engine`; None: this process
            translates.

    Returns:
        `inference.Outcome`; what failed is in it.

    Raises:
        OSError, ValueError: if there is nothing to translate, or nothing to do it with.
    """
    if format not in ("png", "input"):
        raise ValueError(
            f"--format must be one of: png, input. Received: format={format!r}."
        )
    if (run_dir is None) == (saved_model is None):
        raise ValueError("Either --run_dir or --saved_model must name what translates.")
    flag = "saved_model" if run_dir is None else "run_dir"
    path = paths.named(flag, run_dir or saved_model)
    beam = engine(runner, workers, beam_options)
    if beam:
        path = path.absolute()
    made = functools.partial(Translator, path, checkpoint, inverse=inverse, scale=scale)
    return translate_files(
        made, input, output, tile_size, format == "input", existing, beam
    )


def engine(runner=None, workers=None, beam_options=""):
    """`inference.bulk.Engine` of these flags; None without a runner.

    Raises:
        ImportError: if Beam, an extra, is not installed.
        ValueError: if they do not go together.
    """
    if runner is None:
        if workers is not None or beam_options:
            raise ValueError("--workers and --beam_options go with --runner.")
        return None
    from pan_tf.inference.bulk import Engine  # An extra, and heavy.

    return Engine(runner, workers, beam_options)


class Run:
    """A run folder: what was trained, and what can be done with it.

    Args:
        run_dir: its path.

    Attributes:
        path: `pathlib.Path`.

    Raises:
        FileNotFoundError: if it is none.
    """

    def __init__(self, run_dir):
        self.path = paths.named("run_dir", run_dir)
        self._folder = RunFolder(self.path)
        if not self._folder.is_run():
            raise FileNotFoundError(f"No run.cfg in {self.path}: not a run folder.")

    def __fspath__(self):
        """Its path: a run is taken wherever a run folder is."""
        return os.fspath(self.path)

    @property
    def config(self) -> Config:
        """Its settings."""
        return self._folder.config()

    @property
    def history(self) -> History:
        """What it logged."""
        return History(self._folder.read_metrics())

    @property
    def warnings(self) -> list[str]:
        """What the guards said of it."""
        return self._folder.warnings()

    @property
    def result(self) -> dict | None:
        """What result.json holds: last, best, baselines; None before its end."""
        return files.read_json(self.path / "result.json")

    @property
    def picture(self) -> Image.Image | None:
        """Source, output and target of a few held-out images, as of now; or None."""
        made = [self.path / "result.png", *sorted(self.path.glob("samples/*.png"))[::-1]]
        found = next((path for path in made if path.exists()), None)
        return None if found is None else Image.open(found)

    @functools.cached_property
    def translator(self) -> Translator:
        """The best T, or the last where none was chosen; loaded once."""
        return Translator(self.path)

    def evaluate(self, **settings) -> "Report":
        """Measures it on held-out images; as `pan_tf.evaluate`."""
        return evaluate(self.path, **settings)

    def translate(self, input, output, **settings) -> Outcome:
        """Translates files; as `pan_tf.translate`."""
        return translate(self.path, input=input, output=output, **settings)

    def export(self, export_dir, **settings) -> pathlib.Path:
        """Writes the next version of a model for TF Serving; as `pan_tf.export`."""
        return export(self.path, export_dir, **settings)

    def __repr__(self):
        rows = self.history.rows
        reached = rows[-1]["iteration"] if rows else 0
        config = self.config
        return (
            f"<Run {self.path}: {config.recipe} on {config.dataset}, iteration {reached} "
            f"of {config.iterations}>"
        )

    def _repr_html_(self):
        picture, result = self.picture, self.result
        shown = "" if picture is None else _inline(picture)
        said = "".join(f"<p>{html.escape(warning)}</p>" for warning in self.warnings)
        table = ""
        if result:
            rows = {
                name: result[name]["metrics"]
                for name in ("last", "best")
                if name in result
            }
            rows |= {f"baseline: {k}": v for k, v in result["baselines"].items()}
            table = _table(rows, lambda value: f"{value:.4g}")
        return f"<p>{html.escape(repr(self))}</p>{shown}{table}{said}"


class Report:
    """What an evaluation found.

    Args:
        record: what metrics.json holds.
        path: of the page.

    Attributes:
        record: as given.
        path: index.html; beside it metrics.json and per_image.csv.
    """

    def __init__(self, record, path):
        self.record, self.path = record, pathlib.Path(path)

    @property
    def metrics(self) -> dict:
        """metric -> mean of the only run; of several, run -> metric -> mean.

        Without pairs these are of each direction: direction -> ...
        """
        if "directions" in self.record:
            parts = self.record["directions"].items()
            return {direction: _of_runs(part) for direction, part in parts}
        return _of_runs(self.record)

    def __repr__(self):
        return "\n".join([*text.lines(self.record), f"Report: {self.path}"]).lstrip()

    def _repr_html_(self):
        return f"<pre>{html.escape(repr(self))}</pre>"


def _listed(paths):
    if paths is None:
        return []
    if isinstance(paths, str | os.PathLike) or not isinstance(paths, Iterable):
        return [paths]
    return list(paths)


def _of_runs(found):
    if "runs" not in found:
        return _means(found["metrics"])
    return {name: _means(run["metrics"]) for name, run in found["runs"].items()}


def _means(metrics):
    return {name: value["mean"] for name, value in metrics.items()}


def _inline(picture):
    """A picture as notebooks show it, whatever becomes of its file."""
    uri = pictures.data_uri(np.asarray(picture))
    return f'<img src="{uri}" style="max-width: 100%">'


def _table(rows, text):
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", *columns))
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>"
        + "".join(f"<td>{text(row[c]) if c in row else ''}</td>" for c in columns)
        + "</tr>"
        for name, row in rows.items()
    )
    return f"<table><tr>{head}</tr>{body}</table>"
