#include "host/rewind.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/text.h"
#include "host/files.h"
#include "host/own_files.h"
#include "host/own_thread.h"
#include "host/supervisor.h"

namespace baton::host {

const std::string_view rewind_source_query =
    "SELECT pg_is_in_recovery(), (SELECT system_identifier FROM pg_control_system()), "
    "(SELECT timeline_id FROM pg_control_checkpoint()), CASE WHEN pg_is_in_recovery() THEN 0 ELSE "
    "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int END";

namespace {

namespace fs = std::filesystem;

/// The first checkpoint of a new primary may be spread over minutes; the manager asks for a fast one.
constexpr auto checkpoint_patience = seconds(15);
constexpr milliseconds checkpoint_look{250};

Error of(Error error, const std::string& who) {
    if (error.who.empty()) error.who = who;
    return error;
}

/// A pid file that nobody lives behind would keep the server from being recovered, when its number belongs to
/// somebody else by now.
Result<void> drop_stale_pid_file(const std::string& data) {
    const auto path = data + "/postmaster.pid";
    const auto text = read_whole(path, 4096);
    if (!text) return {};
    if (const auto file = parse_pid_file(*text)) {
        std::error_code ec;
        const auto home = fs::read_symlink(fmt::format("/proc/{}/cwd", file->pid), ec);
        if (!ec && fs::equivalent(home, data, ec) && !ec)
            return fail(ErrorKind::conflict, fmt::format("process {} still runs in it", file->pid), data);
    }
    ::unlink(path.c_str());
    return {};
}

Result<void> make_standby_signal(const std::string& data) {
    return write_durably(data + "/standby.signal", "");
}

int major_of(const std::string& data) {
    const auto text = read_whole(data + "/PG_VERSION", 64);
    return text ? static_cast<int>(parse_int(trim(*text)).value_or(0)) : 0;
}

class Rewind {
  public:
    Rewind(Tools& tools, const agent::Order& order, const DeedRoom& room)
        : tools_(tools), order_(order), room_(room) {
        deed_.data = tools.instance().data_directory;
        deed_.upstream = order.upstream.text();
    }

    Task<JobEnd> run() {
        began_ = tools_.clock().now();
        const auto before = co_await apart<std::optional<Deed>>([room = room_] { return room.read(); });
        if (before && before->phase == DeedPhase::rewound) {
            deed_ = *before;
        } else {
            auto rewound = co_await rewind(before);
            if (!rewound) co_return co_await failed(of(rewound.error(), deed_.upstream));
        }
        auto finished = co_await apart<Result<void>>([this] { return finish(); });
        if (!finished) co_return JobEnd{finished.error(), false, ""};
        co_return JobEnd{std::nullopt, false, detail()};
    }

  private:
    template <class T>
    Task<T> apart(std::function<T()> work) {
        return on_own_thread<T>(tools_.clock(), std::move(work));
    }

    Task<Result<void>> rewind(const std::optional<Deed>& before) {
        if (auto may = may_begin(before); !may) co_return may;
        if (auto safe = co_await prepare(); !safe) co_return safe;
        if (auto source = co_await check_source(); !source) co_return source;
        if (auto clean = co_await recover(); !clean) co_return clean;
        co_return co_await copy();
    }

    Result<void> may_begin(const std::optional<Deed>& before) {
        if (before) {
            deed_.old = before->old;
            deed_.old_paths = leftovers_of(*before);
        }
        if (before && before->broken()) {
            deed_.damaged = true;
            return fail(ErrorKind::unsupported,
                        "an earlier rewind was interrupted half way: only a clone makes it whole again",
                        deed_.data);
        }
        if (before && before->phase == DeedPhase::swapping)
            return fail(ErrorKind::unsupported, "a clone was interrupted: clone again", deed_.data);
        const auto& programs = tools_.instance().bin_directory;
        if (::access((programs + "/pg_rewind").c_str(), X_OK) != 0)
            return fail(ErrorKind::unsupported, "there is no pg_rewind in it", programs);
        if (tools_.instance().rewind_conninfo.empty()) {
            return fail(ErrorKind::unsupported,
                        "RewindConninfo is not set, so nobody may log in at the source for a rewind",
                        "RewindConninfo");
        }
        return {};
    }

