#include "cli/modern_special.h"

#include <fmt/format.h>

#include "base/json_writer.h"
#include "base/text.h"
#include "cli/modern_view.h"
#include "cli/route.h"

namespace baton::cli::special {
namespace {

constexpr milliseconds events_quiet_max{60000};
constexpr size_t event_bytes_max = 1UL << 20;

int ask_and_show(const ModernCall& call, std::string_view route, Deed deed, View view) {
    const auto path = fill_route(route, call.options);
    if (!path) return refuse(call.io, path.error().message, exit_usage);
    int code = exit_ok;
    const auto answer = ask_modern(call, *path, deed, code);
    return answer ? show(call, *answer, view) : code;
}

int say(const ModernCall& call, std::string_view text) {
    call.io.out(text);
    return exit_ok;
}

bool is_uid(std::string_view text) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return false;
    return parse_uint(text.substr(0, colon)).has_value() && colon >= 16 && text.size() - colon > 16;
}

/// One request each; null where the API says no.
json::value content_of(const ModernCall& call, std::string_view path, int& code) {
    const auto answer = ask_modern(call, path, Deed::read, code);
    return answer ? answer->content() : json::value();
}

/// The last recovery of a cluster, or of all.
std::optional<json::value> find_recovery(const ModernCall& call, int& code) {
    const auto& which = call.options.uid;
    const auto answer =
        ask_modern(call, which.empty() ? "audit-recovery" : "audit-recovery/cluster/" + percent_encode(which),
                   Deed::read, code);
    if (!answer) return std::nullopt;
    const auto found = elements(answer->content());
    if (!found.empty()) return found.front();
    code = refuse(call.io, which.empty() ? "there was no recovery yet" : "no recovery is known of " + which,
                  exit_refused);
    return std::nullopt;
}

/// Both kinds of problem that an API knows of, when it has no /v2/problems: codes, and instances that lag or
/// fail.
int problems_of_v1(const ModernCall& call) {
    int code = exit_ok;
    const auto analysis = content_of(call, *fill_route("replication-analysis[/{hint}]", call.options), code);
    const auto instances = code == exit_ok
                               ? content_of(call, *fill_route("problems[/{hint}]", call.options), code)
                               : json::value();
    if (code != exit_ok) return code;
    if (call.options.json)
        return say(call,
                   json::serialize(json::object{{"analysis", analysis}, {"instances", instances}}) + "\n");
    return say(call, view::problems(analysis, instances, call.paint));
}

/// An API without v2 has the steps by the second.
int timeline_of_v1(const ModernCall& call, const std::string& uid) {
    int code = exit_ok;
    const auto recovery = content_of(call, "audit-recovery/uid/" + percent_encode(uid), code);
    if (code == exit_ok && elements(recovery).empty())
        return refuse(call.io, "no recovery is known of " + uid, exit_refused);
    const auto steps = code == exit_ok ? content_of(call, "audit-recovery-steps/" + percent_encode(uid), code)
                                       : json::value();
    if (code != exit_ok) return code;
    if (call.options.json) return say(call, json::serialize(steps) + "\n");
    return say(call, view::timeline(elements(recovery).front(), steps, call.paint));
}

/// Cuts a stream of server-sent events into events.
class EventReader {
  public:
    explicit EventReader(const ModernCall& call) : call_(call) {}

    bool take(std::string_view data) {
        buffer_ += data;
        for (auto end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n')) {
            std::string line = buffer_.substr(0, end);
            buffer_.erase(0, end + 1);
            if (line.ends_with('\r')) line.pop_back();
            take_line(line);
        }
        return buffer_.size() <= event_bytes_max && data_.size() <= event_bytes_max && !call_.io.stopped();
    }

    /// What was cut off belongs to a connection that is gone; the next one begins after the last whole event.
    const std::string& begin_again() {
        buffer_.clear();
        data_.clear();
        type_.clear();
        return last_id_;
    }

  private:
    void take_line(std::string_view line) {
        if (line.empty()) return finish();
        const auto colon = line.find(':');
        const std::string_view name = line.substr(0, colon);
        std::string_view value =
            colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
        if (value.starts_with(' ')) value.remove_prefix(1);
        if (name == "event") type_ = value;
        if (name == "data") data_ += value;
        // It is sent back in a header when the stream is taken up again.
        if (name == "id" && printable(value) == value) last_id_ = value;
    }

    void finish() {
        if (!data_.empty()) print();
        data_.clear();
        type_.clear();
    }

    void print() {
        if (type_ == "hello") return;
        boost::system::error_code error;
        const auto data = json::parse(data_, error);
        if (call_.options.json) {
            JsonWriter out;
            out.begin_object().field("event", type_).key("data");
            error ? out.value(data_) : out.raw(data_);
            return call_.io.out(out.end_object().text() + "\n");
        }
        const std::string time = call_.paint(Tone::faint, clock_time(call_.io.now())) + "  ";
        call_.io.out(time +
                     (error ? printable(type_ + " " + data_) + "\n" : view::event(type_, data, call_.paint)));
    }

    const ModernCall& call_;
    std::string buffer_;
    std::string type_;
    std::string data_;
    std::string last_id_;
};

}  // namespace

