// How many images a second the network alone allows: what the whole job is measured against.
//
//   native          the engine as the pipeline uses it: T threads, each with a worker and a picture
//   openvino        the same with --engine openvino
//   openvino-async  OpenVINO's own best on the same network (--ir): asynchronous, T streams
//
// Prints a line for each: name, a tab, the median over the repeats in images/s. Their repeats take
// turns, so that a change of the machine's speed meets all.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <CLI/CLI.hpp>
#include <openvino/openvino.hpp>

#include "pomona/engine.h"
#include "pomona/options.h"
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
  static arrow::Result<EngineLoad> Make(EngineKind kind, const Weights& weights, int threads) {
    EngineLoad load;
    ARROW_ASSIGN_OR_RAISE(load.engine_, kind == EngineKind::kNative
                                            ? MakeNativeEngine(weights)
                                            : MakeOpenVinoEngine(weights, threads));
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
  std::vector<std::string> engines = {"native"};
  std::string ir;
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  int images = 1000;
  int repeats = 5;
};

struct Load {
  std::string name;
  std::function<arrow::Status(int images)> infer;
  std::vector<double> rates;
};

arrow::Status Measure(Options options) {
  if (options.weights.empty()) {
    ARROW_ASSIGN_OR_RAISE(options.weights, FindDefaultWeights());
  }
  ARROW_ASSIGN_OR_RAISE(const auto weights, Weights::Open(options.weights));
  std::vector<Load> loads;
  for (const std::string& name : options.engines) {
    ARROW_ASSIGN_OR_RAISE(const EngineKind kind, ParseEngine(name));
    ARROW_ASSIGN_OR_RAISE(EngineLoad made, EngineLoad::Make(kind, *weights, options.threads));
    const auto load = std::make_shared<EngineLoad>(std::move(made));
    loads.push_back({name, [load](int images) { return load->Infer(images); }, {}});
  }
  if (!options.ir.empty()) {
    const auto load = std::make_shared<OpenVinoLoad>(options.ir, options.threads);
    loads.push_back({"openvino-async",
                     [load](int images) {
                       load->Infer(images);
                       return arrow::Status::OK();
                     },
                     {}});
  }

  for (Load& load : loads) ARROW_RETURN_NOT_OK(load.infer(10 * options.threads));  // warms up
  for (int i = 0; i < options.repeats; ++i) {
    for (Load& load : loads) {
      arrow::Status status;
      load.rates.push_back(Rate(options.images, [&] { status = load.infer(options.images); }));
      ARROW_RETURN_NOT_OK(status);
    }
  }
  for (const Load& load : loads) std::printf("%s\t%.1f\n", load.name.c_str(), Median(load.rates));
  return arrow::Status::OK();
}

}  // namespace
}  // namespace pomona

int main(int argc, char** argv) {
  pomona::Options options;
  CLI::App app("Images per second of the network alone");
  app.add_option("--weights", options.weights, "Safetensors file; default: as `pomona run`");
  app.add_option("--engines", options.engines, "native, openvino")->delimiter(',');
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
