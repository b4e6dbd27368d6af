"""Callbacks: what they hear of, in which order, and what they may do."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import handconv as hc
from handconv.training import Callback, Progress, loop

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
Y = np.arange(20) % 2


def fit(*callbacks: Callback, **options: Any) -> hc.History:
    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    return model.fit(X, Y, **{"epochs": 3, "batch_size": 8, "callbacks": callbacks} | options)


class Listener(Callback):
    """Writes down all that it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.progress: list[Progress] = []
        self.figures: list[Mapping[str, float]] = []

    def on_train_begin(self, run: Any) -> None:
        self.heard.append("begin")

    def on_batch_end(self, run: Any, progress: Progress) -> None:
        self.heard.append("batch")
        self.progress.append(progress)

    def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
        self.heard.append("epoch")
        self.figures.append(figures)

    def on_train_end(self, run: Any) -> None:
        self.heard.append("end")


def test_they_hear_of_the_beginning_the_batches_each_epoch_and_the_end() -> None:
    listener = Listener()
    fit(listener)
    without_repetitions = [
        word for word, after in zip(listener.heard, [*listener.heard[1:], ""], strict=True) if word != after
    ]
    assert without_repetitions == ["begin", *["batch", "epoch"] * 3, "end"]


def test_the_last_progress_of_an_epoch_has_all_of_its_samples() -> None:
    listener = Listener()
    history = fit(listener)
    last = [progress for progress in listener.progress if progress.samples_done == progress.samples]
    assert [progress.epoch for progress in last if progress.epoch == last[-1].epoch][-1] == 3
    assert {progress.epochs for progress in last} == {3}
    assert last[-1].samples == 20
    assert last[-1].seconds_left == 0
    assert (last[-1].loss, last[-1].accuracy) == pytest.approx((history["loss"][-1], history["accuracy"][-1]))


def test_before_the_first_step_is_done_there_is_nothing_to_hear_of() -> None:
    listener = Listener()
    loop._report(SimpleNamespace(), [listener], np.zeros(4), seconds=1.0)  # type: ignore[arg-type]
    assert not listener.heard


def test_the_figures_they_hear_of_are_those_of_the_history() -> None:
    listener = Listener()
    history = fit(listener, validation_split=0.2)
    assert [dict(figures) for figures in listener.figures] == history.epochs
    assert "val_accuracy" in listener.figures[0]


def test_one_that_returns_true_ends_the_training_after_the_epoch_and_all_hear_of_it() -> None:
    class Stop(Callback):
        def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> bool:
            return figures["epoch"] == 2

    listener = Listener()
    history = fit(Stop(), listener)
    assert history["epoch"] == [1, 2]
    assert listener.heard[-2:] == ["epoch", "end"]


def test_they_may_look_at_the_model_between_epochs() -> None:
    class Look(Callback):
        def __init__(self) -> None:
            self.predictions: list[Any] = []

        def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
            self.predictions.append(run.network.predict(X).copy())

    look = Look()
    history, undisturbed = fit(look), fit()
    assert history["loss"] == undisturbed["loss"]
    assert not np.array_equal(look.predictions[0], look.predictions[1])


class Ask(Callback):
    """Asks the network in every way, at one moment."""

    def __init__(self, moment: str) -> None:
        self.answers: list[list[Any]] = []
        setattr(self, moment, self.ask)
        # The loop pauses workers for callbacks whose class defines on_batch_end.
        self.__class__ = type("Asking", (Ask,), {moment: lambda self, *arguments: self.ask(*arguments)})

    def ask(self, run: Any, *_: Any) -> None:
        network = run.network
        y = network.forward(X)
        gradient = network.backward(np.ones_like(y))
        answers = [network.predict(X), network.infer(X[:5]), y, gradient, network.gradients.copy()]
        twin = hc.Sequential([layer.copy() for layer in network.layers], input_shape=(3,))
        expected = [twin.predict(X), twin.infer(X[:5]), twin.forward(X)]
        expected += [twin.backward(np.ones_like(y)), twin.gradients]
        for received, right in zip(answers, expected, strict=True):
            np.testing.assert_array_equal(received, right)
        assert network.evaluate(X, Y) == twin.evaluate(X, Y)
        self.answers.append([answers[0], answers[0].copy()])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("moment", ["on_train_begin", "on_batch_end", "on_epoch_end", "on_train_end"])
def test_they_may_ask_the_network_in_any_way_at_any_moment(moment: str, workers: int) -> None:
    ask = Ask(moment)
    models = [hc.Sequential([hc.Dense(2), hc.Dropout(0.1), hc.Softmax()], input_shape=(3,), seed=0) for _ in "ab"]
    histories = [
        network.fit(X, Y, epochs=3, batch_size=10, workers=workers, callbacks=callbacks)
        for network, callbacks in zip(models, ([ask], []), strict=True)
    ]
    np.testing.assert_array_equal(models[0].parameters, models[1].parameters)
    assert histories[0]["loss"] == histories[1]["loss"]
    assert len(ask.answers) >= (3 if moment in ("on_batch_end", "on_epoch_end") else 1)
    for answer, kept in ask.answers:  # the caller's own, whatever came after
        np.testing.assert_array_equal(answer, kept)


def test_an_error_in_one_ends_the_training_and_leaves_a_model_that_works() -> None:
    class Broken(Callback):
        def on_epoch_end(self, run: Any, figures: Mapping[str, float]) -> None:
            raise KeyboardInterrupt

    model = hc.Sequential([hc.Dense(2), hc.Softmax()], input_shape=(3,), seed=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, callbacks=[Broken()])
    first = model.predict(X[:4])
    kept = first.copy()
    model.predict(-X[:4])
    np.testing.assert_array_equal(first, kept)
    model.fit(X, Y)


def test_the_base_class_hears_everything_and_does_nothing() -> None:
    assert len(fit(Callback())["loss"]) == 3


def test_the_time_left_follows_from_the_speed() -> None:
    progress = Progress(1, 1, 250, 1000, loss=0, accuracy=0, images_per_second=500)
    assert progress.seconds_left == 1.5
    assert Progress(1, 1, 0, 10, loss=0, accuracy=0, images_per_second=0).seconds_left > 1e9
