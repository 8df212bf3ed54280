#pragma once

#include <map>

#include "recovery/journal.h"
#include "routing/router.h"

namespace baton::recovery {

/// The routers of all clusters, and telling them where clients are to be led. Control thread only.
class Routers : public std::enable_shared_from_this<Routers> {
  public:
    explicit Routers(Clock& clock) : clock_(clock) {}

    void set(std::vector<RouterOf> routers) { routers_ = std::move(routers); }
    void stop() { stopped_ = true; }
    bool none() const { return routers_.empty(); }
    std::vector<routing::RouterPtr> of(const topology::Cluster& cluster) const;
    routing::RouterPtr find(const std::string& name) const;

    /// Tells all routers of `cluster` at once, and those that cannot be told again and again, until another
    /// one leads. Returns at once.
    void lead_to(const topology::Cluster& cluster, const InstanceKey& leader, JournalPtr journal);
    /// The same for one that holds its clients: they go on when it is told, and in any case soon.
    Task<Result<void>> lead_held(std::string cluster_id, routing::RouterPtr router, InstanceKey leader,
                                 JournalPtr journal, MonoTime deadline);
    /// Clients go on, wherever they are led; tried again a few times.
    Task<void> resume(std::vector<routing::RouterPtr> routers, JournalPtr journal);

  private:
    static Task<void> tell(std::shared_ptr<Routers> self, std::string cluster_id, routing::RouterPtr router,
                           InstanceKey leader, JournalPtr journal, uint64_t turn, routing::Clients clients);
    static Task<bool> resume_one(std::shared_ptr<Routers> self, routing::RouterPtr router,
                                 JournalPtr journal);

    Clock& clock_;
    std::vector<RouterOf> routers_;
    std::map<std::string, uint64_t>
        turns_;  ///< by cluster: a later leader ends the telling of an earlier one
    bool stopped_ = false;
};

}  // namespace baton::recovery
