#include "engine/resolver.h"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <unordered_map>

#include "topology/instance_key.h"

namespace baton::engine {
namespace {

constexpr seconds fresh_for{60};
constexpr seconds retry_after{5};  // between background lookups of a name whose last lookup failed
constexpr size_t names_max = 4096;
constexpr size_t addresses_max = 8;  // of one name; each may cost a connect attempt

using Addresses = std::vector<std::string>;

struct Entry {
    Addresses addresses;
    MonoTime ask_again;
    bool looking = false;
    std::string problem;                           // of the last lookup, "" = it succeeded
    std::vector<std::shared_ptr<Signal>> waiters;  // for the lookup under way
};

Addresses read_addresses(const asio::ip::tcp::resolver::results_type& found) {
    Addresses addresses;
    for (const auto& entry : found) {
        auto text = entry.endpoint().address().to_string();
        if (std::ranges::find(addresses, text) == addresses.end()) addresses.push_back(std::move(text));
        if (addresses.size() == addresses_max) break;
    }
    return addresses;
}

}  // namespace

struct Resolver::State : std::enable_shared_from_this<State> {
    explicit State(Clock& c) : clock(c), lookup(c.executor()) {}

    void look_up(const std::string& host, Entry& entry);
    void finish(const std::string& host, const boost::system::error_code& ec, Addresses found);
    void make_room();

    Clock& clock;
    asio::ip::tcp::resolver lookup;
    std::unordered_map<std::string, Entry> entries;
};

void Resolver::State::look_up(const std::string& host, Entry& entry) {
    entry.looking = true;
    lookup.async_resolve(host, "", [weak = weak_from_this(), host](const auto& ec, const auto& found) {
        if (const auto self = weak.lock()) self->finish(host, ec, ec ? Addresses{} : read_addresses(found));
    });
}

void Resolver::State::finish(const std::string& host, const boost::system::error_code& ec, Addresses found) {
    auto& entry = entries[host];
    entry.looking = false;
    entry.problem = ec ? ec.message() : found.empty() ? "no addresses" : "";
    // A failed lookup takes nothing away: yesterday's address is better than none.
    if (entry.problem.empty()) entry.addresses = std::move(found);
    entry.ask_again = clock.now() + (entry.problem.empty() ? Duration(fresh_for) : Duration(retry_after));
    for (const auto& waiter : std::exchange(entry.waiters, {}))
        waiter->notify();
}

void Resolver::State::make_room() {
    if (entries.size() < names_max) return;
    std::erase_if(entries, [now = clock.now()](const auto& e) {
        return !e.second.looking && e.second.waiters.empty() && e.second.ask_again < now;
    });
}

Resolver::Resolver(Clock& clock) : state_(std::make_shared<State>(clock)) {}
Resolver::~Resolver() {
    state_->lookup.cancel();
}

Task<Result<Addresses>> Resolver::resolve(std::string host, MonoTime deadline) {
    const auto state = state_;  // outlives this resolver for as long as we wait
    if (topology::is_address(host)) co_return Addresses{std::move(host)};
    state->make_room();
    if (!state->entries.contains(host) && state->entries.size() >= names_max) {
        co_return fail(ErrorKind::refused_by_policy, fmt::format("more than {} host names in use", names_max),
                       host);
    }
    {
        auto& entry = state->entries[host];
        if (!entry.looking && state->clock.now() >= entry.ask_again) state->look_up(host, entry);
        if (!entry.addresses.empty()) co_return entry.addresses;
    }
    const auto found = std::make_shared<Signal>(state->clock);
    bool in_time = true;
    if (state->entries[host].looking) {
        state->entries[host].waiters.push_back(found);
        in_time = co_await found->wait_until(deadline);
    }
    auto& entry = state->entries[host];
    std::erase(entry.waiters, found);
    if (!entry.addresses.empty()) co_return entry.addresses;
    if (!in_time) co_return fail(ErrorKind::timeout, "the name service did not answer in time", host);
    co_return fail(ErrorKind::unreachable, "the name does not resolve: " + entry.problem, host);
}

Addresses Resolver::known(const std::string& host) const {
    if (topology::is_address(host)) return {host};
    const auto at = state_->entries.find(host);
    return at == state_->entries.end() ? Addresses{} : at->second.addresses;
}

void Resolver::suspect(const std::string& host) {
    const auto at = state_->entries.find(host);
    if (at == state_->entries.end() || !at->second.problem.empty()) return;
    at->second.ask_again = std::min(at->second.ask_again, state_->clock.now());
}

void Resolver::forget() {
    for (auto& [host, entry] : state_->entries)
        entry.ask_again = state_->clock.now();
}

}  // namespace baton::engine
