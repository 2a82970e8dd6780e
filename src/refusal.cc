#include "refusal.h"

#include <memory>

namespace pomona {
namespace {

constexpr const char* kTypeId = "pomona::RunRefusal";

class RefusalDetail : public arrow::StatusDetail {
 public:
  explicit RefusalDetail(RunRefusal refusal) : refusal_(refusal) {}
  const char* type_id() const override { return kTypeId; }
  std::string ToString() const override {
    return refusal_ == RunRefusal::kOutputBusy ? "output busy" : "too many rejects";
  }
  RunRefusal refusal() const { return refusal_; }

 private:
  RunRefusal refusal_;
};

}  // namespace

arrow::Status Refuse(RunRefusal refusal, const std::string& message) {
  return {arrow::StatusCode::Cancelled, message, std::make_shared<RefusalDetail>(refusal)};
}

std::optional<RunRefusal> RefusalOf(const arrow::Status& status) {
  const auto& detail = status.detail();
  if (!detail || std::string_view(detail->type_id()) != kTypeId) return std::nullopt;
  return static_cast<const RefusalDetail&>(*detail).refusal();
}

}  // namespace pomona
