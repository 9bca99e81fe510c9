"""Our systems beside numbers that the originals' own code computed, tests/golden.

In double precision (`test_originals_in_double.py` runs these tests again, on a copy of
pan_tf) outputs and losses agree within 1e-6 of their range, gradients within 1e-4 of the
norm of a network's whole gradient, which is how they are rounded in the files. In float32
a (leaky) ReLU or an absolute value near its kink may turn: noise of 1e-7 in the facades'
source moves the gradient of T by 2e-2, or by 3e-5, as it falls.
"""

import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from pan_tf import networks
from pan_tf import recipes
from pan_tf.config import Config
from pan_tf.losses import AdversarialLoss
from pan_tf.losses import DiscriminatorOutput
from pan_tf.losses import PixelLoss
from pan_tf.losses import Translation
from pan_tf.models.updates import MinibatchCache
from pan_tf.networks import vgg
from tests.networks import originals

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "networks"
IS_DOUBLE = "PAN_TF_DOUBLE" in os.environ
DTYPE = "float64" if IS_DOUBLE else "float32"
# A single probability's range is what the images of the batch leave of it.
OF_PROBABILITIES = 1e-5 if IS_DOUBLE else 1e-3
OF_VALUES, OF_GRADIENTS = (1e-6, 1e-4) if IS_DOUBLE else (1e-4, 5e-2)


# Of one test: kind of number -> largest difference.
WORST = {}


@pytest.fixture(autouse=True)
def dtype_policy():
    keras.config.set_dtype_policy(DTYPE)


@pytest.fixture(autouse=True)
def worst(request):
    """Prints what `pytest -rP` shows, the table of docs/parity.md."""
    WORST.clear()
    yield
    found = ", ".join(f"{kind} {value:.1e}" for kind, value in WORST.items())
    print(f"{DTYPE} {request.node.name}: {found}")


def note(kind, difference):
    WORST[kind] = max(WORST.get(kind, 0.0), float(difference))


class Golden:
    """One file: `golden.input("x")`, `golden.expect("output")`, NHWC."""

    def __init__(self, name):
        with np.load(GOLDEN / f"{name}.npz") as file:
            self.arrays = {key: file[key] for key in file.files}

    def input(self, name):
        return tf.constant(as_images(self.arrays[f"input/{name}"]), DTYPE)

    def expect(self, name):
        return as_images(self.arrays[f"expect/{name}"])

    def parameters(self, prefix=""):
        return self._under(f"param/{prefix}")

    def gradients(self, prefix=""):
        return self._under(f"grad/{prefix}")

    def _under(self, prefix):
        return {
            key.removeprefix(prefix): array
            for key, array in self.arrays.items()
            if key.startswith(prefix)
        }


def as_images(array):
    """NCHW -> NHWC; anything else as it is."""
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def assert_close(found, expected, tolerance=OF_VALUES):
    """Within a share of the expected values' range, or of a number itself."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    assert found.shape == expected.shape
    scale = np.ptp(expected) if expected.size > 1 else np.abs(expected).max()
    error = np.abs(found - expected).max() / scale
    note("outputs and losses" if tolerance == OF_VALUES else "probabilities", error)
    assert error <= tolerance


def assert_gradients_close(network, found, expected, places):
    """Gradients of all variables of a network, as one vector.

    Args:
        network: whose `trainable_variables` the gradients are of.
        found: list of our gradients.
        expected: original name -> gradient.
        places: of the names.
    """
    theirs = originals.converted(expected, places)
    owner = {id(v): layer.name for layer in network.layers for v in layer.weights}
    errors, total = 0.0, 0.0
    for variable, gradient in zip(network.trainable_variables, found, strict=True):
        key = owner[id(variable)], variable.name
        gradient = np.zeros(variable.shape) if gradient is None else np.array(gradient)
        if key not in theirs:
            # A bias that the original leaves out, since a normalization follows: its
            # gradient is rounding.
            assert variable.name == "bias"
            continue
        errors += ((gradient - theirs[key]) ** 2).sum()
        total += (theirs.pop(key) ** 2).sum()
    assert not theirs
    note("gradients", (errors / total) ** 0.5)
    assert (errors / total) ** 0.5 <= OF_GRADIENTS


def differentiate(model, player, minibatch):
    """(logs, gradients) of one player at the weights that the model has."""
    views = MinibatchCache(
        {name: tf.constant(image) for name, image in minibatch.items()}
    )
    logs = model.differentiate(player, views)
    return {name: float(value) for name, value in logs.items()}, views.gradients


def build(**settings):
    """A recipe's model without dropout."""
    model = recipes.build(Config(dtype_policy=DTYPE, **settings))
    for layer in model.transformer.layers:
        if hasattr(layer, "rate"):
            layer.rate = 0.0
    return model