int topology(const ModernCall& call) {
    if (!call.options.alias.empty()) return ask_and_show(call, "topology/{hint}", Deed::read, view::tree);
    int code = exit_ok;
    const auto clusters = ask_modern(call, "clusters-info", Deed::read, code);
    if (!clusters) return code;
    if (elements(clusters->content()).empty()) return show(call, *clusters, view::clusters);
    bool first = true;
    for (const auto& cluster : elements(clusters->content())) {
        const std::string name = text_of(cluster, "ClusterName");
        const auto tree = ask_modern(call, "topology/" + percent_encode(name), Deed::read, code);
        if (!tree) return code;
        const std::string alias = text_of(cluster, "ClusterAlias");
        if (!call.options.json)
            call.io.out((first ? "" : "\n") + call.paint(Tone::faint, alias.empty() ? name : alias) + "\n");
        show(call, *tree, view::tree);
        first = false;
    }
    return exit_ok;
}

int instances(const ModernCall& call) {
    return ask_and_show(call, call.options.alias.empty() ? "all-instances" : "cluster/{hint}", Deed::read,
                        view::instances);
}

int problems(const ModernCall& call) {
    const std::string_view route = call.options.alias.empty() ? "v2/problems" : "v2/clusters/{hint}/problems";
    const auto answer = call.api.get(*fill_route(route, call.options), Deed::read);
    if (!answer && answer.error().kind == ErrorKind::not_found) return problems_of_v1(call);
    if (!answer) return refuse(call.io, answer.error().message, code_of(answer.error()));
    if (answer->failed()) return refuse(call.io, answer->message(), exit_refused);
    if (call.options.json) return show(call, *answer, view::raw);
    int code = exit_ok;
    const auto instances = content_of(call, *fill_route("problems[/{hint}]", call.options), code);
    if (code != exit_ok) return code;
    return say(call, view::problems(answer->content(), instances, call.paint));
}

int timeline(const ModernCall& call) {
    int code = exit_ok;
    std::string uid = call.options.uid;
    if (!is_uid(uid)) {
        const auto recovery = find_recovery(call, code);
        if (!recovery) return code;
        uid = text_of(*recovery, "UID");
    }
    const auto answer = call.api.get("v2/recoveries/" + percent_encode(uid), Deed::read);
    if (!answer && answer.error().kind == ErrorKind::not_found) return timeline_of_v1(call, uid);
    if (!answer) return refuse(call.io, answer.error().message, code_of(answer.error()));
    if (answer->failed()) return refuse(call.io, answer->message(), exit_refused);
    if (call.options.json) return show(call, *answer, view::raw);
    return say(call, view::timeline(answer->content(), member(answer->content(), "Steps"), call.paint));
}

int status(const ModernCall& call) {
    auto health = call.api.get("health", Deed::read);
    if (!health) return refuse(call.io, health.error().message, code_of(health.error()));
    // A sick manager says so with a no, and its state in the details all the same.
    const int verdict = health->failed() ? exit_refused : exit_ok;
    if (call.options.json) return say(call, json::serialize(health->content()) + "\n"), verdict;
    int code = exit_ok;
    const auto recoveries = content_of(call, "check-global-recoveries", code);
    const auto clusters = content_of(call, "clusters-info", code);
    if (code != exit_ok) return code;
    call.io.out(view::status(health->content(), recoveries, clusters, call.paint));
    if (verdict != exit_ok) refuse(call.io, health->message(), verdict);
    return verdict;
}

int events(const ModernCall& call) {
    EventReader reader(call);
    bool following = false;
    while (!call.io.stopped()) {
        const auto ended =
            call.api.stream("v2/events", events_quiet_max, reader.begin_again(), [&](std::string_view data) {
                following = true;
                return reader.take(data);
            });
        // A stream that was cut is taken up again, a restarted manager included; one that cannot begin is an
        // error.
        if (!ended && !following) return refuse(call.io, ended.error().message, code_of(ended.error()));
        if (!ended) refuse(call.io, ended.error().message + "; trying again", exit_unreachable);
        if (!call.io.stopped()) call.io.sleep(milliseconds(1000));
    }
    return exit_ok;
}

int failover(const ModernCall& call) {
    const bool designated = !call.options.destination.empty();
    return ask_and_show(call,
                        designated ? "force-master-takeover/{hint}/{d}" : "force-master-failover/{hint}",
                        Deed::recover, view::promoted);
}

int acknowledge_modern(const ModernCall& call) {
    const auto& which = call.options.uid;
    if (call.options.reason.empty())
        return refuse(call.io, "ack wants --comment TEXT: why it may be ticked off", exit_usage);
    if (call.options.all)
        return ask_and_show(call, "ack-all-recoveries?comment={reason}", Deed::act, view::message);
    if (which.empty()) return refuse(call.io, "ack wants a CLUSTER, a recovery's UID, or --all", exit_usage);
    return ask_and_show(call,
                        is_uid(which) ? "ack-recovery/uid/{uid}?comment={reason}"
                                      : "ack-recovery/cluster/{uid}?comment={reason}",
                        Deed::act, view::message);
}

int maintenance(const ModernCall& call) {
    if (call.options.instance.empty())
        return ask_and_show(call, "maintenance", Deed::read, view::maintenance);
    return ask_and_show(call, "begin-maintenance/{i}/{owner}/{reason}", Deed::act, view::message);
}

int api_modern(const ModernCall& call) {
    const auto path = fill_route("{path}", call.options);
    if (!path) return refuse(call.io, path.error().message, exit_usage);
    const auto answer = call.api.get(*path, Deed::act);
    if (!answer) return refuse(call.io, answer.error().message, code_of(answer.error()));
    call.io.out(json::serialize(answer->body) + "\n");
    return answer->failed() ? exit_refused : exit_ok;
}

}  // namespace baton::cli::special
