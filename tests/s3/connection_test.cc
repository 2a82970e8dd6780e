#include "s3/connection.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <optional>
#include <thread>

#include "fake_server.h"
#include "temp_folder.h"

namespace pomona {
namespace {

using Heads = std::vector<std::string>;

class ConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name :
         {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_DEFAULT_PROFILE",
          "AWS_REGION", "AWS_DEFAULT_REGION", "http_proxy", "HTTP_PROXY"}) {
      unsetenv(name);
    }
    setenv("AWS_SHARED_CREDENTIALS_FILE", (folder_ / "credentials").c_str(), 1);
    setenv("AWS_CONFIG_FILE", (folder_ / "config").c_str(), 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    WriteKey("one");
  }

  void WriteKey(const std::string& id) const {
    folder_.Write("credentials",
                  "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = s\n");
  }

  // To a bucket of the server.
  static std::unique_ptr<S3Connection> To(const FakeServer& server, CancelToken cancel = {}) {
    S3Options options;
    options.endpoint = server.url();
    return *S3Connection::Open("s3://bucket/", options, cancel);
  }

  static std::string Error(const std::string& code, const std::string& message = "") {
    return "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>";
  }

  const TempFolder folder_;
};

TEST_F(ConnectionTest, WaitsForCredentialsThatAreGoneForAMoment) {
  Heads heads;
  const FakeServer server([&](const std::string& head) -> FakeAnswer {
    heads.push_back(head);
    if (heads.size() > 1) return {200, "all of it"};
    folder_.Write("credentials", "");
    return {400, Error("ExpiredToken")};
  });
  const auto connection = To(server);
  std::atomic<bool> ended = false;
  std::thread writer([&] {
    while (!ended && !connection->Transfers(0, 0, 0, 0).retries) std::this_thread::yield();
    WriteKey("two");
  });
  std::vector<uint8_t> bytes;
  const auto got = connection->Get("key", 0, -1, &bytes);
  ended = true;
  writer.join();
  ASSERT_TRUE(got.ok()) << got.status();
  ASSERT_EQ(heads.size(), 2u);
  EXPECT_NE(heads[1].find("Credential=two/"), std::string::npos) << heads[1];
}

// The answer to a HEAD says no code.
TEST_F(ConnectionTest, SetsRightWhatAHeadIsRefusedFor) {
  const std::string region = "<Region>eu-west-3</Region>";
  for (const FakeAnswer& refusal :
       {FakeAnswer{400, Error("ExpiredToken")},
        FakeAnswer{403, Error("RequestTimeTooSkewed"), "date: Sat, 28 Nov 2026 16:30:14 GMT\r\n"},
        FakeAnswer{301, Error("PermanentRedirect", region)},
        FakeAnswer{400, Error("AuthorizationHeaderMalformed", region)}}) {
    SCOPED_TRACE(refusal.body);
    Heads heads;
    const FakeServer server([&](const std::string& head) -> FakeAnswer {
      heads.push_back(head);
      return heads.size() < 3 ? refusal : FakeAnswer{200, "all of it"};
    });
    const auto object = To(server)->Head("key");
    ASSERT_TRUE(object.ok()) << object.status();
    EXPECT_EQ(object->size, 9);
    std::string verbs;
    for (const std::string& head : heads) verbs += head.substr(0, head.find(' ')) + ' ';
    EXPECT_EQ(verbs, "HEAD GET GET HEAD ");
  }
}

TEST_F(ConnectionTest, SaysWhyAHeadIsRefused) {
  const FakeServer server(
      [](const std::string&) { return FakeAnswer{403, Error("AccessDenied")}; });
  const arrow::Status refused = To(server)->Head("key").status();
  ASSERT_TRUE(S3Failure::Of(refused)) << refused;
  EXPECT_EQ(S3Failure::Of(refused)->code, "AccessDenied");
}

