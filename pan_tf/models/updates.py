"""Who is updated when, and what updates of one minibatch share."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class UpdateSchedule:
    """Who is updated how often in one round, and on which minibatches.

    Attributes:
        d_updates: updates of D.
        t_updates: updates of T.
        reuse_minibatch: whether one minibatch serves all updates of the round; if not,
            each update has a fresh one.
        t_first: whether T is updated before D, which then judges, of a reused minibatch,
            what T made of it before its last update.
    """

    d_updates: int = 1
    t_updates: int = 1
    reuse_minibatch: bool = False
    t_first: bool = False

    def __post_init__(self):
        if self.d_updates < 0 or self.t_updates < 1:
            raise ValueError(
                "A round must have at least one update of T and no negative number of "
                f"D. Received: d_updates={self.d_updates}, t_updates={self.t_updates}."
            )

    @property
    def players(self):
        """Who is updated, in order."""
        d, t = ("discriminator",) * self.d_updates, ("transformer",) * self.t_updates
        return t + d if self.t_first else d + t

    @property
    def minibatches(self):
        """Minibatches, hence iterations, in a round."""
        return 1 if self.reuse_minibatch else len(self.players)


class MinibatchCache:
    """A minibatch, and what T and D made of it, through the updates that it serves.

    T's images stay true until T is updated, D's outputs until D is, or T if they are of
    T's images; what a frozen encoder makes of the minibatch's own images stays true.

    Attributes:
        minibatch: image name -> float32 `[B, H, W, 3]` in [-1, 1].
        translations: list of `Translation`, one a direction, by T as it is, or, once it
            has been updated, as it was; or None.
        tape: has recorded how they came about.
        gradients: of the last update.
    """

    def __init__(self, minibatch):
        self.minibatch = minibatch
        self.gradients = []
        self.translations = None
        self._outdated = False
        self.tape = None

    def forget(self, player):
        """Drops what is no longer true once a player has been updated."""
        if player == "transformer":
            self._outdated = True
        else:
            for translation in self.translations:
                translation.d_outputs.clear()
                translation.pooled = None
                # Of T's images it was made outside of T's tape.
                _keep_own(translation.encoded)

    def refresh(self, translate):
        """Lets `translate` make T's images again if T is another by now."""
        if self.translations is not None and not self._outdated:
            return
        before = self.translations or []
        self._outdated = False
        self.tape = tf.GradientTape(watch_accessed_variables=False)
        self.translations = translate(self)
        for old, new in zip(before, self.translations, strict=False):
            new.d_outputs.update(_keep_own(old.d_outputs))
            new.encoded.update(_keep_own(old.encoded))


def _keep_own(found):
    """Without what was found of generated images."""
    for name in set(found) - {"source", "target"}:
        del found[name]
    return found
