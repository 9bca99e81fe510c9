"""The loop of a training: Keras' `fit` over rounds, and all that follows it.

Whatever the strategy, see `models.translation` for the step and the function around it.
"""

import tensorflow as tf

from pan_tf import data
from pan_tf import distribution
from pan_tf.runs import callbacks
from pan_tf.runs import guards
from pan_tf.runs.checkpoints import Checkpoints
from pan_tf.runs.checkpoints import RunState
from pan_tf.runs.conclusion import conclude
from pan_tf.runs.folder import RunFolderError
from pan_tf.runs.validation import Validation


def fit(config, run, folder, opened, model, stop, weights):
    """Trains from the newest checkpoint on.

    Args:
        config: `Config`.
        run: `RunFolder` to write into; None off the chief.
        folder: `RunFolder`, for its places.
        opened: `OpenedData`.
        model: as `recipes.build` gives it.
        stop: `StopRequest`.
        weights: `metrics.Weights` of what validations measure.

    Returns:
        Whether the run came to its end.
    """
    per_round = model.schedule.minibatches
    state = RunState(model)
    checkpoints = Checkpoints(folder.checkpoints, model, state, config.keep)
    first = checkpoints.resume()
    _check_shared(model.distribute_strategy, first, folder)
    if run is not None:
        run.forget_after(first)
        if first:
            print(f"Resuming at iteration {first}.", flush=True)
    rounds = -(-(config.iterations - first) // per_round)
    until = first + rounds * per_round
    state.best_by = state.best_by or config.best_by  # An old run has none.
    if run is not None and rounds > 0:
        run.forget_result()
    if rounds > 0 and state.best is not None and not checkpoints.has_best():
        # Else nothing would be the best until it beats what is lost.
        state.best = None
        if run is not None:
            print("The next validation chooses the best checkpoint anew.", flush=True)
    elif run is not None and rounds > 0 and state.best_by != config.best_by:
        print(
            f"--best_by: {state.best_by} before, {config.best_by} now: the next "
            "validation chooses the best checkpoint anew.",
            flush=True,
        )
    writer = tf.summary.create_file_writer(str(folder.logs)) if run else None
    validation = None
    if opened.validation is not None:
        validation = Validation(
            run, state, writer, checkpoints, opened, config, weights, until
        )
        validation.set_model(model)  # A finished run is measured without a fit.
    checked = opened.verification
    files_read = callbacks.FilesRead(run, checked) if checked else None
    if rounds > 0 and not stop.requested:
        kept = data.cache.Cache(data.cache.budget(config.data_cache))
        clock = callbacks.Clock(
            config.batch_size,
            until,
            _cost_of_data(config, opened, kept),
        )
        guard = guards.NonFiniteGuard(config, checkpoints, until)
        followers = [
            guard,
            guards.CollapseGuard(run, state, writer, config.collapse_after),
            clock,
            *([callbacks.ProgressLine(clock, config.log_every, checked)] if run else []),
            *([files_read] if files_read else []),
            callbacks.MetricsLog(run, state, writer, clock, config.log_every),
            *([validation] if validation else []),
            callbacks.Saving(checkpoints, guard, stop, config.save_every),
        ]
        if run:
            callbacks.write_hparams(writer, config)
        if distribution.num_workers(model.distribute_strategy) > 1:
            stop.at_once = False  # The others would wait for this one.
        with checkpoints.settled():
            model.fit(
                training_dataset(config, opened, model, first, kept),
                steps_per_epoch=rounds,
                epochs=1,
                verbose=0,
                shuffle=False,  # The stream has its own order; Keras warns otherwise.
                callbacks=followers,
            )
    if writer is not None:
        writer.flush()
    if model.iteration < config.iterations:
        print(
            f"Stopped at iteration {model.iteration} of {config.iterations}; the same "
            "command goes on from there.",
            flush=True,
        )
        return False
    if run is not None:
        stop.at_once = True  # All is saved.
        try:
            if files_read:
                files_read.finish()
            conclude(config, run, opened, validation)
        except KeyboardInterrupt:
            print(
                "\nStopped before the result was measured. All is saved; the same "
                "command measures it.",
                flush=True,
            )
            return False
    return True


def _check_shared(strategy, first, folder):
    """Refuses workers that would go on from another checkpoint than the chief's."""
    try:
        distribution.check_alike(strategy, {"the newest checkpoint": first})
    except ValueError as error:
        raise RunFolderError(
            f"--run_dir={folder.path} must be one folder, which all workers share. "
            f"{error}"
        ) from error


def training_dataset(config, opened, model, first_iteration, kept):
    """The stream of rounds from an iteration on, distributed."""
    replicas = model.distribute_strategy.num_replicas_in_sync

    def on_worker(context):
        return data.training_dataset(
            opened.train,
            geometry=opened.geometry,
            augmentations=_augmentations(config, opened),
            batch_size=config.batch_size,
            minibatches=model.schedule.minibatches,
            seed=config.seed,
            first_iteration=first_iteration,
            workers=context.num_input_pipelines,
            worker=context.input_pipeline_id,
            replicas=replicas // context.num_input_pipelines,
            cache=kept,
        )

    return model.distribute_strategy.distribute_datasets_from_function(on_worker)


def _cost_of_data(config, opened, kept):
    """A function of no arguments: seconds of all cores that an example takes by now."""
    make = data.example_maker(
        opened.train, opened.geometry, _augmentations(config, opened), config.seed, kept
    )
    new, again = data.cost_of_example(make)
    train = opened.train
    total = len(train) if train.paired else len(train.source) + len(train.target)
    return lambda: new + (again - new) * min(1.0, len(kept) / total)


def _augmentations(config, opened):
    return {*(["flip"] if opened.flip else []), *(config.augment or ())}
