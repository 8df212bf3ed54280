#include "analysis/wording.h"

#include <fmt/format.h>

#include <algorithm>

namespace baton::analysis {

std::string duration_text(Duration d) {
    const auto ms = to_ms(d);
    if (ms < 1000) return fmt::format("{} ms", std::max<int64_t>(ms, 0));
    if (ms < 120'000) return fmt::format("{:.1f} s", static_cast<double>(ms) / 1000);
    const auto minutes = ms / 60'000;
    if (minutes < 120) return fmt::format("{} min", minutes);
    return minutes < 48 * 60 ? fmt::format("{} h", minutes / 60) : fmt::format("{} d", minutes / (24 * 60));
}

std::string bytes_text(uint64_t bytes) {
    if (bytes < 10'240) return fmt::format("{} byte{}", bytes, bytes == 1 ? "" : "s");
    const double kib = static_cast<double>(bytes) / 1024;
    if (kib < 1024) return fmt::format("{:.1f} KiB", kib);
    return kib < 1024 * 1024 ? fmt::format("{:.1f} MiB", kib / 1024)
                             : fmt::format("{:.1f} GiB", kib / (1024 * 1024));
}

}  // namespace baton::analysis