// An ingress or a firewall in front of the store.
TEST_F(ConnectionTest, TakesNoOthersWordForS3s) {
  for (const int status : {403, 404}) {
    SCOPED_TRACE(status);
    int asked = 0;
    std::atomic<bool> cancelled = false;
    const FakeServer server([&](const std::string&) -> FakeAnswer {
      if (++asked == 3) cancelled = true;
      return {status, "<html><body>default backend</body></html>"};
    });
    const auto connection = To(server, &cancelled);
    std::vector<uint8_t> bytes;
    const arrow::Status failed = connection->Get("key", 0, -1, &bytes).status();
    EXPECT_EQ(asked, 3);
    EXPECT_FALSE(RejectOf(failed));
    EXPECT_FALSE(IsNoSuchKey(failed));
    EXPECT_EQ(connection->Explain("cannot read", "s3://bucket/key", failed).message(),
              "cannot read s3://bucket/key: it is not S3 that answers: HTTP status " +
                  std::to_string(status) + " without a code of S3's");
  }
}

TEST_F(ConnectionTest, RejectsWhatIsTheObjectsOwn) {
  const std::string customers_key =
      "The object was stored using a form of Server Side Encryption. The correct parameters must "
      "be "
      "provided to retrieve the object.";
  const auto reason = [](int status, const std::string& error) -> std::optional<Reason> {
    const FakeServer server([&](const std::string&) { return FakeAnswer{status, error}; });
    std::vector<uint8_t> bytes;
    const auto reject = RejectOf(To(server)->Get("key", 0, -1, &bytes).status());
    return reject ? std::optional(reject->reason) : std::nullopt;
  };
  EXPECT_EQ(reason(404, Error("NoSuchKey")), Reason::kMissing);
  EXPECT_EQ(reason(403, Error("AccessDenied")), Reason::kForbidden);
  EXPECT_EQ(reason(400, Error("KMS.DisabledException")), Reason::kForbidden);
  EXPECT_EQ(reason(403, Error("InvalidObjectState")), Reason::kUnreadable);
  EXPECT_EQ(reason(400, Error("InvalidRequest", customers_key)), Reason::kUnreadable);
  EXPECT_EQ(reason(400, Error("InvalidRequest", "something else")), std::nullopt);
  EXPECT_EQ(reason(404, Error("NoSuchBucket")), std::nullopt);
}

// The digest of no bytes, as RFC 1321 gives it, in base64.
TEST_F(ConnectionTest, SendsTheMd5ThatObjectLockAsksFor) {
  Heads heads;
  const FakeServer server([&](const std::string& head) -> FakeAnswer {
    heads.push_back(head);
    if (head.find("\r\ncontent-md5: 1B2M2Y8AsgTpgAmY7PhCfg==\r\n") != head.npos) return {};
    return {400, Error("InvalidRequest", "Content-MD5 OR x-amz-checksum- is required")};
  });
  const auto connection = To(server);
  EXPECT_TRUE(connection->Put("key", {}).ok());
  EXPECT_EQ(heads.size(), 2u);
  EXPECT_TRUE(connection->PutPart("key", "upload", 1, {}).ok());
  EXPECT_TRUE(connection->Put("other", {}).ok());
  ASSERT_EQ(heads.size(), 4u) << "it knows by now";
  EXPECT_NE(heads[3].find("content-md5;host;"), std::string::npos) << "and signs it";
  EXPECT_EQ(connection->Transfers(0, 0, 0, 0).retries, 0);
}

TEST_F(ConnectionTest, SendsAnMd5InVainOnce) {
  int asked = 0;
  const FakeServer server([&](const std::string&) -> FakeAnswer {
    ++asked;
    return {400, Error("InvalidRequest", "Content-MD5 is not what it should be")};
  });
  const arrow::Status refused = To(server)->Put("key", {}).status();
  EXPECT_EQ(asked, 2);
  EXPECT_NE(refused.message().find("Content-MD5 is not"), std::string::npos) << refused;
}

TEST_F(ConnectionTest, AsksAgainWhereTheKeysServiceIsBusy) {
  int asked = 0;
  const FakeServer server([&](const std::string&) -> FakeAnswer {
    if (++asked == 1) return {400, Error("KMS.ThrottlingException")};
    return {200, "all of it"};
  });
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(To(server)->Get("key", 0, -1, &bytes).ok());
}

}  // namespace
}  // namespace pomona
