"""Work by Apache Beam: in several processes, or on machines that share a disk.

The pipeline is Beam's RunInference over items: a job's files, each of which a worker
reads, translates and writes as `Work` does in this process, so that outputs are the same
files; or an evaluation's pairs (`evaluation.spread`). Where it runs is Beam's to say:
Flink, Spark, Dataflow, or processes of this machine.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import logging
import os
import pathlib
import re
import shlex
import shutil
import sys
import threading
import uuid

from absl import logging as absl_logging

from pan_tf import files
from pan_tf import printing
from pan_tf.inference.work import Outcome
from pan_tf.inference.work import Work
from pan_tf.inference.work import tried

_disabled = logging.root.manager.disable
logging.disable(logging.WARNING)  # Beam misses what nobody here has asked for.
try:
    import apache_beam as beam
    from apache_beam.ml.inference.base import ModelHandler
    from apache_beam.ml.inference.base import RunInference
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.portability.api import beam_provision_api_pb2
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.runners.portability.fn_api_runner import fn_runner
except ImportError as error:
    raise ImportError(
        f"--runner takes the package apache-beam: pip install 'pan_tf[beam]'. ({error})"
    ) from None
finally:
    logging.disable(_disabled)

FAILURES = "failures.tsv"
_DIRECT = "direct"
_OURS = "--direct_num_workers", "--direct_running_mode"  # What "direct" sets itself.
_OUTCOMES = "outcomes-"  # Folders that results are gathered in.
_STALE = 86400.0  # Seconds without a result: nobody works there any more.


@dataclasses.dataclass(frozen=True)
class Engine:
    """What runs a pipeline.

    Attributes:
        runner: "direct", processes of this machine; or the name of a Beam runner.
        workers: processes of "direct"; None: one a core.
        options: of Beam, as on its command line.

    Raises:
        ValueError: if workers are given to another runner than "direct", or Beam does
            not know the runner or an option.
    """

    runner: str
    workers: int | None = None
    options: str = ""

    def __post_init__(self):
        if self.runner.lower() == _DIRECT:  # Beam knows its own runners in any case.
            object.__setattr__(self, "runner", _DIRECT)
        if self.workers is not None and self.runner != _DIRECT:
            raise ValueError(
                f"--workers goes with --runner={_DIRECT}; of another runner "
                "--beam_options say how many. Received: "
                f"runner={self.runner}, workers={self.workers}."
            )
        _check_options(self.options, self.runner == _DIRECT)
        try:
            _runner(self.runner)
        except (ImportError, ValueError) as error:
            raise ValueError(
                f"--runner must be {_DIRECT}, or one of Beam's. Received: "
                f"runner={self.runner}: {error}"
            ) from None

    def __str__(self):
        if self.runner != _DIRECT:
            return self.runner
        count = self.workers or os.cpu_count()
        return f"{count} process{'es' * (count != 1)}"

    def run(self, job, made, translator, tile_size=None):
        """Translates every file of a job.

        Args:
            job: `TranslationJob`, whose places every worker sees.
            made: function without arguments that gives the `Translator`; workers get it
                pickled.
            translator: what it gave here. A worker that gets another T translates
                nothing: a folder is one T's.
            tile_size: as in a call of a `Translator`.

        Returns:
            `Outcome`, whose paths are absolute. Inputs of a folder that have no output
            are also lines of its `failures.tsv`: path, tab, sentence.
        """
        outcome = job.begun()
        outcome.failures = [(_absolute(path), said) for path, said in outcome.failures]
        folder = _absolute(job.output.parent if _is_one_file(job) else job.output)
        # As bytes, since names need not be UTF-8.
        items = [
            (*(os.fsencode(_absolute(path)) for path in places), format)
            for *places, format in job.targets
        ]
        work = functools.partial(
            _translation, made, translator.digest(), tile_size, job.existing
        )
        results = self.each(items, work, folder)
        for (source, *_), found in zip(items, results, strict=True):
            if found is None:
                said = f"no word of it: has the disk of {folder} room?"
                failed = pathlib.Path(os.fsdecode(source)), said
                outcome.failures.append(failed)
            else:
                outcome.add(Outcome.from_json(found))
        if not _is_one_file(job):
            _write_failures(folder / FAILURES, outcome.failures)
        return outcome

    def each(self, items, made, folder):
        """What a function gives of each item.

        Args:
            items: list of what pickles.
            made: function without arguments that gives the function, of an item to what
                JSON can hold; workers get it pickled, and call it once a process.
            folder: which every worker sees; results are gathered in one inside it, whose
                name is that of a partial file.

        Returns:
            List in the order of the items; None where the disk had no room for a result.

        Raises:
            TroubleError: if there is no result, or Beam fails; the message is Beam's.
        """
        stale = files.partial(_absolute(folder), f"{_OUTCOMES}*")
        files.remove_stale(stale.parent.glob(stale.name), _STALE)
        is_new = not _absolute(folder).exists()
        # Workers of other users write here too: no `mkdtemp`.
        place = files.partial(_absolute(folder), f"{_OUTCOMES}{uuid.uuid4().hex}")
        place.mkdir(parents=True)
        try:
            self._run(items, _Handler(made), place)
            found = {}
            for path in place.iterdir():
                with open(path, encoding="ascii") as lines:
                    # A worker that was lost may have left half a line.
                    whole = (line for line in lines if line.endswith("\n"))
                    found.update(map(json.loads, whole))
        finally:
            shutil.rmtree(place, ignore_errors=True)
            if is_new:
                with contextlib.suppress(OSError):  # Where there is something in it.
                    _absolute(folder).rmdir()
        if items and not found:
            raise files.TroubleError(
                f"No result is in {place}: do all workers see that folder, and has its "
                "disk room?"
            )
        return [found.get(number) for number in range(len(items))]

    def check(self, job):
        """Raises FileExistsError if a user's own file stands where failures would."""
        path = job.output / FAILURES
        if not _is_one_file(job) and path.exists() and not _is_ours(path):
            raise FileExistsError(
                f"{path} is there already, and is no list of failures. Choose another "
                "--output."
            )

    def _run(self, items, handler, place):
        """Runs the pipeline; what becomes of each item is a line of JSON in a folder."""
        given = shlex.split(self.options)
        if self.runner == _DIRECT:
            set_here = self.workers or os.cpu_count(), "multi_processing"
            given += map("=".join, zip(_OURS, map(str, set_here), strict=True))
        try:
            with (
                _ending_with_workers(place),
                beam.Pipeline(_runner(self.runner), PipelineOptions(given)) as pipeline,
            ):
                _ = (
                    pipeline
                    | "items" >> beam.Create(list(enumerate(items)))
                    | "spread" >> beam.Reshuffle()
                    | "work" >> RunInference(handler)
                    | "keep" >> beam.ParDo(_Keep(os.fsencode(place)))
                )
        # Whatever Beam, its runner, or a server of that runner has for an error.
        except Exception as error:
            said = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise files.TroubleError(
                f"--runner={self.runner}: {said[-1] if said else type(error).__name__}"
            ) from error


