#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/subprocess.h"
#include "host/conninfo.h"
#include "host/jobs.h"
#include "host/options.h"
#include "host/program_output.h"

namespace baton::host {

struct ToolOutput {
    bool ok = false;
    int exit_code = 0;
    OutputLines lines;
    std::string text;  ///< its beginning, at most 64 KiB
};

/// Runs PostgreSQL's programs for one job: from BinDirectory, with English messages, within the job's
/// deadline, ended when the job is cancelled. Agent's thread.
class Tools {
  public:
    Tools(Clock& clock, ProcessRunner& processes, const InstanceOptions& instance, JobControl& control)
        : clock_(clock), processes_(processes), instance_(instance), control_(control) {}

    /// Reports the bytes that the program tells, under this phase.
    struct Watch {
        std::string phase;
        std::function<void(const CopyProgress&)> progress;
    };
    /// Errors: cancelled, timeout, io (cannot be started). A program that fails is a result.
    Task<Result<ToolOutput>> run(std::string program, std::vector<std::string> arguments, Watch watch = {});
    /// One row of psql, split at its columns. `conninfo` must have no password (see PassFile).
    Task<Result<std::vector<std::string>>> query(std::string conninfo, std::string sql);
    void report(std::string phase) const;
    /// Ends the program that runs, which then fails with this.
    void end_program(Error why);
    /// Removes files and directories with all that is in them. Error io.
    Task<Result<void>> remove(std::vector<std::string> paths);
    /// Error cancelled or timeout, when it must end now.
    Result<void> may_go_on() const;

    Clock& clock() const { return clock_; }
    const InstanceOptions& instance() const { return instance_; }

  private:
    Clock& clock_;
    ProcessRunner& processes_;
    const InstanceOptions& instance_;
    JobControl& control_;
    int group_ = 0;
    std::optional<Error> ended_;
};

/// A connection string for an argument list: the password, if it has one, lies in a file that only its owner
/// may read, and that goes with the object.
class SafeConninfo {
  public:
    /// Error io: the file cannot be written. Blocks.
    static Result<SafeConninfo> make(Conninfo conninfo, const std::string& pass_file);
    SafeConninfo(SafeConninfo&& other) noexcept;
    SafeConninfo& operator=(SafeConninfo&&) = delete;
    ~SafeConninfo();
    const std::string& text() const { return text_; }

  private:
    SafeConninfo(std::string text, std::string pass_file)
        : text_(std::move(text)), pass_file_(std::move(pass_file)) {}

    std::string text_;
    std::string pass_file_;
};

/// Ends pg_rewind, pg_basebackup and rm that work on one of these paths: an agent that was killed leaves them
/// behind. Blocks for at most a second.
void end_strays(const std::vector<std::string>& paths);

/// Bytes that may be written there by us, and how many there are; nothing when it cannot be told. Blocks.
struct Space {
    int64_t free_bytes = 0;
    int64_t total_bytes = 0;
};
std::optional<Space> space_of(const std::string& path);

/// "3.2 GB"
std::string bytes_text(int64_t bytes);

}  // namespace baton::host
