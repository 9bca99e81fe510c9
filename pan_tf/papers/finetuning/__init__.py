"""Fine-tuning of VGG*, the network that perceptual discriminators look through."""

from pan_tf.papers.finetuning.finetuning import Finetuning
from pan_tf.papers.finetuning.finetuning import Settings

__all__ = ["Finetuning", "Settings"]
