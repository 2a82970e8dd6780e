// pomona version
#include "pomona/version.h"

#include <string>

#include "command.h"
#include "output.h"
#include "pomona/cpu.h"
#include "pomona/device.h"

namespace pomona::cli {

void AddVersionCommand(CLI::App& app, Action* action) {
  app.add_subcommand("version", "Version, build, CPU features and libraries")->callback([action] {
    *action = []() -> arrow::Result<ExitCode> {
      Print(std::string("pomona ") + kVersion);
      Print("build " POMONA_BUILD_TYPE ", GCC " __VERSION__);
      Print("cpu " + std::string(CpuName(*ResolveCpu(Cpu::kBest))));
      const DeviceList devices = ListDevices();
      for (const DeviceInfo& each : devices.devices) {
        Print("device " + each.id + ", " + each.name + ", " + each.driver + ", " +
              std::to_string(each.memory >> 20) + " MiB");
      }
      for (const std::string& missing : devices.missing) Print("device none: " + missing);
      for (const auto& [library, version] : LibraryVersions()) Print(library + ' ' + version);
      return ExitCode::kComplete;
    };
  });
}

}  // namespace pomona::cli
