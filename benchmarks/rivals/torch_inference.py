"""PyTorch, inference. Modes: "eager", "channels_last", "frozen", "compile", also "…, one thread" or "…, shared out".

Shared out are the batches, among Python threads that compute with one thread each.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.rivals.protocol import Channel, Job, compete
from benchmarks.rivals.torch_rival import network


def main(job: Job, channel: Channel) -> None:
    """Get ready, then answer; for each mode the probabilities are computed, softmax included."""
    import torch
    from torch import nn

    mode, _, threads = job.mode.partition(", ")
    torch.set_num_threads(1 if threads else job.cores)
    torch.manual_seed(0)
    images, _ = job.images()
    x = torch.from_numpy(images)
    model = nn.Sequential(*network(job.net), nn.Softmax(dim=1)).eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    if mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    size = 1 if job.kind == "latency" else job.batch_size

    with torch.inference_mode(), ThreadPoolExecutor(job.cores) as pool:
        answer: Any = model
        if mode == "frozen":
            answer = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x[:size])))
        elif mode == "compile":
            answer = torch.compile(model, dynamic=False)

        def answer_all(x: Any) -> None:
            with torch.inference_mode():  # which holds for one thread
                for part in x.split(size):
                    answer(part)

        def everything() -> None:
            list(pool.map(answer_all, x.chunk(job.cores if threads == "shared out" else 1)))

        everything()
        facts = {"version": torch.__version__, "parameters": count}
        if job.kind == "latency":
            channel.run_alone(lambda sample: answer(x[sample : sample + 1]), **facts)
        else:
            channel.run(everything, **facts)


if __name__ == "__main__":
    compete(main)
