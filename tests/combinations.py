"""Combinations of flags that are drawn: what recipes accept, of files of nine kinds.

`test_combinations.py` trains a few of them, `benchmarks/configurations.py` hundreds.
"""

import contextlib
import dataclasses
import fcntl
import io
import itertools
import json
import os
import shutil

import numpy as np
from PIL import Image

from pan_tf import flagfiles
from pan_tf import recipes
from pan_tf.cli import parsing
from pan_tf.config import RECIPE_NAMES
from pan_tf.config import Config

SIZES = ("64", "64", "128", "64x128", "192x64", "96")
# Given by the kind of files, fixed, or not of the run itself.
_APART = {
    *("recipe", "dataset", "data_dir", "attribute", "fallback_dataset", "download"),
    *("run_dir", "dry_run", "image_size", "width", "recipe_digest", "init_from"),
    *("vgg_weights", "metric_weights", "iterations", "jit_compile"),
    *("source_labels", "source_channels", "target_channels", "source_bits"),
    *("target_bits", "source_range", "target_range"),
}
# Numbers whose limits do not tell what is usual.
_USUAL = {
    "batch_size": (1, 3),
    "seed": (0, 99),
    "accumulate": (1, 3),
    "d_updates": (1, 3),
    "t_updates": (1, 3),
    "learning_rate": (0.0, 1e-2),
    "d_learning_rate": (0.0, 1e-2),
    "decay_start": (0, 4),
    "keep": (1, 4),
    "save_every": (1, 3),
    "log_every": (1, 3),
    "validate_every": (0, 8),
    "sample_images": (1, 12),
    "collapse_after": (0, 4),
    "data_cache": (0.0, 1.0),
}
_PARSED = {
    "load_size": ("72", "64", "64x128", "300", "80x144"),
    "margin": ("auto", "0.5", "3", "1e6"),
    # Those whose weights are there, or that need none.
    "vgg": ("vgg16",),
    "metrics": ("psnr_rgb", "vgg_distance", "psnr,vif", "ssim_rgb,uqi"),
    "best_by": ("psnr", "ssim", "vifp", "balanced"),
}


def value(draw, field):
    """A legal value of a setting, as a flag has it."""
    rule = field.metadata
    if field.name in _PARSED:
        return draw.choice(_PARSED[field.name])
    if rule["choices"]:
        several = flagfiles.type_of(field) is tuple
        count = draw.randint(1, 2) if several else 1
        choices = {*rule["choices"]} - ({"none"} if count > 1 else set())
        return ",".join(draw.sample(sorted(choices), min(count, len(choices))))
    kind = flagfiles.type_of(field)
    if kind is bool:
        return draw.choice(("true", "false"))
    low, high = _USUAL.get(field.name, (rule["minimum"], rule["maximum"]))
    low, high = low or 0, 10.0 if high is None else high
    if kind is int:
        return str(draw.randint(int(low), int(high)))
    if kind is tuple:  # `lambdas`: as many as a D has features, or not.
        return ",".join(str(draw.randint(0, 9)) for _ in range(draw.choice(_FEATURES)))
    number = draw.choice((low, high, draw.uniform(low, high)))
    return f"{number:.3g}"


_FEATURES = (2, 3, 4, 5, 8)  # That some D has.
_TOGETHER = {"hinge_activity": {"margin": "auto"}}  # Wanted by the first.
FIELDS = {f.name: f for f in dataclasses.fields(Config) if f.name not in _APART}


def any_flags(draw, pairs, kinds):
    """Flags of a training that may be refused; arguments and result as below."""
    flags = _begun(draw, draw.choice(RECIPE_NAMES), kinds)
    chosen = draw.sample(sorted(FIELDS), draw.randint(3, 10))
    return flags | {name: value(draw, FIELDS[name]) for name in chosen}, None


def legal(draw, pairs, kinds):
    """Flags of a training that its recipe accepts.

    Args:
        draw: `random.Random`.
        pairs: `Pairs`; gets those that every recipe refuses.
        kinds: flags of each kind of files.

    Returns:
        (name -> text, pair that was wanted); ({}, None) if all pairs are covered.
    """
    while wanted := pairs.wanted(draw):
        names = [name for name in wanted if name in FIELDS]
        own = [name for name in wanted if name in RECIPE_NAMES]
        flags = None
        for recipe in own or draw.sample(RECIPE_NAMES, len(RECIPE_NAMES)):
            for _ in range(60 if own else 6):
                flags = _begun(draw, recipe, kinds)
                for name in names:
                    flags |= _TOGETHER.get(name, {})
                flags |= {name: value(draw, FIELDS[name]) for name in names}
                if not (sentence := refusal(flags)):
                    break
            else:
                continue
            break
        else:
            pairs.refused(wanted, [sentence] * 3)
            continue
        for _ in range(draw.randint(4, 10)):
            rest = draw.sample(sorted(FIELDS.keys() - flags.keys()), 8)
            new = {name: pairs.new(name, flags) for name in rest}
            for name in sorted(rest, key=new.get, reverse=True):
                grown = flags | {name: value(draw, FIELDS[name])}
                if not refusal(grown):
                    flags = grown
                    break
        return flags, wanted
    return {}, None


def _begun(draw, recipe, kinds):
    given, size = draw.choice(kinds), draw.choice(SIZES)
    row, needed = recipes.RECIPES[recipe], {}
    if row.looks_through_vgg:
        needed["vgg"] = "vgg16"
    if row.role == "fill":
        needed["synthesize"] = "hole"
    return {"recipe": recipe, "image_size": size, **given, **needed}


