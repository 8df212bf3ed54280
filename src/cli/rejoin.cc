// Servers that come back: the command begins it, and then tells how it goes on until it has ended.
#include <fmt/format.h>

#include "cli/modern_special.h"
#include "cli/modern_view.h"
#include "cli/route.h"

namespace baton::cli::special {
namespace {

constexpr milliseconds ask_every{500};
/// A manager that is restarted is waited for.
constexpr int failures_in_a_row_max = 60;

std::string with_query(std::string path, std::string_view name, std::string_view value) {
    path += path.find('?') == std::string::npos ? '?' : '&';
    return path.append(name).append("=").append(percent_encode(value));
}

std::string from_text(const Options& options) {
    const auto from = parse_endpoint(options.from, options.default_port);
    const bool v6 = from.host.find(':') != std::string::npos;
    return (v6 ? "[" + from.host + "]" : from.host) + ":" + from.port;
}

std::string bytes_text(int64_t bytes) {
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

std::string progress_text(const json::value& v) {
    auto text = text_of(v, "Doing");
    const auto& job = member(v, "Job");
    if (job.is_null()) return text;
    text += ": " + text_of(job, "Phase");
    const auto total = number_of(member(job, "TotalBytes"));
    const auto done = number_of(member(job, "DoneBytes"));
    if (total > 0) {
        text += fmt::format(", {} of {} ({}%)", bytes_text(done), bytes_text(total),
                            std::min<int64_t>(100, done * 100 / total));
    }
    if (const auto rate = number_of(member(job, "BytesPerSecond")); rate > 0)
        text += fmt::format(", {}/s", bytes_text(rate));
    if (const auto& eta = member(job, "EtaSeconds"); !eta.is_null())
        text += fmt::format(", {} s left", number_of(eta));
    return text;
}

std::string loss_text(const json::value& v) {
    const auto& bytes = member(v, "BytesPastFork");
    if (bytes.is_null()) return {};
    std::string text = fmt::format("  past the fork: {} bytes", number_of(bytes));
    if (const auto& commits = member(v, "CommitsPastFork"); !commits.is_null())
        text += fmt::format(", {} commits", number_of(commits));
    return text + "\n";
}

std::string plan_view(const Answer& answer, const ModernCall& call) {
    const auto& v = answer.content();
    auto text = fmt::format("{}: {}\n", call.paint(Tone::strong, text_of(v, "Way")), text_of(v, "Why"));
    if (const auto upstream = text_of(v, "Upstream"); !upstream.empty()) {
        text += "  upstream: " + upstream;
        if (const auto slot = text_of(v, "Slot"); !slot.empty()) text += ", slot " + slot;
        text += "\n";
    }
    text += loss_text(v);
    if (const auto allow = text_of(v, "Allow"); !allow.empty()) text += "  allowed by: " + allow + "\n";
    return text;
}

/// One line that is written over and over on a terminal, else one for each new step.
class Progress {
  public:
    explicit Progress(const ModernCall& call) : call_(call) {}
    ~Progress() { end(); }
    void show(const json::value& v) {
        const bool terminal = call_.io.is_terminal;
        const auto text = terminal ? progress_text(v) : text_of(v, "Doing");
        if (text.empty() || text == last_) return;
        last_ = text;
        call_.io.out(terminal ? "\r\x1b[K" + text : text + "\n");
    }
    void end() {
        if (call_.io.is_terminal && !last_.empty()) call_.io.out("\r\x1b[K");
        last_.clear();
    }

  private:
    const ModernCall& call_;
    std::string last_;
};

int say_end(const ModernCall& call, const json::value& v) {
    const auto state = text_of(v, "State");
    if (call.options.json) call.io.out(json::serialize(v) + "\n");
    const auto text = text_of(v, "Result");
    if (state != "done") return refuse(call.io, text.empty() ? "it has ended" : text, exit_refused);
    if (!call.options.json) call.io.out(key_text(v) + " " + text + "\n");
    return exit_ok;
}

int follow(const ModernCall& call, const std::string& status) {
    Progress progress(call);
    int failures = 0;
    while (!call.io.stopped()) {
        const auto answer = call.api.get(status, Deed::read);
        const bool good = answer && !answer->failed();
        if (!good && ++failures >= failures_in_a_row_max) {
            progress.end();
            return answer ? refuse(call.io, answer->message(), exit_refused)
                          : refuse(call.io, answer.error().message, code_of(answer.error()));
        }
        if (good) {
            failures = 0;
            if (text_of(answer->content(), "State") != "running") {
                progress.end();
                return say_end(call, answer->content());
            }
            if (!call.options.json) progress.show(answer->content());
        }
        call.io.sleep(ask_every);
    }
    return exit_ok;
}

/// `verb` is the last part of the route.
int bring_back(const ModernCall& call, std::string_view verb) {
    const auto base = fill_route("v2/instances/{i}/", call.options);
    if (!base) return refuse(call.io, base.error().message, exit_usage);
    int code = exit_ok;
    if (call.options.cancel) {
        const auto answer = ask_modern(call, *base + "rejoin/cancel", Deed::act, code);
        if (answer) call.io.out("it is being ended\n");
        return code;
    }
    auto path = *base + (call.options.dry_run ? "rejoin/plan" : std::string(verb));
    if (call.options.force) path = with_query(path, "force", "true");
    if (!call.options.from.empty()) path = with_query(path, "from", from_text(call.options));
    const auto answer = ask_modern(call, path, call.options.dry_run ? Deed::read : Deed::recover, code);
    if (!answer) return code;
    if (call.options.dry_run || call.options.no_wait) return show(call, *answer, plan_view);
    if (!call.options.json) call.io.out(plan_view(*answer, call));
    return follow(call, *base + "rejoin/status");
}

}  // namespace

int rejoin(const ModernCall& call) {
    return bring_back(call, "rejoin");
}

int reinit(const ModernCall& call) {
    return bring_back(call, "reinit");
}

int clone(const ModernCall& call) {
    if (call.options.from.empty() && !call.options.cancel)
        return refuse(call.io, "clone wants --from HOST:PORT", exit_usage);
    return bring_back(call, "clone");
}

}  // namespace baton::cli::special