def assign_players(model, golden, **mappings):
    """Gives T and D the file's weights.

    Args:
        model: `TranslationModel`.
        golden: `Golden`.
        **mappings: prefix in the file -> function of `originals`, of T, then of D.

    Returns:
        Prefix -> places.
    """
    places = {}
    networks_of_both = (model.transformer, model.discriminator)
    for (prefix, mapping), network in zip(
        mappings.items(), networks_of_both, strict=True
    ):
        parameters = golden.parameters(prefix)
        places[prefix] = mapping(parameters)
        originals.assign(network, parameters, places[prefix])
    return places


def gradient_of(loss, network):
    """(loss, gradients of a network's trainable variables)."""
    with tf.GradientTape() as tape:
        value = loss()
    return value, tape.gradient(value, network.trainable_variables)


# PAN's released code.


@pytest.mark.parametrize(
    ("name", "width"),
    [("pan_lasagne_deraining", 1.0), ("pan_lasagne_deraining_tiny", 1 / 16)],
)
def test_pan_deraining(name, width):
    golden = Golden(name)
    network = networks.deraining_transformer(width=width)
    places = originals.pan(golden.parameters())
    originals.assign(network, golden.parameters(), places)
    x, y = golden.input("x"), golden.input("y")
    # With the moving statistics first: a training pass moves them.
    assert_close(network(x, training=False), golden.expect("output_deterministic"))
    with tf.GradientTape() as tape:
        output = network(x, training=True)
        difference = tf.reduce_mean(tf.abs(output - y))
    assert_close(output, golden.expect("output"))
    assert_close(difference, golden.expect("mean_absolute_difference"))
    check_moving_means(network, golden)
    if golden.gradients():
        gradients = tape.gradient(difference, network.trainable_variables)
        assert_gradients_close(network, gradients, golden.gradients(), places)


def check_moving_means(network, golden, prefix=""):
    """After one training pass from the means in the file."""
    places = originals.pan(golden.parameters(prefix))
    after = golden._under(f"expect/after_one_pass/{prefix}")
    assert after
    for name, mean in after.items():
        layer = network.get_layer(places[name].layer)
        np.testing.assert_allclose(layer.moving_mean, mean, atol=OF_VALUES)


@pytest.fixture(scope="module")
def facades():
    """(golden, model of the released script with its weights)."""
    golden = Golden("pan_lasagne_facades")
    model = build(
        recipe="pan_official", width=1 / 16, image_size=256, margin=12.0, batch_size=1
    )
    assign_players(model, golden, T_=originals.pan, D_=originals.pan)
    return golden, model


def test_pan_facades(facades):
    golden, model = facades
    check_pan(golden, model, golden.input("x"), golden.input("y"))


