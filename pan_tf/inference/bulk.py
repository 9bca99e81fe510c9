"""A job's files by Apache Beam: in several processes, or on machines that share a disk.

The pipeline is Beam's RunInference over the job's files, each of which a worker reads,
translates and writes as `Work` does in this process; so outputs are the same files. Where
it runs is Beam's to say: Flink, Spark, Dataflow, or processes of this machine.
"""

import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import tempfile

from pan_tf import files
from pan_tf import printing
from pan_tf.inference.work import Outcome
from pan_tf.inference.work import Work

try:
    import apache_beam as beam
    from apache_beam.ml.inference.base import ModelHandler
    from apache_beam.ml.inference.base import RunInference
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
except ImportError as error:
    raise ImportError(
        f"--runner takes the package apache-beam: pip install 'pan_tf[beam]'. ({error})"
    ) from None

FAILURES = "failures.tsv"
_DIRECT = "direct"


@dataclasses.dataclass(frozen=True)
class Engine:
    """What runs a pipeline.

    Attributes:
        runner: "direct", processes of this machine; or the name of a Beam runner.
        workers: processes of "direct"; None: one a core.
        options: of Beam, as on its command line.

    Raises:
        ValueError: if workers are given to another runner than "direct".
    """

    runner: str
    workers: int | None = None
    options: str = ""

    def __post_init__(self):
        if self.workers is not None and self.runner != _DIRECT:
            raise ValueError(
                f"--workers goes with --runner={_DIRECT}; of another runner "
                "--beam_options say how many. Received: "
                f"runner={self.runner}, workers={self.workers}."
            )

    def run(self, job, made, tile_size=None):
        """Translates every file of a job.

        Args:
            job: `TranslationJob`, whose places every worker sees.
            made: function without arguments that gives the `Translator`; workers get it
                pickled.
            tile_size: as in a call of a `Translator`.

        Returns:
            `Outcome`, whose paths are absolute. Inputs without an output are also lines
            of `failures.tsv` where the outputs are: path, tab, sentence.

        Raises:
            FileExistsError: if there is such a file, and the job is to fail then.
        """
        is_one_file = any(target == job.output for _, target, _ in job.targets)
        folder = job.output.parent if is_one_file else job.output
        failures = folder / FAILURES
        if failures.exists() and job.existing == "fail":
            raise FileExistsError(
                f"{failures} is there already. Choose another --output, or "
                "--existing=skip or --existing=overwrite."
            )
        folder.mkdir(parents=True, exist_ok=True)
        outcome = job.begun()
        place = pathlib.Path(tempfile.mkdtemp(prefix=".outcomes-", dir=folder))
        try:
            self._translate(job, _Handler(made, tile_size, job.existing), place)
            found = dict(
                json.loads(line)
                for path in place.iterdir()
                for line in path.read_text("utf-8").splitlines()
            )
        finally:
            shutil.rmtree(place, ignore_errors=True)
        for number in range(len(job.targets)):
            outcome.add(Outcome.from_json(found[number]))
        _write_failures(failures, outcome.failures)
        return outcome

    def _translate(self, job, handler, place):
        """Runs the pipeline; what became of each file is a line of JSON in a folder."""
        runner, given = self.runner, shlex.split(self.options)
        if runner == _DIRECT:
            workers = self.workers or len(os.sched_getaffinity(0))
            runner = FnApiRunner()
            given += [f"--direct_num_workers={workers}"]
            given += ["--direct_running_mode=multi_processing"]
        items = [
            (number, *map(_absolute, places), format)
            for number, (*places, format) in enumerate(job.targets)
        ]
        with beam.Pipeline(runner, PipelineOptions(given)) as pipeline:
            _ = (
                pipeline
                | "files" >> beam.Create(items)
                | "spread" >> beam.Reshuffle()
                | "translate" >> RunInference(handler)
                | "outcomes" >> beam.Map(json.dumps)
                | "write" >> beam.io.WriteToText(str(place / "part"))
            )


class _Handler(ModelHandler):
    """`Work` as RunInference has models: loaded once a process."""

    def __init__(self, made, tile_size, existing):
        super().__init__()
        self._made, self._tile_size, self._existing = made, tile_size, existing

    def load_model(self):
        return Work(self._made(), self._tile_size, self._existing)

    def run_inference(self, batch, model, inference_args=None):
        """For each (number, paths as bytes, format): (number, `Outcome` as JSON)."""
        for number, *paths, format in batch:
            item = *(pathlib.Path(os.fsdecode(path)) for path in paths), format
            yield number, model(item).to_json()


def _absolute(path):
    """As bytes, for names need not be UTF-8; workers may be in another folder."""
    return os.fsencode(os.path.abspath(path))


def _write_failures(path, failures):
    if not failures:
        path.unlink(missing_ok=True)
        return
    lines = ["\t".join(map(printing.one_line, failure)) for failure in failures]
    files.write(path, "".join(f"{line}\n" for line in lines))
