"""Systems: the table of what they are, and how one becomes a model."""

from pan_tf.recipes.build import build
from pan_tf.recipes.build import complete
from pan_tf.recipes.build import resolve
from pan_tf.recipes.build import with_found
from pan_tf.recipes.recipe import Recipe
from pan_tf.recipes.stored import check_stored
from pan_tf.recipes.stored import stored
from pan_tf.recipes.system import Network
from pan_tf.recipes.system import System
from pan_tf.recipes.table import RECIPES

__all__ = [
    "RECIPES",
    "Network",
    "Recipe",
    "System",
    "build",
    "check_stored",
    "complete",
    "resolve",
    "stored",
    "with_found",
]
