#include "mistakes.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include "pomona/printable.h"

namespace pomona::cli {
namespace {

// Levenshtein's: insertions, deletions and replacements from one to the other.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// "; did you mean NAME?" for the nearest name, or nothing where none is near.
std::string DidYouMean(const std::string& word, const std::vector<std::string>& names) {
  const std::string* nearest = nullptr;
  size_t least = std::max<size_t>(2, word.size() / 3) + 1;
  for (const std::string& name : names) {
    // --components for --pca-components, too.
    const bool within = word.size() > 5 && name.find(word.substr(2)) != std::string::npos;
    const size_t distance = within ? 1 : Distance(word, name);
    if (distance < least) {
      nearest = &name;
      least = distance;
    }
  }
  return nearest ? "; did you mean " + *nearest + "?" : "";
}

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> OptionsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string Joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string Explain(const CLI::App& command, const CLI::Error& error) {
  if (!dynamic_cast<const CLI::RequiredError*>(&error) &&
      !dynamic_cast<const CLI::ExtrasError*>(&error)) {
    return error.what();
  }
  // An unknown option is the mistake even where its value was taken for INPUT or OUTPUT, or where
  // these are missing besides.
  const std::vector<std::string> rest = command.remaining();
  for (const std::string& word : rest) {
    if (word.size() < 2 || !word.starts_with('-')) continue;
    const std::string name = word.substr(0, word.find('='));
    return "there is no option " + name + DidYouMean(name, OptionsOf(command));
  }
  const std::vector<std::string> commands = CommandsOf(command);
  if (!commands.empty()) {
    if (rest.empty()) return "name a command: " + Joined(commands);
    return "there is no command " + rest.front() + DidYouMean(rest.front(), commands);
  }
  if (!rest.empty()) {
    return "unexpected argument '" + rest.front() +
           "'; what has spaces or wildcards in it needs quotes";
  }
  return error.what();
}

}  // namespace

std::string ExplainMistake(const CLI::App* root, const CLI::Error& error) {
  const CLI::App* command = root;
  std::string words = root->get_name();
  while (!command->get_subcommands().empty()) {
    command = command->get_subcommands().front();
    words += ' ' + command->get_name();
  }
  return "pomona: " + Printable(Explain(*command, error)) + "\nsee " + words + " --help\n";
}

}  // namespace pomona::cli
