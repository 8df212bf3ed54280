#include "cli/classic_special.h"

#include <fmt/format.h>

#include <regex>

#include "base/text.h"
#include "cli/classic_print.h"
#include "cli/route.h"

namespace baton::cli::special {
namespace {

constexpr int pages_max = 50;
constexpr size_t page_size = 20;

int say(const Call& call, std::string_view text) {
    call.io.out(text);
    return exit_ok;
}

/// The command's own route, filled; complains when an option is missing.
std::optional<std::string> own_route(const Call& call) {
    auto route = fill_route(find_classic(call.options.command)->route, call.options);
    if (route) return *route;
    complain(call.personality, call.io, route.error().message);
    return std::nullopt;
}

int ask_and_print(const Call& call, std::string_view route, Deed deed, Print print) {
    const auto answer = ask(call, route, deed);
    return answer ? say(call, print(*answer, call)) : exit_refused;
}

/// What the API says, yes or no, without printing a no.
std::optional<Answer> listen(const Call& call, std::string_view route, Deed deed) {
    auto answer = call.api.get(route, deed);
    if (answer) return *answer;
    complain(call.personality, call.io, answer.error().message);
    return std::nullopt;
}

size_t count_open(const Call& call, const json::value& page) {
    const auto& options = call.options;
    if (options.command != "ack-instance-recoveries" && options.command != "ack-recovery")
        return elements(page).size();
    const std::string wanted(trim(print::asked_instance({}, call)));
    return static_cast<size_t>(std::ranges::count_if(elements(page), [&](const json::value& recovery) {
        return key_text(member(member(recovery, "AnalysisEntry"), "AnalyzedInstanceKey")) == wanted;
    }));
}

/// The API acknowledges without counting, so the open ones are counted beforehand.
std::optional<size_t> open_recoveries(const Call& call) {
    std::string base = "audit-recovery";
    if (call.options.command == "ack-cluster-recoveries")
        base += "/cluster/" +
                percent_encode(call.options.alias.empty() ? call.options.instance : call.options.alias);
    size_t count = 0;
    for (int page = 0; page < pages_max; ++page) {
        const auto answer = ask(call, fmt::format("{}/{}?unacknowledged=true", base, page), Deed::read);
        if (!answer) return std::nullopt;
        count += count_open(call, answer->content());
        if (elements(answer->content()).size() < page_size) break;
    }
    return count;
}

std::string pool_lines(const json::value& cluster, const json::value& pools) {
    const std::string start =
        text_of(cluster, "ClusterName") + "\t" + text_of(cluster, "ClusterAlias") + "\t";
    std::string out;
    if (const auto* by_name = pools.if_object()) {
        for (const auto& pool : *by_name)
            for (const auto& instance : elements(pool.value()))
                out += start + std::string(pool.key()) + "\t" + key_text(instance) + "\n";
        return out;
    }
    for (const auto& entry : elements(pools))
        out += start + text_of(entry, "Pool") + "\t" + key_text(entry) + "\n";
    return out;
}

std::optional<std::string> raft_state(const Call& call) {
    const auto answer = ask(call, "raft-state", Deed::read);
    if (!answer) return std::nullopt;
    return text_of(answer->content());
}

bool leads(const Call& call) {
    const auto state = raft_state(call);
    if (!state) return false;
    if (*state == "Leader") return true;
    complain(call.personality, call.io,
             "Cannot determine raft state: this node is " + *state +
                 ", ask the leader (ORCHESTRATOR_API may name all)");
    return false;
}

}  // namespace

int which_api(const Call& call) {
    const auto base = call.api.base();
    if (!base) return complain(call.personality, call.io, base.error().message);
    return say(call, shown_address(*base) + "\n");
}

int api(const Call& call) {
    const auto route = own_route(call);
    if (!route) return exit_refused;
    const auto answer = listen(call, *route, Deed::act);
    if (!answer) return exit_refused;
    call.io.out(print::raw_json(*answer, call));
    return answer->failed() ? exit_refused : exit_ok;
}

int find(const Call& call) {
    const auto route = own_route(call);
    if (!route) return exit_refused;
    try {
        static_cast<void>(std::regex(call.options.pattern));
    } catch (const std::regex_error& error) {
        return complain(
            call.personality, call.io,
            fmt::format("pattern {} is not a regular expression: {}", call.options.pattern, error.what()));
    }
    return ask_and_print(call, "all-instances", Deed::read, print::matching);
}

int can_replicate(const Call& call) {
    const auto route = own_route(call);
    if (!route) return exit_refused;
    if (call.script()) return ask_and_print(call, *route, Deed::read, print::can_replicate);
    const auto answer = listen(call, *route, Deed::read);
    if (!answer) return exit_refused;
    // The binary's answer to "may it?" is nothing, with success, when a rule forbids it.
    return answer->failed() ? exit_ok : say(call, print::can_replicate(*answer, call));
}

int tag_value(const Call& call) {
    const auto route = own_route(call);
    if (!route) return exit_refused;
    if (call.script()) return ask_and_print(call, *route, Deed::read, print::text);
    const auto answer = listen(call, *route, Deed::read);
    if (!answer) return exit_refused;
    return answer->failed() ? exit_ok : say(call, print::text(*answer, call));
}

int pool_instances(const Call& call) {
    const auto clusters = ask(call, "clusters-info", Deed::read);
    if (!clusters) return exit_refused;
    for (const auto& cluster : elements(clusters->content())) {
        const auto pools = ask(
            call, "cluster-pool-instances/" + percent_encode(text_of(cluster, "ClusterName")), Deed::read);
        if (!pools) return exit_refused;
        call.io.out(pool_lines(cluster, pools->content()));
    }
    return exit_ok;
}

int acknowledge(const Call& call) {
    const auto route = own_route(call);
    if (!route) return exit_refused;
    if (call.script()) {
        const auto answer = ask(call, *route, Deed::act);
        if (!answer) return exit_refused;
        const bool by_key = answer->content().is_object();
        return say(call, by_key ? print::key(*answer, call) : print::text(*answer, call));
    }
    const auto count = open_recoveries(call);
    if (!count || !ask(call, *route, Deed::act)) return exit_refused;
    return say(call, fmt::format("{} recoveries acknowledged\n", *count));
}

int recover(const Call& call) {
    const auto route = own_route(call);
    if (!route) return exit_refused;
    if (call.script()) return ask_and_print(call, *route, Deed::recover, print::key);
    const auto answer = listen(call, *route, Deed::recover);
    if (!answer) return exit_refused;
    if (!answer->failed()) return say(call, print::key(*answer, call));
    // Nothing to do is no failure for the binary: it prints no promoted instance.
    if (answer->message().find("not attempted") == std::string::npos)
        return complain(call.personality, call.io, answer->message());
    call.io.err(fmt::format("{} WARNING {}\n", plain_time(call.io.now()), answer->message()));
    return exit_ok;
}

int raft_leader(const Call& call) {
    if (!raft_state(call)) return exit_refused;
    return ask_and_print(call, "raft-leader", Deed::read, print::text);
}

int raft_leader_hostname(const Call& call) {
    if (!leads(call)) return exit_refused;
    const auto answer = ask(call, "health", Deed::read);
    return answer ? say(call, text_of(answer->content(), "Hostname") + "\n") : exit_refused;
}

int raft_elect_leader(const Call& call) {
    const auto route = own_route(call);
    if (!route || !leads(call)) return exit_refused;
    return ask_and_print(call, *route, Deed::act, print::text);
}

}  // namespace baton::cli::special
