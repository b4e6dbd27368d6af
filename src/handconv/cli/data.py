"""``handconv data``: lists, downloads, verifies and removes cached data sets."""

import argparse
import os
from pathlib import Path

import numpy as np

from handconv import augment, datasets, recipes
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, fetch_dataset, load_dataset
from handconv.cli._errors import DONE, FAILED, UsageError
from handconv.cli._output import Output
from handconv.cli._pictures import write_figure
from handconv.cli._recipe import read_config, resolve
from handconv.cli._settings import one_of
from handconv.cli._tables import show_table
from handconv.datasets import cache
from handconv.datasets.catalog import KNOWN
from handconv.datasets.paths import user_path
from handconv.datasets.sources import DATA_DIR_VARIABLE
from handconv.serialization.atomic import check_folder
from handconv.utils.nearest import nearest

_SHOWN = 10  # images, at most
_DOTS = 120  # to an inch
_ACTIONS = ("list", "download", "verify", "remove")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, with which set."""
    parser.add_argument(
        "action", nargs="?", default="list", metavar="|".join(_ACTIONS), help="what to do (default: list)"
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"{' or '.join(KNOWN)}; verify does without: all")
    parser.add_argument("--source", metavar="|".join(datasets.SOURCES), help="where download looks (default: auto)")
    parser.add_argument("--data-dir", metavar="DIR", help="download takes the files from this folder")
    shown = parser.add_argument_group("augmented images")
    shown.add_argument("--show-augmented", metavar="FILE.png", help="draw images as a recipe changes them in training")
    shown.add_argument("--dataset", metavar="NAME|PATH", help="whose images (default: mnist)")
    shown.add_argument("--recipe", metavar="NAME", help="whose augmentation (default: best)")
    shown.add_argument("--config", metavar="FILE.toml", help="entries of your own, over those of the recipe")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Do it."""
    action, name = arguments.action, arguments.name
    if arguments.show_augmented is not None:
        return _show_augmented(arguments, output)
    if action not in _ACTIONS:
        raise UsageError(f"data has no action {action!r}.{nearest(action, _ACTIONS)}")
    if name is not None and name not in KNOWN:
        raise UsageError(f"there is no data set {name!r} to be cached.{nearest(name, KNOWN)}")
    if name is None and action in ("download", "remove"):
        raise UsageError(f"data {action} needs a name: handconv data {action} mnist")
    if name is not None and action == "list":
        raise UsageError("data list takes no name.")
    for option in ("source", "data_dir", "dataset", "recipe", "config"):
        owner = "download" if option in ("source", "data_dir") else "--show-augmented FILE.png"
        if action != owner and getattr(arguments, option) is not None:
            raise UsageError(f"--{option.replace('_', '-')} is for data {owner}. Leave it out.")
    if action == "download":
        return _download(name, arguments, output)
    if action == "remove":
        return _remove(name, output)
    return _verify(name, output) if action == "verify" else _list(output)


def _show_augmented(arguments: argparse.Namespace, output: Output) -> int:
    """Draw one image of each class, and what a recipe makes of it."""
    path = Path(arguments.show_augmented)
    if path.suffix != ".png":
        raise UsageError(f"--show-augmented must name a file that ends in .png, got {arguments.show_augmented!r}.")
    check_folder(path)
    recipe = "best" if arguments.recipe is None else arguments.recipe
    if recipe not in recipes.NAMES:
        raise UsageError(f"there is no recipe {recipe!r}.{nearest(recipe, recipes.NAMES)}")
    _, tables = read_config(arguments.config)
    augmentation = recipes.fit_arguments(resolve(recipes.load(recipe), arguments.config, tables, {}, ())).get("augment")
    if augmentation is None:
        raise UsageError(
            f"the recipe {recipe!r} changes no images. Name another one, --recipe best, or give --config a "
            "file with an entry augment."
        )
    settings = DataSettings(source=_source(arguments), data_dir=arguments.data_dir)
    dataset = load_dataset(settings, "mnist" if arguments.dataset is None else arguments.dataset, output)
    _, rows = np.unique(dataset.y_train, return_index=True)
    images = dataset.x_train[rows[:_SHOWN]]
    figure = augment.preview(images, augmentation, np.random.default_rng(0))
    write_figure(figure, path, _DOTS)
    output.show(f"{path}: {len(images)} images of {dataset.name}, and 8 forms of each")
    output.record({"event": "augmented", "file": str(path), "images": len(images), "recipe": recipe})
    return DONE


