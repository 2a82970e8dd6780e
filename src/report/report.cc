#include "report.h"

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

#include "base64.h"
#include "json.h"
#include "page.h"
#include "pomona/location.h"

namespace pomona {
namespace {

// "1,234"
std::string Thousands(int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = std::ssize(text) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), ",");
  return text;
}

// A sentence about rows that a table leaves out; empty where it has all.
std::string More(size_t shown, int64_t all, const std::string& what) {
  const int64_t rest = all - static_cast<int64_t>(shown);
  return rest > 0 ? "and " + Thousands(rest) + " more " + what : "";
}

nlohmann::json At(const nlohmann::json& object, const char* name) {
  return object.is_object() && object.contains(name) ? object[name] : nlohmann::json();
}

struct RejectRow {
  std::string path, label, stage, reason, message;
};

struct Rejects {
  int64_t count = 0;
  std::map<std::string, int64_t> by_reason;
  std::vector<RejectRow> rows;  // the first
};

arrow::Result<Rejects> ReadRejects(const ReportInput& input) {
  Rejects rejects;
  ARROW_RETURN_NOT_OK(input.tables.ForEachReject([&](std::span<const std::string_view> fields) {
    ++rejects.count;
    ++rejects.by_reason[std::string(fields[3])];
    if (rejects.rows.size() < input.limits.table_rows) {
      rejects.rows.push_back({std::string(fields[0]), std::string(fields[1]),
                              std::string(fields[2]), std::string(fields[3]),
                              std::string(fields[4])});
    }
    return input.cancel.Check();
  }));
  return rejects;
}

// Pictures in base64: of the rejects shown first, then of points, as far as they fit.
struct PagePictures {
  std::vector<Json> sizes, of_rejects;  // of each reject shown; null: not known, nothing to see
  Json of_points = Json::array();       // [point, picture] each
  size_t bytes = 0;
};

arrow::Result<PagePictures> MakePagePictures(const ReportInput& input, const Rejects& rejects,
                                             const std::vector<PicturedPoint>& points) {
  PagePictures page;
  page.sizes.resize(rejects.rows.size());
  page.of_rejects.resize(rejects.rows.size());
  if (!input.images || input.kind != ReportKind::kFull) return page;
  std::vector<std::string> paths;
  for (const RejectRow& reject : rejects.rows) paths.push_back(reject.path);
  for (const PicturedPoint& point : points) paths.push_back(point.path);
  // A bucket answers many at once.
  constexpr int kBucketReaders = 16;
  const bool far = !paths.empty() && IsS3Uri(paths.front());
  const int readers = far ? std::max(input.threads, kBucketReaders) : input.threads;
  ARROW_ASSIGN_OR_RAISE(const auto pictures,
                        MakePictures(paths, input.read, readers, input.threads, input.cancel));
  size_t count = 0;
  const auto take = [&](const Pictured& picture) -> Json {
    if (!picture.thumbnail || count == input.limits.pictures ||
        page.bytes + picture.thumbnail->size() > input.limits.picture_bytes) {
      return nullptr;
    }
    ++count;
    page.bytes += picture.thumbnail->size();
    return Base64(*picture.thumbnail);
  };
  for (size_t i = 0; i < rejects.rows.size(); ++i) {
    if (pictures[i].bytes) page.sizes[i] = *pictures[i].bytes;
    page.of_rejects[i] = take(pictures[i]);
  }
  // By their hashes, so that no label is left out for standing at the end.
  std::vector<size_t> order(points.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return points[i].hash; });
  std::map<uint32_t, Json> kept;
  for (const size_t i : order) {
    Json picture = take(pictures[rejects.rows.size() + i]);
    if (!picture.is_null()) kept[points[i].point] = std::move(picture);
  }
  for (auto& [point, picture] : kept) page.of_points.push_back({point, std::move(picture)});
  return page;
}

