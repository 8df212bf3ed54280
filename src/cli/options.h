#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/client.h"

namespace baton::cli {

/// Everything that a command line can say. Both kinds of command share it: a modern command's words are put
/// into the same fields as orchestrator's options (HOST:PORT into `instance`, CLUSTER into `alias`, …).
struct Options {
    std::string command;
    std::string instance;
    std::string destination;
    std::string sibling;  ///< -s, another name for the destination
    std::string alias;
    std::string owner;
    std::string reason;
    std::string duration;
    std::string rule;
    std::string tag;
    std::string pool;
    std::string hostname;
    std::string default_port;
    std::string api;
    std::string path;
    std::string query;
    std::string auth;  ///< user:password
    std::string auth_header;
    std::string binlog;
    std::string delay_seconds;
    std::string pattern;
    std::string uid;
    std::string new_alias;
    std::string watch_seconds;  ///< "" unless --watch
    std::string ca_file, certificate_file, key_file;
    std::string config;  ///< file of the manager's configuration, to find its API
    bool help = false;
    bool json = false;
    bool all = false;
    std::string at;        ///< when to begin
    std::string from;      ///< copy from this server
    bool force = false;    ///< what only that server has may be lost
    bool no_wait = false;  ///< begin, and return
    bool cancel = false;
    bool dry_run = false;
    bool insecure = false;
    bool quiet = false;
    bool accepted = false;  ///< stands for switches that are understood and have no effect
    bool instance_from_environment = false;
    std::vector<std::string> words;
};

struct Flag {
    std::string_view names;  ///< separated by blanks: one letter or long, with one dash or two
    std::string Options::* value = nullptr;
    bool Options::* on = nullptr;
    std::string_view placeholder;  ///< of the value
    std::string_view doc;          ///< "" keeps it out of the help texts
};

/// orchestrator's options, of its shell client and its binary together.
std::span<const Flag> classic_flags();
/// Those of the modern commands: common to all, then those that single commands name.
std::span<const Flag> modern_flags();

/// Reads `args`. A value may follow as its own word, after '=', or (one letter) attached. `--` ends the
/// options. Error invalid_argument names the option and, where one is near, the one that was perhaps meant.
Result<Options> parse_options(std::span<const std::string> args, std::span<const Flag> flags);

/// Fills what the command line left open from the environment (ORCHESTRATOR_INSTANCE, …_API, …_AUTH_USER and
/// so on; BATON_… wins), and the defaults that need no asking.
void fill_defaults(Options& options, Personality personality, const Io& io);

}  // namespace baton::cli
