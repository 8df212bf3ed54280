#include "fleet/registry.h"

#include <gmock/gmock.h>

#include <list>

#include "fake_clock.h"

namespace baton::fleet::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const InstanceKey db1{"db1", 5432};
const InstanceKey db2{"db2", 5432};

struct FakeLink final : Link {
    explicit FakeLink(std::string from = "10.0.0.1") : from_(std::move(from)) {}
    void send(agent::Frame frame) override { sent.push_back(std::move(frame)); }
    void end(const std::string& reason) override { ended = reason; }
    const std::string& address() const override { return from_; }
    template <class F>
    const F* last() const {
        return sent.empty() ? nullptr : std::get_if<F>(&sent.back());
    }
    std::vector<agent::Frame> sent;
    std::string ended;
    std::string from_;
};

agent::Status status(const InstanceKey& key, topology::ServerState state = topology::ServerState::running) {
    agent::Status s;
    s.key = key;
    s.state = state;
    return s;
}

agent::Hello hello(const std::string& agent, const std::string& host, std::vector<agent::Status> guards) {
    agent::Hello h;
    h.version = "0.1.0";
    h.agent = agent;
    h.host = host;
    h.peer_address = host + ":3002";
    h.instances = std::move(guards);
    return h;
}

agent::Beat beat(std::vector<agent::Status> guards, uint64_t seq = 1) {
    agent::Beat b;
    b.seq = seq;
    b.epoch = 5;
    b.sent_us = 77;
    b.instances = std::move(guards);
    return b;
}

agent::Grant grant(std::vector<InstanceKey> promotable) {
    agent::Grant g{.on = true};
    for (const auto& key : promotable)
        g.promotable.push_back({key, key.host + ":3002"});
    return g;
}

class Fleet : public ::testing::Test {
  protected:
    Fleet() {
        registry.set_epoch(5);
        registry.on_change([this](const InstanceKey& key) { changes.push_back(key); });
    }
    void connect(FakeLink& link, const std::string& agent, const InstanceKey& key) {
        const auto welcome = registry.hello(link, hello(agent, key.host, {status(key)}));
        ASSERT_TRUE(welcome) << welcome.error().text();
    }
    /// The answer to an ordinary heartbeat.
    std::optional<agent::BeatAnswer> beats(FakeLink& link, const InstanceKey& key) {
        auto answer = registry.beat(link, beat({status(key)}));
        EXPECT_TRUE(answer) << answer.error().text();
        return answer ? *answer : std::nullopt;
    }
    const agent::Grant* granted(FakeLink& link, const InstanceKey& key) {
        answer_ = beats(link, key);
        return answer_ && !answer_->grants.empty() ? &answer_->grants.front().second : nullptr;
    }
    void acknowledges(FakeLink& link, const InstanceKey& key, const agent::Grant& g) {
        auto b = beat({status(key)});
        b.acknowledged = {{key, g}};
        ASSERT_TRUE(registry.beat(link, b));
    }
    std::optional<Result<agent::Done>>& give(agent::Order order) {
        auto& result = results_.emplace_back();
        spawn(clock.executor(),
              [](Registry& r, agent::Order o, std::optional<Result<agent::Done>>& out) -> Task<void> {
                  out = co_await r.order(std::move(o));
              }(registry, std::move(order), result));
        clock.settle();
        return result;
    }

    FakeClock clock;
    Registry registry{clock, {.manager = "m1", .agents = 3, .instances_per_agent = 2, .orders_per_agent = 2}};
    std::vector<InstanceKey> changes;

  private:
    std::optional<agent::BeatAnswer> answer_;
    std::list<std::optional<Result<agent::Done>>> results_;
};

// ---- Who is let in