Section RunSection(const std::string& run_id, const nlohmann::json& model, const Points& points,
                   const Rejects& rejects) {
  Section section{.id = "run", .title = "The run"};
  const int64_t labels = points.distinct_labels;
  const nlohmann::json pca = At(model, "pca");
  const bool given = At(pca, "given") == true;
  section.headlines = {
      Headline(points.rows, "images", kCount), Headline(labels, "labels", kCount),
      Headline(rejects.count, "rejects", kCount),
      Headline(
          model["cumulative_variance"].back(),
          (given ? "of the variance of the images it was fitted on in " : "of the variance in ") +
              std::to_string(model["cumulative_variance"].size()) + " components",
          kShare)};
  Json facts = {Fact("Run", run_id),
                Fact("Images (rows)", points.rows, kCount),
                Fact("Rejects", rejects.count, kCount),
                Fact("Labels", labels, kCount),
                Fact("Components", model["variance_by_component"].size(), kCount),
                Fact("Dimensions of the features", At(model, "original_dimensions"), kCount),
                Fact("Projection", JsonString(model, "projection")),
                Fact("Network", JsonString(model, "model")),
                Fact("Engine", JsonString(model, "engine")),
                Fact("Preprocessing", JsonString(model, "preprocessing")),
                Fact("Digest of the weights", JsonString(At(model, "weights"), "digest"))};
  if (given) facts.push_back(Fact("PCA of an earlier run, its digest", JsonString(pca, "digest")));
  section.blocks.push_back(Facts("", std::move(facts)));
  return section;
}

Section VarianceSection(const nlohmann::json& model) {
  Section section{.id = "variance",
                  .title = "Variance",
                  .intro =
                      "How much of the features' variance each principal component has (the bars), "
                      "and all up to it together (the line)."};
  Json rows = Json::array();
  const nlohmann::json& shares = model["variance_by_component"];
  const nlohmann::json& sums = model["cumulative_variance"];
  for (size_t i = 0; i < shares.size(); ++i) rows.push_back({i + 1, shares[i], sums[i]});
  Json block = Table("Variance by component",
                     {{"component", kCount}, {"share", kShare}, {"cumulative", kShare}},
                     std::move(rows), "");
  block["block"] = "variance";
  block["marks"] = {0.8, 0.9, 0.95};
  section.blocks.push_back(std::move(block));
  return section;
}

Section ScatterSection(const ReportInput& input, const nlohmann::json& model, Points points,
                       PagePictures pictures) {
  Section section{.id = "scatter",
                  .title = "Images in the space of the components",
                  .intro =
                      "Each point is an image. Drag to move, scroll or use + and - to zoom; choose "
                      "labels beside the plot; draw around points to select them."};
  const auto add = [&](const std::string& name, PackedArray packed) {
    packed.how["array"] = name;
    section.arrays.push_back({name, std::move(packed.bytes)});
    return std::move(packed.how);
  };
  const bool exact = std::ssize(points.labels) <= input.limits.exact_points;
  Json components = Json::array();
  for (size_t c = 0; c < points.scores.size(); ++c) {
    std::vector<float> scores = std::exchange(points.scores[c], {});
    Json how =
        add("scores-" + std::to_string(c + 1), exact ? PackFloats(scores) : PackSteps(scores));
    how["share"] = model["variance_by_component"][c];
    components.push_back(std::move(how));
  }
  Json names = Json::array();
  for (const std::string& name : points.label_names) names.push_back(name);
  Json block = {{"block", "scatter"},
                {"title", "Scatter of the components"},
                {"points", points.count},
                {"rows", points.rows},
                {"components", std::move(components)},
                {"point_labels", add("point-labels", PackIndices(points.labels))},
                {"labels", std::move(names)},
                {"counts", points.label_counts},
                {"path_count", points.path_count},
                {"paths", nullptr},
                {"pictures", std::move(pictures.of_points)}};
  if (points.path_count > 0) {
    block["paths"] = add("paths", {{{"type", "texts"}}, std::move(points.paths)});
  }
  std::vector<std::string> limits;
  if (std::ssize(points.labels) < points.rows) {
    limits.push_back("Shown are " + Thousands(std::ssize(points.labels)) + " of " +
                     Thousands(points.rows) +
                     " images: those whose paths have the lowest hashes, a sample that does not "
                     "depend on the order of anything.");
  }
  const auto told_apart = static_cast<int64_t>(input.limits.labels);
  if (points.distinct_labels > told_apart) {
    limits.push_back("The first " + Thousands(told_apart) + " labels are told apart; the other " +
                     Thousands(points.distinct_labels - told_apart) + " are one here.");
  }
  if (!exact) {
    limits.push_back("With so many points a score is told to a " + std::to_string(kSteps) +
                     "th of its component's range; the table of the PCA has it to the last digit.");
  }
  if (input.kind != ReportKind::kFull) {
    limits.push_back("Neither paths nor pictures were asked for (--report plots).");
  } else {
    if (points.path_count < points.count) {
      limits.push_back("The paths of the first " +
                       Thousands(static_cast<int64_t>(points.path_count)) +
                       " points are in this page, as many as its size allows.");
    }
    const auto pictures_shown = std::ssize(block["pictures"]);
    if (!input.images) {
      limits.push_back("Pictures were left out (--report-images none).");
    } else if (pictures_shown == 0) {
      limits.push_back(
          "There are no pictures of points here. Those of images in a bucket are in the page that "
          "`pomona report` makes.");
    } else {
      limits.push_back("Pictures: of " + Thousands(pictures_shown) +
                       " images, evenly many of each label.");
    }
  }
  std::string text;
  for (const std::string& limit : limits) text += (text.empty() ? "" : " ") + limit;
  section.blocks.push_back(std::move(block));
  section.blocks.push_back(Note(text));
  return section;
}

