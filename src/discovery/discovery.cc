#include "discovery/discovery.h"

#include <algorithm>

#include "discovery/impl.h"

namespace baton::discovery {

void Impl::start(std::vector<InstanceKey> seeds) {
    load_record();
    flush_all();
    for (auto& seed : seeds) {
        if (find(seed) || (options_.ignore && options_.ignore(seed)) || !pending_seeds_.insert(seed).second)
            continue;
        spawn(clock_.executor(), try_seed(seed));
    }
    spawn(clock_.executor(), housekeeping());
}

void Impl::stop() {
    stopped_ = true;
    callback_ = nullptr;
    for (const auto& [key, e] : endpoints_) {
        e->stopped = true;
        e->signal.notify();
    }
}

void Impl::set_options(Options options) {
    options_ = std::move(options);
    refresh_annotations(std::nullopt);
}

ClusterPtr Impl::cluster(const std::string& id) const {
    const auto at = clusters_.find(id);
    return at == clusters_.end() ? nullptr : at->second.snapshot;
}

TopologyPtr Impl::topology() const {
    if (!topology_stale_ && topology_) return topology_;
    auto fresh = std::make_shared<topology::Topology>();
    fresh->version = topology_ ? topology_->version + 1 : 1;
    for (const auto& [id, state] : clusters_) {
        if (state.snapshot) fresh->clusters.emplace_hint(fresh->clusters.end(), id, state.snapshot);
    }
    if (topology_ && !names_stale_) {
        fresh->cluster_of = topology_->cluster_of;
        fresh->names = topology_->names;
    } else {
        index_names(*fresh);
    }
    topology_ = std::move(fresh);
    topology_stale_ = names_stale_ = false;
    return topology_;
}

void Impl::index_names(topology::Topology& fresh) const {
    fresh.cluster_of.reserve(endpoints_.size() + aliases_.size());
    fresh.names.reserve(2 * clusters_.size());
    for (const auto& [id, cluster] : fresh.clusters) {
        for (const auto& i : cluster->instances) {
            fresh.cluster_of[i->key] = id;
            for (const auto& alias : i->aliases)
                fresh.cluster_of[alias] = id;
        }
    }
    for (const auto& [id, cluster] : fresh.clusters) {
        // The past of one cluster may be the present of another: a server's own place beats a former name.
        for (const auto& name : cluster->former_names) {
            const auto key = topology::parse_instance_key(name, 0);
            if (!key || !fresh.cluster_of.contains(*key)) fresh.names.try_emplace(name, id);
        }
    }
    for (const auto& [id, cluster] : fresh.clusters) {
        if (!cluster->domain.empty()) fresh.names[cluster->domain] = id;
        fresh.names[cluster->alias] = id;
        fresh.names[cluster->name] = id;
    }
}

bool Impl::settled() const {
    return std::ranges::all_of(
        endpoints_, [](const auto& e) { return e.second->member.health.last_attempt != MonoTime{}; });
}

Task<Result<InstancePtr>> Impl::discover(InstanceKey key, MonoTime deadline) {
    const auto self = shared_from_this();
    if (options_.ignore && options_.ignore(key)) {
        co_return fail(ErrorKind::refused_by_policy, "is left out by DiscoveryIgnoreHostnameFilters",
                       key.text());
    }
    if (const auto e = find(key)) {
        co_await look_again({e->member.key}, deadline);
    } else if (const auto tried =
                   co_await try_one(key, {}, std::min(deadline, clock_.now() + 2 * options_.probe_timeout));
               !tried) {
        co_return std::unexpected(tried.error().error);
    }
    if (const auto e = find(key)) flush(e->member.cluster_id);
    const auto instance = topology()->find_instance(key);
    if (!instance) co_return fail(ErrorKind::not_found, "answered, but was forgotten meanwhile", key.text());
    if (!instance->health.ok()) co_return std::unexpected(*instance->health.error);
    co_return instance;
}

Task<void> Impl::look_again(std::vector<InstanceKey> keys, MonoTime deadline) {
    const auto self = shared_from_this();
    struct Pending {
        explicit Pending(Clock& clock) : signal(clock) {}
        size_t left = 0;
        Signal signal;
    };
    const auto pending = std::make_shared<Pending>(clock_);
    for (const auto& key : keys) {
        const auto e = find(key);
        if (!e) continue;
        ++pending->left;
        e->waiters.push_back({clock_.now(), [pending] {
                                  if (--pending->left == 0) pending->signal.notify();
                              }});
        kick(*e);
    }
    while (pending->left > 0 && clock_.now() < deadline)
        co_await pending->signal.wait_until(deadline);
    for (const auto& key : keys) {
        if (const auto e = find(key)) flush(e->member.cluster_id);
    }
}

Result<void> Impl::forget(const InstanceKey& key) {
    const auto e = find(key);
    if (!e) return fail(ErrorKind::not_found, "is not known", key.text());
    for (const auto& alias : e->member.aliases) {
        aliases_.erase(alias);
        alias_checked_.erase(alias);
    }
    const auto canonical = e->member.key;
    remove_endpoint(canonical);
    store_.apply(store::ForgetInstance{canonical});
    flush(e->member.cluster_id);
    return {};
}

void Impl::hold_testimony(const InstanceKey& key, MonoTime until) {
    const auto e = find(key);
    if (!e) return;
    e->member.testimony_held_until = until;
    mark(e->member.cluster_id, true);
}

void Impl::refresh_annotations(const std::optional<InstanceKey>& key) {
    const auto e = key ? find(*key) : nullptr;
    for (auto& [id, state] : clusters_) {
        if (!key || (e && e->member.cluster_id == id)) mark(id, state, false);
    }
    if (!key) flush_all();
    if (e) flush(e->member.cluster_id);
}

std::vector<Sample> Impl::samples(seconds within) const {
    const auto since = clock_.wall() - within;
    std::vector<Sample> recent;
    for (auto at = samples_.rbegin(); at != samples_.rend() && at->at >= since; ++at)
        recent.push_back(*at);
    std::ranges::reverse(recent);
    return recent;
}

namespace {

/// Keeps the implementation alive for as long as the owner does; its coroutines hold it too, until they have
/// ended.
class Handle final : public Discovery {
  public:
    explicit Handle(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
    ~Handle() override { impl_->stop(); }
    void start(std::vector<InstanceKey> seeds) override { impl_->start(std::move(seeds)); }
    void stop() override { impl_->stop(); }
    void set_options(Options options) override { impl_->set_options(std::move(options)); }
    TopologyPtr topology() const override { return impl_->topology(); }
    ClusterPtr cluster(const std::string& id) const override { return impl_->cluster(id); }
    void on_change(std::function<void(const std::string&, const ClusterPtr&)> callback) override {
        impl_->on_change(std::move(callback));
    }
    bool settled() const override { return impl_->settled(); }
    Task<Result<InstancePtr>> discover(InstanceKey key, MonoTime deadline) override {
        return impl_->discover(std::move(key), deadline);
    }
    Task<void> look_again(std::vector<InstanceKey> keys, MonoTime deadline) override {
        return impl_->look_again(std::move(keys), deadline);
    }
    Result<void> forget(const InstanceKey& key) override { return impl_->forget(key); }
    void hold_testimony(const InstanceKey& key, MonoTime until) override {
        impl_->hold_testimony(key, until);
    }
    void refresh_annotations(const std::optional<InstanceKey>& key) override {
        impl_->refresh_annotations(key);
    }
    void host_says(const InstanceKey& key, std::optional<topology::Host> host) override {
        impl_->host_says(key, std::move(host));
    }
    void clients_say(const InstanceKey& key, std::optional<topology::Clients> clients) override {
        impl_->clients_say(key, std::move(clients));
    }
    Counters counters() const override { return impl_->counters(); }
    std::vector<Sample> samples(seconds within) const override { return impl_->samples(within); }

  private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace

std::unique_ptr<Discovery> make_discovery(Clock& clock, engine::Engine& engine, store::Store& store,
                                          Options options) {
    return std::make_unique<Handle>(std::make_shared<Impl>(clock, engine, store, std::move(options)));
}

}  // namespace baton::discovery
