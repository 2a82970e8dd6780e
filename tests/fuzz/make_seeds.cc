// fuzz_seeds FOLDER: small valid files for each target, FOLDER/TARGET/NAME.
#include <zlib.h>

#include <filesystem>
#include <iostream>

#include "store/checksums.h"
#include "store/fragment.h"
#include "store/item_record.h"
#include "weights/fixtures.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

std::string ReadHeader(const std::string& path) {
  const std::string file = ReadFile(path);
  uint64_t size = 0;
  file.copy(reinterpret_cast<char*>(&size), sizeof size);
  return file.substr(sizeof size, size);
}

arrow::Status Make(const fs::path& folder) {
  for (const char* target :
       {"weights", "pca", "keras_hdf5", "globs", "fragment", "item_record", "checksums", "csv_part",
        "http_answer", "s3_listing", "inflate", "state_dict"}) {
    fs::create_directories(folder / target);
  }
  KerasWeights weights = MadeUpWeights(0.35);
  for (auto& values : weights.values) values.assign(values.size(), 0.0f);
  const std::string file = folder / "weights.safetensors";
  ARROW_RETURN_NOT_OK(WriteWeights(file, weights, "zeros"));
  WriteFile(folder / "weights/zeros", ReadHeader(file));
  fs::remove(file);

  // Without values a tensor takes no room in the file, and reads as zeros.
  for (auto& values : weights.values) values.clear();
  for (const KerasLayout layout : kKerasLayouts) {
    WriteKerasHdf5(folder / "keras_hdf5" / std::to_string(int(layout)), weights, layout);
  }
  const std::string hdf5 =
      ReadFile(folder / "keras_hdf5" / std::to_string(int(KerasLayout::kVariables)));
  for (const bool deflated : {false, true}) {
    WriteZip(folder / "keras_hdf5" / (deflated ? "deflated" : "stored"),
             {{"config.json", "{}", deflated}, {"model.weights.h5", hdf5, deflated}});
  }

  const std::vector<TorchTensor> tensors = {{"a.weight", {2, 3}, {1, 2, 3, 4, 5, 6}},
                                            {"a.bias", {2}, {7, 8}}};
  WriteFile(folder / "state_dict/pickle", PickleOf(tensors));
  WriteTorch(folder / "state_dict/new", tensors);
  WriteTorch(folder / "state_dict/old", tensors, /*old=*/true);

  Moments moments(3);
  moments.Add(std::vector<float>{1, 2, 3, 4, 4, 4, 9, 8, 8, 1, 0, 1});
  WriteFile(folder / "pca/moments", moments.Serialize());
  ARROW_ASSIGN_OR_RAISE(const Pca pca, Pca::Fit(moments, {.components = 2, .standardize = true}));
  WriteFile(folder / "pca/pca", pca.Serialize());

  FragmentReport report;
  report.rows = {0, 2};
  report.rejects = {{1, {Stage::kDecode, Reason::kTruncated, "the end is missing"}}};
  report.skips = {{"not_an_image", 1}};
  report.images.assign(2, {NameOf("PNG"), NameOf("RGB"), 3, 4, {}});
  ARROW_RETURN_NOT_OK(WriteFragment(folder / "fragment/four", {10, 14, "key"}, report,
                                    std::vector<float>(6, 0.5f), moments));

  ItemRecordBuilder record;
  for (int i = 0; i < 3; ++i) {
    record.Add({"/t/a/" + std::to_string(i), 3, 10 + i, 20 + i, 30 + i}, report.images[0],
               std::vector<float>{1, 2});
  }
  ARROW_RETURN_NOT_OK(record.Write(folder / "item_record/three", "recipe"));

  for (const int level : {0, 1, 9}) {
    std::string text(3'000, 'a');
    for (size_t i = 0; i < 1'000; ++i) text[i] = static_cast<char>('a' + i * i % 23 % (i % 7 + 1));
    std::string stream(compressBound(text.size()), '\0');
    uLongf size = stream.size();
    compress2(reinterpret_cast<Bytef*>(stream.data()), &size,
              reinterpret_cast<const Bytef*>(text.data()), text.size(), level);
    WriteFile(folder / "inflate" / std::to_string(level), "\xff\x03" + stream.substr(0, size));
  }

  WriteFile(folder / "globs/1", "*/Apple*[!a-c]?.jp*g\nTraining/Apple Red 1/7_100.jpg");
  WriteFile(folder / "globs/2", "[[:alpha:]]*\\*\na/b*");

  WriteFile(folder / "checksums/two",
            ChecksumsText({{"errors/errors_id/b,c", std::string(64, 'a')},
                           {"run_info/run_info_id/d", std::string(64, '0')}}));
  WriteFile(folder / "csv_part/vectors",
            "path,label,features_string\n/a,b,\"1,-2.5e-38,inf\"\n\"/a\n\"\"\",,\"0,0,1\"\n");
  WriteFile(folder / "csv_part/metadata", "path,label\n/a/b,a\n\"/,\r\n\",\n");
  WriteFile(folder / "http_answer/two",
            "3HTTP/1.1 200 OK\r\nContent-Length: 2\r\nETag: \"a\"\r\n\r\nab"
            "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\n\r\n");
  WriteFile(
      folder / "s3_listing/page",
      "<?xml version=\"1.0\"?><ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true"
      "</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents><Key>a%20b&amp;"
      "</Key><Size>12</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;e"
      "&quot;</ETag></Contents><CommonPrefixes><Prefix>c/</Prefix></CommonPrefixes>"
      "</ListBucketResult>");
  WriteFile(folder / "s3_listing/uploads",
            "<ListMultipartUploadsResult><Upload><Key>a</Key><UploadId>1</UploadId></Upload>"
            "</ListMultipartUploadsResult>");
  return arrow::Status::OK();
}

}  // namespace
}  // namespace pomona

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const arrow::Status status = pomona::Make(argv[1]);
  if (!status.ok()) std::cerr << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
