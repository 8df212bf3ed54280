// The configuration, the machine that the manager runs on, and the manager itself.
#include <fmt/format.h>

#include "analysis/wording.h"
#include "base/text.h"
#include "doctor/check_functions.h"
#include "doctor/words.h"

namespace baton::doctor {

void check_config(const Facts& facts, Notes& notes) {
    for (const auto& error : facts.config.errors)
        notes.fail(error.text(),
                   "correct the value; docs/configuration.md lists every key with what it allows");
    for (const auto& warning : facts.config.loaded.warnings)
        notes.warn(warning.text, warning.kind == config::WarningKind::replaced_value
                                     ? "set what is meant, so that the file says what happens"
                                     : "take the key out of the file, or correct its spelling");
    if (!notes.clean()) return;
    const auto& files = facts.config.loaded.files;
    notes.pass(files.empty() ? "no file: every setting has its default"
                             : fmt::format("{}, {} set", join(files, ", "),
                                           counted(facts.config.loaded.set_keys.size(), "key")));
}

namespace {

bool reaches_other_machines(const Facts& facts) {
    for (const auto& cluster : facts.clusters) {
        for (const auto& i : cluster->instances) {
            if (!topology::is_loopback(i->key.host)) return true;
        }
    }
    return false;
}

}  // namespace

void check_credentials(const Facts& facts, Notes& notes) {
    const auto& c = facts.settings();
    if (c.ProviderType == "mysql" || c.ProviderType == "mariadb") {
        notes.fail(fmt::format("ProviderType = \"{}\": this version manages PostgreSQL only", c.ProviderType),
                   "\"ProviderType\": \"postgresql\"");
    }
    if (c.PostgreSQLTopologyUser.empty()) {
        notes.fail("PostgreSQLTopologyUser is not set, so the manager would log in as whoever runs it",
                   "\"PostgreSQLTopologyUser\": \"baton\", with the role of docs/privileges.md");
    }
    if (c.PostgreSQLTopologyPassword.empty() && c.PostgreSQLTopologyPassFile.empty() &&
        c.PostgreSQLSSLCertFile.empty()) {
        notes.warn(
            "no password, passfile or client certificate is set: only servers that ask for none let the "
            "manager in",
            "set PostgreSQLTopologyPassword (\"${VARIABLE}\" reads it from the environment), "
            "PostgreSQLTopologyPassFile or PostgreSQLSSLCertFile");
    }
    const auto& tls = c.PostgreSQLSSLMode;
    if ((tls == "disable" || tls == "allow" || tls == "prefer") && reaches_other_machines(facts)) {
        notes.warn(fmt::format("PostgreSQLSSLMode = \"{}\": sessions to other machines may be in clear", tls),
                   "\"PostgreSQLSSLMode\": \"require\", or \"verify-full\" with PostgreSQLSSLCAFile");
    }
    if (!notes.clean()) return;
    notes.pass(fmt::format("logs in as {} to database {}, sslmode {}", c.PostgreSQLTopologyUser,
                           c.PostgreSQLTopologyDatabase, tls));
}

void check_certificates(const Facts& facts, Notes& notes) {
    constexpr std::chrono::hours soon{30 * 24};
    for (const auto& c : facts.machine.certificates) {
        const auto name = fmt::format("{} = {}", c.key, c.path);
        if (!c.ends) {
            notes.fail(fmt::format("{}: {}", name, c.problem),
                       "a PEM file with a certificate; baton certs makes such files");
        } else if (*c.ends <= facts.wall) {
            notes.fail(fmt::format("{} has expired at {}", name, iso_time(*c.ends)),
                       "make a new one: baton certs, with its two files moved away");
        } else if (*c.ends - facts.wall < soon) {
            notes.warn(fmt::format("{} is good until {}, {} from now", name, iso_time(*c.ends),
                                   analysis::duration_text(*c.ends - facts.wall)),
                       "make a new one before that day: baton certs, with its two files moved away");
        }
    }
    if (!notes.clean()) return;
    notes.pass(facts.machine.certificates.empty()
                   ? "no certificates are named"
                   : fmt::format("{} will do for a month at least",
                                 counted(facts.machine.certificates.size(), "named certificate")));
}

void check_files(const Facts& facts, Notes& notes) {
    for (const auto& file : facts.machine.files) {
        if (!file.readable) {
            notes.fail(fmt::format("{} = {}: {} (as user {})", file.key, file.path, file.problem,
                                   facts.machine.user),
                       fmt::format("make {} readable for the user that runs the manager", file.path));
        } else if (file.secret && file.open_to_others) {
            notes.fail(fmt::format("{} = {} is readable by group or others{}", file.key, file.path,
                                   file.key.starts_with("PostgreSQL") ? "; libpq ignores such a file" : ""),
                       fmt::format("chmod 600 {}", file.path));
        }
    }
    if (notes.clean() && !facts.machine.files.empty())
        notes.pass(fmt::format("{} can be read", counted(facts.machine.files.size(), "named file")));
}

void check_listen(const Facts& facts, Notes& notes) {
    const auto& c = facts.settings();
    const auto where =
        c.ListenSocket.empty() ? "ListenAddress " + c.ListenAddress : "ListenSocket " + c.ListenSocket;
    if (facts.manager.reachable) {
        notes.pass(where + " is served by a manager");
    } else if (facts.machine.listen_taken) {
        notes.fail(fmt::format("{} is taken by something that does not answer as a manager: {}", where,
                               facts.manager.problem),
                   "see who it is: ss -ltnp; then end it or choose another ListenAddress");
    } else if (!facts.machine.listen_problem.empty()) {
        notes.fail(fmt::format("{} cannot be listened on: {}", where, facts.machine.listen_problem),
                   "choose an address of this machine and a port above 1023");
    } else {
        notes.pass(where + " is free");
    }
}

namespace {

constexpr uint64_t little_space = 256ULL << 20;

void check_space(const Facts& facts, const std::string& path, Notes& notes) {
    const auto free = facts.machine.state_free_bytes;
    if (!free || *free >= little_space) return;
    notes.warn(fmt::format("only {} are free where {} lives; the record of a recovery must get there",
                           analysis::bytes_text(*free), path),
               "free some space, or move SQLite3DataFile");
}

}  // namespace

void check_state_file(const Facts& facts, Notes& notes) {
    const auto& path = facts.settings().SQLite3DataFile;
    const auto& machine = facts.machine;
    switch (machine.state_file) {
        case StateFile::usable:
        case StateFile::absent:
            check_space(facts, path, notes);
            if (notes.clean())
                notes.pass(path + (machine.state_file == StateFile::usable
                                       ? " is a Baton state file"
                                       : " will be made at the first start"));
            return;
        case StateFile::no_directory:
        case StateFile::not_permitted:
            notes.fail(fmt::format("{}: {} (as user {})", path, machine.state_problem, machine.user),
                       fmt::format("install -d -m 700 -o <the manager's user> {}",
                                   path.substr(0, std::max<size_t>(1, path.rfind('/')))));
            return;
        case StateFile::newer:
            notes.fail(fmt::format("{}: {}", path, machine.state_problem),
                       "run the newer version, or name another SQLite3DataFile");
            return;
        case StateFile::foreign:
        case StateFile::not_a_database:
            notes.fail(fmt::format("{}: {}", path, machine.state_problem),
                       "name another SQLite3DataFile; Baton leaves this one untouched");
            return;
    }
}

void check_hooks(const Facts& facts, Notes& notes) {
    const auto& machine = facts.machine;
    if (machine.hooks.empty()) {
        notes.pass("no hooks are configured");
        return;
    }
    if (!machine.shell_found) {
        notes.fail(
            fmt::format("ProcessesShellCommand = \"{}\": no such program, so no hook can run", machine.shell),
            "\"ProcessesShellCommand\": \"bash\"");
    }
    for (const auto& hook : machine.hooks) {
        const auto which = fmt::format("{}, entry {}", hook.list, hook.number);
        if (!hook.program.empty() && !hook.exists) {
            notes.fail(fmt::format("{}: {} does not exist", which, hook.program),
                       "install it, or correct the path");
        } else if (!hook.program.empty() && !hook.executable) {
            notes.fail(fmt::format("{}: {} is not executable for user {}", which, hook.program, machine.user),
                       "chmod +x " + hook.program);
        }
        for (const auto& [word, meant] : hook.slips)
            notes.warn(fmt::format("{}: {{{}}} is no placeholder and stays as it is", which, word),
                       fmt::format("{{{}}}", meant));
    }
    if (notes.clean()) notes.pass(fmt::format("{} can run", counted(machine.hooks.size(), "hook")));
}

void check_manager(const Facts& facts, Notes& notes) {
    const auto& m = facts.manager;
    if (!m.reachable) {
        notes.warn(fmt::format("no manager answers at {}: {}", m.address, m.problem),
                   "start it: systemctl start baton, or baton serve -config FILE");
    } else if (!m.healthy) {
        notes.fail(fmt::format("the manager at {} is not well: {}", m.address, m.health), "see its log");
    } else if (!m.problem.empty()) {
        notes.warn(fmt::format("the manager at {}: {}", m.address, m.problem), "see its log");
    } else {
        notes.pass("healthy, at " + m.address);
    }
}

void check_recoveries_enabled(const Facts& facts, Notes& notes) {
    const auto& enabled = facts.manager.recoveries_enabled;
    if (!enabled) return;
    if (*enabled) {
        notes.pass("recoveries are enabled");
    } else {
        notes.warn("recoveries are disabled globally: no failover will happen", "baton enable-recoveries");
    }
}

void check_block_periods(const Facts& facts, Notes& notes) {
    constexpr int64_t long_block = 86400;
    const auto block = facts.settings().RecoveryPeriodBlockSeconds;
    if (block == 0) {
        notes.warn(
            "there is no pause between two recoveries of a cluster: a flapping server is failed over again "
            "and again",
            "\"RecoveryPeriodBlockSeconds\": 3600");
    } else if (block > long_block) {
        notes.warn(
            fmt::format(
                "after a recovery the cluster is not recovered again for {}, unless it is acknowledged",
                analysis::duration_text(seconds(block))),
            "\"RecoveryPeriodBlockSeconds\": 3600");
    } else {
        notes.pass(fmt::format(
            "after a recovery the cluster is not recovered again for {}, unless it is acknowledged",
            analysis::duration_text(seconds(block))));
    }
}

namespace {

std::string remedy_for(const Facts& facts, const Unanswered& server) {
    const auto& c = facts.settings();
    switch (server.error.kind) {
        case ErrorKind::refused:
            return fmt::format("start the server, or check listen_addresses and port {} on {}",
                               server.key.port, server.key.host);
        case ErrorKind::unreachable:
            return "check the name, the route and the firewall: getent hosts " + server.key.host;
        case ErrorKind::timeout:
            return fmt::format("check the firewall between here and {}, and whether the server hangs",
                               server.key.text());
        case ErrorKind::authentication:
            if (server.error.message.contains("SSL")) {
                return fmt::format(
                    "PostgreSQLSSLMode is \"{}\": turn ssl on in the server, or change the mode",
                    c.PostgreSQLSSLMode);
            }
            return fmt::format(
                "check the password and sslmode; in pg_hba.conf of {}: host {} {} <manager's address> "
                "scram-sha-256",
                server.key.text(), c.PostgreSQLTopologyDatabase, role_name(c));
        case ErrorKind::starting_up:
            return "wait until it has started; its log says what it recovers";
        case ErrorKind::too_many_connections:
            return fmt::format(
                "raise max_connections; on 16 and later: reserved_connections = 3 and GRANT "
                "pg_use_reserved_connections TO {};",
                role_name(c));
        case ErrorKind::unsupported:
            return "Baton manages PostgreSQL 13 to 18";
        case ErrorKind::refused_by_policy:
            return "take it out of the filter if it is meant";
        default:
            return "see the server's log";
    }
}

}  // namespace

void check_answers(const Facts& facts, Notes& notes) {
    for (const auto& server : facts.unanswered) {
        Error error = server.error;
        error.who.clear();
        notes.fail(fmt::format("{} gives no answer: {}", server.key.text(), error.text()),
                   remedy_for(facts, server));
    }
    if (facts.asked.empty()) {
        notes.fail("no server to look at: DiscoverySeeds is empty, no -i was given, and no manager knows any",
                   "\"DiscoverySeeds\": [\"db1:5432\"], or baton doctor -config FILE -i db1:5432");
    } else if (facts.clusters.empty() && facts.unanswered.empty()) {
        notes.fail("no cluster was found with that name", "baton clusters lists them");
    }
    if (!facts.stable)
        notes.warn("servers were still being found when the time was up", "give it more: --timeout 60");
    if (notes.clean())
        notes.pass(
            fmt::format("{} {}", texts_of(facts.asked), facts.asked.size() == 1 ? "answers" : "answer"));
}

}  // namespace baton::doctor
