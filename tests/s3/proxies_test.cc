#include "s3/proxies.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace pomona {
namespace {

class ProxiesTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy",
                             "NO_PROXY", "REQUEST_METHOD"}) {
      unsetenv(name);
    }
  }
  void TearDown() override { SetUp(); }

  static void Set(const char* name, const char* value) { setenv(name, value, 1); }

  // The proxy's host; "" where there is none.
  static std::string Of(const std::string& host, bool tls = true, int port = 443) {
    const Proxies proxies;
    const HttpUrl* proxy = proxies.For({tls, host, port}).ValueOrDie();
    return proxy ? proxy->server.host : "";
  }
};

TEST_F(ProxiesTest, SchemesHaveTheirOwn) {
  EXPECT_EQ(Of("a.example"), "");
  Set("https_proxy", "http://one:3128");
  Set("HTTP_PROXY", "other:80");
  EXPECT_EQ(Of("a.example"), "one");
  EXPECT_EQ(Of("a.example", false, 80), "other");
  // What stands in there may be a header of a visitor's.
  Set("REQUEST_METHOD", "GET");
  EXPECT_EQ(Of("a.example", false, 80), "");
}

TEST_F(ProxiesTest, SomeServersAreReachedDirectly) {
  Set("HTTPS_PROXY", "http://one:3128");
  Set("NO_PROXY", ".Inner.example, *.other, host:8443");
  for (const char* host : {"inner.example", "a.inner.EXAMPLE", "b.other"}) EXPECT_EQ(Of(host), "");
  for (const char* host : {"dinner.example", "inner.example.com", "host"}) {
    EXPECT_EQ(Of(host), "one") << host;
  }
  EXPECT_EQ(Of("host", true, 8443), "");
  Set("NO_PROXY", "*");
  EXPECT_EQ(Of("a.example"), "");
}

TEST_F(ProxiesTest, NetworksAreReachedDirectly) {
  Set("HTTPS_PROXY", "http://one:3128");
  Set("NO_PROXY",
      "10.0.0.0/8,192.168.1.128/25,[2001:db8::5]:8443,[2001:DB8::6],2001:db8:1::/48,1.2.3.4/x");
  for (const char* host : {"10.1.2.3", "192.168.1.200", "2001:db8:0::6", "2001:db8:1::7"}) {
    EXPECT_EQ(Of(host), "") << host;
  }
  for (const char* host : {"11.1.2.3", "192.168.1.100", "2001:db8::5", "2001:db8:2::7", "1.2.3.4",
                           "10.example", "0.0.0.0"}) {
    EXPECT_EQ(Of(host), "one") << host;
  }
  EXPECT_EQ(Of("2001:db8::5", true, 8443), "");
}

TEST_F(ProxiesTest, WhatGivesAMachineItsCredentialsIsNobodyElses) {
  Set("HTTP_PROXY", "http://one:3128");
  for (const char* host : {"169.254.169.254", "169.254.170.2", "fd00:ec2::254", "localhost",
                           "127.0.0.1", "127.1.2.3", "::1"}) {
    EXPECT_EQ(Of(host, false, 80), "") << host;
  }
}

TEST_F(ProxiesTest, NothingGoesPastAProxyThatIsNotSpokenTo) {
  for (const char* proxy : {"https://user:secret@one", "socks5://user:secret@one", "http://"}) {
    Set("HTTPS_PROXY", proxy);
    const Proxies proxies;
    const arrow::Status status = proxies.For({true, "a.example", 443}).status();
    ASSERT_TRUE(HttpFailureOf(status)) << proxy;
    EXPECT_EQ(HttpFailureOf(status)->problem(), HttpProblem::kUntrusted);
    EXPECT_EQ(status.message().find("secret"), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace pomona