TEST_F(Fleet, AnAgentIsWelcomeAndKnown) {
    FakeLink link("10.0.0.7");
    const auto welcome = registry.hello(link, hello("a", "db1", {status(db1)}));
    ASSERT_TRUE(welcome);
    EXPECT_EQ(welcome->epoch, 5u);
    EXPECT_EQ(welcome->manager, "m1");
    EXPECT_EQ(welcome->heartbeat, milliseconds(500));
    const auto* seen = registry.of(db1);
    ASSERT_TRUE(seen);
    EXPECT_TRUE(seen->connected);
    EXPECT_EQ(seen->address, "10.0.0.7");
    EXPECT_EQ(seen->peer_address, "db1:3002");
    EXPECT_EQ(seen->sessions, 1u);
    EXPECT_EQ(registry.of(db2), nullptr);
    EXPECT_EQ(registry.counters().connected, 1u);
    EXPECT_THAT(changes, ElementsAre(db1));
}

TEST_F(Fleet, NobodyIsWelcomeBeforeTheEpochIsOnDisk) {
    FakeLink link;
    registry.set_epoch(0);
    const auto welcome = registry.hello(link, hello("a", "db1", {status(db1)}));
    ASSERT_FALSE(welcome);
    EXPECT_EQ(welcome.error().kind, ErrorKind::unreachable);
    EXPECT_THAT(registry.all(), IsEmpty());
}

/// A record that was put back from an old copy gives an epoch that agents have seen already.
TEST_F(Fleet, AnAgentThatHasSeenMoreIsNotWelcomeYet) {
    struct Case {
        uint64_t seen;
        bool outranked;
    };
    for (const auto& c : {Case{0, false}, Case{4, false}, Case{5, true}, Case{9, true}}) {
        auto h = hello("a" + std::to_string(c.seen), "db1", {});
        h.epoch = c.seen;
        EXPECT_EQ(registry.outranked_by(h), c.outranked) << c.seen;
        FakeLink link;
        EXPECT_EQ(registry.hello(link, h).has_value(), !c.outranked) << c.seen;
    }
    // Who had it from us may come back with it.
    auto known = hello("a4", "db1", {});
    known.epoch = 5;
    EXPECT_FALSE(registry.outranked_by(known));
}

TEST_F(Fleet, WhatMakesNoSenseIsRefused) {
    auto old = hello("a", "db1", {});
    old.protocol = 99;
    auto nameless = hello("", "db1", {});
    auto hostless = hello("a", "", {});
    auto control = hello("a", "db\n1", {});
    const struct {
        agent::Hello hello;
        ErrorKind kind;
    } cases[] = {
        {old, ErrorKind::unsupported},
        {nameless, ErrorKind::invalid_argument},
        {hostless, ErrorKind::invalid_argument},
        {control, ErrorKind::invalid_argument},
        {hello("a", "db1", {status(db1), status(db1)}), ErrorKind::invalid_argument},
        {hello("a", "db1", {status({"", 5432})}), ErrorKind::invalid_argument},
        {hello("a", "db1", {status({"db1", 0})}), ErrorKind::invalid_argument},
        {hello("a", "db1", {status(db1), status(db2), status({"db3", 1})}), ErrorKind::refused_by_policy},
    };
    for (const auto& c : cases) {
        FakeLink link;
        const auto welcome = registry.hello(link, c.hello);
        ASSERT_FALSE(welcome);
        EXPECT_EQ(welcome.error().kind, c.kind) << welcome.error().text();
    }
    EXPECT_THAT(registry.all(), IsEmpty());
}

TEST_F(Fleet, ThereIsALimitOfAgents) {
    std::list<FakeLink> links;
    for (const auto* id : {"a", "b", "c"})
        ASSERT_TRUE(registry.hello(links.emplace_back(), hello(id, id, {})));
    EXPECT_FALSE(registry.hello(links.emplace_back(), hello("d", "d", {})));
    EXPECT_TRUE(registry.hello(links.emplace_back(), hello("a", "a", {}))) << "who is known may come back";
}

