#pragma once

#include <string>
#include <string_view>
#include <vector>

/// What the doctor found, and how it is shown. Pure.
namespace baton::doctor {

enum class Level : uint8_t { pass, warn, fail };
std::string_view to_string(Level level);  ///< "pass", "warn", "fail"

struct Finding {
    Level level = Level::pass;
    std::string check;    ///< id of the check
    std::string title;    ///< what all is well would mean: "Exactly one primary"
    std::string cluster;  ///< id of the cluster; "" = the manager and its machine
    std::string subject;  ///< "db1:5432", the cluster's name, a file, …
    bool about_server = false;
    std::string text;    ///< one sentence; never holds a secret
    std::string remedy;  ///< SQL, a command or what to do, line by line; "" when there is nothing to do
};

struct Section {
    std::string cluster;  ///< id; "" = the manager and its machine
    std::string heading;
};

/// All findings, in the order of the table of checks.
struct Report {
    std::vector<Section> sections;  ///< the order in which they are shown
    std::vector<Finding> findings;

    size_t count(Level level) const;
    /// 0 all pass, 1 something warns, 2 something fails.
    int exit_code() const;
};

/// For people: by cluster, then by server. `colour`: with the terminal's escape sequences.
std::string as_text(const Report& report, bool colour);
/// {"checks":[…],"summary":{…}} and a line break.
std::string as_json(const Report& report);

}  // namespace baton::doctor
