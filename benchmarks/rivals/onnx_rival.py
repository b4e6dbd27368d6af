"""ONNX Runtime, inference: the same network as an ONNX graph. Modes: "", "one thread"."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rivals.protocol import Channel, Job, Network, compete


def graph(net: Network, parameter: Callable[[tuple[int, ...]], NDArray[np.float32]]) -> Any:
    """The network as an ONNX model, its parameters as ``parameter`` gives them for their shapes, layer by layer."""
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    weights, last = [], "x"

    def add(kind: str, *shapes: tuple[int, ...], **attributes: Any) -> None:
        nonlocal last
        names = [f"{len(nodes)}.{place}" for place in range(len(shapes))]
        for name, shape in zip(names, shapes, strict=True):
            weights.append(numpy_helper.from_array(parameter(shape), name))
        nodes.append(helper.make_node(kind, [last, *names], [f"y{len(nodes)}"], **attributes))
        last = f"y{len(nodes) - 1}"

    channels = net.shape[0]
    for block in net.blocks:
        for filters in block:
            add("Conv", (filters, channels, 3, 3), (filters,), kernel_shape=[3, 3], pads=[net.padding] * 4)
            add("LeakyRelu", alpha=net.slope)
            channels = filters
        add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
    add("Flatten")
    add("Gemm", (net.features, net.hidden), (net.hidden,))
    add("LeakyRelu", alpha=net.slope)
    add("Gemm", (net.hidden, net.classes), (net.classes,))
    add("Softmax", axis=1)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *net.shape])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, ["N", net.classes])
    whole = helper.make_graph(nodes, "network", [x], [y], weights)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main(job: Job, channel: Channel) -> None:
    """Get ready, then answer."""
    import onnxruntime
    from onnx import numpy_helper

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if job.mode == "one thread" else job.cores
    random = np.random.default_rng(0)
    model = graph(job.net, lambda shape: random.normal(0, 0.05, shape).astype(np.float32))
    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    images, _ = job.images()
    size = 1 if job.kind == "latency" else job.batch_size

    def answer(start: int) -> None:
        session.run(None, {"x": images[start : start + size]})

    def everything() -> None:
        for start in range(0, job.samples, size):
            answer(start)

    everything()
    count = sum(numpy_helper.to_array(value).size for value in model.graph.initializer)
    facts = {"version": onnxruntime.__version__, "parameters": count}
    if job.kind == "latency":
        channel.run_alone(answer, **facts)
    else:
        channel.run(everything, **facts)


if __name__ == "__main__":
    compete(main)
