"""PyTorch, inference. Modes: "eager", "channels_last", "frozen", "compile", also "…, one thread"."""

from typing import Any

from benchmarks.rivals.protocol import Job, Turns, compete
from benchmarks.rivals.torch_rival import network


def main(job: Job, turns: Turns) -> None:
    """Get ready, then answer; for each mode the probabilities are computed, softmax included."""
    import torch
    from torch import nn

    torch.set_num_threads(1 if job.mode.endswith("one thread") else job.cores)
    torch.manual_seed(0)
    images, _ = job.images()
    x = torch.from_numpy(images)
    model = nn.Sequential(*network(job.net), nn.Softmax(dim=1)).eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    if job.mode == "channels_last":
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    size = 1 if job.kind == "latency" else job.batch_size

    with torch.inference_mode():
        answer: Any = model
        if job.mode.startswith("frozen"):
            answer = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x[:size])))
        elif job.mode.startswith("compile"):
            answer = torch.compile(model, dynamic=False)

        def everything() -> None:
            for part in x.split(size):
                answer(part)

        everything()
        facts = {"version": torch.__version__, "parameters": count}
        if job.kind == "latency":
            turns.run_alone(lambda sample: answer(x[sample : sample + 1]), **facts)
        else:
            turns.run(everything, **facts)


if __name__ == "__main__":
    compete(main)
