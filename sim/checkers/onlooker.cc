#include "sim/checkers/onlooker.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "sim/agents.h"

namespace baton::sim {
namespace {

constexpr milliseconds fresh{250};
constexpr milliseconds hooks_journal_and_login{250};
/// More than this, and a login is not sure to end within a probe's deadline.
constexpr milliseconds most_delay{50};

int64_t number_of(const std::string& configuration, std::string_view key, int64_t otherwise) {
    boost::system::error_code error;
    const auto parsed = boost::json::parse(configuration.empty() ? "{}" : configuration, error);
    if (error || !parsed.is_object()) return otherwise;
    const auto* value = parsed.as_object().if_contains(key);
    return value != nullptr && value->is_int64() ? value->as_int64() : otherwise;
}

void keep(Truth::Since& since, bool holds, MonoTime now) {
    if (!holds) {
        since.reset();
    } else if (!since) {
        since = now;
    }
}

}  // namespace

bool descends_from(const BranchPtr& branch, const BranchPtr& elder) {
    for (auto at = branch; at; at = at->parent) {
        if (at == elder) return true;
    }
    return false;
}

std::string ms_text(Duration d) {
    return fmt::format("{} ms", to_ms(d));
}

Onlooker::Onlooker(Examined examined, std::string_view name)
    : Checker(examined, name), known_(world().servers().size()), life_began_(world().now() - seconds(60)) {
    const auto& text = story().layout.configuration;
    window_ = seconds(number_of(text, "InstancePollSeconds", 1)) +
              2 * milliseconds(number_of(text, "ProbeTimeoutMilliseconds", 750)) + fresh +
              hooks_journal_and_login;
    update();
}

size_t Onlooker::index(const Server& s) const {
    const auto& all = world().servers();
    return static_cast<size_t>(
        std::ranges::find_if(all, [&](const auto& other) { return other.get() == &s; }) - all.begin());
}

void Onlooker::update() {
    const auto& all = world().servers();
    auto& network = world().network();
    const auto now = world().now();
    for (size_t i = 0; i < all.size(); ++i) {
        const auto& s = *all[i];
        auto& known = known_[i];
        const bool clear = truth().near_manager(s) && network.clear("manager", s.key().host, most_delay);
        keep(known.answers, clear && s.listens() && !s.hung_for_new_sessions(), now);
        keep(known.askable,
             known.answers && s.running() && s.can_see_all && !s.looks_blocked() &&
                 !s.refuses_login("manager"),
             now);
    }
}

Duration Onlooker::window() const {
    return std::min(window_, world().now() - life_began_);
}

bool Onlooker::surely_askable(const Server& s, Duration least) const {
    return truth().held(known_[index(s)].askable, least);
}

bool Onlooker::surely_answers(const Server& s, Duration least) const {
    return truth().held(known_[index(s)].answers, least);
}

const store::Recovery* Onlooker::open_recovery(const Server& s) const {
    return world().disk().running_recovery(s.system_identifier());
}

bool Onlooker::first_ask(const Server& s) {
    if (std::exchange(asked_in_life_, life_began_) != life_began_) asked_.clear();
    const auto* r = open_recovery(s);
    return asked_.emplace(r != nullptr ? r->uid : std::string{}, &s).second;
}

bool Onlooker::first_automatic_ask(const Server& s) {
    const auto* r = open_recovery(s);
    return first_ask(s) && (r == nullptr || !r->forced);
}

const Server* Onlooker::failed_of(const store::Recovery* r) const {
    return r == nullptr ? nullptr : world().find(r->failed);
}

bool Onlooker::bound_by_lease(const Server& p, const Server& x) const {
    const auto* agents = world().host_agents();
    if (agents == nullptr) return false;
    const auto& grant = agents->kept(p).grant;
    return grant.on &&
           std::ranges::find(grant.promotable, x.key(), &agent::Member::key) != grant.promotable.end();
}

bool Onlooker::record_gets_lost() const {
    return std::ranges::any_of(story().faults, [](const Fault& f) {
        return f.kind == FaultKind::kill_manager_old || f.kind == FaultKind::kill_manager_lost;
    });
}

bool Onlooker::forked_by(const Server& p, const Server& x, const store::Recovery* r) const {
    const auto* failed = failed_of(r);
    return &p != &x && descends_from(p.branch(), failed != nullptr ? failed->branch() : x.branch());
}

}  // namespace baton::sim
