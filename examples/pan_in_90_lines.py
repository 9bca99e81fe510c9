"""PAN on satellite -> relief, with nothing but Keras and two arrays of images.

    python examples/pan_in_90_lines.py [rounds] [picture.png]

The losses are Eq. 2, 3, 5 and 6 of the paper (arXiv:1706.09138); T and D are small.
"""

import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from PIL import Image

from pan_tf.data.layouts import bluemarble

SIZE, BATCH, LAMBDAS, THETA, MARGIN = 64, 4, (100.0, 0.1, 0.1, 0.1), 0.01, 1.0
keras.utils.set_random_seed(1)


def images(split):
    tiles = bluemarble.cut(split, SIZE)
    return [np.float32(side) / 127.5 - 1.0 for side in (tiles.source, tiles.target)]


def convolution(x, filters, stride=2, normalized=True):
    x = layers.Conv2D(filters, 4, stride, padding="same", use_bias=not normalized)(x)
    x = layers.BatchNormalization(momentum=0.9)(x) if normalized else x
    return layers.LeakyReLU(negative_slope=0.2)(x)


def transformer():
    """T: a U-Net, image -> image."""
    x = source = keras.Input((None, None, 3))
    skips = []
    for filters in (16, 32, 64, 64):
        skips.append(x)
        x = convolution(x, filters)
    for filters, skip in zip((64, 32, 16, 16), reversed(skips), strict=True):
        # Resized, then convolved: transposed convolutions paint checkerboards.
        x = layers.Concatenate()([layers.UpSampling2D()(x), skip])
        x = convolution(x, filters, stride=1)
    return keras.Model(source, layers.Conv2D(3, 3, padding="same", activation="tanh")(x))


def discriminator():
    """D: image -> (logit, four hidden layers)."""
    x = image = keras.Input((SIZE, SIZE, 3))
    features = []
    for filters in (16, 32, 64, 64):
        x = convolution(x, filters, normalized=bool(features))
        features.append(x)
    return keras.Model(image, [layers.Dense(1)(layers.Flatten()(x)), features])


def perceptual_distance(real, generated):
    """P of Eq. 3: weighted mean absolute differences of D's hidden layers."""
    pairs = zip(LAMBDAS, real, generated, strict=True)
    return tf.add_n([w * tf.reduce_mean(tf.abs(a - b)) for w, a, b in pairs])


def update(player, optimizer, x, y):
    """One update of "T" or "D"; returns P."""
    with tf.GradientTape() as tape:
        output = T(x, training=True)
        real_logit, real = D(y, training=True)
        logit, generated = D(output, training=True)
        distance = perceptual_distance(real, generated)
        if player == "D":  # Eq. 2 and 5: tell them apart, and keep P above the margin.
            loss = tf.nn.softplus(-real_logit) + tf.nn.softplus(logit)
            loss = THETA * tf.reduce_mean(loss) + tf.nn.relu(MARGIN - distance)
        else:  # Eq. 6, not saturating: fool D, and make P small.
            loss = THETA * tf.reduce_mean(tf.nn.softplus(-logit)) + distance
    variables = (T if player == "T" else D).trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)
    return distance


@tf.function
def play_round(x, y):
    """One update of D, three of T."""
    for player, optimizer in (("D", d_optimizer), *[("T", t_optimizer)] * 3):
        distance = update(player, optimizer, x, y)
    return distance


T, D = transformer(), discriminator()
rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1500
falling = keras.optimizers.schedules.PolynomialDecay(1e-3, 3 * rounds, 0.0)
t_optimizer = keras.optimizers.Adam(falling, beta_1=0.5)
d_optimizer = keras.optimizers.Adam(2e-5, beta_1=0.5)
t_optimizer.build(T.trainable_variables), d_optimizer.build(D.trainable_variables)
(x, y), (test_x, test_y) = images("train"), images("test")
for i in range(1, rounds + 1):
    chosen = np.random.default_rng(i).choice(len(x), BATCH, replace=False)
    distance = play_round(x[chosen], y[chosen])
    if i % 100 == 0 or i == rounds:
        output = T.predict(test_x, verbose=0)
        psnr = 10 * np.log10(4.0 / np.mean((output - test_y) ** 2))
        print(f"round {i}: P {float(distance):.3f}, PSNR {psnr:.2f} dB")
some = slice(None, None, len(test_x) // 4)
grid = [np.concatenate(side[some][:4], axis=1) for side in (test_x, output, test_y)]
grid = np.concatenate(grid)
picture = Image.fromarray(np.uint8(np.round((grid + 1.0) * 127.5)))
picture.resize((picture.width * 2, picture.height * 2), Image.Resampling.NEAREST).save(
    sys.argv[2] if len(sys.argv) > 2 else "pan.png"
)
