#include "agent/codec.h"

#include <gtest/gtest.h>

#include "base/text.h"

namespace baton::agent {

namespace {

/// Every member differs from its default, so that none can be forgotten unnoticed.
Status full_status() {
    return {.key = {"db1", 5432},
            .engine = topology::Engine::mysql,
            .data_directory = "/srv/\"pg\"\n15",
            .system_identifier = "7300000000000000001",
            .version = "15.18",
            .state = ServerState::no_data,
            .standby_signal = true,
            .postmaster_pid = 4711,
            .started_at_us = 1'795'168'230'000'000,
            .in_state = milliseconds(1500),
            .crashes = 2,
            .last_failure = "could not map anonymous shared memory",
            .control = {.state = "shut down",
                        .system_identifier = "7300000000000000002",
                        .timeline = 0xFFFFFFFF,
                        .checkpoint = {0xFFFFFFFFFFFFFFFF},
                        .redo = {0x16B374D848},
                        .minimum_recovery_end = {1},
                        .minimum_recovery_end_timeline = 3,
                        .wal_log_hints = true,
                        .data_checksums = true},
            .hold = Hold::fenced,
            .quarantine = "rewind from db2:5432 was interrupted",
            .vouches = true,
            .data_disk = Disk{.path = "/srv",
                              .total_bytes = 1LL << 50,
                              .free_bytes = 12,
                              .health = DiskHealth::read_only,
                              .since = seconds(3),
                              .detail = "Read-only file system"},
            .wal_disk = Disk{.path = "/wal", .health = DiskHealth::hung},
            .lease = {.on = true,
                      .promotable = {{"db2", 5432}, {"fd00::1", 5433}},
                      .held_by = "vouches",
                      .left = milliseconds(700)},
            .job = Job{.order = 9,
                       .verb = "clone",
                       .phase = "copying",
                       .done_bytes = 5,
                       .total_bytes = 10,
                       .bytes_per_second = 1,
                       .running = seconds(60)}};
}

Grant full_grant() {
    return {.epoch = 7,
            .number = 8,
            .on = true,
            .lease = milliseconds(1234),
            .promotable = {{.key = {"db2", 5432}, .agent_address = "db2:3002"}, {.key = {"db3", 1}}}};
}

std::vector<Frame> full_frames() {
    return {
        Hello{.protocol = 2,
              .version = "0.1.0",
              .agent = "a1b2",
              .host = "db1.example.com",
              .boot = "c3d4",
              .token = "secret ünïcode",
              .peer_address = "db1:3002",
              .epoch = 1'000'000'000'000,
              .instances = {full_status(), Status{.key = {"db1", 5433}}},
              .poolers = {"pb1"}},
        Beat{.seq = 1,
             .sent_us = std::numeric_limits<int64_t>::max(),
             .epoch = 3,
             .changed = true,
             .instances = {full_status()},
             .acknowledged = {{{"db1", 5432}, full_grant()}, {{"db1", 5433}, Grant{}}}},
        Progress{.order = 4, .job = *full_status().job},
        Done{.order = 5,
             .error = Error{ErrorKind::internal, "it broke", "db1:5432", "57P01"},
             .detail = "pg_ctl: …",
             .status = full_status(),
             .past = topology::WalPast{.end = {0x3000028}, .commits = 3}},
        Welcome{
            .protocol = 3, .version = "0.2.0", .manager = "m1", .epoch = 6, .heartbeat = milliseconds(250)},
        Refusal{.reason = "wrong token"},
        BeatAnswer{.seq = 2, .sent_us = 77, .grants = {{{"db1", 5432}, full_grant()}}},
        Order{.id = 10,
              .epoch = 11,
              .instance = {"db1", 5432},
              .verb = Verb::wal_past,
              .deadline = milliseconds(2500),
              .mode = "immediate",
              .upstream = {"db2", 5432},
              .slot = "baton_db1",
              .on = false,
              .maximum_rate_kbps = 1024,
              .router = "pb1",
              .databases = {"shop", ""},
              .span = milliseconds(5500),
              .timeline = 12,
              .position = {0x3000028}},
        Cancel{.order = 13},
        Vouch{.seq = 14,
              .token = "t",
              .primary = {"db1", 5432},
              .member = {"db2", 5432},
              .system_identifier = "73",
              .span = milliseconds(999)},
        Vouched{.seq = 15, .promised = true, .reason = "stands clear"},
    };
}

TEST(Codec, EveryFrameComesBackAsItWas) {
    const auto frames = full_frames();
    ASSERT_EQ(frames.size(), std::variant_size_v<Frame>);
    for (size_t n = 0; n < frames.size(); ++n) {
        ASSERT_EQ(frames[n].index(), n);
        const auto text = to_text(frames[n]);
        EXPECT_EQ(text.find('\n'), std::string::npos);
        const auto back = parse_frame(text);
        ASSERT_TRUE(back) << text << "\n" << back.error().text();
        EXPECT_EQ(*back, frames[n]) << text;
    }
}

TEST(Codec, EveryWordIsRead) {
    const auto round = [](auto set, int count) {
        for (int n = 0; n < count; ++n) {
            Done frame{.order = 1, .error = Error{}, .status = Status{.key = {"a", 1}, .data_disk = Disk{}}};
            set(frame, n);
            const auto back = parse_frame(to_text(frame));
            ASSERT_TRUE(back) << back.error().text();
            EXPECT_EQ(*back, Frame(frame));
        }
    };
    round([](Done& d, int n) { d.error->kind = static_cast<ErrorKind>(n); }, 18);
    round([](Done& d, int n) { d.status->state = static_cast<ServerState>(n); }, 7);
    round([](Done& d, int n) { d.status->hold = static_cast<Hold>(n); }, 3);
    round([](Done& d, int n) { d.status->data_disk->health = static_cast<DiskHealth>(n); }, 6);
    round([](Done& d, int n) { d.status->engine = static_cast<topology::Engine>(n); }, 4);
    for (int n = 0; n < 16; ++n) {
        const Order order{.id = 1, .instance = {"a", 1}, .verb = static_cast<Verb>(n)};
        const auto back = parse_frame(to_text(order));
        ASSERT_TRUE(back) << back.error().text();
        EXPECT_EQ(*back, Frame(order));
    }
}

TEST(Codec, NeighbouringVersionsUnderstandEachOther) {
    const auto beat = parse_frame(
        R"({"later":[1,{"x":null}],"sent_us":5,"kind":"beat","seq":1,"instances":[{"key":"DB1:5432","colour":"red"}]})");
    ASSERT_TRUE(beat) << beat.error().text();
    EXPECT_EQ(*beat, Frame(Beat{.seq = 1, .sent_us = 5, .instances = {Status{.key = {"db1", 5432}}}}));
    const auto done = parse_frame(R"({"kind":"done","order":1,"error":null,"status":null})");
    ASSERT_TRUE(done);
    EXPECT_EQ(*done, Frame(Done{.order = 1}));
    const auto order =
        parse_frame(R"({"kind":"order","id":1,"epoch":2,"instance":"db1:1","verb":"make-standby"})");
    ASSERT_TRUE(order) << order.error().text();
    EXPECT_EQ(std::get<Order>(*order).deadline, milliseconds(30000));
    EXPECT_TRUE(std::get<Order>(*order).on);
}

TEST(Codec, WhatWasCalculatedWrongIsStillReadable) {
    Status status{.key = {"db1", 1}, .in_state = milliseconds(-5)};
    const Order order{.id = 1, .instance = {"db1", 0}, .deadline = milliseconds(-20)};
    EXPECT_TRUE(parse_frame(to_text(order)));
    EXPECT_TRUE(parse_frame(to_text(Hello{.instances = {status}})));
    EXPECT_TRUE(parse_frame(to_text(Refusal{.reason = "not UTF-8: \xff"})));
}

TEST(Codec, BadLinesAreRefusedByName) {
    struct Case {
        std::string line;
        std::string who;
        std::string message;
    };
    const std::string order = R"({"kind":"order","id":1,"epoch":2,"instance":"db1:1","verb":"start")";
    const std::string beat = R"({"kind":"beat","seq":1,"sent_us":1,)";
    const Case cases[] = {
        {"", "", "not JSON"},
        {"{", "", "not JSON"},
        {"{} {}", "", "not JSON"},
        {R"({"kind":"hello","token":"s3cret)", "", "not JSON"},
        {"{\"kind\":\"refusal\",\"reason\":\"\xff\"}", "", "not JSON"},
        {std::string(100000, '['), "", "not JSON"},
        {std::string(frame_limit + 1, ' '), "", "longer"},
        {"[]", "", "an object"},
        {"7", "", "an object"},
        {"{}", "kind", "missing"},
        {R"({"kind":7})", "kind", "must be text"},
        {R"({"kind":"goodbye"})", "kind", "no frame \"goodbye\""},
        {R"({"kind":"hello"})", "protocol", "missing"},
        {R"({"kind":"hello","protocol":-1})", "protocol", "whole number from 0"},
        {R"({"kind":"hello","protocol":1.5})", "protocol", "whole number"},
        {R"({"kind":"hello","protocol":"1"})", "protocol", "whole number"},
        {R"({"kind":"hello","protocol":2147483648})", "protocol", "to 2147483647"},
        {R"({"kind":"hello","protocol":1,"token":7})", "token", "must be text"},
        {R"({"kind":"hello","protocol":1,"epoch":-1})", "epoch", "from 0"},
        {R"({"kind":"hello","protocol":1,"epoch":18446744073709551616})", "epoch", "from 0"},
        {R"({"kind":"hello","protocol":1,"epoch":1e3})", "epoch", "from 0"},
        {R"({"kind":"beat","seq":1,"sent_us":1,"epoch":18446744073709551615})", "epoch", "higher than any"},
        {R"({"kind":"welcome","protocol":1,"epoch":1000000000001})", "epoch", "higher than any"},
        {R"({"kind":"hello","protocol":1,"instances":{}})", "instances", "a list"},
        {R"({"kind":"hello","protocol":1,"instances":[7]})", "instances[0]", "an object"},
        {R"({"kind":"hello","protocol":1,"instances":[{}]})", "instances[0].key", "missing"},
        {beat + R"("instances":[{"key":"a:1"},{"key":"b"}]})", "instances[1].key", "port is missing"},
        {beat + R"("instances":[{"key":"a:1","state":"dead"}]})", "instances[0].state", "know \"dead\""},
        {beat + R"("instances":[{"key":"a:1","hold":""}]})", "instances[0].hold", "does not know"},
        {beat + R"("instances":[{"key":"a:1","vouches":1}]})", "instances[0].vouches", "true or false"},
        {beat + R"("instances":[{"key":"a:1","crashes":-1}]})", "instances[0].crashes", "from 0"},
        {beat + R"("instances":[{"key":"a:1","in_state_us":-1}]})", "instances[0].in_state_us", "from 0"},
        {beat + R"("instances":[{"key":"a:1","in_state_us":3153600000000001}]})", "instances[0].in_state_us",
         "to 3153600000000000"},
        {beat + R"("instances":[{"key":"a:1","data_disk":[]}]})", "instances[0].data_disk", "an object"},
        {beat + R"("instances":[{"key":"a:1","control":{"redo":"16"}}]})", "instances[0].control.redo",
         "a position"},
        {beat + R"("instances":[{"key":"a:1","control":{"timeline":4294967296}}]})",
         "instances[0].control.timeline", "to 4294967295"},
        {beat + R"("instances":[{"key":"a:1","lease":{"promotable":["b:2","c:x"]}}]})",
         "instances[0].lease.promotable[1]", "host:port"},
        {beat + R"("acknowledged":[{"instance":"a:1"}]})", "acknowledged[0].grant", "missing"},
        {beat + R"("acknowledged":[{"instance":"a:1","grant":{"epoch":1,"number":1}}]})",
         "acknowledged[0].grant.on", "missing"},
        {R"({"kind":"beat","seq":1})", "sent_us", "missing"},
        {R"({"kind":"answer","seq":1,"sent_us":1,"grants":[{"instance":"a:1","grant":{"epoch":1,"number":1,"on":true,"lease_ms":0}}]})",
         "grants[0].grant.lease_ms", "from 1"},
        {R"({"kind":"welcome","protocol":1,"epoch":1,"heartbeat_ms":0})", "heartbeat_ms", "from 1"},
        {R"({"kind":"order","id":1,"epoch":2,"instance":"db1:1"})", "verb", "missing"},
        {R"({"kind":"order","id":1,"epoch":2,"verb":"stop"})", "instance", "missing"},
        {R"({"kind":"order","id":1,"epoch":2,"instance":"db1:1","verb":"rm -rf"})", "verb",
         "know \"rm -rf\""},
        {order + R"(,"deadline_ms":0})", "deadline_ms", "from 1"},
        {order + R"(,"upstream":"db2:0"})", "upstream", "host:port"},
        {order + R"(,"databases":["a",1]})", "databases[1]", "must be text"},
        {order + R"(,"maximum_rate_kbps":-5})", "maximum_rate_kbps", "from 0"},
        {order + R"(,"on":"yes"})", "on", "true or false"},
        {R"({"kind":"vouched","seq":1})", "promised", "missing"},
        {R"({"kind":"vouch","seq":1,"primary":"a:1"})", "member", "missing"},
        {R"({"kind":"cancel"})", "order", "missing"},
    };
    for (const auto& c : cases) {
        const auto frame = parse_frame(c.line);
        ASSERT_FALSE(frame) << c.line.substr(0, 200);
        EXPECT_EQ(frame.error().kind, ErrorKind::invalid_argument);
        EXPECT_EQ(frame.error().who, c.who) << c.line.substr(0, 200) << ": " << frame.error().text();
        EXPECT_NE(frame.error().message.find(c.message), std::string::npos) << frame.error().text();
        EXPECT_EQ(frame.error().text().find("s3cret"), std::string::npos);
    }
}

}  // namespace

}  // namespace baton::agent
