"""`python -m pan_tf train`, where the folder of `pan-tf` is not on the path."""

from pan_tf import calling
from pan_tf import cli

if __name__ == "__main__":
    calling.called_as("python -m pan_tf {}")
    cli.program()
