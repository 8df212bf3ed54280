#include "sim/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "sim/random.h"
#include "sim/trace.h"

namespace baton::sim {
namespace {

using std::chrono::microseconds;

/// Draws from one stream, in one order: what is drawn first stays the same when more is drawn later.
class Draw {
  public:
    explicit Draw(uint64_t seed) : random_(seed, "story") {}
    bool chance(int percent) { return random_.chance(percent); }
    Duration between(Duration least, Duration most) { return random_.between(least, most); }
    int number(int least, int most) {
        return least + static_cast<int>(random_.next() % static_cast<uint64_t>(most - least + 1));
    }
    /// Index into weights.
    size_t weighted(std::span<const int> weights) {
        int sum = 0;
        for (const int w : weights)
            sum += w;
        int at = number(0, sum - 1);
        for (size_t i = 0; i < weights.size(); ++i) {
            at -= weights[i];
            if (at < 0) return i;
        }
        return weights.size() - 1;
    }
    template <class T, size_t n>
    T one_of(const std::array<T, n>& values, const std::array<int, n>& weights) {
        return values[weighted(weights)];
    }
    const std::string& one_of(const std::vector<std::string>& values) {
        return values[static_cast<size_t>(number(0, static_cast<int>(values.size()) - 1))];
    }

  private:
    Random random_;
};

std::vector<std::string> servers_of(const Layout& layout) {
    std::vector<std::string> names{"p"};
    for (const auto& m : layout.standbys)
        names.push_back(m.name);
    return names;
}

std::string draw_synchronous(Draw& draw, const Layout& layout) {
    const auto names = join(servers_of(layout), ", ");
    const bool many = layout.standbys.size() >= 2;
    switch (draw.weighted(std::array{50, 20, 20, 10})) {
        case 1:
            return "FIRST 1 (" + names + ")";
        case 2:
            return "ANY 1 (" + names + ")";
        case 3:
            return many ? "ANY 2 (" + names + ")" : std::string("*");
        default:
            return {};
    }
}

Layout::Member draw_member(Draw& draw, int number) {
    Layout::Member m{.name = fmt::format("s{}", number)};
    m.slot = draw.chance(80);
    if (draw.chance(20)) m.replay_takes = draw.between(milliseconds(5), milliseconds(1500));
    if (draw.chance(8)) m.apply_delay_ms = 2000;
    if (draw.chance(20))
        m.rule =
            draw.one_of(std::array<std::string, 3>{"prefer", "prefer_not", "must_not"}, std::array{5, 3, 2});
    return m;
}

std::string draw_configuration(Draw& draw, Layout& layout) {
    layout.recovery_block_s = draw.one_of(std::array{3600, 10, 60, 4}, std::array{5, 3, 1, 2});
    std::string hooks;
    if (draw.chance(20)) hooks = R"(, "PreFailoverProcesses": ["pre"], "PostFailoverProcesses": ["post"])";
    const int promotion_s = draw.chance(40) ? 3 : 30;
    return fmt::format(R"({{"ProviderType": "postgresql", "RecoverMasterClusterFilters": ["*"],
"RecoverIntermediateMasterClusterFilters": ["*"], "RecoveryPeriodBlockSeconds": {}, "PromotionTimeoutSeconds": {}{}}})",
                       layout.recovery_block_s, promotion_s, hooks);
}

Layout draw_layout(Draw& draw) {
    Layout layout;
    const int standbys = draw.one_of(std::array{1, 2, 3, 4}, std::array{10, 55, 25, 10});
    for (int i = 1; i <= standbys; ++i)
        layout.standbys.push_back(draw_member(draw, i));
    if (standbys >= 2 && draw.chance(18))
        layout.standbys.back().upstream =
            layout.standbys[static_cast<size_t>(draw.number(0, standbys - 2))].name;
    layout.synchronous = draw_synchronous(draw, layout);
    layout.retry_interval_ms = draw.chance(70) ? 5000 : 500;
    layout.receiver_timeout_ms = draw.chance(50) ? 60000 : 5000;
    layout.router = draw.chance(25);
    layout.write_pause =
        draw.one_of(std::array<Duration, 5>{milliseconds(5), milliseconds(20), milliseconds(100),
                                            milliseconds(500), seconds(10)},
                    std::array{15, 30, 30, 15, 10});
    if (draw.chance(40)) layout.manager_drift_ppm = draw.number(-500, 500);
    layout.configuration = draw_configuration(draw, layout);
    layout.several_hosts = draw.chance(12);
    if (standbys >= 2 && draw.chance(8)) layout.standbys.back().diverged = true;
    if (draw.chance(40)) layout.segment_copy = draw.between(milliseconds(5), milliseconds(300));
    return layout;
}

