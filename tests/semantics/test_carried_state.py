"""State that a layer carries from shard to shard without declaring it is refused where it would be lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import handconv as hc
from semantics.networks import CLASSES, VECTORS

OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 64}


def with_layer(layer: hc.Layer) -> hc.Sequential:
    return hc.Sequential([layer, hc.Dense(3), hc.Softmax()], input_shape=(4,), seed=0)


class Carries(hc.Layer):
    """Carries something from batch to batch that is no declared buffer; subclasses say what."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        if training:
            self.learn(inputs)
        return inputs - np.float32(self.level())

    def backward(self, dvalues: Any) -> Any:
        return dvalues

    def learn(self, inputs: Any) -> None:
        raise NotImplementedError

    def level(self) -> float:
        raise NotImplementedError


class CarriesNumber(Carries):
    mean = 0.0

    def learn(self, inputs: Any) -> None:
        self.mean += 0.1 * (float(inputs.mean()) - self.mean)

    def level(self) -> float:
        return self.mean


class CarriesArray(Carries):
    def __init__(self) -> None:
        super().__init__()
        self.means = np.zeros(1)

    def learn(self, inputs: Any) -> None:
        self.means *= 0.9
        self.means += 0.1 * inputs.mean()

    def level(self) -> float:
        return float(self.means[0])


class CarriesList(Carries):
    def __init__(self) -> None:
        super().__init__()
        self.means: list[float] = []

    def learn(self, inputs: Any) -> None:
        self.means.append(float(inputs.mean()))

    def level(self) -> float:
        return sum(self.means)


class CarriesDict(Carries):
    def __init__(self) -> None:
        super().__init__()
        self.seen = {"mean": 0.0}

    def learn(self, inputs: Any) -> None:
        self.seen["mean"] += float(inputs.mean())

    def level(self) -> float:
        return self.seen["mean"]


class Holder:
    value = 0.0


class CarriesObject(Carries):
    def __init__(self) -> None:
        super().__init__()
        self.holder = Holder()

    def learn(self, inputs: Any) -> None:
        self.holder.value += float(inputs.mean())

    def level(self) -> float:
        return self.holder.value


class CarriesGenerator(Carries):
    def __init__(self) -> None:
        super().__init__()
        self.random = np.random.default_rng(0)
        self.drawn = 0.0

    def learn(self, inputs: Any) -> None:
        self.drawn = float(self.random.normal())

    def level(self) -> float:
        return self.drawn


class CarriesLargest(Carries):
    """The same batch a second time changes nothing."""

    largest = 0.0

    def learn(self, inputs: Any) -> None:
        self.largest = max(self.largest, float(np.abs(inputs).max()))

    def level(self) -> float:
        return self.largest


class CarriesBatchBefore(hc.Layer):
    """Subtracts the mean of the batch before."""

    before = 0.0

    def forward(self, inputs: Any, training: bool = False) -> Any:
        outputs = inputs - np.float32(self.before)
        if training:
            self.before = float(inputs.mean())
        return outputs

    def backward(self, dvalues: Any) -> Any:
        return dvalues


class CarriesInASublayer(hc.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = CarriesNumber()

    def sublayers(self) -> dict[str, hc.Layer]:
        return {"inner": self.inner}

    def infer_shape(self, input_shape: Any) -> Any:
        return self.inner.infer_shape(input_shape)

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return self.inner.forward(inputs, training)

    def backward(self, dvalues: Any) -> Any:
        return self.inner.backward(dvalues)


class CarriesFromBackward(hc.Layer):
    """Scales the gradient by the largest one that it has met."""

    largest = 1e-6

    def forward(self, inputs: Any, training: bool = False) -> Any:
        return inputs

    def backward(self, dvalues: Any) -> Any:
        self.largest = max(self.largest, float(np.abs(dvalues).max()))
        return dvalues / np.float32(self.largest)


CARRYING = [
    CarriesNumber,
    CarriesArray,
    CarriesList,
    CarriesDict,
    CarriesObject,
    CarriesGenerator,
    CarriesLargest,
    CarriesBatchBefore,
    CarriesInASublayer,
    CarriesFromBackward,
]


@pytest.mark.parametrize("kind", CARRYING)
class TestStateThatIsNoBuffer:
    def started(self, network: hc.Sequential, **options: Any) -> bool:
        """Whether a step was done; there must be a refusal that names the remedy."""
        before = network.parameters.copy()
        with pytest.raises(RuntimeError, match=r"buffer|self\.generator"):
            network.fit(VECTORS, CLASSES, **OPTIONS | options)
        return not np.array_equal(network.parameters, before)

    def network(self, kind: type[hc.Layer]) -> hc.Sequential:
        layers = [hc.Dense(4), kind(), hc.Dense(3), hc.Softmax()]
        return hc.Sequential(layers, input_shape=(4,), seed=0)

    def test_is_refused_for_workers_before_the_first_step(self, kind: type[hc.Layer]) -> None:
        assert not self.started(self.network(kind), workers=2)

    def test_is_refused_with_a_checkpoint_before_the_first_step(self, kind: type[hc.Layer], tmp_path: Path) -> None:
        path = tmp_path / "run.npz"
        assert not self.started(self.network(kind), callbacks=[hc.Checkpoint(path)])
        assert not path.exists()

    def test_trains_in_one_process(self, kind: type[hc.Layer]) -> None:
        network = self.network(kind)
        losses = network.fit(VECTORS, CLASSES, **OPTIONS)["loss"]
        assert np.isfinite(losses).all()

    def test_is_as_it_was_after_a_refusal(self, kind: type[hc.Layer]) -> None:
        refused, other = self.network(kind), self.network(kind)
        with pytest.raises(RuntimeError):
            refused.fit(VECTORS, CLASSES, workers=2, **OPTIONS)
        losses = [one.fit(VECTORS, CLASSES, **OPTIONS)["loss"] for one in (refused, other)]
        assert losses[0] == losses[1]


class KeepsForBackward(hc.Layer):
    """Keeps much from forward to backward, and nothing longer."""

    def forward(self, inputs: Any, training: bool = False) -> Any:
        self.inputs, self.steps = inputs, []
        for factor in (0.5, 2.0):
            self.steps.append(inputs * factor)
        self.cache = {"total": self.steps[0] + self.steps[1]}
        self.rows = len(inputs)
        return self.cache["total"]

    def backward(self, dvalues: Any) -> Any:
        self.dinputs_before = dvalues * (self.steps[0].shape[0] == self.rows)
        return 2.5 * self.dinputs_before


def test_what_is_kept_from_forward_to_backward_is_no_state() -> None:
    alone, together = with_layer(KeepsForBackward()), with_layer(KeepsForBackward())
    alone.fit(VECTORS, CLASSES, **OPTIONS)
    together.fit(VECTORS, CLASSES, workers=2, **OPTIONS)
    np.testing.assert_array_equal(alone.parameters, together.parameters)


def test_what_is_kept_from_forward_to_backward_needs_no_buffer_with_a_checkpoint(tmp_path: Path) -> None:
    alone, watched = with_layer(KeepsForBackward()), with_layer(KeepsForBackward())
    alone.fit(VECTORS, CLASSES, **OPTIONS)
    watched.fit(VECTORS, CLASSES, callbacks=[hc.Checkpoint(tmp_path / "run.npz")], **OPTIONS)
    np.testing.assert_array_equal(alone.parameters, watched.parameters)
