#include "host/clone.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/text.h"
#include "host/clone_layout.h"
#include "host/files.h"
#include "host/own_files.h"
#include "host/own_thread.h"
#include "host/rewind.h"
#include "host/supervisor.h"
#include "host/swap.h"

namespace baton::host {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view tablespace_query =
    "SELECT oid || '|' || pg_tablespace_location(oid) FROM pg_tablespace WHERE pg_tablespace_location(oid) "
    "<> ''";
constexpr std::string_view in_place_hint =
    "; CloneInPlace lets the old data directory be removed first (there is no way back then)";

std::string real_path(const std::string& path) {
    std::error_code ec;
    const auto real = fs::weakly_canonical(path, ec);
    return ec ? path : real.string();
}

bool on_own_file_system(const std::string& path) {
    struct ::stat own{}, above{};
    return ::stat(path.c_str(), &own) == 0 && ::stat((path + "/..").c_str(), &above) == 0 &&
           own.st_dev != above.st_dev;
}

/// primary_conninfo as the server would read it: ALTER SYSTEM's file counts more.
std::string primary_conninfo_in(const std::vector<std::string>& files) {
    for (const auto& file : files) {
        const auto text = read_whole(file);
        const auto value = text ? read_setting(*text, "primary_conninfo") : std::nullopt;
        if (value && !trim(*value).empty()) return *value;
    }
    return {};
}

class Clone {
  public:
    Clone(Tools& tools, const agent::Order& order, const DeedRoom& room)
        : tools_(tools), order_(order), room_(room) {}

    Task<JobEnd> run() {
        began_ = tools_.clock().now();
        const auto before = co_await apart<std::optional<Deed>>([this] {
            auto deed = room_.read();
            never_ran_ = deed && mode_of(deed->data + "/backup_label") != 0;
            return deed;
        });
        auto copied = may_resume(before) ? resume(*before) : co_await copy(before);
        if (!copied) co_return failed(copied.error());
        auto swapped = co_await apart<Result<void>>([this] { return swap(); });
        if (!swapped) co_return JobEnd{swapped.error(), false, ""};
        const auto took = static_cast<double>(to_ms(tools_.clock().now() - began_)) / 1000;
        co_return JobEnd{std::nullopt, false, fmt::format("{} in {:.1f} s", bytes_text(copied_), took)};
    }

  private:
    template <class T>
    Task<T> apart(std::function<T()> work) {
        return on_own_thread<T>(tools_.clock(), std::move(work));
    }

    /// The copy was whole when the agent was killed: it is as good as a new one, if it is of the same source.
    bool may_resume(const std::optional<Deed>& before) const {
        if (!before || before->upstream != order_.upstream.text()) return false;
        return before->phase == DeedPhase::copied || before->phase == DeedPhase::swapping ||
               (before->phase == DeedPhase::swapped && never_ran_);
    }
    Result<void> resume(const Deed& before) {
        deed_ = before;
        return {};
    }

    Task<Result<void>> copy(const std::optional<Deed>& before) {
        tools_.report("preparing");
        auto begun = co_await apart<Result<void>>([this, before] { return begin(before); });
        if (!begun) co_return begun;
        if (auto gone = co_await tools_.remove(garbage_); !gone) co_return gone;
        if (auto login = co_await log_in(); !login) co_return login;
        if (auto planned = co_await plan(); !planned) co_return planned;
        if (in_place_) {
            if (auto emptied = co_await empty_data(); !emptied) co_return emptied;
        }
        auto done = co_await base_backup();
        if (!done && short_of_space_ && tools_.instance().clone_in_place && !in_place_)
            done = co_await again_in_place();
        if (!done) co_return done;
        tools_.report("putting its own files in");
        co_return co_await apart<Result<void>>([this] { return complete(); });
    }

    // ---- before the copy