@contextlib.contextmanager
def _ending_with_workers(place):
    """Context in which a lost process of "direct" ends the command.

    Beam's thread that started it raises, and Beam waits for its results for ever.
    """
    before = threading.excepthook

    def tell(found):
        if getattr(found.thread, "name", None) != "run_worker":
            before(found)
            return
        shutil.rmtree(place, ignore_errors=True)
        is_killed = re.search(r"\b(-9|137)\b", str(found.exc_value))
        sentence = (
            f"\nA worker process is lost ({found.exc_value})"
            + (": was there too little memory?" if is_killed else ".")
            + " What is written stays; the same command goes on with --existing=skip"
            + ("; fewer --workers need less." if is_killed else ".")
        )
        print(sentence, file=sys.stderr, flush=True)
        os._exit(1)  # Nothing stops Beam's own threads.

    threading.excepthook = tell
    try:
        yield
    finally:
        threading.excepthook = before


def _translation(made, digest, tile_size, existing):
    """A function of (paths as bytes, format) that gives an `Outcome` as JSON."""
    # Engines repeat what a lost worker may have written: that is no other's file.
    existing = "overwrite" if existing == "fail" else existing

    def work():
        translator = made()
        if translator.digest() != digest:
            raise ValueError(
                "another T is there by now than the command began with. Has its training "
                "gone on?"
            )
        return Work(translator, tile_size, existing)

    worker, failure = tried(work)

    def translated(item):
        *places, format = item
        source, target = (pathlib.Path(os.fsdecode(path)) for path in places)
        if failure:
            return Outcome(failures=[(source, failure)]).to_json()
        return worker((source, target, format)).to_json()

    return translated


