"""``handconv summary``: the layers of a model, with shapes, parameters, multiply-adds and memory."""

import argparse
from dataclasses import asdict

from handconv.cli._command import Command
from handconv.cli._errors import DONE
from handconv.cli._models import HELP, open_model
from handconv.cli._output import Output


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The model."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=HELP)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Print the table."""
    model = open_model(arguments.model, output)
    table = model.summary()
    output.show(str(table))
    output.record(
        {
            "event": "summary",
            "input_shape": table.input_shape,
            "layers": [asdict(row) for row in table.rows],
            "parameters": table.parameters,
            "multiply_adds": table.multiply_adds,
            "output_bytes": table.output_bytes,
            "plan": table.ops,
            "info": model.info,
        }
    )
    return DONE


COMMAND = Command(
    name="summary",
    summary="the layers of a model: shapes, parameters, multiply-adds and memory for one image",
    examples="""  handconv summary
  handconv summary fashion.npz --json""",
    add_arguments=add_arguments,
    run=run,
)
