"""What a run logged, as a table."""

import html

import numpy as np


class History:
    """A row an iteration at which something was logged, a column a number.

    >>> lines = [{"iteration": 4, "t_pixel": 0.5}, {"iteration": 8, "val_psnr": 21.0}]
    >>> History(lines)["val_psnr"]
    array([nan, 21.])

    `pandas.DataFrame(run.history.rows)` makes a data frame of it.

    Args:
        lines: what metrics.jsonl holds, `RunFolder.read_metrics`; warnings are left out.

    Attributes:
        rows: list of dictionaries, `iteration` and what was logged there.
        columns: names, in the order in which they first came.
    """

    def __init__(self, lines):
        merged = {}
        for line in lines:
            if "warning" not in line:
                merged.setdefault(line["iteration"], {}).update(line)
        self.rows = [merged[iteration] for iteration in sorted(merged)]
        self.columns = list(dict.fromkeys(name for row in self.rows for name in row))

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, column):
        if column not in self.columns:
            raise KeyError(f"{column!r} must be one of: {', '.join(self.columns)}.")
        if column == "iteration":
            return np.array([row[column] for row in self.rows], np.int64)
        values = [row.get(column) for row in self.rows]
        return np.array([np.nan if v is None else v for v in values], np.float64)

    def __repr__(self):
        return f"<History: {len(self)} rows of {', '.join(self.columns)}>"

    def _repr_html_(self):
        heads = "".join(f"<th>{html.escape(name)}</th>" for name in self.columns)
        rows = "".join(
            f"<tr>{''.join(f'<td>{_text(row.get(n))}</td>' for n in self.columns)}</tr>"
            for row in self.rows
        )
        return f"<table><tr>{heads}</tr>{rows}</table>"


def _text(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else html.escape(str(value))
