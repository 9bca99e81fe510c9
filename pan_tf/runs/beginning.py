"""A run that begins with the T of another one: `--init_from`."""

import hashlib
import pathlib

import numpy as np

from pan_tf import inference


def weights_of(run_dir, system):
    """Weights of another run's T, and of its inverse or, without one, of T again.

    Args:
        run_dir: its folder, `--init_from`.
        system: `recipes.System` of the new run.

    Raises:
        ValueError: if it is no run, or its T has other layers.
    """
    if not (pathlib.Path(run_dir) / "run.cfg").is_file():
        raise ValueError(f"--init_from must name a run folder: no run.cfg in {run_dir}.")
    found = inference.Translator(run_dir, "last")
    weights = [found.network.get_weights()] * 2
    if found.system.is_cycle:
        inverse = inference.Translator(run_dir, "last", inverse=True)
        weights[1] = inverse.network.get_weights()
    shapes = [v.shape for v in system.transformer().variables]
    if shapes != [value.shape for value in weights[0]]:
        raise ValueError(
            "--init_from must name a run whose T has the same layers: --recipe, "
            f"--transformer and --width decide that. Received: init_from={run_dir}."
        )
    return weights


def digest_of(weights):
    """What tells weights that a run begins with from others: workers compare it."""
    digest = hashlib.sha256()
    for value in (value for values in weights for value in values):
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def begin_with(model, weights):
    """Gives the Ts of a model, and their averages, what `weights_of` found."""
    networks_of = model.networks_of("transformer").values()
    for network, values in zip(networks_of, weights, strict=False):
        network.set_weights(values)
    for average, network in model.emas.values():
        average.set_weights(network.get_weights())
