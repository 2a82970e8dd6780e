#include "s3/credentials.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "temp_folder.h"

namespace pomona {
namespace {

class CredentialsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
          "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
          "AWS_CONTAINER_CREDENTIALS_FULL_URI"}) {
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

  const TempFolder folder_;
  HttpClient client_;
  CredentialsChain chain_{&client_};
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
  chain_.Renew(first);  // looks at once
  EXPECT_EQ(chain_.Get()->key_id, "two");
}

}  // namespace
}  // namespace pomona