bool of_manager(FaultKind kind) {
    return kind == FaultKind::kill_manager || kind == FaultKind::kill_manager_old ||
           kind == FaultKind::kill_manager_lost || kind == FaultKind::jump_wall ||
           kind == FaultKind::break_dns;
}

class FaultDraw {
  public:
    FaultDraw(Draw& draw, const Layout& layout)
        : draw_(draw),
          servers_(servers_of(layout)),
          standbys_(servers_.begin() + 1, servers_.end()),
          clients_(layout.router ? "router" : "client") {}

    std::vector<Fault> all() {
        const int count = draw_.one_of(std::array{1, 2, 3, 4, 6}, std::array{40, 28, 16, 10, 6});
        std::vector<Fault> faults;
        Duration at{};
        for (int i = 0; i < count; ++i) {
            at += draw_.between({}, i == 0 ? milliseconds(1500) : milliseconds(5000));
            faults.push_back(one(at, i > 0));
        }
        switch (draw_.weighted(std::array{76, 5, 5, 5, 4, 3, 2})) {
            case 1:
                return soft_failure();
            case 2:
                return torn_witnesses();
            case 3:
                return blind_restart();
            case 4:
                return uneven_standbys();
            case 5:
                return second_failure();
            case 6:
                return dead_candidate();
            default:
                return faults;
        }
    }

  private:
    /// The standbys lose the primary, which lives and gives the manager less than an answer.
    std::vector<Fault> soft_failure() {
        using enum FaultKind;
        const auto at = draw_.between({}, milliseconds(1500));
        const auto lasts = draw_.between(seconds(4), seconds(15));
        Fault soft{.at = at + draw_.between({}, milliseconds(6000)), .lasts = lasts, .target = "primary"};
        soft.kind = draw_.one_of(std::array{refuse_logins, fill_connections, crash_backend, end_sessions},
                                 std::array{3, 3, 2, 4});
        Fault end{
            .kind = end_sessions, .at = soft.at + draw_.between({}, milliseconds(500)), .target = "primary"};
        const auto how = draw_.chance(50) ? cut_some : reject_some;
        return {{.kind = how, .at = at, .lasts = lasts, .target = "primary", .group = standbys_}, soft, end};
    }

    /// The manager and some standbys lose a primary that lives and that others still receive from.
    std::vector<Fault> torn_witnesses() {
        auto some = some_standbys(0);
        if (draw_.chance(50)) some.clear();
        some.push_back("manager");
        const auto at = draw_.between({}, milliseconds(1500));
        return {{.kind = FaultKind::cut_some,
                 .at = at,
                 .lasts = draw_.between(seconds(2), seconds(15)),
                 .target = "primary",
                 .group = some}};
    }

    /// The manager dies after it asked somebody to promote itself, and does not see the candidate when it is
    /// back.
    std::vector<Fault> blind_restart() {
        using enum FaultKind;
        const auto death = death_of_primary({});
        const Fault restart{.kind = kill_manager,
                            .trigger = Trigger::promotion,
                            .at = draw_.between({}, milliseconds(60)),
                            .lasts = draw_.between(milliseconds(5), milliseconds(900))};
        const Fault hidden{
            .kind = draw_.one_of(std::array{cut, hang, isolate, refuse_logins}, std::array{3, 2, 2, 1}),
            .trigger = Trigger::promotion,
            .at = draw_.between({}, milliseconds(120)),
            .lasts = draw_.between(seconds(6), seconds(20)),
            .target = "candidate",
            .other = "manager"};
        if (draw_.chance(40)) return {death, hidden};
        return {death, restart, hidden};
    }

    /// Some standbys have less than others when the primary dies, and of the others some are out of sight or
    /// paused.
    std::vector<Fault> uneven_standbys() {
        using enum FaultKind;
        const auto behind = some_standbys(1);
        const auto at = draw_.between({}, milliseconds(500));
        const auto death = death_of_primary(at + draw_.between(milliseconds(50), milliseconds(2500)));
        std::vector<Fault> faults{{.kind = cut_some, .at = at, .target = "primary", .group = behind}, death};
        const auto& other = draw_.one_of(standbys_);
        if (draw_.chance(35)) faults.push_back({.kind = pause_replay, .at = at, .target = other});
        if (draw_.chance(35))
            faults.push_back({.kind = cut, .at = death.at, .target = other, .other = "manager"});
        return faults;
    }

