#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "plan/plan.h"

/// Which physical slots there should be, before anybody needs them. Pure.
namespace baton::plan {

/// The slot that `member` uses, or would use: one name belongs to one member, whatever their cluster_name is.
std::string member_slot(const Cluster& cluster, const Instance& member);

/// A slot that Baton made, or that it saw its member use.
struct KnownSlot {
    InstanceKey holder;
    std::string name;
    InstanceKey member;
    auto operator<=>(const KnownSlot&) const = default;
};

enum class SlotDeedKind : uint8_t {
    know,
    create,
    advance,
    drop,
    forget,
    clear  ///< logical ones that a former primary may still have, which is asked for first
};

struct SlotDeed {
    SlotDeedKind kind;
    KnownSlot slot;                    ///< clear: the holder only
    Lsn to;                            ///< advance
    std::string why;                   ///< drop: a sentence
    std::vector<std::string> logical;  ///< clear: which
};

struct SlotUpkeep {
    /// Those that are remembered of this cluster.
    std::set<KnownSlot> known;
    /// For how long this member has not been seen, while this manager watched. 0 = it is there.
    std::function<Duration(const InstanceKey& member)> gone_for;
    Duration member_ttl = seconds(1800);  ///< 0 = for ever
};

/// What is to be done now. At most one slot is dropped to save a disk: the next look tells whether that was
/// enough.
std::vector<SlotDeed> plan_slot_upkeep(const Cluster& cluster, const SlotUpkeep& upkeep);

}  // namespace baton::plan
