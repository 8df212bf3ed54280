#include "doctor/machine.h"

#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/text.h"
#include "doctor/listening.h"
#include "net/certificate_files.h"
#include "recovery/hooks.h"
#include "store/schema.h"

namespace baton::doctor {
namespace {

namespace fs = std::filesystem;

std::string user_name() {
    const auto* entry = getpwuid(geteuid());
    return entry != nullptr ? entry->pw_name : std::to_string(geteuid());
}

bool may(const std::string& path, int mode) {
    return ::access(path.c_str(), mode) == 0;
}

std::string home_relative(const std::string& path) {
    if (!path.starts_with("~/")) return path;
    const char* home = std::getenv("HOME");
    return home != nullptr ? home + path.substr(1) : path;
}

bool in_search_path(const std::string& program) {
    if (program.contains('/')) return may(program, X_OK);
    const char* path = std::getenv("PATH");
    const auto directories = split(path != nullptr ? path : "/usr/bin:/bin", ':');
    return std::ranges::any_of(directories, [&](const auto& d) { return may(d + "/" + program, X_OK); });
}

void add_hooks(std::vector<Hook>& hooks, std::string list, const config::Texts& commands) {
    for (size_t n = 0; n < commands.size(); ++n) {
        Hook hook{.list = list, .number = n + 1, .program = home_relative(program_path(commands[n]))};
        std::error_code ignored;
        hook.exists = !hook.program.empty() && fs::exists(hook.program, ignored);
        hook.executable = hook.exists && !fs::is_directory(hook.program, ignored) && may(hook.program, X_OK);
        hook.slips = placeholder_slips(commands[n]);
        hooks.push_back(std::move(hook));
    }
}

std::vector<Hook> hooks_of(const config::Config& c) {
    std::vector<Hook> hooks;
    add_hooks(hooks, "OnFailureDetectionProcesses", c.OnFailureDetectionProcesses);
    add_hooks(hooks, "PreFailoverProcesses", c.PreFailoverProcesses);
    add_hooks(hooks, "PostMasterFailoverProcesses", c.PostMasterFailoverProcesses);
    add_hooks(hooks, "PostIntermediateMasterFailoverProcesses", c.PostIntermediateMasterFailoverProcesses);
    add_hooks(hooks, "PostFailoverProcesses", c.PostFailoverProcesses);
    add_hooks(hooks, "PostUnsuccessfulFailoverProcesses", c.PostUnsuccessfulFailoverProcesses);
    return hooks;
}

void add_file(std::vector<NamedFile>& files, std::string key, const std::string& path, bool secret) {
    if (path.empty()) return;
    NamedFile file{.key = std::move(key), .path = path, .secret = secret};
    struct stat status{};
    file.readable = may(path, R_OK);
    if (!file.readable) {
        file.problem = std::strerror(errno);
    } else if (::stat(path.c_str(), &status) == 0) {
        // A key of root's may be readable by its group, as libpq has it.
        const mode_t others = status.st_uid == 0 && geteuid() != 0 ? S_IRWXO : S_IRWXG | S_IRWXO;
        file.open_to_others = (status.st_mode & others) != 0;
    }
    files.push_back(std::move(file));
}

std::vector<NamedFile> files_of(const config::Config& c) {
    std::vector<NamedFile> files;
    add_file(files, "PostgreSQLTopologyPassFile", c.PostgreSQLTopologyPassFile, true);
    add_file(files, "PostgreSQLSSLCAFile", c.PostgreSQLSSLCAFile, false);
    add_file(files, "PostgreSQLSSLCertFile", c.PostgreSQLSSLCertFile, false);
    add_file(files, "PostgreSQLSSLPrivateKeyFile", c.PostgreSQLSSLPrivateKeyFile, true);
    const bool agents = c.ServeAgentsHttp && c.AgentsUseSSL;
    add_file(files, "AgentSSLPrivateKeyFile", agents ? c.AgentSSLPrivateKeyFile : "", true);
    add_file(files, "SSLPrivateKeyFile", c.UseSSL ? c.SSLPrivateKeyFile : "", true);
    return files;
}

void add_certificate(std::vector<NamedCertificate>& certificates, std::string key, const std::string& path) {
    if (path.empty()) return;
    NamedCertificate certificate{.key = std::move(key), .path = path, .ends = {}, .problem = {}};
    if (const auto ends = net::certificate_file_ends(path)) {
        certificate.ends = *ends;
    } else {
        certificate.problem = ends.error().message;
    }
    certificates.push_back(std::move(certificate));
}

std::vector<NamedCertificate> certificates_of(const config::Config& c) {
    std::vector<NamedCertificate> certificates;
    add_certificate(certificates, "PostgreSQLSSLCertFile", c.PostgreSQLSSLCertFile);
    if (c.UseSSL) {
        add_certificate(certificates, "SSLCertFile", c.SSLCertFile);
        add_certificate(certificates, "SSLCAFile", c.UseMutualTLS ? c.SSLCAFile : "");
    }
    if (c.ServeAgentsHttp && c.AgentsUseSSL) {
        add_certificate(certificates, "AgentSSLCertFile", c.AgentSSLCertFile);
        add_certificate(certificates, "AgentSSLCAFile", c.AgentsUseMutualTLS ? c.AgentSSLCAFile : "");
    }
    return certificates;
}

/// The nearest directory above `path` that exists.
fs::path nearest_directory(const fs::path& path) {
    std::error_code ignored;
    auto at = path.parent_path();
    while (!at.empty() && at != at.root_path() && !fs::exists(at, ignored))
        at = at.parent_path();
    return at.empty() ? fs::path(".") : at;
}

StateFile judge_absent(const fs::path& path, std::string& problem) {
    const auto directory = nearest_directory(path);
    if (may(directory.string(), W_OK | X_OK)) return StateFile::absent;
    problem = fmt::format("cannot be made: no right to write in {}", directory.string());
    return StateFile::no_directory;
}

StateFile judge_present(const fs::path& path, std::string& problem) {
    // SQLite makes its log beside the file, so the directory counts too.
    const auto directory = nearest_directory(path);
    if (!may(path.string(), R_OK | W_OK) || !may(directory.string(), W_OK | X_OK)) {
        problem = fmt::format("no right to read and write it and its directory {}", directory.string());
        return StateFile::not_permitted;
    }
    std::array<char, 100> header{};
    std::ifstream file(path, std::ios::binary);
    file.read(header.data(), header.size());
    std::error_code ignored;
    const auto log = path.string() + "-wal";
    const bool has_log = fs::exists(log, ignored) && fs::file_size(log, ignored) > 0;
    return judge_header({header.data(), static_cast<size_t>(file.gcount())}, has_log, problem);
}

void examine_state_file(const std::string& name, Machine& machine) {
    const auto path = fs::absolute(name);
    std::error_code error;
    const bool there = fs::exists(path, error);
    machine.state_file =
        there ? judge_present(path, machine.state_problem) : judge_absent(path, machine.state_problem);
    const auto space = fs::space(nearest_directory(path), error);
    if (!error) machine.state_free_bytes = space.available;
}

uint32_t big_endian(std::string_view bytes) {
    uint32_t value = 0;
    for (const char c : bytes.substr(0, 4))
        value = value << 8 | static_cast<unsigned char>(c);
    return value;
}

}  // namespace

StateFile judge_header(std::string_view header, bool has_log, std::string& problem) {
    constexpr size_t version_at = 60, application_at = 68;
    if (header.empty()) return StateFile::usable;
    if (header.size() < 100 || !header.starts_with("SQLite format 3")) {
        problem = "is not an SQLite database";
        return StateFile::not_a_database;
    }
    const auto application = big_endian(header.substr(application_at));
    const auto version = big_endian(header.substr(version_at));
    // What a young file says of itself may still be in the log.
    if (application == 0 && has_log) return StateFile::usable;
    if (application != store::application_id) {
        problem = "is another program's database";
        return StateFile::foreign;
    }
    if (version > store::schema_version) {
        problem = fmt::format("was made by a newer Baton (format {}, this one knows {})", version,
                              store::schema_version);
        return StateFile::newer;
    }
    return StateFile::usable;
}

std::string program_path(std::string_view command) {
    auto rest = trim(command);
    // Assignments in front of the command ("A=b /usr/bin/x").
    for (auto space = rest.find(' '); space != std::string_view::npos; space = rest.find(' ')) {
        const auto word = rest.substr(0, space);
        const auto equals = word.find('=');
        if (equals == std::string_view::npos || equals == 0 || word.find('/') < equals) break;
        rest = trim(rest.substr(space));
    }
    std::string word;
    if (rest.starts_with('"') || rest.starts_with('\'')) {
        const auto end = rest.find(rest.front(), 1);
        if (end == std::string_view::npos) return {};
        word = rest.substr(1, end - 1);
    } else {
        word = rest.substr(0, rest.find_first_of(" \t;|&<>()"));
    }
    if (word.find_first_of("{}$`*?\\") != std::string::npos) return {};
    const bool path =
        word.starts_with('/') || word.starts_with("./") || word.starts_with("../") || word.starts_with("~/");
    return path ? word : std::string();
}

std::vector<std::pair<std::string, std::string>> placeholder_slips(std::string_view command) {
    const store::Recovery recovery{.successor = topology::InstanceKey{"h", 1}};
    std::vector<std::string> names;
    for (const auto& [name, value] : recovery::placeholders({.recovery = &recovery}))
        names.push_back(name.substr(1, name.size() - 2));
    const std::vector<std::string_view> known(names.begin(), names.end());
    std::vector<std::pair<std::string, std::string>> found;
    for (auto at = command.find('{'); at != std::string_view::npos; at = command.find('{', at + 1)) {
        const auto end = command.find('}', at);
        if (end == std::string_view::npos) break;
        const auto word = command.substr(at + 1, end - at - 1);
        const bool shell = at > 0 && command[at - 1] == '$';
        if (shell || std::ranges::find(known, word) != known.end()) continue;
        if (auto meant = nearest_name(word, known)) found.emplace_back(word, std::move(*meant));
    }
    return found;
}

Machine examine_machine(const config::Config& config) {
    Machine machine{.user = user_name(),
                    .shell = config.ProcessesShellCommand,
                    .shell_found = in_search_path(config.ProcessesShellCommand),
                    .hooks = hooks_of(config),
                    .files = files_of(config),
                    .certificates = certificates_of(config)};
    examine_state_file(config.SQLite3DataFile, machine);
    const auto listening = try_listening(config);
    machine.listen_taken = listening.taken;
    machine.listen_problem = listening.problem;
    return machine;
}

}  // namespace baton::doctor
