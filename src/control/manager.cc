#include "control/manager.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/async.h"
#include "base/json_writer.h"
#include "control/options.h"
#include "control/routers.h"

namespace baton::control {
namespace {

/// A snapshot for readers costs about this much per instance when names have changed; making them may take a
/// tenth of the time.
constexpr Duration publish_cost_per_instance = std::chrono::microseconds(3);
constexpr milliseconds publish_at_most_every{10};
constexpr seconds hear_agents_every{1};

std::string shape_json(const topology::Cluster& cluster) {
    JsonWriter json;
    const auto* primary = cluster.primary();
    json.begin_object()
        .field("cluster", cluster.name)
        .field("cluster_id", cluster.id)
        .field("alias", cluster.alias);
    json.field("primary", primary ? primary->key.text() : std::string{}).key("instances").begin_array();
    for (const auto& i : cluster.instances) {
        json.begin_object().field("instance", i->key.text()).field("role", topology::to_string(i->role));
        json.field("upstream", i->upstream ? i->upstream->text() : std::string{});
        json.field("reach", topology::to_string(i->health.reach))
            .field("replicating", i->replicating())
            .end_object();
    }
    json.end_array().end_object();
    return json.take();
}

}  // namespace

Manager::Manager(Parts parts, config::Config config)
    : clock_(parts.clock),
      engine_(parts.engine),
      store_(parts.store),
      parts_(std::move(parts)),
      config_(std::make_shared<const config::Config>(std::move(config))),
      recovery_options_(recovery_options_now()),
      discovery_(discovery::make_discovery(clock_, engine_, store_, discovery_options(*config_))),
      recovery_(recovery::make_recovery(
          clock_, engine_, store_, *this, parts_.processes, parts_.agents,
          [this](const std::string& type, const std::string& json) { emit(type, json); }, recovery_options_)),
      clients_(clock_, parts_.agents, *discovery_),
      started_(clock_.wall()),
      publish_signal_(std::make_shared<Signal>(clock_)) {
    publish();
}

recovery::Options Manager::recovery_options_now() const {
    auto options = recovery_options(*config_, parts_.hostname, parts_.token);
    options.switchover.routers = routers_of(*config_, clock_, parts_.agents);
    return options;
}

Manager::~Manager() {
    stop();
}

void Manager::start() {
    discovery_->on_change(
        [this](const std::string& id, const topology::ClusterPtr& c) { on_cluster(id, c); });
    listen_to_agents();
    watch_agents();
    recovery_->start();
    discovery_->start(seeds(*config_));
    spawn(clock_.executor(), publisher());
}

void Manager::stop() {
    if (stopped_) return;
    stopped_ = true;
    *alive_ = false;
    clients_.stop();
    discovery_->stop();
    recovery_->stop();
    publish_signal_->notify();
}

ViewPtr Manager::view() const {
    const std::lock_guard lock(view_mutex_);
    return view_;
}

void Manager::on_cluster(const std::string& id, const topology::ClusterPtr& cluster) {
    if (stopped_) return;
    recovery_->on_cluster(id, cluster);
    if (cluster) hear_agents_of(*cluster);
    announce_topology(id, cluster);
    publish_soon();
}

void Manager::announce_topology(const std::string& id, const topology::ClusterPtr& cluster) {
    if (!cluster) {
        if (announced_.erase(id) > 0) {
            emit("topology",
                 JsonWriter().begin_object().field("cluster_id", id).field("gone", true).end_object().text());
        }
        return;
    }
    {
        const std::lock_guard lock(subscribers_mutex_);
        if (subscribers_.empty()) return;
    }
    auto json = shape_json(*cluster);
    auto& last = announced_[id];
    if (last == json) return;
    last = json;
    emit("topology", json);
}

void Manager::emit(const std::string& type, const std::string& json) {
    std::vector<std::function<void(const Event&)>> callbacks;
    Event event{.id = next_event_++, .type = type, .json = json};
    ++events_;
    {
        const std::lock_guard lock(subscribers_mutex_);
        for (const auto& [id, callback] : subscribers_)
            callbacks.push_back(callback);
    }
    for (const auto& callback : callbacks)
        callback(event);
    publish_soon();
}

uint64_t Manager::subscribe(std::function<void(const Event&)> callback) {
    const std::lock_guard lock(subscribers_mutex_);
    subscribers_[next_subscriber_] = std::move(callback);
    return next_subscriber_++;
}

void Manager::unsubscribe(uint64_t id) {
    const std::lock_guard lock(subscribers_mutex_);
    subscribers_.erase(id);
}

void Manager::publish_soon() {
    if (std::exchange(view_stale_, true)) return;
    publish_signal_->notify();
}

void Manager::publish() {
    view_stale_ = false;
    seen_everything_ = seen_everything_ || discovery_->settled();
    if (recovery_ && (!problems_ || problems_version_ != recovery_->problems_version())) {
        problems_version_ = recovery_->problems_version();
        problems_ = std::make_shared<const std::vector<analysis::Problem>>(recovery_->problems());
    }
    auto fresh = std::make_shared<View>();
    fresh->topology = discovery_->topology();
    fresh->problems = problems_;
    fresh->config = config_;
    fresh->agents = agents_now();
    fresh->now = clock_.now();
    fresh->wall = clock_.wall();
    fresh->recoveries_enabled = store_.state().recoveries_enabled;
    fresh->ready = seen_everything_ && store_.health().has_value();
    fresh->node_hostname = parts_.hostname;
    fresh->node_token = parts_.token;
    fresh->started = started_;
    const std::lock_guard lock(view_mutex_);
    view_ = std::move(fresh);
}

/// Publishes what changed, and once a second anyway: ages and readiness move with time alone.
Task<void> Manager::publisher() {
    const auto alive = alive_;
    const auto signal = publish_signal_;
    while (*alive) {
        co_await signal->wait_until(clock_.now() + seconds(1));
        if (!*alive) co_return;
        if (clock_.now() - agents_heard_at_ >= hear_agents_every) {
            agents_heard_at_ = clock_.now();
            hear_all_agents();
            clients_.look(client_hosts());
        }
        publish();
        const auto instances = static_cast<int64_t>(discovery_->topology()->instance_count());
        co_await clock_.sleep_for(
            std::max<Duration>(publish_at_most_every, publish_cost_per_instance * instances * 10));
    }
}

}  // namespace baton::control
