"""3x3 convolutions with fewer multiplications beside TensorFlow's own: where do they pay?

    python benchmarks/winograd.py
    python benchmarks/winograd.py 4,64,256,256     (images, pixels, channels, filters)

Forward and backward pass in float32, in turns. "ours" is how many times as fast
`layers.winograd.convolve` is, the median over rounds; "used" whether layers take it.
"""

import argparse
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHAPES = (
    "1,32,256,256",  # Residual blocks of CycleGAN's T at 128 px, and at 256.
    "1,64,256,256",
    "4,64,128,128",  # D of PAN at 128 px,
    "4,32,256,256",
    "4,16,512,512",
    "4,128,128,128",  # and at 256.
    "4,64,256,256",
    "4,32,512,512",
    "4,64,64,64",  # Where there are few channels,
    "4,256,64,64",
    "4,8,512,512",  # and few pixels.
    "1,16,256,256",
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("shapes", nargs="*", default=SHAPES)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    print(f"{'shape':>16} {'ms':>7} {'ours':>6}  used")
    for shape in options.shapes:
        ours, milliseconds, used = measure(shape, options.rounds)
        print(f"{shape:>16} {milliseconds:7.1f} {ours:6.2f}  {used}", flush=True)


def measure(shape, rounds):
    """(How many times as fast ours is, its milliseconds, whether layers take it)."""
    import numpy as np
    import tensorflow as tf

    from pan_tf.layers import winograd

    batch, size, channels, filters = map(int, shape.split(","))
    draw = np.random.default_rng(0)
    images, upstream = (
        tf.constant(draw.normal(size=(batch, size, size, number)), tf.float32)
        for number in (channels, filters)
    )
    kernel = tf.constant(draw.normal(0, 0.02, (3, 3, channels, filters)), tf.float32)

    def step(convolve):
        @tf.function(autograph=False)
        def passes(images, kernel):
            with tf.GradientTape() as tape:
                tape.watch((images, kernel))
                output = convolve(images, kernel)
            return output, *tape.gradient(output, (images, kernel), upstream)

        return passes

    own = step(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"))
    less = step(lambda x, k: winograd.convolve(x, k, 1))
    times = {own: [], less: []}
    for _ in range(rounds + 2):
        for passes, taken in times.items():
            begun = time.perf_counter()
            for each in passes(images, kernel):
                each.numpy()
            taken.append(time.perf_counter() - begun)
    pairs = list(zip(times[own], times[less], strict=True))[2:]
    ratio = statistics.median(a / b for a, b in pairs)
    used = winograd.pays(images, kernel, (1, 1))
    return ratio, 1e3 * statistics.median(b for _, b in pairs), used


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir))
    main()