def check_pan(golden, model, x, y, cut=None):
    """T, D, its hidden layers, both losses and all gradients; released PAN.

    Args:
        golden: `Golden`.
        model: with its weights.
        x, y: source and target.
        cut: what of an output is in the file; None: all of it.
    """
    cut = cut or (lambda image: image)
    deterministic = cut(model.transformer(x, training=False).numpy())
    if "expect/output_deterministic" in golden.arrays:
        expected = cut_known_edge(golden.expect("output_deterministic"))
        assert_close(cut_known_edge(deterministic), expected)
    else:
        expected = golden.expect("output_deterministic_every_4")
        assert_close(deterministic[:, ::4, ::4], expected)
    real = model.discriminator({"source": x, "image": y}, training=True)
    probability = tf.sigmoid(real["logits"][0])
    assert_close(probability, golden.expect("probability_real"), OF_PROBABILITIES)
    for number, every in ((1, None), (2, None), (3, 1), (4, 1)):
        d = real["features"][number - 1]
        keys = [k for k in golden.arrays if k.startswith(f"expect/d{number}_real")]
        (key,) = keys
        every = int(key.rpartition("_every_")[2]) if "_every_" in key else 1
        assert_close(d[:, ::every, ::every], as_images(golden.arrays[key]))
    minibatch = {"source": x, "target": y}
    for player, prefix in (("transformer", "T_"), ("discriminator", "D_")):
        network = getattr(model, player)
        originals.assign(  # A pass moves the statistics.
            network, golden.parameters(prefix), originals.pan(golden.parameters(prefix))
        )
        logs, gradients = differentiate(model, player, minibatch)
        letter = player[0]
        total = logs[f"{letter}_adversarial"] + logs[f"{letter}_perceptual_adversarial"]
        assert_close(total, golden.expect(f"loss_{prefix[0]}"))
        if player == "transformer":
            assert_close(logs["t_perceptual_adversarial"], golden.expect("P"))
            check_moving_means(network, golden, "T_")
        else:
            assert_close(
                logs["d_perceptual_adversarial"], 12.0 - float(golden.expect("P"))
            )
            beyond = logs["d_adversarial"] + max(0.0, 3.0 - float(golden.expect("P")))
            assert_close(beyond, golden.expect("loss_D_margin_3"))
        places = originals.pan(golden.parameters(prefix))
        assert_gradients_close(network, gradients, golden.gradients(prefix), places)
    output = cut(model.transformer(x, training=True).numpy())
    assert_close(output, golden.expect("output"))


def cut_known_edge(centre):
    """What was missing of the centre that T generates, where a file is of inpainting."""
    edge = 4 if centre.shape[1] == 64 else 0
    return centre[:, edge : centre.shape[1] - edge, edge : centre.shape[2] - edge]


def centre(image):
    return image[:, 32:96, 32:96]


def whole(image, centre):
    """An image with its centre pasted in."""
    image = image.numpy()
    image[:, 32:96, 32:96] = centre
    return tf.constant(image)


def test_pan_inpainting():
    golden = Golden("pan_lasagne_inpainting")
    model = build(
        recipe="pan_official",
        transformer="inpainting",
        synthesize="hole",
        width=1 / 32,
        image_size=128,
        margin=12.0,
        batch_size=4,
    )
    assign_players(model, golden, T_=originals.pan, D_=originals.pan)
    x = golden.input("x")
    check_pan(golden, model, x, whole(x, golden.input("y")), centre)


# junyanz' PyTorch code.


def test_pix2pix_unet_of_eight_levels():
    golden = Golden("pix2pix_unet_256")
    network = networks.pix2pix_transformer(256, 8, width=1 / 16)
    for layer in network.layers:
        if hasattr(layer, "rate"):
            layer.rate = 0.0
    parameters = golden.parameters()
    originals.assign(network, parameters, originals.pix2pix_transformer(parameters))
    x, expected = golden.input("x"), golden.expect("output")
    # Of one image, its own statistics are the batch's.
    assert_close(network(x, training=False), expected)
    assert_close(network(x, training=True), expected)


