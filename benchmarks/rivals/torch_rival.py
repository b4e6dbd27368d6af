"""PyTorch, training, with fused Adam. Modes: "eager", "channels_last", "compile"; "bfloat16" (and channels_last)."""

import shutil
import time
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.rivals.protocol import Channel, Job, Network, compete
from benchmarks.rivals.torch_residual import residual_network


def network(net: Network) -> Any:
    """The layers, activations in place."""
    from torch import nn

    def activation() -> Any:
        return nn.LeakyReLU(net.slope, inplace=True) if net.slope else nn.ReLU(inplace=True)

    layers: list[Any] = []
    channels = net.shape[0]
    for block in net.blocks:
        for before, after in pairwise((channels, *block)):
            layers += [nn.Conv2d(before, after, 3, padding=net.padding), activation()]
        layers.append(nn.MaxPool2d(2))
        channels = block[-1]
    hidden = [nn.Linear(net.features, net.hidden), activation(), nn.Dropout(net.dropout)]
    return nn.Sequential(*layers, nn.Flatten(), *hidden, nn.Linear(net.hidden, net.classes))


def adam(model: Any, net: Network | None, rate: float = 1e-3) -> Any:
    """Fused Adam; weight_decay 2·l2 on the hidden weights adds the very gradient of the penalty l2·sum w²."""
    import torch

    if net is None:
        return torch.optim.Adam(model.parameters(), lr=rate, eps=1e-7, fused=True)
    decayed = model[-4].weight
    others = [parameter for parameter in model.parameters() if parameter is not decayed]
    groups = [{"params": others}, {"params": [decayed], "weight_decay": 2 * net.l2}]
    return torch.optim.Adam(groups, lr=rate, eps=1e-7, fused=True)


def main(job: Job, channel: Channel) -> None:
    """Get ready, then repeat passes over the data, which lies in memory in the order that the mode likes."""
    import torch
    from torch.nn import functional

    if job.mode == "compile" and not any(map(shutil.which, ("g++", "c++", "clang++"))):
        raise ImportError("torch.compile needs a C++ compiler")
    torch.set_num_threads(job.cores)
    torch.manual_seed(0)
    channels_last = job.mode in ("channels_last", "bfloat16")
    model = network(job.net) if job.residual is None else residual_network(job.residual)
    model = model.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    optimizer, random = adam(model, None if job.residual else job.net), np.random.default_rng(0)
    x, y = map(torch.from_numpy, job.images())
    data = x.permute(0, 2, 3, 1).contiguous() if channels_last else x

    def forward(x: Any, y: Any) -> Any:
        return functional.cross_entropy(model(x), y)

    wraps = {"compile": lambda f: torch.compile(f, dynamic=False), "bfloat16": torch.autocast("cpu", torch.bfloat16)}
    loss_of = wraps.get(job.mode, lambda f: f)(forward)

    def train(steps: int | None = None) -> float:
        loss = torch.zeros(())
        for chosen in torch.from_numpy(job.batches(random))[:steps]:
            batch = data.index_select(0, chosen)
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(batch.permute(0, 3, 1, 2) if channels_last else batch, y.index_select(0, chosen))
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    start = time.perf_counter()
    train(1)
    first = time.perf_counter() - start
    train(20)
    count = sum(parameter.numel() for parameter in model.parameters())
    channel.run(train, version=torch.__version__, first_step_seconds=first, parameters=count)


if __name__ == "__main__":
    compete(main)
