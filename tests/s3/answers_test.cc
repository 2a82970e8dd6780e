#include "s3/answers.h"

#include <gtest/gtest.h>

namespace pomona {
namespace {

TEST(ParseListing, ReadsObjectsFoldersAndHowItGoesOn) {
  const auto page = ParseListing(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"
      "<Prefix>in/</Prefix><IsTruncated>true</IsTruncated><!-- <Key> -->"
      "<NextContinuationToken>1/&amp;=</NextContinuationToken>"
      "<Contents><Key>in/a&#x20;&lt;ä&#228;.jpg</Key><LastModified>2026-11-28T16:05:18.250Z"
      "</LastModified><ETag>&quot;0123-1&quot;</ETag><Size>5000000000</Size>"
      "<Owner><ID>x</ID><DisplayName/></Owner></Contents>"
      "<Contents><Key>in/b+%20</Key><Size>0</Size></Contents>"
      "<CommonPrefixes><Prefix>in/c/</Prefix></CommonPrefixes></ListBucketResult>\n");
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->objects.size(), 2u);
  EXPECT_EQ(page->objects[0].key, "in/a <ää.jpg");
  EXPECT_EQ(page->objects[0].size, 5'000'000'000);
  EXPECT_EQ(page->objects[0].modified_ns, 1'795'881'918'250'000'000);
  EXPECT_EQ(page->objects[0].etag, "0123-1");
  EXPECT_EQ(page->objects[1].key, "in/b+%20");
  EXPECT_EQ(page->objects[1].etag, "");
  EXPECT_EQ(page->folders, std::vector<std::string>{"in/c/"});
  EXPECT_EQ(page->next, "1/&=");
}

// As servers encode them that were asked to; where in the page they say so is up to them.
TEST(ParseListing, DecodesKeys) {
  const auto page = ParseListing(
      "<ListBucketResult><Contents><Key>a+b%2B%1B%c3%A4/c</Key></Contents><CommonPrefixes><Prefix>"
      "d+/</Prefix></CommonPrefixes><EncodingType>url</EncodingType></ListBucketResult>");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->objects.at(0).key, "a b+\x1Bä/c");
  EXPECT_EQ(page->folders.at(0), "d /");
  EXPECT_EQ(page->next, "");
}

TEST(ParseListing, RefusesWhatIsNone) {
  for (const char* xml : {
           "",
           "{}",
           "<html></html>",
           "<ListBucketResult>",
           "<ListBucketResult></Contents>",
           "<ListBucketResult/",
           "<!DOCTYPE a><ListBucketResult/>",
           "<ListBucketResult><Contents><Size>1x</Size></Contents></ListBucketResult>",
           "<ListBucketResult><Contents><Size>-1</Size></Contents></ListBucketResult>",
           "<ListBucketResult><Contents><Key>&amp</Key></Contents></ListBucketResult>",
           "<ListBucketResult><Contents><Key>&#xD800;</Key></Contents></ListBucketResult>",
           "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
           "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key></Contents>"
           "</ListBucketResult>",
       }) {
    EXPECT_FALSE(ParseListing(xml).ok()) << xml;
  }
}

TEST(ParseListing, RefusesDepth) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_FALSE(ParseListing(deep).ok());
}

TEST(ParseUploads, ReadsThem) {
  const auto page = ParseUploads(
      "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>1</UploadId></Upload>"
      "<IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>"
      "<NextUploadIdMarker>1</NextUploadIdMarker></ListMultipartUploadsResult>");
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_EQ(page->uploads.at(0).key, "a");
  EXPECT_EQ(page->uploads.at(0).id, "1");
  EXPECT_EQ(page->next_key, "a");
  EXPECT_EQ(page->next_id, "1");
}

TEST(XmlText, IsTheFirstOfItsName) {
  EXPECT_EQ(XmlText("<Error><Code>SlowDown</Code><Message>a &gt; b</Message></Error>", "Message"),
            "a > b");
  EXPECT_EQ(XmlText("<Error><ErrorCode>x</ErrorCode></Error>", "Code"), "");
  EXPECT_EQ(XmlText("Bad Gateway", "Code"), "");
}

TEST(ParseIsoTime, ReadsTimes) {
  EXPECT_EQ(ParseIsoTime("1970-01-01T00:00:01Z").ValueOrDie(), 1'000'000'000);
  EXPECT_EQ(ParseIsoTime("2024-02-29T00:00:00.001Z").ValueOrDie(), 1'709'164'800'001'000'000);
  for (const char* text : {"", "2023-02-29T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01",
                           "2024-01-01T00:00:00.1x1Z", "2024-01-01T00:00:00+01:00"}) {
    EXPECT_FALSE(ParseIsoTime(text).ok()) << text;
  }
}

}  // namespace
}  // namespace pomona
