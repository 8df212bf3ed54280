#include "control/clients.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "discovery/fake_engine.h"
#include "discovery/support.h"

namespace baton::control {
namespace {

using discovery::at;
using topology::InstanceKey;

/// Agents on hosts of clients; what each does not reach.
class ClientHosts final : public agent::Agents {
  public:
    std::map<std::string, std::set<std::string>> lost;
    std::vector<std::string> asked;  ///< "app p"

    const agent::Seen* of(const InstanceKey&) const override { return nullptr; }
    std::vector<agent::Seen> all() const override { return {}; }
    Task<Result<agent::Done>> order(agent::Order order) override {
        EXPECT_TRUE(order.verb == agent::Verb::ask && agent::of_host(order));
        const auto host = lost.find(order.instance.host);
        if (host == lost.end()) co_return fail(ErrorKind::not_found, "no agent", order.instance.text());
        asked.push_back(host->first + " " + order.upstream.host);
        co_return agent::Done{.detail = host->second.contains(order.upstream.host) ? "no answer" : ""};
    }
    Result<void> cancel(const InstanceKey&) override { return {}; }
    void grant(const InstanceKey&, agent::Grant) override {}
    void withhold(const InstanceKey&, bool) override {}
    void on_change(std::function<void(const InstanceKey&)>) override {}
    uint64_t epoch() const override { return 1; }
};

/// p with its standby s; rounds follow each other without a pause.
class ClientsReach : public testing::Test {
  protected:
    ClientsReach() {
        engine.servers[at("p")] = discovery::observed(topology::Role::primary);
        engine.servers[at("s")] = discovery::standby_of(at("p"));
        engine.servers[at("s")].started_at_us = 2;
        servers->start({at("p"), at("s")});
        until([&] { return find("p") && find("s"); });
    }
    ~ClientsReach() override {
        watch.stop();
        servers->stop();
        io.poll();
    }
    topology::InstancePtr find(const std::string& name) {
        return servers->topology()->find_instance(at(name));
    }
    void until(const std::function<bool()>& reached) {
        const auto deadline = clock->now() + seconds(5);
        while (!reached() && clock->now() < deadline)
            io.run_one_for(milliseconds(20));
        ASSERT_TRUE(reached());
    }
    void rounds(int count, const std::set<std::string>& of = {"app", "pool"}) {
        for (int i = 0; i < count; ++i) {
            watch.look(of);
            io.poll();
        }
    }
    /// "2/1": asked by two hosts, lost to one of them.
    std::string told(const std::string& name) {
        io.run_for(milliseconds(30));  // until it is in the snapshot
        const auto i = find(name);
        if (!i || !i->clients) return "nothing";
        return std::to_string(i->clients->asked) + "/" + std::to_string(i->clients->lost);
    }

    asio::io_context io{1};
    std::unique_ptr<Clock> clock = make_system_clock(io.get_executor());
    discovery::FakeEngine engine{*clock};
    std::unique_ptr<store::Store> store = store::make_memory_store(*clock);
    std::unique_ptr<discovery::Discovery> servers = discovery::make_discovery(*clock, engine, *store, {});
    ClientHosts hosts;
    ClientWatch watch{*clock, hosts, *servers};
};

TEST_F(ClientsReach, TwoFailuresInARowAreALoss) {
    hosts.lost = {{"app", {}}, {"pool", {}}};
    rounds(2);
    EXPECT_EQ(told("p"), "2/0");
    EXPECT_EQ(told("s"), "nothing") << "nobody is asked of it while the primary is reached";
    hosts.lost["app"] = {"p"};
    rounds(1);
    EXPECT_EQ(told("p"), "2/0");
    rounds(1);
    EXPECT_EQ(told("p"), "2/1");
    EXPECT_EQ(told("s"), "1/0");
    EXPECT_EQ(find("p")->clients->detail, "app: no answer");
    hosts.lost["pool"] = {"p", "s"};
    rounds(2);
    EXPECT_EQ(told("p"), "2/2");
    EXPECT_EQ(told("s"), "2/1");
    hosts.lost = {{"app", {}}, {"pool", {}}};
    rounds(1);
    EXPECT_EQ(told("p"), "2/0");
    EXPECT_EQ(told("s"), "nothing");
}

TEST_F(ClientsReach, AHostThatHasReachedNobodyHasNoBusinessThere) {
    hosts.lost = {{"app", {"p", "s"}}, {"pool", {}}};
    rounds(3);
    EXPECT_EQ(told("p"), "1/0");
    EXPECT_EQ(std::ranges::count(hosts.asked, "app p"), 1) << "tried again later";
}

TEST_F(ClientsReach, AHostThatReachesAStandbyHasLostThePrimary) {
    hosts.lost = {{"app", {"p"}}};
    rounds(2, {"app"});
    EXPECT_EQ(told("p"), "1/1");
}

TEST_F(ClientsReach, AnAgentThatIsNotHeardSaysNothing) {
    hosts.lost = {{"app", {}}};
    rounds(1);
    hosts.lost = {{"app", {"p"}}};
    rounds(2);
    EXPECT_EQ(told("p"), "1/1");
    hosts.lost = {};
    rounds(2);
    EXPECT_EQ(told("p"), "1/1") << "it may have lost its connection for a moment";
    rounds(1);
    EXPECT_EQ(told("p"), "nothing");
}

TEST_F(ClientsReach, AnAgentThatComesLateIsAskedAtOnce) {
    rounds(2);
    hosts.lost = {{"app", {"p"}}};
    rounds(2);
    EXPECT_EQ(told("p"), "1/1");
}

TEST_F(ClientsReach, AHostThatIsNotNamedAnyMoreDoesNotCount) {
    hosts.lost = {{"app", {}}, {"pool", {}}};
    rounds(1);
    hosts.lost["app"] = {"p"};
    rounds(2);
    EXPECT_EQ(told("p"), "2/1");
    rounds(1, {"pool"});
    EXPECT_EQ(told("p"), "1/0");
}

}  // namespace
}  // namespace baton::control
