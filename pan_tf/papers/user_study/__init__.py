"""User studies: a blind page that asks people which output is best, and the score."""

from pan_tf.papers.user_study.scoring import FEWEST
from pan_tf.papers.user_study.scoring import score
from pan_tf.papers.user_study.study import Study
from pan_tf.papers.user_study.study import check_output_dir
from pan_tf.papers.user_study.study import write_study

__all__ = ["FEWEST", "Study", "check_output_dir", "score", "write_study"]
