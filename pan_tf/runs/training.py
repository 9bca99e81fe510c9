"""A training run, from its configuration to its run folder, and on from there."""

import contextlib

import tensorflow as tf
from absl import logging

import pan_tf
from pan_tf import calling
from pan_tf import data
from pan_tf import distribution
from pan_tf import evaluation
from pan_tf import files
from pan_tf import networks
from pan_tf import recipes
from pan_tf import runtime
from pan_tf.inference.work import REFUSALS as OF_WORK
from pan_tf.metrics import METRICS
from pan_tf.metrics import check_channels
from pan_tf.metrics import locate_weights
from pan_tf.recipes.system import digest
from pan_tf.runs import loop
from pan_tf.runs.beginning import begin_with
from pan_tf.runs.beginning import digest_of
from pan_tf.runs.beginning import weights_of
from pan_tf.runs.folder import RunFolder
from pan_tf.runs.folder import RunFolderError
from pan_tf.runs.stopping import StopRequest

__all__ = [
    "REFUSALS",
    "RunFolderError",
    "StopRequest",
    "Training",
    "default_run_dir",
]

# Seconds that files are checked before training begins; more files are checked beside it.
_PATIENCE = 1.0
# What making a `Training` may raise: a user's business, a sentence each.
REFUSALS = *OF_WORK, RunFolderError


def default_run_dir(config):
    """Where a run without --run_dir goes: by recipe, data set and size."""
    return f"runs/{config.recipe}-{config.dataset}-{config.image_size}"


class Training:
    """One run. Making it checks everything that a user can have got wrong.

    Args:
        config: `Config`.
        stop: `StopRequest`.

    Raises:
        DatasetNotFoundError: if there are no data.
        FileNotFoundError, ValueError: if the data or a setting cannot be used.
        RunFolderError: if the run folder belongs to another run.
        WeightsNotFoundError: if the recipe needs VGG's weights and there are none.
    """

    def __init__(self, config, stop):
        runtime.prepare(config.deterministic)
        is_named = config.dtype_policy is not None
        config = recipes.complete(config)
        self.stop = stop
        stop.at_once = True  # Until there is something to save.
        self.strategy = distribution.make_strategy()
        replicas = self.strategy.num_replicas_in_sync
        distribution.check_replicas(config, replicas)
        requested, config = config.dataset, data.locate(config)
        self.config = config.replace(run_dir=config.run_dir or default_run_dir(config))
        self.folder = RunFolder(self.config.run_dir)
        self.is_chief = distribution.is_chief(self.strategy)
        # Other workers of the job may see that the chief holds the folder by now.
        if self.is_chief and not config.dry_run:
            self.folder.check_free()
        self.folder.check(self.config)
        self.config = self.folder.with_found(self.config)
        if self.config.dtype_policy == "auto":
            self.config = _with_policy(self.config, self.strategy, is_named)
        self.config, found = recipes.with_found(self.config)
        if found:
            print(found, flush=True)
        system = recipes.resolve(self.config)
        if system.transformer.only_size and self.config.preprocess is None:
            # T knows one size only: whole images are brought to it.
            self.config = self.config.replace(preprocess="squash")
        recipes.check_stored(self.config, self.folder)
        known = self.folder.known_data()
        specs, _ = data.recorded(known or {}, self.folder.manifest)
        # Workers would not know of each other's files; a dry run is to tell them.
        is_alone = distribution.num_workers(self.strategy) == 1
        patience = _PATIENCE if is_alone and not config.dry_run else None
        self.data = _open(self.config, requested, known, specs, system, patience)
        described = self.data.describe()
        splits = {name: described[name] for name in ("train", "validation")}
        self.folder.check_data(self.data.fingerprint, self.data.names, splits)
        self.config = self.config.replace(preprocess=self.data.geometry.preprocess)
        self.vgg = None  # What the manifest records of it.
        if system.vgg:
            _, sha256 = networks.locate_vgg_weights(config.vgg_weights, system.vgg)
            self.folder.check_vgg(sha256)
            self.vgg = {"network": system.vgg, "sha256": sha256}
            if system.star:
                self.vgg["star"] = "weights of --vgg_weights"
            if system.star and config.vgg_weights is None:
                self.vgg["star"] = "not fine-tuned"
                logging.warning(
                    "*** %s asks for VGG*, of which no fine-tuned weights are published: "
                    "its pools and ReLUs run on VGG's own weights. "
                    "%s makes some, for --vgg_weights. ***",
                    config.recipe,
                    calling.command("finetune_vgg"),
                )
        # What the metrics of validations look through; without pairs none chooses.
        asked = [config.best_by, *config.metrics] if system.paired else []
        check_channels(asked, system.target.channels)
        _check_sizes(self.data, asked)
        self.weights = locate_weights(asked, config.vgg_weights, config.metric_weights)
        self.weights.check_needed(config.metric_weights, METRICS)
        if config.vgg_weights and not (system.vgg or self.weights.files):
            print("--vgg_weights: nothing of this run looks through VGG.", flush=True)
        usual = [n for n, row in METRICS.items() if row.is_usual and system.paired]
        evaluation.check_functions(
            {*usual, *asked}, config.image_size, system.target.channels, self.weights
        )
        for network, sha256 in self.weights.digests().items():
            if network not in networks.PUBLISHED and self.vgg is None:
                self.folder.check_vgg(sha256)
                self.vgg = {"network": network, "sha256": sha256}
        self.beginning = None  # Weights to begin with: of T, of its inverse.
        if config.init_from and not self.folder.has_checkpoint():
            self.beginning = weights_of(config.init_from, system)
        self.system = system
        self._check_workers()

    def _check_workers(self):
        """Refuses other flags, data or weights on some workers."""
        # Another version may have flags that these workers cannot compare.
        distribution.check_alike(self.strategy, {"pan_tf": pan_tf.__version__})
        flags = self.config.as_others_have_it()
        distribution.check_alike(
            self.strategy,
            {f"--{name}": value for name, value in flags.items() if name != "data_cache"}
            | {
                "data": self.data.fingerprint,
                "system.json": digest(self.system),
                "VGG": self.vgg,
                "--metric_weights": self.weights.digests(),
                "--init_from": self.beginning and digest_of(self.beginning),
            },
        )

    def build(self):
        """The model as a new run begins with it."""
        with self.strategy.scope():
            model = recipes.build(self.config)
        if self.beginning:
            begin_with(model, self.beginning)
        return model

    def run(self):
        """Trains to the end, or until the stop request.

        Returns:
            Whether it came to the end.

        Raises:
            NonFiniteError: if training diverged.
            TroubleError: if a file cannot be written or read; it says what is saved.
            RunFolderError: if another training has the folder by now.
            UnusableFilesError: naming files that cannot be trained on.
        """
        verification = self.data.verification
        try:
            return self._run()
        except Exception as error:
            if self.is_chief:
                with contextlib.suppress(OSError, ValueError):  # One error is enough.
                    self.folder.note_failure(error)
            lost = distribution.lost_worker(self.strategy, error)
            trouble = files.trouble(error) or lost or self._is_gone(error)
            is_unread = trouble is None and isinstance(error, tf.errors.OpError)
            if verification and (is_unread or files.unusable(error)):
                # A damaged file came before its turn: all of them are to be named.
                self.stop.at_once = True
                try:
                    verification.fingerprint()
                except data.UnusableFilesError as found:
                    raise self._unusable(found) from error
            if trouble is None:
                raise
            kept = "Nothing was saved yet."
            if last := self.folder.last_iteration():
                kept = f"The same command goes on from iteration {last}, which is saved."
                if files.unusable(error):
                    kept = f"{kept[:-1]}, once that file can be read."
            place = f"--run_dir={self.folder.path}: "
            if files.lack_of_memory(error):
                place = ""
            raise files.TroubleError(f"{place}{trouble} {kept}") from error
        finally:
            if verification:
                verification.close()

    def _is_gone(self, error):
        """A sentence where somebody has deleted or moved the run folder; else None."""
        is_missed = isinstance(error, FileNotFoundError | tf.errors.NotFoundError)
        if is_missed and not self.folder.path.exists():
            return "The folder is gone."
        return None

    def _unusable(self, error):
        """The same error, which says what becomes of the run."""
        last = self.folder.last_iteration()
        if not last:
            return error
        if self.is_chief:
            self.folder.note_restorable(self.data.names())
        return data.UnusableFilesError(
            f"{error} Restore them, and the same command goes on from iteration {last}; "
            "other files are another run: for those choose another --run_dir, and "
            f"--init_from={self.folder.path} begins with the T of iteration {last}."
        )

    def _run(self):
        model = self.build()

        def fit(run):
            fixed = self.data, model, self.stop, self.weights
            return loop.fit(self.config, run, self.folder, *fixed)

        if not self.is_chief:  # Only the chief writes.
            return fit(run=None)
        with self.folder.held(self.config):
            self._start(model)
            return fit(run=self.folder)

    def _start(self, model):
        """Writes down what is run, and says it."""
        run = self.folder
        devices = [str(d) for d in self.strategy.extended.worker_devices]
        run.start(self.config, self.data.describe(), devices, self.system.to_json())
        if self.vgg:
            run.note("vgg", self.vgg)
        if self.weights.files:
            run.note("metric_weights", self.weights.digests())
        if self.beginning:
            run.note("init_from", str(self.config.init_from))
        _announce(self.config, self.data, model)