    Result<void> begin(const std::optional<Deed>& before) {
        deed_.phase = DeedPhase::copying;
        deed_.upstream = order_.upstream.text();
        deed_.data = real_path(tools_.instance().data_directory);
        deed_.mode = mode_of(deed_.data);
        deed_.fresh = deed_.data + ".clone";
        if (before) take_over(*before);
        end_strays({tools_.instance().data_directory, deed_.data, deed_.fresh});
        garbage_.push_back(deed_.fresh);
        if (on_own_file_system(deed_.data)) {
            if (!tools_.instance().clone_in_place) {
                return fail(
                    ErrorKind::refused_by_policy,
                    "is a mount point, so that no copy can be made beside it" + std::string(in_place_hint),
                    deed_.data);
            }
            in_place_ = true;
        }
        if (auto made = room_.make(); !made) return made;
        if (!deed_.damaged && deed_.mode != 0) {
            if (auto kept = keep_if_any(); !kept) return kept;
        }
        return room_.write(deed_);
    }

    void take_over(const Deed& before) {
        deed_.damaged = before.broken();
        if (before.mode != 0) deed_.mode = mode_of(deed_.data) != 0 ? before.mode : 0;
        // Of earlier clones: the former directory is older than the one that is replaced now.
        garbage_ = leftovers_of(before);
        if (!before.old.empty()) garbage_.push_back(before.old);
    }

    /// A directory that has lost its configuration must not replace what was remembered of it.
    Result<void> keep_if_any() {
        const bool external = !config_file_of(tools_.instance()).empty();
        struct ::stat found{};
        if (!external && ::stat((deed_.data + "/postgresql.conf").c_str(), &found) != 0) return {};
        auto kept = keep_own_files(deed_.data, room_.own_files());
        if (!kept) return std::unexpected(kept.error());
        return {};
    }

    Task<Result<void>> log_in() {
        const auto config = config_file_of(tools_.instance());
        const std::vector<std::string> files = {room_.own_files() + "/postgresql.auto.conf",
                                                room_.own_files() + "/postgresql.conf", config};
        auto text = co_await apart<std::string>([files] { return primary_conninfo_in(files); });
        if (text.empty()) text = tools_.instance().replication_conninfo;
        if (text.empty()) {
            co_return fail(ErrorKind::invalid_argument,
                           "there is no primary_conninfo in the data directory, and ReplicationConninfo is "
                           "not set: nobody to log in as for the copy",
                           "ReplicationConninfo");
        }
        auto conninfo = Conninfo::parse(text);
        if (!conninfo) co_return std::unexpected(conninfo.error());
        conninfo->lead_to(order_.upstream);
        conninfo->remove("dbname");
        // Under the standby's own name it could count as a synchronous standby.
        conninfo->set("application_name", "baton_clone");
        auto safe = co_await apart<Result<std::shared_ptr<SafeConninfo>>>(
            [conninfo = *conninfo, file = room_.pass_file()]() -> Result<std::shared_ptr<SafeConninfo>> {
                auto made = SafeConninfo::make(conninfo, file);
                if (!made) return std::unexpected(made.error());
                return std::make_shared<SafeConninfo>(std::move(*made));
            });
        if (!safe) co_return std::unexpected(safe.error());
        conninfo_ = *safe;
        co_return Result<void>{};
    }

    Task<Result<void>> plan() {
        const auto own = co_await apart<Layout>([data = deed_.data] { return layout_of(data); });
        const auto source = co_await source_tablespaces(own);
        const auto outside = co_await apart<OutsidePlan>([own, source] { return plan_outside(own, source); });
        outside_arguments_ = outside.arguments;
        deed_.fresh_paths = outside.fresh_paths;
        deed_.old_paths = outside.old_paths;
        co_return co_await apart<Result<void>>([this]() -> Result<void> {
            free_ = space_of(deed_.data.substr(0, deed_.data.rfind('/')));
            deed_.old = deed_.mode == 0 || in_place_ ? "" : free_name(deed_.data, ".old-");
            return room_.write(deed_);
        });
    }

