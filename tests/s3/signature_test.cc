// The values are those of AWS' documentation: "Signature Calculations for the Authorization Header",
// examples in the reference of S3's interface.
#include "s3/signature.h"

#include <gtest/gtest.h>

#include "s3/answers.h"

namespace pomona {
namespace {

const Credentials kExample = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                              "", std::chrono::system_clock::time_point::max()};
const HttpServer kBucket = {true, "examplebucket.s3.amazonaws.com", 443};

std::string SignatureOf(HttpRequest request) {
  const std::chrono::nanoseconds time(*ParseIsoTime("2013-05-24T00:00:00Z"));
  Sign(kExample, "us-east-1", "s3",
       std::chrono::system_clock::time_point(
           std::chrono::duration_cast<std::chrono::system_clock::duration>(time)),
       kBucket, &request);
  const std::string& authorization = request.headers.back().second;
  EXPECT_TRUE(
      authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/"
                                "us-east-1/s3/aws4_request, SignedHeaders="));
  return authorization.substr(authorization.rfind('=') + 1);
}

TEST(Signature, OfAnObject) {
  HttpRequest request;
  request.target = "/test.txt";
  request.headers = {{"range", "bytes=0-9"}};
  EXPECT_EQ(SignatureOf(request),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

TEST(Signature, OfAnUpload) {
  const std::string text = "Welcome to Amazon S3.";
  HttpRequest request;
  request.method = "PUT";
  request.target = '/' + UrlEncode("test$file.text", /*keep_slashes=*/true);
  request.headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                     {"x-amz-storage-class", "REDUCED_REDUNDANCY"}};
  request.body = {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  EXPECT_EQ(SignatureOf(request),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(Signature, OfQueries) {
  HttpRequest request;
  request.target = "/?lifecycle=";
  EXPECT_EQ(SignatureOf(request),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  request.target = "/?max-keys=2&prefix=J";
  EXPECT_EQ(SignatureOf(request),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(UrlEncode, KeepsWhatIsUnreserved) {
  EXPECT_EQ(UrlEncode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(UrlEncode("a b/ä+%*", /*keep_slashes=*/true), "a%20b/%C3%A4%2B%25%2A");
  EXPECT_EQ(UrlEncode("/"), "%2F");
}

}  // namespace
}  // namespace pomona
