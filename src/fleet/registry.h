#pragma once

#include <map>
#include <set>

#include "agent/agents.h"

/// The manager's side of the host agents. registry.h knows nothing of sockets: it is told what came over a
/// link and says what goes back, so that it runs in virtual time too.
namespace baton::fleet {

using topology::InstanceKey;

/// The way to one connected agent.
class Link {
  public:
    virtual ~Link() = default;
    /// Puts a frame in line; never waits. A link that cannot keep up ends itself.
    virtual void send(agent::Frame frame) = 0;
    /// Tells the agent why, and closes. Registry::gone follows, perhaps later.
    virtual void end(const std::string& reason) = 0;
    /// Where it connected from, for people.
    virtual const std::string& address() const = 0;
};

struct RegistryOptions {
    std::string manager;  ///< its host name, for people
    milliseconds heartbeat{500};
    Duration forget_unseen = std::chrono::hours(6);  ///< 0 = never
    size_t agents = 4000;
    size_t instances_per_agent = 64;
    size_t orders_per_agent = 64;
};

/// Who guards what, what they said last, which orders are under way and which grants may be in force. Control
/// thread only.
class Registry final : public agent::Agents {
  public:
    Registry(Clock& clock, RegistryOptions options);
    ~Registry() override { stop(); }

    /// Begins to notice agents that fall silent; look() is what it does again and again.
    void start();
    /// Ends what waits, with an error.
    void stop();
    void look();
    /// 0 = not on disk yet: until then nobody is welcome. Who is connected is told of a new one.
    void set_epoch(uint64_t epoch);
    /// All names of a server, for of(); without it only the agent's own name finds it.
    void names_of(std::function<std::vector<InstanceKey>(const InstanceKey&)> names) {
        names_ = std::move(names);
    }

    // ---- What comes over links. `link` must stay until gone() was called.

    /// It has seen a life of a manager at or after this one that was not this one: a newer epoch is needed
    /// before it is welcome.
    bool outranked_by(const agent::Hello& hello) const;
    /// Errors: conflict (who it claims to be, or what it claims to guard, is somebody else's), unsupported
    /// (protocol), refused_by_policy (limits), invalid_argument, unreachable (not ready).
    Result<agent::Welcome> hello(Link& link, const agent::Hello& hello);
    /// The answer; nothing while it is withheld. Errors as hello(): the link must end.
    Result<std::optional<agent::BeatAnswer>> beat(Link& link, const agent::Beat& beat);
    void progress(Link& link, const agent::Progress& progress);
    void done(Link& link, const agent::Done& done);
    void gone(Link& link);
    void refused() { ++counters_.refused; }

    // ---- agent::Agents

    const agent::Seen* of(const InstanceKey& key) const override;
    std::vector<agent::Seen> all() const override;
    Task<Result<agent::Done>> order(agent::Order order) override;
    Result<void> cancel(const InstanceKey& key) override;
    void grant(const InstanceKey& primary, agent::Grant grant) override;
    void withhold(const InstanceKey& primary, bool on) override;
    void on_change(std::function<void(const InstanceKey&)> callback) override {
        callbacks_.push_back(std::move(callback));
    }
    uint64_t epoch() const override { return epoch_; }
    agent::Counters counters() const override { return counters_; }

  private:
    /// One server.
    struct Guarded {
        agent::Seen seen;
        std::optional<agent::Grant> grant;  ///< wanted; with epoch and number once it went out
        uint64_t grants = 0;                ///< so many different ones
        bool withheld = false;
    };
    /// One agent; `link` is null while it is away.
    struct Member {
        agent::Hello hello;
        Link* link = nullptr;
        MonoTime heard{};
        uint64_t sessions = 0;
        bool silent = false;
        std::set<InstanceKey> guards;
    };
    struct Pending;
    using PendingPtr = std::shared_ptr<Pending>;
    using Keys = std::set<InstanceKey>;

    Guarded* find(const InstanceKey& key);
    const Guarded* find(const InstanceKey& key) const;
    Member* member_of(const Link& link);
    bool alive(const Member& member) const;
    Result<void> check(const agent::Hello& hello) const;
    Result<void> check_claims(const std::string& agent, const std::vector<agent::Status>& instances) const;
    agent::Welcome welcome() const;
    void replace_session(Member& member);
    void take(Member& member, const std::vector<agent::Status>& instances, Keys& changed);
    void take_status(Guarded& guarded, agent::Status status, Keys& changed);
    void job_ended(Guarded& guarded, const agent::Done& done) const;
    void job_vanished(Guarded& guarded, const agent::Status& now) const;
    void leave(const Member& member, const InstanceKey& key, Keys& changed);
    void refresh(const Member& member, Guarded& guarded) const;
    void acknowledge(const agent::Beat& beat, const Member& member, Keys& changed);
    std::optional<agent::BeatAnswer> answer(const Member& member, const agent::Beat& beat);
    const agent::Grant& stamped(Guarded& guarded);
    void set_connected(const Member& member, bool connected, Keys& changed);
    void forget_unseen();
    void notify(const Keys& changed);

    Result<Member*> member_for(const agent::Order& order);
    Result<PendingPtr> send_order(agent::Order order);
    void end_order(const PendingPtr& pending, Result<agent::Done> result);
    void end_orders(const std::string& agent, const std::string& why);
    static Task<Result<agent::Done>> await_end(Registry& registry, std::weak_ptr<bool> alive,
                                               PendingPtr pending, MonoTime deadline);
    static Task<void> watch(Registry& registry, Clock& clock, Duration pace, std::weak_ptr<bool> alive);

    Clock& clock_;
    const RegistryOptions options_;
    uint64_t epoch_ = 0;
    uint64_t next_order_ = 1;
    std::map<std::string, Member> members_;  ///< by the agent's id
    std::map<InstanceKey, Guarded> guarded_;
    std::map<const Link*, std::string> links_;
    std::map<uint64_t, PendingPtr> orders_;
    std::function<std::vector<InstanceKey>(const InstanceKey&)> names_;
    std::vector<std::function<void(const InstanceKey&)>> callbacks_;
    agent::Counters counters_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace baton::fleet