def refusal(flags):
    """What `train` says of flags before it opens the files; empty if nothing."""
    argv = [f"--{name}={v}" for name, v in {**flags, **FIXED}.items()]
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            config, _ = parsing.parse(Config, argv, "", "train")
            recipes.resolve(recipes.with_found(config)[0])
    except (SystemExit, ValueError) as error:
        return f"{error}" or said.getvalue()
    return ""


class Pairs:
    """Which flags were trained together, in a file that several processes share.

    Args:
        path: JSON: `{"trained": {pair: times}, "refused": {pair: sentences}}`.
    """

    def __init__(self, path):
        self._path = path
        one = itertools.combinations(sorted(FIELDS), 2)
        self.all = {*one, *itertools.product(RECIPE_NAMES, FIELDS)}
        self._add([], {})

    def wanted(self, draw):
        """A pair that is not covered yet; None if there is none."""
        left = sorted(self.all - self.covered)
        return draw.choice(left) if left else None

    def new(self, name, flags):
        """How many pairs a flag would cover with others."""
        return len(self._of({*flags, name}, flags["recipe"]) - self.covered)

    def trained(self, flags):
        self._add(self._of(flags, flags["recipe"]), {})

    def refused(self, pair, sentences):
        self._add([], {" ".join(pair): sentences})

    @property
    def covered(self):
        """Pairs that were trained, or refused more than twice."""
        found = self._found
        often = {p for p, sentences in found["refused"].items() if len(sentences) > 2}
        return {tuple(pair.split()) for pair in {*found["trained"], *often}}

    def __str__(self):
        trained, covered = len(self._found["trained"]), len(self.covered)
        return f"{trained} of {len(self.all)} pairs trained, {covered - trained} refused"

    def _of(self, names, recipe):
        names = sorted({*names} & {*FIELDS})
        one = itertools.combinations(names, 2)
        return {*one, *((recipe, name) for name in names)}

    def _add(self, trained, refused):
        with open(self._path, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            text = file.read()
            found = json.loads(text) if text else {"trained": {}, "refused": {}}
            for pair in trained:
                key = " ".join(pair)
                found["trained"][key] = found["trained"].get(key, 0) + 1
            for key, sentences in refused.items():
                found["refused"].setdefault(key, []).extend(sentences)
            file.truncate(0)
            file.write(json.dumps(found, indent=0, sort_keys=True))
            self._found = found


def _make_files(kind, place):
    """Makes files of one kind, twelve to train on and four held out."""
    random_ = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for side in "AB":
            folder = place / f"{split}{side}"
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                _save(kind, side, random_, folder / str(i))
    _pairs_of_one_size(place)


def _save(kind, side, random_, path):
    height, width = (int(v) for v in random_.integers(70, 200, 2))
    if kind.endswith("of one size"):
        height, width = 128, 128
    small = random_.integers(0, 256, (8, 8, 4), np.uint8)
    four = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(four)
    is_a = side == "A"
    if kind == "grey A" and is_a:
        Image.fromarray(pixels[..., 0]).save(path.with_suffix(".png"))
    elif kind == "RGBA of A" and is_a:
        four.save(path.with_suffix(".png"))
    elif kind == "16 bits of B" and not is_a:
        values = pixels[..., 0].astype(np.uint16) * 257
        Image.fromarray(values).save(path.with_suffix(".png"))
    elif kind == "labels of A" and is_a:
        Image.fromarray(pixels[..., 0] // 52).save(path.with_suffix(".png"))
    elif kind == "float arrays":
        np.save(path.with_suffix(".npy"), pixels[..., :2].mean(-1, dtype=np.float32))
    elif kind == "six channels of A" and is_a:
        both = np.concatenate([pixels[..., :3], pixels[..., 1:]], -1)
        np.save(path.with_suffix(".npy"), both)
    else:
        four.convert("RGB").save(path.with_suffix(".png"))


KINDS = (
    *("RGB", "RGB", "RGB of one size", "grey A", "RGBA of A", "16 bits of B"),
    *("labels of A", "float arrays", "six channels of A"),
)


def _pairs_of_one_size(place):
    """Sides of a pair must be of one size: B's files take A's."""
    for b in place.glob("*B/*"):
        (a,) = (b.parents[1] / b.parent.name.replace("B", "A")).glob(f"{b.stem}.*")
        if a.suffix == ".npy" or b.suffix == ".npy":
            size = np.load(a).shape[:2] if a.suffix == ".npy" else None
            size = size or Image.open(a).size[::-1]
        else:
            size = Image.open(a).size[::-1]
        if b.suffix == ".npy":
            values = np.load(b)
            rows = np.linspace(0, len(values) - 1, size[0]).astype(int)
            columns = np.linspace(0, values.shape[1] - 1, size[1]).astype(int)
            np.save(b, values[rows][:, columns])
        else:
            image = Image.open(b)
            image.resize(size[::-1], Image.Resampling.NEAREST).save(b)


FIXED = {"width": "0.015625", "iterations": 2}


def files(kind, folder):
    """Flags of a kind of files, which are made if they are not there."""
    place = folder / kind.replace(" ", "-")
    if not place.exists():
        # Another process may make them too.
        partial = place.with_name(f"{place.name}-{os.getpid()}")
        _make_files(kind, partial)
        try:
            partial.rename(place)
        except OSError:
            shutil.rmtree(partial)
    needed = {"source_labels": "5"} if kind == "labels of A" else {}
    return needed | {"data_dir": place}
