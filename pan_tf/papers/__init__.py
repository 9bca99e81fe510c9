"""What serves the two papers: their tables, fine-tuning, DFI, the user study."""
