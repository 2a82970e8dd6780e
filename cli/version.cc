// pomona version
#include "pomona/version.h"

#include <cstdio>
#include <string>

#include "command.h"
#include "pomona/cpu.h"

namespace pomona::cli {

void AddVersionCommand(CLI::App& app, Action* action) {
  app.add_subcommand("version", "Version, build, CPU features and libraries")->callback([action] {
    *action = []() -> arrow::Result<ExitCode> {
      std::printf("pomona %s\n", kVersion);
      std::printf("build %s, GCC %s\n", POMONA_BUILD_TYPE, __VERSION__);
      std::printf("cpu %s\n", std::string(CpuName(CpuInUse())).c_str());
      for (const auto& [library, version] : LibraryVersions()) {
        std::printf("%s %s\n", library.c_str(), version.c_str());
      }
      return ExitCode::kComplete;
    };
  });
}

}  // namespace pomona::cli
