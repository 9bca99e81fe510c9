"""An evaluation's record as lines of text, for terminals and notebooks."""

from pan_tf.evaluation.record import NATIVE_SCALE


def lines(record):
    """What was measured, with intervals, beside the baselines.

    Args:
        record: what metrics.json holds.
    """
    found = []
    split = record["dataset"]["split"]
    for direction, part in record.get("directions", {"": record}).items():
        runs = part.get("runs") or {"": part}
        columns = {name: run["metrics"] for name, run in runs.items()}
        columns |= {
            f"baseline: {name}": row.get("metrics", row)
            for name, row in part["baselines"].items()
        }
        what = f"{part['n']} {split} images"
        if direction:
            what = f"{direction}, {part['n']} sources"
        found += ["", f"{what}, mean [95 % interval]:", *_columns(columns)]
    if "native" in record:
        found += ["", *_native(record["native"])]
    return [*found, *record["notes"]]


def _native(native):
    columns = dict(native.get("runs") or {"": native["metrics"]})
    columns |= {
        f"{name}{NATIVE_SCALE}": row for name, row in native["at_native_scale"].items()
    }
    columns |= {f"baseline: {name}": row for name, row in native["baselines"].items()}
    return [
        "On your files as they are, at their own size, as translate writes them:",
        *_columns(columns),
        *native["sentences"],
    ]


def _columns(columns):
    found = []
    for name, metrics in columns.items():
        found += [name] if name else []
        for metric, value in metrics.items():
            interval = value["ci95"] and "[{:.4f}, {:.4f}]".format(*value["ci95"])
            found.append(
                f"    {metric:18}{value['mean']:9.4f}  {interval or ''}".rstrip()
            )
    return found
