"""``handconv runs``: the models that were trained and kept; list them, show one, remove some."""

import argparse
import json
import shlex
from datetime import datetime

from handconv.cli._command import Command
from handconv.cli._errors import DONE, UsageError
from handconv.cli._output import Output
from handconv.cli._runs import Kept, age, damaged_runs, described, find_run, folder, kept_runs
from handconv.datasets.readers.samples import listed
from handconv.recipes import entries
from handconv.sequential import load
from handconv.utils.nearest import nearest
from handconv.utils.text_table import format_table

_ACTIONS = ("list", "show", "remove")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, and with which runs."""
    parser.add_argument(
        "action", nargs="?", metavar="|".join(_ACTIONS), default="list", help="what to do (default: list)"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="runs, by their names or the beginnings of them")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """List, show or remove."""
    if arguments.action not in _ACTIONS:
        raise UsageError(f"runs has no action {arguments.action!r}.{nearest(arguments.action, _ACTIONS)}")
    if arguments.action == "list":
        if arguments.names:
            raise UsageError(f"runs lists all runs; to see one: handconv runs show {shlex.quote(arguments.names[0])}")
        return _list(output)
    if not arguments.names:
        raise UsageError(f"runs {arguments.action} needs names of runs; handconv runs lists them.")
    damaged = {kept.name: kept for kept, _ in damaged_runs()} if arguments.action == "remove" else {}
    chosen = [damaged.get(name) or _find(name) for name in arguments.names]
    for kept in {kept.name: kept for kept in chosen}.values():
        if arguments.action == "show":
            _show(kept, output)
        else:
            for file in kept.files:
                file.unlink()
            output.show(f"{kept.name} is removed.")
            output.record({"event": "removed", "run": kept.name})
    return DONE


def _find(name: str) -> Kept:
    found = find_run(name)
    if found is None:
        near = [run.name for run in kept_runs() if run.name.startswith(name)]
        what = f"several runs begin so: {listed(near)}" if near else "handconv runs lists those that there are"
        raise UsageError(f"there is no run {name!r}; {what}.")
    return found


def _list(output: Output) -> int:
    runs = kept_runs()
    for kept in runs:
        output.record({"event": "run", "run": kept.name, "file": str(kept.path)} | _facts(kept))
    for kept, problem in damaged_runs():
        output.complain(f"{problem} To remove it: handconv runs remove {shlex.quote(kept.name)}")
    if not runs:
        output.show(f"There are no runs yet in {folder()}. handconv train makes one.")
        return DONE
    rows = [("run", "data and accuracy", "network", "when")]
    rows += [(kept.name, described(kept.info, when=False), kept.network, age(kept.info)) for kept in runs]
    output.show("\n".join(format_table(rows, (0, 1, 2, 3), output.room, spare=(3, 2))))
    return DONE


def _show(kept: Kept, output: Output) -> None:
    """Everything that is known of a run."""
    facts = _facts(kept)
    output.record({"event": "run", "run": kept.name, "file": str(kept.path)} | facts)
    trained = kept.info.get("trained_at")
    when = f" ({datetime.fromisoformat(str(trained)).astimezone():%Y-%m-%d %H:%M})" if trained else ""
    output.show(f"{kept.name}: {described(kept.info)}{when}")
    output.show(f"{kept.path}")
    settings = kept.info.get("settings")
    if isinstance(settings, dict):
        output.show("\noptions of the training")
    for name, value in settings.items() if isinstance(settings, dict) else ():
        if value is not None:
            output.show(f"  {name.replace('_', '-'):18} {value}")
    recipe = kept.info.get("recipe")
    if isinstance(recipe, dict):
        output.show("entries of the recipe, which --set changes")
    for entry, value in entries(recipe) if isinstance(recipe, dict) else ():
        if not entry.startswith("network."):  # the summary shows the layers
            output.show(f"  {entry} = {json.dumps(value)}")
    output.show(f"\n{load(kept.path).summary()}")


def _facts(kept: Kept) -> dict[str, object]:
    names = ("dataset", "test_accuracy", "trained_at", "class_names", "recipe")
    return {"network": kept.network, "parameters": kept.parameters} | {name: kept.info.get(name) for name in names}


COMMAND = Command(
    name="runs",
    summary="the models that were trained and kept: list them, show one, remove some",
    examples="""  handconv runs
  handconv runs show mnist-2026-11-28-0457
  handconv runs remove mnist-2026-11-28-0457""",
    add_arguments=add_arguments,
    run=run,
)
