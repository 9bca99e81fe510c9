"""Flags of CycleGAN's and pix2pix' PyTorch code, and what they are called here."""

import pathlib
import re

from pan_tf import tables

# Theirs -> what to say.
_HABITS = {
    "batchSize": "use --batch_size.",
    "checkpoints_dir": "use --run_dir, the folder of one run.",
    "continue_train": "run the same command again: a run goes on from where it stopped.",
    "crop_size": "use --image_size; --preprocess=crop takes crops of that size.",
    "dataroot": "use --dataset=folder --data_dir=FOLDER.",
    "dataset_mode": "whether a set has pairs is seen from its files and from --recipe.",
    "device": "the devices of the machine are used; CUDA_VISIBLE_DEVICES chooses some.",
    "direction_AtoB": "use --direction=AtoB.",
    "display_freq": "use --validate_every; TensorBoard reads the run folder.",
    "epoch": "`evaluate`, `translate` and `export` have --checkpoint=best or last.",
    "epoch_count": "run the same command again: a run goes on from where it stopped.",
    "fineSize": "use --image_size.",
    "gan_mode": "use --recipe: a system brings its own kind of adversarial loss.",
    "gpu_ids": "all GPUs are used; CUDA_VISIBLE_DEVICES=0,1 chooses some.",
    "gpus": "all GPUs are used; CUDA_VISIBLE_DEVICES=0,1 chooses some.",
    "init_type": "use --recipe: a system brings its own initializers.",
    "input_nc": "use --source_channels.",
    "lambda_A": "use --cycle_weight.",
    "lambda_B": "use --cycle_weight.",
    "lambda_identity": "use --identity_weight.",
    "init_gain": "use --recipe: a system brings its own initialization.",
    "lambda_L1": "use --pixel_weight.",
    "learning_rate_d": "use --d_learning_rate.",
    "loadSize": "use --load_size.",
    "lr": "use --learning_rate.",
    "lr_policy": "use --decay_start.",
    "max_dataset_size": "use a folder of fewer images.",
    "model": "use --recipe, such as --recipe=pix2pix or --recipe=cyclegan.",
    "n_layers_D": "use --recipe: a system brings its own D.",
    "name": "use --run_dir, the folder of the run.",
    "ndf": "use --width, a factor of all numbers of channels.",
    "netD": "use --recipe: a system brings its own D.",
    "netG": "use --transformer.",
    "ngf": "use --width, a factor of all numbers of channels.",
    "no_dropout": "use --recipe: a system brings its own dropout.",
    "no_flip": "use --noflip.",
    "no_html": "TensorBoard reads the run folder.",
    "norm": "use --recipe: a system brings its own normalization.",
    "num_test": "there is no cap: every image is translated and measured.",
    "num_threads": "data are prepared in parallel by themselves.",
    "num_workers": "data are prepared in parallel by themselves.",
    "output_nc": "use --target_channels.",
    "phase": "`evaluate` has --split.",
    "pool_size": "use --recipe: a system brings its own image pool.",
    "print_freq": "use --log_every.",
    "results_dir": "`evaluate` has --output_dir, `translate` --output.",
    "save_by_iter": "use --keep, the number of checkpoints that stay.",
    "save_epoch_freq": "use --save_every, in iterations.",
    "save_latest_freq": "use --save_every, in iterations.",
    "serial_batches": "use --seed: the order is a function of it.",
    "update_html_freq": "use --validate_every: samples come with validations.",
    "use_wandb": "TensorBoard reads the run folder.",
}
_COMMANDS = {
    "convert": "translate",
    "infer": "translate",
    "inference": "translate",
    "predict": "translate",
    "serve": "export",
    "test": "evaluate",
    "val": "evaluate",
    "validate": "evaluate",
}
_EPOCHS = ("epochs", "n_epochs", "niter", "max_epochs", "num_epochs")
_DECAY = ("n_epochs_decay", "niter_decay")
# As `image_files` has them, which takes longer to import than the answer to a wrong flag
# may.
_IMAGES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff"),
    *(".bmp", ".webp", ".npy"),
)


def command(name):
    """The command that does what another tool's does; None if that is not known."""
    return _COMMANDS.get(name)


def hint(name, argv, known):
    """What to use in place of a flag that is not known here; None: nothing to say.

    Args:
        name: the flag.
        argv: arguments of the command, among which --data_dir may be.
        known: names of the command's flags.
    """
    if name in _EPOCHS:
        said = f"use --iterations: {_epoch(argv)}"
    elif name in _DECAY:
        said = "use --decay_start, the iteration from which rates fall."
    else:
        habits = {theirs.lower(): said for theirs, said in _HABITS.items()}
        said = habits.get(name.lower(), "")
    own = re.match(r"use --(\w+)", said)
    if not said or (own and not {own[1], own[1].removeprefix("no")} & {*known}):
        return None
    return f"--{name}: {said}"


def _epoch(argv):
    rule = "an epoch is as many iterations as there are images, by --batch_size."
    flags = _flags(argv)
    size = flags.get("batch_size")
    if size is None and {"task", "flagfile"} & flags.keys():
        return rule  # It may stand there.
    if size is None:
        size = _batch_size(flags.get("recipe", "pan"))
    folder = flags.get("data_dir", flags.get("dataroot"))
    if folder is None or not str(size).isdigit() or int(size) < 1:
        return rule
    found = _count(pathlib.Path(folder))
    if found is None:
        return rule
    count, images = found
    return (
        f"one epoch of your {count} {images} is {max(1, count // int(size))} iterations "
        f"of {size} (--batch_size)."
    )


def _flags(argv):
    """Flag -> value, of `--flag=value` and `--flag value`."""
    found, waiting = {}, None
    for argument in argv:
        if argument.startswith("-"):
            waiting, has_value, value = argument.lstrip("-").partition("=")
            found[waiting] = value
            waiting = None if has_value else waiting
        elif waiting is not None:
            found[waiting], waiting = argument, None
    return found


def _batch_size(recipe):
    if recipe not in tables.keys("recipes/table.py", "RECIPES"):
        return None
    return tables.value("recipes/table.py", "RECIPES", recipe, "batch_size") or 4


def _count(folder):
    """(number, "pairs" or "images") of the training images of a folder; None without."""
    stems = {}
    for name in ("train", "trainA", "trainB"):
        if (folder / name).is_dir():
            files = (folder / name).iterdir()
            stems[name] = {p.stem for p in files if p.suffix.lower() in _IMAGES}
    if stems.get("train"):
        return len(stems["train"]), "pairs"
    a, b = stems.get("trainA", set()), stems.get("trainB", set())
    if a and a == b:
        return len(a), "pairs"
    return (max(len(a), len(b)), "images") if a or b else None