TEST_F(Fleet, TheFirstOfTwoAgentsKeepsAServer) {
    FakeLink first("10.0.0.1"), second("10.0.0.2");
    connect(first, "a", db1);
    const auto welcome = registry.hello(second, hello("b", "other", {status(db1)}));
    ASSERT_FALSE(welcome);
    EXPECT_EQ(welcome.error().kind, ErrorKind::conflict);
    EXPECT_THAT(welcome.error().text(), HasSubstr("db1 (10.0.0.1) guards it already"));
    EXPECT_EQ(registry.of(db1)->agent, "a");
    // Nor may it come in by a heartbeat.
    ASSERT_TRUE(registry.hello(second, hello("b", "other", {})));
    EXPECT_FALSE(registry.beat(second, beat({status(db1)})));
}

TEST_F(Fleet, AServerGoesOverWhenItsAgentIsAway) {
    FakeLink first, second;
    connect(first, "a", db1);
    clock.advance(seconds(2));
    registry.look();
    const auto welcome = registry.hello(second, hello("b", "db1", {status(db1)}));
    ASSERT_TRUE(welcome) << welcome.error().text();
    EXPECT_EQ(registry.of(db1)->agent, "b");
    EXPECT_FALSE(registry.beat(first, beat({status(db1)}))) << "the silent one is back: it is too late";
}

TEST_F(Fleet, ACopiedAgentIsNoticed) {
    FakeLink first, second;
    connect(first, "a", db1);
    const auto welcome = registry.hello(second, hello("a", "db2", {status(db2)}));
    ASSERT_FALSE(welcome);
    EXPECT_THAT(welcome.error().text(), HasSubstr("StateDirectory was copied"));
    EXPECT_TRUE(first.ended.empty());
}

TEST_F(Fleet, AnAgentThatComesTwiceReplacesItsOldSession) {
    FakeLink first, second;
    connect(first, "a", db1);
    auto& result = give({.instance = db1, .verb = agent::Verb::reload});
    connect(second, "a", db1);
    EXPECT_THAT(first.ended, HasSubstr("replaced"));
    clock.settle();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->error().kind, ErrorKind::unreachable);
    registry.gone(first);
    EXPECT_TRUE(registry.of(db1)->connected) << "the end of the old one is no news";
    EXPECT_EQ(registry.of(db1)->sessions, 2u);
    EXPECT_EQ(registry.counters().connected, 1u);
    EXPECT_FALSE(registry.beat(first, beat({status(db1)})));
    EXPECT_TRUE(registry.beat(second, beat({status(db1)})));
}

// ---- Presence

TEST_F(Fleet, ThreeMissedHeartbeatsAreSilence) {
    FakeLink link;
    connect(link, "a", db1);
    registry.start();
    clock.advance(milliseconds(1400));
    EXPECT_TRUE(registry.of(db1)->connected);
    clock.advance(milliseconds(400));
    EXPECT_FALSE(registry.of(db1)->connected);
    EXPECT_THAT(changes, ElementsAre(db1, db1));
    beats(link, db1);
    EXPECT_TRUE(registry.of(db1)->connected) << "one heartbeat and it is back";
    EXPECT_EQ(changes.size(), 3u);
    registry.stop();
    clock.advance(seconds(1));
}

TEST_F(Fleet, ABrokenConnectionIsNoticedAtOnce) {
    FakeLink link;
    connect(link, "a", db1);
    registry.gone(link);
    EXPECT_FALSE(registry.of(db1)->connected);
    EXPECT_THAT(changes, ElementsAre(db1, db1));
    EXPECT_EQ(registry.counters().connected, 0u);
}

TEST_F(Fleet, AServerThatIsNoMoreGuardedIsNotConnected) {
    FakeLink link;
    ASSERT_TRUE(registry.hello(link, hello("a", "db1", {status(db1), status(db2)})));
    beats(link, db1);
    EXPECT_TRUE(registry.of(db1)->connected);
    EXPECT_FALSE(registry.of(db2)->connected);
}

