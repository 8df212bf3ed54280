// A fleet on a real port, and agents that speak to it over real connections.
#include <gmock/gmock.h>

#include "agent/codec.h"
#include "base/run.h"
#include "fleet/fleet.h"
#include "net/channel.h"
#include "net/connect.h"

namespace baton::fleet::testing {
namespace {

using ::testing::HasSubstr;

const InstanceKey db1{"db1", 5432};
constexpr seconds patience{20};

agent::Status running(const InstanceKey& key) {
    agent::Status s;
    s.key = key;
    s.state = topology::ServerState::running;
    return s;
}

agent::Hello hello(const std::string& agent = "a", const std::string& token = "secret") {
    agent::Hello h;
    h.version = "0.1.0";
    h.agent = agent;
    h.host = "host-" + agent;
    h.token = token;
    h.instances = {running(db1)};
    return h;
}

/// The agent's end.
class Agent {
  public:
    static Task<Agent> at(Clock& clock, uint16_t port) {
        auto stream = co_await net::connect(
            clock.executor(), {.host = "127.0.0.1", .port = port, .addresses = {"127.0.0.1"}}, patience);
        EXPECT_TRUE(stream) << stream.error().text();
        co_return Agent(net::make_channel(std::move(*stream), agent::frame_limit));
    }
    Task<bool> say(agent::Frame frame) { return say_text(agent::to_text(frame)); }
    Task<bool> say_text(std::string text) {
        const auto sent = co_await channel_->write_line(text, patience);
        co_return sent.has_value();
    }
    /// Nothing when the connection ended.
    Task<std::optional<agent::Frame>> hear() {
        const auto line = co_await channel_->read_line(patience);
        if (!line) {
            EXPECT_NE(line.error().kind, ErrorKind::timeout);
            co_return std::nullopt;
        }
        const auto frame = agent::parse_frame(*line);
        EXPECT_TRUE(frame) << *line;
        co_return frame ? std::optional(*frame) : std::nullopt;
    }
    template <class F>
    Task<std::optional<F>> hear_a() {
        const auto frame = co_await hear();
        const auto* wanted = frame ? std::get_if<F>(&*frame) : nullptr;
        EXPECT_TRUE(wanted) << (frame ? agent::to_text(*frame) : "the connection ended");
        co_return wanted ? std::optional(*wanted) : std::nullopt;
    }
    /// It is told why, and then the connection ends.
    Task<std::string> hear_refusal() {
        const auto refusal = co_await hear_a<agent::Refusal>();
        const auto more = co_await hear();
        EXPECT_FALSE(more);
        co_return refusal ? refusal->reason : std::string();
    }

  private:
    explicit Agent(std::unique_ptr<net::Channel> channel) : channel_(std::move(channel)) {}
    std::unique_ptr<net::Channel> channel_;
};

/// What the manager's record does.
struct Record {
    uint64_t epoch = 6;
    bool writable = true;
    std::vector<uint64_t> seen;
};

Options options() {
    return {.listen_address = "127.0.0.1:0", .token = "secret", .registry = {.manager = "m1"}};
}

/// Runs `story(fleet, clock)` beside a fleet.
void with_fleet(Options options, Record& record, std::function<Task<void>(Fleet&, Clock&)> story) {
    (void)run_task<bool>([&](Clock& clock) -> Task<bool> {
        const auto fleet =
            make_fleet(clock, std::move(options), [&](uint64_t seen) -> Task<Result<uint64_t>> {
                record.seen.push_back(seen);
                if (!record.writable) co_return fail(ErrorKind::io, "disk full");
                record.epoch = std::max(record.epoch, seen) + 1;
                co_return record.epoch;
            });
        const auto started = fleet->start();
        EXPECT_TRUE(started) << started.error().text();
        co_await story(*fleet, clock);
        fleet->stop();
        co_return true;
    });
}
void with_fleet(std::function<Task<void>(Fleet&, Clock&)> story) {
    Record record;
    with_fleet(options(), record, std::move(story));
}

/// Waits until `done` holds.
Task<bool> eventually(Clock& clock, std::function<bool()> done) {
    const auto deadline = clock.now() + patience;
    while (!done() && clock.now() < deadline)
        co_await clock.sleep_for(milliseconds(2));
    co_return done();
}

TEST(Session, AnAgentComesInBeatsAndObeys) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        auto agent = co_await Agent::at(clock, fleet.port());
        co_await agent.say(hello());
        const auto welcome = co_await agent.hear_a<agent::Welcome>();
        EXPECT_EQ(welcome->epoch, 7u);
        EXPECT_EQ(welcome->manager, "m1");
        EXPECT_EQ(fleet.registry().of(db1)->address, "127.0.0.1");
        fleet.registry().grant(db1, {.on = true, .promotable = {{{"db2", 5432}, "db2:3002"}}});
        agent::Beat beat{.seq = 3, .sent_us = 123};
        beat.instances = {running(db1)};
        co_await agent.say(beat);
        const auto answer = co_await agent.hear_a<agent::BeatAnswer>();
        EXPECT_EQ(answer->seq, 3u);
        EXPECT_EQ(answer->sent_us, 123);
        EXPECT_EQ(answer->grants.size(), 1u);
        std::optional<Result<agent::Done>> result;
        spawn(clock.executor(), [](Fleet& f, std::optional<Result<agent::Done>>& out) -> Task<void> {
            out = co_await f.registry().order({.instance = db1, .verb = agent::Verb::reload});
        }(fleet, result));
        const auto order = co_await agent.hear_a<agent::Order>();
        EXPECT_EQ(order->epoch, 7u);
        co_await agent.say(agent::Done{.order = order->id, .error = {}, .detail = "reloaded", .status = {}});
        EXPECT_TRUE(co_await eventually(clock, [&] { return result.has_value(); }));
        EXPECT_EQ(result->value().detail, "reloaded");
    });
}

