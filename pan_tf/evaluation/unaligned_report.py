"""The report of an evaluation without pairs, as one HTML page."""

import numpy as np

from pan_tf import pages
from pan_tf.pages import pictures

_DOZEN = 12
TITLES = {
    "c2st": "C2ST (nats)",
    "c2st_accuracy": "C2ST, share told",
    "c2st_learnt": "of the tests, learnt anything",
    "attribute_log_loss": "Attribute log-loss (nats)",
    "source_psnr": "Output against source (dB)",
    "identity_psnr": "T(target) against target (dB)",
    "cycle_psnr": "There and back (dB)",
}
_SENTENCES = {
    "c2st": "Outputs of {} are {} to tell from real targets than their sources.",
    "attribute_log_loss": "Outputs of {} are {} like targets, to a classifier of the two "
    "domains, than their sources.",
}
FLOORS = {"copy_input": "the sources themselves", "real": "other real targets"}


def render(evaluation, record, shown):
    """Makes the page.

    Args:
        evaluation: `UnalignedEvaluation`.
        record: what metrics.json holds.
        shown: direction -> ((sources, targets), system -> uint8 outputs).

    Returns:
        HTML.
    """
    names = list(
        dict.fromkeys(n for d in record["directions"].values() for n in d["runs"])
    )
    size = evaluation.config.image_size
    return pages.render(
        "unaligned.html",
        {
            "title": " | ".join(names),
            "record": record,
            "checkpoints": [
                (name, _described(translator.checkpoint))
                for name, translator in zip(
                    evaluation.names, evaluation.translators, strict=True
                )
            ],
            "titles": TITLES,
            "directions": [
                {
                    "name": name,
                    "rows": _rows(found),
                    "sentences": sentences(found),
                    **_pictures(*shown[name]),
                }
                for name, found in record["directions"].items()
            ],
            "shown_width": pictures.shown_width(size),
        },
    )


def _described(checkpoint):
    if checkpoint["kind"] == "saved_model":
        return "a SavedModel"
    return f"the {checkpoint['kind']} checkpoint, iteration {checkpoint['iteration']}"


def sentences(found):
    """What the numbers of one direction say, in words."""
    floor = found["baselines"]["copy_input"]["metrics"]
    said = []
    for name, run in found["runs"].items():
        for metric, what in (
            ("c2st", {1: "harder", -1: "easier", 0: "neither harder nor easier"}),
            ("attribute_log_loss", {-1: "more", 1: "less", 0: "neither more nor less"}),
        ):
            sign = _gap(run["metrics"][metric], floor[metric])
            said.append(_SENTENCES[metric].format(name, what[sign]))
    return said


def _gap(one, other):
    """+1 or -1 where two intervals leave each other out, else 0."""
    (low, high), (other_low, other_high) = one["ci95"], other["ci95"]
    return int(low > other_high) - int(high < other_low)


def _rows(found):
    """(label, whether it is a floor, cells as text) of the table."""
    runs = [(name, False, run["metrics"]) for name, run in found["runs"].items()]
    floors = [
        (FLOORS[name], True, floor["metrics"])
        for name, floor in found["baselines"].items()
    ]
    return [
        (label, is_floor, [_cell(name, numbers.get(name)) for name in TITLES])
        for label, is_floor, numbers in runs + floors
    ]


def _cell(name, value):
    """(mean, interval), as text."""
    if value is None:
        return "-", ""
    digits = 1 if name.endswith("psnr") else 3
    ends = value["ci95"]
    interval = f"[{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]" if ends else ""
    return f"{value['mean']:.{digits}f}", interval


def _pictures(domains, outputs):
    """A dozen sources, the same in every report, and as many targets."""
    sources, targets = domains
    places, others = (
        sorted(np.random.default_rng(0).permutation(len(side.pixels))[:_DOZEN])
        for side in domains
    )
    rows = []
    for i in places:
        made = [(name, pictures.data_uri(pixels[i])) for name, pixels in outputs.items()]
        source = pictures.data_uri(sources.pixels[i])
        rows.append({"name": sources.names[i], "images": [("source", source), *made]})
    real = [(targets.names[i], pictures.data_uri(targets.pixels[i])) for i in others]
    return {"pictures": rows, "targets": real}