    /// Asked with the login for rewinds, else with that for replication; where neither gets in, they are
    /// where they are here.
    Task<std::vector<Tablespace>> source_tablespaces(const Layout& own) {
        auto rewinder = Conninfo::parse(tools_.instance().rewind_conninfo);
        std::string login = conninfo_->text() + " dbname=postgres";
        std::optional<SafeConninfo> safe;
        if (rewinder && !rewinder->empty()) {
            rewinder->lead_to(order_.upstream);
            if (rewinder->get("dbname").empty()) rewinder->set("dbname", "postgres");
            if (auto made = SafeConninfo::make(*rewinder, room_.pass_file() + "-2")) {
                safe.emplace(std::move(*made));
                login = safe->text();
            }
        }
        const auto asked = co_await tools_.run(
            "psql", {"-X", "-A", "-t", "-q", "-w", "-d", login, "-c", std::string(tablespace_query)});
        if (asked && asked->ok) co_return parse_tablespaces(asked->text);
        auto guessed = own.tablespaces;
        for (auto& tablespace : guessed)
            tablespace.location = without_clone_suffix(tablespace.location);
        co_return guessed;
    }

    // ---- the copy

    Task<Result<void>> base_backup() {
        std::vector<std::string> arguments = {"--pgdata=" + deed_.fresh,
                                              "--format=plain",
                                              "--progress",
                                              "--checkpoint=fast",
                                              "--wal-method=stream",
                                              "--no-password",
                                              "--label=baton clone",
                                              "--dbname=" + conninfo_->text()};
        if (!order_.slot.empty()) arguments.push_back("--slot=" + order_.slot);
        if (order_.maximum_rate_kbps > 0)
            arguments.push_back("--max-rate=" + max_rate_argument(order_.maximum_rate_kbps));
        arguments.insert(arguments.end(), outside_arguments_.begin(), outside_arguments_.end());
        tools_.report("waiting for a checkpoint of " + deed_.upstream);
        const auto done = co_await tools_.run("pg_basebackup", arguments,
                                              {"copying", [this](const CopyProgress& seen) { watch(seen); }});
        if (!done) co_return std::unexpected(done.error());
        if (!done->ok) {
            auto error = why_clone_failed(done->lines);
            error.who = deed_.upstream;
            // A small one may be copied before its size was told.
            short_of_space_ = done->lines.contains("No space left on device");
            co_return std::unexpected(std::move(error));
        }
        co_return Result<void>{};
    }

    /// The first line of progress tells how much there is: the copy ends there when it would not fit.
    void watch(const CopyProgress& seen) {
        copied_ = seen.done_bytes;
        if (std::exchange(measured_, true) || !free_) return;
        const auto needed = space_needed(seen.total_bytes);
        if (free_->free_bytes >= needed) return;
        short_of_space_ = true;
        const auto hint = in_place_ || tools_.instance().clone_in_place ? std::string_view() : in_place_hint;
        tools_.end_program({ErrorKind::io,
                            fmt::format("there is no room for a copy of {}: {} are needed, {} are free{}",
                                        bytes_text(seen.total_bytes), bytes_text(needed),
                                        bytes_text(free_->free_bytes), hint),
                            deed_.data, ""});
    }

    Task<Result<void>> again_in_place() {
        if (auto gone = co_await tools_.remove({deed_.fresh}); !gone) co_return gone;
        if (auto gone = co_await tools_.remove(deed_.fresh_paths); !gone) co_return gone;
        in_place_ = true;
        if (auto emptied = co_await empty_data(); !emptied) co_return emptied;
        co_return co_await base_backup();
    }

    /// From here on only the copy makes the data directory whole again.
    Task<Result<void>> empty_data() {
        tools_.report("removing the old data directory");
        short_of_space_ = false;
        measured_ = false;
        auto children = co_await apart<Result<std::vector<std::string>>>([this] { return give_up_data(); });
        if (!children) co_return std::unexpected(children.error());
        children->insert(children->end(), deed_.old_paths.begin(), deed_.old_paths.end());
        if (auto gone = co_await tools_.remove(*children); !gone) co_return gone;
        deed_.old_paths.clear();
        co_return co_await apart<Result<void>>([this]() -> Result<void> {
            free_ = space_of(deed_.data);
            return room_.write(deed_);
        });
    }

