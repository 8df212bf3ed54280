// Switchovers that are to begin later. One for each cluster, in the record, so that it outlives the manager.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/json.hpp>

#include "base/async.h"
#include "base/json_writer.h"
#include "recovery/switchover_impl.h"

namespace baton::recovery {
namespace {

namespace json = boost::json;

constexpr std::string_view key_prefix = "baton/switchover/";
/// Whoever chose the time may be awake then, and not much later.
constexpr seconds missed_after{60};
constexpr std::string_view audit_type = "graceful-master-takeover";

std::string key_of(const std::string& cluster_id) {
    return std::string(key_prefix) + cluster_id;
}

std::string text_of(const ScheduledSwitchover& s) {
    JsonWriter out;
    out.begin_object().field("at_us", s.at.time_since_epoch().count()).field("by", s.by);
    out.field("candidate", s.candidate ? s.candidate->text() : std::string()).end_object();
    return out.take();
}

std::optional<ScheduledSwitchover> read(const std::string& cluster_id, const std::string& text) {
    boost::system::error_code ec;
    const auto parsed = json::parse(text, ec);
    const auto* object = ec ? nullptr : parsed.if_object();
    const auto* at = object != nullptr ? object->if_contains("at_us") : nullptr;
    if (at == nullptr || !at->is_int64()) return std::nullopt;
    ScheduledSwitchover s{.cluster_id = cluster_id,
                          .at = WallTime(std::chrono::microseconds(at->get_int64()))};
    if (const auto* by = object->if_contains("by"); by != nullptr && by->is_string()) s.by = by->get_string();
    const auto* candidate = object->if_contains("candidate");
    if (candidate != nullptr && candidate->is_string() && !candidate->get_string().empty()) {
        if (auto key = topology::parse_instance_key(std::string(candidate->get_string()), 0))
            s.candidate = *key;
    }
    return s;
}

}  // namespace

std::vector<ScheduledSwitchover> Impl::scheduled_switchovers() const {
    std::vector<ScheduledSwitchover> all;
    const auto& values = store_.state().key_values;
    for (auto at = values.lower_bound(std::string(key_prefix)); at != values.end(); ++at) {
        if (!at->first.starts_with(key_prefix)) break;
        if (auto s = read(at->first.substr(key_prefix.size()), at->second)) all.push_back(std::move(*s));
    }
    return all;
}

void Impl::audit_schedule(const ScheduledSwitchover& s, const std::string& message) {
    const auto cluster = observer_.cluster(s.cluster_id);
    const auto* primary = cluster ? cluster->primary() : nullptr;
    audit(std::string(audit_type), primary != nullptr ? primary->key : InstanceKey{},
          cluster ? cluster->name : s.cluster_id, message);
}

Task<Result<void>> Impl::schedule_switchover(SwitchoverRequest request, WallTime at) {
    const auto self = shared_from_this();
    const ScheduledSwitchover s{
        .cluster_id = request.cluster_id, .candidate = request.candidate, .at = at, .by = request.by};
    if (!observer_.cluster(s.cluster_id))
        co_return fail(ErrorKind::not_found, "the cluster is not known", s.cluster_id);
    if (at <= clock_.wall())
        co_return fail(ErrorKind::invalid_argument, "that time is over: " + iso_time(at));
    audit_schedule(
        s, fmt::format("scheduled for {}{}{}", iso_time(at), s.candidate ? ", to " + s.candidate->text() : "",
                       s.by.empty() ? "" : " (by " + s.by + ")"));
    co_return co_await store_.apply_durably(store::PutKeyValue{key_of(s.cluster_id), text_of(s)});
}

Task<Result<ScheduledSwitchover>> Impl::cancel_switchover(std::string cluster_id, std::string by) {
    const auto self = shared_from_this();
    for (const auto& s : scheduled_switchovers()) {
        if (s.cluster_id != cluster_id) continue;
        audit_schedule(s, fmt::format("the switchover that was scheduled for {} is cancelled{}",
                                      iso_time(s.at), by.empty() ? "" : " (by " + by + ")"));
        if (auto done = co_await store_.apply_durably(store::PutKeyValue{key_of(cluster_id), ""}); !done)
            co_return std::unexpected(done.error());
        co_return s;
    }
    co_return fail(ErrorKind::not_found, "no switchover is scheduled", cluster_id);
}

/// Once a second. It is taken out of the record before it begins: one that was begun is not begun again.
void Impl::begin_scheduled() {
    const auto wall = clock_.wall();
    for (const auto& s : scheduled_switchovers()) {
        if (wall < s.at) continue;
        const bool missed = wall - s.at > missed_after;
        // Right after a start everybody is looked at first.
        if (!missed && (!observer_.settled() || !observer_.cluster(s.cluster_id))) continue;
        store_.apply(store::PutKeyValue{key_of(s.cluster_id), ""});
        if (missed) {
            audit_schedule(
                s, fmt::format("the switchover that was scheduled for {} was missed, and is not begun",
                               iso_time(s.at)));
            spdlog::warn("cluster {}: the switchover that was scheduled for {} was missed", s.cluster_id,
                         iso_time(s.at));
            continue;
        }
        spawn(clock_.executor(), run_scheduled(s));
    }
}

Task<void> Impl::run_scheduled(ScheduledSwitchover s) {
    const auto self = shared_from_this();
    const auto outcome =
        co_await switchover({.cluster_id = s.cluster_id, .candidate = s.candidate, .by = s.by});
    std::string why;
    if (!outcome)
        why = outcome.error().text();
    else if (!outcome->attempted)
        why = outcome->not_attempted_because;
    if (!why.empty()) audit_schedule(s, "the scheduled switchover was not begun: " + why);
}

}  // namespace baton::recovery