def test_pix2pix_step():
    golden = Golden("pix2pix_unet_128_step")
    model = build(recipe="pix2pix", width=1 / 16, image_size=128)
    mappings = {
        "G.": originals.pix2pix_transformer,
        "D.": originals.patch_discriminator,
    }
    places = assign_players(model, golden, **mappings)
    x, y = golden.input("x"), golden.input("y")
    for batch in (1, 2):
        output = model.transformer(x[:batch], training=True)
        assert_close(output, golden.expect(f"output_batch_{batch}"))
        pair = {"source": x[:batch], "image": y[:batch]}
        (logits,) = model.discriminator(pair, training=True)["logits"]
        assert_close(logits, golden.expect(f"logits_real_batch_{batch}"))
    minibatch = {"source": x[:1], "target": y[:1]}
    logs, gradients = differentiate(model, "transformer", minibatch)
    assert_close(logs["t_adversarial"], golden.expect("loss_G_GAN"))
    assert_close(logs["t_pixel"], golden.expect("loss_G_L1"))
    assert_gradients_close(
        model.transformer, gradients, golden.gradients("G."), places["G."]
    )
    logs, gradients = differentiate(model, "discriminator", minibatch)
    assert_close(logs["d_adversarial"], golden.expect("loss_D"))
    assert_gradients_close(
        model.discriminator, gradients, golden.gradients("D."), places["D."]
    )
    # One step of D by Adam, whose epsilon stands beside the uncorrected root.
    model.d_optimizer.apply(gradients, model.variables_of("discriminator"))
    logs, _ = differentiate(model, "transformer", minibatch)
    assert_close(logs["t_adversarial"], golden.expect("loss_G_GAN_after_step_of_D"))


def test_cyclegan_step():
    golden = Golden("cyclegan_step")
    model = build(recipe="cyclegan", width=1 / 16, image_size=64)
    theirs = {
        "G_A": model.transformer,
        "G_B": model.inverse,
        "D_A": model.discriminator,
        "D_B": model.inverse_discriminator,
    }
    places = {}
    for name, network in theirs.items():
        parameters = golden.parameters(f"{name}.")
        of = originals.cyclegan_transformer
        of = originals.patch_discriminator if name.startswith("D") else of
        places[name] = of(parameters)
        originals.assign(network, parameters, places[name])
    a, b = golden.input("A"), golden.input("B")
    assert_close(model.transformer(a), golden.expect("G_A_of_A"))
    assert_close(model.inverse(b), golden.expect("G_B_of_B"))
    for name, image in (("D_A", b), ("D_B", a)):
        (logits,) = theirs[name]({"source": image, "image": image})["logits"]
        other = "B" if name == "D_A" else "A"
        assert_close(logits, golden.expect(f"{name}_of_{other}"))
    minibatch = {"source": a[:1], "target": b[:1]}
    logs, gradients = differentiate(model, "transformer", minibatch)

    def both(term):
        return golden.expect(f"{term}_A") + golden.expect(f"{term}_B")

    assert_close(logs["t_adversarial"], both("loss_G"))
    assert_close(logs["t_cycle_consistency"], both("loss_cycle"))
    assert_close(logs["t_identity"], both("loss_idt"))
    halves = split_gradients(gradients, model.transformer, model.inverse)
    for name, found in zip(("G_A", "G_B"), halves, strict=True):
        expected = golden.gradients(f"{name}.")
        assert_gradients_close(theirs[name], found, expected, places[name])
    logs, gradients = differentiate(model, "discriminator", minibatch)
    assert_close(logs["d_adversarial"], both("loss_D"))
    halves = split_gradients(gradients, model.discriminator, model.inverse_discriminator)
    for name, found in zip(("D_A", "D_B"), halves, strict=True):
        expected = golden.gradients(f"{name}.")
        assert_gradients_close(theirs[name], found, expected, places[name])


def split_gradients(gradients, first, second):
    """A player's gradients by its two networks."""
    count = len(first.trainable_variables)
    assert len(gradients) == count + len(second.trainable_variables)
    return gradients[:count], gradients[count:]


# PerceptualGAN.


