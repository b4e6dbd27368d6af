"""``handconv report``: one page with pictures of a training, of the model's answers, and of what is inside it."""

import argparse
import base64
import html
import io
from collections.abc import Callable, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple

from handconv import plots
from handconv.analysis.histograms import Histograms
from handconv.cli._command import Command
from handconv.cli._data import DataSettings, load_for_model
from handconv.cli._errors import DONE, UsageError
from handconv.cli._models import HELP, checkpoint_of, epochs_of, open_model, trained_on
from handconv.cli._output import Output
from handconv.cli._progress import PictureProgress
from handconv.cli._settings import add_settings, read_settings, whole
from handconv.datasets import Dataset
from handconv.datasets.catalog import title_of
from handconv.errors import MissingExtraError
from handconv.sequential import Sequential
from handconv.serialization.atomic import check_folder, write_text_atomically
from handconv.utils.optional_imports import import_optional
from handconv.utils.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DOTS = 120  # of a picture to an inch: sharp on a phone and on paper
_LEARNT_BY_HEART = "A validation loss far above that of training means that the network learns by heart."
_NO_VALIDATION = "The curves are of training images alone; --validation-split 0.1 adds those of images kept aside."
_FEW = 500  # test images over which gradients are taken
_HALF_A_PAGE = 7.4  # inches of height up to which the letters of a picture can be read in 9.8 cm


class _Section(NamedTuple):
    title: str
    says: str  # how to read the picture
    draw: Callable[[], "Figure"]


class _Picture(NamedTuple):
    headline: str
    width: float  # in inches
    height: float
    png: str  # in base64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, file, image and data."""
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help=f"{HELP}; a checkpoint has its training's curves, too"
    )
    parser.add_argument("--out", default="report.html", metavar="FILE.html", help="the file (default: report.html)")
    parser.add_argument("--row", default="0", metavar="N", help="the test image that is looked into (default: 0)")
    add_settings(parser, DataSettings, title="data")


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Draw everything that suits the model, and write the page."""
    settings, path, row = read_settings(DataSettings, arguments), Path(arguments.out), _row(arguments.row)
    if path.suffix != ".html":
        raise UsageError(f"--out must name a file that ends in .html, got {arguments.out!r}.")
    check_folder(path)
    import_optional("matplotlib.figure", extra="plot")
    fits = trained_on(settings.dataset)
    model = open_model(arguments.model, output, fits)
    dataset = load_for_model(settings, model, output)
    if row >= len(dataset.x_test):
        raise UsageError(f"--row must be from 0 to {len(dataset.x_test) - 1}, got {row}.")
    sections = _sections(model, dataset, row, checkpoint_of(arguments.model, fits))
    drawn, left_out = [], []
    with PictureProgress(output) as progress:
        for place, section in enumerate(sections):
            progress(place, len(sections), section.title)
            try:
                drawn.append((section, _picture(section.draw())))
            except (ValueError, MissingExtraError) as reason:
                left_out.append((section.title, str(reason)))
    write_text_atomically(path, _page(model, dataset, drawn, left_out))
    size = path.stat().st_size
    output.show(f"{path}: {counted(len(drawn), 'picture')}, {size / 1000:,.0f} kB")
    for title, why in left_out:
        output.show(f"left out: {title}. {why}")
    output.record(
        {
            "event": "report",
            "file": str(path),
            "bytes": size,
            "pictures": {section.title: picture.headline for section, picture in drawn},
            "left_out": dict(left_out),
        }
    )
    return DONE


def _sections(model: Sequential, dataset: Dataset, row: int, checkpoint: Path | None) -> list[_Section]:
    """All pictures, in the order of the page."""
    x, y, names = dataset.x_test, dataset.y_test, dataset.class_names
    named = (model, x, y, names)
    epochs = [] if checkpoint is None else epochs_of(checkpoint)
    of_image = f"of test image {row}, class {names[int(y[row])]}"
    return [
        _Section(
            "The training",
            _LEARNT_BY_HEART if any("val_loss" in figures for figures in epochs) else _NO_VALIDATION,
            partial(plots.history, epochs),
        ),
        _Section(
            "What is taken for what",
            "A row for each true class, a column for each answer. The darker, the larger the share of the row.",
            partial(plots.confusion, *named),
        ),
        _Section(
            "Class by class",
            "Precision: how many answers that name the class are right. Recall: how many of its samples it finds.",
            partial(plots.classes, *named),
        ),
        _Section(
            "The worst mistakes",
            "The images whose true class got the least probability. Some would puzzle people, too.",
            partial(plots.mistakes, *named),
        ),
        _Section(
            "How far it can be trusted",
            "Of the answers given with 80 % confidence, 80 % should be right. Points below the line are too sure.",
            partial(plots.calibration, model, x, y),
        ),
        _Section(
            "The filters",
            "The first convolution lays each over every place of the image: where both agree, its map is large.",
            partial(plots.filters, model),
        ),
        _Section(
            f"The feature maps {of_image}",
            "A row a layer, from the image at the top: from edges to parts. Orange is above zero, purple below.",
            partial(plots.feature_maps, model, x[row]),
        ),
        _Section(
            f"What speaks for the answer {of_image}",
            "Saliency is the gradient of the score. Integrated gradients share the score out among the pixels. "
            "Grad-CAM weights each of the last maps by its mean gradient, HiResCAM each cell by its own: after a "
            "Flatten, trust the second.",
            partial(plots.attributions, model, x[row], None, names),
        ),
        _Section(
            "What each class looks for",
            "Images found by climbing the score of a class from noise. They show what excites it.",
            partial(plots.exciting_inputs, model, -1, None, names),
        ),
        _Section(
            "A map of the last hidden layer",
            "Each point is a test image. Classes that lie apart here are easy for the last layer.",
            partial(plots.hidden_map, *named),
        ),
        _Section(
            "Its neighbourhoods",
            "The same numbers, laid out so that neighbours stay neighbours; distances between groups mean little.",
            partial(plots.hidden_map, *named, method="tsne"),
        ),
        _Section(
            "Weights and gradients",
            "Left: how the weights are spread. Right: the gradient of the mean loss over a few hundred test images.",
            partial(plots.histograms, model, x[:_FEW], y[:_FEW]),
        ),
        _Section(
            "Weights and gradients over the epochs",
            "A ridge for each epoch. Gradients that widen from epoch to epoch announce a rate that is too high.",
            partial(_weights_over_time, checkpoint),
        ),
    ]


def _weights_over_time(checkpoint: Path | None) -> "Figure":
    kept = None if checkpoint is None else Histograms.read(checkpoint)
    return plots.histograms_over_time(kept or Histograms())


def _picture(figure: "Figure") -> _Picture:
    """A figure as the page needs it."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=_DOTS)
    headline = figure.get_suptitle().replace("\n", " ")
    width, height = figure.get_size_inches()
    return _Picture(headline, float(width), float(height), base64.b64encode(target.getvalue()).decode())


