"""Running statistics for averaged parameters, measured anew.

While a network trains, BatchNorm and similar layers keep running statistics of their inputs, under the parameters of
these steps. Under the average of the parameters their inputs differ, above all if the learning rate stays high: with
the statistics of the last steps, the averaged network can be worse than any of the networks that it averages.
"""

import copy
import math

import numpy as np

from handconv.arrays import FloatArray
from handconv.engine.program import Program
from handconv.evaluation import inference_batch
from handconv.layers import BatchNorm
from handconv.network import Network
from handconv.parallel import blas_threads
from handconv.rng import Purpose
from handconv.samples import GatherOp, Samples

_SAMPLES = 5_000  # more make hardly a difference (docs/recipes.md)


def measured_buffers(trained: Network, samples: Samples, parameters: FloatArray) -> FloatArray:
    """The buffers of a network as they fit other parameters: the mean over shards of what each leaves in training.

    The shards are drawn from the training samples, 5,000 at most, without augmentation, as later inputs are not
    augmented either. A ``BatchNorm`` leaves exactly the statistics of the shard. A user-defined layer may update its
    buffers by another rule, so that a first round over the shards serves to forget the old values.

    Args:
        trained: the network, which is left as it is.
        samples: those of the training.
        parameters: to measure under.

    References:
        Izmailov, Podoprikhin, Garipov, Vetrov and Wilson, Averaging weights leads to wider optima, 2018, section 3.2;
        Wu and Johnson, Rethinking "batch" in BatchNorm, 2021, section 3.
    """
    is_mean = trained.store.means
    if not is_mean.any():
        return trained.buffers.copy()
    network = copy.deepcopy(trained)
    network.parameters = parameters
    buffered = {view.layer for view in network.store.buffered}
    for layer in buffered:
        if type(layer) is BatchNorm:
            layer.momentum = 0.0
    generator = network.streams.generator(Purpose.STATISTICS)
    program = Program(network.layers, network.dtype, gradients={}, generator=generator, engine=network.engine)
    scope = program.memory.scope()
    chosen = generator.permutation(len(samples))[:_SAMPLES]
    shards = np.array_split(chosen, math.ceil(len(chosen) / inference_batch(network)))
    total = np.zeros(network.buffers.size)
    rounds = 1 if all(type(layer) is BatchNorm for layer in buffered) else 2
    with blas_threads.one_thread():
        for _ in range(rounds):
            total[...] = 0
            for shard in shards:
                x, *_ = GatherOp(samples, shard, network.dtype, scope).forward()
                program.forward(x, training=True)
                total += network.buffers * (len(shard) / len(chosen))
    return np.where(is_mean, total, trained.buffers).astype(network.dtype)