@pytest.mark.parametrize(
    ("name", "halvings", "num_blocks"), [("faces", 3, 7), ("scenes", 2, 9)]
)
def test_perceptual_gan_transformer(name, halvings, num_blocks):
    golden = Golden(f"perceptual_gan_generator_{name}")
    network = networks.manipulation_transformer(None, halvings, num_blocks, width=1 / 8)
    parameters = golden.parameters()
    places = originals.manipulation_transformer(parameters)
    originals.assign(network, parameters, places)
    x = golden.input("x")
    assert_close(network(x), golden.expect("output"))
    loss, gradients = gradient_of(lambda: tf.reduce_mean(network(x) ** 2), network)
    assert_close(loss, golden.expect("mean_square"))
    assert_gradients_close(network, gradients, golden.gradients(), places)


@pytest.mark.parametrize(
    ("name", "most", "heads"), [("faces", 16, (8, 4, 1)), ("scenes", 8, (16, 8))]
)
def test_perceptual_gan_discriminator(name, most, heads, monkeypatch):
    golden = Golden(f"perceptual_gan_discriminator_{name}")
    monkeypatch.setattr(vgg, "CHANNELS", (2, 3, 4, 5, 6))
    network = networks.perceptual_discriminator(256, filters=4, most=most, heads=heads)
    parameters = golden.parameters()
    places = originals.perceptual_discriminator(parameters, heads)
    originals.assign(network, parameters, places)
    maps = [golden.input(f"f{number}") for number in range(1, 6)]
    seen = {"source": tf.zeros((2, 256, 256, 3)), "image": maps}

    def loss():
        seen_by_d = DiscriminatorOutput(**network(seen))
        translation = Translation(None, None, None, d_outputs={"output": seen_by_d})
        # LSGAN's T wants of every head what its D wants of real images.
        return AdversarialLoss("least_squares").loss("transformer", translation)

    for head, logits in zip(heads, network(seen)["logits"], strict=True):
        assert_close(logits, golden.expect(f"logits_{head}"))
    value, gradients = gradient_of(loss, network)
    assert_close(value, golden.expect("sum_over_heads_of_mean_square_to_1"))
    assert_gradients_close(network, gradients, golden.gradients(), places)


# The Torch codes.


def test_id_cgan():
    golden = Golden("id_cgan_twin")
    transformer = networks.id_cgan_transformer(width=1 / 16)
    discriminator = networks.patch_discriminator(
        64, filters=48, use_bias=False, width=1 / 16
    )
    t, d = golden.parameters("T."), golden.parameters("D.")
    t_places = originals.id_cgan_transformer(t)
    d_places = originals.patch_discriminator(d)
    originals.assign(transformer, t, t_places)
    originals.assign(discriminator, d, d_places)
    x, y = golden.input("x"), golden.input("y")
    # The recipe's own terms, without the one that looks through VGG.
    terms = [
        term
        for term in recipes.RECIPES["id_cgan"].terms
        if isinstance(term, AdversarialLoss | PixelLoss)
    ]
    assert len(terms) == 2

    def translation(output):
        views = {
            name: DiscriminatorOutput(
                **discriminator({"source": x, "image": image}, training=True)
            )
            for name, image in (("target", y), ("output", output))
        }
        return Translation(x, y, output, d_outputs=views)

    with tf.GradientTape() as tape:
        output = transformer(x, training=True)
        view = translation(output)
        sides = {term.name: term.loss("transformer", view) for term in terms}
        total = tf.add_n(list(sides.values()))
    assert_close(output, golden.expect("output"))
    assert_close(sides["adversarial"], golden.expect("loss_T_adversarial"))
    assert_close(sides["pixel"], golden.expect("loss_T_pixel_times_150"))
    gradients = tape.gradient(total, transformer.trainable_variables)
    assert_gradients_close(transformer, gradients, golden.gradients("T."), t_places)
    made = tf.constant(golden.expect("output"), DTYPE)
    with tf.GradientTape() as tape:
        view = translation(made)
        loss = terms[0].loss("discriminator", view)
    for name, key in (("target", "real"), ("output", "generated")):
        probability = tf.sigmoid(view.d_outputs[name].logits[0])
        assert_close(probability, golden.expect(f"probability_{key}"))
    assert_close(loss, golden.expect("loss_D"))
    gradients = tape.gradient(loss, discriminator.trainable_variables)
    assert_gradients_close(discriminator, gradients, golden.gradients("D."), d_places)


