#include "host/options.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <set>

#include "base/text.h"
#include "config/json_file.h"
#include "host/option_keys.h"

namespace baton::host {
namespace {

namespace json = boost::json;

constexpr std::array controls{std::string_view("pg_ctl"), std::string_view("pg_ctlcluster"),
                              std::string_view("systemd")};
constexpr size_t most_instances = 64;
constexpr size_t longest_token = 4096;

/// Keys that the table does not hold, because their values are more than one place.
constexpr std::array more_agent_keys{std::string_view("TokenFile"), std::string_view("Instances"),
                                     std::string_view("PgBouncers")};
constexpr std::array more_instance_keys{std::string_view("Host"), std::string_view("Port"),
                                        std::string_view("Control")};

/// What the file says besides the places of Options.
struct Raw {
    std::string token_file;
    bool guards_nothing = false;  ///< Instances is there, and empty
    std::vector<std::string> warnings;
};

template <class T>
const OptionKey<T>* find_key(std::span<const OptionKey<T>> keys, std::string_view name) {
    const auto at = std::ranges::find(keys, name, &OptionKey<T>::name);
    return at == keys.end() ? nullptr : &*at;
}

template <class T>
void complain_of_unknown(std::span<const OptionKey<T>> keys, std::span<const std::string_view> more,
                         std::string_view name, const std::string& where, Complaints& complaints) {
    std::vector<std::string_view> names(more.begin(), more.end());
    for (const auto& k : keys)
        names.push_back(k.name);
    const auto near = nearest_name(name, names);
    complaints.push_back(fmt::format("{} is no key{}", printable(where + std::string(name)),
                                     near ? fmt::format("; did you mean {}?", *near) : ""));
}

/// Reads the keys of one object that the table knows; `special` is asked first.
template <class T, class Special>
void read_object(T& into, const json::object& object, std::span<const OptionKey<T>> keys,
                 std::span<const std::string_view> more, const std::string& where, Complaints& complaints,
                 Special special) {
    for (const auto& member : object) {
        const std::string_view name(member.key().data(), member.key().size());
        if (special(name, member.value())) continue;
        if (const auto* key = find_key(keys, name)) {
            put_value(into, *key, member.value(), where + std::string(name), complaints);
        } else {
            complain_of_unknown(keys, more, name, where, complaints);
        }
    }
}

/// pg_ctl hands these to a shell in double quotes.
void check_path(const std::string& path, const std::string& where, bool needed, Complaints& complaints) {
    if (path.empty()) {
        if (needed) complaints.push_back(where + " is missing");
        return;
    }
    if (!path.starts_with('/')) complaints.push_back(where + " must begin with /");
    if (path.find_first_of("\"'`$\\\n") != std::string::npos)
        complaints.push_back(where + " must not hold quotes, $, ` or \\");
}

std::string without_end_slash(std::string path) {
    while (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    return path;
}

void read_control(InstanceOptions& i, const json::value& value, const std::string& where,
                  Complaints& complaints) {
    const auto* text = value.if_string();
    const auto at = text == nullptr ? controls.end() : std::ranges::find(controls, std::string_view(*text));
    if (at == controls.end()) {
        complaints.push_back(
            fmt::format("{}Control must be \"pg_ctl\", \"pg_ctlcluster\" or \"systemd\"", where));
    } else {
        i.control = static_cast<Control>(at - controls.begin());
    }
}

void read_port(InstanceOptions& i, const json::value& value, const std::string& where,
               Complaints& complaints) {
    json::error_code ec;
    const auto port = value.is_number() ? value.to_number<int64_t>(ec) : 0;
    if (!value.is_number() || ec || port < 1 || port > 65535) {
        complaints.push_back(where + "Port must be a number from 1 to 65535");
    } else {
        i.key.port = static_cast<uint16_t>(port);
    }
}

void read_host(InstanceOptions& i, const json::value& value, const std::string& where,
               Complaints& complaints) {
    const auto* text = value.if_string();
    const auto key = topology::parse_instance_key(text == nullptr ? "" : std::string_view(*text), 1);
    if (!key || key->port != 1) {
        complaints.push_back(where +
                             "Host must be the name or address, without a port, under which other "
                             "hosts reach the server");
    } else {
        i.key.host = key->host;
    }
}

/// "…/15/main" is how Debian places data directories.
std::string cluster_name_of(const std::string& data_directory) {
    const std::filesystem::path path(data_directory);
    return path.parent_path().filename().string() + "/" + path.filename().string();
}

bool is_cluster_name(const std::string& name) {
    const auto parts = split(name, '/');
    return parts.size() == 2 && parse_uint(parts[0]) && !parts[1].empty() && !parts[1].starts_with('-');
}

void check_instance(InstanceOptions& i, const std::string& where, Complaints& complaints) {
    if (i.key.host.empty()) complaints.push_back(where + "Host is missing");
    if (i.key.port == 0) i.key.port = 5432;
    i.data_directory = without_end_slash(i.data_directory);
    check_path(i.data_directory, where + "DataDirectory", true, complaints);
    check_path(i.bin_directory, where + "BinDirectory", true, complaints);
    check_path(i.config_file, where + "ConfigFile", false, complaints);
    check_path(i.log_file, where + "LogFile", false, complaints);
    if (i.control == Control::systemd && (i.systemd_unit.empty() || i.systemd_unit.starts_with('-')))
        complaints.push_back(where +
                             "SystemdUnit is missing: Control \"systemd\" needs the name of the unit");
    if (i.control != Control::pg_ctlcluster) return;
    if (i.cluster_name.empty()) i.cluster_name = cluster_name_of(i.data_directory);
    if (!is_cluster_name(i.cluster_name)) {
        complaints.push_back(fmt::format("{}ClusterName must be like \"15/main\", and not \"{}\"", where,
                                         printable(i.cluster_name)));
    }
}

void read_instance(Options& options, const json::value& value, size_t at, Complaints& complaints) {
    const auto where = fmt::format("Instances[{}].", at);
    const auto* object = value.if_object();
    if (object == nullptr) {
        complaints.push_back(fmt::format("Instances[{}] must be an object", at));
        return;
    }
    InstanceOptions i;
    read_object(i, *object, instance_keys(), more_instance_keys, where, complaints,
                [&](std::string_view name, const json::value& v) {
                    if (name == "Host") return read_host(i, v, where, complaints), true;
                    if (name == "Port") return read_port(i, v, where, complaints), true;
                    if (name == "Control") return read_control(i, v, where, complaints), true;
                    return false;
                });
    check_instance(i, where, complaints);
    options.instances.push_back(std::move(i));
}

void read_pooler(Options& options, const json::value& value, size_t at, Complaints& complaints) {
    const auto where = fmt::format("PgBouncers[{}].", at);
    const auto* object = value.if_object();
    if (object == nullptr) {
        complaints.push_back(fmt::format("PgBouncers[{}] must be an object", at));
        return;
    }
    PoolerOptions p;
    read_object(p, *object, pooler_keys(), {}, where, complaints,
                [](std::string_view, const json::value&) { return false; });
    if (p.name.empty()) complaints.push_back(where + "Name is missing");
    check_path(p.databases_file, where + "DatabasesFile", true, complaints);
    check_path(p.pid_file, where + "PidFile", true, complaints);
    if (!p.socket_directory.starts_with('@'))
        check_path(p.socket_directory, where + "SocketDirectory", true, complaints);
    options.poolers.push_back(std::move(p));
}

template <class Read>
void read_list(Options& options, const json::value& value, std::string_view name, Complaints& complaints,
               Read read) {
    const auto* list = value.if_array();
    if (list == nullptr || list->size() > most_instances) {
        complaints.push_back(fmt::format("{} must be a list of at most {} objects", name, most_instances));
        return;
    }
    for (size_t at = 0; at < list->size(); ++at)
        read(options, (*list)[at], at, complaints);
}

void check_addresses(const Options& o, Complaints& complaints) {
    for (const auto& m : o.managers) {
        if (const auto key = topology::parse_instance_key(m, 3001); !key)
            complaints.push_back(fmt::format("Managers: {}", key.error().text()));
    }
    if (!o.peer_listen_address.empty() && o.peer_address.empty())
        complaints.push_back(
            "PeerAddress is missing: other agents must know where PeerListenAddress is reached");
    if (!o.peer_address.empty()) {
        if (const auto key = topology::parse_instance_key(o.peer_address, 3002); !key)
            complaints.push_back(fmt::format("PeerAddress: {}", key.error().text()));
    }
}

void check_tls(const Options& o, Complaints& complaints) {
    if (o.cert_file.empty() != o.key_file.empty())
        complaints.push_back("CertFile and KeyFile belong together: one of them is missing");
    if (!o.use_tls) return;
    if (o.ca_file.empty() && !o.skip_verify)
        complaints.push_back(
            "CAFile is missing: it says whose certificates are believed (`baton certs` makes "
            "a small authority; UseTLS false for a network that nobody else is in)");
    if (!o.peer_listen_address.empty() && o.cert_file.empty())
        complaints.push_back("CertFile and KeyFile are missing: PeerListenAddress with UseTLS needs them");
}

void check_all(const Options& o, const Raw& raw, LoadedOptions& loaded, Complaints& complaints) {
    if (o.instances.empty() && o.poolers.empty() && !raw.guards_nothing)
        complaints.push_back(
            "Instances is missing: what shall be guarded? (an empty list where clients are at home)");
    std::set<std::string> directories, keys;
    for (const auto& i : o.instances) {
        if (!directories.insert(i.data_directory).second)
            complaints.push_back(fmt::format("two Instances have the DataDirectory {}", i.data_directory));
        if (!keys.insert(i.key.text()).second)
            complaints.push_back(fmt::format("two Instances are {}", i.key.text()));
        if (topology::is_loopback(i.key.host))
            loaded.warnings.push_back(
                fmt::format("{}: a loopback name is another server on each host that says it", i.key.text()));
    }
    check_path(o.state_directory, "StateDirectory", true, complaints);
    check_addresses(o, complaints);
    check_tls(o, complaints);
    if (!o.token.empty() && !raw.token_file.empty())
        complaints.push_back("Token and TokenFile are both given: one of them, please");
    if (o.managers.empty())
        loaded.warnings.push_back("no Managers: nobody is told anything, and nobody may order anything");
    if (o.token.empty() && raw.token_file.empty() && o.cert_file.empty())
        loaded.warnings.push_back("neither Token nor CertFile: managers that ask who this is will refuse it");
}

Result<std::pair<LoadedOptions, Raw>> parse(std::string_view text, const std::string& name) {
    const auto file = config::parse_object(text, name);
    if (!file) return std::unexpected(file.error());
    LoadedOptions loaded;
    Raw raw;
    Complaints complaints;
    auto& o = loaded.options;
    if (file->text_after_end) complaints.push_back("something follows the closing brace");
    read_object(o, file->object, agent_keys(), more_agent_keys, "", complaints,
                [&](std::string_view key, const json::value& v) {
                    if (key == "Instances") {
                        raw.guards_nothing = v.is_array() && v.get_array().empty();
                        return read_list(o, v, key, complaints, read_instance), true;
                    }
                    if (key == "PgBouncers") return read_list(o, v, key, complaints, read_pooler), true;
                    if (key != "TokenFile") return false;
                    if (const auto* s = v.if_string()) raw.token_file = *s;
                    check_path(raw.token_file, "TokenFile", true, complaints);
                    return true;
                });
    o.state_directory = without_end_slash(o.state_directory);
    check_all(o, raw, loaded, complaints);
    if (!complaints.empty()) return fail(ErrorKind::invalid_argument, join(complaints, "\n"), name);
    return std::pair(std::move(loaded), std::move(raw));
}

void warn_if_others_read(const std::string& file, std::string_view what, LoadedOptions& loaded) {
    struct ::stat status{};
    if (::stat(file.c_str(), &status) != 0 || (status.st_mode & 077) == 0) return;
    loaded.warnings.push_back(
        fmt::format("{}: others than its owner may read {} in it; `chmod 600 {}`", file, what, file));
}

}  // namespace

std::string_view to_string(Control control) {
    return controls[static_cast<size_t>(control)];
}

Result<LoadedOptions> parse_options(std::string_view text, const std::string& name) {
    auto parsed = parse(text, name);
    if (!parsed) return std::unexpected(parsed.error());
    return std::move(parsed->first);
}

Result<LoadedOptions> load_options(const std::string& file) {
    const auto text = config::read_file(file);
    if (!text) return std::unexpected(text.error());
    auto parsed = parse(*text, file);
    if (!parsed) return std::unexpected(parsed.error());
    auto& [loaded, raw] = *parsed;
    if (!loaded.options.token.empty()) warn_if_others_read(file, "the token", loaded);
    if (!loaded.options.key_file.empty()) warn_if_others_read(loaded.options.key_file, "the key", loaded);
    if (!raw.token_file.empty()) {
        const auto token = config::read_file(raw.token_file);
        if (!token) return std::unexpected(token.error());
        loaded.options.token = trim(*token);
        if (loaded.options.token.empty() || loaded.options.token.size() > longest_token)
            return fail(ErrorKind::invalid_argument, "must hold one token", raw.token_file);
        warn_if_others_read(raw.token_file, "the token", loaded);
    }
    for (const auto& i : loaded.options.instances) {
        const bool secret =
            i.replication_conninfo.contains("password") || i.rewind_conninfo.contains("password");
        if (secret) warn_if_others_read(file, "a password", loaded);
    }
    return std::move(loaded);
}

namespace {

template <class T>
void list_keys(std::string& out, std::span<const OptionKey<T>> keys, int indent) {
    for (const auto& k : keys)
        out += fmt::format("{:{}}{:<22} {}\n", "", indent, k.name, k.text);
}

}  // namespace

std::string options_help() {
    std::string out;
    list_keys(out, agent_keys(), 2);
    out += fmt::format("  {:<22} {}\n", "TokenFile", "a file that holds the token, instead of Token");
    out += "  Instances              what it guards (none where only clients or poolers run), a list of\n";
    out +=
        fmt::format("    {:<20}   {}\n", "Host, Port", "as other hosts reach the server (default port 5432)");
    out +=
        fmt::format("    {:<20}   {}\n", "Control", "\"pg_ctl\" (default), \"pg_ctlcluster\" or \"systemd\"");
    list_keys(out, instance_keys(), 4);
    out += "  PgBouncers             poolers of this host whose target it may change, a list of\n";
    list_keys(out, pooler_keys(), 4);
    return out;
}

}  // namespace baton::host
