#include <gmock/gmock.h>

#include "fake_world.h"

namespace baton::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Answers to the same question that follow each other; the last one stays.
class Course final : public Http {
  public:
    std::map<std::string, std::deque<HttpReply>> replies;
    std::vector<std::string> asked;
    Result<HttpReply> get(const HttpRequest& request) override {
        const auto path = FakeHttp::path_of(request.url);
        asked.push_back(path);
        const auto at = replies.find(path);
        if (at == replies.end()) return HttpReply{404, "404 page not found"};
        auto reply = at->second.front();
        if (at->second.size() > 1) at->second.pop_front();
        return reply;
    }
    Result<void> stream(const HttpRequest&, std::function<bool(std::string_view)>) override { return {}; }
};

HttpReply data(const std::string& json) {
    return {200, R"({"status":"ok","data":)" + json + "}"};
}

std::string state(const std::string& phase, const std::string& more) {
    return R"({"Key":{"Hostname":"db1","Port":5432},"Way":"rewind","Why":"it crashed","Upstream":"db2:5432","Slot":"db1",)"
           R"("BytesPastFork":256,"CommitsPastFork":0,"Allow":"","State":")" +
           phase + "\"," + more + "}";
}

const std::string copying =
    R"("Doing":"rewinding from db2:5432","Result":"","Job":{"Verb":"rewind","Phase":"copying","DoneBytes":1048576,)"
    R"("TotalBytes":4194304,"BytesPerSecond":1048576,"EtaSeconds":3})";

Outcome call(Course& http, const std::string& line, bool terminal = false) {
    Outcome outcome;
    Io io;
    io.out = [&](std::string_view text) { outcome.out += text; };
    io.err = [&](std::string_view text) { outcome.err += text; };
    io.env = [](std::string_view) -> std::optional<std::string> { return std::nullopt; };
    io.sleep = [](milliseconds) {};
    io.now = [] { return WallTime(seconds(1795170653)); };
    io.stopped = [left = 100]() mutable { return left-- <= 0; };
    io.http = &http;
    io.is_terminal = terminal;
    io.user_name = "ops";
    outcome.code = run_client(Personality::baton, words(line), io);
    return outcome;
}

TEST(RejoinCommand, BeginsAndFollowsToTheEnd) {
    Course http;
    http.replies["v2/instances/db1/5432/rejoin?force=true"] = {
        data(state("running", R"("Doing":"","Job":null)"))};
    http.replies["v2/instances/db1/5432/rejoin/status"] = {
        data(state("running", R"("Doing":"making slot db1 on db2:5432","Job":null)")),
        data(state("running", copying)), data(state("running", copying)),
        data(state("done", R"("Doing":"","Result":"streams from db2:5432","Job":null)"))};
    const auto done = call(http, "rejoin db1 --force");
    EXPECT_EQ(done.code, exit_ok) << done.err;
    EXPECT_EQ(done.out,
              "rewind: it crashed\n"
              "  upstream: db2:5432, slot db1\n"
              "  past the fork: 256 bytes, 0 commits\n"
              "making slot db1 on db2:5432\n"
              "rewinding from db2:5432\n"
              "db1:5432 streams from db2:5432\n");
    EXPECT_EQ(http.asked.size(), 5U);
}

TEST(RejoinCommand, ShowsBytesRateAndTimeOnATerminal) {
    Course http;
    http.replies["v2/instances/db1/5432/reinit?from=db3:5432"] = {data(state("running", copying))};
    http.replies["v2/instances/db1/5432/rejoin/status"] = {data(state("running", copying)),
                                                           data(state("done", R"("Result":"streams")"))};
    const auto done = call(http, "reinit db1 --from db3:5432", true);
    EXPECT_EQ(done.code, exit_ok) << done.err;
    EXPECT_THAT(done.out,
                HasSubstr("rewinding from db2:5432: copying, 1.0 MiB of 4.0 MiB (25%), 1.0 MiB/s, 3 s left"));
}

TEST(RejoinCommand, SaysWhyItFailed) {
    Course http;
    http.replies["v2/instances/db1/5432/rejoin"] = {data(state("running", R"("Doing":"","Job":null)"))};
    http.replies["v2/instances/db1/5432/rejoin/status"] = {
        data(state("failed", R"("Doing":"","Result":"pg_rewind: no","Job":null)"))};
    const auto failed = call(http, "rejoin db1");
    EXPECT_EQ(failed.code, exit_refused);
    EXPECT_THAT(failed.err, HasSubstr("pg_rewind: no"));
    http.replies["v2/instances/db1/5432/rejoin"] = {
        {409, R"({"status":"error","error":{"code":"REJOIN_ERROR","message":"db1:5432: use --force"}})"}};
    const auto refused = call(http, "rejoin db1");
    EXPECT_EQ(refused.code, exit_refused);
    EXPECT_THAT(refused.err, HasSubstr("--force"));
}

TEST(RejoinCommand, OtherForms) {
    Course http;
    http.replies["v2/instances/db1/5432/rejoin/plan"] = {data(
        R"({"Way":"by-hand","Why":"it crashed","Upstream":"","BytesPastFork":256,"CommitsPastFork":2,"Allow":"baton rejoin db1:5432 --force"})")};
    EXPECT_EQ(call(http, "rejoin db1 --dry-run").out,
              "by-hand: it crashed\n  past the fork: 256 bytes, 2 commits\n  allowed by: baton rejoin "
              "db1:5432 --force\n");
    http.replies["v2/instances/db1/5432/rejoin/cancel"] = {{200, R"({"status":"ok"})"}};
    EXPECT_EQ(call(http, "rejoin db1 --cancel").out, "it is being ended\n");
    http.replies["v2/instances/db4/5432/clone?from=db2:5432"] = {data(state("running", copying))};
    http.asked.clear();
    EXPECT_EQ(call(http, "clone db4 --from db2 --no-wait").code, exit_ok);
    EXPECT_THAT(http.asked, ElementsAre("v2/instances/db4/5432/clone?from=db2:5432"));
    const auto wants = call(http, "clone db4");
    EXPECT_EQ(wants.code, exit_usage);
    EXPECT_THAT(wants.err, HasSubstr("--from"));
}

}  // namespace
}  // namespace baton::cli
