// baton-sim: replays one run from its seed, or tells many.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <set>
#include <span>

#include "base/defect.h"
#include "base/error.h"
#include "sim/campaign.h"
#include "sim/shrink.h"

namespace baton::sim {
namespace {

constexpr std::string_view usage = R"(baton-sim: the manager against a simulated world, replayable from a seed

  baton-sim --seed N              tell the story of seed N: what it is, what became of it, the hash of its trace
      --trace                     print the timeline, in virtual milliseconds
      --log                       print the manager's own log, too
      --only 1,3                  only these faults of the story
      --steps N                   stop after N steps of the world
      --shrink                    find a shorter story that fails in the same way
  baton-sim --runs N              tell N stories and report; exit status 1 if any violates a property
      --from N                    the first seed (default 1)
      --jobs N                    threads (default 1)
      --first                     stop at the first violation
      --agents                    stories with a host agent beside each server (with --seed, too)
  baton-sim --faults | --checkers | --defects
                                  list what can happen, what must hold, what can be broken on purpose
      --defect NAME               with a deliberate defect (only in a build with -DBATON_DEFECTS=ON)
)";

struct Arguments {
    std::optional<uint64_t> seed, runs;
    uint64_t from = 1, steps = 0, jobs = 1;
    bool trace = false, log = false, shrink = false, first = false, agents = false;
    std::set<int> only;
    std::string list, defect;
};

Result<uint64_t> number(std::string_view option, std::string_view text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size())
        return fail(ErrorKind::invalid_argument,
                    fmt::format("{} {}: a whole number is needed", option, text));
    return value;
}

Result<std::set<int>> numbers(std::string_view option, std::string_view text) {
    std::set<int> all;
    while (!text.empty()) {
        const auto comma = text.find(',');
        const auto one = number(option, text.substr(0, comma));
        if (!one) return std::unexpected(one.error());
        all.insert(static_cast<int>(*one));
        text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    }
    return all;
}

Result<void> with_value(Arguments& a, const std::string& option, const std::string& value) {
    if (option == "--defect") {
        a.defect = value;
        return {};
    }
    if (option == "--only") {
        auto only = numbers(option, value);
        if (!only) return std::unexpected(only.error());
        a.only = std::move(*only);
        return {};
    }
    const auto n = number(option, value);
    if (!n) return std::unexpected(n.error());
    if (option == "--seed") a.seed = *n;
    if (option == "--runs") a.runs = *n;
    if (option == "--from") a.from = *n;
    if (option == "--steps") a.steps = *n;
    if (option == "--jobs") a.jobs = std::max<uint64_t>(1, *n);
    return {};
}

Result<Arguments> parse(std::span<char*> given) {
    Arguments a;
    const std::set<std::string> valued{"--seed", "--runs", "--from",  "--steps",
                                       "--jobs", "--only", "--defect"};
    for (size_t i = 0; i < given.size(); ++i) {
        const std::string option = given[i];
        if (valued.contains(option)) {
            if (i + 1 == given.size()) return fail(ErrorKind::invalid_argument, option + " needs a value");
            if (auto ok = with_value(a, option, given[++i]); !ok) return std::unexpected(ok.error());
        } else if (option == "--trace") {
            a.trace = true;
        } else if (option == "--log") {
            a.log = true;
        } else if (option == "--shrink") {
            a.shrink = true;
        } else if (option == "--first") {
            a.first = true;
        } else if (option == "--agents") {
            a.agents = true;
        } else if (option == "--faults" || option == "--checkers" || option == "--defects" ||
                   option == "--help") {
            a.list = option;
        } else {
            return fail(ErrorKind::invalid_argument, "unknown option " + option + "; see baton-sim --help");
        }
    }
    if (a.list.empty() && a.seed.has_value() == a.runs.has_value())
        return fail(ErrorKind::invalid_argument, "give either --seed or --runs; see baton-sim --help");
    return a;
}

int list(const std::string& what) {
    if (what == "--help") fmt::print("{}", usage);
    if (what == "--faults") {
        for (const auto& f : faults())
            fmt::print("{:<18} {:>3}  {}\n", f.name, f.weight, f.what);
    }
    if (what == "--checkers") {
        for (const auto& c : checkers())
            fmt::print("{:<24} {}\n", c.name, c.property);
    }
    if (what == "--defects") {
        for (const auto& d : defects())
            fmt::print("{:<36} {}\n", d.name, d.wrong);
    }
    return 0;
}

void print_violations(const std::vector<Violation>& violations) {
    for (const auto& v : violations)
        fmt::print("VIOLATION of {}: {}\n", v.checker, v.text);
}

int one(const Arguments& a) {
    auto story = a.agents ? draw_story_with_agents(*a.seed) : draw_story(*a.seed);
    if (!a.only.empty())
        std::erase_if(story.faults, [&](const Fault& f) { return !a.only.contains(f.number); });
    if (a.shrink) story = shrink(story);
    fmt::print("{}", story.text());
    const auto outcome = run(story, {.keep_trace = a.trace, .most_steps = a.steps});
    if (a.trace) fmt::print("{}", outcome.trace);
    fmt::print("{} steps, {} promotions, {} recoveries, longest outage {:.1f} ms, trace {:016x}\n",
               outcome.steps, outcome.promotions, outcome.recoveries, in_ms(outcome.outage), outcome.hash);
    print_violations(outcome.violations);
    return outcome.failed() ? 1 : 0;
}

int many(const Arguments& a) {
    const auto began = std::chrono::steady_clock::now();
    const auto campaign = run_many({.first = a.from,
                                    .runs = *a.runs,
                                    .jobs = static_cast<unsigned>(a.jobs),
                                    .agents = a.agents,
                                    .stop_at_first = a.first});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    fmt::print("{}", campaign.report(took.count()));
    int shown = 0;
    for (const auto& [seed, violations] : campaign.violations()) {
        if (++shown > 30) break;
        fmt::print("seed {}: {}: {}\n", seed, violations.front().checker, violations.front().text);
    }
    fmt::print("hash of all traces {:016x}\n", campaign.hash());
    return campaign.violations().empty() ? 0 : 1;
}

int main_of(std::span<char*> given) {
    const auto arguments = parse(given);
    if (!arguments) {
        fmt::print(stderr, "baton-sim: {}\n", arguments.error().text());
        return 2;
    }
    spdlog::set_level(arguments->log ? spdlog::level::debug : spdlog::level::off);
    if (!arguments->list.empty()) return list(arguments->list);
    if (!arguments->defect.empty()) {
        if (auto active = activate_defect(arguments->defect); !active) {
            fmt::print(stderr, "baton-sim: {}\n", active.error().text());
            return 2;
        }
    }
    return arguments->seed ? one(*arguments) : many(*arguments);
}

}  // namespace
}  // namespace baton::sim

int main(int argc, char** argv) {
    return baton::sim::main_of({argv + 1, static_cast<size_t>(argc - 1)});
}
