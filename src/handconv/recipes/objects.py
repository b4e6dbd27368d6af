"""From a recipe to objects, by one rule: a table with a class becomes an object of that class.

The place of the table says which classes it may name:

    loss                        handconv.losses
    optimizer                   handconv.optimizers
    learning_rate, schedule     handconv.schedules
    averaging                   handconv.training
    augment, steps              handconv.augment
    layers, projection          handconv.layers

Its other entries are the arguments of the class. This module checks that the class and the arguments exist; the class
itself checks their values.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from handconv.augment import Augmentation, Compose
from handconv.layers import Layer
from handconv.losses import Loss
from handconv.optimizers import Optimizer
from handconv.optimizers.schedules import Schedule
from handconv.recipes.recipe import Recipe, checked_table, own_name
from handconv.sequential import Sequential
from handconv.training.averaging import WeightAverage
from handconv.utils.nearest import nearest
from handconv.utils.validation import NOT_NEGATIVE, SHARE, check_int, check_number
from handconv.zoo import colour, plus, reference

_SCHEDULES = (Schedule, "handconv.optimizers.schedules")
_AUGMENTATIONS = (Augmentation, "handconv.augment")
_LAYERS = (Layer, "handconv.layers")
#: What stands at an entry of this name, and where its classes are.
_PLACES: dict[str, tuple[type[Any], str]] = {
    "loss": (Loss, "handconv.losses"),
    "optimizer": (Optimizer, "handconv.optimizers"),
    "learning_rate": _SCHEDULES,
    "schedule": _SCHEDULES,
    "averaging": (WeightAverage, "handconv.training"),
    "augment": _AUGMENTATIONS,
    "steps": _AUGMENTATIONS,
    "layers": _LAYERS,
    "projection": _LAYERS,
}
_NETWORKS: dict[str, Callable[..., Sequential]] = {"reference": reference, "plus": plus, "colour": colour}
#: The places that may hold a list of tables.
_LISTS = ("augment", "steps", "layers")
_OBJECTS = ("loss", "optimizer", "averaging", "augment")
_WHOLE = ("epochs", "batch_size", "shard_size")
#: The entries that are arguments of the networks of the zoo.
OF_THE_ZOO = ("l2", "dropout")
#: The entries of a recipe.
_ENTRIES = (*_WHOLE, *OF_THE_ZOO, *_OBJECTS, "network")


def check(recipe: Recipe) -> Recipe:
    """Prove that a recipe can be followed, by making all that it describes but the network.

    Args:
        recipe: what was read and changed.

    Returns:
        The same, with the names of entries and arguments as they are in Python.

    Raises:
        ValueError: if an entry is unknown, is of another kind, or breaks a rule.

    Example:
        >>> check({"epochs": 3, "batch-size": 64})
        {'epochs': 3, 'batch_size': 64}
        >>> check({"epoch": 3})
        Traceback (most recent call last):
        ValueError: There is no entry 'epoch' in a recipe. Did you mean epochs?
    """
    result = _checked(recipe)
    fit_arguments(result)
    if isinstance(result.get("network"), Mapping):
        _made("layers", result["network"]["layers"], "layers")
    return result


def fit_arguments(recipe: Recipe) -> dict[str, Any]:
    """Make what ``fit`` takes: the optimizer, the loss and the others, as its arguments by name.

    What the recipe leaves out is left to ``fit``. The recipe ``standard`` names no epochs, which ``handconv train``
    chooses by the number of images; in Python, change its entry first.

    Args:
        recipe: the recipe.

    Raises:
        ValueError: if something that it describes cannot be made.

    Example:
        >>> fit_arguments({"epochs": 3, "optimizer": {"class": "SGD", "learning_rate": 0.1}})
        {'epochs': 3, 'optimizer': SGD(learning_rate=0.1, momentum=0.0, nesterov=False)}
    """
    recipe = _checked(recipe)
    arguments = {name: recipe[name] for name in _WHOLE if name in recipe}
    for name in _OBJECTS:
        if recipe.get(name):  # an empty table, or list, is none
            arguments[name] = _made(name, recipe[name], name)
    steps = arguments.get("augment")
    if isinstance(steps, list):
        arguments["augment"] = steps[0] if len(steps) == 1 else Compose(steps)
    return arguments


def network(
    recipe: Recipe, *, classes: int, input_shape: Sequence[int], seed: int | None = 0, engine: bool = True
) -> Sequential:
    """Make the network of a recipe: the reference network, unless it names another one or has layers of its own.

    Args:
        recipe: the recipe; its ``l2`` and ``dropout`` are for the networks of the zoo.
        classes: how many are told apart.
        input_shape: channels, height and width of an image.
        seed: of everything random in the model; None draws one.
        engine: whether layers run as the engine's fast ops.

    Raises:
        ValueError: if the network does not fit the images or the classes.

    Example:
        >>> network({"network": "plus", "dropout": 0.1}, classes=26, input_shape=(1, 28, 28)).output_shape
        (26,)
    """
    recipe = _checked(recipe)
    described = recipe.get("network", "reference")
    if isinstance(described, str):
        settings = {name: recipe[name] for name in OF_THE_ZOO if name in recipe}
        return _NETWORKS[described](classes=classes, input_shape=input_shape, seed=seed, engine=engine, **settings)
    layers = _made("layers", described["layers"], "layers")
    try:
        model = Sequential(layers, input_shape=input_shape, seed=seed, engine=engine)
    except ValueError as error:
        raise ValueError(f"These layers do not fit images of shape {input_shape!r}: {error}") from error
    if model.output_shape != (classes,):
        given = model.output_shape[0] if len(model.output_shape) == 1 else model.output_shape
        raise ValueError(
            f"The last layer must give a number for each of the {classes} classes, got {given}. "
            f"Give the last Dense units = {classes}."
        )
    return model


def _checked(recipe: Recipe) -> dict[str, Any]:
    """The entries with their names as in Python, if there are such entries and plain values obey their rules."""
    result: dict[str, Any] = {}
    for given, value in checked_table(recipe).items():
        name = own_name(given, _ENTRIES)
        if name not in _ENTRIES:
            raise ValueError(f"There is no entry {given!r} in a recipe.{nearest(given, _ENTRIES)}")
        if name in result:
            raise ValueError(f"A recipe has each entry once, got {name} in two spellings. Leave {given!r} out.")
        result[name] = _named(name, value)
    for name in _WHOLE:
        if name in result:
            check_int(name, result[name])
    if "l2" in result:
        check_number("l2", result["l2"], *NOT_NEGATIVE)
    if "dropout" in result:
        check_number("dropout", result["dropout"], *SHARE)
    if "network" in result:
        _check_network(result["network"], result)
    return result


def _check_network(described: Any, recipe: Recipe) -> None:
    """Check that it names a network of the zoo, or lists layers."""
    if isinstance(described, Mapping):
        layers, others = described.get("layers"), [name for name in described if name != "layers"]
        if others or not isinstance(layers, list) or not layers:
            what = f", got {', '.join(others)} too" if others else ""
            raise ValueError(
                f"A network is described by its layers, in order, as tables with a class{what}. "
                'For one: layers = [{class = "Flatten"}, {class = "Dense", units = 10}, {class = "Softmax"}]'
            )
        if given := [name for name in OF_THE_ZOO if name in recipe]:
            raise ValueError(f"{given[0]} is for the networks of the zoo, got layers too. Set it in the layers.")
    elif not isinstance(described, str) or described not in _NETWORKS:
        remedy = nearest(str(described), _NETWORKS)
        raise ValueError(f"There is no network {described!r}.{remedy} A file of your own ends in .toml.")


def _named(place: str, value: Any) -> Any:
    """A value with the arguments of each class named as they are in Python; classes that there are not stay."""
    if isinstance(value, list):
        return [_named(place, each) for each in value]
    if not isinstance(value, Mapping):
        return value
    kind = _classes(place).get(str(value.get("class"))) if place in _PLACES else None
    known = _parameters(kind) if kind is not None else {}
    result = {}
    for given, inside in value.items():
        name = own_name(given, known)
        result[name] = _named(name, inside)
    return result


def _made(place: str, value: Any, path: str) -> Any:
    """What stands at a place: an object for a table, a list of them for a list, plain values as they are."""
    if isinstance(value, list) and place in _LISTS and any(isinstance(each, Mapping) for each in value):
        return [_made(place, each, f"{path}.{number}") for number, each in enumerate(value)]
    if place not in _PLACES:
        if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(each, Mapping) for each in value)):
            raise ValueError(f"{path} must be a plain value, got the table {value!r}.")
        return value
    if not isinstance(value, Mapping):
        if place == "learning_rate":
            return value  # the optimizer says what is wrong with it
        names = ", ".join(_classes(place))
        raise ValueError(f"{path} must be a table with a class, one of {names}; got {value!r}.")
    name, known = value.get("class"), _classes(place)
    if not isinstance(name, str) or name not in known:
        what = "needs a class" if name is None else f"has no class {name!r}"
        raise ValueError(f"{path} {what}.{nearest(str(name or ''), known)}")
    arguments = {key: _argument(known[name], key, inside, path) for key, inside in value.items() if key != "class"}
    for parameter in _parameters(known[name]).values():
        if parameter.default is parameter.empty and parameter.name not in arguments:
            raise ValueError(f"{path}: {name} needs {parameter.name}. Give {path}.{parameter.name}.")
    try:
        return known[name](**arguments)
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: {error}") from error


def _argument(kind: type[Any], name: str, value: Any, path: str) -> Any:
    """One argument of a class, made; refused if there is none of this name, or it must be true or false."""
    parameters = _parameters(kind)
    if name not in parameters:
        raise ValueError(f"{path}: {kind.__name__} has no argument {name!r}.{nearest(name, parameters)}")
    if isinstance(parameters[name].default, bool) and not isinstance(value, bool):
        raise ValueError(f"{path}: {kind.__name__}: {name} must be true or false, got {value!r}.")
    return _made(name, value, f"{path}.{name}")


def _parameters(kind: type[Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters


def _classes(place: str) -> dict[str, type[Any]]:
    """The classes that may stand at a place: those of its public namespace that are of its kind."""
    base, module = _PLACES[place]
    return {
        name: thing
        for name, thing in vars(importlib.import_module(module)).items()
        if isinstance(thing, type) and issubclass(thing, base) and thing is not base and not inspect.isabstract(thing)
    }