TEST_F(Fleet, OnlyNewsIsNews) {
    FakeLink link;
    connect(link, "a", db1);
    changes.clear();
    auto s = status(db1);
    s.in_state = seconds(9);
    s.lease.left = seconds(1);
    s.data_disk = topology::Disk{.path = "/", .total_bytes = 10, .free_bytes = 5};
    ASSERT_TRUE(registry.beat(link, beat({s})));
    EXPECT_THAT(changes, IsEmpty()) << "ages and free bytes move all the time";
    EXPECT_EQ(registry.of(db1)->status.in_state, seconds(9));
    s.state = topology::ServerState::down;
    s.hold = topology::Hold::down;
    ASSERT_TRUE(registry.beat(link, beat({s})));
    EXPECT_THAT(changes, ElementsAre(db1));
    s.data_disk->health = topology::DiskHealth::full;
    ASSERT_TRUE(registry.beat(link, beat({s})));
    EXPECT_EQ(changes.size(), 2u);
}

TEST_F(Fleet, AgentsThatAreGoneForLongAreForgotten) {
    FakeLink link;
    connect(link, "a", db1);
    registry.gone(link);
    clock.advance(std::chrono::hours(5));
    registry.look();
    EXPECT_TRUE(registry.of(db1));
    clock.advance(std::chrono::hours(1));
    registry.look();
    EXPECT_FALSE(registry.of(db1));
    FakeLink again;
    connect(again, "a", db1);
    EXPECT_EQ(registry.of(db1)->sessions, 1u);
}

TEST_F(Fleet, AServerIsFoundByItsOtherNames) {
    FakeLink link;
    connect(link, "a", db1);
    const InstanceKey alias{"10.1.2.3", 5432};
    EXPECT_FALSE(registry.of(alias));
    registry.names_of([&](const InstanceKey& key) { return std::vector{key, db1}; });
    EXPECT_TRUE(registry.of(alias));
}

// ---- Grants

TEST_F(Fleet, AGrantGoesOutWithEachAnswerAndCountsWhenAcknowledged) {
    FakeLink link;
    connect(link, "a", db1);
    EXPECT_EQ(granted(link, db1), nullptr);
    registry.grant(db1, grant({db2}));
    const auto* first = granted(link, db1);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->epoch, 5u);
    EXPECT_EQ(first->number, 1u);
    EXPECT_TRUE(registry.of(db1)->grants.on()) << "it may be in force from now on";
    EXPECT_FALSE(registry.of(db1)->grants.last_acknowledged().on);
    changes.clear();
    acknowledges(link, db1, *granted(link, db1));
    EXPECT_THAT(changes, ElementsAre(db1));
    EXPECT_TRUE(registry.of(db1)->grants.promotable(db2));
    registry.grant(db1, grant({db2}));
    EXPECT_EQ(granted(link, db1)->number, 1u) << "one that changes nothing is none";
    registry.grant(db1, grant({}));
    EXPECT_EQ(granted(link, db1)->number, 2u);
    EXPECT_FALSE(registry.of(db1)->grants.promotable(db2)) << "it may be in force without db2";
}

TEST_F(Fleet, UnderANewEpochAGrantIsANewOne) {
    FakeLink link;
    connect(link, "a", db1);
    registry.grant(db1, grant({db2}));
    const auto before = *granted(link, db1);
    registry.set_epoch(9);
    ASSERT_TRUE(link.last<agent::Welcome>()) << "it is told";
    EXPECT_EQ(link.last<agent::Welcome>()->epoch, 9u);
    const auto* after = granted(link, db1);
    EXPECT_EQ(after->epoch, 9u);
    EXPECT_GT(after->number, before.number);
}

