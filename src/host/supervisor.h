#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "host/options.h"

/// What stands around a server: systemd's unit of it, Debian's configuration. Pure, but for config_file_of().
namespace baton::host {

/// The file that configures the server: ConfigFile, Debian's place, or "" = within the data directory.
std::string config_file_of(const InstanceOptions& instance);

/// `systemctl show` of what is looked at.
std::vector<std::string> ask_unit(const std::string& unit);
/// Its answer, "Name=value" in lines; "" where there is no such line.
std::string unit_property(std::string_view shown, std::string_view name);

/// What of the unit is in the agent's way, a sentence; "" = nothing. `shown`: the answer to ask_unit().
std::string unit_in_the_way(const std::string& unit, std::string_view shown);
/// How the unit fares, for a server that did not start: "failed (start-limit-hit)".
std::string unit_state(std::string_view shown);
/// It was told to start, and has not begun yet.
bool unit_begins(std::string_view shown);
/// The same for the text of /etc/postgresql/VERSION/NAME/start.conf.
std::string start_conf_in_the_way(const std::string& cluster_name, std::string_view text);

}  // namespace baton::host
