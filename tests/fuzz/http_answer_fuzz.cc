// Answers of a server: whatever it sends, in whatever pieces, a reader takes the same answers from it.
#include <algorithm>
#include <vector>

#include "expect.h"
#include "s3/http.h"

using namespace pomona;

namespace {

std::vector<HttpAnswer> AnswersOf(std::span<const uint8_t> sent, size_t at_once) {
  AnswerReader reader([&](std::span<uint8_t> bytes) -> arrow::Result<size_t> {
    const size_t size = std::min({at_once, bytes.size(), sent.size()});
    std::ranges::copy(sent.first(size), bytes.begin());
    sent = sent.subspan(size);
    return size;
  });
  std::vector<HttpAnswer> answers;
  for (;;) {
    auto answer = reader.Read(/*head_only=*/false, 100'000);
    if (!answer.ok()) {
      EXPECT(HttpFailureOf(answer.status()));
      return answers;
    }
    EXPECT(answer->body.size() <= 100'000);
    answers.push_back(*std::move(answer));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto whole = AnswersOf({data + 1, size - 1}, size);
  const auto pieces = AnswersOf({data + 1, size - 1}, 1 + data[0] % 16);
  EXPECT(whole.size() == pieces.size());
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT(whole[i].status == pieces[i].status && whole[i].headers == pieces[i].headers &&
           whole[i].body == pieces[i].body);
  }
  return 0;
}