/// It may yet take a grant of an earlier life that is still on its way.
TEST_F(Fleet, WhoHasNotHeardOfThisLifeAcknowledgesNothing) {
    FakeLink link;
    connect(link, "a", db1);
    auto b = beat({status(db1)});
    b.epoch = 4;
    b.acknowledged = {{db1, grant({db2})}};
    ASSERT_TRUE(registry.beat(link, b));
    EXPECT_FALSE(registry.of(db1)->grants.heard());
    b.epoch = 5;
    ASSERT_TRUE(registry.beat(link, b));
    EXPECT_TRUE(registry.of(db1)->grants.heard());
}

TEST_F(Fleet, AnswersSayWhenTheyWentOut) {
    FakeLink link;
    connect(link, "a", db1);
    EXPECT_EQ(registry.of(db1)->answered, MonoTime{});
    clock.advance(milliseconds(300));
    const auto answer = beats(link, db1);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->sent_us, 77);
    EXPECT_EQ(registry.of(db1)->answered, clock.now());
}

TEST_F(Fleet, WithheldMeansNoAnswer) {
    FakeLink link;
    connect(link, "a", db1);
    registry.grant(db1, grant({db2}));
    beats(link, db1);
    const auto last = clock.now();
    registry.withhold(db1, true);
    clock.advance(milliseconds(500));
    EXPECT_FALSE(beats(link, db1));
    EXPECT_EQ(registry.of(db1)->answered, last);
    EXPECT_TRUE(registry.of(db1)->connected) << "it is heard all the same";
    registry.withhold(db1, false);
    EXPECT_TRUE(beats(link, db1));
}

TEST_F(Fleet, TheOtherServersOfAWithheldOneKeepTheirLease) {
    FakeLink link;
    ASSERT_TRUE(registry.hello(link, hello("a", "db1", {status(db1), status(db2)})));
    registry.grant(db1, grant({{"x", 1}}));
    registry.grant(db2, grant({{"y", 1}}));
    registry.withhold(db1, true);
    const auto answer = registry.beat(link, beat({status(db1), status(db2)}));
    ASSERT_TRUE(answer && *answer);
    ASSERT_EQ((*answer)->grants.size(), 1u);
    EXPECT_EQ((*answer)->grants.front().first, db2);
    EXPECT_EQ(registry.of(db1)->answered, MonoTime{});
}

/// The news may be what makes the manager withhold it.
TEST_F(Fleet, TheHeartbeatThatBringsTheNewsIsNotAnsweredAnyMore) {
    FakeLink link;
    connect(link, "a", db1);
    registry.grant(db1, grant({db2}));
    registry.on_change([&](const InstanceKey& key) { registry.withhold(key, true); });
    const auto answer = registry.beat(link, beat({status(db1, topology::ServerState::hung)}));
    ASSERT_TRUE(answer);
    EXPECT_FALSE(*answer);
}

// ---- Orders

TEST_F(Fleet, AnOrderIsNumberedSentAndAnswered) {
    FakeLink link;
    connect(link, "a", db1);
    auto& result = give({.instance = db1, .verb = agent::Verb::fence});
    const auto* order = link.last<agent::Order>();
    ASSERT_TRUE(order);
    EXPECT_EQ(order->epoch, 5u);
    EXPECT_EQ(order->verb, agent::Verb::fence);
    EXPECT_GT(order->id, 0u);
    EXPECT_FALSE(result);
    auto fenced = status(db1, topology::ServerState::down);
    fenced.hold = topology::Hold::fenced;
    registry.done(link, {.order = order->id, .error = {}, .detail = "stopped", .status = fenced});
    clock.settle();
    ASSERT_TRUE(result && *result);
    EXPECT_EQ((*result)->detail, "stopped");
    EXPECT_EQ(registry.of(db1)->status.hold, topology::Hold::fenced);
    EXPECT_EQ(registry.counters().orders, 1u);
    EXPECT_EQ(registry.counters().orders_failed, 0u);
}

