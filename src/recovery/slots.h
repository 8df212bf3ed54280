#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/agents.h"
#include "plan/slots.h"
#include "recovery/observer.h"
#include "store/store.h"

namespace baton::recovery {

enum class SlotUpkeepWhere : uint8_t {
    with_agents,  ///< where every member that answers has a connected agent
    everywhere,
    nowhere
};

struct SlotOptions {
    SlotUpkeepWhere where = SlotUpkeepWhere::with_agents;
    bool manage = true;  ///< plan::Policy::manage_slots
    Duration member_ttl = seconds(1800);
    Duration interval = seconds(5);
};

/// Sees to it that the physical slots of all members are where they may be needed. Control thread only.
class SlotKeeper : public std::enable_shared_from_this<SlotKeeper> {
  public:
    struct Means {
        Clock& clock;
        engine::Engine& engine;
        store::Store& store;
        agent::Agents& agents;
    };
    SlotKeeper(Means means, SlotOptions options) : means_(means), options_(options) {}

    void set_options(SlotOptions options) { options_ = options; }
    void stop() { stopped_ = true; }
    /// Now and then; not while a recovery of this cluster is under way.
    void consider(const topology::ClusterPtr& cluster);

  private:
    struct Watch {
        MonoTime next{};
        MonoTime looked{};
        bool working = false;
        std::map<InstanceKey, MonoTime> seen;                            ///< members: when last
        std::map<std::pair<InstanceKey, std::string>, MonoTime> failed;  ///< slot -> not again before
        struct Cleared {
            std::vector<std::string> slots;
            MonoTime again;
        };
        std::map<InstanceKey, Cleared> cleared;  ///< by holder: what was asked about, and when next
    };

    bool wanted(const topology::Cluster& cluster) const;
    void note_members(Watch& watch, const topology::Cluster& cluster) const;
    std::vector<plan::SlotDeed> plan(Watch& watch, const topology::Cluster& cluster) const;
    Task<void> work(std::string cluster_id, std::string name, std::vector<plan::SlotDeed> deeds);
    Task<Result<void>> act(const plan::SlotDeed& deed);
    Task<void> clear(Watch& watch, std::string cluster, plan::SlotDeed deed);
    static bool is_due(const Watch& watch, const plan::SlotDeed& deed, MonoTime now);
    void remember(const std::string& cluster_id, const plan::SlotDeed& deed);
    void audit(const plan::SlotDeed& deed, const std::string& cluster, const std::string& message);

    Means means_;
    SlotOptions options_;
    std::map<std::string, Watch> watches_;  ///< by cluster id
    bool stopped_ = false;
};

}  // namespace baton::recovery
