"""Systems: the table of what they are, and how one becomes a model."""

from pan_tf.recipes.build import build
from pan_tf.recipes.build import check_revisions
from pan_tf.recipes.build import complete
from pan_tf.recipes.build import resolve
from pan_tf.recipes.build import revisions
from pan_tf.recipes.build import vgg_of
from pan_tf.recipes.table import RECIPES
from pan_tf.recipes.table import Recipe

__all__ = [
    "RECIPES",
    "Recipe",
    "build",
    "check_revisions",
    "complete",
    "resolve",
    "revisions",
    "vgg_of",
]
