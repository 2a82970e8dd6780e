// The native engine behind the Engine seam.
#include <algorithm>

#include "infer/count_pictures.h"
#include "infer/native/network.h"

namespace pomona {
namespace {

using native::Network;

class NativeWorker final : public EngineWorker {
 public:
  NativeWorker(std::shared_ptr<const Network> network, native::Scratch scratch)
      : network_(std::move(network)), scratch_(std::move(scratch)) {}

  arrow::Status Infer(std::span<const uint8_t> pictures, std::span<float> features) override {
    const size_t width = static_cast<size_t>(network_->features());
    ARROW_ASSIGN_OR_RAISE(const size_t n, CountPictures(pictures, features, width));
    for (size_t i = 0; i < n; ++i) {
      network_->Run(&pictures[i * kPictureBytes], scratch_, &features[i * width]);
    }
    return arrow::Status::OK();
  }

 private:
  std::shared_ptr<const Network> network_;
  native::Scratch scratch_;
};

class NativeEngine final : public Engine {
 public:
  NativeEngine(std::shared_ptr<const Network> network, const Preprocessing& preprocessing)
      : network_(std::move(network)), preprocessing_(preprocessing) {}

  // Without the instruction set, on which results do not depend.
  std::string_view name() const override { return "native"; }
  int features() const override { return network_->features(); }
  const Preprocessing& preprocessing() const override { return preprocessing_; }
  arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() override {
    ARROW_ASSIGN_OR_RAISE(native::Scratch scratch, network_->NewScratch());
    return std::make_unique<NativeWorker>(network_, std::move(scratch));
  }
  bool outlives_fork() const override { return true; }

 private:
  std::shared_ptr<const Network> network_;
  const Preprocessing preprocessing_;
};

}  // namespace

arrow::Result<std::unique_ptr<Engine>> MakeNativeEngine(const Weights& weights, Cpu cpu) {
  const native::Kernels* kernels = native::KernelsFor(cpu);
  if (kernels == nullptr) {
    return arrow::Status::NotImplemented("this machine lacks the vector instructions asked for");
  }
  ARROW_ASSIGN_OR_RAISE(
      auto network, Network::Make(weights.Fold(), kInputSize, *kernels, weights.preprocessing()));
  return std::make_unique<NativeEngine>(std::move(network), weights.preprocessing());
}

}  // namespace pomona
