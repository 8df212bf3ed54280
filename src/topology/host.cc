#include "topology/host.h"

#include <array>

namespace baton::topology {
namespace {

template <size_t N, class E>
std::string_view word(const std::array<std::string_view, N>& words, E value) {
    return words[static_cast<size_t>(value)];
}

}  // namespace

std::string_view to_string(ServerState state) {
    static constexpr std::array<std::string_view, 7> words{"unknown", "no data",  "down", "starting",
                                                           "running", "stopping", "hung"};
    return word(words, state);
}

std::string_view to_string(DiskHealth health) {
    static constexpr std::array<std::string_view, 6> words{"unknown", "good", "full",
                                                           "failing", "hung", "read-only"};
    return word(words, health);
}

std::string_view to_string(Hold hold) {
    static constexpr std::array<std::string_view, 3> words{"none", "down", "fenced"};
    return word(words, hold);
}

}  // namespace baton::topology