TEST_F(Fleet, WhatTheAgentSaysIsTheError) {
    FakeLink link;
    connect(link, "a", db1);
    auto& result = give({.instance = db1, .verb = agent::Verb::promote});
    registry.done(link, {.order = link.last<agent::Order>()->id,
                         .error = Error{ErrorKind::conflict, "it vouches", "", ""},
                         .detail = {},
                         .status = {}});
    clock.settle();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->error().kind, ErrorKind::conflict);
    EXPECT_EQ(result->error().text(), "db1:5432: it vouches");
}

TEST_F(Fleet, AnOrderWithoutAnAgentFails) {
    EXPECT_EQ(give({.instance = db1, .verb = agent::Verb::start})->error().kind, ErrorKind::not_found);
    FakeLink link;
    connect(link, "a", db1);
    registry.gone(link);
    EXPECT_EQ(give({.instance = db1, .verb = agent::Verb::start})->error().kind, ErrorKind::unreachable);
}

TEST_F(Fleet, ABrokenConnectionLeavesAnOrderInDoubt) {
    FakeLink link;
    connect(link, "a", db1);
    auto& result = give({.instance = db1, .verb = agent::Verb::stop});
    registry.gone(link);
    clock.settle();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->error().kind, ErrorKind::unreachable);
    EXPECT_THAT(result->error().text(), HasSubstr("the deed may have been done"));
}

TEST_F(Fleet, AnOrderThatTakesTooLongIsCancelled) {
    FakeLink link;
    connect(link, "a", db1);
    auto& result = give({.instance = db1, .verb = agent::Verb::restart, .deadline = milliseconds(2000)});
    const auto id = link.last<agent::Order>()->id;
    for (int i = 0; i < 5; ++i) {
        clock.advance(milliseconds(500));
        beats(link, db1);
    }
    EXPECT_FALSE(result) << "the agent has a moment to say how it ended";
    clock.advance(milliseconds(600));
    ASSERT_TRUE(result);
    EXPECT_EQ(result->error().kind, ErrorKind::timeout);
    ASSERT_TRUE(link.last<agent::Cancel>());
    EXPECT_EQ(link.last<agent::Cancel>()->order, id);
    registry.done(link, {.order = id, .error = {}, .detail = {}, .status = {}});
}

TEST_F(Fleet, AnotherAgentCannotAnswerAnOrder) {
    FakeLink link, other;
    connect(link, "a", db1);
    connect(other, "b", db2);
    auto& result = give({.instance = db1, .verb = agent::Verb::reload});
    const auto id = link.last<agent::Order>()->id;
    auto lie = status(db1, topology::ServerState::down);
    registry.done(other, {.order = id, .error = {}, .detail = {}, .status = lie});
    registry.progress(other, {.order = id, .job = {.order = id, .verb = "lie", .phase = ""}});
    clock.settle();
    EXPECT_FALSE(result);
    EXPECT_EQ(registry.of(db1)->status.state, topology::ServerState::running);
    EXPECT_FALSE(registry.of(db1)->status.job);
}

TEST_F(Fleet, OrdersAreLimited) {
    FakeLink link;
    connect(link, "a", db1);
    give({.instance = db1, .verb = agent::Verb::reload});
    give({.instance = db1, .verb = agent::Verb::reload});
    EXPECT_EQ(give({.instance = db1, .verb = agent::Verb::reload})->error().kind,
              ErrorKind::refused_by_policy);
    EXPECT_EQ(link.sent.size(), 2u);
}

TEST_F(Fleet, ProgressIsSeenAndAJobCanBeCancelled) {
    FakeLink link;
    connect(link, "a", db1);
    EXPECT_EQ(registry.cancel(db1).error().kind, ErrorKind::not_found);
    give({.instance = db1, .verb = agent::Verb::clone, .upstream = db2});
    const auto id = link.last<agent::Order>()->id;
    changes.clear();
    registry.progress(
        link, {.order = id, .job = {.order = id, .verb = "clone", .phase = "copying", .done_bytes = 5}});
    EXPECT_THAT(changes, ElementsAre(db1));
    ASSERT_TRUE(registry.of(db1)->status.job);
    EXPECT_EQ(registry.of(db1)->status.job->done_bytes, 5);
    EXPECT_TRUE(registry.cancel(db1));
    ASSERT_TRUE(link.last<agent::Cancel>());
    EXPECT_EQ(link.last<agent::Cancel>()->order, id);
}

