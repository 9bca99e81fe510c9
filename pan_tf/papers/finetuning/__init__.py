"""Fine-tuning of VGG*, the network that perceptual discriminators look through."""
