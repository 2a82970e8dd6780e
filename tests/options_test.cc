#include "pomona/options.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace pomona {
namespace {

TEST(Options, RejectBoundIsANumberOrAShare) {
  EXPECT_EQ(ParseRejectBound("12")->value, 12);
  EXPECT_FALSE(ParseRejectBound("12")->percent);
  EXPECT_EQ(ParseRejectBound("0.5%")->value, 0.5);
  EXPECT_TRUE(ParseRejectBound("0.5%")->percent);
  for (const char* wrong :
       {"", "%", "x", "1.5", "-1", "5 %", "nan", "inf", "1e99", "nan%", "inf%", "101%"}) {
    EXPECT_TRUE(ParseRejectBound(wrong).status().IsInvalid()) << wrong;
  }
}

TEST(Options, ModesHaveNames) {
  for (const char* name : {"mini", "apples", "full"}) EXPECT_EQ(ModeName(*ParseMode(name)), name);
  EXPECT_TRUE(ParseMode("Full").status().IsInvalid());
}

TEST(Options, FormatsAreAList) {
  EXPECT_TRUE(ParseFormats("csv")->csv);
  EXPECT_FALSE(ParseFormats("csv")->parquet);
  EXPECT_TRUE(ParseFormats("csv,parquet")->parquet);
  for (const char* wrong : {"", ",", "csv,", "xml", "csv parquet"}) {
    EXPECT_TRUE(ParseFormats(wrong).status().IsInvalid()) << wrong;
  }
}

TEST(Options, EnginesAndCpusHaveNames) {
  for (const char* name : {"native", "openvino"}) EXPECT_EQ(EngineName(*ParseEngine(name)), name);
  EXPECT_TRUE(ParseEngine("tensorflow").status().IsInvalid());
  for (const char* name : {"best", "avx512", "avx2", "neon", "scalar"}) {
    EXPECT_EQ(CpuName(*ParseCpu(name)), name);
  }
  EXPECT_TRUE(ParseCpu("mmx").status().IsInvalid());
}

TEST(Options, CpuCanBeHeldToLess) {
  const Cpu best = ResolveCpu(Cpu::kBest).ValueOrDie();
  EXPECT_NE(best, Cpu::kBest);
  EXPECT_EQ(ResolveCpu(Cpu::kScalar).ValueOrDie(), Cpu::kScalar);
  EXPECT_EQ(ResolveCpu(best).ValueOrDie(), best);
  const Cpu absent = best == Cpu::kNeon ? Cpu::kAvx2 : Cpu::kNeon;
  EXPECT_TRUE(ResolveCpu(absent).status().IsNotImplemented());
  // Nobody else is held to it.
  EXPECT_EQ(ResolveCpu(Cpu::kBest).ValueOrDie(), best);
}

TEST(Options, SpecsGiveBackWhatTheyTook) {
  const std::pair<const char*, std::vector<std::string>> kValues[] = {
      {"mode", {"apples"}},      {"pca-components", {"7"}},
      {"threads", {"3"}},        {"engine", {"openvino"}},
      {"cpu", {"scalar"}},       {"weights", {"w"}},
      {"run-id", {"r"}},         {"formats", {"csv"}},
      {"vectors", {"spark"}},    {"center", {"true"}},
      {"standardize", {"true"}}, {"include", {"a*", "b*"}},
      {"exclude", {"c*"}},       {"hidden", {"true"}},
      {"limit", {"9"}},          {"max-rejects", {"0.5%"}},
      {"s3-endpoint", {"url"}},  {"s3-anonymous", {"true"}},
      {"fresh", {"true"}},       {"shard", {"2/5"}},
      {"cache", {"c"}},          {"cache-size", {"3M"}},
      {"report", {"plots"}},     {"report-images", {"none"}},
      {"memory", {"2G"}},        {"decode", {"scaled"}},
      {"metrics", {"m"}},        {"pca", {"p"}},
      {"stats", {"basic"}},      {"device", {"auto"}}};
  ASSERT_EQ(std::size(kValues), RunOptionSpecs().size());
  RunOptions options;
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    const auto given = std::ranges::find(kValues, std::string_view(spec.name),
                                         [](const auto& value) { return value.first; });
    ASSERT_NE(given, std::end(kValues)) << spec.name;
    EXPECT_NE(spec.Texts(options), given->second) << spec.name;
    for (const std::string& text : given->second) {
      EXPECT_TRUE(spec.set(&options, text).ok()) << spec.name;
    }
    EXPECT_EQ(spec.Texts(options), given->second) << spec.name;
  }
  EXPECT_EQ(options.max_rejects.value, 0.5);
  EXPECT_EQ(options.s3.endpoint, "url");
}

