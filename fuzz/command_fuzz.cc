// A command line (first line: the program's name; then a word a line): whatever is typed ends in an exit
// code, a complaint can be printed, and what is asked for is a well-formed URL.
#include "cli/classic.h"
#include "cli/modern.h"
#include "cli/route.h"
#include "client.h"
#include "doctor/options.h"

namespace baton {
namespace {

constexpr std::string_view usual_api = "http://localhost:3000/api/";

void check_url(std::string_view url) {
    if (!url.starts_with(usual_api)) return;  // an address of the user's own
    fuzz::require(std::ranges::all_of(url, [](char c) { return c > ' ' && c < 0x7F; }), "a URL has no blanks",
                  url);
}

void check_options(const std::vector<std::string>& args, std::span<const cli::Flag> flags) {
    const auto options = cli::parse_options(args, flags);
    if (!options) return fuzz::require_plain(options.error());
    for (const auto& command : cli::modern_commands()) {
        const auto route = cli::fill_route(command.route, *options);
        if (route) check_url(std::string(usual_api) + *route);
    }
    for (const auto& command : cli::classic_commands()) {
        const auto route = cli::fill_route(command.route, *options);
        if (route) check_url(std::string(usual_api) + *route);
    }
    const auto endpoint = cli::parse_endpoint(options->instance, "5432");
    fuzz::require(endpoint.host.size() <= options->instance.size(), "a host is a part of what was given");
}

}  // namespace
}  // namespace baton

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    fuzz::Lines lines(fuzz::text_of(data, size));
    const auto personality = fuzz::personality_of(lines.next());
    const auto args = lines.all();
    check_options(args, cli::classic_flags());
    check_options(args, cli::modern_flags());
    if (const auto options = doctor::parse_options(args); !options) fuzz::require_plain(options.error());
    static_cast<void>(cli::is_client_call(personality, args));
    fuzz::Answers answers(
        200, {R"({"Code":"OK","Message":"","Details":[{"Key":{"Hostname":"db1","Port":5432}}]})"});
    static_cast<void>(fuzz::run(personality, args, answers, false));
    for (const auto& url : answers.urls)
        check_url(url);
    return 0;
}
