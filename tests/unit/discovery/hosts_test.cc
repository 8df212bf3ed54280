#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "discovery/discovery.h"
#include "discovery/fake_engine.h"
#include "discovery/support.h"

/// What agents say, on its way to the snapshot.
namespace baton::discovery {
namespace {

using topology::DiskHealth;
using topology::Hold;
using topology::Host;
using topology::Instance;
using topology::ServerState;

/// p and its standby s, discovered; polls are so far apart that none comes within a test.
class Hosts : public testing::Test {
  protected:
    Hosts() {
        engine.servers[at("p")] = named(observed(topology::Role::primary), 1);
        engine.servers[at("s")] = named(standby_of(at("p")), 2);
        discovery->on_change([this](const std::string&, const ClusterPtr&) { ++published; });
        discovery->start({at("p"), at("s")});
        EXPECT_TRUE(until([&] { return find("p") && find("s"); }));
        settle();
    }
    ~Hosts() override {
        discovery.reset();
        io.poll();
    }

    static Observation named(Observation o, int64_t started_at_us) {
        o.started_at_us = started_at_us;
        return o;
    }
    Host host(ServerState state = ServerState::running, Duration ago = seconds(60)) {
        Host h{.connected = true, .heard = clock->now(), .state = state, .state_since = clock->now() - ago};
        if (h.says_dead()) h.hold = Hold::down;
        h.system_identifier = system_id;
        return h;
    }
    InstancePtr find(const std::string& name, uint16_t port = 5432) {
        return discovery->topology()->find_instance(at(name, port));
    }
    bool until(const std::function<bool()>& reached, Duration limit = seconds(5)) {
        const auto deadline = clock->now() + limit;
        while (!reached() && clock->now() < deadline)
            io.run_one_for(milliseconds(20));
        return reached();
    }
    /// Until nothing is left to be done at once.
    void settle() {
        while (io.poll() > 0) {
        }
    }

