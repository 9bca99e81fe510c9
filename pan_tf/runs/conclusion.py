"""The end of a run: what its last and its best T are worth, beside the baselines."""

from pan_tf import calling
from pan_tf import evaluation


def conclude(config, run, opened, validation):
    """Measures the last and the best T beside the baselines, and shows them.

    Args:
        config: `Config`.
        run: `RunFolder`.
        opened: `OpenedData`.
        validation: `Validation`; None where there is nothing to measure on.
    """
    if validation is None:
        print("No val/ and no test/: nothing is measured.", flush=True)
        return
    model, state, checkpoints = validation.model, validation.state, validation.checkpoints
    rows, baselines = {}, {}
    if opened.train.paired:
        baselines = {
            name: evaluation.means(scores)
            for name, scores in evaluation.measure_baselines(
                opened.train,
                opened.validation,
                opened.geometry,
                also=validation.also,
                weights=validation.weights,
            ).items()
        }
    measured_at, last = validation.latest
    if measured_at != model.iteration:
        last = validation.measure()
    rows[f"last (iteration {model.iteration})"] = last
    result = {
        "n": opened.validation.num_together,
        "split": opened.validation.name,
        "dataset": opened.name,
        "last": {"checkpoint": model.iteration, "metrics": last},
        "baselines": baselines,
    }
    iteration = None if state.best is None else checkpoints.load_best()
    if iteration is not None:
        # The same weights have the same metrics.
        best = last if iteration == model.iteration else validation.measure()
        rows[f"best (iteration {iteration})"] = best
        result["best"] = {"checkpoint": iteration, "metrics": best}
        result["best"]["chosen_by"] = state.best_by
    picture = run.save_picture("result", validation.picture())
    run.save_result(result)
    rows |= {f"baseline: {name}": metrics for name, metrics in baselines.items()}
    how = opened.geometry.measured(opened.validation.by_middle)
    print(f"\n{opened.name}, {opened.validation}, {how}:")
    widths = {name: max(9, len(name) + 2) for name in last}
    print(f"{'':24}" + "".join(f"{name:>{width}}" for name, width in widths.items()))
    for label, metrics in rows.items():
        values = (f"{metrics[name]:{width}.3f}" for name, width in widths.items())
        print(f"{label:24}" + "".join(values))
    print(f"Picture ({validation.title}): {picture}")
    for warning in run.warnings():
        print(f"Warning: {warning}")
    command = calling.command("evaluate", f"--run_dir={config.run_dir}")
    print(f"Report: {command}", flush=True)
