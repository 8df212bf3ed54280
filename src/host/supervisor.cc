#include "host/supervisor.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"

namespace baton::host {

std::string config_file_of(const InstanceOptions& instance) {
    if (!instance.config_file.empty()) return instance.config_file;
    if (instance.control != Control::pg_ctlcluster || instance.cluster_name.empty()) return {};
    const auto file = "/etc/postgresql/" + instance.cluster_name + "/postgresql.conf";
    return ::access(file.c_str(), F_OK) == 0 ? file : std::string();
}

std::vector<std::string> ask_unit(const std::string& unit) {
    return {"systemctl", "show", "--property=LoadState,ActiveState,Result,Restart,Job", unit};
}

std::string unit_property(std::string_view shown, std::string_view name) {
    for (const auto& line : split(shown, '\n')) {
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == '=')
            return std::string(trim(line.substr(name.size() + 1)));
    }
    return {};
}

std::string unit_in_the_way(const std::string& unit, std::string_view shown) {
    const auto load = unit_property(shown, "LoadState");
    if (!load.empty() && load != "loaded")
        return fmt::format("SystemdUnit names {}, and systemd says of it: {}", unit, load);
    const auto restart = unit_property(shown, "Restart");
    if (restart.empty() || restart == "no") return {};
    return fmt::format(
        "its unit {} has Restart={}: systemd starts what the agent ends, and the agent has to end it again; "
        "set Restart=no in a drop-in (docs/agent.md)",
        unit, restart);
}

std::string unit_state(std::string_view shown) {
    const auto state = unit_property(shown, "ActiveState");
    const auto result = unit_property(shown, "Result");
    if (state.empty()) return {};
    return result.empty() || result == "success" ? state : fmt::format("{} ({})", state, result);
}

bool unit_begins(std::string_view shown) {
    return unit_property(shown, "ActiveState") == "activating" || !unit_property(shown, "Job").empty();
}

std::string start_conf_in_the_way(const std::string& cluster_name, std::string_view text) {
    for (const auto& whole : split(text, '\n')) {
        const auto line = std::string_view(whole);
        const auto word = trim(line.substr(0, line.find('#')));
        if (word == "disabled")
            return fmt::format("start.conf of {} says disabled: pg_ctlcluster will not start it; say manual",
                               cluster_name);
    }
    return {};
}

}  // namespace baton::host
