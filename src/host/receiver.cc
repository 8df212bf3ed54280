#include "host/receiver.h"

#include <fmt/format.h>

#include "base/text.h"
#include "host/files.h"

namespace baton::host {

std::optional<topology::Lsn> parse_receiver_title(std::string_view title) {
    constexpr std::string_view words = "walreceiver streaming ";
    const auto at = title.find(words);
    if (!title.starts_with("postgres: ") || at == std::string_view::npos) return std::nullopt;
    const auto rest = title.substr(at + words.size());
    return topology::parse_lsn(rest.substr(0, rest.find_first_not_of("0123456789ABCDEFabcdef/")));
}

std::optional<Receiver> find_receiver(const std::string& data_directory) {
    const auto text = read_whole(data_directory + "/postmaster.pid", 4096);
    const auto file = text ? parse_pid_file(*text) : std::nullopt;
    if (!file) return std::nullopt;
    const auto children = read_whole(fmt::format("/proc/{0}/task/{0}/children", file->pid));
    if (!children) return std::nullopt;
    for (const auto& child : split(trim(*children), ' ')) {
        const auto title = read_whole("/proc/" + child + "/cmdline", 65536);
        if (!title || !title->starts_with("postgres: ") || title->find("walreceiver") == std::string::npos)
            continue;
        return Receiver{static_cast<int>(parse_int(child).value_or(0)), parse_receiver_title(*title)};
    }
    return std::nullopt;
}

}  // namespace baton::host