    /// A new primary dies soon, and wall clocks jump in between.
    std::vector<Fault> second_failure() {
        using enum FaultKind;
        const auto first = death_of_primary(draw_.between({}, milliseconds(500)));
        auto again = death_of_primary(first.at + draw_.between(seconds(4), seconds(9)));
        Fault jump{
            .kind = jump_wall, .at = first.at + draw_.between(seconds(2), seconds(5)), .amount = 86400};
        return {first, jump, again};
    }

    std::vector<Fault> dead_candidate() {
        const auto death = death_of_primary({});
        return {death,
                {.kind = FaultKind::kill,
                 .trigger = Trigger::promotion,
                 .at = draw_.between({}, milliseconds(30)),
                 .target = "candidate"}};
    }

    Fault death_of_primary(Duration at) {
        const auto kind = draw_.one_of(std::array{FaultKind::kill, FaultKind::power_off, FaultKind::hang},
                                       std::array{4, 1, 1});
        return {.kind = kind, .at = at, .target = "primary"};
    }

    /// At random, but not all of them; at least so many where there are two.
    std::vector<std::string> some_standbys(int least) {
        auto some = standbys_;
        shuffle(some);
        const auto most = static_cast<int>(some.size()) - 1;
        some.resize(static_cast<size_t>(draw_.number(std::min(least, most), most)));
        return some;
    }

    Fault one(Duration at, bool later) {
        std::vector<int> weights;
        for (const auto& row : faults())
            weights.push_back(row.weight);
        Fault f{.kind = faults()[draw_.weighted(weights)].kind, .at = at};
        when(f, later);
        how_long(f);
        whom(f);
        return f;
    }

    /// What comes later is often a second blow while the first is being recovered from.
    void when(Fault& f, bool later) {
        const bool double_fault = later ? draw_.chance(45) : of_manager(f.kind) && draw_.chance(20);
        if (!double_fault) return;
        f.trigger = draw_.one_of(std::array{Trigger::recovery, Trigger::promotion, Trigger::promoted},
                                 std::array{4, 4, 3});
        f.at = draw_.one_of(
            std::array<Duration, 3>{draw_.between({}, milliseconds(5)), draw_.between({}, milliseconds(60)),
                                    draw_.between({}, milliseconds(1500))},
            std::array{4, 4, 2});
        if (of_manager(f.kind) && draw_.chance(70)) {
            f.trigger = Trigger::recovery;
            f.steps = static_cast<uint64_t>(draw_.number(1, 400));
        }
    }

    void how_long(Fault& f) {
        f.lasts = draw_.one_of(std::array<Duration, 4>{draw_.between(milliseconds(5), milliseconds(900)),
                                                       draw_.between(milliseconds(900), milliseconds(4000)),
                                                       draw_.between(seconds(4), seconds(10)), Duration{}},
                               std::array{20, 25, 20, 35});
    }

    std::string some_server(Fault& f) {
        if (f.trigger != Trigger::time && draw_.chance(50)) return "candidate";
        return draw_.chance(65) ? "primary" : draw_.one_of(standbys_);
    }

    void whom(Fault& f) {
        using enum FaultKind;
        if (of_manager(f.kind)) {
            f.target = f.kind == break_dns ? "manager" : std::string{};
            if (f.kind == jump_wall)
                f.amount =
                    draw_.one_of(std::array{3600, -3600, 60, -60, 86400 * 400}, std::array{3, 3, 2, 2, 1});
            return;
        }
        f.target = some_server(f);
        switch (f.kind) {
            case stall_promotion:
            case pause_replay:
            case may_not_follow:
                f.target = draw_.one_of(standbys_);
                return;
            case lose_slot:
                f.target = "primary";
                f.other = draw_.one_of(standbys_);
                return;
            case cut_some:
            case reject_some:
                return some_of_the_others(f);
            case partition:
                return sides(f);
            case ring:
                f.target.clear();
                f.group = hosts();
                return shuffle(f.group);
            case cut:
            case cut_one_way:
            case reject:
            case slow:
            case loss:
            case flap:
                return link(f);
            default:
                return;
        }
    }

    std::vector<std::string> hosts() const {
        auto all = servers_;
        all.insert(all.end(), {"manager", clients_});
        return all;
    }

    void shuffle(std::vector<std::string>& names) {
        for (size_t i = names.size(); i > 1; --i)
            std::swap(names[i - 1], names[static_cast<size_t>(draw_.number(0, static_cast<int>(i) - 1))]);
    }

    void some_of_the_others(Fault& f) {
        f.group = hosts();
        std::erase(f.group, f.target == "primary" ? "p" : f.target);
        shuffle(f.group);
        f.group.resize(static_cast<size_t>(draw_.number(1, static_cast<int>(f.group.size()) - 1)));
    }