    asio::io_context io{1};
    std::unique_ptr<Clock> clock = make_system_clock(io.get_executor());
    FakeEngine engine{*clock};
    std::unique_ptr<store::Store> store = store::make_memory_store(*clock);
    std::unique_ptr<Discovery> discovery =
        make_discovery(*clock, engine, *store, {.poll_interval = seconds(600), .heartbeat = {}});
    int published = 0;
};

TEST_F(Hosts, a_word_is_in_the_snapshot_within_a_turn_of_the_loop) {
    discovery->host_says(at("p"), host());
    settle();
    ASSERT_TRUE(find("p")->host);
    EXPECT_TRUE(find("p")->host->connected);
    EXPECT_FALSE(find("s")->host);
    discovery->host_says(at("p"), std::nullopt);
    settle();
    EXPECT_FALSE(find("p")->host) << "nobody guards it any more";
}

TEST_F(Hosts, a_death_is_published_at_once_and_everybody_below_is_asked) {
    discovery->host_says(at("p"), host());
    settle();
    const auto before = published;
    const auto looks = engine.looks[at("s")];
    engine.servers.erase(at("p"));
    bool seen_dead_first = false;
    discovery->on_change([&](const std::string&, const ClusterPtr& c) {
        ++published;
        const auto* p = c->find(at("p"));
        if (published == before + 1) seen_dead_first = p->kept_down() && p->health.ok();
    });
    discovery->host_says(at("p"), host(ServerState::down, {}));
    settle();
    EXPECT_TRUE(seen_dead_first) << "the agent's word did not wait for our own session";
    EXPECT_GT(engine.looks[at("s")], looks);
    EXPECT_FALSE(find("p")->health.ok()) << "our own evidence follows";
    const auto then = published;
    EXPECT_TRUE(until([&] { return published > then; }, seconds(1)))
        << "time alone makes it certain that the receivers have ended";
}

TEST_F(Hosts, what_it_says_again_is_no_news) {
    discovery->host_says(at("p"), host());
    settle();
    const auto since = find("p")->host->state_since;
    const auto before = published;
    const auto looks = engine.looks[at("p")];
    auto again = host();
    again.state_since = since + milliseconds(30);
    discovery->host_says(at("p"), again);
    settle();
    EXPECT_EQ(published, before);
    EXPECT_EQ(engine.looks[at("p")], looks);
    again.state_since = since + seconds(40);
    discovery->host_says(at("p"), again);
    settle();
    EXPECT_GT(published, before) << "it died and was started between two words";
}

TEST_F(Hosts, how_full_a_disk_is_moves_in_steps) {
    const auto used = [&](int percent) {
        auto h = host();
        h.data_disk = topology::Disk{.path = "/data", .total_bytes = 100, .free_bytes = 100 - percent};
        return h;
    };
    const auto seen = [&] { return find("p")->host->data_disk->used_percent(); };
    discovery->host_says(at("p"), used(70));
    settle();
    EXPECT_EQ(seen(), 70);
    discovery->host_says(at("p"), used(69));
    (void)until([&] { return seen() != 70; }, milliseconds(300));
    EXPECT_EQ(seen(), 70) << "it does not flutter about a limit";
    discovery->host_says(at("p"), used(72));
    EXPECT_TRUE(until([&] { return seen() == 72; }));
    auto full = used(72);
    full.data_disk->health = DiskHealth::full;
    discovery->host_says(at("p"), full);
    settle();
    EXPECT_EQ(find("p")->host->data_disk->health, DiskHealth::full);
}

TEST_F(Hosts, a_renewed_certificate_is_news_and_a_jumping_clock_is_not) {
    using std::chrono::hours;
    const auto with = [&](Duration left) {
        auto h = host();
        h.certificate_left = left;
        return h;
    };
    const auto seen = [&] { return *find("p")->host->certificate_left; };
    discovery->host_says(at("p"), with(hours(50)));
    settle();
    EXPECT_EQ(seen(), hours(50));
    discovery->host_says(at("p"), with(hours(48)));
    (void)until([&] { return seen() != hours(50); }, milliseconds(300));
    EXPECT_EQ(seen(), hours(50)) << "its clock jumps by an hour, back and forth";
    discovery->host_says(at("p"), with(hours(800)));
    EXPECT_TRUE(until([&] { return seen() == hours(800); })) << "it was renewed";
    discovery->host_says(at("p"), with({}));
    EXPECT_TRUE(until([&] { return seen() == Duration{}; })) << "it is over";
}

TEST_F(Hosts, a_server_that_is_guarded_and_unknown_is_found) {
    engine.servers[at("odd", 6543)] = named(standby_of(at("p")), 3);
    engine.servers[at("foreign", 6543)] = named(observed(topology::Role::primary), 4);
    engine.servers[at("foreign", 6543)].system_identifier = "1";
    discovery->host_says(at("odd", 6543), host());
    discovery->host_says(at("foreign", 6543), host());
    ASSERT_TRUE(until([&] { return find("odd", 6543) != nullptr; }));
    EXPECT_EQ(find("odd", 6543)->cluster_id, system_id);
    settle();
    EXPECT_EQ(find("foreign", 6543), nullptr) << "its agent said that it is of this system";
    discovery->host_says(at("odd", 6543), host());
    settle();
    EXPECT_TRUE(find("odd", 6543)->host);
}

TEST_F(Hosts, another_name_of_a_known_server_is_that_server) {
    engine.servers[at("10.0.0.1")] = engine.servers[at("p")];
    discovery->host_says(at("10.0.0.1"), host());
    ASSERT_TRUE(until([&] { return find("p")->known_as(at("10.0.0.1")); }));
    discovery->host_says(at("10.0.0.1"), host());
    settle();
    EXPECT_TRUE(find("p")->host);
}

TEST_F(Hosts, an_agent_of_another_system_is_not_believed) {
    auto h = host(ServerState::down);
    h.system_identifier = "1";
    discovery->host_says(at("p"), h);
    settle();
    EXPECT_FALSE(find("p")->host);
    h.system_identifier.clear();
    discovery->host_says(at("p"), h);
    settle();
    EXPECT_TRUE(find("p")->host) << "a directory that cannot be read says nothing of its system";
}

TEST_F(Hosts, a_server_that_is_said_to_hang_is_asked_over_a_new_connection) {
    engine.hangs_for_new_ones.insert(at("p"));
    discovery->host_says(at("p"), host(ServerState::hung, milliseconds(1)));
    EXPECT_TRUE(until([&] { return find("p")->new_sessions_hang_since.has_value(); }));
    EXPECT_TRUE(find("p")->health.ok()) << "the old session goes on";
}

TEST_F(Hosts, a_word_that_is_contradicted_by_an_answer_proves_nothing) {
    discovery->host_says(at("p"), host(ServerState::down, milliseconds(1)));
    EXPECT_TRUE(until([&] { return find("p")->host && !find("p")->kept_down(); }))
        << "it answers: its agent guards another server";
}

TEST_F(Hosts, one_that_is_down_is_found_by_registration) {
    discovery->host_says(at("q"), host(ServerState::down));
    settle();
    ASSERT_TRUE(find("q"));
    EXPECT_EQ(find("q")->cluster_id, system_id);
    EXPECT_EQ(find("q")->role, topology::Role::unknown);
    EXPECT_TRUE(find("q")->kept_down());
    ASSERT_TRUE(find("p"));
    EXPECT_EQ(discovery->cluster(system_id)->primary()->key, at("p"));
    discovery->host_says(at("q"), std::nullopt);
    settle();
    EXPECT_FALSE(find("q")) << "nothing else tells of it";
}

TEST_F(Hosts, one_that_was_found_by_registration_and_answers_is_a_server_like_any_other) {
    discovery->host_says(at("q"), host(ServerState::down));
    settle();
    engine.servers[at("q")] = named(standby_of(at("p")), 3);
    discovery->host_says(at("q"), host(ServerState::running));
    EXPECT_TRUE(until([&] { return find("q") && find("q")->health.ok(); }));
    EXPECT_EQ(find("q")->upstream, at("p"));
    discovery->host_says(at("q"), std::nullopt);
    settle();
    EXPECT_TRUE(find("q"));
}

TEST_F(Hosts, a_directory_that_cannot_be_read_leads_nowhere) {
    auto unreadable = host(ServerState::down);
    unreadable.system_identifier.clear();
    discovery->host_says(at("q"), unreadable);
    auto empty = host(ServerState::no_data);
    discovery->host_says(at("r"), empty);
    settle();
    EXPECT_FALSE(find("q"));
    EXPECT_FALSE(find("r"));
}

}  // namespace
}  // namespace baton::discovery
