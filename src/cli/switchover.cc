// A planned switchover: shown, done, put off until later, or called off.
#include <fmt/format.h>

#include "cli/modern_special.h"
#include "cli/modern_view.h"
#include "cli/route.h"

namespace baton::cli::special {
namespace {

/// In the words of the plan itself: they are what an operator agrees to.
std::string plan_view(const Answer& answer, const ModernCall&) {
    return text_of(answer.content(), "Text");
}

std::string scheduled_view(const Answer& answer, const ModernCall& call) {
    const auto& v = answer.content();
    const auto to = text_of(v, "Candidate");
    return fmt::format("a switchover of {} {} begins at {}\n", text_of(v, "ClusterName"),
                       to.empty() ? "to the best replica" : "to " + to,
                       call.paint(Tone::strong, text_of(v, "At")));
}

std::string cancelled_view(const Answer& answer, const ModernCall&) {
    const auto& v = answer.content();
    return fmt::format("the switchover of {} that was to begin at {} is cancelled\n",
                       text_of(v, "ClusterName"), text_of(v, "At"));
}

int ask(const ModernCall& call, std::string_view route, Deed deed, View view) {
    const auto path = fill_route(route, call.options);
    if (!path) return refuse(call.io, path.error().message, exit_usage);
    int code = exit_ok;
    const auto answer = ask_modern(call, *path, deed, code);
    return answer ? show(call, *answer, view) : code;
}

/// What hinders it makes the exit code, so that scripts can ask beforehand.
int dry_run(const ModernCall& call) {
    const auto path = fill_route("v2/clusters/{hint}/switchover/plan[?to={candidate}]", call.options);
    if (!path) return refuse(call.io, path.error().message, exit_usage);
    int code = exit_ok;
    const auto answer = ask_modern(call, *path, Deed::recover, code);
    if (!answer) return code;
    show(call, *answer, plan_view);
    return elements(member(answer->content(), "Obstacles")).empty() ? exit_ok : exit_refused;
}

}  // namespace

int switchover(const ModernCall& call) {
    const auto& o = call.options;
    if (o.cancel) return ask(call, "v2/clusters/{hint}/switchover/cancel", Deed::act, cancelled_view);
    if (o.dry_run) return dry_run(call);
    if (o.at.empty())
        return ask(call, "v2/clusters/{hint}/switchover[?to={candidate}]", Deed::recover, view::promoted);
    const auto route = o.destination.empty() ? "v2/clusters/{hint}/switchover?at={at}"
                                             : "v2/clusters/{hint}/switchover?at={at}&to={candidate}";
    return ask(call, route, Deed::act, scheduled_view);
}

}  // namespace baton::cli::special
