"""Systems: the table of what they are, and how one becomes a model."""

from pan_tf.recipes.build import build
from pan_tf.recipes.build import complete
from pan_tf.recipes.build import resolve
from pan_tf.recipes.build import vgg_of
from pan_tf.recipes.table import RECIPES
from pan_tf.recipes.table import Recipe

__all__ = ["RECIPES", "Recipe", "build", "complete", "resolve", "vgg_of"]