TEST_F(Fleet, HowAJobEndedIsRemembered) {
    const std::pair<std::optional<Error>, agent::JobOutcome> cases[] = {
        {{}, agent::JobOutcome::done},
        {Error{ErrorKind::io, "the disk is full", "", ""}, agent::JobOutcome::failed},
        {Error{ErrorKind::cancelled, "on demand", "", ""}, agent::JobOutcome::cancelled}};
    FakeLink link;
    connect(link, "a", db1);
    for (const auto& [error, outcome] : cases) {
        give({.instance = db1, .verb = agent::Verb::clone, .upstream = db2});
        const auto id = link.last<agent::Order>()->id;
        registry.progress(link, {.order = id, .job = {.order = id, .verb = "clone"}});
        registry.done(link, {.order = id, .error = error, .detail = "3 GB", .status = status(db1)});
        clock.settle();
        const auto& end = registry.of(db1)->last_job;
        ASSERT_TRUE(end && end->order == id);
        EXPECT_EQ(end->outcome, outcome);
        EXPECT_EQ(end->error.empty(), !error.has_value());
    }
}

TEST_F(Fleet, AJobThatWasCutShortEndsWithWhatItsAgentSaysThen) {
    FakeLink link;
    connect(link, "a", db1);
    auto busy = status(db1), broken = status(db1);
    busy.job = agent::Job{.order = 7, .verb = "rewind"};
    broken.quarantine = "a rewind from db2:5432 was interrupted";
    ASSERT_TRUE(registry.beat(link, beat({busy})) && registry.beat(link, beat({broken}, 2)));
    EXPECT_EQ(registry.of(db1)->last_job->outcome, agent::JobOutcome::failed);
    EXPECT_EQ(registry.of(db1)->last_job->error, broken.quarantine);
}

TEST_F(Fleet, APoolersAgentIsFoundByItsHost) {
    FakeLink link, other;
    auto pooler = hello("p", "pool1", {});
    pooler.poolers = {"pb1"};
    ASSERT_TRUE(registry.hello(link, pooler));
    ASSERT_TRUE(registry.hello(other, hello("q", "pool1", {}))) << "a second agent, with other tasks";
    EXPECT_EQ(give({.instance = {"pool1", 0}, .verb = agent::Verb::route, .router = "pb2"})->error().kind,
              ErrorKind::not_found);
    give({.instance = {"pool1", 0}, .verb = agent::Verb::route, .upstream = db1, .router = "pb1"});
    ASSERT_TRUE(link.last<agent::Order>());
    EXPECT_EQ(link.last<agent::Order>()->router, "pb1");
    give({.instance = {"pool1", 0}, .verb = agent::Verb::ask, .upstream = db1});
    EXPECT_EQ(link.last<agent::Order>()->verb, agent::Verb::ask) << "what its clients reach";
    EXPECT_EQ(give({.instance = {"pool1", 0}, .verb = agent::Verb::start})->error().kind,
              ErrorKind::not_found);
}

TEST_F(Fleet, AStopEndsWhatWaits) {
    FakeLink link;
    connect(link, "a", db1);
    auto& result = give({.instance = db1, .verb = agent::Verb::reload});
    registry.stop();
    clock.settle();
    ASSERT_TRUE(result);
    EXPECT_EQ(result->error().kind, ErrorKind::cancelled);
    EXPECT_EQ(give({.instance = db1, .verb = agent::Verb::reload})->error().kind, ErrorKind::cancelled);
}

}  // namespace
}  // namespace baton::fleet::testing
