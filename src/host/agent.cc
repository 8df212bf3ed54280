#include "host/agent.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/async.h"
#include "base/text.h"
#include "host/probe.h"

namespace baton::host {
namespace {

constexpr size_t most_orders = 32;
constexpr uint16_t manager_port = 3001;

std::vector<std::string> names_of(const std::vector<PoolerOptions>& poolers) {
    std::vector<std::string> names;
    for (const auto& pooler : poolers)
        names.push_back(pooler.name);
    return names;
}

}  // namespace

Agent::Agent(AgentParts parts, Options options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      trust_(std::make_shared<Trust>(parts_.clock, options_)),
      epoch_(parts_.state.memory().epoch),
      jobs_(make_jobs(parts_.clock, parts_.processes, options_.state_directory)),
      holds_(parts_.clock, options_.poolers, options_.state_directory),
      disks_(make_disks(parts_.clock, options_.instances)) {
    for (size_t at = 0; at < options_.instances.size(); ++at)
        make_guarded(at);
}

Agent::~Agent() {
    stop();
}

void Agent::make_guarded(size_t at) {
    const auto& instance = options_.instances[at];
    const auto& memory = parts_.state.memory();
    const auto known = memory.instances.find(instance.data_directory);
    auto kept = known == memory.instances.end() ? Kept{} : known->second;
    // It is of the clock of a boot, and that one is over.
    if (memory.boot != parts_.clock.boot()) kept.clear_until = {};
    const auto log = instance.log_file.empty() ? fmt::format("{}/{}-{}.log", options_.state_directory,
                                                             instance.key.host, instance.key.port)
                                               : instance.log_file;
    // What is still under way when the agent ends calls into nothing.
    const auto living = [alive = std::weak_ptr(alive_)] { return !alive.expired(); };
    Surroundings around{
        .clock = parts_.clock,
        .processes = parts_.processes,
        .jobs = *jobs_,
        .save =
            [this, living] {
                if (living()) save();
            },
        .say =
            [this, living] {
                if (living()) say();
            },
        .ask =
            [this, living](const InstanceKey& key) {
                if (living()) ask(key);
            },
        .trouble = [this, living] { return living() ? parts_.state.trouble() : std::string(); },
        .disks =
            [this, living, at](auto& data, auto& wal) {
                if (!living()) return;
                data = disks_->data(at);
                wal = disks_->wal(at);
            },
        .certificate_left = [trust = trust_] { return trust->certificate_left(); },
    };
    guarded_.push_back(std::make_shared<Guarded>(std::move(around), instance, std::move(kept), epoch_, log));
}

Task<Result<void>> Agent::prepare(bool adopt) {
    if (auto trusted = trust_->load(); !trusted) co_return trusted;
    for (const auto& g : guarded_) {
        if (auto ready = co_await g->prepare(adopt); !ready) co_return ready;
    }
    co_return Result<void>{};
}

Result<void> Agent::start() {
    if (!options_.peer_listen_address.empty()) {
        listener_ = std::make_unique<PeerListener>(
            parts_.clock,
            PeerListenerOptions{
                .address = options_.peer_listen_address, .token = trust_->token(), .tls = trust_->of_peers()},
            [this](const agent::Vouch& v) { return vouch(v); });
        if (auto listening = listener_->start(); !listening) return listening;
    }
    if (!options_.health_listen_address.empty()) {
        health_ = make_health(parts_.clock, options_, [this] { return statuses(); });
        if (auto listening = health_->start(); !listening) return listening;
    }
    asker_ = std::make_unique<PeerAsker>(parts_.clock, trust_->token(), trust_->to_peers());
    disks_->start([this, alive = std::weak_ptr(alive_)] {
        if (!alive.expired()) say();
    });
    holds_.start();
    for (const auto& address : options_.managers) {
        links_.push_back(std::make_shared<ManagerLink>(
            parts_.clock, *this,
            Dialer(parts_.clock.executor(), address, manager_port, trust_->to_managers())));
    }
    trust_->start();
    // First the guards: one whose lease has ended while nobody watched must not run a moment longer.
    for (const auto& g : guarded_)
        g->start();
    for (const auto& link : links_)
        link->start();
    return {};
}

void Agent::stop() {
    if (std::exchange(stopped_, true)) return;
    trust_->stop();
    for (const auto& link : links_)
        link->stop();
    for (const auto& g : guarded_)
        g->stop();
    if (health_) health_->stop();
    listener_.reset();
    asker_.reset();
    alive_.reset();
}

Agent::GuardedPtr Agent::find(const InstanceKey& key) const {
    const auto at = std::ranges::find_if(guarded_, [&](const auto& g) { return g->options().key == key; });
    return at == guarded_.end() ? nullptr : *at;
}

Task<Result<std::string>> Agent::reload(Options fresh) {
    const auto changes = changes_of(options_, fresh);
    auto options = with_changes(options_, fresh);
    const std::weak_ptr<bool> alive(alive_);
    if (auto trusted = co_await trust_->reload(options); !trusted) co_return std::unexpected(trusted.error());
    if (alive.expired()) co_return "";
    options_ = std::move(options);
    auto text = "changed: " + (changes.at_once.empty() ? "nothing" : join(changes.at_once, ", "));
    if (!changes.after_restart.empty())
        text += "; in force after a restart of the agent: " + join(changes.after_restart, ", ");
    co_return text;
}

// ---- What must be remembered, told and asked

Memory Agent::memory() const {
    // What is known of a server that the configuration does not name now stays known: it may come back.
    Memory memory{.agent = parts_.state.memory().agent,
                  .epoch = epoch_,
                  .boot = parts_.clock.boot(),
                  .instances = parts_.state.memory().instances};
    for (const auto& g : guarded_)
        memory.instances[g->options().data_directory] = g->guard().kept();
    return memory;
}

void Agent::save() {
    std::vector<uint64_t> versions;
    for (const auto& g : guarded_)
        versions.push_back(g->guard().version());
    parts_.state.write(to_text(memory()), [this, versions, alive = std::weak_ptr(alive_)] {
        if (alive.expired()) return;
        for (size_t i = 0; i < versions.size(); ++i)
            guarded_[i]->saved(versions[i]);
    });
}

void Agent::say() {
    for (const auto& link : links_)
        link->tell();
}

void Agent::ask(const InstanceKey& key) {
    say();
    const auto primary = find(key);
    if (!primary || !asker_) return;
    const auto grant = primary->guard().grant();
    for (const auto& member : grant.promotable) {
        if (member.agent_address.empty()) continue;
        agent::Vouch question{.primary = key,
                              .member = member.key,
                              .system_identifier = primary->guard().kept().system_identifier,
                              .span = agent::vouch_span};
        asker_->ask(member.agent_address, std::move(question),
                    [weak = std::weak_ptr(primary), who = member.key](MonoTime asked) {
                        if (const auto g = weak.lock()) g->vouched(who, asked, agent::vouch_span);
                    });
    }
}

agent::Vouched Agent::vouch(const agent::Vouch& vouch) {
    const auto member = find(vouch.member);
    if (!member) return {.seq = vouch.seq, .reason = "this agent does not guard it"};
    return member->asked_to_vouch(vouch);
}

std::vector<agent::Status> Agent::statuses() const {
    std::vector<agent::Status> out;
    for (const auto& g : guarded_)
        out.push_back(g->status());
    return out;
}

// ---- Managers

agent::Hello Agent::hello() {
    return {.version = BATON_VERSION,
            .agent = parts_.state.memory().agent,
            .host = parts_.hostname,
            .boot = parts_.clock.boot(),
            .token = *trust_->token(),
            .peer_address = options_.peer_listen_address.empty() ? "" : options_.peer_address,
            .epoch = epoch_,
            .instances = statuses(),
            .poolers = names_of(options_.poolers)};
}

agent::Beat Agent::beat() {
    agent::Beat beat{.epoch = epoch_, .instances = statuses()};
    for (const auto& g : guarded_)
        beat.acknowledged.emplace_back(g->options().key, g->guard().acknowledged());
    return beat;
}

void Agent::hear_epoch(uint64_t epoch) {
    if (epoch <= epoch_) return;
    epoch_ = epoch;
    last_order_ = 0;
    for (const auto& g : guarded_)
        g->heard_epoch(epoch_);
}

/// Somebody replays what an earlier manager said, or an old copy of a manager's record is in use.
void Agent::complain_of_old(uint64_t epoch, const std::string& what) {
    if (epoch >= epoch_) return;
    if (complaints_.may(what, std::to_string(epoch), parts_.clock.now()))
        spdlog::warn("{} of epoch {} counts for nothing: epoch {} has been heard since", what, epoch, epoch_);
}

void Agent::welcomed(const agent::Welcome& welcome) {
    complain_of_old(welcome.epoch, "a manager's welcome");
    hear_epoch(welcome.epoch);
    say();
}

void Agent::answered(MonoTime sent, const agent::BeatAnswer& answer) {
    for (const auto& [key, grant] : answer.grants) {
        complain_of_old(grant.epoch, "a grant for " + key.text());
        hear_epoch(grant.epoch);
        if (const auto g = find(key)) g->answered(sent, grant);
    }
}

// ---- Orders

Result<void> Agent::may_order(const agent::Order& order) const {
    if (stopped_) return fail(ErrorKind::cancelled, "the agent ends");
    if (order.epoch < epoch_) {
        return fail(ErrorKind::conflict,
                    fmt::format("the order is of epoch {}, and a manager of epoch {} has been heard since",
                                order.epoch, epoch_));
    }
    if (order.epoch == epoch_ && order.id <= last_order_) {
        return fail(ErrorKind::conflict,
                    fmt::format("order {} was heard before, or is older than {}: nothing is done twice",
                                order.id, last_order_));
    }
    if (orders_.size() >= most_orders)
        return fail(ErrorKind::refused_by_policy,
                    fmt::format("{} orders are under way, which is the limit", orders_.size()));
    if (!agent::of_host(order) && !find(order.instance))
        return fail(ErrorKind::not_found, "this agent does not guard it", order.instance.text());
    return {};
}

void Agent::ordered(agent::Order order, std::function<void(agent::Frame)> reply) {
    if (const auto fine = may_order(order); !fine) {
        spdlog::warn("order {} ({} {}) refused: {}", order.id, agent::to_string(order.verb),
                     order.instance.text(), fine.error().text());
        // The answer to one that is under way is its end.
        if (!orders_.contains(order.id)) reply(agent::Done{.order = order.id, .error = fine.error()});
        return;
    }
    hear_epoch(order.epoch);
    last_order_ = order.id;
    orders_.insert(order.id);
    spawn(parts_.clock.executor(),
          [](Agent& self, std::weak_ptr<bool> alive, agent::Order o,
             std::function<void(agent::Frame)> answer) -> Task<void> {
              const auto id = o.id;
              auto done = co_await self.carry_out(std::move(o), answer);
              if (alive.expired()) co_return;
              self.orders_.erase(id);
              answer(std::move(done));
              self.say();
          }(*this, alive_, std::move(order), std::move(reply)));
}

Task<agent::Done> Agent::carry_out(agent::Order order, std::function<void(agent::Frame)> reply) {
    if (order.verb == Verb::route) co_return co_await route(std::move(order));
    if (order.verb == Verb::hold) co_return co_await hold(std::move(order));
    if (agent::of_host(order)) co_return co_await look_from_here(std::move(order));
    const auto server = find(order.instance);
    const auto id = order.id;
    co_return co_await server->obey(std::move(order), [reply, id](const agent::Job& job) {
        reply(agent::Progress{.order = id, .job = job});
    });
}

Task<agent::Done> Agent::route(agent::Order order) {
    agent::Done done{.order = order.id};
    const auto at = std::ranges::find(options_.poolers, order.router, &PoolerOptions::name);
    if (at == options_.poolers.end()) {
        done.error = Error{ErrorKind::not_found, "this agent's configuration has no such PgBouncers entry",
                           order.router, ""};
        co_return done;
    }
    auto routed = co_await jobs_->route(*at, order);
    if (routed) {
        done.detail = std::move(*routed);
    } else {
        done.error = routed.error();
    }
    co_return done;
}

Task<agent::Done> Agent::hold(agent::Order order) {
    agent::Done done{.order = order.id};
    const auto deadline = parts_.clock.now() + order.deadline;
    auto held = co_await holds_.obey(std::move(order), deadline);
    if (held) {
        done.detail = std::move(*held);
    } else {
        done.error = held.error();
    }
    co_return done;
}

/// How clients on this host fare.
Task<agent::Done> Agent::look_from_here(agent::Order order) {
    const auto answer =
        co_await probe_server(parts_.clock, order.upstream.host, order.upstream.port, order.deadline);
    co_return agent::Done{.order = order.id, .detail = answer ? "" : answer.error().message};
}

void Agent::cancelled(const agent::Cancel& cancel) {
    for (const auto& g : guarded_)
        g->cancel(cancel.order);
}

}  // namespace baton::host
