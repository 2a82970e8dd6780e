#include "s3/http.h"

#include <gtest/gtest.h>

namespace pomona {
namespace {

// Brings a text, some bytes a call.
AnswerReader::Receive Bringing(std::string text, size_t at_once) {
  return [text = std::move(text), at_once,
          at = size_t{0}](std::span<uint8_t> bytes) mutable -> arrow::Result<size_t> {
    const size_t size = std::min({at_once, bytes.size(), text.size() - at});
    std::copy_n(text.begin() + static_cast<ptrdiff_t>(at), size, bytes.begin());
    at += size;
    return size;
  };
}

arrow::Result<HttpAnswer> Read(const std::string& text, bool head_only = false) {
  return AnswerReader(Bringing(text, 1000)).Read(head_only, 100'000);
}

TEST(AnswerReader, ReadsAnswersInAnyPieces) {
  const std::string large(50'000, 'x');
  const std::string text =
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"a\"\r\nX-Empty:\r\n\r\nHello"
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nTransfer-Encoding: Chunked\r\n\r\n"
      "3;x=y\r\nabc\r\n00A\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n"
      "HTTP/1.1 206 Partial Content\r\ncontent-length:50000\r\n\r\n" +
      large + "HTTP/1.1 204 No Content\r\n\r\n";
  for (const size_t at_once : {1, 2, 3, 7, 1000, 100'000}) {
    AnswerReader reader(Bringing(text, at_once));
    const auto first = reader.Read(false, 5);
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(first->status, 200);
    EXPECT_EQ(first->text(), "Hello");
    EXPECT_EQ(first->Header("etag"), "\"a\"");
    EXPECT_EQ(first->Header("x-empty"), "");
    const auto second = reader.Read(false, 13);
    ASSERT_TRUE(second.ok()) << second.status();
    EXPECT_EQ(second->status, 404);
    EXPECT_EQ(second->text(), "abc0123456789");
    const auto third = reader.Read(false, 50'000);
    ASSERT_TRUE(third.ok()) << third.status();
    EXPECT_EQ(third->text(), large);
    const auto last = reader.Read(false, 0);
    ASSERT_TRUE(last.ok()) << last.status();
    EXPECT_EQ(last->status, 204);
    EXPECT_TRUE(reader.reusable());
  }
}

TEST(AnswerReader, AHeadHasNoBody) {
  EXPECT_EQ(Read("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true)->text(), "");
}

TEST(AnswerReader, TheEndMayEndTheBody) {
  AnswerReader reader(Bringing("HTTP/1.0 200 OK\r\n\r\nall of it", 4));
  EXPECT_EQ(reader.Read(false, 100)->text(), "all of it");
  EXPECT_FALSE(reader.reusable());
}

TEST(AnswerReader, IsNotReusableAfterMoreThanTheAnswer) {
  for (const char* text : {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n12",
                           "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"}) {
    AnswerReader reader(Bringing(text, 1000));
    ASSERT_TRUE(reader.Read(false, 100).ok());
    EXPECT_FALSE(reader.reusable()) << text;
  }
}

TEST(AnswerReader, TellsACutFromNonsense) {
  for (const char* text :
       {"", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n1234",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n1234"}) {
    const auto answer = Read(text);
    ASSERT_FALSE(answer.ok()) << text;
    EXPECT_EQ(HttpFailureOf(answer.status())->problem(), HttpProblem::kBroken) << text;
  }
  const std::string head = "HTTP/1.1 200 OK\r\n";
  for (const std::string& text :
       {std::string("SSH-2.0-OpenSSH\r\n"), std::string("HTTP/1.1 20\r\n\r\n"),
        std::string("HTTP/1.1 999 x\r\n\r\n"), head + "no header\r\n\r\n",
        head + "Content-Length: -1\r\n\r\n",
        head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        head + "Content-Length: 99999999999999999999\r\n\r\n",
        head + "Content-Length: 100001\r\n\r\n", head + "Transfer-Encoding: gzip\r\n\r\n",
        head + "Transfer-Encoding: chunked\r\n\r\nx\r\n",
        head + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\n",
        head + "a: " + std::string(20'000, 'a') + "\r\n\r\n"}) {
    const auto answer = Read(text);
    ASSERT_FALSE(answer.ok()) << text;
    EXPECT_EQ(HttpFailureOf(answer.status())->problem(), HttpProblem::kNonsense) << text;
  }
}

TEST(ParseHttpUrl, TakesThemApart) {
  const auto url = ParseHttpUrl("HTTPS://me:secret@Example.com:8443/a?b=c#d");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_TRUE(url->server.tls);
  EXPECT_EQ(url->server.host, "Example.com");
  EXPECT_EQ(url->server.port, 8443);
  EXPECT_EQ(url->target, "/a?b=c");
  EXPECT_EQ(url->user, "me:secret");
  EXPECT_EQ(url->server.Url(), "https://Example.com:8443");
  EXPECT_EQ(ParseHttpUrl("http://[::1]:80/")->server.Url(), "http://[::1]");
  EXPECT_EQ(ParseHttpUrl("http://h")->target, "/");
  for (const char* text : {"", "h", "ftp://h", "http://", "http://h:0", "http://h:1x",
                           "http://[::1", "http://h/a b", "http://h\r\nx: y"}) {
    EXPECT_FALSE(ParseHttpUrl(text).ok()) << text;
  }
}

}  // namespace
}  // namespace pomona
