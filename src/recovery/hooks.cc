#include "recovery/hooks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/async.h"
#include "base/text.h"

namespace baton::recovery {
namespace {

std::string keys(const std::vector<topology::InstanceKey>& list) {
    std::vector<std::string> texts;
    for (const auto& k : list)
        texts.push_back(k.text());
    return join(texts, ",");
}

std::string flag(bool value) {
    return value ? "true" : "false";
}

/// A description may quote what a server said; in a command it must stay one harmless piece of text.
std::string harmless(std::string text) {
    for (auto& c : text) {
        if (std::string_view("\"'`$\\;&|<>(){}\n\r").find(c) != std::string_view::npos) c = ' ';
    }
    return text;
}

/// A script file of our own that only we can read; gone when this is.
class ScriptFile {
  public:
    static Result<ScriptFile> write(const std::string& content) {
        auto path = (std::filesystem::temp_directory_path() / "baton-hook-XXXXXX").string();
        const int fd = mkostemp(path.data(), O_CLOEXEC);
        if (fd < 0) return fail(ErrorKind::io, std::strerror(errno), path);
        const bool written =
            ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size());
        ::close(fd);
        ScriptFile file(std::move(path));
        if (!written) return fail(ErrorKind::io, "cannot write the hook's script", file.path_);
        return file;
    }
    ScriptFile(ScriptFile&& other) noexcept : path_(std::exchange(other.path_, {})) {}
    ScriptFile& operator=(ScriptFile&&) = delete;
    ~ScriptFile() {
        if (!path_.empty()) ::unlink(path_.c_str());
    }
    const std::string& path() const { return path_; }

