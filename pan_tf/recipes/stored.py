"""The system that a run folder holds, against the one that its flags mean today."""

from absl import logging

from pan_tf.recipes.build import resolve
from pan_tf.recipes.system import System
from pan_tf.recipes.system import digest
from pan_tf.recipes.table import RECIPES


def stored(config, folder):
    """The system that a run trained, to translate with.

    Args:
        config: `Config` of the run.
        folder: its `RunFolder`. One from before runs recorded their system is resolved
            by today's table, which is said, if its networks were today's.

    Returns:
        `System`.

    Raises:
        ValueError: naming the folder, if a part of it is not known here, was another
            network by the same name, or system.json was lost and the recipe has changed.
    """
    recorded = folder.system()
    if recorded is None:
        _check_revisions(config, folder, for_training=False)
        _take_from_table(folder)
        before = folder.inference() or {}
        return resolve(config).with_bn_statistics(before.get("batch_normalization"))
    try:
        system = System.from_json(recorded)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            _refusal(folder, f"system.json cannot be read here: {error}")
        ) from None
    for network in filter(None, (system.transformer, system.discriminator)):
        _check_revision(folder, network, network.revision)
    return system


def check_stored(config, folder):
    """Refuses to go on with a run whose system is not what its flags mean today.

    Args:
        config: `Config` of the run.
        folder: its `RunFolder`; one without a run yet is fine.

    Raises:
        ValueError: naming the folder, and how the two differ.
    """
    recorded = folder.system()
    if recorded is None:
        _check_revisions(config, folder, for_training=True)
        if folder.has_checkpoint():
            _take_from_table(folder)
        return
    if not folder.has_checkpoint():
        return  # Nothing was trained: it begins anew, as it is today.
    today = resolve(config).to_json()
    if recorded == today:
        return
    # What is damaged, or has a network of another revision, has a sentence of its own.
    course, length = stored(config, folder).course, {"iterations": config.iterations}
    if course and {**recorded, "course": recorded["course"] | length} == today:
        raise ValueError(
            f"--iterations must be {course.iterations}, as {folder.path} began: its "
            "warm-up and its learning rates are laid out over them. "
            f"Received: iterations={config.iterations}."
        )
    earlier = RECIPES[config.recipe].earlier_revisions.items()
    said = [text for number, text in earlier if number == recorded["revision"]]
    if said:
        difference = f"{config.recipe} {said[0]}"
    else:
        lines = "".join(
            f"\n    {name}: {there} there, {now} now"
            for name, there, now in _differences(recorded, today)
        )
        difference = f"system.json has another {config.recipe}:{lines}\n"
    raise ValueError(_refusal(folder, difference))


def _check_revisions(config, folder, for_training):
    """As `check_stored`, for a run from before there was a system.json.

    Its manifest may have the revisions of its networks; else they are 1.
    """
    recorded = folder.revisions()
    if recorded is None:
        return
    system = resolve(config)
    row = RECIPES[config.recipe]
    parts = {"transformer": system.transformer, "discriminator": system.discriminator}
    for part, network in parts.items():
        if network is None:
            continue
        name = network.builder.__name__
        was_name, was = recorded.get(part, [name, 1])
        if was_name != name:
            difference = f"{part} is {was_name} where this one has {name}"
            raise ValueError(_refusal(folder, difference))
        _check_revision(folder, network, was)
    _, was = recorded.get("recipe", [config.recipe, 1])
    if for_training and was != row.revision:
        changed = row.earlier_revisions.get(was, "was another system")
        raise ValueError(_refusal(folder, f"{config.recipe} {changed}"))


def _take_from_table(folder):
    """Says that a run without a system.json is what today's table has by its name.

    Raises:
        ValueError: if its run.cfg was written for another recipe of that name: the file,
            which that version wrote, was lost.
    """
    own = folder.config()
    if own.recipe_digest not in (None, digest(RECIPES[own.recipe])):
        raise ValueError(
            f"{folder.path} has lost its system.json, which says what was trained, and "
            f"run.cfg has the digest of another {own.recipe} than this version has. "
            f"Restore that file, train it again in {folder.elsewhere}, or use it with "
            f"{_its_version(folder)}."
        )
    logging.warning(
        "*** %s has no system.json, as runs of version 0.1: its networks and losses are "
        "taken to be %s of this version. ***",
        folder.path,
        own.recipe,
    )


def _check_revision(folder, network, was):
    """Refuses a run whose network was of another revision than it is here."""
    name, here = network.builder.__name__, network.declaration.revision
    if was > here:
        difference = f"{name} is of revision {was}, newer than the {here} here"
        raise ValueError(_refusal(folder, difference))
    if was != here:
        difference = f"{name} {network.declaration.what_changed(was)}"
        raise ValueError(_refusal(folder, difference))


def _its_version(folder):
    commit = folder.commit()
    return "the version that trained it" + (f", commit {commit}" if commit else "")


def _refusal(folder, difference):
    end = "" if difference.endswith("\n") else " " if difference.endswith(".") else ". "
    return (
        f"{folder.path} is a run of another pan_tf, whose {difference}{end}"
        "Train it again "
        f"in {folder.elsewhere}, or use it with {_its_version(folder)}. "
        "CHANGELOG.md has the changes."
    )


def _differences(there, now, path=""):
    """(name, value there, value now) of what differs between two JSON objects."""
    if isinstance(there, list) and isinstance(now, list):
        there, now = (_by_name(each) for each in (there, now))
    if isinstance(there, dict) and isinstance(now, dict):
        for key in [*there, *(key for key in now if key not in there)]:
            name = f"{path}.{key}" if path else str(key)
            yield from _differences(there.get(key), now.get(key), name)
    elif there != now:
        yield path, there, now


def _by_name(parts):
    """A list as an object: by the names of its terms, else by position."""
    return {
        part.get("name", i) if isinstance(part, dict) else i: part
        for i, part in enumerate(parts)
    }
