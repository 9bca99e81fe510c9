"""The wheel, in an environment and a folder that know nothing of the clone."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import numpy as np
import pytest
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = (
    "pan_tf",
    "configs",
    "serving",
    "setup.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "NOTICE",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built of a copy: a build leaves folders in its sources."""
    place = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place / name)
    environment = os.environ | {"PAN_TF_REPOSITORY": "https://example.org/us/pan_tf"}
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "-w",
        place,
        place,
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (found,) = place.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs a program of a new environment, in a folder of its own, without the clone.

    What the package depends on is taken from this environment: it is half a gigabyte.
    """
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"])
    pip = [sys.executable, "-m", "pip", "--python", place / "bin" / "python"]
    subprocess.run([*pip, "install", "-q", "--no-deps", wheel], check=True)
    home = tmp_path_factory.mktemp("home")

    def call(program, *arguments):
        # Nothing of this test's own environment.
        environment = {
            name: os.environ[name] for name in ("HOME", "PATH") if name in os.environ
        }
        return subprocess.run(
            [place / "bin" / program, *arguments],
            cwd=home,
            env=environment,
            capture_output=True,
            text=True,
        )

    call.home = home
    return call


def test_the_wheel_holds_what_commands_need(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (n for n in names if n.endswith("METADATA"))
        text = archive.read(metadata).decode()
    for path in [*ROOT.glob("configs/*.cfg"), ROOT / "serving" / "client.py"]:
        assert f"pan_tf/{path.relative_to(ROOT)}" in names
    assert {"pan_tf/py.typed", "pan_tf/pages/templates/style.css"} <= names
    assert not any(name.startswith(("tests/", "scripts/")) for name in names)
    # An index shows no picture by a path within the repository.
    assert "](docs/" not in text
    assert "https://example.org/us/pan_tf/raw/HEAD/docs/" in text


def test_from_pairs_to_translated_images(installed):
    random = np.random.default_rng(0)
    for split, count in (("train", 4), ("test", 2)):
        folder = installed.home / "pairs" / split
        folder.mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(0, 128, (64, 128, 3), np.uint8)
            pixels[:, 64:] += 128
            Image.fromarray(pixels).save(folder / f"{i}.png")
    train = ["train", "--task=labels2facades", "--dataset=folder", "--data_dir=pairs"]
    train += ["--recipe=l1", "--image_size=64", "--width=0.015625"]
    train += ["--batch_size=2", "--iterations=2", "--run_dir=runs/mine"]
    commands = [
        train,
        ["evaluate", "--run_dir=runs/mine"],
        ["translate", "--run_dir=runs/mine", "--input=pairs/test", "--output=out"],
        ["export", "--run_dir=runs/mine", "--export_dir=exported/mine"],
    ]
    said = {}
    for command in commands:
        done = installed("pan-tf", *command)
        said[command[0]] = done.stdout
        assert done.returncode == 0, done.stdout + done.stderr
        # Only our own lines.
        assert done.stderr == "", command
        assert str(ROOT) not in done.stdout
    assert "pan-tf evaluate --run_dir=runs/mine" in said["train"]
    (place,) = (installed.home / "runs" / "mine").rglob("metrics.json")
    assert json.loads(place.read_text())["n"] == 2
    assert sorted(p.name for p in (installed.home / "out").iterdir()) == [
        "0.png",
        "1.png",
    ]
    assert (installed.home / "exported" / "mine" / "1" / "saved_model.pb").exists()
    done = installed("pan-tf", "client", "pairs/test/0.png", "x.png", "--wait=0.1")
    assert done.returncode == 1 and "is not ready" in done.stderr

    # A folder of the clone, where there is none; here, since a worker of its own would
    # make the environment anew.
    done = installed("pan-tf", "train", "--flagfile=configs/aerial2map.cfg")
    assert done.returncode == 1
    assert "--task={aerial2map," in done.stderr
    assert "Traceback" not in done.stderr
