"""The gradient of a batch, as a sum over shards.

A batch is cut into shards of a fixed number of samples, so few that their activations stay in the processor's cache. Each shard's
gradient is computed by itself, with its own random stream; shard k is added to lane k mod ``LANES``, and the lanes are added up
in order. None of this depends on who computes a shard, so the sum has the same bits however many processes share the
work.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from handconv.kernels.memory import FloatArray, ReusedMemory
from handconv.losses import Loss
from handconv.metrics import correct
from handconv.network import Network
from handconv.streams import Purpose
from handconv.training.samples import Samples

LANES = 8
_CACHE = 1_500_000  # bytes that the largest output of a shard may take


def shard_size(network: Network) -> int:
    """Samples in a shard: as many as keep the largest output in the cache, a power of two from 8 to 64."""
    largest = max(math.prod(layer.output_shape or (1,)) for layer in network.layers) * network.dtype.itemsize
    fitting = max(1, _CACHE // largest)
    return min(64, max(8, 1 << (fitting.bit_length() - 1)))


class Engine:
    """Computes losses and gradients of shards for one process."""

    def __init__(self, network: Network, loss: Loss, samples: Samples, *, logits: bool, lanes: FloatArray) -> None:
        self.network, self.loss, self.samples, self.logits = network, loss, samples, logits
        self.shard = shard_size(network)
        self.lanes = lanes
        self._extra = np.empty(lanes.shape[1], lanes.dtype)
        self.workspace = ReusedMemory()

    def lane_of(self, shard: int) -> int:
        """The lane that a shard is added to."""
        return shard % len(self.lanes)

    def run(self, batch: NDArray[np.intp], shards: Iterable[int], place: tuple[int, int], totals: FloatArray) -> None:
        """Compute some shards of a batch: their gradients into the lanes, loss and hits into ``totals`` (lanes, 2).

        Args:
            batch: the indices of all samples of the batch.
            shards: the numbers of the shards to compute, in order; all shards of a lane, or none.
            place: epoch and step, which with the number of a shard name its random stream.
            totals: loss (its share of the mean over the batch) and number of correct answers of each lane.
        """
        filled = [False] * len(self.lanes)
        for shard in shards:
            lane = self.lane_of(shard)
            gradients = self._extra if filled[lane] else self.lanes[lane]
            loss, hits = self._shard(batch[shard * self.shard : (shard + 1) * self.shard], len(batch), (*place, shard), gradients)
            if filled[lane]:
                self.lanes[lane] += gradients
                totals[lane] += loss, hits
            else:
                totals[lane] = loss, hits
            filled[lane] = True

    def _shard(
        self, indices: NDArray[np.intp], batch_size: int, place: tuple[int, ...], gradients: FloatArray
    ) -> tuple[float, int]:
        network = self.network
        network.bind(network.parameters, gradients)
        network.set_generator(network.streams.generator(Purpose.DROPOUT, *place))
        x, y, weights = self.samples.take(indices, network.dtype, self.workspace)
        outputs = network.forward(x, True, logits=self.logits)
        loss = self.loss.forward(outputs, y, weights, batch_size=batch_size)
        hits = correct(outputs, y)
        network.backward(self.loss.backward(), logits=self.logits, skip_dinputs=True)
        return loss, hits