def _source(arguments: argparse.Namespace) -> str:
    try:
        return str(one_of(*datasets.SOURCES)("auto" if arguments.source is None else arguments.source))
    except ValueError as rule:
        raise UsageError(f"--source must be {rule}, got {arguments.source!r}.") from None


def _list(output: Output) -> int:
    """Print what is there and what could be."""
    cached = {entry.name: entry for entry in cache.entries()}
    rows = [("digits", "always there", "embedded", "")]
    output.record({"event": "dataset", "name": "digits", "state": "embedded", "bytes": 0, "source": "embedded"})
    for name in KNOWN:
        entry = cached.get(name)
        state = "not cached" if entry is None else "cached" if entry.complete else "damaged"
        rows.append((name, state, entry.source if entry else "", f"{entry.size / 1e6:.1f} MB" if entry else ""))
        output.record(
            {
                "event": "dataset",
                "name": name,
                "state": state,
                "bytes": entry.size if entry else 0,
                "source": entry.source if entry else None,
                "path": str(entry.path) if entry else None,
            }
        )
    show_table(output, f"Data sets (the cache is {cache.folder()})", ("name", "state", "source", "size"), rows, left=3)
    if folder := os.environ.get(DATA_DIR_VARIABLE):
        missing = "" if user_path(folder).is_dir() else ", which is no folder"
        output.show(f"{DATA_DIR_VARIABLE} names {folder}{missing}; data sets are taken from there first.")
    return DONE


def _download(name: str, arguments: argparse.Namespace, output: Output) -> int:
    """Get a set into the cache."""
    dataset = fetch_dataset(name, _source(arguments), arguments.data_dir, output)
    output.show(f"{name} is in {cache.folder() / name}")
    output.record({"event": "downloaded", "name": name, "source": dataset.source, "path": str(cache.folder() / name)})
    return DONE


def _verify(name: str | None, output: Output) -> int:
    """Compute checksums again; the status tells whether all is well."""
    cached = [entry.name for entry in cache.entries()]
    if name is not None and name not in cached:
        output.show(f"{name} is not in the cache: it was never fetched, or it was removed.")
        output.notice(f"  Get it: handconv data download {name}")
        output.record({"event": "verified", "name": name, "state": "not cached", "sound": False, "faults": []})
        return FAILED
    names = [name] if name else cached
    if not names:
        output.notice("The cache is empty: there is nothing to verify.")
    sound = True
    for each in names:
        faults = cache.verify(each)
        sound = sound and not faults
        output.show(f"{each}: {'all checksums are right' if not faults else 'damaged or incomplete'}")
        output.record(
            {
                "event": "verified",
                "name": each,
                "state": "damaged" if faults else "cached",
                "sound": not faults,
                "faults": faults,
            }
        )
        for fault in faults:
            output.notice(f"  {fault}")
        if faults:
            output.notice(f"  Get it again: handconv data remove {each}; handconv data download {each}")
    return DONE if sound else FAILED


def _remove(name: str, output: Output) -> int:
    """Remove a set from the cache."""
    freed = cache.remove(name)
    output.show(f"{name} removed, {freed / 1e6:.1f} MB freed" if freed else f"{name} is not in the cache")
    output.record({"event": "removed", "name": name, "bytes": freed})
    return DONE


COMMAND = Command(
    name="data",
    summary="list, download, verify and remove cached data sets",
    examples="""  handconv data
  handconv data download fashion-mnist
  handconv data verify
  handconv data remove mnist
  handconv data --show-augmented augmented.png --recipe best""",
    add_arguments=add_arguments,
    run=run,
)
