#include "host/program_output.h"

#include <gtest/gtest.h>

#include "host/clone.h"
#include "host/rewind.h"

namespace baton::host {
namespace {

OutputLines lines_of(std::string_view text) {
    OutputLines lines;
    lines.add(text);
    lines.finish();
    return lines;
}

TEST(ProgramOutput, Progress) {
    struct Case {
        std::string line;
        std::optional<CopyProgress> progress;
    };
    const std::vector<Case> cases = {
        {"   1234/5678 kB (21%) copied", CopyProgress{1234 * 1024, 5678 * 1024}},
        {"10/10 kB (100%), 1/1 tablespace", CopyProgress{10240, 10240}},
        {"0/23456 kB (0%), 0/2 tablespaces (/x/base/1)", CopyProgress{0, 23456 * 1024}},
        {"pg_rewind: need to copy 53 MB (total source directory size is 70 MB)", std::nullopt},
        {"a/b kB (3%)", std::nullopt},
        {"5 kB (3%)", std::nullopt},
        {"99999999999999999999/1 kB (3%)", std::nullopt},
        {"9223372036854775807/1 kB (3%)", std::nullopt},
        {"", std::nullopt},
    };
    for (const auto& c : cases)
        EXPECT_EQ(parse_copy_progress(c.line), c.progress) << c.line;
}

TEST(ProgramOutput, PiecesAreCutIntoLines) {
    std::vector<int64_t> seen;
    OutputLines lines([&](const CopyProgress& p) { seen.push_back(p.done_bytes); });
    for (const std::string piece :
         {"pg_bas", "ebackup: one\r\n 1024/20", "48 kB (50%)\r2048/2048 kB (100%)\r", "end"})
        lines.add(piece);
    lines.finish();
    EXPECT_EQ(seen, (std::vector<int64_t>{1024 * 1024, 2048 * 1024}));
    EXPECT_EQ(lines.lines(), (std::deque<std::string>{"pg_basebackup: one", "end"}));
    for (int i = 0; i < 100; ++i)
        lines.add(std::string(3000, 'x') + "\n");
    EXPECT_EQ(lines.lines().size(), OutputLines::most_lines);
    EXPECT_EQ(lines.lines().back().size(), OutputLines::longest_line);
}

TEST(ProgramOutput, RateOfTheLastSeconds) {
    CopyRate rate;
    MonoTime now{};
    EXPECT_EQ(rate.add(now, 0), 0);
    EXPECT_EQ(rate.add(now + seconds(1), 1000), 1000);
    EXPECT_EQ(rate.add(now + seconds(2), 5000), 2500);
    for (int i = 3; i < 40; ++i)
        rate.add(now + seconds(i), 5000 + (i - 2) * 100);
    EXPECT_EQ(rate.add(now + seconds(40), 5000 + 38 * 100), 100);
}

TEST(ProgramOutput, WhyARewindFailed) {
    struct Case {
        std::string output;
        ErrorKind kind;
        std::string part;
    };
    const std::vector<Case> cases = {
        {"pg_rewind: error: target server needs to use either data checksums or \"wal_log_hints = on\"\n",
         ErrorKind::unsupported, "target server needs"},
        {"pg_rewind: servers diverged at WAL location 0/30001A8 on timeline 1\n"
         "pg_rewind: error: could not open file \"/d/pg_wal/000000010000000000000002\": No such file\n"
         "pg_rewind: error: could not find previous WAL record at 0/2000100\n",
         ErrorKind::unsupported, "could not find previous WAL record at 0/2000100"},
        {"pg_rewind: error: could not find common ancestor of the source and target cluster's timelines\n",
         ErrorKind::unsupported, "common ancestor"},
        {"pg_rewind: error: full_page_writes must be enabled in the source server\n", ErrorKind::unsupported,
         "full_page_writes"},
        {"pg_rewind: error: source and target clusters are from different systems\n",
         ErrorKind::refused_by_policy, "different systems"},
        {"pg_rewind: fatal: could not restore file \"0002\" from archive\n", ErrorKind::unsupported,
         "archive"},
        {"pg_rewind: error: connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n"
         "\tIs the server running on that host and accepting TCP/IP connections?\n",
         ErrorKind::refused, "Connection refused"},
        {"pg_rewind: error: could not fetch remote file \"x\": ERROR:  permission denied for function "
         "pg_read_binary_file\n",
         ErrorKind::privilege, "permission denied"},
        {"pg_rewind: error: could not write file \"x\": No space left on device\n", ErrorKind::io,
         "No space"},
        {"", ErrorKind::unknown, "without a word"},
    };
    for (const auto& c : cases) {
        const auto error = why_rewind_failed(lines_of(c.output));
        EXPECT_EQ(error.kind, c.kind) << c.output;
        EXPECT_NE(error.message.find(c.part), std::string::npos) << error.message;
        EXPECT_EQ(error.message.find("pg_rewind"), std::string::npos) << error.message;
    }
}

TEST(ProgramOutput, WhyACloneFailed) {
    EXPECT_EQ(
        why_clone_failed(lines_of("pg_basebackup: error: could not send replication command "
                                  "\"START_REPLICATION\": ERROR:  replication slot \"a\" does not exist"))
            .kind,
        ErrorKind::conflict);
    EXPECT_EQ(why_clone_failed(lines_of("pg_basebackup: error: connection to server at \"h\" failed: FATAL:  "
                                        "number of requested standby connections exceeds max_wal_senders"))
                  .kind,
              ErrorKind::too_many_connections);
    EXPECT_EQ(
        why_clone_failed(lines_of("pg_basebackup: error: connection to server at \"h\" failed: FATAL:  no "
                                  "pg_hba.conf entry for replication connection"))
            .kind,
        ErrorKind::authentication);
}

TEST(ProgramOutput, WhereTheyPartedAndWhetherItHadBegun) {
    const auto lines = lines_of(
        "pg_rewind: connected to server\n"
        "pg_rewind: servers diverged at WAL location 16/B374D848 on timeline 3\n"
        "pg_rewind: need to copy 53 MB (total source directory size is 70 MB)\n");
    EXPECT_EQ(find_divergence(lines), (Divergence{{0x16B374D848}, 3}));
    EXPECT_TRUE(rewind_had_begun(lines));
    EXPECT_EQ(find_divergence(lines_of("pg_rewind: servers diverged at WAL location x on timeline 3")),
              std::nullopt);
    EXPECT_FALSE(rewind_had_begun(lines_of("pg_rewind: reading source file list\n")));
}

TEST(ProgramOutput, WhatTheSourceOfARewindSays) {
    const auto source = parse_rewind_source({"f", "7301", "1", "2"});
    ASSERT_TRUE(source);
    EXPECT_FALSE(source->in_recovery);
    EXPECT_EQ(source->system_identifier, "7301");
    EXPECT_TRUE(awaits_checkpoint(*source));
    EXPECT_FALSE(awaits_checkpoint(*parse_rewind_source({"f", "7301", "2", "2"})));
    EXPECT_TRUE(parse_rewind_source({"t", "7301", "2", "0"})->in_recovery);
    EXPECT_FALSE(parse_rewind_source({"f", "7301", "2"}));
    EXPECT_FALSE(parse_rewind_source({"f", "7301", "", "2"}));
}

TEST(ProgramOutput, ArgumentsOfACopy) {
    EXPECT_EQ(max_rate_argument(1), "32");
    EXPECT_EQ(max_rate_argument(50000), "50000");
    EXPECT_EQ(max_rate_argument(INT64_MAX), "1048576");
    EXPECT_EQ(mapping_argument("/a=b", "/c"), "/a\\=b=/c");
    EXPECT_GT(space_needed(0), 0);
    EXPECT_GT(space_needed(1LL << 40), (1LL << 40) + (1LL << 34));
    EXPECT_EQ(bytes_text(999), "999 bytes");
    EXPECT_EQ(bytes_text(3'200'000'000), "3.2 GB");
    EXPECT_EQ(bytes_text(128'000), "128 kB");
}

}  // namespace
}  // namespace baton::host
