// The list of deliberate defects is whole: what the table names is in the code, and what is in the code is in
// the table and in the documentation.
#include "base/defect.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace baton {
namespace {

std::string text_of(const std::filesystem::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// Where each name is asked for in src/, and calls whose name cannot be read.
struct Uses {
    std::map<std::string, std::vector<std::string>> places;
    std::vector<std::string> unreadable;
};

Uses uses_in_sources() {
    static const std::regex call(R"(\bdefect\(\s*("([^"]*)\")?)");
    Uses uses;
    const std::filesystem::path root = std::filesystem::path(BATON_SOURCE_DIR) / "src";
    for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
        const auto name = std::filesystem::relative(file.path(), root).string();
        const bool code = file.path().extension() == ".cc" || file.path().extension() == ".h";
        if (!code || name.starts_with("base/defect.")) continue;
        const auto text = text_of(file.path());
        for (std::sregex_iterator at(text.begin(), text.end(), call), end; at != end; ++at) {
            if ((*at)[1].matched) {
                uses.places[(*at)[2]].push_back(name);
            } else {
                uses.unreadable.push_back(name);
            }
        }
    }
    return uses;
}

/// Ends whatever a test has begun.
class Defects : public testing::Test {
  protected:
    ~Defects() override { (void)activate_defect({}); }
};

TEST_F(Defects, EachIsInTheCode) {
    const auto uses = uses_in_sources();
    EXPECT_THAT(uses.unreadable, testing::IsEmpty()) << "the name of a defect is a literal";
    std::set<std::string> known;
    for (const auto& d : defects()) {
        known.emplace(d.name);
        EXPECT_TRUE(uses.places.contains(std::string(d.name))) << d.name << " is in no source";
    }
    for (const auto& [name, places] : uses.places)
        EXPECT_TRUE(known.contains(name))
            << places.front() << " asks for '" << name << "', which is not in the table";
}

TEST_F(Defects, EachIsSaidInASentence) {
    static const std::regex form("[a-z]+(-[a-z]+)+");
    std::set<std::string_view> names;
    EXPECT_GE(defects().size(), 22U);
    for (const auto& d : defects()) {
        EXPECT_TRUE(names.insert(d.name).second) << d.name << " is there twice";
        EXPECT_TRUE(std::regex_match(std::string(d.name), form)) << d.name;
        EXPECT_TRUE(d.wrong.ends_with('.') && d.wrong.size() < 110) << d.name << ": " << d.wrong;
        EXPECT_FALSE(d.seen_by.empty()) << d.name;
    }
}

/// docs/simulation.md holds the table between these lines; on failure the message is what belongs there.
TEST_F(Defects, AreDocumented) {
    std::string rows = "| defect | what is wrong then | noticed by |\n|---|---|---|\n";
    for (const auto& d : defects())
        rows += fmt::format("| `{}` | {} | {} |\n", d.name, d.wrong, d.seen_by);
    const auto path = std::filesystem::path(BATON_SOURCE_DIR) / "docs/simulation.md";
    EXPECT_THAT(text_of(path), testing::HasSubstr("<!-- defects -->\n" + rows + "<!-- /defects -->\n"))
        << "in " << path;
}

#ifdef BATON_DEFECTS

TEST_F(Defects, OnlyTheActiveOneIsThere) {
    EXPECT_FALSE(defect("skip-journal"));
    ASSERT_TRUE(activate_defect("skip-journal"));
    EXPECT_TRUE(defect("skip-journal"));
    EXPECT_FALSE(defect("skip-slots"));
    ASSERT_TRUE(activate_defect("skip-slots"));
    EXPECT_FALSE(defect("skip-journal"));
    ASSERT_TRUE(activate_defect({}));
    EXPECT_FALSE(defect("skip-slots"));
}

TEST_F(Defects, AnUnknownNameIsAnErrorWithTheNearest) {
    ASSERT_TRUE(activate_defect("skip-slots"));
    const auto done = activate_defect("skip-jurnal");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().text(), "skip-jurnal: is no known defect; the nearest one is skip-journal");
    EXPECT_TRUE(defect("skip-slots")) << "an error changes nothing";
}

#else

TEST_F(Defects, OfOtherBuildsThereAreNone) {
    static_assert(!has_defects && !defect("skip-journal"));
    const auto done = activate_defect("skip-journal");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::unsupported);
}

#endif

}  // namespace
}  // namespace baton