    /// Everything that can be said without the source; the own files are safe afterwards.
    Task<Result<void>> prepare() {
        tools_.report("looking at the data directory");
        // Recovered here, and not as a standby, it would write WAL of its own on the timeline of its source:
        // two histories of one number, which nobody could tell apart any more.
        if (co_await apart<bool>([data = deed_.data] { return mode_of(data + "/backup_label") != 0; })) {
            co_return fail(ErrorKind::unsupported,
                           "it is a copy that never ran: only a standby may begin it; clone again",
                           deed_.data);
        }
        auto control = co_await read_control();
        if (!control) co_return std::unexpected(control.error());
        control_ = *control;
        if (!control_.data_checksums && !control_.wal_log_hints) {
            co_return fail(ErrorKind::unsupported,
                           "neither data checksums nor wal_log_hints: nobody knows what it changed",
                           deed_.data);
        }
        if (control_.state == "in archive recovery" || control_.state == "starting up") {
            co_return fail(ErrorKind::unsupported,
                           "it was a standby that was not stopped in order (" + control_.state + ")",
                           deed_.data);
        }
        co_return co_await apart<Result<void>>([this]() -> Result<void> {
            deed_.mode = mode_of(deed_.data);
            end_strays({deed_.data});
            if (auto stale = drop_stale_pid_file(deed_.data); !stale) return stale;
            if (auto made = room_.make(); !made) return made;
            if (auto kept = keep_own_files(deed_.data, room_.own_files()); !kept)
                return std::unexpected(kept.error());
            return room_.write(deed_);
        });
    }

    Task<Result<agent::ControlData>> read_control() {
        const auto shown = co_await tools_.run("pg_controldata", {"-D", deed_.data});
        if (!shown) co_return std::unexpected(shown.error());
        auto control = parse_control_data(shown->text);
        if (!control) co_return fail(ErrorKind::unsupported, control.error().message, deed_.data);
        co_return *control;
    }

    Task<Result<void>> check_source() {
        auto conninfo = Conninfo::parse(tools_.instance().rewind_conninfo);
        if (!conninfo) co_return std::unexpected(of(conninfo.error(), "RewindConninfo"));
        conninfo->lead_to(order_.upstream);
        if (conninfo->get("dbname").empty()) conninfo->set("dbname", "postgres");
        conninfo->set("application_name", "baton_rewind");
        auto safe = co_await apart<Result<std::shared_ptr<SafeConninfo>>>(
            [conninfo = *conninfo, file = room_.pass_file()]() -> Result<std::shared_ptr<SafeConninfo>> {
                auto made = SafeConninfo::make(conninfo, file);
                if (!made) return std::unexpected(made.error());
                return std::make_shared<SafeConninfo>(std::move(*made));
            });
        if (!safe) co_return std::unexpected(safe.error());
        conninfo_ = *safe;
        const auto until = tools_.clock().now() + checkpoint_patience;
        for (;;) {
            const auto row = co_await tools_.query(conninfo_->text(), std::string(rewind_source_query));
            if (!row) co_return std::unexpected(row.error());
            const auto source = parse_rewind_source(*row);
            if (!source) co_return std::unexpected(source.error());
            if (auto good = judge(*source); !good) co_return good;
            if (!awaits_checkpoint(*source)) co_return Result<void>{};
            if (tools_.clock().now() >= until) break;
            tools_.report("waiting for the first checkpoint of " + deed_.upstream);
            co_await tools_.clock().sleep_for(checkpoint_look);
        }
        co_return fail(ErrorKind::conflict,
                       "its first checkpoint since its promotion has not ended; a CHECKPOINT there helps");
    }

    Result<void> judge(const RewindSource& source) const {
        if (source.in_recovery) return fail(ErrorKind::conflict, "is a standby; rewind from a primary");
        if (source.system_identifier != control_.system_identifier) {
            return fail(ErrorKind::refused_by_policy,
                        fmt::format("is another database (system identifier {}, here {})",
                                    source.system_identifier, control_.system_identifier));
        }
        return {};
    }

    /// pg_rewind needs a server that was stopped in order. Its own way to get there takes no ConfigFile
    /// before PostgreSQL 15, so it is done here for all.
    Task<Result<void>> recover() {
        const bool clean = control_.shut_down() || control_.state == "shut down in recovery";
        if (clean) co_return Result<void>{};
        tools_.report("recovering from the crash");
        co_await apart<bool>([this] {
            had_signal_ = ::unlink((deed_.data + "/standby.signal").c_str()) == 0;
            return true;
        });
        std::vector<std::string> arguments = {"--single", "-D", deed_.data};
        add_config_file(arguments);
        arguments.emplace_back("template1");
        const auto done = co_await tools_.run("postgres", arguments);
        if (!done) co_return std::unexpected(done.error());
        if (!done->ok) {
            co_return fail(ErrorKind::unsupported,
                           "its crash recovery failed: " + why_rewind_failed(done->lines).message,
                           deed_.data);
        }
        const auto control = co_await read_control();
        if (!control) co_return std::unexpected(control.error());
        control_ = *control;
        co_return Result<void>{};
    }

    void add_config_file(std::vector<std::string>& arguments) const {
        if (const auto file = config_file_of(tools_.instance()); !file.empty()) {
            arguments.emplace_back("-c");
            arguments.push_back("config_file=" + file);
        }
    }

