"""The tables and figures of the papers, run again: which systems, on which tasks, and
what the paper's numbers were."""

from pan_tf.papers.reproduction.reproduce import Budget
from pan_tf.papers.reproduction.reproduce import Reproduction
from pan_tf.papers.reproduction.tables import TABLES

__all__ = ["TABLES", "Budget", "Reproduction"]
