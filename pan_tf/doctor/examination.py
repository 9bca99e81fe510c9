"""The doctor: finds before training what would ruin it.

doctor.json   what was checked, what was found, whether the data set passes
pairs.csv     the shift of every pair, and how sure it is
index.html    the worst of each finding, as pictures
"""

import collections
import concurrent.futures
import csv
import dataclasses
import io
import os
import pathlib

import numpy as np
import threadpoolctl

from pan_tf import files
from pan_tf.config import Config
from pan_tf.data import geometry_of_own
from pan_tf.doctor import alignment
from pan_tf.doctor import duplicates
from pan_tf.doctor import report
from pan_tf.doctor.pairs import BrokenPairError
from pan_tf.progress import followed

# check -> (severity, what it is). The order is that of the report.
CHECKS = {
    "unreadable": ("error", "Files that cannot be read, or not as a pair"),
    "unpaired": ("error", "Files without a partner of the same name"),
    "constant": ("error", "Sides of one single colour"),
    "leakage": ("error", "Training pairs that are held out as well"),
    "swapped": ("error", "Pairs whose A and B seem to be swapped"),
    "offset": ("error", "A shift of B against A that all pairs share"),
    "misaligned": ("warning", "Pairs whose B is shifted against A"),
    "duplicate": ("warning", "Pairs that stand twice, in training or held out"),
    "shape": ("warning", "Pairs of another shape than most"),
    "small": ("warning", "Pairs smaller than 64 px"),
    "depth": ("warning", "Files of other values than 8 bits"),
    "profile": ("warning", "Files of other colours than sRGB"),
    "halves": ("warning", "Files that do not look like A | B"),
    "channels": ("warning", "Files with transparency, or other channels than most"),
    "orientation": ("warning", "Files that are turned by their EXIF"),
}
_SMALLEST = 64
_LARGEST_OFFSET = 2.0


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something found of one pair.

    Attributes:
        check: key of `CHECKS`.
        split: of the pair.
        name: of the pair.
        message: a sentence.
        detail: numbers, for doctor.json.
    """

    check: str
    split: str
    name: str
    message: str
    detail: dict = dataclasses.field(default_factory=dict)


def examine(
    items,
    unpaired=(),
    max_misaligned=0.03,
    image_size=None,
    suspicions=(),
):
    """Runs all checks.

    Args:
        items: `Item`s of all splits.
        unpaired: (split, name, sentence) of files without a partner.
        max_misaligned: share of the pairs judged that may seem misaligned in a set that
            passes; one always may, unless this is 0.
        image_size: `Size` to train at, of a user's own files: the record says how they
            would be brought to it; None says nothing on that.
        suspicions: (split, name, sentence) of files that do not look like two halves.

    Returns:
        (record for doctor.json, list of `Finding`, {(split, name): `Estimate`}).
    """
    findings = [Finding("unpaired", *each) for each in unpaired]
    findings += [Finding("halves", *each) for each in suspicions]
    print(f"Reading {len(items)} pairs ...")
    whole, portraits, notes = _read(items)
    findings += notes
    findings += _sizes(whole, portraits)
    findings += _likenesses(whole, portraits)
    skipped = {}
    wrong = duplicates.swapped(portraits)
    if wrong is None:
        skipped["swapped"] = "the two sides look too alike to tell, or pairs are few"
    for i in wrong or ():
        message = "A looks like the other pairs' B, and B like their A"
        findings.append(Finding("swapped", whole[i].split, whole[i].name, message))
    # Swapped or blank pairs have nothing to say on alignment.
    unfit = set(wrong or ())
    fit = [
        item
        for i, (item, each) in enumerate(zip(whole, portraits, strict=True))
        if i not in unfit and not each.constant and alignment.is_large_enough(each.size)
    ]
    common, estimates = None, {}
    if len(fit) < alignment.LEAST_PAIRS:
        reason = f"fewer than {alignment.LEAST_PAIRS} usable pairs"
        skipped |= {"misaligned": reason, "offset": reason}
    else:
        common, estimates = _align(fit)
        peak = np.median([each.peak for each in estimates.values()])
        if peak < alignment.LEAST_PEAK:
            # Whatever shift is the best, it is so by chance.
            reason = "the two sides say too little of each other"
            skipped |= {"misaligned": reason, "offset": reason}
            common = None
        else:
            findings += _offset(common) + _misaligned(estimates)
    record = _record(items, findings, skipped, common, len(estimates), max_misaligned)
    sizes = [
        each.size
        for item, each in zip(whole, portraits, strict=True)
        if item.split == "train"
    ]
    if image_size is not None and sizes:
        record["geometry"] = geometry_of_own(
            sizes, Config(image_size=image_size), "pairs"
        ).to_json()
    return record, findings, estimates


def write(output_dir, title, items, record, findings, estimates):
    """Writes doctor.json, pairs.csv and index.html into a folder, which is made."""
    output_dir = pathlib.Path(output_dir)
    page = report.render(title, items, record, findings, estimates, CHECKS)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["split", "name", "shift_y", "shift_x", "gain", "peak", "findings"])
    found = collections.defaultdict(list)
    for finding in findings:
        found[finding.split, finding.name].append(finding.check)
    for item in items:
        key = item.split, item.name
        numbers = [""] * 4
        if key in estimates:
            estimate = estimates[key]
            values = (*estimate.shift, estimate.gain, estimate.peak)
            numbers = [f"{value:.2f}" for value in values]
        writer.writerow([*key, *numbers, " ".join(sorted(set(found[key])))])
    output_dir.mkdir(parents=True, exist_ok=True)
    files.write_json(output_dir / "doctor.json", record, allow_nan=False)
    files.write(output_dir / "pairs.csv", table.getvalue())
    files.write(output_dir / "index.html", page)


def _read(items):
    """(items that can be read, their portraits, findings on the files)."""

    def look(item):
        try:
            pair, notes, modes = item.inspect()
            return duplicates.portrait(*pair), notes, modes
        except BrokenPairError as error:
            return None, [("unreadable", str(error))], ()

    whole, portraits, findings, modes_seen = [], [], [], []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = pool.map(look, items)
        looked = followed(looked, "reading", len(items))
        for item, (seen, notes, modes) in zip(items, looked, strict=True):
            findings += [
                Finding(check, item.split, item.name, text) for check, text in notes
            ]
            if seen is not None:
                whole.append(item)
                portraits.append(seen)
                modes_seen.append(modes)
    return whole, portraits, findings + _modes(whole, modes_seen)


def _modes(items, modes_seen):
    """Files with other channels than most files of their side."""
    findings = []
    # A file has one mode, two files have one each: of splits that lie otherwise.
    for count, side in ((1, 0), (2, 0), (2, 1)):
        alike = zip(items, modes_seen, strict=True)
        here = [(item, modes[side]) for item, modes in alike if len(modes) == count]
        usual = collections.Counter(mode for _, mode in here).most_common(1)
        for item, mode in here:
            if mode != usual[0][0]:
                message = f"{'AB'[side]} is {mode}; most are {usual[0][0]}"
                findings.append(Finding("channels", item.split, item.name, message))
    return findings


def _sizes(items, portraits):
    findings = []
    ratios = (p.size[1] / p.size[0] for p in portraits)
    shapes = collections.Counter(float(f"{ratio:.3g}") for ratio in ratios)
    usual, count = shapes.most_common(1)[0] if shapes else (None, 0)
    are = (
        "most are"
        if 2 * count > len(items)
        else f"the most frequent shape, of {count}, is"
    )
    for item, each in zip(items, portraits, strict=True):
        where = (item.split, item.name)
        height, width = each.size
        for side in each.constant:
            findings.append(Finding("constant", *where, f"{side} is of one colour"))
        if min(each.size) < _SMALLEST:
            findings.append(Finding("small", *where, f"{width} x {height} px"))
        if abs(width / height / usual - 1) > 0.02:
            message = f"{width} x {height} px; {are} {usual:g} times as wide as high"
            findings.append(Finding("shape", *where, message))
    return findings


def _likenesses(items, portraits):
    findings = []
    for cluster in duplicates.same(portraits):
        train = [items[i] for i in cluster if items[i].split == "train"]
        held_out = [items[i] for i in cluster if items[i].split != "train"]
        if train and held_out:
            # The one to take out is that of the training split.
            findings += [_copy("leakage", item, held_out[0]) for item in train]
            train = []
        for first, *others in filter(None, (train, held_out)):
            findings += [_copy("duplicate", item, first) for item in others]
    return findings


def _copy(check, item, other):
    place = f"{other.split}/{other.name}"
    detail = {"same_as": place}
    return Finding(check, item.split, item.name, f"the same as {place}", detail)


def _align(items):
    """The common shift, and an `Estimate` of each pair."""
    train = [item for item in items if item.split == "train"]
    learn = train if len(train) >= alignment.LEAST_PAIRS else items
    print(f"Learning from {min(len(learn), alignment.SUBSET)} pairs what is aligned ...")

    class Loaded:
        def __len__(self):
            return len(learn)

        def __getitem__(self, i):
            return learn[i].load()

    estimates = {}
    # The matrices are small: threads inside a product would only wait for each other.
    with (
        threadpoolctl.threadpool_limits(1),
        concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool,
    ):
        aligner = alignment.Aligner(Loaded())
        print(f"Estimating the shift of {len(items)} pairs ...")
        results = pool.map(lambda item: aligner.estimate(*item.load()), items)
        results = followed(results, "estimating shifts", len(items))
        for item, estimate in zip(items, results, strict=True):
            estimates[item.split, item.name] = estimate
    return aligner.common_shift, estimates


def _offset(common):
    if max(map(abs, common)) < _LARGEST_OFFSET:
        return []
    message = f"B lies {_direction(*common)}"
    return [Finding("offset", "all", "all pairs", message)]


def _misaligned(estimates):
    findings = []
    for (split, name), estimate in estimates.items():
        if estimate.misaligned:
            (dy, dx), gain = estimate.shift, estimate.gain
            message = f"B lies {_direction(dy, dx)}; gain {gain:.1f} nats"
            detail = {"shift": [round(dy, 2), round(dx, 2)], "gain": round(gain, 2)}
            findings.append(Finding("misaligned", split, name, message, detail))
    return sorted(findings, key=lambda finding: -finding.detail["gain"])


def _direction(dy, dx):
    vertical = f"{abs(dy):.1f} px {'lower' if dy > 0 else 'higher'}"
    return f"{vertical} and {abs(dx):.1f} px to the {'right' if dx > 0 else 'left'}"


def _record(items, findings, skipped, common, checked, max_misaligned):
    counts = collections.Counter(item.split for item in items)
    checks = {}
    for check, (severity, _) in CHECKS.items():
        found = [finding for finding in findings if finding.check == check]
        if check == "misaligned":
            # A few false alarms are to be expected of so many pairs, one of any number.
            allowed = max(1, max_misaligned * checked) if max_misaligned else 0
            severity = "error" if len(found) > allowed else "warning"
        checks[check] = {
            "severity": severity,
            "count": len(found),
            "pairs": [
                {"pair": f"{f.split}/{f.name}", "message": f.message, **f.detail}
                for f in found
            ],
        }
        if check in skipped:
            checks[check]["not_checked"] = skipped[check]
    if common is not None:
        checks["misaligned"]["checked"] = checked
        checks["misaligned"]["common_shift"] = [round(value, 2) for value in common]
    failed = [
        name for name, c in checks.items() if c["severity"] == "error" and c["count"]
    ]
    return {
        "pairs": dict(counts),
        "passed": not failed,
        "failed": failed,
        "max_misaligned": max_misaligned,
        "checks": checks,
    }
