"""Metrics that compare sets of images, of which none belongs to another."""
