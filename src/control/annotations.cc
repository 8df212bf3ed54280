// What operators say about servers and clusters; the global switch; acknowledgements; configuration.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/manager.h"
#include "control/options.h"

namespace baton::control {
namespace {

constexpr std::chrono::minutes maintenance_expires_after{10};

std::string listed(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& n : names)
        text += (text.empty() ? "" : ", ") + n;
    return text.empty() ? "nothing" : text;
}

}  // namespace

Task<Result<int>> Manager::acknowledge(RecoveryFilter which, std::string by, std::string comment) {
    if (comment.empty()) co_return fail(ErrorKind::invalid_argument, "No acknowledge comment given");
    which.page = -1;
    std::vector<int64_t> ids;
    for (const auto& r : recoveries(which))
        ids.push_back(r.id);
    auto count = recovery_->acknowledge(ids, by, comment);
    for (const auto& [id, c] : discovery_->topology()->clusters)
        recovery_->on_cluster(id, c);
    publish();
    co_return count;
}

Task<Result<void>> Manager::set_global_recoveries(bool enabled, Caller caller) {
    auto done = co_await store_.apply_durably(store::SetGlobalRecoveries{enabled});
    note(enabled ? "enable-global-recoveries" : "disable-global-recoveries", {}, caller,
         enabled ? "enabled" : "disabled");
    publish();
    co_return done;
}

Task<Result<void>> Manager::begin_downtime(InstanceKey key, std::string owner, std::string reason,
                                           seconds duration) {
    if (duration.count() <= 0)
        co_return fail(ErrorKind::invalid_argument, "the duration must be positive", key.text());
    const auto instance = known(key);
    const auto subject = instance ? (*instance)->key : key;
    const auto wall = clock_.wall();
    store_.apply(store::BeginDowntime{
        subject, {.owner = owner, .reason = reason, .begins = wall, .ends = wall + duration}});
    note("begin-downtime", subject, {owner}, "reason: " + reason);
    discovery_->refresh_annotations(subject);
    publish();
    co_return co_await store_.flush();
}

Task<Result<void>> Manager::end_downtime(InstanceKey key) {
    const auto instance = known(key);
    const auto subject = instance ? (*instance)->key : key;
    if (!store_.state().downtimes.contains(subject)) {
        co_return fail(ErrorKind::not_found, "is not downtimed", key.text());
    }
    store_.apply(store::EndDowntime{subject});
    note("end-downtime", subject, {}, "ended");
    discovery_->refresh_annotations(subject);
    publish();
    co_return co_await store_.flush();
}

Task<Result<int64_t>> Manager::begin_maintenance(InstanceKey key, std::string owner, std::string reason) {
    const auto instance = known(key);
    if (!instance) co_return std::unexpected(instance.error());
    const auto subject = (*instance)->key;
    for (const auto& [id, m] : store_.state().maintenance) {
        if (m.key == subject) {
            co_return fail(ErrorKind::conflict,
                           fmt::format("is under maintenance already (key {}, by {})", id, m.span.owner),
                           subject.text());
        }
    }
    const auto wall = clock_.wall();
    store::Maintenance m{
        .id = store_.new_id(),
        .key = subject,
        .span = {.owner = owner, .reason = reason, .begins = wall, .ends = wall + maintenance_expires_after}};
    store_.apply(store::BeginMaintenance{m});
    note("begin-maintenance", subject, {owner},
         "maintenanceToken: " + std::to_string(m.id) + ", reason: " + reason);
    discovery_->refresh_annotations(subject);
    publish();
    co_return m.id;
}

Task<Result<void>> Manager::end_maintenance(InstanceKey key) {
    const auto instance = known(key);
    const auto subject = instance ? (*instance)->key : key;
    for (const auto& [id, m] : store_.state().maintenance) {
        if (m.key == subject) co_return co_await end_maintenance_id(id);
    }
    co_return fail(ErrorKind::not_found, "is not under maintenance", key.text());
}

Task<Result<void>> Manager::end_maintenance_id(int64_t id) {
    const auto at = store_.state().maintenance.find(id);
    if (at == store_.state().maintenance.end()) {
        co_return fail(ErrorKind::not_found, "no active maintenance has this key", std::to_string(id));
    }
    const auto key = at->second.key;
    store_.apply(store::EndMaintenance{id});
    note("end-maintenance", key, {}, "maintenanceToken: " + std::to_string(id));
    discovery_->refresh_annotations(key);
    publish();
    co_return Result<void>{};
}

Task<Result<void>> Manager::set_promotion_rule(InstanceKey key, topology::PromotionRule rule) {
    const auto instance = known(key);
    const auto subject = instance ? (*instance)->key : key;
    const auto wall = clock_.wall();
    store_.apply(store::PutPromotionRule{
        {.key = subject,
         .rule = rule,
         .suggested = wall,
         .expires = wall + std::chrono::minutes(config_->CandidateInstanceExpireMinutes)}});
    note("register-candidate", subject, {}, std::string(topology::to_string(rule)));
    discovery_->refresh_annotations(subject);
    publish();
    co_return co_await store_.flush();
}