def test_context_encoder():
    golden = Golden("context_encoder_twin")
    model = build(
        recipe="context_encoder",
        transformer="inpainting",
        synthesize="hole",
        width=1 / 32,
        image_size=128,
        batch_size=4,
    )
    mapping = originals.context_encoder
    places = assign_players(model, golden, **{"T.": mapping, "D.": mapping})
    image, context = golden.input("image"), golden.input("context")
    output = model.transformer(context, training=True)
    assert_close(centre(output.numpy()), golden.expect("output_centre"))
    minibatch = {"source": context, "target": image}
    for name, judged in (("real", image), ("generated", output)):
        pair = {"source": context, "image": judged}
        (logits,) = model.discriminator(pair, training=True)["logits"]
        assert_close(
            tf.sigmoid(logits), golden.expect(f"probability_{name}"), OF_PROBABILITIES
        )
    logs, gradients = differentiate(model, "transformer", minibatch)
    assert_close(logs["t_adversarial"], golden.expect("loss_T_adversarial_times_0.001"))
    assert_close(logs["t_pixel"], golden.expect("loss_T_pixel_times_0.999"))
    assert_gradients_close(
        model.transformer, gradients, golden.gradients("T."), places["T."]
    )
    logs, gradients = differentiate(model, "discriminator", minibatch)
    assert_close(logs["d_adversarial"], golden.expect("loss_D"))
    assert_gradients_close(
        model.discriminator, gradients, golden.gradients("D."), places["D."]
    )


# The mapping refuses what it does not know.


def test_an_array_without_a_place_is_refused():
    with pytest.raises(ValueError, match=r"Nothing is known of: extra\.weight"):
        originals.converted({"extra.weight": np.zeros(3)}, {})


def test_an_array_of_another_shape_is_refused():
    golden = Golden("pan_lasagne_deraining_tiny")
    parameters = golden.parameters()
    network = networks.deraining_transformer(width=1 / 8)
    with pytest.raises(ValueError, match="kernel of layer_1 must have the shape"):
        originals.assign(network, parameters, originals.pan(parameters))


def test_a_variable_without_an_array_is_refused():
    golden = Golden("pan_lasagne_deraining_tiny")
    parameters = golden.parameters()
    parameters.pop("05_BatchNormLayer.gamma")
    network = networks.deraining_transformer(width=1 / 16)
    with pytest.raises(ValueError, match="has no gamma for its layer_2_norm"):
        originals.assign(network, parameters, originals.pan(parameters))


def test_a_bias_that_no_normalization_makes_idle_is_not_left_out():
    parameters = Golden("perceptual_gan_generator_scenes").parameters()
    parameters.pop("generator.2.bias")
    network = networks.manipulation_transformer(None, 2, 9, width=1 / 8)
    places = originals.manipulation_transformer(parameters)
    with pytest.raises(ValueError, match="has no bias for its layer_2"):
        originals.assign(network, parameters, places)


def test_an_array_too_many_is_refused():
    parameters = Golden("perceptual_gan_generator_scenes").parameters()
    network = networks.manipulation_transformer(None, 2, 9, width=1 / 8)
    places = originals.manipulation_transformer(parameters)
    places["extra"] = originals.Place("layer_25", "kernel")
    parameters["extra"] = np.zeros((3, 3, 4, 3))
    with pytest.raises(ValueError, match=r"has no place for: layer_25\.kernel"):
        originals.assign(network, parameters, places)


def test_initial_weights_are_not_those_of_the_file():
    """The comparison can fail: without the weights it does."""
    golden = Golden("perceptual_gan_generator_scenes")
    keras.utils.set_random_seed(0)
    network = networks.manipulation_transformer(None, 2, 9, width=1 / 8)
    with pytest.raises(AssertionError):
        assert_close(network(golden.input("x")), golden.expect("output"))
