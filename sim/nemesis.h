#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/random.h"
#include "sim/story.h"
#include "sim/watcher.h"
#include "sim/world.h"

namespace baton::sim {

/// Brings a story's faults upon the world, at their times or when a recovery gets to a point, and takes them
/// away again.
class Nemesis final : public Watcher {
  public:
    /// The world must be settled; the story begins now.
    Nemesis(World& world, const Story& story);

    /// Ends all that still lasts, in an order of the seed's, within two seconds; starts what is dead.
    void mend();
    bool all_mended() const { return mended_; }
    /// What happened, in the order of its beginning.
    const std::vector<FaultKind>& happened() const { return happened_; }
    /// When the first fault began.
    std::optional<MonoTime> first() const { return first_; }

    void promotion_asked(const Server& server) override;
    void promoted(const Server& server) override;
    void journalled(const store::Command& command) override;

  private:
    struct Lasting {
        const Fault* fault = nullptr;
        std::string text;
        std::function<void()> end;
    };
    using End = std::function<void()>;

    void trigger(Trigger trigger, const Server* candidate);
    void begin(const Fault& fault);
    void end(size_t id);
    End act(const Fault& fault);
    End on_server(const Fault& fault, Server& server);
    End on_links(const Fault& fault);
    static bool apart(const Fault& fault, const std::string& a, const std::string& b);
    std::vector<std::pair<std::string, std::string>> pairs(const Fault& fault) const;
    End on_manager(const Fault& fault);
    End on_agent(const Fault& fault, Server& server);
    void resume(Server& server);
    End flapping(const Fault& fault);
    std::string host_of(const std::string& target, const std::string& unlike = {}) const;
    void start(Server& server);
    void start_when_down(Server& server);
    void start_what_is_dead();

    World& world_;
    const Story& story_;
    Random random_;
    std::shared_ptr<store::State> old_record_;
    std::map<size_t, Lasting> lasting_;
    size_t next_id_ = 1;
    bool triggered_[4] = {};
    bool over_ = false;
    bool mended_ = false;
    std::string candidate_;
    std::optional<MonoTime> first_;
    std::vector<FaultKind> happened_;
};

}  // namespace baton::sim
