"""What a row of the table of metrics says."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from pan_tf import networks

# What a translation has, and is compared.
_IMAGES = ("source", "target", "output", "cycled", "identity")


@functools.lru_cache(maxsize=2)
def _made(make, weights):
    """Networks are read once, whatever the number of sizes of images."""
    return make(weights)


@dataclasses.dataclass(frozen=True)
class Metric:
    """One row.

    Attributes:
        title: what it is called, without its unit.
        unit: "dB", "nats", or "".
        digits: after the point, in tables.
        higher_is_better: whether it is.
        compares: names of the two images that `function` is given: "source", "target",
            "output" (of the source), "cycled" (there and back), "identity" (T(target)).
            A row of sets names the images that its sets are of.
        function: (reference, prediction), uint8 or uint16 `[B, H, W, C]` -> float `[B]`;
            a graph function. Or, where a row looks through networks, `make`: `Weights` ->
            such a function. Or `of_scores`, or `of_sets`.
        of_scores: metric -> `[n]` of the rows `made_of` -> `[n]`.
        made_of: names of rows that compare images, for `of_scores`; they are measured
            with it.
        of_sets: `distribution.sets.Sets` -> `[n]`, one an output, or `{"mean", "ci95"}`.
        largest: greater values count as this one in means, such as an infinite PSNR.
        needs: networks whose weights it needs, "vgg16" or of `networks.PUBLISHED`.
        check: `Weights` -> None; raises ValueError where a file holds something else.
        smallest: pixels that each side of an image must have.
        least: images that a set must have, for rows of sets.
        biased_below: images below which its value depends on their number.
        of_realism: whether it compares what images look like, rather than pixels.
        by_classifier: whether it needs a classifier that is trained on the sets.
        is_variant: whether it is another row on other planes: captions leave it out, as
            they do what is made of others.
        is_usual: whether it is measured without being asked for.
        beside_sources: of a row of sets, what is said of outputs beside their sources: a
            sentence of (outputs' name, word, `title`), and its words for better, worse
            and neither.
        about: how it is measured, a sentence or two for the report.
    """

    title: str
    unit: str = ""
    digits: int = 4
    higher_is_better: bool = True
    compares: tuple = ("target", "output")
    function: Callable | None = None
    make: Callable | None = None
    of_scores: Callable | None = None
    made_of: tuple = ()
    of_sets: Callable | None = None
    largest: float | None = None
    needs: tuple = ()
    check: Callable | None = None
    smallest: int = 1
    least: int = 1
    biased_below: int = 0
    of_realism: bool = False
    by_classifier: bool = False
    is_variant: bool = False
    is_usual: bool = True
    beside_sources: tuple = (
        "Outputs of {} are {} than their sources by {}.",
        "better",
        "worse",
        "neither better nor worse",
    )
    about: str = ""

    def __post_init__(self):
        ways = "function", "make", "of_scores", "of_sets"
        given = [way for way in ways if getattr(self, way) is not None]
        wrong = None
        if len(given) != 1:
            wrong = f"needs one of {', '.join(ways)}, and has {given}"
        elif bool(self.made_of) != (self.of_scores is not None):
            wrong = "must name the rows that it is `made_of`, by `of_scores`"
        elif unknown := {*self.compares} - {*_IMAGES}:
            wrong = f"compares {sorted(unknown)}: images are {', '.join(_IMAGES)}"
        elif self.of_images and len(self.compares) != 2:
            wrong = f"compares two images, and {len(self.compares)} are named"
        elif unknown := {*self.needs} - {"vgg16", *networks.PUBLISHED}:
            known = ", ".join(("vgg16", *networks.PUBLISHED))
            wrong = f"needs weights of {sorted(unknown)}: there are {known}"
        if wrong:
            raise ValueError(f"The metric {self.title!r} {wrong}.")

    @property
    def label(self):
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def of_images(self):
        """Whether it compares two images."""
        return self.function is not None or self.make is not None

    def function_by(self, weights):
        """(reference, prediction) -> `[B]`; `weights`: `Weights` of what it needs."""
        if self.make is not None:
            return _made(self.make, weights)
        return self.function

    def finite(self, values):
        """Scores to average."""
        return values if self.largest is None else np.minimum(values, self.largest)

    def merit(self, value):
        """The same number, so turned that the higher is better."""
        return value if self.higher_is_better else -value

    def text(self, value, sign=""):
        """A number as text; `sign` as in a format, "+" to have one always."""
        return f"{value:{sign}.{self.digits}f}"

    def interval(self, ci95, sign=""):
        """`[low, high]` as text; empty for None."""
        if ci95 is None:
            return ""
        return f"[{', '.join(self.text(end, sign) for end in ci95)}]"
