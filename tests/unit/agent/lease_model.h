#pragma once

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "agent/lease.h"

/// One primary with its agent, one manager, two standbys with theirs, and all that may go wrong between them,
/// drawn from a seed. Time is true time; everybody reads a clock of his own, which is wrong by up to 1 %.
namespace baton::agent::model {

/// True time, in milliseconds.
using Ms = int64_t;

/// A rule that is left out, to see that the search would notice.
enum class Without {
    nothing,
    margin,           ///< the manager does not wait for the drift of clocks and for stopping
    stand_clear,      ///< nobody asks the candidate's agent
    final_word,       ///< it is asked early only, and not once more when the lease has run out
    durable_clear,    ///< the candidate's agent forgets over its restart that it stands clear
    restart_promise,  ///< and what it may have promised
    grant_log,        ///< the manager believes that the grant which it sent last is in force
    withholding,      ///< the manager goes on answering heartbeats
    guard,            ///< the manager forgets over its restart what may be in force
    epochs            ///< answers of an earlier life renew the lease
};

struct Result {
    std::string two_primaries;  ///< when and how; "" = never
    bool promoted = false;
    bool lease_ended = false;      ///< the agent ended its server
    bool vouched_through = false;  ///< the server outlived its heartbeats by vouches
};

class World {
  public:
    World(uint64_t seed, Without without);
    Result run(Ms duration);

  private:
    struct Clock {
        double rate = 1;
        Ms offset = 0;
        MonoTime at(Ms now) const {
            return MonoTime(std::chrono::microseconds(
                static_cast<int64_t>(static_cast<double>(now + offset) * 1000.0 * rate)));
        }
    };
    struct Primary {
        Clock clock;
        LeaseHolder holder;
        Grant on_disk;
        uint64_t epoch_on_disk = 0;
        bool runs = true;
        std::optional<MonoTime> frozen_until;
        std::optional<MonoTime> killed_at;
        Ms next_loop = 0, next_beat = 0, next_ask = 0;
        bool commits() const { return runs && !frozen_until; }
    };
    struct Standby {
        InstanceKey key;
        Clock clock;
        Voucher voucher;
        std::optional<MonoTime> clear_on_disk;
        bool primary = false;
    };
    struct Guard {
        bool on = false;
        bool certain = false;
        std::vector<InstanceKey> members;
    };
    struct Attempt {
        InstanceKey candidate;
        std::optional<Ms> cleared;  ///< when the last word came that it stands clear
        bool asked_again = false;
        Ms next_order = 0;
        Ms give_up = 0;
    };
    struct Manager {
        Clock clock;
        int life = 0;
        uint64_t epoch = 0;
        uint64_t number = 0;
        GrantLog log;
        Grant wanted;
        MonoTime answered{};
        bool withheld = false;
        std::optional<Attempt> attempt;
        bool promotion_asked = false;
    };

    Ms draw(Ms from, Ms to);
    bool chance(int per_mille);
    bool cut(const std::string& a, const std::string& b) const;
    /// Unless the link is cut, now and on arrival.
    void send(const std::string& from, const std::string& to, std::function<void()> deliver);

    void step();
    void fault();
    void primary_loop();
    void beat();
    void take_answer(MonoTime sent, uint64_t epoch, Grant grant);
    void ask_vouches();
    void restart_primary_agent();
    void end_server(MonoTime lease_end);
    void vouch(Standby& s, MonoTime asked);
    void restart_standby_agent(Standby& s);
    void start_manager(bool record_kept);
    void manager_hears(int life, MonoTime sent, uint64_t epoch, const Grant& acknowledged);
    void change_grant();
    void put_guard();
    void manager_loop();
    void order_stand_clear(Attempt& a);
    bool may_promote(const Attempt& a) const;
    void promote(const InstanceKey& candidate);
    void judge();

    Without without_;
    std::mt19937_64 random_;
    Ms now_ = 0;
    std::multimap<Ms, std::function<void()>> due_;
    std::map<std::pair<std::string, std::string>, Ms> cut_until_;
    Primary p_;
    std::map<std::string, Standby> standbys_;
    Manager m_;
    Guard disk_;  ///< the manager's
    Result result_;
};

}  // namespace baton::agent::model