TEST(Session, WhoShowsNoGoodTokenIsRefused) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        for (const auto* token : {"", "secre", "secret ", "Secret"}) {
            auto agent = co_await Agent::at(clock, fleet.port());
            co_await agent.say(hello("a", token));
            const auto reason = co_await agent.hear_refusal();
            EXPECT_THAT(reason, HasSubstr("AgentToken"));
            EXPECT_EQ(reason.find("secret"), std::string::npos);
        }
        EXPECT_EQ(fleet.registry().counters().refused, 4u);
        EXPECT_FALSE(fleet.registry().of(db1));
    });
}

TEST(Session, WhoDoesNotSpeakTheLanguageIsRefused) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        for (const std::string line : {"GET / HTTP/1.1\r", "{}", "[]", "\xff\xff"}) {
            auto agent = co_await Agent::at(clock, fleet.port());
            co_await agent.say_text(line);
            EXPECT_THAT(co_await agent.hear_refusal(), HasSubstr("no introduction"));
        }
        auto agent = co_await Agent::at(clock, fleet.port());
        co_await agent.say(agent::Beat{});
        EXPECT_THAT(co_await agent.hear_refusal(), HasSubstr("hello"));
    });
}

TEST(Session, AFrameThatIsNotForAManagerEndsIt) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        for (const auto& line :
             {agent::to_text(hello()), agent::to_text(agent::Order{}), std::string("nonsense")}) {
            auto agent = co_await Agent::at(clock, fleet.port());
            co_await agent.say(hello());
            (void)co_await agent.hear_a<agent::Welcome>();
            co_await agent.say_text(line);
            EXPECT_FALSE((co_await agent.hear_refusal()).empty());
            EXPECT_TRUE(co_await eventually(clock, [&] { return !fleet.registry().of(db1)->connected; }));
        }
    });
}

TEST(Session, TwoAgentsOfOneServer) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        auto first = co_await Agent::at(clock, fleet.port());
        co_await first.say(hello("a"));
        (void)co_await first.hear_a<agent::Welcome>();
        auto second = co_await Agent::at(clock, fleet.port());
        co_await second.say(hello("b"));
        EXPECT_THAT(co_await second.hear_refusal(), HasSubstr("host-a (127.0.0.1) guards it already"));
        EXPECT_EQ(fleet.registry().of(db1)->agent, "a");
        EXPECT_TRUE(fleet.registry().of(db1)->connected);
    });
}

TEST(Session, AnAgentThatComesAgainReplacesItself) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        auto first = co_await Agent::at(clock, fleet.port());
        co_await first.say(hello());
        (void)co_await first.hear_a<agent::Welcome>();
        auto second = co_await Agent::at(clock, fleet.port());
        co_await second.say(hello());
        (void)co_await second.hear_a<agent::Welcome>();
        EXPECT_THAT(co_await first.hear_refusal(), HasSubstr("replaced"));
        EXPECT_TRUE(fleet.registry().of(db1)->connected);
        EXPECT_EQ(fleet.registry().of(db1)->sessions, 2u);
    });
}

TEST(Session, ADeadConnectionIsNoticedAtOnce) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        {
            auto agent = co_await Agent::at(clock, fleet.port());
            co_await agent.say(hello());
            (void)co_await agent.hear_a<agent::Welcome>();
        }
        EXPECT_TRUE(co_await eventually(clock, [&] { return !fleet.registry().of(db1)->connected; }));
    });
}