  private:
    explicit ScriptFile(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

std::string last_lines(std::string_view output) {
    constexpr size_t limit = 2000;
    const auto text = trim(output);
    if (text.size() <= limit) return std::string(text);
    return "…" + std::string(text.substr(text.size() - limit));
}

struct Entry {
    std::string label;
    std::string command;
    bool background = false;
};

Entry make_entry(const std::string& list_name, size_t at, size_t count, const std::string& command,
                 const Pairs& values) {
    Entry entry{fmt::format("{} hook {} of {}", list_name, at + 1, count), std::string(trim(command)), false};
    if (entry.command.ends_with('&') && !entry.command.ends_with("&&")) {
        entry.background = true;
        entry.command = trim(std::string_view(entry.command).substr(0, entry.command.size() - 1));
    }
    entry.command = replace_placeholders(entry.command, values);
    return entry;
}

Task<Result<void>> run_entry(ProcessRunner& runner, HookOptions options, Entry entry, Pairs variables,
                             HookNote note) {
    const auto script = ScriptFile::write(entry.command + "\n");
    if (!script) co_return std::unexpected(script.error());
    std::vector<std::string> argv;
    for (auto& word : split(options.shell, ' ')) {
        if (!word.empty()) argv.push_back(std::move(word));
    }
    argv.push_back(script->path());
    note(fmt::format("Running {}{}: {}", entry.label, entry.background ? " (async)" : "", entry.command));
    const auto result =
        co_await runner.run({.argv = argv, .environment = variables, .timeout = options.timeout});
    if (!result) {
        note(fmt::format("{} failed: {}", entry.label, result.error().text()));
        co_return std::unexpected(result.error());
    }
    const auto output = last_lines(result->output);
    const auto tail = output.empty() ? std::string{} : "; output: " + output;
    if (result->ok()) {
        note(fmt::format("Completed {} in {} ms, exit status 0{}", entry.label, to_ms(result->took), tail));
        co_return Result<void>{};
    }
    const auto why = result->timed_out
                         ? fmt::format("killed at its deadline of {} s (ProcessesTimeoutSeconds)",
                                       std::chrono::duration_cast<seconds>(options.timeout).count())
                         : fmt::format("exit status {}", result->exit_code);
    note(fmt::format("{} failed after {} ms: {}{}", entry.label, to_ms(result->took), why, tail));
    co_return fail(ErrorKind::refused_by_policy, why, entry.label);
}

Task<void> run_in_background(ProcessRunner& runner, HookOptions options, Entry entry, Pairs variables,
                             HookNote note) {
    co_await run_entry(runner, std::move(options), std::move(entry), std::move(variables), std::move(note));
}

}  // namespace

Pairs placeholders(const HookFacts& facts) {
    const auto& r = *facts.recovery;
    Pairs values{{"{failureType}", r.code},
                 {"{instanceType}", facts.is_primary ? "master" : "intermediate-master"},
                 {"{isMaster}", flag(facts.is_primary)},
                 {"{isCoMaster}", "false"},
                 {"{failureDescription}", harmless(r.description)},
                 {"{command}", r.command_hint},
                 {"{failedHost}", r.failed.host},
                 {"{failedPort}", std::to_string(r.failed.port)},
                 {"{failureCluster}", r.cluster_name},
                 {"{failureClusterAlias}", r.cluster_alias},
                 {"{failureClusterDomain}", r.cluster_domain},
                 {"{countSlaves}", std::to_string(r.replicas.size())},
                 {"{countReplicas}", std::to_string(r.replicas.size())},
                 {"{isDowntimed}", flag(facts.is_downtimed)},
                 {"{autoMasterRecovery}", flag(facts.automated_primary)},
                 {"{autoIntermediateMasterRecovery}", flag(facts.automated_intermediate)},
                 {"{orchestratorHost}", r.node_hostname},
                 {"{recoveryUID}", r.uid},
                 {"{isSuccessful}", flag(facts.successful)},
                 {"{lostSlaves}", keys(r.lost)},
                 {"{lostReplicas}", keys(r.lost)},
                 {"{countLostReplicas}", std::to_string(r.lost.size())},
                 {"{slaveHosts}", keys(r.replicas)},
                 {"{replicaHosts}", keys(r.replicas)}};
    if (r.successor) {
        values.insert(values.end(), {{"{successorHost}", r.successor->host},
                                     {"{successorPort}", std::to_string(r.successor->port)},
                                     {"{successorAlias}", r.successor_alias}});
        if (!r.successor_position.empty())
            values.emplace_back("{successorBinlogCoordinates}", r.successor_position);
    }
    return values;
}

Pairs environment(const HookFacts& facts) {
    const auto& r = *facts.recovery;
    Pairs values{{"ORC_FAILURE_TYPE", r.code},
                 {"ORC_INSTANCE_TYPE", facts.is_primary ? "master" : "intermediate-master"},
                 {"ORC_IS_MASTER", flag(facts.is_primary)},
                 {"ORC_IS_CO_MASTER", "false"},
                 {"ORC_FAILURE_DESCRIPTION", r.description},
                 {"ORC_COMMAND", r.command_hint},
                 {"ORC_FAILED_HOST", r.failed.host},
                 {"ORC_FAILED_PORT", std::to_string(r.failed.port)},
                 {"ORC_FAILURE_CLUSTER", r.cluster_name},
                 {"ORC_FAILURE_CLUSTER_ALIAS", r.cluster_alias},
                 {"ORC_FAILURE_CLUSTER_DOMAIN", r.cluster_domain},
                 {"ORC_COUNT_REPLICAS", std::to_string(r.replicas.size())},
                 {"ORC_IS_DOWNTIMED", flag(facts.is_downtimed)},
                 {"ORC_AUTO_MASTER_RECOVERY", flag(facts.automated_primary)},
                 {"ORC_AUTO_INTERMEDIATE_MASTER_RECOVERY", flag(facts.automated_intermediate)},
                 {"ORC_ORCHESTRATOR_HOST", r.node_hostname},
                 {"ORC_IS_SUCCESSFUL", flag(facts.successful)},
                 {"ORC_LOST_REPLICAS", keys(r.lost)},
                 {"ORC_REPLICA_HOSTS", keys(r.replicas)},
                 {"ORC_RECOVERY_UID", r.uid}};
    if (r.successor) {
        values.insert(values.end(), {{"ORC_SUCCESSOR_HOST", r.successor->host},
                                     {"ORC_SUCCESSOR_PORT", std::to_string(r.successor->port)},
                                     {"ORC_SUCCESSOR_ALIAS", r.successor_alias}});
        if (!r.successor_position.empty())
            values.emplace_back("ORC_SUCCESSOR_BINLOG_COORDINATES", r.successor_position);
    }
    return values;
}

std::string replace_placeholders(std::string command, const Pairs& values) {
    std::string out;
    for (size_t at = 0; at < command.size();) {
        const auto hit = std::ranges::find_if(
            values, [&](const auto& v) { return command.compare(at, v.first.size(), v.first) == 0; });
        if (command[at] == '{' && hit != values.end()) {
            out += hit->second;
            at += hit->first.size();
        } else {
            out += command[at++];
        }
    }
    return out;
}

Task<Result<void>> run_hooks(Clock& clock, ProcessRunner& runner, const HookOptions& options,
                             std::string list_name, std::vector<std::string> commands, Pairs values,
                             Pairs variables, bool stop_at_failure, HookNote note) {
    if (commands.empty()) {
        note(fmt::format("No {} hooks to run", list_name));
        co_return Result<void>{};
    }
    Result<void> first_failure;
    for (size_t i = 0; i < commands.size(); ++i) {
        auto entry = make_entry(list_name, i, commands.size(), commands[i], values);
        if (entry.background) {
            spawn(clock.executor(), run_in_background(runner, options, std::move(entry), variables, note));
            continue;
        }
        auto result = co_await run_entry(runner, options, std::move(entry), variables, note);
        if (result) continue;
        if (first_failure) first_failure = result;
        if (stop_at_failure) break;
    }
    co_return first_failure;
}

}  // namespace baton::recovery