    Task<bool> has_restore_command() {
        std::vector<std::string> arguments = {"-D", deed_.data, "-C", "restore_command"};
        add_config_file(arguments);
        const auto shown = co_await tools_.run("postgres", arguments);
        co_return shown && shown->ok && !trim(shown->text).empty();
    }

    Task<std::vector<std::string>> rewind_arguments() {
        std::vector<std::string> arguments = {"--target-pgdata=" + deed_.data,
                                              "--source-server=" + conninfo_->text(), "--progress",
                                              "--no-ensure-shutdown"};
        const auto file = config_file_of(tools_.instance());
        const int major = co_await apart<int>([data = deed_.data] { return major_of(data); });
        // Before PostgreSQL 15 it looks for restore_command in the data directory only.
        const bool finds_settings = file.empty() || major >= 15;
        if (finds_settings && co_await has_restore_command()) arguments.emplace_back("--restore-target-wal");
        if (!file.empty() && major >= 15) arguments.push_back("--config-file=" + file);
        co_return arguments;
    }

    Task<Result<void>> copy() {
        const auto arguments = co_await rewind_arguments();
        deed_.phase = DeedPhase::rewinding;
        auto sealed = co_await apart<Result<void>>([this]() -> Result<void> {
            if (auto written = room_.write(deed_); !written) return written;
            seal(deed_.data);
            return {};
        });
        if (!sealed) co_return sealed;
        tools_.report("rewinding");
        const auto count = [this](const CopyProgress& seen) { copied_ = seen.done_bytes; };
        const auto done = co_await tools_.run("pg_rewind", arguments, {"copying", count});
        if (!done) co_return std::unexpected(done.error());
        if (!done->ok) {
            unchanged_ = !rewind_had_begun(done->lines);
            co_return std::unexpected(why_rewind_failed(done->lines));
        }
        needless_ = done->lines.contains("no rewind required");
        divergence_ = find_divergence(done->lines);
        deed_.phase = DeedPhase::rewound;
        co_return co_await apart<Result<void>>([this] { return room_.write(deed_); });
    }

    /// The directory gets its own files again, and the seal is taken off last. It must not become a primary
    /// by whoever starts it now.
    Result<void> finish() {
        if (auto marked = make_standby_signal(deed_.data); !marked) return marked;
        if (auto put = put_own_files(room_.own_files(), deed_.data); !put)
            return std::unexpected(put.error());
        unseal(deed_.data, deed_.mode);
        room_.close(deed_);
        return {};
    }

    Task<JobEnd> failed(Error error) {
        conninfo_.reset();
        const bool untouched = !deed_.broken() || unchanged_;
        if (untouched && deed_.mode != 0) {
            co_await apart<bool>([this] {
                if (had_signal_) [[maybe_unused]]
                    const auto marked = make_standby_signal(deed_.data);
                unseal(deed_.data, deed_.mode);
                room_.close(deed_);
                return true;
            });
        }
        co_return JobEnd{std::move(error), untouched, ""};
    }

    std::string detail() const {
        const auto took = tools_.clock().now() - began_;
        if (needless_) return "there was nothing to rewind";
        auto text =
            fmt::format("{} in {:.1f} s", bytes_text(copied_), static_cast<double>(to_ms(took)) / 1000);
        if (divergence_) {
            text += fmt::format(
                ", {} past the fork at {} were dropped",
                bytes_text(static_cast<int64_t>(topology::bytes_ahead(control_.checkpoint, divergence_->at))),
                divergence_->at.text());
        }
        return text;
    }

    Tools& tools_;
    const agent::Order& order_;
    DeedRoom room_;
    Deed deed_;
    agent::ControlData control_;
    std::shared_ptr<SafeConninfo> conninfo_;
    MonoTime began_;
    int64_t copied_ = 0;
    bool had_signal_ = false;
    bool unchanged_ = false;  ///< pg_rewind ended before it changed anything
    bool needless_ = false;
    std::optional<Divergence> divergence_;
};

}  // namespace

Result<RewindSource> parse_rewind_source(const std::vector<std::string>& row) {
    const auto number = [&](size_t at) { return at < row.size() ? parse_uint(row[at]) : std::nullopt; };
    const auto control = number(2), live = number(3);
    if (row.size() != 4 || !control || !live)
        return fail(ErrorKind::sql, "its answer cannot be read: " + printable(join(row, "|")));
    return RewindSource{row[0] == "t", row[1], static_cast<topology::Timeline>(*control),
                        static_cast<topology::Timeline>(*live)};
}

Task<JobEnd> rewind_directory(Tools& tools, const agent::Order& order, const DeedRoom& room) {
    Rewind job(tools, order, room);
    co_return co_await job.run();
}

}  // namespace baton::host
