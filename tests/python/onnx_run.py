"""onnx_run.py MODEL FEATURES OUT: checks an ONNX model as strictly as onnx can, and runs it."""

import sys

import numpy
import onnx
import onnxruntime


def main(model, features, out):
    loaded = onnx.load(model)
    onnx.checker.check_model(loaded, full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    assert (source.name, source.type, source.shape[0]) == ("features", "tensor(float)", "N")
    assert (result.name, result.type, result.shape[0]) == ("pca_features", "tensor(float)", "N")
    numpy.save(out, session.run(None, {"features": numpy.load(features)})[0])
    print({entry.key: entry.value for entry in loaded.metadata_props})


if __name__ == "__main__":
    main(*sys.argv[1:])
