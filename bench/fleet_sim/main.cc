// Thousands of PostgreSQL servers in one process, as a manager sees them: each listens on a loopback address
// of its own, speaks the protocol and answers the manager's statements. Nothing else of PostgreSQL is in it.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "base/text.h"
#include "fleet_sim/server.h"

namespace {

constexpr std::string_view usage =
    "usage: fleet-sim [--instances N] [--clusters M] [--big N] [--first N] [--port P] [--promotion-ms T]\n"
    "prints the address of one primary per cluster, then \"ready\"; commands on standard input: kill N, "
    "status, quit\n";

/// Two descriptors a server, one to listen and one for the manager's session, and some to spare.
bool make_room_for(size_t instances) {
    const rlim_t wanted = instances * 3 + 1000;
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur >= wanted) return true;
    limit.rlim_cur = wanted;
    limit.rlim_max = std::max(limit.rlim_max, wanted);
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

bool read_options(int argc, char** argv, baton::bench::FleetOptions& options) {
    for (int i = 1; i < argc; i += 2) {
        const std::string_view name = argv[i];
        const auto value = i + 1 < argc ? baton::parse_uint(argv[i + 1]) : std::nullopt;
        if (!value) return false;
        if (name == "--instances") {
            options.instances = *value;
        } else if (name == "--clusters") {
            options.clusters = *value;
        } else if (name == "--first") {
            options.first = static_cast<uint32_t>(*value);
        } else if (name == "--big") {
            options.big = *value;
        } else if (name == "--port") {
            options.port = static_cast<uint16_t>(*value);
        } else if (name == "--promotion-ms") {
            options.promotion = static_cast<baton::bench::Micros>(*value) * 1000;
        } else {
            return false;
        }
    }
    const size_t others = options.clusters - (options.big > 0 ? 1 : 0);
    return options.clusters > 0 && options.instances >= options.big + others;
}

}  // namespace

int main(int argc, char** argv) {
    baton::bench::FleetOptions options;
    if (!read_options(argc, argv, options)) {
        fmt::print(stderr, "{}", usage);
        return 2;
    }
    if (!make_room_for(options.instances)) {
        fmt::print(stderr, "fleet-sim: cannot have {} open files; raise the limit (ulimit -n)\n",
                   options.instances * 3 + 1000);
        return 1;
    }
    baton::bench::World world(options);
    baton::bench::FleetServer server(world);
    if (const auto listening = server.listen(); !listening) {
        fmt::print(stderr, "fleet-sim: {}\n", listening.error().text());
        return 1;
    }
    for (const auto& s : world.servers()) {
        if (s.primary) fmt::print("{}:{}\n", s.host, options.port);
    }
    fmt::print("ready\n");
    std::fflush(stdout);
    server.run();
}
