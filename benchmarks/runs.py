"""What benchmarks need that need a T, but not a trained one: run folders, an image."""

import pathlib


def untrained(path, width=1.0, **settings):
    """A run folder whose T was never trained: as large, as fast, and grey with noise.

    Biases and statistics are not left at 0 and 1, which a graph optimizer would drop.
    """
    import numpy as np

    from pan_tf import recipes
    from pan_tf.config import Config
    from pan_tf.runs.checkpoints import Checkpoints
    from pan_tf.runs.checkpoints import RunState
    from pan_tf.runs.folder import RunFolder

    config = Config(dataset="bluemarble", width=width, ema=0.0, **settings)
    model = recipes.build(config)
    random = np.random.default_rng(0)
    for variable in model.transformer.variables:
        if not variable.path.endswith("kernel"):
            low, high = (0.5, 1.5) if "variance" in variable.path else (-0.2, 0.2)
            noise = random.uniform(low, high, variable.shape)
            variable.assign(noise + ("gamma" in variable.path))
    RunFolder(path).start(config, {"name": "bluemarble", "fingerprint": ""}, [])
    Checkpoints(pathlib.Path(path) / "checkpoints", model, RunState(model), 1).save()


def picture(size):
    """A part of the shaded relief of the world, 10800 x 5400 pixels, as it is."""
    import numpy as np
    from PIL import Image

    from pan_tf.data.layouts import bluemarble

    Image.MAX_IMAGE_PIXELS = None
    image = Image.open(bluemarble.package_folder() / "shadedrelief.jpg")
    left, top = image.width // 2, (image.height - size) // 2
    return np.asarray(image.convert("RGB").crop((left, top, left + size, top + size)))
