// Stories with a host agent beside each server: the story of the seed, with what happens to agents, or with
// a theme in which fencing matters.
#include <algorithm>
#include <array>

#include "sim/random.h"
#include "sim/story.h"

namespace baton::sim {
namespace {

using enum FaultKind;

class AgentDraw {
  public:
    explicit AgentDraw(Story& story) : story_(story), random_(story.seed, "story with agents") {
        for (const auto& m : story.layout.standbys)
            standbys_.push_back(m.name);
    }

    void draw() {
        auto& layout = story_.layout;
        layout.agents = true;
        layout.agent_drift_ppm = std::array{0, 100, 2000, 9000}[pick({3, 3, 2, 2})];
        // Agents bring them back.
        story_.operator_rejoins = false;
        switch (pick({45, 12, 10, 10, 8, 8, 7})) {
            case 1:
                story_.faults = silent_host();
                break;
            case 2:
                story_.faults = torn_agent();
                break;
            case 3:
                story_.faults = lost_by_its_standbys();
                break;
            case 4:
                story_.faults = restart_of_all();
                break;
            case 5:
                story_.faults = hung_and_back();
                break;
            case 6:
                story_.faults = bad_disk();
                break;
            default:
                break;
        }
        const int more = std::array{0, 1, 2}[pick({40, 45, 15})];
        for (int i = 0; i < more; ++i)
            story_.faults.push_back(one());
        finish();
    }

  private:
    size_t pick(std::initializer_list<int> weights) {
        int sum = 0;
        for (const int w : weights)
            sum += w;
        auto at = static_cast<int>(random_.next() % static_cast<uint64_t>(sum));
        size_t i = 0;
        for (const int w : weights) {
            if ((at -= w) < 0) return i;
            ++i;
        }
        return 0;
    }
    Duration between(int least_ms, int most_ms) {
        return random_.between(milliseconds(least_ms), milliseconds(most_ms));
    }
    const std::string& some_standby() { return standbys_[random_.next() % standbys_.size()]; }

    Fault one() {
        Fault f{.kind = std::array{kill_agent, freeze_agent, cut_agent, disk_hung,
                                   disk_full}[pick({4, 3, 3, 1, 1})],
                .at = between(0, 6000),
                .lasts = std::array{between(50, 900), between(900, 4000), seconds(4) + between(0, 6000),
                                    Duration{}}[pick({3, 3, 2, 1})],
                .target = random_.chance(60) ? "primary" : some_standby()};
        if (random_.chance(30)) {
            f.trigger = random_.chance(50) ? Trigger::recovery : Trigger::promotion;
            f.at = between(0, 300);
            if (random_.chance(50)) f.target = "candidate";
        }
        return f;
    }

    /// The host is gone for everybody but its own clients.
    std::vector<Fault> silent_host() {
        const auto at = between(0, 1500);
        const auto lasts = seconds(2) + between(0, 12000);
        const auto kind = std::array{isolate, cut_some, reject_some}[pick({4, 3, 4})];
        Fault f{.kind = kind, .at = at, .lasts = lasts, .target = "primary"};
        if (kind != isolate) {
            f.group = standbys_;
            f.group.emplace_back("manager");
        }
        if (!random_.chance(30)) return {f};
        // What the manager said before arrives when nobody hears it any more.
        f.at += seconds(3);
        const Fault late{.kind = slow,
                         .at = at,
                         .lasts = lasts,
                         .target = "primary",
                         .other = "manager",
                         .amount = std::array{400, 700, 1500}[pick({1, 2, 1})]};
        return {f, late};
    }

    /// Its agent is in trouble, and then its host is cut off.
    std::vector<Fault> torn_agent() {
        const auto at = between(0, 1500);
        const Fault agent{.kind = std::array{kill_agent, freeze_agent, cut_agent}[pick({1, 1, 1})],
                          .at = at,
                          .lasts = between(100, 6000),
                          .target = "primary"};
        auto cut = silent_host();
        cut.front().at = at + between(0, 3000);
        cut.insert(cut.begin(), agent);
        return cut;
    }

    /// The standbys' servers lose it, the manager too; the agents still talk to each other.
    std::vector<Fault> lost_by_its_standbys() {
        const auto at = between(0, 1500);
        const auto lasts = seconds(5) + between(0, 10000);
        if (random_.chance(60)) only_one_standby();
        std::vector<Fault> faults{
            {.kind = cut, .at = at, .lasts = lasts, .target = "primary", .other = "manager"}};
        for (const auto& s : standbys_)
            faults.push_back({.kind = lose_slot, .at = at, .lasts = lasts, .target = "primary", .other = s});
        if (random_.chance(30)) faults.push_back(one());
        return faults;
    }

    /// Whoever is left alone with the primary decides alone whether it may run.
    void only_one_standby() {
        auto& layout = story_.layout;
        layout.standbys.resize(1);
        layout.standbys.front() = {.name = "s1"};
        layout.several_hosts = false;
        layout.synchronous.clear();
        standbys_ = {"s1"};
    }

    /// The manager is started again while the old primary is out of sight, and the primary's agent as well.
    std::vector<Fault> restart_of_all() {
        auto faults = silent_host();
        const auto at = faults.front().at;
        faults.push_back({.kind = kill_manager, .at = at + between(-500, 3000), .lasts = between(5, 900)});
        faults.push_back({.kind = kill_agent,
                          .at = at + between(0, 2500),
                          .lasts = between(5, 900),
                          .target = random_.chance(70) ? "primary" : some_standby()});
        for (auto& f : faults)
            f.at = std::max<Duration>(f.at, {});
        return faults;
    }

    /// Its processes stand still, and go on when others may have taken over.
    std::vector<Fault> hung_and_back() {
        const auto at = between(0, 1500);
        std::vector<Fault> faults{{.kind = random_.chance(70) ? hang : hang_postmaster,
                                   .at = at,
                                   .lasts = seconds(1) + between(0, 9000),
                                   .target = "primary"}};
        if (random_.chance(60))
            faults.push_back({.kind = random_.chance(50) ? freeze_agent : cut_agent,
                              .at = at + between(0, 1000),
                              .lasts = seconds(1) + between(0, 9000),
                              .target = "primary"});
        return faults;
    }

    std::vector<Fault> bad_disk() {
        return {{.kind = random_.chance(60) ? disk_hung : disk_full,
                 .at = between(0, 1500),
                 .lasts = seconds(2) + between(0, 20000),
                 .target = "primary"}};
    }

    void finish() {
        Duration last{};
        for (size_t i = 0; i < story_.faults.size(); ++i) {
            auto& f = story_.faults[i];
            f.number = static_cast<int>(i) + 1;
            last = std::max(last, f.at + std::min<Duration>(f.lasts, seconds(8)));
        }
        story_.faults_end = last + between(500, 6000);
    }

    Story& story_;
    Random random_;
    std::vector<std::string> standbys_;
};

}  // namespace

Story draw_story_with_agents(uint64_t seed) {
    auto story = draw_story(seed);
    AgentDraw(story).draw();
    return story;
}

}  // namespace baton::sim
