#include "discovery/matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/postgresql/postgresql.h"
#include "support.h"

namespace baton::discovery {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using topology::Sender;

std::string text_of(const std::optional<InstanceKey>& key) {
    return key ? key->text() : "none";
}

struct UpstreamCase {
    const char* what;
    std::string conninfo;
    std::string sender_host;  ///< with sender_port 0: no receiver
    uint16_t sender_port;
    std::string upstream;
};

// The standby is db2:5432.
TEST(UpstreamOf, FromConninfoAndReceiver) {
    const UpstreamCase cases[] = {
        {"quoted name with a dash", "user=repl host='pg-primary'", "", 0, "pg-primary:5432"},
        {"port before host", "port=5433 host=db1", "", 0, "db1:5433"},
        {"URI form", "postgresql://repl@db1:5433/x", "", 0, "db1:5433"},
        {"several hosts do not say which", "host=db1,db2 port=5432,5433", "", 0, "none"},
        {"several hosts, the receiver says which", "host=db1,db3 port=5432,5433", "db3", 5433, "db3:5433"},
        {"quoted name with a blank", "host='db 1'", "", 0, "db 1:5432"},
        {"address only", "hostaddr=10.0.0.7 port=5433", "", 0, "10.0.0.7:5433"},
        {"port inside options", "host=db1 options='-c x=port=99'", "", 0, "db1:5432"},
        {"socket in the conninfo", "host=/run/postgresql port=5440", "", 0, "db2:5440"},
        {"no host at all", "user=repl", "", 0, "db2:5432"},
        {"loopback in the conninfo", "host=127.0.0.1 port=5433", "", 0, "db2:5433"},
        {"the live sender wins", "host=old", "db1", 5433, "db1:5433"},
        {"the sender is a socket", "host=db1", "/var/run/postgresql", 5440, "db2:5440"},
        {"the sender is an abstract socket", "host=db1", "@pg", 5440, "db2:5440"},
        {"the sender is loopback", "host=db1", "127.0.0.2", 5440, "db2:5440"},
        {"the sender's port is not visible", "host=db1", "db9", 0, "db1:5432"},
        {"nothing", "", "", 0, "none"},
    };
    for (const auto& c : cases) {
        auto o = observed(topology::Role::standby);
        o.upstream = engine::postgresql::parse_conninfo(c.conninfo);
        if (!c.sender_host.empty()) {
            o.receiver = topology::Receiver{
                .status = "streaming", .sender_host = c.sender_host, .sender_port = c.sender_port};
        }
        EXPECT_EQ(text_of(upstream_of(at("db2"), o)), c.upstream) << c.what;
    }
}

TEST(UpstreamOf, AReceiverThatDoesNotStreamProvesNothing) {
    auto o = standby_of(at("db1"));
    o.receiver->status = "waiting";
    o.receiver->sender_host = "db9";
    EXPECT_EQ(text_of(upstream_of(at("db2"), o)), "db1:5432");
}

TEST(UpstreamOf, APrimaryHasNone) {
    auto o = standby_of(at("db1"));
    o.role = topology::Role::primary;
    EXPECT_EQ(upstream_of(at("db2"), o), std::nullopt);
}

TEST(UpstreamOf, LoopbackStaysWhereTheStandbyItselfIsKnownByLoopback) {
    auto o = standby_of(at("127.0.0.1", 5433));
    EXPECT_EQ(text_of(upstream_of(at("127.0.0.1", 5434), o)), "127.0.0.1:5433");
}

TEST(ConninfoHosts, ListsEveryPlace) {
    auto o = observed(topology::Role::standby);
    o.upstream = engine::postgresql::parse_conninfo("host=db1,/run/postgresql,localhost port=5432,5433,5434");
    EXPECT_THAT(conninfo_hosts(at("db2"), o), ElementsAre(at("db1"), at("db2", 5433), at("db2", 5434)));
}

// ---- rows of pg_stat_replication and who explains them

Sender row(const std::string& name, const std::string& address, const std::string& slot = {}) {
    Sender s;
    s.application_name = name;
    s.client_addr = address;
    s.state = "streaming";
    s.slot = slot;
    return s;
}

struct Stage {
    Member upstream = primary(at("db1"));
    std::vector<Member> others;
    std::map<std::string, std::vector<std::string>> addresses{
        {"db1", {"10.0.0.1"}}, {"db2", {"10.0.0.2"}}, {"db3", {"10.0.0.3"}}};

