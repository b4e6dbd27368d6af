"""``Sequential``: a network with the verbs that people use: fit, evaluate, predict, summary, save, load."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Never

import numpy as np
from numpy.typing import ArrayLike, NDArray

from handconv.arrays import FloatArray
from handconv.layer_list import probabilities_of
from handconv.layers import Layer, Sigmoid, Softmax
from handconv.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss, SoftmaxCategoricalCrossentropy
from handconv.losses.base import check_loss, checked_targets
from handconv.network import Network
from handconv.optimizers import Adam, Optimizer
from handconv.optimizers.base import check_optimizer
from handconv.rng import Purpose
from handconv.utils.validation import check_bool, check_int, check_range

if TYPE_CHECKING:
    from handconv.samples import Samples
    from handconv.summary import Summary
    from handconv.training.averaging import WeightAverage
    from handconv.training.callbacks import Callback
    from handconv.training.history import History

Workers = int | Literal["auto"]  # how many processes share the work

# Modules for training and for files are imported by the methods that need them, so that ``import handconv`` takes
# little longer than ``import numpy``.


class Sequential(Network):
    """A chain of layers that can be trained.

    Inputs are batches (N, …); uint8 arrays are pixels and divided by 255. Labels are class numbers (N,) or one-hot
    (N, K). A final ``Softmax`` trained with cross-entropy runs through the combined, numerically stable loss;
    ``predict`` then gives probabilities.

    Args:
        layers: the layers, in order.
        input_shape: the shape of one sample; if it is not given, the first batch tells.
        seed: of everything random: initial parameters, the order of samples, dropout. None draws one.
        dtype: "float32", or "float64" for proofs.
        fuse: whether neighbouring layers may run as one step (see ``handconv.engine.lower``); the results are the same.
        engine: whether layers run as the engine's fast ops; if not, ``fit`` and ``predict`` run the layers' own pages.

    Attributes:
        parameters: all parameters as one vector; ``named_parameters()`` shows them by name.
        gradients: all gradients as one vector, in the same order.
        info: plain values that are saved with the model, such as the data set that it was trained on.

    Raises:
        ValueError: if layers do not fit together.

    Example:
        >>> import numpy as np, handconv as hc
        >>> model = hc.Sequential([hc.Dense(8), hc.Tanh(), hc.Dense(2), hc.Softmax()], input_shape=(2,), seed=0)
        >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        >>> history = model.fit(x, [0, 1, 1, 0], epochs=200, batch_size=4, optimizer=hc.Adam(0.05))
        >>> model.predict(x).argmax(axis=1).tolist()
        [0, 1, 1, 0]
    """

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int = 128,
        optimizer: Optimizer | None = None,
        loss: Loss | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        sample_weights: ArrayLike | None = None,
        class_weights: Mapping[int, float] | None = None,
        augment: Callable[[NDArray[Any], np.random.Generator], NDArray[Any]] | None = None,
        averaging: WeightAverage | None = None,
        shard_size: int | None = None,
        shuffle: bool = True,
        workers: Workers = 1,
        callbacks: Sequence[Callback] = (),
        resume: str | os.PathLike[str] | None = None,
        verbose: bool | int | None = None,
    ) -> History:
        """Train on samples.

        Args:
            x: inputs (N, …).
            y: class numbers (N,), one-hot (N, K), or whatever the loss expects.
            epochs: passes over all samples, at least 1.
            batch_size: samples to each step of the optimizer; the last batch of an epoch may be smaller.
            augment: changes the images at random each time that they are trained on: an augmentation such as
                ``handconv.augment.Shift(2)``, or any function (images, generator) -> images. The result is the same
                for any number of workers.
            averaging: an average of the parameters over the steps, such as ``ExponentialAverage()``, which validation
                and the trained model then use; running statistics are measured for it, on 5,000 samples at most.
            shard_size: samples that are computed together, over which ``BatchNorm`` takes its statistics; as many as
                suit the processor's cache, and at most half a batch, unless given. With larger shards, fewer workers
                find work.
            optimizer: ``Adam()`` if not given.
            loss: if not given, the cross-entropy that fits the last layer (see ``default_loss``).
            validation_split: the share of each class held back to measure val_loss and val_accuracy.
            validation_data: (x, y) to measure them on instead.
            sample_weights: one weight a sample, by which its loss is multiplied.
            class_weights: weights by class number; multiplied with those of the samples.
            shuffle: whether to take the samples in a new random order each epoch.
            workers: processes that share the work, or "auto" for one on each usable core; any number gives the same
                bits. A process that may not start others, one of ``multiprocessing.Pool`` say, does everything alone.
            callbacks: what watches the training, such as ``PrintProgress()`` or ``Checkpoint(path)``.
            resume: a checkpoint of the same run to go on from; epochs counts from its beginning.
            verbose: whether to show the progress: True prints a line an epoch anywhere, as ``PrintProgress()`` does,
                False nothing; unless given, lines and a bar are shown in a terminal (on stderr) or a notebook.

        Returns:
            The history: loss, data_loss, penalty, accuracy, learning_rate (the mean over the steps), train_seconds,
            images_per_second, and val_loss and val_accuracy (without penalties and weights) for each epoch. There is no
            accuracy where the targets name no classes.

        Raises:
            ValueError, TypeError: if arguments or arrays do not fit.
            DivergenceError: if the loss or a parameter becomes infinite or NaN.
            TrainingInterrupted: if a ``Checkpoint`` is among the callbacks and Ctrl-C or SIGTERM came; the run is
                saved.
            WorkerError: if a worker process dies.
            ModelFileError: if the checkpoint cannot be resumed.
            RuntimeError: if the model is being trained already, or a user-defined layer carries undeclared state from
                shard to shard, which worker processes or a resume would lose.
        """
        from handconv.objective import Objective
        from handconv.parallel.cpu import worker_count
        from handconv.samples import gathered_in_order, split
        from handconv.training.averaging import WeightAverage
        from handconv.training.callbacks import check_callbacks
        from handconv.training.checkpoint import saved_optimizer
        from handconv.training.loop import train
        from handconv.training.progress import with_progress
        from handconv.training.state import TrainingState

        epochs, batch_size = check_int("epochs", epochs), check_int("batch_size", batch_size)
        if validation_split and validation_data is not None:
            raise ValueError("Give validation_split or validation_data, not both.")
        loss = self._loss(loss)
        if optimizer is not None:
            check_optimizer(optimizer)
        check_callbacks(callbacks)
        if augment is not None and (isinstance(augment, type) or not callable(augment)):
            raise TypeError(
                f"augment must be a function (images, generator) -> images, got "
                f"{augment!r}. Several: handconv.augment.Compose([…])."
            )
        if averaging is not None and not isinstance(averaging, WeightAverage):
            raise TypeError(f"averaging must be an average such as handconv.ExponentialAverage(), got {averaging!r}.")
        with self.in_training():
            samples = self._samples(x, y, loss, sample_weights, class_weights)
            samples = dataclasses.replace(samples, x=gathered_in_order(samples.x), y=gathered_in_order(samples.y, "y"))
            Objective(self, loss)  # refuses what does not fit together
            validation = None
            if validation_data is not None:
                pair: object = validation_data
                if not isinstance(pair, tuple | list) or len(pair) != 2:
                    kind = f"{len(pair)} values" if isinstance(pair, tuple | list) else type(pair).__name__
                    raise TypeError(f"validation_data must be a pair (x, y), got {kind}. Put both in parentheses.")
                validation = self._samples(pair[0], pair[1], loss, name="validation data")
            elif validation_split:
                samples, validation = split(samples, validation_split, self.streams.generator(Purpose.SPLIT))
            run = TrainingState(
                network=self,
                loss=loss,
                optimizer=optimizer or (Adam() if resume is None else saved_optimizer(resume)),
                samples=samples,
                validation=validation,
                epochs=int(epochs),
                batch_size=min(int(batch_size), len(samples)),
                augment=augment,
                averaging=averaging,
                shard_size=None if shard_size is None else check_int("shard_size", shard_size),
                shuffle=check_bool("shuffle", shuffle),
                first_epoch=self.epochs_trained,
                workers=worker_count(workers),
            )
            return train(run, with_progress(callbacks, verbose), resume)

    def evaluate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        loss: Loss | None = None,
        batch_size: int | None = None,
        workers: Workers = 1,
    ) -> dict[str, float]:
        """Measure the mean data loss (without penalties) and the accuracy.

        Args:
            x: inputs (N, …); uint8 is divided by 255.
            y: targets, one for each sample.
            loss: the default loss unless given.
            batch_size: samples at a time; as many as keep the largest output in the cache unless given.
            workers: as in ``predict``.

        Returns:
            {"loss": …, "accuracy": …}; no accuracy where the targets name no classes

        Raises:
            ValueError, TypeError: if an argument, or the samples, do not fit.
            RuntimeError: if a user-defined layer or loss carries state, which several processes would lose.
        """
        from handconv.evaluation import evaluate
        from handconv.objective import Objective
        from handconv.parallel.cpu import worker_count
        from handconv.training.hidden_state import check_answers
        from handconv.training.own_losses import check_loss_state, check_shares

        with self.in_use("evaluate"):
            loss = self._loss(loss)
            samples = self._samples(x, y, loss)
            batch_size = None if batch_size is None else check_int("batch_size", batch_size)
            objective, processes = Objective(self, loss), worker_count(workers)
            check_shares(self, loss, samples)
            if processes > 1:
                check_loss_state(self, loss, samples)
                check_answers(self, samples.x)
            return evaluate(self, objective, samples, batch_size, processes)

    def predict(self, x: ArrayLike, *, batch_size: int | None = None, workers: Workers = 1) -> FloatArray:
        """Compute the outputs, batch by batch: for a classifier that ends in Softmax, probabilities (N, K).

        Args:
            x: inputs (N, …); uint8 is divided by 255.
            batch_size: samples at a time; as many as keep the largest output in the cache unless given.
            workers: how many processes share the batches ("auto": one on each usable core); any number gives the same
                bits. They are forked for this call alone, which thousands of images repay. Where that is not safe (not
                on Linux, beside other threads, without threadpoolctl), this process does everything.

        Raises:
            ValueError, TypeError: if an argument, or the samples, do not fit.
            RuntimeError: if a user-defined layer carries state, which several processes would lose.
        """
        from handconv.evaluation import predict
        from handconv.parallel.cpu import worker_count
        from handconv.samples import checked_inputs

        with self.in_use("predict"):
            inputs = checked_inputs(x, self.input_shape, self.dtype)
            batch_size = None if batch_size is None else check_int("batch_size", batch_size)
            self.ensure_built(inputs.shape[1:])
            processes = worker_count(workers)
            if processes > 1:
                from handconv.training.hidden_state import check_answers

                check_answers(self, inputs)
            return predict(self, inputs, batch_size, processes)

    def __call__(self, x: ArrayLike, training: bool = False) -> FloatArray:
        """The same as ``forward``."""
        return self.forward(x, training)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Never:
        """Say what this package has instead of a method that others have."""
        if "_layers" not in self.__dict__ and not name.startswith("__"):
            raise AttributeError(
                f"{type(self).__name__} has no layers yet. Its __init__ must call super().__init__([layer, …])."
            )
        remedy = _ELSEWHERE.get(name, "")
        raise AttributeError(f"{type(self).__name__} has no {name!r}.{' ' if remedy else ''}{remedy}")

    def default_loss(self) -> Loss:
        """The cross-entropy that fits the last layer.

        Binary cross-entropy after a Sigmoid; cross-entropy of probabilities after a user-defined layer whose outputs
        sum to 1; else cross-entropy of scores, which is also used after this package's Softmax: both are then computed
        together.
        """
        kind = probabilities_of(self.layers[-1])
        if kind is Sigmoid:
            return BinaryCrossentropy()
        own = kind is Softmax and not self.ends_in_softmax
        return CategoricalCrossentropy() if own else SoftmaxCategoricalCrossentropy()

    def summary(self) -> Summary:
        """Describe the layers: shapes, parameters, multiply-adds, memory; and the steps that really run.

        Raises:
            ValueError: if the input shape is not known yet.
        """
        from handconv.summary import summarize

        if not self.built:
            raise ValueError("summary needs the input shape: give input_shape=… or call build(shape) first.")
        return summarize(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write layers and parameters to a .npz file; a file of this name is replaced only by a whole one.

        Args:
            path: the file's name, ending in .npz.

        Raises:
            ValueError: if the file name does not end in .npz, or the model cannot be described in a file.
        """
        from handconv.serialization import npz
        from handconv.serialization.description import check_comes_back, check_suffix, describe

        if not self.built:
            raise ValueError("save needs parameters: give input_shape=… or call build(shape) first.")
        check_suffix(path)
        try:
            check_comes_back(self)
            npz.save(path, self.named_parameters() | self.named_buffers(), describe(self))
        except (TypeError, AttributeError) as error:
            raise ValueError(f"The model cannot be saved: {error}") from error

    def _loss(self, loss: object) -> Loss:
        """The loss given, or the default."""
        return self.default_loss() if loss is None else check_loss(loss)

    def _samples(
        self,
        x: ArrayLike,
        y: ArrayLike,
        loss: Loss,
        sample_weights: ArrayLike | None = None,
        class_weights: Mapping[int, float] | None = None,
        *,
        name: str = "x",
    ) -> Samples:
        """Check inputs and targets against the network and each other."""
        from handconv.samples import Samples, checked_inputs, checked_weights, remark_on_targets

        if class_weights is not None and not isinstance(class_weights, Mapping):
            raise TypeError(f"class_weights maps class numbers to weights, as in {{3: 2.0}}, got {class_weights!r}.")
        inputs = checked_inputs(x, self.input_shape, self.dtype, name=name)
        self.ensure_built(inputs.shape[1:])
        targets = checked_targets(loss, y, (len(inputs), *self.output_shape))
        if targets.dtype.kind == "f":
            check_range("y", targets.min(), targets.max(), self.dtype)
        remark_on_targets(inputs, targets)
        outputs = self.output_shape[0] if len(self.output_shape) == 1 else 0
        return Samples(inputs, targets, checked_weights(len(inputs), targets, sample_weights, class_weights, outputs))