TEST(Options, HelpTellsTheDefaults) {
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    const std::string help = HelpText(spec);
    const std::string_view name = spec.name;
    if (name == "pca-components") {
      EXPECT_TRUE(help.ends_with("(default: 50)")) << help;
    }
    if (name == "formats") {
      EXPECT_TRUE(help.ends_with("(default: parquet,csv)")) << help;
    }
    if (name == "max-rejects") {
      EXPECT_TRUE(help.ends_with("(default: 100%)")) << help;
    }
    if (name == "weights" || name == "center") {
      EXPECT_EQ(help, spec.help);
    }
  }
}

TEST(Options, SpecsSetTheirOptions) {
  const auto spec = [](std::string_view name) {
    for (const RunOptionSpec& row : RunOptionSpecs()) {
      if (row.name == name) return row;
    }
    ADD_FAILURE() << name;
    return RunOptionSpecs()[0];
  };
  RunOptions options;
  EXPECT_TRUE(spec("limit").set(&options, "12").ok());
  EXPECT_EQ(options.limit, 12);
  EXPECT_TRUE(spec("center").set(&options, "true").ok());
  EXPECT_TRUE(options.center);
  EXPECT_TRUE(spec("include").set(&options, "a").ok());
  EXPECT_TRUE(spec("include").set(&options, "b").ok());
  EXPECT_EQ(options.include, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(spec("limit").set(&options, "12 ").IsInvalid());
  EXPECT_TRUE(spec("center").set(&options, "yes").IsInvalid());
}

TEST(Options, DefaultsAreValid) { EXPECT_TRUE(Validate({}).ok()); }

TEST(Options, ValidateNamesTheOption) {
  const auto message = [](auto change) {
    RunOptions options;
    change(options);
    return Validate(options).message();
  };
  EXPECT_EQ(message([](RunOptions& o) { o.pca_components = 0; }), "pca-components 0: at least 1");
  EXPECT_EQ(message([](RunOptions& o) { o.formats.parquet = o.formats.csv = false; }),
            "formats: name parquet, csv or both");
  EXPECT_EQ(message([](RunOptions& o) { o.run_id = "a/b"; }),
            "run-id 'a/b': letters, digits, '_', '-' and '.' only");
  EXPECT_EQ(message([](RunOptions& o) { o.threads = -1; }),
            "threads -1: at least 1, or 0 for all cores");
}

TEST(Options, AShardIsAPartOrTheMerging) {
  EXPECT_TRUE(ParseShard("")->whole());
  EXPECT_EQ(*ParseShard("2/5"), (Shard{2, 5, false}));
  EXPECT_EQ(*ParseShard("merge"), (Shard{0, 0, true}));
  for (const char* wrong : {"0/5", "6/5", "1", "1/", "/5", "1/5x", "-1/5", "a/b", "1/1000000"}) {
    EXPECT_TRUE(ParseShard(wrong).status().IsInvalid()) << wrong;
  }
  RunOptions options;
  options.shard = {2, 5, false};
  EXPECT_NE(Validate(options).message().find("needs --run-id"), std::string::npos);
  options.run_id = "night";
  EXPECT_TRUE(Validate(options).ok());
}

}  // namespace
}  // namespace pomona
