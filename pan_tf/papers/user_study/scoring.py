"""The score of a study: how often each system was picked as the best."""

import json
import pathlib

import numpy as np

from pan_tf import files
from pan_tf.metrics.intervals import MIDDLE
from pan_tf.metrics.intervals import RESAMPLES

# Answers from which on intervals are kept. With fewer, all may be for one by chance, and
# other subjects drawn from them would never differ.
FEWEST = 10


def score(study_dir):
    """Scores the files in `choices/` of a study, and writes `results.json`.

    Intervals: 95 %, bootstrap over subjects, and over the answers of each that is drawn,
    for those of one person have much in common. None of fewer than `FEWEST` answers.

    Args:
        study_dir: folder that `write_study` made.

    Returns:
        What results.json holds: `subjects`, `answers`, `chance`, `systems` name ->
        `{"share", "ci95", "picked"}`, most picked first, and `leads`: by how much of the
        answers the first is ahead of each other, with its interval.

    Raises:
        FileNotFoundError: if it is no study, or nobody has answered.
        ValueError: if a file is not of this study, is damaged, or a subject stands in
            two; the message names it.
    """
    study_dir = pathlib.Path(study_dir)
    path = study_dir / "key.json"
    if not path.is_file():
        raise FileNotFoundError(f"No key.json in {study_dir}: not a study.")
    key = files.read_json(path, ("study", "systems", "questions"))
    _check_key(key, path)
    answers, origin = {}, {}
    for file in sorted((study_dir / "choices").glob("[!.]*")):
        subject, picked = _read(file, key)
        if subject in answers:
            raise ValueError(
                f"{file}: its subject, {subject!r}, stands in {origin[subject]} too. "
                "Each person counts once: take one of them away."
            )
        answers[subject], origin[subject] = picked, file
    if not any(answers.values()):
        raise FileNotFoundError(f"No choices in {study_dir / 'choices'}.")
    results = _results(key["systems"], answers)
    files.write_json(study_dir / "results.json", results)
    return results


def _check_key(key, path):
    """Raises ValueError if it is not what `write_study` wrote."""
    systems, questions = key["systems"], key["questions"]
    is_whole = (
        isinstance(systems, list)
        and all(isinstance(system, str) for system in systems)
        and isinstance(questions, dict)
        and all(
            isinstance(question, dict)
            and isinstance(options := question.get("options"), dict)
            and all(system in systems for system in options.values())
            for question in questions.values()
        )
    )
    if not is_whole:
        raise ValueError(f"{path} is damaged: its questions have options of no system.")


def _read(file, key):
    """(subject, list of the systems that were picked)."""
    try:
        # Some editors begin a text with a mark.
        choices = json.loads(file.read_text(encoding="utf-8-sig"))
        subject, study = str(choices["subject"]), choices["study"]
        picked = [(str(a["question"]), str(a["choice"])) for a in choices["answers"]]
    except UnicodeDecodeError:
        raise ValueError(f"{file} must be a text of UTF-8: save it as such.") from None
    except KeyError as error:
        raise ValueError(f"{file} is not a file of choices: it has no {error}.") from None
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{file} is not a file of choices: {error!r}.") from None
    if study != key["study"]:
        raise ValueError(f"{file} is of another study, {study}, not {key['study']}.")
    systems = {}
    for question, choice in picked:
        options = key["questions"].get(question, {}).get("options", {})
        if choice not in options or question in systems:
            raise ValueError(
                f"{file}: each question once, with one of its options. Received: "
                f"{question}, {choice}."
            )
        systems[question] = options[choice]
    return subject, list(systems.values())


def _results(systems, answers):
    picks = [
        np.array([systems.index(p) for p in picked])
        for picked in answers.values()
        if picked
    ]
    counts = np.bincount(np.concatenate(picks), minlength=len(systems))
    total = counts.sum()
    resampled = _resampled(picks, len(systems)) if total >= FEWEST else None
    order = np.argsort(-counts, kind="stable")
    first = order[0]
    return {
        "subjects": len(picks),
        "answers": int(total),
        "chance": 1.0 / len(systems),
        "systems": {
            systems[i]: {
                "share": float(counts[i] / total),
                "ci95": _interval(resampled, i),
                "picked": int(counts[i]),
            }
            for i in order
        },
        "leads": {
            systems[i]: {
                "mean": float((counts[first] - counts[i]) / total),
                "ci95": _interval(resampled, first, i),
            }
            for i in order[1:]
        },
    }


def _resampled(picks, count):
    """Shares of all systems with other subjects: `[resamples, count]`."""
    random = np.random.default_rng(0)
    shares = np.empty((RESAMPLES, count))
    for row in shares:
        drawn = [picks[i] for i in random.integers(0, len(picks), len(picks))]
        again = np.concatenate([p[random.integers(0, len(p), len(p))] for p in drawn])
        row[:] = np.bincount(again, minlength=count) / len(again)
    return shares


def _interval(shares, one, other=None):
    """Of a system's share, or of its lead over another's; None without shares."""
    if shares is None:
        return None
    values = shares[:, one] - (0.0 if other is None else shares[:, other])
    return [float(end) for end in np.percentile(values, MIDDLE)]
