#include "base/time.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(ParseTime, reads_what_people_and_programs_write) {
    struct {
        const char* text;
        const char* utc;  ///< "" = no time
    } const cases[] = {
        {"2026-11-20T10:38:28Z", "2026-11-20T10:38:28Z"},
        {"2026-11-20t10:38:28z", "2026-11-20T10:38:28Z"},
        {"2026-11-20 10:38Z", "2026-11-20T10:38:00Z"},
        {"2026-11-20T10:38:28.999999999Z", "2026-11-20T10:38:28Z"},
        {"2026-11-20T00:30:00+01:00", "2026-11-19T23:30:00Z"},
        {"2026-11-20T23:30:00-0130", "2026-11-21T01:00:00Z"},
        {"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"},
        {"2026-02-29T00:00:00Z", ""},
        {"2026-11-20T10:38:28", ""},  // of which zone?
        {"2026-11-20", ""},
        {"2026-11-20T24:00:00Z", ""},
        {"2026-13-20T10:38:28Z", ""},
        {"2026-00-20T10:38:28Z", ""},
        {"2026-11-20T10:38:28.Z", ""},
        {"2026-11-20T10:38:28Zx", ""},
        {"tomorrow", ""},
        {"", ""},
    };
    for (const auto& c : cases) {
        const auto time = parse_time(c.text);
        EXPECT_EQ(time ? iso_time(*time) : "", c.utc) << c.text;
    }
}

}  // namespace
}  // namespace baton
