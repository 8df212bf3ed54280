#pragma once

#include <memory>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/subprocess.h"
#include "host/file_look.h"
#include "host/files.h"
#include "host/guard.h"
#include "host/options.h"

namespace baton::host {

/// One PostgreSQL server of this host: its processes, its programs and its files. It decides nothing.
/// Agent's thread.
class Postgres {
  public:
    Postgres(Clock& clock, ProcessRunner& processes, const InstanceOptions& options, std::string log_file);

    // ---- looking
    /// Reads postmaster.pid, /proc and whether there is a standby.signal: microseconds while it runs; a look
    /// through all of /proc when its postmaster has ended.
    Sight look();
    /// While a rewind or a clone has the directory: a postmaster runs there all the same. What those start
    /// themselves is none.
    bool intruded();
    /// At the last look a file was missing without which nothing starts or rewinds.
    bool damaged() const { return damaged_; }
    /// What postmaster.pid said at the last look.
    const std::optional<PidFile>& pid_file() const { return pid_file_; }
    /// A pidfd of the postmaster that the last look saw; -1 when there is none. The caller closes it.
    int open_pidfd() const;
    /// pg_controldata.
    Task<Result<agent::ControlData>> control_data();
    /// Of the programs, "15.18".
    Task<Result<std::string>> version();
    /// Does the postmaster answer a new connection? Error timeout: it was connected and says nothing. Others:
    /// it is not known (nobody listens, no socket).
    Task<Result<void>> probe(Duration limit);

    // ---- signals
    size_t signal_all(int signal) const;
    /// To the postmaster of the last look; false when there is none.
    bool signal_postmaster(int signal) const;

    // ---- programs. start() is for when no process is left. They return when the program has ended; whether
    // the server has is seen by looking.
    Task<Result<void>> start();
    /// `mode` as pg_ctl has it.
    Task<Result<void>> stop(const std::string& mode);
    Task<Result<void>> promote();
    Result<void> reload() const;

    /// It was started through its unit, which has something to do before that or waits for its turn.
    Task<bool> begins_yet();

    // ---- files
    /// primary_conninfo with host and port of `upstream` and everything else as it was (ReplicationConninfo
    /// where there was none), primary_slot_name, standby.signal. Durable when it returns.
    Result<void> write_standby(const InstanceKey& upstream, const std::string& slot) const;
    /// The end of what the server printed, in one line, for a start that failed.
    std::string last_words() const;
    /// The same, and what systemd says of its unit.
    Task<std::string> why_down();
    /// What of the unit or of Debian's start.conf is in the agent's way, a sentence; "" = nothing.
    Task<std::string> in_the_way();

    const InstanceOptions& options() const { return options_; }

  private:
    Task<Result<std::string>> run(std::vector<std::string> argv, Duration timeout);
    std::string program(std::string_view name) const;
    std::vector<std::string> start_arguments() const;
    Result<std::string> old_conninfo() const;
    Task<void> bury();
    bool doomed(int pid);

    Clock& clock_;
    ProcessRunner& processes_;
    InstanceOptions options_;
    std::string directory_;  ///< real path, as /proc shows it
    std::string log_file_;
    std::optional<PidFile> pid_file_;
    std::optional<PidFile> last_pid_file_;  ///< of the last one that there was
    /// Shared with the copies that write on threads of their own; those do not look.
    std::shared_ptr<FileLook> files_;
    bool damaged_ = false;
    /// Its id and start, when it was found to be doomed: it stays so while it ends.
    std::set<std::pair<int, uint64_t>> doomed_;
    int known_pid_ = 0;  ///< of a postmaster that was found to be one
    uint64_t known_start_ = 0;
    /// The look through /proc when postmaster.pid named this (0: nobody) found nobody, and no postmaster
    /// since.
    std::optional<int> clean_for_;
};

}  // namespace baton::host