    std::vector<std::string> unexplained(std::vector<Sender> rows) {
        auto seen = *upstream.seen;
        seen.senders = std::move(rows);
        upstream.seen = std::make_shared<const Observation>(std::move(seen));
        std::vector<const Member*> members{&upstream};
        for (const auto& m : others)
            members.push_back(&m);
        std::vector<std::string> left;
        for (const auto* s : unexplained_senders(upstream, members, [this](const std::string& host) {
                 const auto found = addresses.find(host);
                 return found == addresses.end() ? std::vector<std::string>{} : found->second;
             })) {
            left.push_back(s->application_name + "@" + s->client_addr);
        }
        return left;
    }
};

TEST(UnexplainedSenders, ByNameAndAddress) {
    Stage stage;
    stage.others = {standby(at("db2"), at("db1"), "n2")};
    EXPECT_THAT(stage.unexplained({row("n2", "10.0.0.2")}), IsEmpty());
    EXPECT_THAT(stage.unexplained({row("n3", "10.0.0.3")}), ElementsAre("n3@10.0.0.3"));
}

TEST(UnexplainedSenders, ByNameThoughTheAddressIsTranslated) {
    Stage stage;
    stage.others = {standby(at("db2"), at("db1"), "n2")};
    EXPECT_THAT(stage.unexplained({row("n2", "172.17.0.1")}), IsEmpty());
}

TEST(UnexplainedSenders, TheCommonNameNeedsTheAddressToo) {
    Stage stage;
    stage.others = {standby(at("db2"), at("db1"))};
    EXPECT_THAT(stage.unexplained({row("walreceiver", "10.0.0.2")}), IsEmpty());
    EXPECT_THAT(stage.unexplained({row("walreceiver", "10.0.0.3")}), ElementsAre("walreceiver@10.0.0.3"));
}

TEST(UnexplainedSenders, ClusterNameStandsInForTheApplicationName) {
    Stage stage;
    auto m = standby(at("db2"), at("db1"));
    auto seen = *m.seen;
    seen.settings.cluster_name = "rack7";
    m.seen = std::make_shared<const Observation>(std::move(seen));
    stage.others = {m};
    EXPECT_THAT(stage.unexplained({row("rack7", "172.17.0.1")}), IsEmpty());
}

TEST(UnexplainedSenders, SlotDecides) {
    Stage stage;
    stage.others = {standby(at("db2"), at("db1"), "n", "slot_2"),
                    standby(at("db3"), at("db1"), "n", "slot_3")};
    EXPECT_THAT(stage.unexplained({row("n", "172.17.0.1", "slot_3"), row("n", "172.17.0.1", "slot_2")}),
                IsEmpty());
    EXPECT_THAT(stage.unexplained({row("n", "10.0.0.2", "slot_9")}), ElementsAre("n@10.0.0.2"))
        << "another slot is another standby, whatever the name says";
}

TEST(UnexplainedSenders, OneMemberExplainsOneRow) {
    Stage stage;
    stage.others = {standby(at("db2"), at("db1"), "n")};
    EXPECT_THAT(stage.unexplained({row("n", "10.0.0.2"), row("n", "10.0.0.9")}), ElementsAre("n@10.0.0.9"));
    EXPECT_THAT(stage.unexplained({row("n", "10.0.0.9"), row("n", "10.0.0.2")}), ElementsAre("n@10.0.0.9"))
        << "the order of the rows does not matter";
}

TEST(UnexplainedSenders, AMemberThatFollowsSomebodyElseExplainsNothing) {
    Stage stage;
    stage.others = {standby(at("db2"), at("db3"), "n2")};
    EXPECT_THAT(stage.unexplained({row("n2", "10.0.0.2")}), ElementsAre("n2@10.0.0.2"));
}

TEST(UnexplainedSenders, AMemberMayFollowByAnotherNameOfTheUpstream) {
    Stage stage;
    stage.upstream.aliases = {at("10.0.0.1")};
    stage.others = {standby(at("db2"), at("10.0.0.1"), "n2")};
    EXPECT_THAT(stage.unexplained({row("n2", "10.0.0.2")}), IsEmpty());
}

TEST(UnexplainedSenders, TwoOnOneHost) {
    Stage stage;
    stage.others = {standby(at("db2", 5433), at("db1"), "a"), standby(at("db2", 5434), at("db1"), "b")};
    EXPECT_THAT(stage.unexplained({row("a", "10.0.0.2"), row("b", "10.0.0.2"), row("c", "10.0.0.2")}),
                ElementsAre("c@10.0.0.2"));
}

TEST(UnexplainedSenders, SocketClientsAreOnTheUpstreamsHost) {
    Stage stage;
    stage.others = {standby(at("db1", 5433), at("db1")), standby(at("db2"), at("db1"))};
    EXPECT_THAT(stage.unexplained({row("walreceiver", "")}), IsEmpty());
    stage.others = {standby(at("db2"), at("db1"))};
    EXPECT_THAT(stage.unexplained({row("walreceiver", "")}), ElementsAre("walreceiver@"));
}

TEST(UnexplainedSenders, WithoutAnObservationThereIsNothingToExplain) {
    Stage stage;
    stage.upstream.seen = nullptr;
    EXPECT_THAT(unexplained_senders(stage.upstream, {}, {}), IsEmpty());
}

// ---- where the server behind a row may be

struct GuessCase {
    const char* what;
    Sender row;
    InstanceKey upstream;
    std::vector<uint16_t> candidates;
    std::vector<InstanceKey> places;
};

TEST(Guesses, InTheOrderToTry) {
    const GuessCase cases[] = {
        {"the default port of its address", row("n2", "10.0.0.2"), at("db1"), {}, {at("10.0.0.2")}},
        {"the name says it all",
         row("db2:5440", "10.0.0.2"),
         at("db1"),
         {},
         {at("db2", 5440), at("10.0.0.2")}},
        {"a name with a colon that is no place", row("a:b", "10.0.0.2"), at("db1"), {}, {at("10.0.0.2")}},
        {"the upstream's own port and the candidates",
         row("n2", "10.0.0.2"),
         at("db1", 6000),
         {5433, 6000, 5434},
         {at("10.0.0.2"), at("10.0.0.2", 6000), at("10.0.0.2", 5433), at("10.0.0.2", 5434)}},
        {"on the upstream's own host, but not the upstream itself",
         row("n2", ""),
         at("db1"),
         {5433},
         {at("db1", 5433)}},
        {"through loopback", row("n2", "127.0.0.1"), at("db1", 5433), {}, {at("db1")}},
        {"all on one machine",
         row("n2", "127.0.0.1"),
         at("127.0.0.2", 5433),
         {5434},
         {at("127.0.0.1"), at("127.0.0.2"), at("127.0.0.1", 5433), at("127.0.0.1", 5434),
          at("127.0.0.2", 5434)}},
        {"never MySQL's port, never none", row("n2", "10.0.0.2"), at("db1"), {0}, {at("10.0.0.2")}},
    };
    for (const auto& c : cases)
        EXPECT_EQ(guesses(c.row, c.upstream, 5432, c.candidates), c.places) << c.what;
}

}  // namespace
}  // namespace baton::discovery