Section LabelsSection(const ReportInput& input, const Points& points) {
  Section section{.id = "labels", .title = "Labels", .intro = "Images by label."};
  std::vector<size_t> order(std::min(points.label_names.size(), input.limits.labels));
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return points.label_counts[i]; });
  const size_t shown = std::min(order.size(), input.limits.table_rows);
  Json rows = Json::array();
  int64_t images = 0;
  for (size_t i = 0; i < shown; ++i) {
    rows.push_back({points.label_names[order[i]], points.label_counts[order[i]]});
    images += points.label_counts[order[i]];
  }
  std::string more = More(shown, points.distinct_labels, "labels");
  if (!more.empty()) more += " with " + Thousands(points.rows - images) + " images";
  section.blocks.push_back(
      Bars("Images by label", {"label"}, {"images", kCount}, std::move(rows), more));
  return section;
}

Section RejectsSection(const ReportInput& input, const Rejects& rejects,
                       const PagePictures& pictures) {
  Section section{.id = "rejects", .title = "Rejects"};
  if (rejects.count == 0) {
    section.intro = "None: every image gave features.";
    return section;
  }
  section.intro = "Images that gave no features, and why.";
  Json reasons = Json::array();
  for (const auto& [reason, count] : rejects.by_reason) reasons.push_back({reason, count});
  section.blocks.push_back(
      Bars("Rejects by reason", {"reason"}, {"images", kCount}, std::move(reasons), ""));
  Json rows = Json::array();
  for (size_t i = 0; i < rejects.rows.size(); ++i) {
    const RejectRow& reject = rejects.rows[i];
    rows.push_back({pictures.of_rejects[i], reject.path, reject.label, pictures.sizes[i],
                    reject.stage, reject.reason, reject.message});
  }
  section.blocks.push_back(Table("Rejected images",
                                 {{"picture", kPicture},
                                  {"path"},
                                  {"label"},
                                  {"size", kBytes},
                                  {"stage"},
                                  {"reason"},
                                  {"message"}},
                                 std::move(rows),
                                 More(rejects.rows.size(), rejects.count, "rejects")));
  if (!input.images || input.kind != ReportKind::kFull) {
    section.blocks.push_back(Note("Pictures and sizes were left out, as no picture was read."));
  }
  return section;
}

