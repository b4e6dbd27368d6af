"""PyTorch to 99 % on MNIST, from the start of the process: network, schedule and epochs of handconv's recipe "fast".

    python -m benchmarks.rivals.torch_fast --seed 0 --data FILE.npz --epochs 4 --batch-size 128 --peak 0.01 --warmup 0.3

The data comes unpacked from one file, quicker than handconv's own way to it.
"""

import argparse
import json
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
    for name, kind in (("seed", int), ("epochs", int), ("batch-size", int), ("peak", float), ("warmup", float)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    settings = parser.parse_args()
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    torch.manual_seed(settings.seed)

    with np.load(settings.data) as data:
        train, test = (torch.from_numpy(data[name]).float().div_(255) for name in ("x_train", "x_test"))
        y_train, y_test = (torch.from_numpy(data[name]) for name in ("y_train", "y_test"))
    data_order = train.permute(0, 2, 3, 1).contiguous()
    model = network(NETWORKS["reference"]).to(memory_format=torch.channels_last)
    optimizer = adam(model, NETWORKS["reference"])
    size, steps = settings.batch_size, settings.epochs * -(-len(train) // settings.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.peak, total_steps=steps, pct_start=settings.warmup, cycle_momentum=False
    )
    for _ in range(settings.epochs):
        for chosen in torch.randperm(len(train)).split(size):
            batch = data_order.index_select(0, chosen).permute(0, 3, 1, 2)
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(batch), y_train.index_select(0, chosen)).backward()
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
