"""Metrics that compare an image with the one that it should be, pixel by pixel."""
