#include <gtest/gtest.h>

#include "fake_control.h"
#include "server_client.h"

namespace baton::http {

namespace {

using namespace testing;
namespace json = boost::json;

class V2Rejoin : public ::testing::Test {
  protected:
    V2Rejoin() : server_(make_server(world_.control, loopback(), v2_routes())) {
        EXPECT_TRUE(server_->start());
    }
    json::value get(const std::string& target, int status = 200) {
        const auto answer = fetch(server_->port(), "/api/v2/" + target);
        EXPECT_EQ(answer.status, status) << target << ": " << answer.body;
        const auto body = json::parse(answer.body).as_object();
        return status == 200 && body.contains("data") ? body.at("data") : body;
    }

    FakeWorld world_;
    std::unique_ptr<Server> server_;
};

recovery::RejoinState copying() {
    recovery::RejoinState s{.instance = key_of("db2:5432"),
                            .cluster_name = "db1:5432",
                            .phase = recovery::RejoinPhase::running,
                            .plan = {.way = plan::RejoinWay::clone,
                                     .why = "its data directory is missing or empty",
                                     .upstream = key_of("db1:5432"),
                                     .slot = "db2"},
                            .doing = "copying from db1:5432",
                            .by = "ann",
                            .began = sample_wall};
    s.job = topology::Job{
        .verb = "clone", .phase = "copying", .done_bytes = 100, .total_bytes = 300, .bytes_per_second = 50};
    return s;
}

TEST_F(V2Rejoin, CommandsBegin) {
    get("instances/db2/5432/rejoin");
    get("instances/db2/5432/rejoin?force=true");
    get("instances/db2/5432/reinit");
    get("instances/db2/5432/reinit?from=db3:5432");
    const auto begun = get("instances/db4/5432/clone?from=db1:5432").as_object();
    EXPECT_EQ(begun.at("State").as_string(), "running");
    get("instances/db2/5432/rejoin/cancel");
    EXPECT_EQ(world_.control.calls(),
              (std::vector<std::string>{
                  "rejoin db2:5432 by 127.0.0.1", "rejoin db2:5432 force by 127.0.0.1",
                  "rejoin db2:5432 anew by 127.0.0.1", "rejoin db2:5432 anew from=db3:5432 by 127.0.0.1",
                  "rejoin db4:5432 anew from=db1:5432 by 127.0.0.1", "cancel_rejoin db2:5432 by 127.0.0.1"}));
}

TEST_F(V2Rejoin, WhatIsWrongIsSaid) {
    get("instances/db2/x/rejoin", 400);
    get("instances/db2/5432/clone", 400);
    get("instances/db2/5432/reinit?from=db3:x", 400);
    get("instances/db2/5432/rejoin/status", 404);
    world_.on_control([](FakeControl& c) {
        c.failures["rejoin"] = {
            ErrorKind::refused_by_policy, "(`baton rejoin db2:5432 --force`)", "db2:5432", {}};
        return 0;
    });
    const auto refused = get("instances/db2/5432/rejoin", 409).as_object();
    EXPECT_NE(refused.at("error").at("message").as_string().find("--force"), std::string::npos);
}

TEST_F(V2Rejoin, ThePlanIsShown) {
    world_.on_control([](FakeControl& c) {
        c.rejoin_plan = {.way = plan::RejoinWay::by_hand,
                         .why = "it crashed",
                         .timeline = 1,
                         .fork = {0x5000000},
                         .bytes_past = 256,
                         .commits_past = 2,
                         .allow = "baton rejoin db2:5432 --force"};
        return 0;
    });
    const auto plan = get("instances/db2/5432/rejoin/plan").as_object();
    EXPECT_EQ(plan.at("Key"), json::parse(R"({"Hostname":"db2","Port":5432})"));
    EXPECT_EQ(plan.at("Way").as_string(), "by-hand");
    EXPECT_EQ(plan.at("Fork").as_string(), "0/5000000");
    EXPECT_EQ(plan.at("BytesPastFork").as_int64(), 256);
    EXPECT_EQ(plan.at("CommitsPastFork").as_int64(), 2);
    EXPECT_EQ(plan.at("Allow").as_string(), "baton rejoin db2:5432 --force");
}

TEST_F(V2Rejoin, ProgressIsShown) {
    world_.on_control([](FakeControl& c) {
        c.rejoin_states = {copying()};
        return 0;
    });
    const auto state = get("instances/db2/5432/rejoin/status").as_object();
    EXPECT_EQ(state.at("State").as_string(), "running");
    EXPECT_EQ(state.at("Doing").as_string(), "copying from db1:5432");
    EXPECT_EQ(state.at("Job").at("DoneBytes").as_int64(), 100);
    EXPECT_EQ(state.at("Job").at("EtaSeconds").as_int64(), 4);
    EXPECT_TRUE(state.at("BytesPastFork").is_null());
    const auto all = get("rejoins").as_array();
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(json::serialize(all[0]), json::serialize(state));
}

}  // namespace

}  // namespace baton::http
