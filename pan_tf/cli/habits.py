"""Flags of CycleGAN's and pix2pix' PyTorch code, and what they are called here."""

import pathlib

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
    "epoch": "use --checkpoint=best or last.",
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
    "lambda_L1": "use --pixel_weight.",
    "learning_rate_d": "use --d_learning_rate.",
    "loadSize": "use --load_size.",
    "lr": "use --learning_rate.",
    "lr_policy": "use --decay_start.",
    "max_dataset_size": "use a folder of fewer images.",
    "model": "use --recipe, such as --recipe=pix2pix or --recipe=cyclegan.",
    "name": "use --run_dir, the folder of the run.",
    "netD": "use --recipe: a system brings its own D.",
    "netG": "use --transformer.",
    "ngf": "use --width, a factor of all numbers of channels.",
    "no_dropout": "use --recipe: a system brings its own dropout.",
    "no_flip": "use --noflip.",
    "norm": "use --recipe: a system brings its own normalization.",
    "num_test": "there is no cap: every image is translated and measured.",
    "num_threads": "data are prepared in parallel by themselves.",
    "num_workers": "data are prepared in parallel by themselves.",
    "output_nc": "use --target_channels.",
    "phase": "use --split.",
    "pool_size": "use --recipe: a system brings its own image pool.",
    "print_freq": "use --log_every.",
    "results_dir": "use --output_dir.",
    "save_epoch_freq": "use --save_every, in iterations.",
    "save_latest_freq": "use --save_every, in iterations.",
    "serial_batches": "use --seed: the order is a function of it.",
    "use_wandb": "TensorBoard reads the run folder.",
}
_EPOCHS = ("epochs", "n_epochs", "niter", "max_epochs", "num_epochs")
_DECAY = ("n_epochs_decay", "niter_decay")
_IMAGES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".npy")


def hint(name, argv):
    """What to use in place of a flag that is not known here; None: nothing to say.

    Args:
        name: the flag.
        argv: arguments of the command, in which --data_dir may stand.
    """
    if name in _EPOCHS:
        return f"--{name}: use --iterations: {_epoch(argv)}"
    if name in _DECAY:
        return f"--{name}: use --decay_start, the iteration from which rates fall."
    known = {theirs.lower(): said for theirs, said in _HABITS.items()}
    said = known.get(name.lower())
    return said and f"--{name}: {said}"


def _epoch(argv):
    flags = dict(
        argument.lstrip("-").split("=", 1) for argument in argv if "=" in argument
    )
    rule = "an epoch is as many iterations as there are images, by --batch_size."
    size = flags.get("batch_size", "4")
    folder = flags.get("data_dir", flags.get("dataroot"))
    if folder is None or not size.isdigit() or int(size) < 1:
        return rule
    found = _count(pathlib.Path(folder))
    if found is None:
        return rule
    count, images = found
    return (
        f"one epoch of your {count} {images} is {max(1, count // int(size))} iterations "
        f"of {size} (--batch_size)."
    )


def _count(folder):
    """(number, "pairs" or "images") of the training images of a folder; None without."""
    for name, images in (("train", "pairs"), ("trainA", "images")):
        if (folder / name).is_dir():
            files = (path.suffix.lower() for path in (folder / name).iterdir())
            count = sum(suffix in _IMAGES for suffix in files)
            return (count, images) if count else None
    return None
