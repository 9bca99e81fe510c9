"""T as TF Serving sees it: three signatures, one function.

    serving_default   image_bytes, string [B]: PNG or JPEG files  ->  PNG files
    image             image, uint8 [B, H, W, C] in [0, 255]       ->  the same
                      (uint16 in [0, 65535] where T's images have 16 bits)
    float_image       image, float32 [B, H, W, C] in [-1, 1]      ->  the same

Any size, unless T knows only one; outputs have the size of their inputs. Over REST, bytes
travel as base64, in both directions since the names end in `_bytes`. A request of more
pixels than the export's limit is refused before it is decoded.
"""

import itertools

import tensorflow as tf

from pan_tf import images
from pan_tf import loading
from pan_tf import tracing
from pan_tf.export import decoding
from pan_tf.inference import any_size


class Servable(tf.Module):
    """T with its signatures.

    All signatures call one function of T's variables, and of what `optimized` has made
    constants: each is stored once. (A Keras model as an attribute is saved in a way that
    `tf.saved_model.load` can restore, but TF Serving's loader cannot; `model.export`
    stores every weight twice.)

    Args:
        transformer: functional `keras.Model`.
        multiple: what height and width must be multiples of.
        max_pixels: of all images of a request, each side rounded up to `multiple`.
        size: the only height and width that the transformer knows, or None.
        seen_size: (height, width), int32 scalars -> `Size` at which T sees an image of
            uint8 or of a file; None: its own. `float_image` is T itself.
        source, target: `ImageSpec`s; None: 8 bits of T's channels. Files are served of at
            most four channels.
    """

    def __init__(
        self,
        transformer,
        multiple,
        max_pixels,
        size=None,
        seen_size=None,
        source=None,
        target=None,
    ):
        super().__init__()
        self._weights = [variable.value for variable in transformer.variables]
        translate = any_size(inference_function(transformer), multiple, size)
        channels = transformer.input_shape[-1]
        source = source or images.ImageSpec(channels)
        target = target or images.ImageSpec(transformer.output_shape[-1])

        def seen(sizes):
            """int64 `[2]`, height and width -> those that T sees."""
            if seen_size is None:
                return tf.identity(sizes)
            # Clipped, so that what a header claims cannot overflow.
            sides = tf.unstack(tf.cast(tf.minimum(sizes, 2**20), tf.int32))
            return tf.cast(tf.stack([*seen_size(*sides)]), tf.int64)

        def pixels_of(sizes):
            # Clipped, so that what a header claims cannot overflow.
            sizes = tf.minimum(sizes, max_pixels + 1)
            return tf.reduce_sum(tf.reduce_prod(-(-sizes // multiple) * multiple, -1))

        def check(own, seen_sizes):
            """Assertions on the sizes of a request's images, `[B, 2]`, own and seen."""
            # A constant: Assert prints what it is given.
            sentence = f"A request must not hold more than {max_pixels} pixels."
            count = tf.maximum(pixels_of(own), pixels_of(seen_sizes))
            checks = [tf.debugging.Assert(count <= max_pixels, [sentence])]
            if size is not None:
                sentence = f"Images must be of {size} x {size} pixels."
                fits = tf.reduce_all(seen_sizes == size)
                checks.append(tf.debugging.Assert(fits, [sentence]))
            return checks

        def checked(image, view):
            shape = tf.shape(image, out_type=tf.int64)
            sizes = tf.broadcast_to(shape[1:3], (shape[0], 2))
            seen_sizes = tf.broadcast_to(view(shape[1:3]), (shape[0], 2))
            present = tf.debugging.Assert(
                tf.reduce_all(shape > 0), ["`image` must not be empty."]
            )
            checks = [present, *check(sizes, seen_sizes)]
            if source.labels and image.dtype != tf.float32:
                most = tf.reduce_max(tf.cast(image, tf.int32))
                sentence = f"Labels must be 0 to {source.labels - 1}."
                checks.append(tf.debugging.Assert(most < source.labels, [sentence]))
            with tf.control_dependencies(checks):
                return tf.identity(image)

        def resized(image, wanted, spec):
            fits = tf.reduce_all(tf.shape(image)[1:3] == wanted)
            image = tf.cond(
                fits,
                lambda: tf.identity(image),
                lambda: spec.resize(image, wanted),
            )
            return tf.ensure_shape(image, (None, None, None, spec.planes))

        def translate_pixels(image):
            if seen_size is None:
                return target.to_levels(translate(source.to_float(image)))
            own = tf.shape(image)[1:3]
            wanted = tf.cast(seen(tf.cast(own, tf.int64)), tf.int32)
            image = resized(image, wanted, source)
            output = target.to_levels(translate(source.to_float(image)))
            return resized(output, own, target)

        def translate_file(contents):
            output = translate_pixels(decoding.decode(contents, source)[None])[0]
            return tf.io.encode_png(decoding.restored(output, target))

        @tracing.function(input_signature=[_spec(tf.float32, channels)])
        def float_image(image):
            return {"image": translate(checked(image, lambda sizes: sizes))}

        pixels = _spec(tf.as_dtype(source.dtype), source.planes)

        @tracing.function(input_signature=[pixels])
        def image(image):
            return {"image": translate_pixels(checked(image, seen))}

        @tracing.function(
            input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")]
        )
        def serving_default(image_bytes):
            sizes = _each(decoding.image_size, image_bytes, tf.TensorSpec([2], tf.int64))
            seen_sizes = _each(seen, sizes, tf.TensorSpec([2], tf.int64))
            with tf.control_dependencies(check(sizes, seen_sizes)):
                contents = tf.identity(image_bytes)
            outputs = _each(translate_file, contents, tf.TensorSpec([], tf.string))
            return {"image_bytes": outputs}

        # Functions must be attributes while they are saved.
        self._functions = {
            "image": image,
            "float_image": float_image,
        }
        if can_be_files(source, target):
            self._functions["serving_default"] = serving_default

    def save(self, path):
        """Writes the SavedModel into a folder."""
        tf.saved_model.save(self, str(path), self._functions)


def can_be_files(source, target):
    """Whether PNG files can hold what T takes and gives; `ImageSpec`s."""
    return max(source.planes, target.planes) <= 4


def inference_function(transformer):
    """A transformer at `training=False`, without what only training needs.

    Args:
        transformer: functional `keras.Model`.

    Returns:
        `tf.function` of float32 `[B, H, W, C]`, of the transformer's own variables.
    """
    spec = tf.TensorSpec(transformer.input_shape, tf.float32, "image")
    function = tracing.function(lambda image: transformer(image, training=False))
    with loading.without_noise():
        graph = function.get_concrete_function(spec).graph
    (result,) = graph.outputs
    definition = graph.as_graph_def()
    nodes = [definition.node, *(each.node_def for each in definition.library.function)]
    for node in itertools.chain.from_iterable(nodes):
        # Gradients written by hand, which would be asked for where it is loaded.
        node.attr.pop("_gradient_op_type", None)

    @tracing.function(input_signature=[_spec(tf.float32, spec.shape[-1])])
    def transform(image):
        inputs = {graph.inputs[0].op.name: image}
        for variable, place in graph.captures:
            inputs[place.op.name] = tf.compat.v1.get_default_graph().capture(variable)
        (output,) = tf.graph_util.import_graph_def(definition, inputs, [result.name], "T")
        return tf.ensure_shape(output, transformer.output_shape)

    return transform


def _spec(dtype, channels):
    return tf.TensorSpec([None, None, None, channels], dtype, "image")


def _each(function, elements, spec):
    """One after the other, so that memory is that of one."""
    return tf.map_fn(function, elements, fn_output_signature=spec, parallel_iterations=1)
