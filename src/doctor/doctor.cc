#include "doctor/doctor.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdlib>

#include "base/text.h"
#include "control/options.h"
#include "doctor/checks.h"
#include "doctor/collect.h"
#include "doctor/machine.h"
#include "doctor/manager_api.h"
#include "doctor/options.h"
#include "engine/postgresql/postgresql.h"

namespace baton::doctor {
namespace {

constexpr int bad_usage = 2;

/// What the command line asks about, as servers to begin with.
struct Subject {
    std::optional<InstanceKey> server;
    std::vector<InstanceKey> members;  ///< of the named cluster, by the manager
    std::vector<InstanceKey> seeds;
};

void add_new(std::vector<InstanceKey>& keys, const std::vector<InstanceKey>& more) {
    for (const auto& key : more) {
        if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
}

Result<Subject> find_subject(const Options& options, const Facts& facts, const Get& get) {
    const auto& c = facts.settings();
    const auto default_port = static_cast<uint16_t>(c.DefaultInstancePort);
    Subject subject;
    if (!options.server.empty()) {
        auto key = topology::parse_instance_key(options.server, default_port);
        if (!key) return std::unexpected(key.error());
        subject.server = *key;
        subject.seeds = {*key};
        return subject;
    }
    if (!options.cluster.empty()) {
        if (facts.manager.reachable) subject.members = members_of(get, options.cluster);
        subject.seeds = subject.members;
        if (!subject.seeds.empty()) return subject;
        // The old name of a cluster is the address of a member.
        if (const auto key = topology::parse_instance_key(options.cluster, default_port);
            key && options.cluster.contains(':')) {
            subject.members = subject.seeds = {*key};
            return subject;
        }
    }
    subject.seeds = control::seeds(c);
    std::vector<InstanceKey> known;
    known.reserve(facts.manager.instances.size());
    for (const auto& i : facts.manager.instances)
        known.push_back(i.key);
    add_new(subject.seeds, known);
    return subject;
}

void look(const Options& options, const Subject& subject, Facts& facts) {
    asio::io_context io(1);
    const auto clock = make_system_clock(io.get_executor());
    const auto engine = engine::postgresql::make_engine(*clock, control::login(facts.settings()));
    const auto store = store::make_memory_store(*clock);
    const auto deadline = clock->now() + options.timeout;
    const auto everything = [&]() -> Task<void> {
        co_await look_at_servers(*clock, *engine, *store, subject.seeds, deadline, facts);
        co_await look_at_routers(*clock, clock->now() + options.timeout, facts);
    };
    asio::co_spawn(io, everything(), [&io](std::exception_ptr e) {
        io.stop();
        if (e) std::rethrow_exception(e);
    });
    io.run();
    // What was under way sees that it is to stop, and ends its sessions properly.
    io.restart();
    io.run_for(milliseconds(200));
}

int report(const Options& options, const Facts& facts, std::ostream& out, bool terminal) {
    const auto result = diagnose(facts);
    const char* no_colour = std::getenv("NO_COLOR");
    const bool colour = terminal && (no_colour == nullptr || *no_colour == '\0');
    out << (options.json ? as_json(result) : as_text(result, colour)) << std::flush;
    return result.exit_code();
}

}  // namespace

int run(const std::vector<std::string>& args, std::ostream& out, std::ostream& err, bool terminal) {
    auto options = parse_options(args);
    if (!options) {
        err << "baton doctor: " << options.error().message << "\n" << usage();
        return bad_usage;
    }
    if (options->help) {
        out << usage();
        return 0;
    }
    if (options->files.empty()) options->files = config::default_files();
    Facts facts{.config = config::check(options->files)};
    if (!facts.config.ok()) return report(*options, facts, out, terminal);
    facts.machine = examine_machine(facts.settings());
    const auto get = make_get(facts.settings());
    facts.manager = ask_manager(manager_url(facts.settings()), get);
    const auto subject = find_subject(*options, facts, get);
    if (!subject) {
        err << "baton doctor: " << subject.error().text() << "\n";
        return bad_usage;
    }
    look(*options, *subject, facts);
    facts.clusters = select_clusters(*facts.topology, subject->server, options->cluster, subject->members,
                                     static_cast<uint16_t>(facts.settings().DefaultInstancePort));
    return report(*options, facts, out, terminal);
}

}  // namespace baton::doctor