TEST(Session, NobodyComesInBeforeTheEpochIsOnDisk) {
    Record record;
    record.writable = false;
    with_fleet(options(), record, [&record](Fleet& fleet, Clock& clock) -> Task<void> {
        auto agent = co_await Agent::at(clock, fleet.port());
        co_await agent.say(hello());
        EXPECT_TRUE(co_await eventually(clock, [&] { return record.seen.size() == 2; }))
            << "it is tried again";
        EXPECT_FALSE(fleet.registry().of(db1));
        record.writable = true;
        const auto welcome = co_await agent.hear_a<agent::Welcome>();
        EXPECT_EQ(welcome->epoch, 7u);
    });
}

TEST(Session, AnAgentThatHasSeenMoreMakesItTakeMore) {
    Record record;
    with_fleet(options(), record, [&record](Fleet& fleet, Clock& clock) -> Task<void> {
        auto agent = co_await Agent::at(clock, fleet.port());
        auto h = hello();
        h.epoch = 41;
        co_await agent.say(h);
        EXPECT_EQ((co_await agent.hear_a<agent::Welcome>())->epoch, 42u);
        EXPECT_EQ(record.seen, (std::vector<uint64_t>{0, 41}));
        // Another manager has spoken with it meanwhile.
        agent::Beat beat{.seq = 1, .epoch = 50};
        beat.instances = {running(db1)};
        co_await agent.say(beat);
        EXPECT_EQ((co_await agent.hear_a<agent::Welcome>())->epoch, 51u);
        (void)co_await agent.hear_a<agent::BeatAnswer>();
        beat.seq = 2;
        beat.epoch = 60;
        co_await agent.say(beat);
        (void)co_await agent.hear_a<agent::BeatAnswer>();
        EXPECT_EQ(fleet.registry().epoch(), 51u) << "two managers do not chase each other";
    });
}

TEST(Session, ARepeatedHeartbeatEndsIt) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        for (const uint64_t second : {7, 6}) {
            auto agent = co_await Agent::at(clock, fleet.port());
            co_await agent.say(hello());
            (void)co_await agent.hear_a<agent::Welcome>();
            agent::Beat beat{.seq = 7};
            beat.instances = {running(db1)};
            co_await agent.say(beat);
            (void)co_await agent.hear_a<agent::BeatAnswer>();
            beat.seq = second;
            beat.instances[0].state = topology::ServerState::down;
            co_await agent.say(beat);
            EXPECT_THAT(co_await agent.hear_refusal(), HasSubstr("came after 7"));
            EXPECT_EQ(fleet.registry().of(db1)->status.state, topology::ServerState::running);
        }
        EXPECT_EQ(fleet.registry().counters().refused, 2u);
    });
}

TEST(Session, NewcomersOfOneAddressAreLimited) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        std::vector<Agent> silent;
        for (int i = 0; i < 8; ++i)
            silent.push_back(co_await Agent::at(clock, fleet.port()));
        auto ninth = co_await Agent::at(clock, fleet.port());
        EXPECT_FALSE(co_await ninth.hear());
        EXPECT_EQ(fleet.registry().counters().refused, 1u);
        co_await silent.front().say(hello());
        (void)co_await silent.front().hear_a<agent::Welcome>();
        auto next = co_await Agent::at(clock, fleet.port());
        co_await next.say(hello("b", "wrong"));
        EXPECT_THAT(co_await next.hear_refusal(), HasSubstr("AgentToken")) << "there is room again";
    });
}

TEST(Session, ALongLineIsNoIntroduction) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        auto agent = co_await Agent::at(clock, fleet.port());
        (void)co_await agent.say_text(std::string(agent::frame_limit, 'x'));
        EXPECT_TRUE(co_await eventually(clock, [&] { return fleet.registry().counters().refused == 1; }));
    });
}

TEST(Fleets, APortThatIsTakenIsAnError) {
    with_fleet([](Fleet& fleet, Clock& clock) -> Task<void> {
        auto again = options();
        again.listen_address = "127.0.0.1:" + std::to_string(fleet.port());
        const auto second = make_fleet(clock, again, [](uint64_t) -> Task<Result<uint64_t>> { co_return 1; });
        const auto started = second->start();
        EXPECT_FALSE(started);
        EXPECT_THAT(started.error().text(), HasSubstr(again.listen_address));
        co_return;
    });
}

TEST(Fleets, TlsWithoutACertificateIsAnError) {
    with_fleet([](Fleet&, Clock& clock) -> Task<void> {
        auto bare = options();
        bare.use_tls = true;
        const auto second = make_fleet(clock, bare, [](uint64_t) -> Task<Result<uint64_t>> { co_return 1; });
        const auto started = second->start();
        EXPECT_FALSE(started);
        EXPECT_THAT(started.error().text(), HasSubstr("AgentSSLCertFile"));
        co_return;
    });
}

}  // namespace
}  // namespace baton::fleet::testing
