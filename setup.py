"""What pyproject.toml cannot say: where folders lie, and the README's links."""

import os
import pathlib
import re

from setuptools import find_packages
from setuptools import setup

ROOT = pathlib.Path(__file__).parent


def readme():
    """README.md; where the repository's address is known, with links that work outside.

    A release sets PAN_TF_REPOSITORY, such as https://github.com/OWNER/NAME: package
    indexes show pictures by their full addresses only.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    base = os.environ.get("PAN_TF_REPOSITORY", "").rstrip("/")
    if not base:
        return text
    picture, link = f"{base}/raw/HEAD/", f"{base}/blob/HEAD/"
    text = re.sub(r"(!\[[^\]]*\]\()(?!https?:|#)", rf"\1{picture}", text)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?!https?:|#)", rf"\1{link}", text)


setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    packages=[
        *find_packages(include=["pan_tf", "pan_tf.*"]),
        # Beside the package in a clone, where users look for them; see pan_tf/bundled.py.
        "pan_tf.configs",
        "pan_tf.serving",
    ],
    package_dir={"pan_tf.configs": "configs", "pan_tf.serving": "serving"},
    package_data={
        "pan_tf": ["py.typed"],
        "pan_tf.configs": ["*.cfg"],
        "pan_tf.pages": ["templates/*"],
        "pan_tf.serving": ["*.config", "*.yaml", "README.md"],
    },
)
