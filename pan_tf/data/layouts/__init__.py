"""Layouts: how the images of a data set lie on disk, and how they get there.

A layout is an object with these methods; `name` is the data set's, `config` a `Config`:

    missing(name, config, splits)           a sentence where none of these splits is
                                            there, nor can be fetched; None where one is,
                                            or is now
    open(name, config, verified, paired, specs)
                                            (list of `Split`s, side A the source;
                                            fingerprint of the contents; `Verification`
                                            that knows it later, or None)

`verified` is what a manifest says of the same data, opened before: where no name or size
has changed since then, files are not decoded again. `paired` says whether targets must
belong to sources, where a layout can be read both ways; `specs` are the `ImageSpec`s of
side A and of side B. `open` raises FileNotFoundError where a split is empty, and
ValueError, naming the files, where some are unusable.

One of a user's own files has `sides(config, limit)` too: (files, headers) of side A and
of side B. One of archives is an `archives.Archived`.
"""