    Result<std::vector<std::string>> give_up_data() {
        deed_.damaged = true;
        deed_.fresh = deed_.data;
        deed_.old.clear();
        if (auto written = room_.write(deed_); !written) return std::unexpected(written.error());
        seal(deed_.data);
        std::vector<std::string> children;
        std::error_code ec;
        for (const auto& entry : fs::directory_iterator(deed_.data, ec))
            children.push_back(entry.path().string());
        if (ec) return fail(ErrorKind::io, ec.message(), deed_.data);
        return children;
    }

    // ---- after the copy

    /// Own files, and the mark of a standby: whoever starts it must not make a second primary.
    Result<void> complete() {
        if (auto marked = write_durably(deed_.fresh + "/standby.signal", ""); !marked) return marked;
        std::error_code ec;
        fs::remove(deed_.fresh + "/.baton-probe", ec);
        const bool kept = fs::is_directory(room_.own_files(), ec);
        if (kept) {
            if (auto put = put_own_files(room_.own_files(), deed_.fresh); !put)
                return std::unexpected(put.error());
        } else if (auto own = set_own_port(); !own) {
            return own;
        }
        if (auto synced = sync_directory(deed_.fresh.substr(0, deed_.fresh.rfind('/'))); !synced)
            return synced;
        deed_.phase = DeedPhase::copied;
        return room_.write(deed_);
    }

    /// Nothing is known of its own configuration: it has the source's, but not its port.
    Result<void> set_own_port() {
        if (!config_file_of(tools_.instance()).empty()) return {};
        const auto path = deed_.fresh + "/postgresql.auto.conf";
        const auto text = read_whole(path);
        return write_durably(
            path, with_setting(text.value_or(""), "port", std::to_string(tools_.instance().key.port)));
    }

    Result<void> swap() {
        if (deed_.fresh != deed_.data) {
            deed_.phase = DeedPhase::swapping;
            if (auto written = room_.write(deed_); !written) return written;
            if (auto swapped = swap_directories(deed_); !swapped) return swapped;
        }
        unseal(deed_.data, 0);
        room_.close(deed_);
        return {};
    }

    JobEnd failed(Error error) {
        conninfo_.reset();
        const bool untouched = !deed_.damaged;
        return JobEnd{std::move(error), untouched, ""};
    }

    Tools& tools_;
    const agent::Order& order_;
    DeedRoom room_;
    Deed deed_;
    std::shared_ptr<SafeConninfo> conninfo_;
    std::vector<std::string> garbage_;
    std::vector<std::string> outside_arguments_;
    std::optional<Space> free_;
    MonoTime began_;
    int64_t copied_ = 0;
    bool never_ran_ = false;  ///< the data directory is a copy that was put there, and not started
    bool in_place_ = false;
    bool measured_ = false;
    bool short_of_space_ = false;
};

}  // namespace

Task<JobEnd> clone_directory(Tools& tools, const agent::Order& order, const DeedRoom& room) {
    Clone job(tools, order, room);
    co_return co_await job.run();
}

Task<Result<void>> drop_former(Tools& tools, const DeedRoom& room) {
    const auto deed =
        co_await on_own_thread<std::optional<Deed>>(tools.clock(), [room] { return room.read(); });
    if (!deed || deed->phase != DeedPhase::swapped) co_return Result<void>{};
    auto paths = deed->old_paths;
    paths.push_back(deed->old);
    if (auto gone = co_await tools.remove(paths); !gone) co_return gone;
    co_return co_await on_own_thread<Result<void>>(tools.clock(), [room]() -> Result<void> {
        room.clear();
        return {};
    });
}

int64_t space_needed(int64_t total_bytes) {
    constexpr int64_t reserve = 64LL * 1024 * 1024;
    return total_bytes + total_bytes / 50 + reserve;
}

std::string max_rate_argument(int64_t kbps) {
    return std::to_string(std::clamp<int64_t>(kbps, 32, 1048576));
}

std::string mapping_argument(const std::string& from, const std::string& to) {
    std::string out;
    for (const auto* path : {&from, &to}) {
        if (path == &to) out += '=';
        for (const char c : *path)
            out.append(c == '=' ? "\\=" : std::string(1, c));
    }
    return out;
}

}  // namespace baton::host
