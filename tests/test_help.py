"""What ``help()`` shows of the public functions can be read: types by their names, not what NumPy makes of them."""

import inspect
import pydoc
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import handconv as hc
from handconv import analysis, export, nnfs, training, zoo

MODULES: tuple[ModuleType, ...] = (
    *(hc, hc.augment, hc.datasets, hc.initializers, hc.losses, hc.metrics, hc.optimizers, hc.plots, hc.schedules),
    *(analysis, export, nnfs, training, zoo),
)
INSIDE_OF_NUMPY = ("_NestedSequence", "dtype[", "numpy._typing")


def public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Each public function and class of a module, and the methods of the classes."""
    for name in getattr(module, "__all__", [name for name in dir(module) if not name.startswith("_")]):
        thing = getattr(module, name)
        if inspect.isfunction(thing) or inspect.isclass(thing):
            yield f"{module.__name__}.{name}", thing
        if inspect.isclass(thing):
            for method, function in inspect.getmembers(thing, inspect.isroutine):
                ours = (getattr(function, "__module__", None) or "").startswith("handconv")
                if ours and not method.startswith("_"):
                    yield f"{module.__name__}.{name}.{method}", function


EVERYTHING = dict(pair for module in MODULES for pair in public(module))


def test_what_is_looked_at_is_there() -> None:
    assert {"handconv.Sequential.fit", "handconv.load", "handconv.Dense.forward"} <= EVERYTHING.keys()
    assert len(EVERYTHING) > 400


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.__name__))
def test_no_signature_shows_the_inside_of_numpy(module: ModuleType) -> None:
    signatures = {}
    for name, thing in public(module):
        try:
            signatures[name] = str(inspect.signature(thing))
        except ValueError:  # an exception's is that of its parent, in C
            continue
    assert not {name: line for name, line in signatures.items() if any(word in line for word in INSIDE_OF_NUMPY)}


def test_the_help_of_fit_names_the_types() -> None:
    page = pydoc.plain(pydoc.render_doc(hc.Sequential.fit))
    signature = next(line for line in page.splitlines() if line.startswith("fit("))
    assert signature.startswith("fit(self, x: 'ArrayLike', y: 'ArrayLike', *, epochs: 'int' = 1")


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("MaxPooling2D", "Did you mean MaxPool2D?"),
        ("AveragePooling2D", "Did you mean AveragePool2D?"),
        ("GlobalAveragePooling2D", "Did you mean GlobalAveragePool2D?"),
        ("ZeroPadding2D", "Did you mean ZeroPad2D?"),
        ("Conv2d", "Did you mean Conv2D?"),
        ("MaxPool2d", "Did you mean MaxPool2D?"),
        ("BatchNormalization", "Here it is BatchNorm."),
        ("LayerNormalization", "Here it is LayerNorm."),
        ("Linear", "Here it is Dense."),
        ("SparseCategoricalCrossentropy", "Here it is CategoricalCrossentropy."),
        ("ModelCheckpoint", "Here it is Checkpoint."),
        ("Xyz", r"dir\(handconv\) lists all."),
    ],
)
def test_a_name_of_another_package_leads_to_ours(name: str, ours: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'handconv' has no attribute '{name}'. {ours}"):
        getattr(hc, name)
