// Whether clients reach the primary: agents on their hosts try it.
#include "control/clients.h"

#include <fmt/format.h>

#include "base/async.h"

namespace baton::control {
namespace {

using topology::Clients;
using topology::Cluster;
using topology::InstanceKey;

constexpr milliseconds answer_within{1000};
/// A host that has reached nobody of a cluster yet may have no business there.
constexpr seconds try_again_after{10};
constexpr int failures_until_lost = 2;
/// An agent that loses its connection is back in a moment.
constexpr int rounds_until_silent = 3;
/// What fits in a sentence.
constexpr size_t most_named = 3;

enum class Answer : uint8_t { reached, lost, unheard };

/// One server, as one host sees it.
struct Sight {
    int failures = 0;  ///< in a row
    MonoTime since{};  ///< of the first of them
    std::string why;
    bool lost() const { return failures >= failures_until_lost; }
};

struct HostView {
    bool asking = false;
    int unheard = 0;                        ///< rounds in a row
    std::map<InstanceKey, Sight> sights;    ///< of the last round
    std::set<std::string> reached;          ///< clusters of which it has reached a server, ever
    std::map<std::string, MonoTime> tried;  ///< when last
};

}  // namespace

struct ClientWatch::State {
    State(Clock& c, agent::Agents& a, discovery::Discovery& d) : clock(c), agents(a), discovery(d) {}
    Clock& clock;
    agent::Agents& agents;
    discovery::Discovery& discovery;
    bool stopped = false;
    std::map<std::string, HostView> hosts;
    std::set<InstanceKey> told;  ///< of whom discovery has heard something

    HostView* counted(const std::string& host) {
        const auto at = hosts.find(host);
        return stopped || at == hosts.end() ? nullptr : &at->second;
    }
    Task<std::pair<Answer, std::string>> ask(const std::string& host, InstanceKey server);
    Task<bool> visit(std::string host, topology::ClusterPtr cluster);
    Task<Answer> try_server(std::string host, std::string cluster, InstanceKey server);
    std::map<InstanceKey, Clients> sum() const;
    void tell();
};

Task<std::pair<Answer, std::string>> ClientWatch::State::ask(const std::string& host, InstanceKey server) {
    agent::Order order{.instance = {host, 0}, .verb = agent::Verb::ask, .deadline = answer_within};
    order.upstream = std::move(server);
    const auto done = co_await agents.order(std::move(order));
    if (!done || done->error) co_return std::pair(Answer::unheard, std::string{});
    co_return std::pair(done->detail.empty() ? Answer::reached : Answer::lost, done->detail);
}

Task<Answer> ClientWatch::State::try_server(std::string host, std::string cluster, InstanceKey server) {
    const auto began = clock.now();
    auto [answer, why] = co_await ask(host, server);
    auto* view = counted(host);
    if (view == nullptr || answer == Answer::unheard) co_return Answer::unheard;
    auto& sight = view->sights[server];
    if (answer == Answer::reached) {
        view->reached.insert(cluster);
        sight = {};
        co_return answer;
    }
    if (sight.failures == 0) sight.since = began;
    ++sight.failures;
    sight.why = std::move(why);
    co_return answer;
}

/// False: its agent is not heard.
Task<bool> ClientWatch::State::visit(std::string host, topology::ClusterPtr cluster) {
    const auto* primary = cluster->primary();
    auto* view = counted(host);
    if (primary == nullptr || view == nullptr) co_return view != nullptr;
    if (!view->reached.contains(cluster->id)) {
        const auto tried = view->tried.find(cluster->id);
        if (tried != view->tried.end() && clock.now() - tried->second < try_again_after) co_return true;
    }
    const auto answer = co_await try_server(host, cluster->id, primary->key);
    if (answer == Answer::unheard) co_return false;
    if (view = counted(host); view != nullptr) view->tried[cluster->id] = clock.now();
    for (const auto& i : cluster->instances) {
        if (i.get() == primary) continue;
        if (answer == Answer::lost) {
            if (co_await try_server(host, cluster->id, i->key) == Answer::unheard) co_return false;
        } else if (view = counted(host); view != nullptr) {
            view->sights.erase(i->key);
        }
    }
    co_return true;
}

std::map<InstanceKey, Clients> ClientWatch::State::sum() const {
    std::map<InstanceKey, Clients> all;
    std::map<InstanceKey, size_t> named;
    const auto topology = discovery.topology();
    for (const auto& [host, view] : hosts) {
        for (const auto& [server, sight] : view.sights) {
            const auto cluster = topology->cluster_of.find(server);
            if (cluster == topology->cluster_of.end() || !view.reached.contains(cluster->second)) continue;
            auto& clients = all[server];
            ++clients.asked;
            if (!sight.lost()) continue;
            clients.lost_since =
                clients.lost++ == 0 ? sight.since : std::min(clients.lost_since, sight.since);
            if (++named[server] > most_named) continue;
            clients.detail += fmt::format("{}{}: {}", clients.detail.empty() ? "" : "; ", host, sight.why);
        }
    }
    return all;
}

void ClientWatch::State::tell() {
    auto before = std::exchange(told, {});
    for (auto& [server, clients] : sum()) {
        told.insert(server);
        before.erase(server);
        discovery.clients_say(server, std::move(clients));
    }
    for (const auto& server : before)
        discovery.clients_say(server, std::nullopt);
}

ClientWatch::ClientWatch(Clock& clock, agent::Agents& agents, discovery::Discovery& discovery)
    : state_(std::make_shared<State>(clock, agents, discovery)) {}

void ClientWatch::stop() {
    state_->stopped = true;
}

void ClientWatch::look(const std::set<std::string>& hosts) {
    if (state_->stopped) return;
    const auto gone = std::erase_if(state_->hosts, [&](const auto& h) { return !hosts.contains(h.first); });
    if (gone > 0) state_->tell();
    for (const auto& host : hosts) {
        auto& view = state_->hosts[host];
        if (std::exchange(view.asking, true)) continue;
        spawn(state_->clock.executor(), round(state_, host));
    }
}

Task<void> ClientWatch::round(std::shared_ptr<State> state, std::string host) {
    const auto topology = state->discovery.topology();
    std::set<InstanceKey> there;
    bool heard = true;
    for (const auto& [id, cluster] : topology->clusters) {
        for (const auto& i : cluster->instances)
            there.insert(i->key);
        if (heard) heard = co_await state->visit(host, cluster);
    }
    auto* view = state->counted(host);
    if (view == nullptr) co_return;
    view->asking = false;
    view->unheard = heard ? 0 : view->unheard + 1;
    const bool silent = view->unheard >= rounds_until_silent;
    std::erase_if(view->sights, [&](const auto& s) { return silent || !there.contains(s.first); });
    state->tell();
}

}  // namespace baton::control
