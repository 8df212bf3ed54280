#include "topology/observation.h"

#include <gtest/gtest.h>

namespace baton::topology {
namespace {

TEST(Observation, whole_records_end_before_a_page_that_ends_within_one) {
    const struct {
        const char* name;
        const char *received, *replayed;
        const char* end;
        const char* receiver = "";  ///< its status; "": there is none
        bool paused = false;
    } cases[] = {
        {"everything is replayed", "0/5002000", "0/5002000", "0/5002000"},
        {"a page that ends within a record", "0/5002000", "0/5001F00", "0/5001F00"},
        {"a record that began with the page before it", "0/5002000", "0/5000001", "0/5000001"},
        {"exactly one page", "0/5002000", "0/5000000", "0/5000000"},
        {"more than a page: replay is behind", "0/5002000", "0/4FFFFFF", "0/5002000"},
        {"not at the end of a page: whole records", "0/5001F80", "0/5001F00", "0/5001F80"},
        {"replay is paused: it may be behind", "0/5002000", "0/5001F00", "0/5002000", "", true},
        {"receiving: the rest of the record may come", "0/5002000", "0/5001F00", "0/5002000", "streaming"},
        {"a receiver that waits", "0/5002000", "0/5001F00", "0/5001F00", "waiting"},
        {"the first page of a file", "1/0", "0/FFFFFF00", "0/FFFFFF00"},
        {"nothing received", "0/0", "0/0", "0/0"},
    };
    for (const auto& c : cases) {
        Observation seen{.role = Role::standby,
                         .received = parse_lsn(c.received).value(),
                         .replayed = parse_lsn(c.replayed).value(),
                         .replay_paused = c.paused};
        if (*c.receiver != '\0') seen.receiver = Receiver{.status = c.receiver};
        EXPECT_EQ(seen.end_of_records().text(), c.end) << c.name;
    }
}

TEST(Observation, a_primary_ends_where_it_has_written) {
    const Observation seen{.role = Role::primary, .written = parse_lsn("0/5002000").value()};
    EXPECT_EQ(seen.end_of_records().text(), "0/5002000");
}

}  // namespace
}  // namespace baton::topology
