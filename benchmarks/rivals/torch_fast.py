"""PyTorch to 99 % on MNIST, from the start of the process: network, schedule and epochs of handconv's recipe "fast".

The referee passes the settings of the recipe (see ``benchmarks.rows.fast``). The data comes
unpacked from one file, quicker than handconv's own way to it.
"""

import argparse
import dataclasses
import json
import math
import os

import numpy as np
import torch
from torch.nn import functional

from benchmarks.rivals.protocol import NETWORKS
from benchmarks.rivals.torch_rival import adam, network


def main() -> None:
    """Read, train, test, and print the accuracy."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    for name in ("seed", "epochs", "batch-size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("peak", "warmup", "start-divisor", "final-divisor", "dropout", "l2", "label-smoothing"):
        parser.add_argument(f"--{name}", type=float, required=True)
    settings = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    torch.manual_seed(settings.seed)

    with np.load(settings.data) as data:
        train, test = (torch.from_numpy(data[name]).float().div_(255) for name in ("x_train", "x_test"))
        y_train, y_test = (torch.from_numpy(data[name]) for name in ("y_train", "y_test"))
    data_order = train.permute(0, 2, 3, 1).contiguous()
    net = dataclasses.replace(NETWORKS["reference"], dropout=settings.dropout, l2=settings.l2)
    model = network(net).to(memory_format=torch.channels_last)
    optimizer = adam(model, net, settings.peak)
    size, steps = settings.batch_size, settings.epochs * -(-len(train) // settings.batch_size)

    def rate(step: int) -> float:
        """The same one-cycle schedule: up in a straight line, down along a half cosine."""
        done, up = step / steps, settings.warmup
        if done < up:
            return float(1 / settings.start_divisor + (1 - 1 / settings.start_divisor) * done / up)
        last = 1 / settings.final_divisor
        return float(last + (1 - last) * (1 + math.cos(math.pi * (done - up) / (1 - up))) / 2)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    for _ in range(settings.epochs):
        for chosen in torch.randperm(len(train)).split(size):
            batch = data_order.index_select(0, chosen).permute(0, 3, 1, 2)
            optimizer.zero_grad(set_to_none=True)
            truth = y_train.index_select(0, chosen)
            functional.cross_entropy(model(batch), truth, label_smoothing=settings.label_smoothing).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.inference_mode():
        hits = sum(
            int((model(x).argmax(1) == y).sum().item()) for x, y in zip(test.split(500), y_test.split(500), strict=True)
        )
    print(json.dumps({"test_accuracy": hits / len(test)}))


if __name__ == "__main__":
    main()