class _Handler(ModelHandler):
    """A function of items as RunInference has models: made once a process."""

    def __init__(self, made):
        super().__init__()
        self._made = made

    def load_model(self):
        return self._made()

    def run_inference(self, batch, model, inference_args=None):
        """For each (number, item): number and what the function gives, as JSON."""
        for number, item in batch:
            yield json.dumps((number, model(item)))


class _Keep(beam.DoFn):
    """Writes lines into a file of its own in a folder.

    Beam's own writer takes a folder's name for a pattern. A line that the disk has no
    room for is missing, which the command tells: it is no reason to end the others.
    """

    def __init__(self, folder):
        self._folder = folder

    def setup(self):
        self._path = os.path.join(self._folder, uuid.uuid4().hex.encode())

    def process(self, line):
        whole = f"{line}\n".encode("ascii")
        with contextlib.suppress(OSError), open(self._path, "ab", buffering=0) as found:
            begin = found.tell()
            if found.write(whole) < len(whole):
                found.truncate(begin)


def _runner(name):
    """A Beam runner; "direct" is the one that has processes of its own.

    Their log is ours to choose: Beam does not hand a pipeline's options on to them.
    """
    if name != _DIRECT:
        return beam.runners.create_runner(name)
    level = "INFO" if absl_logging.level_info() else "ERROR"
    logging.getLogger("apache_beam").setLevel(level)
    found = beam_provision_api_pb2.ProvisionInfo(retrieval_token="unused")
    found.pipeline_options["beam:option:default_sdk_harness_log_level:v1"] = level
    return FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(found))


class _Parser(argparse.ArgumentParser):
    """One that raises where argparse would print its usage and leave."""

    def error(self, message):
        raise ValueError(message)


def _check_options(options, is_direct):
    """Raises ValueError, naming the flag, for what Beam does not know, or would drop."""
    parser = _Parser(add_help=False, allow_abbrev=False, conflict_handler="resolve")
    for kind in PipelineOptions.__subclasses__():
        kind._add_argparse_args(parser)
    try:
        _, unknown = parser.parse_known_args(shlex.split(options))
    except ValueError as error:
        raise ValueError(f"--beam_options: {error}. Received: {options!r}.") from None
    if unknown:
        raise ValueError(f"--beam_options: Beam does not know {' '.join(unknown)}.")
    names = {given.partition("=")[0] for given in shlex.split(options)}
    if ours := names & set(_OURS) if is_direct else None:
        raise ValueError(
            f"--beam_options: {', '.join(sorted(ours))} is not for --runner={_DIRECT}, "
            "which has processes: --workers says how many."
        )


def _is_one_file(job):
    return any(target == job.output for _, target, _ in job.targets)


def _is_ours(path):
    """Whether a file is a list of failures: an absolute path and a sentence a line."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return all(line.count("\t") == 1 and os.path.isabs(line) for line in lines)


def _absolute(path):
    """For workers in another folder."""
    return pathlib.Path(os.path.abspath(path))


def _write_failures(path, failures):
    if not failures:
        path.unlink(missing_ok=True)
        return
    lines = ["\t".join(map(printing.one_line, failure)) for failure in failures]
    files.write(path, "".join(f"{line}\n" for line in lines))
