#include "s3/credentials.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <future>

#include "fake_server.h"
#include "s3/signature.h"
#include "temp_folder.h"

namespace pomona {
namespace {

class CredentialsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
          "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
          "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http_proxy", "HTTP_PROXY"}) {
      unsetenv(name);
    }
    setenv("AWS_SHARED_CREDENTIALS_FILE", (folder_ / "credentials").c_str(), 1);
    setenv("AWS_CONFIG_FILE", (folder_ / "config").c_str(), 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
  }

  void WriteKey(const std::string& id) const {
    folder_.Write("credentials",
                  "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = s\n");
  }

  // As a container gives them.
  FakeAnswer Given(const std::string& id, std::chrono::seconds left) const {
    const std::string end = AmzDate(now_ + left);  // 20130524T000000Z
    const std::string iso = end.substr(0, 4) + '-' + end.substr(4, 2) + '-' + end.substr(6, 5) +
                            ':' + end.substr(11, 2) + ':' + end.substr(13);
    return {200,
            R"({"AccessKeyId":")" + id + R"(","SecretAccessKey":"s","Expiration":")" + iso + "\"}"};
  }

  const TempFolder folder_;
  HttpClient client_;
  std::chrono::system_clock::time_point now_ = std::chrono::system_clock::now();
  CredentialsChain chain_{&client_, [this] { return now_; }};
};

TEST_F(CredentialsTest, AreNobodysWhereThereNeverWereAny) {
  EXPECT_EQ(chain_.Get()->key_id, "");
  EXPECT_FALSE(chain_.given());
}

// A file that is being written anew is empty for a moment.
TEST_F(CredentialsTest, AreNeverNobodysOnceThereWereSome) {
  WriteKey("one");
  const Credentials first = *chain_.Get();
  EXPECT_EQ(first.key_id, "one");
  folder_.Write("credentials", "");
  EXPECT_TRUE(chain_.Renew(first));
  const arrow::Status gone = chain_.Get().status();
  EXPECT_EQ(gone.message(), "no credentials were given: what gave them gives none any more");
  EXPECT_TRUE(chain_.given());
  WriteKey("two");
  EXPECT_FALSE(chain_.Get().ok());
  now_ += std::chrono::seconds(2);
  EXPECT_EQ(chain_.Get()->key_id, "two");
}

TEST_F(CredentialsTest, AreNotLookedForAgainWithEachRequest) {
  int asked = 0;
  const FakeServer server([&](const std::string&) {
    ++asked;
    return Given("key" + std::to_string(asked), std::chrono::minutes(asked < 3 ? 4 : 60));
  });
  setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url().c_str(), 1);
  for (const char* key : {"key1", "key2", "key3", "key3"}) {
    EXPECT_EQ(chain_.Get()->key_id, key);
    EXPECT_EQ(chain_.Get()->key_id, key);
    now_ += std::chrono::seconds(40);
  }
}

TEST_F(CredentialsTest, ServeWhileOneThreadLooksForNewOnes) {
  int asked = 0;
  std::promise<void> looks, found;
  const FakeServer server([&](const std::string&) {
    if (++asked == 2) {
      looks.set_value();
      found.get_future().wait();
    }
    return Given(asked == 1 ? "old" : "new", std::chrono::minutes(4));
  });
  setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url().c_str(), 1);
  EXPECT_EQ(chain_.Get()->key_id, "old");
  now_ += std::chrono::seconds(40);
  auto renewal = std::async(std::launch::async, [&] { return chain_.Get(); });
  looks.get_future().wait();
  EXPECT_EQ(chain_.Get()->key_id, "old");
  EXPECT_EQ(renewal.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  found.set_value();
  EXPECT_EQ(renewal.get()->key_id, "new");
}

}  // namespace
}  // namespace pomona
