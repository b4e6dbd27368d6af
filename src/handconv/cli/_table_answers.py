"""``handconv predict FILE.csv``: the images of a table classified, and the answers written into another table."""

import argparse
import csv
import os
import shlex
from pathlib import Path

import numpy as np

from handconv.analysis import probabilities
from handconv.cli._data import is_negative, preparation_of
from handconv.cli._errors import DONE, UsageError
from handconv.cli._models import class_names
from handconv.cli._output import Output
from handconv.cli._quiz import shares
from handconv.datasets.paths import user_path
from handconv.datasets.preparation import measure
from handconv.datasets.readers.csv import read_table
from handconv.datasets.readers.parts import all_parts
from handconv.datasets.readers.samples import Samples
from handconv.ensemble import Classifier
from handconv.errors import DataError, ModelFileError
from handconv.serialization.atomic import naming
from handconv.utils.words import counted

_PACKED = ("", ".gz", ".zip", ".bz2", ".xz")  # of the last two the reader says that it wants them unpacked
_ENDINGS = (
    *(f"{ending}{packed}" for ending in (".csv", ".tsv", ".txt", ".dat") for packed in _PACKED),
    *(".parquet", ".feather", ".xlsx", ".xls", ".ods"),
)


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the answers to a table go."""
    parser.add_argument("--output", metavar="FILE.csv", help="write the answers to the images of a table to this file")
    parser.add_argument(
        "--submission",
        action="store_true",
        help="write them as Kaggle wants them: ImageId,Label, or by the table's ids",
    )


def table_of(files: list[str], arguments: argparse.Namespace) -> str | None:
    """The table among the files of the command line; None if there is none.

    Raises:
        UsageError: if there is something beside it, or there are options for a table and there is none.
    """
    tables = [file for file in files if file.lower().endswith(_ENDINGS)]
    if tables and len(files) > 1:
        raise UsageError(f"predict takes one table, or image files, got {', '.join(files)}.")
    if tables and (arguments.one or arguments.show or arguments.save_picture is not None):
        option = "--one" if arguments.one else "--show" if arguments.show else "--save-picture"
        raise UsageError(f"{option} is for image files, got the table {tables[0]}. Leave it out.")
    if not tables and (arguments.output is not None or arguments.submission):
        option = "--submission" if arguments.output is None else "--output"
        raise UsageError(f"{option} is for a table: handconv predict FILE.csv --output answers.csv")
    if arguments.submission and arguments.output is None:
        raise UsageError("--submission needs a file: --output submission.csv")
    if arguments.output is not None:
        _check_target(user_path(arguments.output), Path(tables[0]))
    return tables[0] if tables else None


def predict_table(
    model: Classifier, path: str, label_column: str | None, arguments: argparse.Namespace, output: Output
) -> int:
    """Classify each line of a table; print the answers, or write them to the file of ``--output``."""
    preparation = preparation_of(model)
    if preparation is None or preparation.shape != model.input_shape:
        raise ModelFileError(f"A table holds images (C, H, W); this model takes samples of shape {model.input_shape}.")
    samples = read_table(user_path(path), label_column=label_column, scale=preparation.scale)
    for notice in (*samples.notices, *all_parts(samples)):
        output.notice(notice)
    images = samples.images.swapaxes(2, 3) if preparation.transpose else samples.images
    if images.shape[1:] != preparation.shape:
        raise DataError(
            f"{path} must hold images of shape {preparation.shape}, as the model takes them, got {images.shape[1:]}."
        )
    if is_negative(model, measure(images)[0], output):
        images = 255 - images
    if samples.labels is not None:
        models = "".join(f" {shlex.quote(file)}" for file in arguments.files if file != path)
        compare = f"handconv evaluate{models} --dataset {shlex.quote(path)}"
        output.notice(f"The labels in {path} are not looked at; {compare} compares with them.")
    chances = probabilities(model, np.ascontiguousarray(images), workers="auto")
    labels, names = chances.argmax(axis=1).tolist(), class_names(model)
    if arguments.output is not None:
        target = user_path(arguments.output)
        confidences = [float(row[label]) for row, label in zip(chances, labels, strict=True)]
        _write(target, samples, [names[label] for label in labels], None if arguments.submission else confidences)
        output.show(f"{counted(len(images), 'answer')} {'is' if len(images) == 1 else 'are'} in {target}")
        output.record({"event": "answers", "file": path, "images": len(images), "output": str(target)})
        return DONE
    for row, values in enumerate(chances):
        ranking = [(names[label], float(values[label])) for label in np.argsort(-values, kind="stable")[:3]]
        output.show(f"row {row}: {ranking[0][0]}  {shares(tuple(ranking))}")
        output.record(
            {
                "event": "answer",
                "file": path,
                "row": row,
                "prediction": ranking[0][0],
                "confidence": ranking[0][1],
                "top": [{"class": name, "probability": chance} for name, chance in ranking],
            }
        )
    return DONE


def _write(target: Path, samples: Samples, answers: list[str], confidences: list[float] | None) -> None:
    """Write the answers by the table's own ids: with how sure the model is; or, as Kaggle wants them, without.

    Where a table has no ids, its rows are numbered from 0, and, as Kaggle counts, from 1.
    """
    with naming(target), target.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        if confidences is None:
            table.writerow((samples.ids_name or "ImageId", "Label"))
            table.writerows(zip(samples.ids or range(1, len(answers) + 1), answers, strict=True))
        else:
            sure = [f"{confidence:.6f}" for confidence in confidences]
            table.writerow((samples.ids_name or "row", "prediction", "confidence"))
            table.writerows(zip(samples.ids or range(len(answers)), answers, sure, strict=True))


def _check_target(target: Path, table: Path) -> None:
    """Refuse before the work what could not be written after it."""
    folder = target.parent
    for wrong, what in (
        (target.is_dir(), "is a folder"),
        (not folder.is_dir(), f"is in {folder}, which is no folder"),
        (not os.access(target if target.exists() else folder, os.W_OK), "cannot be written"),
        (target.exists() and table.exists() and target.samefile(table), "is the table itself"),
    ):
        if wrong:
            raise UsageError(f"--output must be a file in a folder that exists, but {str(target)!r} {what}.")
