"""Which network a builder's name stands for: a number that changes when the network does.

Weights of one revision fit the variables of another, and compute something else. So a run
folder records the revisions of its networks, and one of other revisions is refused.
"""

import functools


def revision(number, changes):
    """Decorates a builder that built another network before.

    Args:
        number: 2 at the first change, and so on. A builder without this decorator is of
            revision 1, as are all of runs that record none.
        changes: revision -> half a sentence that says what that one lacked or did
            otherwise, such as "had no tanh at its end".
    """

    def decorate(builder):
        builder.revision, builder.earlier_revisions = number, changes
        return builder

    return decorate


def original(builder):
    """What a builder with some arguments in place calls in the end."""
    while isinstance(builder, functools.partial):
        builder = builder.func
    return builder


def revision_of(builder):
    """A builder's present revision, 1 or more."""
    return getattr(original(builder), "revision", 1)


def what_changed(builder, recorded):
    """What a network of an earlier revision was like, in half a sentence."""
    changes = getattr(original(builder), "earlier_revisions", {})
    found = [text for number, text in sorted(changes.items()) if number >= recorded]
    return "; then ".join(found) or "was another network"
