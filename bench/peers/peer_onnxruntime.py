"""The whole job as a skilled Python user writes it with ONNX Runtime: each thread of a pool takes a
picture from Pillow through the network, which is faster here than a pool inside the operators.

    peer_onnxruntime.py INPUT OUTPUT --models FOLDER [--threads N]
"""

from concurrent.futures import ThreadPoolExecutor

import job
import numpy as np
import onnxruntime as ort


def make_engine(models, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(
        models / "mobilenet_v2.onnx", options, providers=["CPUExecutionProvider"]
    )

    def extract(paths, out):
        good = np.ones(len(paths), bool)

        def one(row):
            picture = job.load(paths[row])
            if picture is None:
                good[row] = False
            else:
                out[row] = session.run(None, {"picture": picture})[0][0]

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(one, range(len(paths))))  # raises what a thread raised
        return good

    return extract


if __name__ == "__main__":
    job.main(make_engine, f"ONNX Runtime {ort.__version__}")