def _page(
    model: Sequential,
    dataset: Dataset,
    drawn: Sequence[tuple[_Section, _Picture]],
    left_out: Sequence[tuple[str, str]],
) -> str:
    """Put it all together."""
    scores = model.evaluate(dataset.x_test, dataset.y_test)
    facts = {
        "accuracy": f"{100 * scores['accuracy']:.2f} %" if "accuracy" in scores else "none",
        "loss": f"{scores['loss']:.4f}",
        "test images": f"{len(dataset.x_test):,} of {title_of(dataset.name)}",
        "parameters": f"{model.parameters.size:,}",
        "epochs trained": f"{model.epochs_trained}",
    }
    sections = "".join(
        f"<section><h2>{_text(section.title)}</h2><p>{_text(section.says)}</p>"
        f'<div class="picture{" tall" if picture.height > _HALF_A_PAGE else ""}" tabindex="0">'
        f'<img alt="{_text(picture.headline)}" style="--inches: {picture.width:g}" '
        f'src="data:image/png;base64,{picture.png}"></div></section>\n'
        for section, picture in drawn
    )
    rest = "".join(f"<li>{_text(title)}: {_text(why)}</li>" for title, why in left_out)
    template = Template(resources.files("handconv.cli").joinpath("report.html").read_text("utf-8"))
    return template.substitute(
        title=_text(f"A network for {title_of(dataset.name)}"),
        facts="".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items()),
        sections=sections,
        summary=model.summary()._repr_html_(),
        left_out=f"<h2>Left out</h2><ul>{rest}</ul>" if rest else "",
    )


def _text(value: Any) -> str:
    return html.escape(str(value))


def _row(text: str) -> int:
    try:
        row: int = whole(0)(text)
    except ValueError as rule:
        raise UsageError(f"--row must be {rule}, got {text!r}.") from None
    return row


COMMAND = Command(
    name="report",
    summary="one page with pictures: curves, confusion, mistakes, filters, feature maps, what answers rest on",
    examples="""  handconv report
  handconv report model.run.npz --out model.html
  handconv report fashion.npz --row 12""",
    add_arguments=add_arguments,
    run=run,
)
