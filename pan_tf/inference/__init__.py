"""Translation of any image with a trained T: one function for every command.

Evaluation, command line, export and parity all go through `Translator`, or through the
`any_size` that it is made of, so that equal weights give equal images.
"""

from pan_tf.inference.jobs import TranslationJob
from pan_tf.inference.jobs import translate_files
from pan_tf.inference.loaded import LABEL
from pan_tf.inference.sizes import any_size
from pan_tf.inference.tiles import Tiling
from pan_tf.inference.tiles import seam_score
from pan_tf.inference.translator import Translator
from pan_tf.inference.whole import WholeImages
from pan_tf.inference.work import Outcome

__all__ = [
    "LABEL",
    "Outcome",
    "Tiling",
    "TranslationJob",
    "Translator",
    "WholeImages",
    "any_size",
    "seam_score",
    "translate_files",
]