def _with_policy(config, strategy, is_named):
    """A configuration with the dtype policy that --dtype_policy=auto stands for here.

    Args:
        config: `Config`.
        strategy: `tf.distribute.Strategy`.
        is_named: whether the user asked for auto; else the recipe did.
    """
    if distribution.num_workers(strategy) > 1:
        if is_named:
            raise ValueError(
                "--dtype_policy=auto is for one machine: workers could choose "
                "differently. Name the policy."
            )
        print(
            "--dtype_policy: float32; workers could choose differently by themselves. "
            "mixed_bfloat16 is faster on most GPUs.",
            flush=True,
        )
        return config.replace(dtype_policy="float32")
    policy, (_, reason) = runtime.dtype_policy("auto"), runtime.bfloat16()
    print(f"--dtype_policy=auto: {policy}; {reason}.", flush=True)
    return config.replace(dtype_policy=policy)


def _check_sizes(opened, asked):
    """Refuses held-out images that validations would stop at."""
    if opened.validation is None or not opened.validation.paired:
        return
    if problem := evaluation.unmeasurable(opened.validation, opened.geometry, asked):
        raise ValueError(f"{problem} Remove it, or choose another --preprocess.")


def _open(config, requested, known, specs, system, patience):
    try:
        fixed = known, system.paired, specs, patience
        return data.open_data(config, requested, *fixed)
    except data.NoPairsError as error:
        raise ValueError(
            f"--recipe={config.recipe} learns from pairs. {error} Choose a recipe for "
            "unpaired sets: cyclegan, vgg_ms_cyclegan, ..."
        ) from None


def _announce(config, opened, model):
    schedule, strategy = model.schedule, model.distribute_strategy
    print(
        f"{config.recipe} on {opened}; {distribution.describe(strategy)}; a round is "
        f"{schedule.d_updates} update(s) of D and {schedule.t_updates} of T on "
        f"{schedule.minibatches} minibatch(es) of {config.batch_size}.\n"
        f"Run folder: {config.run_dir}",
        flush=True,
    )
