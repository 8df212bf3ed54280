#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "topology/wal.h"

/// What pg_rewind and pg_basebackup say on their way, with LC_ALL=C. Pure.
namespace baton::host {

/// "  1234/5678 kB (21%) copied", "1234/5678 kB (21%), 0/1 tablespace".
struct CopyProgress {
    int64_t done_bytes = 0;
    int64_t total_bytes = 0;
    bool operator==(const CopyProgress&) const = default;
};
std::optional<CopyProgress> parse_copy_progress(std::string_view line);

/// Cuts what arrives in pieces into lines, at \n and \r; keeps the last ones that are no progress.
class OutputLines {
  public:
    static constexpr size_t most_lines = 30;
    static constexpr size_t longest_line = 1000;

    explicit OutputLines(std::function<void(const CopyProgress&)> progress = nullptr)
        : progress_(std::move(progress)) {}
    void add(std::string_view piece);
    /// The end has come: what has no end of line is a line, too.
    void finish() { end_line(); }
    const std::deque<std::string>& lines() const { return lines_; }
    bool contains(std::string_view text) const;

  private:
    void end_line();

    std::function<void(const CopyProgress&)> progress_;
    std::string open_;
    std::deque<std::string> lines_;
};

/// Bytes a second of the last ten seconds.
class CopyRate {
  public:
    int64_t add(MonoTime now, int64_t done_bytes);

  private:
    std::deque<std::pair<MonoTime, int64_t>> seen_;
};

/// Where pg_rewind found that the two went apart.
struct Divergence {
    topology::Lsn at;
    topology::Timeline timeline = 0;
    bool operator==(const Divergence&) const = default;
};
std::optional<Divergence> find_divergence(const OutputLines& output);

/// pg_rewind had begun to change files (it says what it will copy right before).
bool rewind_had_begun(const OutputLines& output);

/// Why it failed. Kind unsupported: this server cannot be rewound, and a clone can do it; others
/// (unreachable, authentication, privilege, io, …) may pass by.
Error why_rewind_failed(const OutputLines& output);
Error why_clone_failed(const OutputLines& output);
/// A failed psql. Kinds as of a connection.
Error why_query_failed(const OutputLines& output);

}  // namespace baton::host
