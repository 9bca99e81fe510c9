"""Training runs: the run folder, the loop, and what happens beside it."""
