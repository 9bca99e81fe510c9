"""The tables and figures of the papers, run again: which systems, on which tasks, and
what the paper's numbers were."""

from pan_tf.papers.reproduction.reproduce import Reproduction
from pan_tf.papers.reproduction.tables import TABLES
from pan_tf.papers.reproduction.trials import Budget

__all__ = ["TABLES", "Budget", "Reproduction"]
