"""The perceptual discriminator and its relatives; Perceptual Discriminators, Sec. 3.2.

Discriminators as in `discriminators`, but for one thing: where D looks through a frozen
encoder, its `image` is the list of that encoder's feature maps f_1 to f_5, not an image.
The encoder belongs to the model, which shows an image to it once, whoever looks.
"""

import keras
from keras import layers

from pan_tf.layers import Conv2D
from pan_tf.layers import SymmetricAveragePooling2D
from pan_tf.networks import vgg
from pan_tf.networks.blocks import conv4
from pan_tf.networks.blocks import leaky
from pan_tf.networks.blocks import normal
from pan_tf.networks.blocks import scaled
from pan_tf.networks.blocks import torch_bias
from pan_tf.networks.declarations import discriminator
from pan_tf.networks.discriminators import inputs_of
from pan_tf.networks.discriminators import patches
from pan_tf.networks.vgg import vgg_encoder
from pan_tf.size import Size


def check_heads(image_size, heads=(8, 4, 1), **arguments):
    """Refuses a size of images that cannot be halved to the maps that D judges.

    Raises:
        ValueError: naming --image_size.
    """
    size = Size.of(image_size)
    if not size.is_square:
        raise ValueError(
            "--image_size must be square for this D, whose maps are. "
            f"Received: image_size={image_size}."
        )
    sizes = [size.height]
    while sizes[-1] % 2 == 0 and sizes[-1] > 7:
        sizes.append(sizes[-1] // 2)
    # The last layer makes one logit of 4 x 4 or 5 x 5.
    fits = all(head in sizes for head in heads if head > 1)
    if not fits or (1 in heads and sizes[-1] not in (4, 5)):
        legal = "4 or 5 times a power of 2" if tuple(heads) == (1,) else "a power of 2"
        raise ValueError(
            f"--image_size must be {legal} for this D, which judges maps of "
            f"{', '.join(map(str, heads))} px. Received: image_size={image_size}."
        )


@discriminator(settings={"discriminator_form": "form"}, check_size=check_heads)
def perceptual_discriminator(
    image_size,
    sees="features",
    filters=64,
    most=256,
    heads=(8, 4, 1),
    form="released",
    width=1.0,
    source_channels=3,
    target_channels=3,
    name="discriminator",
):
    """D of Eq. (4) to (6): a trunk that features of VGG join at every size.

    As released, stage i halves the map by a 4x4 convolution of stride 2, and the features
    of that size join it through a 3x3 convolution; a head is a 3x3 convolution to one
    channel on the map of its size, the head of size 1 a 4x4 convolution of the last map.
    By the paper's equations, features join as they are (Eq. 5), a stage is a 3x3
    convolution and average pooling, and a head has a hidden layer of its own.
    9 357 699 parameters with heads 8, 4, 1 at 256 px, 3 453 314 with `most` 128 and heads
    16, 8; 8 304 257 with the one head of size 1 at 160 px.

    Args:
        image_size: height and width in pixels.
        sees: "features", of a frozen encoder outside; "image", no VGG at all
            (3 814 083 parameters with heads 8, 4, 1 at 256 px); or "own_features", of an
            encoder of VGG*'s architecture that starts at random and is trained with the
            rest.
        filters: channels of the first stage; each has twice as many as the one before.
        most: channels of a stage at most.
        heads: sizes of the maps that are judged, at `image_size`; 1 for the whole image
            by one logit.
        form: "released" or "equations".
        width: multiplies the number of channels, not VGG's; 1 as published.
        source_channels, target_channels: of the images.
        name: name of the model.

    Returns:
        A functional `keras.Model` with a map of logits a head, large to small, and as
        features the trunk's stages.

    Raises:
        ValueError: as `check_heads`, or for another form.
    """
    check_heads(image_size, heads)
    if form not in _FORMS:
        raise ValueError(
            f"`form` must be one of: {', '.join(_FORMS)}. Received: form={form!r}."
        )
    halve, join, judge = _FORMS[form]
    channels = source_channels, target_channels
    inputs, (x, *laterals) = _inputs(image_size, channels, sees)
    sizes = [head for head in heads if head > 1]
    smallest = 7 if 1 in heads else min(sizes)
    logits, features, size, stage = [], [], Size.of(image_size).height, 1
    while size > smallest:
        (count,) = scaled([min(filters * 2 ** (stage - 1), most)], width)
        x = halve(x, stage, count)
        size //= 2
        if laterals:
            x = layers.Concatenate()([x, join(laterals.pop(0), stage, count)])
        features.append(x)
        if size in sizes:
            logits.append(judge(x, stage))
        stage += 1
    if 1 in heads:
        bias = torch_bias(16 * x.shape[-1])
        logits.append(conv4(x, stage, 1, padding=0, bias_initializer=bias))
    return keras.Model(inputs, {"logits": logits, "features": features}, name=name)


def _inputs(image_size, channels, sees):
    """(D's inputs by name, the maps that its trunk is given, large to small)."""
    inputs, image = inputs_of(image_size, channels)
    if sees == "image":
        return inputs, [image]
    if sees == "own_features":
        encoder = vgg_encoder("vgg19", star=True, size=Size.of(image_size).height)
        return inputs, encoder(image)
    side = Size.of(image_size).height
    sizes = (side // 2**i for i in range(len(vgg.CHANNELS)))
    maps = [
        keras.Input((size, size, channels))
        for size, channels in zip(sizes, vgg.CHANNELS, strict=True)
    ]
    return {**inputs, "image": maps}, maps


def _released_stage(x, stage, filters):
    bias = torch_bias(16 * x.shape[-1])
    return leaky(conv4(x, stage, filters, bias_initializer=bias))


def _released_lateral(x, stage, filters):
    return leaky(_three(x, filters, f"layer_{stage}_lateral"))


def _released_head(x, stage):
    return _three(x, 1, f"layer_{stage}_head")


def _stage(x, stage, filters):
    return layers.AveragePooling2D(2)(leaky(_three(x, filters, f"layer_{stage}")))


def _head(x, stage):
    x = leaky(_three(x, x.shape[-1], f"layer_{stage}_head_1"))
    return layers.Conv2D(1, 1, kernel_initializer=normal(), name=f"layer_{stage}_head_2")(
        x
    )


# form -> (half the map, what a feature map joins as, the logits of a map).
_FORMS = {
    "released": (_released_stage, _released_lateral, _released_head),
    "equations": (_stage, lambda x, stage, filters: x, _head),
}


def _three(x, filters, name):
    return Conv2D(
        filters,
        3,
        padding="same",
        kernel_initializer=normal(),
        bias_initializer=torch_bias(9 * x.shape[-1]),
        name=name,
    )(x)


@discriminator()
def separate_discriminators(
    image_size,
    num_scales=2,
    conditional=False,
    width=1.0,
    source_channels=3,
    target_channels=3,
    name="discriminator",
):
    """Independent PatchGANs on the image and on smaller copies of it; pix2pixHD.

    The baseline "separate multi-scale discriminators" of Fig. 4: instance normalization,
    two pixels of zeros around each layer's input, copies averaged down.

    Args:
        image_size: height and width in pixels.
        num_scales: number of PatchGANs; 2 in pix2pixHD's code.
        conditional, width, source_channels, target_channels, name: as of
            `patch_discriminator`; pix2pixHD's is conditional.

    Returns:
        A functional `keras.Model` with a map of logits a scale (35 x 35 for 256 px), and
        as features their hidden layers.
    """
    channels = source_channels, target_channels
    inputs, x = inputs_of(image_size, channels, conditional)
    logits, features = [], []
    for scale in range(num_scales):
        if scale:
            x = SymmetricAveragePooling2D()(x)
        found, seen = patches(
            x,
            width=width,
            normalization="instance",
            padding=2,
            prefix=f"scale_{scale}_" if scale else "",
        )
        logits.append(found)
        features += seen
    return keras.Model(inputs, {"logits": logits, "features": features}, name=name)
