#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "topology/wal.h"

namespace baton::sim {

using topology::Lsn;
using topology::Timeline;

/// One row that a client wrote: where its commit record ends.
struct Row {
    Lsn end;
    uint64_t id = 0;
};

/// One branch of history: what one primary wrote between its promotion and its end. A server's content is its
/// branch up to its position, and of each ancestor what lies before the fork. Two promotions from one
/// timeline make two branches with the same number.
struct Branch {
    Timeline timeline = 1;
    Lsn begins;  ///< where it left its parent
    std::shared_ptr<Branch> parent;
    std::vector<Row> rows;

    Lsn end() const { return rows.empty() ? begins : rows.back().end; }
};
using BranchPtr = std::shared_ptr<Branch>;

/// Promoted apart from one point of one branch: their numbers and histories are the same.
inline bool are_twins(const Branch& a, const Branch& b) {
    return a.timeline == b.timeline && a.begins == b.begins && a.parent && a.parent == b.parent;
}

/// Can a server at (branch, position) stream from one that writes or has `other`? One that went over to its
/// branch and has nothing of it yet has only the number, as any twin has.
inline bool leads_to(const BranchPtr& branch, Lsn position, BranchPtr other) {
    if (!branch) return false;
    const bool bare = position <= branch->begins;
    for (; other; other = other->parent) {
        if (other == branch || (bare && are_twins(*branch, *other))) return true;
        if (position > other->begins) return false;
    }
    return false;
}

/// Rows of a server at (branch, position), oldest first.
inline std::vector<uint64_t> rows_of(const BranchPtr& branch, Lsn position) {
    std::vector<uint64_t> ids;
    if (!branch) return ids;
    ids = rows_of(branch->parent, std::min(position, branch->begins));
    for (const auto& row : branch->rows) {
        if (row.end <= position) ids.push_back(row.id);
    }
    return ids;
}

inline topology::TimelineHistory history_of(const Branch& branch) {
    topology::TimelineHistory history{.timeline = branch.timeline};
    for (const Branch* b = &branch; b->parent; b = b->parent.get())
        history.ancestors.insert(history.ancestors.begin(), {b->parent->timeline, b->begins});
    return history;
}

}  // namespace baton::sim
