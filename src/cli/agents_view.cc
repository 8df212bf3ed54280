#include <fmt/format.h>

#include "base/text.h"
#include "cli/modern_view.h"

namespace baton::cli::view {
namespace {

std::string or_dash(std::string text) {
    return text.empty() ? "-" : text;
}

std::string size_text(int64_t bytes) {
    constexpr int64_t step = 1024;
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    auto value = static_cast<double>(bytes);
    for (; value >= step && unit + 1 < std::size(units); ++unit)
        value /= step;
    return fmt::format("{:.{}f} {}", value, value < 10 && unit > 0 ? 1 : 0, units[unit]);
}

std::string duration_text(int64_t seconds) {
    if (seconds < 60) return fmt::format("{}s", seconds);
    if (seconds < 3600) return fmt::format("{}m{:02}s", seconds / 60, seconds % 60);
    return fmt::format("{}h{:02}m", seconds / 3600, seconds / 60 % 60);
}

Cell agent_cell(const json::value& v) {
    if (is_true(v, "Connected")) return {"connected", Tone::good};
    return {fmt::format("lost {} ago", duration_text(number_of(member(v, "LastHeardMilliseconds")) / 1000)),
            Tone::bad};
}

Cell state_cell(const json::value& v) {
    const auto state = text_of(v, "State");
    std::string text = state;
    if (const auto hold = text_of(v, "Hold"); !hold.empty() && hold != "none") text += ", kept " + hold;
    if (!text_of(v, "Quarantine").empty()) text += ", quarantined";
    if (text != state) return {text, Tone::bad};
    return {text, state == "running" ? Tone::good : Tone::warn};
}

Cell lease_cell(const json::value& v) {
    const auto& lease = member(v, "Lease");
    if (!is_true(lease, "On")) return {"off"};
    const auto held = text_of(lease, "HeldBy");
    return held.empty() ? Cell("ended", Tone::bad) : Cell("by " + held);
}

Cell disk_cell(const json::value& disk) {
    if (disk.is_null()) return {"-"};
    const auto health = text_of(disk, "Health");
    const auto free = size_text(number_of(member(disk, "FreeBytes"))) + " free";
    if (health == "good" || health == "unknown") return {free};
    return {health + ", " + free, Tone::bad};
}

std::string job_text(const json::value& job) {
    if (job.is_null()) return {};
    std::string text = text_of(job, "Verb") + ": " + text_of(job, "Phase");
    const auto done = number_of(member(job, "DoneBytes"));
    const auto total = number_of(member(job, "TotalBytes"));
    if (total > 0) text += fmt::format(", {} of {}", size_text(done), size_text(total));
    if (const auto rate = number_of(member(job, "BytesPerSecond")); rate > 0)
        text += ", " + size_text(rate) + "/s";
    if (const auto& eta = member(job, "EtaSeconds"); !eta.is_null())
        text += ", " + duration_text(number_of(eta)) + " left";
    return text;
}

std::string ended_text(const json::value& job) {
    if (job.is_null()) return {};
    std::string text = text_of(job, "Verb") + ": " + text_of(job, "Outcome");
    for (const auto* more : {"Error", "Detail"}) {
        if (const auto said = text_of(job, more); !said.empty()) text += ": " + said;
    }
    return text;
}

std::string keys_of(const json::value& list) {
    std::vector<std::string> names;
    for (const auto& key : elements(list))
        names.push_back(key_text(key));
    return join(names, ", ");
}

std::string one_agent(const json::value& v, const ModernCall& call) {
    const auto& lease = member(v, "Lease");
    const std::pair<std::string_view, Cell> fields[] = {
        {"server", {key_text(v), Tone::strong}},
        {"cluster", text_of(v, "ClusterName")},
        {"agent", agent_cell(v)},
        {"host", text_of(v, "Host")},
        {"agent version", text_of(v, "Version")},
        {"agent id", text_of(v, "Agent")},
        {"comes from", text_of(v, "Address")},
        {"vouches at", text_of(v, "PeerAddress")},
        {"state", state_cell(v)},
        {"quarantine", {text_of(v, "Quarantine"), Tone::bad}},
        {"last failure", {text_of(v, "LastFailure"), Tone::bad}},
        {"server version", text_of(v, "ServerVersion")},
        {"data directory", text_of(v, "DataDirectory")},
        {"data disk", disk_cell(member(v, "DataDisk"))},
        {"WAL disk", member(v, "WalDisk").is_null() ? Cell("") : disk_cell(member(v, "WalDisk"))},
        {"lease", lease_cell(v)},
        {"may take over", keys_of(member(lease, "Promotable"))},
        {"job", {job_text(member(v, "Job")), Tone::warn}},
        {"last job", ended_text(member(v, "LastJob"))},
    };
    std::string out;
    for (const auto& [name, cell] : fields) {
        if (!cell.text.empty()) out += fmt::format("{:<16}{}\n", name, call.paint(cell.tone, cell.text));
    }
    return out;
}

}  // namespace

std::string agents(const Answer& answer, const ModernCall& call) {
    const auto& content = answer.content();
    if (content.is_object()) return one_agent(content, call);
    Table table({"SERVER", "CLUSTER", "AGENT", "VERSION", "STATE", "LEASE", "DISK", "JOB"});
    for (const auto& v : elements(content)) {
        table.add({{key_text(v), Tone::strong},
                   or_dash(text_of(v, "ClusterName")),
                   agent_cell(v),
                   or_dash(text_of(v, "Version")),
                   state_cell(v),
                   lease_cell(v),
                   disk_cell(member(v, "DataDisk")),
                   {or_dash(job_text(member(v, "Job"))), Tone::warn}});
    }
    return table.empty() ? "no host agent has connected (ServeAgentsHttp)\n" : table.text(call.paint);
}

}  // namespace baton::cli::view
