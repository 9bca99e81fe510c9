"""The commands: `pan-tf NAME`, one module each.

A module has the text of its `--help` as its docstring, a frozen dataclass `Options`, of
which the flags are made, and `main(options)`. It imports TensorFlow in `main` at the
earliest: `--help` and errors must answer at once.
"""

import ast
import importlib
import logging
import os
import pathlib
import sys
import traceback

import pan_tf
from pan_tf import calling
from pan_tf import files
from pan_tf import habits
from pan_tf import loading
from pan_tf import memory
from pan_tf import paths
from pan_tf import printing
from pan_tf.cli import parsing
from pan_tf.cli import stopping

# In the order in which they are used.
COMMANDS = (
    "doctor",
    "train",
    "evaluate",
    "translate",
    "export",
    "client",
    "prepare_data",
    "reproduce",
    "user_study",
    "finetune_vgg",
)


def program():
    """The entry point of `pan-tf`: runs the command, and ends the process."""
    _end(main)


def main(argv=None):
    """Runs the command that the first argument names.

    Args:
        argv: arguments without the program's name; None: those of the process.

    Returns:
        Status to exit with; None for 0.
    """
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("--help", "-h", "help"):
        if rest and not rest[0].startswith("-"):
            return run(rest[0], ["--help"])
        print(_overview())
        return None
    if name == "--version":
        print(f"pan_tf {pan_tf.__version__}")
        return None
    return run(name, rest, is_process=argv is None)


def script(path):
    """Runs the command of a script in `scripts/`, and ends the process.

    Args:
        path: its `__file__`.
    """
    calling.called_as("python scripts/{}.py")
    _end(lambda: run(pathlib.Path(path).stem, sys.argv[1:], is_process=True))


def _end(call):
    """Ends the process with the status that a function returns or exits with, at once.

    TensorFlow's input pipelines have a thread that tunes them, and sleeps for up to a
    minute at a time; their destructors wait for it. Seen: 8 to 105 seconds after the last
    line, and for ever after a traceback out of a training.
    """
    _open_streams()
    with printing.sturdy():
        try:
            status = call()
        except SystemExit as stopped:
            # Destructors go on about what the sentence has said: HDF5 prints a traceback
            # for each object that a full disk has left open.
            sys.unraisablehook = sys.excepthook = lambda *_: None
            status = stopped.code
            if isinstance(status, str):
                print(status, file=sys.stderr)
                status = 1
        except BaseException as error:
            traceback.print_exc()
            status = 130 if isinstance(error, KeyboardInterrupt) else 1
        sys.stdout.flush()
        sys.stderr.flush()
    logging.shutdown()
    paths.forget_links()
    os._exit(status or 0)


def _open_streams():
    """Opens what the shell has closed, as `>&-` does: else the next files get its number,
    and what libraries print goes into them."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)


def run(name, argv, is_process=False):
    """Runs a command.

    Args:
        name: of `COMMANDS`.
        argv: list of its arguments.
        is_process: whether this process is there for it, and may begin again.

    Returns:
        Status to exit with; None for 0.
    """
    module = _module(name)
    try:
        if hasattr(module, "Options"):
            argv, verbose = parsing.parse(module.Options, argv, module.__doc__, name)
            if is_process:
                memory.begin_with_huge_pages()
                memory.begin_without_collections()
            parsing.quieten(verbose)
        with stopping.unwinding():
            return module.main(argv)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    except loading.KerasSettingsError as error:
        sys.exit(f"\n{error}")
    except Exception as error:
        trouble = files.trouble(error)
        if trouble is None:
            raise
        sys.exit(f"\n{trouble}")


def _module(name):
    known = name.replace("-", "_")
    if known not in COMMANDS:
        guess = habits.command(known) or parsing.closest(known, COMMANDS)
        sys.exit(
            f"There is no command {name!r}. "
            + (f"Did you mean {guess}? " if guess else "")
            + f"Commands: {', '.join(COMMANDS)}."
        )
    return importlib.import_module(f"pan_tf.cli.{known}")


def summary(name):
    """The first line of a command's help."""
    path = pathlib.Path(__file__).parent / f"{name}.py"
    text = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    return text.partition("\n")[0]


def _overview():
    lines = [f"    {name:14}{summary(name)}" for name in COMMANDS]
    return "\n".join(
        [
            "pan_tf: image-to-image translation with TensorFlow and Keras.",
            "",
            f"Usage: {calling.command('COMMAND', '[--flags]')}",
            "",
            *lines,
            "",
            f"{calling.command('COMMAND', '--help')} lists the flags of one. To begin:",
            f"    {calling.command('train', '--task=quickstart')}",
            f"    {calling.command('train', '--dataset=folder', '--data_dir=my_pairs')}",
        ]
    )
