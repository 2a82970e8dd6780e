"""The whole job as a skilled Python user writes it with OpenVINO: Pillow in a pool of threads, the
network asynchronous with the throughput hint, scikit-learn, pyarrow.

    peer_openvino.py INPUT OUTPUT --models FOLDER [--threads N]
"""

import collections
import itertools
from concurrent.futures import ThreadPoolExecutor

import job
import numpy as np
import openvino as ov


def make_engine(models, threads):
    model = ov.Core().compile_model(
        models / "mobilenet_v2.xml",
        "CPU",
        {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
        },
    )
    # Lives as long as the process: its destructor holds the interpreter's lock while it waits for
    # the last callback, which needs that lock, and now and then both wait for ever.
    requests = ov.AsyncInferQueue(model)

    def extract(paths, out):
        good = np.ones(len(paths), bool)

        def store(request, work):
            row, _ = work
            out[row] = request.get_output_tensor().data[0]

        requests.set_callback(store)
        with ThreadPoolExecutor(threads) as pool:
            # Enough pictures ahead to keep the network busy, few enough to keep memory small.
            rest = iter(paths)
            ahead = collections.deque(
                pool.submit(job.load, path) for path in itertools.islice(rest, 8 * threads)
            )
            row = 0
            while ahead:
                picture = ahead.popleft().result()
                for path in itertools.islice(rest, 1):
                    ahead.append(pool.submit(job.load, path))
                if picture is None:
                    good[row] = False
                else:
                    # Not copied: the second part of `work` keeps the picture alive.
                    requests.start_async({0: picture}, (row, picture), share_inputs=True)
                row += 1
            requests.wait_all()
        return good

    return extract


if __name__ == "__main__":
    job.main(make_engine, f"OpenVINO {ov.__version__}")