// The rows of an object of numbers, in an order that readers expect.
Json Rows(const nlohmann::json& object, std::initializer_list<const char*> names) {
  Json rows = Json::array();
  for (const char* name : names) {
    const nlohmann::json value = At(object, name);
    if (value.is_number()) rows.push_back({name, value});
  }
  return rows;
}

}  // namespace

arrow::Result<std::vector<Section>> GatherReport(const ReportInput& input) {
  ARROW_ASSIGN_OR_RAISE(const nlohmann::json model, input.tables.ReadModelInfo());
  const auto rows = model["num_images_processed"].get<int64_t>();
  const auto components = static_cast<int>(model["variance_by_component"].size());
  ARROW_ASSIGN_OR_RAISE(Points points,
                        ReadPoints(input.tables, rows, components, input.kind == ReportKind::kFull,
                                   input.limits, input.cancel));
  ARROW_ASSIGN_OR_RAISE(const Rejects rejects, ReadRejects(input));
  ARROW_ASSIGN_OR_RAISE(PagePictures pictures, MakePagePictures(input, rejects, points.pictured));
  std::vector<Section> sections;
  sections.push_back(RunSection(input.tables.run_id(), model, points, rejects));
  sections.push_back(VarianceSection(model));
  Section labels = LabelsSection(input, points);
  Section rejected = RejectsSection(input, rejects, pictures);
  sections.push_back(ScatterSection(input, model, std::move(points), std::move(pictures)));
  sections.push_back(std::move(labels));
  sections.push_back(std::move(rejected));
  return sections;
}

Section MakingSection(const nlohmann::json& info) {
  Section section{.id = "making", .title = "How it was made"};
  const nlohmann::json seconds = At(info, "seconds"), counts = At(info, "counts");
  section.headlines.push_back(Headline(At(seconds, "total"), "from start to end", kSeconds));
  // Nothing to tell where all images were there before.
  nlohmann::json speed = At(info, "images_per_second");
  if (speed == 0) speed = nullptr;
  section.headlines.push_back(Headline(speed, "images a second", kCount));
  section.intro =
      "Read from " + JsonString(info, "input") + " into " + JsonString(info, "output") + ".";
  section.blocks.push_back(Facts(
      "", {Fact("Input", JsonString(info, "input")), Fact("Output", JsonString(info, "output")),
           Fact("Files listed", At(counts, "listed"), kCount),
           Fact("Files that are no image", At(counts, "skips"), kCount),
           Fact("Resumed from an unfinished run", At(counts, "resumed"), kCount),
           Fact("Reused from an earlier run", At(At(info, "reused"), "rows"), kCount),
           Fact("Seconds in all", At(seconds, "total"), kSeconds),
           Fact("Images a second", speed, kCount), Fact("Threads", At(info, "threads"), kCount),
           Fact("CPU", JsonString(info, "cpu")),
           Fact("Peak memory", At(info, "peak_memory_bytes"), kBytes),
           Fact("Pomona", JsonString(At(info, "versions"), "pomona"))}));
  section.blocks.push_back(Bars("Seconds by stage, by the clock", {"stage"}, {"seconds", kSeconds},
                                Rows(seconds, {"list", "extract", "fit", "write", "report"}), ""));
  section.blocks.push_back(Bars(
      "Seconds by step, all workers together", {"step"}, {"seconds", kSeconds},
      Rows(At(info, "worker_seconds"), {"read", "decode", "resize", "infer", "reduce", "store"}),
      ""));
  Json times = Rows(At(info, "image_seconds"), {"p50", "p95", "p99"});
  if (times.empty()) {
    section.blocks.push_back(
        Note("How long single images took is not known: none was worked on in this execution, or "
             "the run is older than this measure."));
  } else {
    section.blocks.push_back(Bars("Seconds an image: half, 95 and 99 of 100 took no longer",
                                  {"percentile"}, {"seconds", kSeconds}, std::move(times), ""));
  }
  return section;
}

arrow::Status WriteReport(const std::string& run_id, const std::vector<Section>& sections,
                          arrow::io::OutputStream* out) {
  return WritePage("Pomona run " + run_id, sections, out);
}

}  // namespace pomona
