"""Converts Pomona's weights, once, to the files that the peers load: OpenVINO IR and ONNX.

    make_models.py WEIGHTS.safetensors FOLDER

Writes FOLDER/mobilenet_v2.xml (.bin) and FOLDER/mobilenet_v2.onnx. As after any good converter,
batch normalisation is folded into the convolutions and the input is the picture as decoded,
224 x 224 x 3 bytes: scaling and layout are part of the graph. One picture at a time with a fixed
shape is what both engines run fastest on a CPU (larger batches fall out of its caches).
"""

import argparse
import pathlib

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13 as op
from safetensors.numpy import load_file

EPSILON = 1e-3
# expansion, channels, blocks, stride of the first
STAGES = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def layers():
    """(convolution, norm, depthwise, stride, relu6, residual) in the order in which they run."""
    yield "Conv1", "bn_Conv1", False, 2, True, False
    block, channels = 0, 32
    for expansion, out, blocks, first_stride in STAGES:
        for i in range(blocks):
            stride = first_stride if i == 0 else 1
            name = f"block_{block}" if block else "expanded_conv"
            if expansion > 1:
                yield f"{name}_expand", f"{name}_expand_BN", False, 1, True, False
            yield f"{name}_depthwise", f"{name}_depthwise_BN", True, stride, True, False
            residual = stride == 1 and channels == out
            yield f"{name}_project", f"{name}_project_BN", False, 1, False, residual
            block, channels = block + 1, out
    yield "Conv_1", "Conv_1_bn", False, 1, True, False


def folded(weights, conv, norm, depthwise):
    """Kernel (OIHW; C1HW where depthwise) and bias with the batch normalisation in them."""
    kernel = weights[f"{conv}/depthwise_kernel" if depthwise else f"{conv}/kernel"]
    gamma, beta, mean, variance = (
        weights[f"{norm}/{name}"].astype(np.float64)
        for name in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + EPSILON)
    kernel = kernel.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)).astype(np.float64)
    kernel = kernel * scale.reshape(-1, 1, 1, 1)
    return kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)


def padding(kernel, stride):
    """Before and after, for both height and width, as Keras pads."""
    if kernel.shape[-1] == 1:
        return 0, 0
    return (1, 1) if stride == 1 else (0, 1)


def openvino_model(weights):
    picture = op.parameter([1, 224, 224, 3], np.uint8, name="picture")
    x = op.convert(picture, "f32")
    x = op.subtract(op.divide(x, np.float32(127.5)), np.float32(1))
    x = op.transpose(x, np.array([0, 3, 1, 2]))
    shortcut = x
    for conv, norm, depthwise, stride, relu6, residual in layers():
        kernel, bias = folded(weights, conv, norm, depthwise)
        begin, end = padding(kernel, stride)
        args = [stride] * 2, [begin] * 2, [end] * 2, [1, 1]
        if depthwise:
            x = op.group_convolution(x, kernel[:, None], *args)
        else:
            x = op.convolution(x, kernel, *args)
        x = op.add(x, bias.reshape(1, -1, 1, 1))
        if relu6:
            x = op.clamp(x, 0.0, 6.0)
        if residual:
            x = op.add(x, shortcut)
        if not relu6:
            shortcut = x
    features = op.reduce_mean(x, np.array([2, 3]), keep_dims=False)
    return ov.Model([features], [picture], "mobilenet_v2")


def onnx_model(weights):
    nodes: list = []
    constants: list = []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(kind, inputs, **attributes):
        output = f"{kind}_{len(nodes)}"
        nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    x = node("Cast", ["picture"], to=TensorProto.FLOAT)
    x = node("Div", [x, constant("half_range", np.float32(127.5))])
    x = node("Sub", [x, constant("one", np.float32(1))])
    x = node("Transpose", [x], perm=[0, 3, 1, 2])
    bounds = [constant("zero", np.float32(0)), constant("six", np.float32(6))]
    shortcut = x
    for conv, norm, depthwise, stride, relu6, residual in layers():
        kernel, bias = folded(weights, conv, norm, depthwise)
        begin, end = padding(kernel, stride)
        x = node(
            "Conv",
            [x, constant(f"{conv}.kernel", kernel), constant(f"{conv}.bias", bias)],
            strides=[stride] * 2,
            pads=[begin] * 2 + [end] * 2,
            group=kernel.shape[0] if depthwise else 1,
        )
        if relu6:
            x = node("Clip", [x, *bounds])
        if residual:
            x = node("Add", [x, shortcut])
        if not relu6:
            shortcut = x
    x = node("GlobalAveragePool", [x])
    nodes.append(helper.make_node("Flatten", [x], ["features"]))
    graph = helper.make_graph(
        nodes,
        "mobilenet_v2",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, 224, 224, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 1280])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args()
    weights = load_file(args.weights)
    args.folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(openvino_model(weights), args.folder / "mobilenet_v2.xml", compress_to_fp16=False)
    onnx.save(onnx_model(weights), args.folder / "mobilenet_v2.onnx")


if __name__ == "__main__":
    main()
