"""handconv: ``fit`` with a worker on each core, and the modes "predict", "infer", "predict, shared out" for inference.

In the mode "not fused", ``fit`` has an op for each layer; in "affine" and "elastic" it augments the images.

``--against`` runs this file with older versions of handconv too: it uses only what is public in all of them.
"""

from collections.abc import Mapping
from typing import Any

import handconv as hc
from benchmarks.rivals.protocol import Channel, Job, Network, ResidualNetwork, compete


def layers(net: Network) -> list[hc.Layer]:
    """The layers of a job's network."""

    def activation() -> hc.Layer:
        return hc.LeakyReLU(net.slope) if net.slope else hc.ReLU()

    found: list[hc.Layer] = []
    for block in net.blocks:
        for filters in block:
            found += [hc.Conv2D(filters, 3, padding=net.padding), activation()]
        found.append(hc.MaxPool2D(2))
    hidden = [hc.Dense(net.hidden, l2=net.l2), activation(), hc.Dropout(net.dropout)]
    return [*found, hc.Flatten(), *hidden, hc.Dense(net.classes), hc.Softmax()]


def network(net: Network | ResidualNetwork, *, fuse: bool = True) -> hc.Sequential:
    """The network of a job."""
    if isinstance(net, ResidualNetwork):
        made: hc.Sequential = getattr(hc.zoo, net.name)(seed=0)
        return made
    return hc.Sequential(layers(net), input_shape=net.shape, seed=0, fuse=fuse)


class Repeat(hc.Callback):
    """Makes one epoch of ``fit`` a repetition: between epochs, with the workers alive, it waits for the next order."""

    def __init__(self, channel: Channel, **facts: Any) -> None:
        self.channel, self.facts = channel, facts

    def on_epoch_end(self, run: object, figures: Mapping[str, float]) -> bool:
        """Report the time of the steps alone; the first epoch was the warm-up."""
        if figures["epoch"] == 1:
            self.channel.say(ready=True, **self.facts)
        else:
            self.channel.say(seconds=figures["train_seconds"], loss=figures["loss"])
        return not self.channel.wait()


def augmentation(mode: str) -> dict[str, Any]:
    """The augmentation of a mode as an argument of ``fit``, of the sizes that suit digits."""
    if mode not in ("affine", "elastic"):
        return {}
    affine = hc.augment.Affine(shift=2, rotate=10, scale=0.1, shear=5)
    return {"augment": affine if mode == "affine" else hc.augment.Compose([affine, hc.augment.Elastic()])}


def main(job: Job, channel: Channel) -> None:
    """Get ready, then repeat."""
    model = network(job.residual or job.net, fuse=job.mode != "not fused")
    facts = {"version": hc.__version__, "parameters": int(model.parameters.size)}
    if job.kind == "train":
        x, y = job.pixels()
        repeat = Repeat(channel, **facts)
        options = augmentation(job.mode)
        model.fit(x, y, epochs=1 << 20, batch_size=job.batch_size, workers=job.cores, callbacks=[repeat], **options)
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
        channel.run_alone(answer, **facts)
    else:
        channel.run(everything, **facts)


if __name__ == "__main__":
    compete(main)
