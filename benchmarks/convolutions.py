"""Convolutions as layers train them beside TensorFlow's own: where do they pay?

    python benchmarks/convolutions.py
    python benchmarks/convolutions.py --dtype bfloat16 4,16,512,512,3,2

A shape is images, pixels a side, channels, filters, taps a side and stride; a negative
stride is that of a transposed convolution. Forward and backward pass, in turns: the
layers of `pan_tf.layers` in training beside the same layers outside of it, whose passes
are TensorFlow's. "ours" is how many times as fast training's are, round by round; "by" is
what computes them: fewer multiplications (winograd), products of matrices (im2col), or
the same kernels. Printed are medians and [lowest, highest].
"""

import argparse
import os
import sys
import time

import figures

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHAPES = (
    "1,32,256,256,3,1",  # Residual blocks of CycleGAN's T at 128 px, and at 256.
    "1,64,256,256,3,1",
    "4,64,128,128,3,1",  # D of PAN at 128 px,
    "4,32,256,256,3,1",
    "4,16,512,512,3,1",
    "4,32,256,512,3,2",
    "4,16,512,512,3,2",
    "4,128,128,128,3,1",  # and at 256.
    "4,64,256,256,3,1",
    "4,32,512,512,3,1",
    "4,8,512,512,3,2",  # T of PAN at 128 px,
    "4,4,1024,256,4,-2",
    "4,8,768,128,4,-2",
    "1,16,512,512,4,2",  # and of pix2pix.
    "1,4,512,512,4,2",
    "1,4,1024,512,4,-2",
    "4,64,64,64,3,1",  # Where there are few channels.
    "4,256,64,64,3,1",
)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shapes", nargs="*", default=SHAPES)
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    figures.heading()
    figures.columns("shape", f"ms, {options.dtype}", "ours", "by")
    for shape in options.shapes:
        figures.row(shape, *measure(shape, options.dtype, options.rounds))


def measure(shape, dtype, rounds):
    """(Our milliseconds, how many times as fast ours is, what computes it)."""
    import tensorflow as tf

    from pan_tf import layers
    from pan_tf import runtime
    from pan_tf.layers import im2col
    from pan_tf.layers import winograd

    runtime.prepare()
    batch, size, channels, filters, taps, stride = map(int, shape.split(","))
    if stride < 0:
        kind, padding = layers.Conv2DTranspose, "same"
    elif taps % 2:
        kind, padding = layers.SymmetricConv2D, "valid"
    else:
        kind, padding = layers.Conv2D, "same"
    layer = kind(filters, taps, strides=abs(stride), padding=padding, dtype=dtype)
    layer.build((batch, size, size, channels))
    images = tf.cast(tf.random.normal((batch, size, size, channels)), dtype)
    outputs = layer.compute_output_shape(images.shape)
    upstream = tf.cast(tf.random.normal(outputs), dtype)

    def passes_of(training):
        @tf.function(autograph=False)
        def passes(images):
            weights = [weight.value for weight in layer.weights]
            with tf.GradientTape() as tape:
                tape.watch([images, *weights])
                output = layer(images, training=training)
            return output, *tape.gradient(output, [images, *weights], upstream)

        return passes

    own, ours = passes_of(training=False), passes_of(training=True)
    times = {own: [], ours: []}
    for _ in range(rounds + 2):
        for passes, taken in times.items():
            begun = time.perf_counter()
            for each in passes(images):
                each.numpy()
            taken.append(time.perf_counter() - begun)
    pairs = list(zip(times[own], times[ours], strict=True))[2:]
    given = images.shape if stride < 0 else outputs
    strides = (abs(stride),) * 2
    if stride > 0 and winograd.pays(images, layer.kernel, strides):
        by = "winograd"
    elif any(ways := im2col.pays(given, layer.kernel, strides, images.dtype)):
        by = "im2col" if ways.between else "im2col, the kernel's gradient"
    else:
        by = "-"
    milliseconds = figures.spread([1e3 * b for _, b in pairs], 1)
    return milliseconds, figures.spread([a / b for a, b in pairs]), by


if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), os.pardir))
    main()
