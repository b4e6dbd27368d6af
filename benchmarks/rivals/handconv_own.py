"""handconv: ``fit`` with a worker on each core; for inference the modes "predict", "infer", "predict, shared out"."""

from collections.abc import Mapping
from typing import Any

import handconv as hc
from benchmarks.rivals.protocol import ForkSafeRLock, Job, Network, compete


def network(net: Network, *, fuse: bool = True) -> hc.Sequential:
    """The network of a job."""

    def activation() -> hc.Layer:
        return hc.LeakyReLU(net.slope) if net.slope else hc.ReLU()

    layers: list[hc.Layer] = []
    for block in net.blocks:
        for filters in block:
            layers += [hc.Conv2D(filters, 3, padding=net.padding), activation()]
        layers.append(hc.MaxPool2D(2))
    hidden = [hc.Dense(net.hidden, l2=net.l2), activation(), hc.Dropout(net.dropout)]
    layers += [hc.Flatten(), *hidden, hc.Dense(net.classes), hc.Softmax()]
    return hc.Sequential(layers, input_shape=net.shape, seed=0, fuse=fuse)


class Repeat(hc.Callback):
    """Makes one epoch of ``fit`` a repetition: between epochs, with the workers alive, it waits for the next order."""

    def __init__(self, turns: ForkSafeRLock, **facts: Any) -> None:
        self.turns, self.facts = turns, facts

    def on_epoch_end(self, run: object, figures: Mapping[str, float]) -> bool:
        """Report the time of the steps alone; the first epoch was the warm-up."""
        if figures["epoch"] == 1:
            self.turns.say(ready=True, **self.facts)
        else:
            self.turns.say(seconds=figures["train_seconds"], loss=figures["loss"])
        return not self.turns.wait()


def main(job: Job, turns: ForkSafeRLock) -> None:
    """Get ready, then repeat."""
    model = network(job.net)
    facts = {"version": hc.__version__, "parameters": int(model.parameters.size)}
    if job.kind == "train":
        x, y = job.pixels()
        repeat = Repeat(turns, **facts)
        model.fit(x, y, epochs=1 << 20, batch_size=job.batch_size, workers=job.cores, callbacks=[repeat])
        return
    images, _ = job.images()
    size = 1 if job.kind == "latency" else job.batch_size

    def answer(start: int) -> None:
        part = images[start : start + size]
        model.infer(part) if job.mode == "infer" else model.predict(part)

    def everything() -> None:
        if job.mode == "predict, shared out":
            model.predict(images, batch_size=size, workers=job.cores)
            return
        for start in range(0, job.samples, size):
            answer(start)

    everything()
    if job.kind == "latency":
        turns.run_alone(answer, **facts)
    else:
        turns.run(everything, **facts)


if __name__ == "__main__":
    compete(main)
