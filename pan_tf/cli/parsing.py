"""From a command line to options: absl's flags, without a global list of them.

Every command but `client` has `--flagfile` and `--verbose` beside its own flags.
"""

import dataclasses
import difflib
import logging
import shutil
import sys
import textwrap
import warnings

from absl import flags
from absl import logging as absl_logging

from pan_tf import bundled
from pan_tf import calling
from pan_tf import flagfiles
from pan_tf import habits
from pan_tf import loading
from pan_tf import settings


def parse(options, argv, doc, name):
    """Parses a command line, prints the help if asked to, and refuses what is wrong.

    Args:
        options: `Settings`, the class.
        argv: list of arguments.
        doc: text of the help above the flags.
        name: of the command.

    Returns:
        options: an instance of the class.
        verbose: whether `--verbose` was given.
    """
    values = flags.FlagValues()
    flagfiles.define_flags(options, values)
    flags.DEFINE_boolean("verbose", False, "", values)
    flagfiles.accept_empty(values)
    if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(argv):
        print(_help(options, doc, name))
        sys.exit(0)
    try:
        if takes_tasks(options):
            argv = [_task(argument) for argument in _joined(argv)]
        _, *stray = values([name, *argv])
        if stray:
            given = " ".join(stray)
            if given.startswith("\ufeff"):
                sys.exit("A --flagfile begins with a byte order mark: save it without.")
            sys.exit(f"Unexpected arguments: {given}. Settings begin with --.")
        return flagfiles.from_flags(options, values), values["verbose"].value
    except flags.UnrecognizedFlagError as error:
        if error.flagname == "task" and takes_tasks(options):
            sys.exit(flagfiles.NO_TASK)
        hint = habits.hint(error.flagname, argv, options.names())
        sys.exit(f"{hint or error}\n{calling.command(name, '--help')} lists the flags.")
    except flags.CantOpenFlagFileError as error:
        sys.exit(
            f"{str(error).removeprefix('ERROR:: ')} Those that come with pan_tf are "
            f"known by name: --task={{{','.join(bundled.tasks())}}}."
        )
    except UnicodeDecodeError as error:
        named = " ".join(a for a in argv if a.lstrip("-").startswith("flagfile"))
        sys.exit(
            f"{named or '--flagfile'}: a file of flags must be UTF-8, and one is not "
            f"({error})."
        )
    except (flags.Error, ValueError) as error:
        sys.exit(str(error))


def takes_tasks(options):
    """Whether the flagfiles of tasks have flags of the command."""
    return "recipe" in options.names()


def _joined(argv):
    """`--task NAME` as `--task=NAME`."""
    joined = []
    for argument in argv:
        if joined and joined[-1] in ("--task", "-task"):
            joined[-1] = f"--task={argument}"
        else:
            joined.append(argument)
    return joined


def _task(argument):
    """`--task=NAME` is the flagfile of that name."""
    flag, _, task = argument.partition("=")
    if flag not in ("--task", "-task"):
        return argument
    known = bundled.tasks()
    if task not in known:
        guess = closest(task, known)
        raise ValueError(
            f"--task must be one of: {', '.join(known)}. Received: task={task!r}."
            + (f" Did you mean {guess}?" if guess else "")
        )
    return f"--flagfile={bundled.folder('configs') / task}.cfg"


def quieten(verbose):
    """Python's logs of a normal run: our own lines, and warnings.

    TensorFlow reports every checkpoint at INFO, on loggers of its own.
    """
    absl_logging.use_absl_handler()
    flags.FLAGS.mark_as_parsed()  # Else absl says that logging came before flags.
    if not verbose:  # A sentence, without the place in the code that it comes from.
        own = logging.Formatter("%(levelname)s: %(message)s")
        absl_logging.get_absl_handler().setFormatter(own)
        # What readers say of damaged files, without saying of which.
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    level = logging.INFO if verbose else logging.WARNING
    logging.getLogger("tensorflow").setLevel(level)
    absl_logging.set_verbosity(absl_logging.INFO if verbose else absl_logging.WARNING)
    if verbose:
        loading.let_through()


def closest(name, known):
    """The known name that is likely meant, or None."""
    return next(iter(difflib.get_close_matches(name, known, 1)), None)


def _help(options, doc, name):
    width = min(100, shutil.get_terminal_size().columns)
    lines = [f"Usage: {calling.command(name, '[--flags]')}", ""]
    lines += [calling.as_called(doc or "").strip(), "", "flags:"]  # None under -OO.
    for field in dataclasses.fields(options):
        lines += [f"  {flag(field)}", *_wrapped(field.metadata["help"], width)]
    if takes_tasks(options):
        lines += ["  --task=NAME"]
        lines += _wrapped(TASK, width)
    for text, meaning in COMMON.items():
        lines += [f"  {text}", *_wrapped(meaning, width)]
    return "\n".join(lines)


# What every command but `client` has: flag -> meaning.
COMMON = {
    "--flagfile=FILE": "A file of flags, one a line; flags after it win.",
    "--[no]verbose": "Let TensorFlow's own log lines through.",
    "--help": "This.",
}
TASK = f"The flagfile of a task that comes with pan_tf: {', '.join(bundled.tasks())}."


def flag(field):
    """A setting as it is typed, with its default: "--seed=1"."""
    kind, default = flagfiles.type_of(field), field.default
    if kind is bool and default is not None:
        return f"--[no]{field.name}  (default: {'yes' if default else 'no'})"
    if field.metadata["choices"]:
        shown = f"<{'|'.join(field.metadata['choices'])}>"
    else:
        names = {bool: "true|false", int: "INTEGER", float: "NUMBER", tuple: "LIST"}
        shown = "TEXT" if field.metadata["parse"] else names.get(kind, "TEXT")
    given = default not in (None, ())
    end = f"  (default: {settings.to_text(default)})" if given else ""
    return f"--{field.name}={shown}{end}"


def _wrapped(text, width):
    return textwrap.wrap(text, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
