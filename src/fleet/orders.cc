// Orders: what a manager asks of an agent, and how each of them comes to an end.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "fleet/registry.h"

namespace baton::fleet {
namespace {

/// The agent ends an order at its deadline by itself; its word that it did is worth waiting for.
constexpr milliseconds patience{1000};
/// So many orders are told apart within one life of a manager.
constexpr uint64_t orders_of_a_life = 1'000'000;

}  // namespace

struct Registry::Pending {
    Pending(Clock& clock, agent::Order o, std::string a)
        : order(std::move(o)), agent(std::move(a)), ended(clock) {}
    agent::Order order;
    std::string agent;
    std::optional<Result<agent::Done>> result;
    Signal ended;
};

/// A pooler or clients may stand on a host without a database: there the host's name finds the agent.
Result<Registry::Member*> Registry::member_for(const agent::Order& order) {
    Member* member = nullptr;
    if (const auto* guarded = find(order.instance)) {
        const auto at = members_.find(guarded->seen.agent);
        if (at != members_.end() && at->second.guards.contains(guarded->seen.status.key))
            member = &at->second;
    } else if (agent::of_host(order)) {
        // Several agents may be on one host.
        const auto knows = [&](const Member& m) {
            const auto& poolers = m.hello.poolers;
            return order.verb == agent::Verb::ask ||
                   std::ranges::find(poolers, order.router) != poolers.end();
        };
        for (auto& [id, m] : members_) {
            const bool there = m.hello.host == order.instance.host && knows(m);
            if (there && (!member || (alive(m) && !alive(*member)))) member = &m;
        }
        if (!member && order.verb != agent::Verb::ask)
            return fail(ErrorKind::not_found, fmt::format("no agent on {} has {} among its PgBouncers",
                                                          order.instance.host, order.router));
    }
    if (!member) return fail(ErrorKind::not_found, "no host agent guards it", order.instance.text());
    if (!alive(*member)) {
        return fail(ErrorKind::unreachable,
                    fmt::format("the agent of {} is not connected", member->hello.host),
                    order.instance.text());
    }
    return member;
}

Result<Registry::PendingPtr> Registry::send_order(agent::Order order) {
    if (!alive_) return fail(ErrorKind::cancelled, "the manager is stopping", order.instance.text());
    const auto member = member_for(order);
    if (!member) return std::unexpected(member.error());
    const auto& id = (*member)->hello.agent;
    const auto waiting = std::ranges::count_if(orders_, [&](const auto& o) { return o.second->agent == id; });
    if (static_cast<size_t>(waiting) >= options_.orders_per_agent) {
        return fail(ErrorKind::refused_by_policy,
                    fmt::format("{} orders to the agent of {} are under way, which is the limit", waiting,
                                (*member)->hello.host),
                    order.instance.text());
    }
    if (const auto* guarded = find(order.instance)) order.instance = guarded->seen.status.key;
    order.id = epoch_ * orders_of_a_life + next_order_++;
    order.epoch = epoch_;
    const auto pending = std::make_shared<Pending>(clock_, order, id);
    orders_[order.id] = pending;
    ++counters_.orders;
    // Clients' hosts are asked every second.
    const auto level = order.verb == agent::Verb::ask ? spdlog::level::debug : spdlog::level::info;
    spdlog::log(level, "order {} to the agent of {}: {} {}", order.id, (*member)->hello.host,
                to_string(order.verb), order.instance.text());
    (*member)->link->send(std::move(order));
    return pending;
}

Task<Result<agent::Done>> Registry::order(agent::Order order) {
    const auto deadline = clock_.now() + order.deadline + patience;
    auto pending = send_order(std::move(order));
    if (!pending) {
        ++counters_.orders_failed;
        co_return std::unexpected(pending.error());
    }
    co_return co_await await_end(*this, alive_, std::move(*pending), deadline);
}

/// The registry may go while it waits; then the result is there already.
Task<Result<agent::Done>> Registry::await_end(Registry& registry, std::weak_ptr<bool> alive,
                                              PendingPtr pending, MonoTime deadline) {
    while (!pending->result) {
        if (co_await pending->ended.wait_until(deadline) || pending->result) continue;
        if (alive.expired()) co_return fail(ErrorKind::cancelled, "the manager is stopping");
        const auto member = registry.members_.find(pending->agent);
        if (member != registry.members_.end() && member->second.link)
            member->second.link->send(agent::Cancel{pending->order.id});
        registry.end_order(
            pending, fail(ErrorKind::timeout,
                          fmt::format("the agent did not end {} within {} ms", to_string(pending->order.verb),
                                      pending->order.deadline.count()),
                          pending->order.instance.text()));
    }
    co_return *pending->result;
}

void Registry::end_order(const PendingPtr& pending, Result<agent::Done> result) {
    if (orders_.erase(pending->order.id) == 0) return;
    if (!result) {
        ++counters_.orders_failed;
        spdlog::warn("order {} ({} {}): {}", pending->order.id, to_string(pending->order.verb),
                     pending->order.instance.text(), result.error().text());
    }
    pending->result = std::move(result);
    pending->ended.notify();
}

void Registry::end_orders(const std::string& agent, const std::string& why) {
    for (const auto& [id, pending] : std::map(orders_)) {
        if (pending->agent != agent) continue;
        end_order(pending,
                  fail(ErrorKind::unreachable, why + " before it had answered: the deed may have been done",
                       pending->order.instance.text()));
    }
}

void Registry::progress(Link& link, const agent::Progress& progress) {
    const auto* member = member_of(link);
    const auto at = orders_.find(progress.order);
    if (!member || at == orders_.end() || at->second->agent != member->hello.agent) return;
    const auto& key = at->second->order.instance;
    if (!member->guards.contains(key)) return;
    guarded_.at(key).seen.status.job = progress.job;
    notify({key});
}

void Registry::job_ended(Guarded& guarded, const agent::Done& done) const {
    const auto& job = guarded.seen.status.job;
    if (!job || job->order != done.order) return;
    agent::EndedJob ended{.order = job->order,
                          .verb = job->verb,
                          .outcome = agent::JobOutcome::done,
                          .detail = done.detail,
                          .at = clock_.now()};
    if (done.error) {
        const bool cancelled = done.error->kind == ErrorKind::cancelled;
        ended.outcome = cancelled ? agent::JobOutcome::cancelled : agent::JobOutcome::failed;
        ended.error = done.error->text();
    }
    guarded.seen.last_job = std::move(ended);
}

/// Its agent says nothing of it any more, and never said how it ended: it was restarted, or this connection
/// is a new one. A directory in quarantine tells that it did not end well.
void Registry::job_vanished(Guarded& guarded, const agent::Status& now) const {
    const auto& job = guarded.seen.status.job;
    auto& last = guarded.seen.last_job;
    if (!job || (now.job && now.job->order == job->order) || (last && last->order == job->order)) return;
    last = agent::EndedJob{
        .order = job->order,
        .verb = job->verb,
        .outcome = now.quarantine.empty() ? agent::JobOutcome::unknown : agent::JobOutcome::failed,
        .error = now.quarantine,
        .at = clock_.now()};
}

void Registry::done(Link& link, const agent::Done& done) {
    const auto* member = member_of(link);
    if (!member) return;
    Keys changed;
    if (done.status && member->guards.contains(done.status->key)) {
        auto& guarded = guarded_.at(done.status->key);
        job_ended(guarded, done);
        take_status(guarded, *done.status, changed);
    }
    const auto at = orders_.find(done.order);
    // One that nobody waits for any more: its end was told as a timeout.
    if (at != orders_.end() && at->second->agent == member->hello.agent) {
        const auto pending = at->second;
        if (done.error) {
            auto error = *done.error;
            if (error.who.empty()) error.who = pending->order.instance.text();
            end_order(pending, std::unexpected(std::move(error)));
        } else {
            end_order(pending, done);
        }
    }
    notify(changed);
}

Result<void> Registry::cancel(const InstanceKey& key) {
    const auto* guarded = find(key);
    if (!guarded) return fail(ErrorKind::not_found, "no host agent guards it", key.text());
    const auto& job = guarded->seen.status.job;
    if (!job) return fail(ErrorKind::not_found, "its agent has no job under way", key.text());
    const auto member = members_.find(guarded->seen.agent);
    if (member == members_.end() || !alive(member->second))
        return fail(ErrorKind::unreachable, "its agent is not connected", key.text());
    spdlog::info("the job {} of {} is cancelled", job->verb, key.text());
    member->second.link->send(agent::Cancel{job->order});
    return {};
}

}  // namespace baton::fleet
