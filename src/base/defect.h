#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

/// Deliberate defects, the test of the tests: each breaks one rule that protects data, and the simulated
/// world must notice. They exist only in builds with BATON_DEFECTS, and only tests make one active; in
/// what is shipped defect() is the constant false, and what depends on it is not compiled.
namespace baton {

#ifdef BATON_DEFECTS
inline constexpr bool has_defects = true;
namespace detail {
inline std::string_view active_defect;
}
/// Is this the active one? The name is a literal and a row of the table: a unit test reads the sources.
inline bool defect(std::string_view name) {
    return name == detail::active_defect;
}
#else
inline constexpr bool has_defects = false;
constexpr bool defect(std::string_view) {
    return false;
}
#endif

struct Defect {
    std::string_view name;
    std::string_view wrong;    ///< what is wrong then, in one sentence
    std::string_view seen_by;  ///< the checker that is expected to notice
};
/// All of them, by room.
std::span<const Defect> defects();

/// From now on this one, and only this one, is active; "" is none. Before any thread is started. Errors: an
/// unknown name (invalid_argument, names the nearest), a build without defects (unsupported).
Result<void> activate_defect(std::string_view name);

/// What a leak is made of: never destroyed, and still known to a leak checker.
template <class T>
void keep_for_ever(std::unique_ptr<T> thing) {
    static auto& kept = *new std::vector<T*>;
    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    kept.push_back(thing.release());
}

}  // namespace baton
