#include "s3/connection.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "fake_server.h"
#include "temp_folder.h"

namespace pomona {
namespace {

using Heads = std::vector<std::string>;

class ConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION",
                             "AWS_DEFAULT_REGION", "http_proxy", "HTTP_PROXY"}) {
      unsetenv(name);
    }
    setenv("AWS_ACCESS_KEY_ID", "me", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  }

  // To a bucket of the server.
  static std::unique_ptr<S3Connection> To(const FakeServer& server) {
    S3Options options;
    options.endpoint = server.url();
    return *S3Connection::Open("s3://bucket/", options, {});
  }

  static std::string Error(const std::string& code, const std::string& message = "") {
    return "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>";
  }
};

TEST_F(ConnectionTest, WaitsForCredentialsThatAreGoneForAMoment) {
  const TempFolder folder;
  const auto write_key = [&](const std::string& id) {
    folder.Write("credentials",
                 "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = s\n");
  };
  write_key("one");
  unsetenv("AWS_ACCESS_KEY_ID");
  setenv("AWS_SHARED_CREDENTIALS_FILE", (folder / "credentials").c_str(), 1);
  setenv("AWS_CONFIG_FILE", (folder / "config").c_str(), 1);
  setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  Heads heads;
  const FakeServer server([&](const std::string& head) -> FakeAnswer {
    heads.push_back(head);
    if (heads.size() > 1) return {200, "all of it"};
    folder.Write("credentials", "");
    return {400, Error("ExpiredToken")};
  });
  const auto connection = To(server);
  std::atomic<bool> ended = false;
  std::thread writer([&] {
    while (!ended && !connection->Transfers(0, 0, 0, 0).retries) std::this_thread::yield();
    write_key("two");
  });
  std::vector<uint8_t> bytes;
  const auto got = connection->Get("key", 0, -1, &bytes);
  ended = true;
  writer.join();
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_NE(heads[1].find("Credential=two/"), std::string::npos) << heads[1];
}

}  // namespace
}  // namespace pomona
