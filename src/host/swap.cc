#include "host/swap.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "host/files.h"

namespace baton::host {
namespace {

bool exists(const std::string& path) {
    struct ::stat found{};
    return !path.empty() && ::lstat(path.c_str(), &found) == 0;
}

std::string parent_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

Result<void> move(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0)
        return fail(ErrorKind::io, "cannot be renamed to " + to + ": " + std::strerror(errno), from);
    return sync_directory(parent_of(to));
}

}  // namespace

SwapStep next_swap_step(const SwapSight& sight, bool had_data) {
    if (sight.fresh) return sight.data ? SwapStep::set_aside : SwapStep::move_in;
    if (sight.data) return sight.old || !had_data ? SwapStep::done : SwapStep::lost;
    return sight.old ? SwapStep::put_back : SwapStep::lost;
}

Result<void> swap_directories(const Deed& deed, const std::function<bool(SwapStep)>& before_step) {
    constexpr int most_steps = 4;
    for (int i = 0; i < most_steps; ++i) {
        const auto step =
            next_swap_step({exists(deed.data), exists(deed.fresh), exists(deed.old)}, deed.mode != 0);
        if (step == SwapStep::done) return {};
        if (step == SwapStep::lost) return fail(ErrorKind::not_found, "the copy is gone", deed.fresh);
        if (before_step && !before_step(step)) return fail(ErrorKind::cancelled, "interrupted");
        Result<void> moved;
        if (step == SwapStep::set_aside) moved = move(deed.data, deed.old);
        if (step == SwapStep::move_in) moved = move(deed.fresh, deed.data);
        if (step == SwapStep::put_back) moved = move(deed.old, deed.data);
        if (!moved) return moved;
        if (step == SwapStep::put_back) return fail(ErrorKind::not_found, "the copy is gone", deed.fresh);
    }
    return fail(ErrorKind::io, "somebody else renames the directories", deed.data);
}

std::string free_name(const std::string& path, const std::string& suffix) {
    for (int n = 1;; ++n) {
        auto name = path + suffix + std::to_string(n);
        if (!exists(name)) return name;
    }
}

}  // namespace baton::host