    void sides(Fault& f) {
        f.target.clear();
        auto all = hosts();
        shuffle(all);
        all.resize(static_cast<size_t>(draw_.number(1, static_cast<int>(all.size()) - 1)));
        f.group = all;
    }

    void link(Fault& f) {
        f.other =
            draw_.one_of(std::array<std::string, 3>{"manager", clients_, "another"}, std::array{55, 10, 35});
        if (f.other == "another") f.other = draw_.one_of(servers_);
        if (f.kind == FaultKind::slow)
            f.amount = draw_.one_of(std::array{20, 100, 400, 2000}, std::array{3, 3, 3, 2});
        if (f.kind == FaultKind::loss) f.amount = draw_.one_of(std::array{5, 20, 40}, std::array{3, 3, 2});
        if (f.kind == FaultKind::flap)
            f.amount = draw_.one_of(std::array{100, 700, 1500, 3000}, std::array{1, 1, 1, 1});
        if (f.kind == FaultKind::cut_one_way && draw_.chance(50)) std::swap(f.target, f.other);
    }

    Draw& draw_;
    std::vector<std::string> servers_;
    std::vector<std::string> standbys_;
    std::string clients_;  ///< the host that their connections come from
};

}  // namespace

std::string Layout::text() const {
    std::string out = "p";
    for (const auto& m : standbys) {
        out += fmt::format(", {}", m.name);
        if (!m.upstream.empty()) out += " below " + m.upstream;
        if (!m.slot) out += " without slot";
        if (m.replay_takes > Duration{}) out += fmt::format(" replays {:.0f} ms late", in_ms(m.replay_takes));
        if (m.apply_delay_ms > 0) out += fmt::format(" delayed by {} ms", m.apply_delay_ms);
        if (m.rule != "neutral") out += " " + m.rule;
        if (m.diverged) out += " diverged";
    }
    if (several_hosts) out += "; standbys look for the primary";
    out += synchronous.empty() ? "; asynchronous" : "; synchronous_standby_names " + synchronous;
    out += fmt::format("; wal_retrieve_retry_interval {} ms; wal_receiver_timeout {} ms", retry_interval_ms,
                       receiver_timeout_ms);
    if (segment_copy > Duration{})
        out += fmt::format("; a segment is copied in up to {:.0f} ms", in_ms(segment_copy));
    out += fmt::format("; {} writes every {:.0f} ms",
                       router ? "a client behind a router" : "a multi-host client", in_ms(write_pause));
    out += fmt::format("; block period {} s", recovery_block_s);
    if (manager_drift_ppm != 0)
        out += fmt::format("; the manager's clock drifts by {} ppm", manager_drift_ppm);
    if (configuration.contains("PreFailover")) out += "; hooks";
    if (agents) out += fmt::format("; agents, their clocks drift by up to {} ppm", agent_drift_ppm);
    return out;
}

std::string Story::text() const {
    std::string out = fmt::format("seed {}: {}\n", seed, layout.text());
    for (size_t i = 0; i < faults.size(); ++i)
        out += fmt::format("  fault {}: {}\n", faults[i].number, faults[i].text());
    out += fmt::format("  everything is mended from {:.1f} ms on{}{}\n", in_ms(faults_end),
                       former_returns ? "" : "; a dead primary stays away",
                       operator_rejoins ? "; an operator re-clones former primaries" : "");
    return out;
}

/// Can the manager be right to promote nobody when the primary is gone for good?
static bool may_refuse(const Layout& layout) {
    return !layout.synchronous.empty() || layout.segment_copy > Duration{} ||
           std::ranges::any_of(layout.standbys,
                               [](const auto& m) { return m.rule == "must_not" || m.apply_delay_ms > 0; });
}

Story draw_story(uint64_t seed) {
    Draw draw(seed);
    Story story{.seed = seed, .layout = draw_layout(draw)};
    story.former_returns = draw.chance(60) || may_refuse(story.layout);
    story.operator_rejoins = draw.chance(60);
    story.faults = FaultDraw(draw, story.layout).all();
    // A manager without a record does not replace a primary that it never saw.
    if (std::ranges::find(story.faults, FaultKind::kill_manager_lost, &Fault::kind) != story.faults.end())
        story.former_returns = true;
    Duration last{};
    for (size_t i = 0; i < story.faults.size(); ++i) {
        story.faults[i].number = static_cast<int>(i) + 1;
        last = std::max(last, story.faults[i].at + std::min<Duration>(story.faults[i].lasts, seconds(5)));
    }
    story.faults_end = last + draw.between(milliseconds(500), seconds(6));
    return story;
}

}  // namespace baton::sim