Task<Result<void>> Manager::tag(InstanceKey key, topology::Tag tag) {
    if (tag.name.empty()) co_return fail(ErrorKind::invalid_argument, "the tag has no name", key.text());
    const auto instance = known(key);
    if (!instance) co_return std::unexpected(instance.error());
    store_.apply(store::PutTag{(*instance)->key, std::move(tag)});
    discovery_->refresh_annotations((*instance)->key);
    publish();
    co_return Result<void>{};
}

Task<Result<std::vector<InstanceKey>>> Manager::untag(std::optional<InstanceKey> key, std::string name,
                                                      std::optional<std::string> value) {
    std::vector<InstanceKey> removed;
    const auto instance = key ? known(*key) : Result<InstancePtr>{};
    for (const auto& [tagged, tags] : store_.state().tags) {
        if (key && tagged != (instance ? (*instance)->key : *key)) continue;
        const auto at = tags.find(name);
        if (at != tags.end() && (!value || at->second == *value)) removed.push_back(tagged);
    }
    for (const auto& k : removed) {
        store_.apply(store::RemoveTag{k, name});
        note("delete-instance-tag", k, {}, name);
        discovery_->refresh_annotations(k);
    }
    publish();
    co_return removed;
}

Task<Result<void>> Manager::set_cluster_alias(std::string cluster_hint, std::string alias) {
    const auto c = known_cluster(cluster_hint);
    if (!c) co_return std::unexpected(c.error());
    if (const auto other = discovery_->topology()->find_cluster(alias); other && other->id != (*c)->id) {
        co_return fail(ErrorKind::conflict, fmt::format("is a name of cluster {} already", other->name),
                       alias);
    }
    auto known_record = store_.state().clusters.contains((*c)->id)
                            ? store_.state().clusters.at((*c)->id)
                            : store::KnownCluster{.id = (*c)->id, .name = (*c)->name};
    known_record.alias = alias;
    store_.apply(store::PutCluster{std::move(known_record)});
    discovery_->refresh_annotations((*c)->instances.front()->key);
    publish();
    co_return Result<void>{};
}

Task<Result<void>> Manager::submit_pool(std::string pool, std::vector<InstanceKey> instances) {
    store_.apply(store::SetPool{std::move(pool), std::move(instances), clock_.wall()});
    co_return Result<void>{};
}

Task<Result<void>> Manager::set_hostname_unresolve(InstanceKey key, std::string name) {
    store_.apply(store::PutHostnameUnresolve{std::move(key), std::move(name)});
    co_return Result<void>{};
}

Task<Result<std::vector<std::pair<std::string, std::string>>>> Manager::submit_primaries_to_kv(
    std::optional<std::string> cluster_hint) {
    std::vector<topology::ClusterPtr> chosen;
    if (cluster_hint) {
        const auto c = known_cluster(*cluster_hint);
        if (!c) co_return std::unexpected(c.error());
        chosen.push_back(*c);
    } else {
        for (const auto& [id, c] : discovery_->topology()->clusters)
            chosen.push_back(c);
    }
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto& c : chosen) {
        const auto* primary = c->primary();
        if (primary == nullptr || !primary->health.ok()) continue;
        const auto base = recovery_options_.kv_prefix + c->alias;
        pairs.emplace_back(base, primary->key.text());
        pairs.emplace_back(base + "/hostname", primary->key.host);
        pairs.emplace_back(base + "/port", std::to_string(primary->key.port));
    }
    for (const auto& [key, value] : pairs)
        store_.apply(store::PutKeyValue{key, value});
    co_return pairs;
}

std::map<std::string, std::string> Manager::resolve_cache() const {
    std::map<std::string, std::string> names;
    for (const auto& [key, id] : discovery_->topology()->cluster_of) {
        const auto addresses = engine_.known_addresses(key.host);
        names[key.host] = addresses.empty() ? key.host : addresses.front();
    }
    return names;
}

void Manager::reset_resolve_cache() {
    engine_.forget_addresses();
}

Task<Result<std::string>> Manager::reload_configuration(std::string extra_file) {
    auto files = parts_.configuration_files;
    if (!extra_file.empty()) files.push_back(extra_file);
    auto outcome = config::reload(*config_, files);
    if (!outcome) co_return std::unexpected(outcome.error());
    for (const auto& w : outcome->warnings)
        spdlog::warn("{}", w.text);
    config_ = std::make_shared<const config::Config>(std::move(outcome->values));
    recovery_options_ = recovery_options_now();
    recovery_->set_options(recovery_options_);
    discovery_->set_options(discovery_options(*config_));
    if (parts_.apply_outside) parts_.apply_outside(*config_);
    auto text = "changed: " + listed(outcome->changed);
    if (!outcome->need_restart.empty())
        text += "; in force after a restart: " + listed(outcome->need_restart);
    note("reload-configuration", {}, {}, text);
    publish();
    co_return text;
}

}  // namespace baton::control
