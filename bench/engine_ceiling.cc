// How many images a second the network alone allows: what the whole job is measured against.
//
//   engine     the Engine as the pipeline uses it: T threads, each with a worker and a picture
//   openvino   OpenVINO's own best on the same network (--ir): asynchronous, T streams
//
// Prints a line for each: name, a tab, the median over the repeats in images/s. Their repeats take
// turns, so that a change of the machine's speed meets both.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <openvino/openvino.hpp>

#include "pomona/engine.h"
#include "pomona/weights.h"

namespace pomona {
namespace {

std::vector<uint8_t> MakePicture(uint32_t seed) {
  std::vector<uint8_t> picture(kPictureBytes);
  for (uint8_t& byte : picture) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<uint8_t>(seed >> 24);
  }
  return picture;
}

template <typename Work>
double Rate(int images, const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return images / elapsed.count();
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// The pipeline's way: one image after another on each thread.
class EngineLoad {
 public:
  static arrow::Result<EngineLoad> Make(const Weights& weights, int threads) {
    EngineLoad load;
    ARROW_ASSIGN_OR_RAISE(load.engine_, MakeOpenVinoEngine(weights, threads));
    for (int i = 0; i < threads; ++i) {
      ARROW_ASSIGN_OR_RAISE(auto worker, load.engine_->NewWorker());
      load.workers_.push_back(std::move(worker));
    }
    return load;
  }

  arrow::Status Infer(int images) {
    const int count = static_cast<int>(workers_.size());
    std::vector<arrow::Status> statuses(count);
    std::vector<std::thread> threads;
    for (int t = 0; t < count; ++t) {
      threads.emplace_back([&, t] {
        const std::vector<uint8_t> picture = MakePicture(t);
        std::vector<float> features(engine_->features());
        for (int i = t; i < images && statuses[t].ok(); i += count) {
          statuses[t] = workers_[t]->Infer(picture, features);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const arrow::Status& status : statuses) ARROW_RETURN_NOT_OK(status);
    return arrow::Status::OK();
  }

 private:
  std::unique_ptr<Engine> engine_;
  std::vector<std::unique_ptr<EngineWorker>> workers_;
};

// OpenVINO's way: the library's own streams, always with a request waiting.
class OpenVinoLoad {
 public:
  OpenVinoLoad(const std::string& ir, int threads) {
    ov::Core core;
    const auto model = core.read_model(ir);
    network_ = core.compile_model(model, "CPU",
                                  ov::hint::performance_mode(ov::hint::PerformanceMode::THROUGHPUT),
                                  ov::hint::inference_precision(ov::element::f32),
                                  ov::num_streams(threads), ov::inference_num_threads(threads));
    for (int i = 0; i < 2 * threads; ++i) {
      requests_.push_back(network_.create_infer_request());
      const std::vector<uint8_t> picture = MakePicture(i);
      std::copy(picture.begin(), picture.end(),
                requests_.back().get_input_tensor().data<uint8_t>());
    }
  }

  void Infer(int images) {
    const int count = static_cast<int>(requests_.size());
    for (int i = 0; i < images; ++i) {
      ov::InferRequest& request = requests_[i % count];
      if (i >= count) request.wait();
      request.start_async();
    }
    for (int i = 0; i < std::min(images, count); ++i) requests_[i].wait();
  }

 private:
  ov::CompiledModel network_;
  std::vector<ov::InferRequest> requests_;
};

struct Options {
  std::string weights;
  std::string ir;
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  int images = 1000;
  int repeats = 5;
};

arrow::Status Measure(Options options) {
  if (options.weights.empty()) {
    ARROW_ASSIGN_OR_RAISE(options.weights, FindDefaultWeights());
  }
  ARROW_ASSIGN_OR_RAISE(const auto weights, Weights::Open(options.weights));
  ARROW_ASSIGN_OR_RAISE(EngineLoad engine, EngineLoad::Make(*weights, options.threads));
  std::unique_ptr<OpenVinoLoad> openvino;
  if (!options.ir.empty()) openvino = std::make_unique<OpenVinoLoad>(options.ir, options.threads);

  const int warm_up = 10 * options.threads;
  ARROW_RETURN_NOT_OK(engine.Infer(warm_up));
  if (openvino) openvino->Infer(warm_up);
  std::vector<double> engine_rates, openvino_rates;
  for (int i = 0; i < options.repeats; ++i) {
    arrow::Status status;
    engine_rates.push_back(Rate(options.images, [&] { status = engine.Infer(options.images); }));
    ARROW_RETURN_NOT_OK(status);
    if (openvino) {
      openvino_rates.push_back(Rate(options.images, [&] { openvino->Infer(options.images); }));
    }
  }
  std::printf("engine\t%.1f\n", Median(engine_rates));
  if (openvino) std::printf("openvino\t%.1f\n", Median(openvino_rates));
  return arrow::Status::OK();
}

}  // namespace
}  // namespace pomona

int main(int argc, char** argv) {
  pomona::Options options;
  CLI::App app("Images per second of the network alone");
  app.add_option("--weights", options.weights, "Safetensors file; default: as `pomona run`");
  app.add_option("--ir", options.ir, "mobilenet_v2.xml made by peers/make_models.py");
  app.add_option("--threads", options.threads)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--images", options.images, "In each repeat")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--repeats", options.repeats)->check(CLI::PositiveNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    const arrow::Status status = pomona::Measure(options);
    if (status.ok()) return EXIT_SUCCESS;
    std::cerr << "engine_ceiling: " << status.message() << '\n';
  } catch (const std::exception& error) {  // OpenVINO's
    std::cerr << "engine_ceiling: " << error.what() << '\n';
  }
  return EXIT_FAILURE;
}
