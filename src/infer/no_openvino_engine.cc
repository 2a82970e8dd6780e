#include "pomona/engine.h"

namespace pomona {

arrow::Result<std::unique_ptr<Engine>> MakeOpenVinoEngine(const Weights&, int) {
  return arrow::Status::NotImplemented("this build has no OpenVINO; use --engine native");
}

}  // namespace pomona