#: What people who come from elsewhere call, and what stands in its place.
_ELSEWHERE = {
    "compile": "Give optimizer=… and loss=… to fit.",
    "add": "A network is made of a list of layers, Sequential([layer, …]), and does not change afterwards.",
    "pop": "A network does not change: model[:-1] shows all layers but the last; a new one takes layer.copy() of each.",
    "train": "Use fit(x, y); forward(x, training=True) runs the layers as in training.",
    "eval": "Use predict or evaluate, which run the layers as out of training.",
    "score": "Use evaluate(x, y).",
    "predict_proba": "Use predict(x): after a Softmax these are probabilities.",
    "predict_classes": "Use predict(x).argmax(axis=1).",
    "save_weights": "Use save(path).",
    "load_weights": "Use handconv.load(path).",
    "state_dict": "Use named_parameters() and named_buffers().",
    "get_weights": "Use named_parameters().",
    "set_weights": "Use model.parameters[...] = vector, or layer.set_parameters(weights=…).",
    "get_layer": "Use model.layers[k].",
}


def load(path: str | os.PathLike[str], *, layers: Mapping[str, type[Layer]] | None = None) -> Sequential:
    """Read a model that ``Sequential.save`` wrote.

    Args:
        path: the file.
        layers: classes of your own by name, if the model has any.

    Raises:
        FileNotFoundError: if there is no such file.
        ModelFileError: if the file is no model, is damaged, or has layers that are not known.

    Example:
        >>> import tempfile, pathlib, handconv as hc
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.npz"
        >>> hc.Sequential([hc.Dense(2)], input_shape=(3,), seed=0).save(path)
        >>> hc.load(path).layers
        (Dense(2),)
    """
    from handconv.serialization import npz
    from handconv.serialization.description import check_suffix, rebuild

    check_suffix(path)
    asked: object = layers
    given = list(asked.values()) if isinstance(asked, Mapping) else [] if asked is None else [asked]
    wrong = [each for each in given if not (isinstance(each, type) and issubclass(each, Layer))]
    if wrong:
        raise TypeError(f"layers maps names to classes of layers, as in {{'Mine': Mine}}, got {wrong[0]!r}.")
    arrays, description = npz.load(path)
    return rebuild(Sequential, description, arrays, path, layers)
