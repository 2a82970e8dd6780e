#include "s3/sso_token.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "json.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// The names of sessions are those of the tests, as what was refreshed is kept for the process; AWS' tools
// name the file of a token by the SHA-1 of that.
class SsoTokenTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("AWS_ENDPOINT_URL_SSO_OIDC");
    setenv("HOME", folder_.path().c_str(), 1);
    setenv("AWS_CONFIG_FILE", (folder_ / "config").c_str(), 1);
    folder_.Write("config", "[sso-session " + name_ + "]\nsso_region = eu-west-1\n");
  }

  // `file`: below the folder; where the token lies that has expired.
  void LogIn(const std::string& file) const {
    folder_.Write(file, R"({"accessToken":"old","expiresAt":"2020-01-01T00:00:00Z","clientId":"c",)"
                        R"("clientSecret":"s","registrationExpiresAt":"2100-01-01T00:00:00Z",)"
                        R"("refreshToken":")" +
                            name_ + R"(","more":"that is kept"})" + std::string(500, ' '));
  }

  arrow::Result<SsoToken> Get(int status) {
    return GetSsoToken({{"sso_session", name_}}, [&](const HttpUrl& url, HttpRequest) {
      EXPECT_EQ(url.server.Url() + url.target, "https://oidc.eu-west-1.amazonaws.com/token");
      ++asked_;
      if (during_) during_();
      HttpAnswer answer;
      answer.status = status;
      const std::string_view text = status == 200 ? R"({"accessToken":"fresh","expiresIn":3600})"
                                                  : R"({"error":"invalid_grant"})";
      answer.body.assign(text.begin(), text.end());
      return arrow::Result<HttpAnswer>(std::move(answer));
    });
  }

  const TempFolder folder_;
  const std::string name_ = testing::UnitTest::GetInstance()->current_test_info()->name();
  std::function<void()> during_;
  int asked_ = 0;
};

TEST_F(SsoTokenTest, GoesThroughALink) {
  const std::string file = ".aws/sso/cache/de2cca22b2245a283b6d811e496a67601e147d6e.json";
  LogIn("elsewhere");
  fs::create_directories(folder_ / ".aws/sso/cache");
  fs::create_symlink(folder_ / "elsewhere", folder_ / file);
  EXPECT_EQ(Get(200)->token, "fresh");
  EXPECT_TRUE(fs::is_symlink(folder_ / file));
  const std::string stored = ReadFile(folder_ / "elsewhere");
  EXPECT_NE(stored.find("fresh"), std::string::npos) << stored;
  EXPECT_NE(stored.find("that is kept"), std::string::npos) << stored;
  EXPECT_TRUE(ParseJson(stored).is_object()) << "nothing of the longer text is left: " << stored;
  EXPECT_EQ(Get(200)->token, "fresh");
  EXPECT_EQ(asked_, 1);
}

TEST_F(SsoTokenTest, ServesWhereItCannotBeStored) {
  const std::string file = ".aws/sso/cache/726a31551a605d2c4041233332ffb3354394a4bf.json";
  LogIn(file);
  during_ = [&] {  // a file that may not be written, to root, too
    fs::remove(folder_ / file);
    fs::create_directory(folder_ / file);
  };
  EXPECT_EQ(Get(200)->token, "fresh");
  EXPECT_EQ(Get(200)->token, "fresh");
  EXPECT_EQ(asked_, 1);
}

TEST_F(SsoTokenTest, WaitsAfterARefusal) {
  const std::string file = ".aws/sso/cache/af74a915fc30c80ae7f9dbe92383c3a6033bb915.json";
  LogIn(file);
  for (int i = 0; i < 2; ++i) {
    const arrow::Status refused = Get(400).status();
    EXPECT_NE(refused.message().find("HTTP status 400 invalid_grant"), std::string::npos)
        << refused;
  }
  EXPECT_EQ(asked_, 1);
}

}  // namespace
}  // namespace pomona
