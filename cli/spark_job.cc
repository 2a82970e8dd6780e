// pomona spark-job: where the job for spark-submit is.
#include <filesystem>

#include "command.h"
#include "output.h"

namespace pomona::cli {

void AddSparkJobCommand(CLI::App& app, Action* action) {
  app.add_subcommand("spark-job", "Print the path of the job for spark-submit")->callback([action] {
    *action = []() -> arrow::Result<ExitCode> {
      std::error_code error;
      const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
      const std::filesystem::path job = program.parent_path() / "spark_job.py";
      if (!std::filesystem::exists(job, error)) {
        return arrow::Status::IOError("there is no ", job.string(),
                                      ": the job comes with the Python package (pip install)");
      }
      PrintExactly(job.string());  // for a shell's $(...)
      return ExitCode::kComplete;
    };
  });
}

}  // namespace pomona::cli
