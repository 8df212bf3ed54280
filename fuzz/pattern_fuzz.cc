// A regular expression (first line) and texts to search (the others): compiling and searching end soon, and
// the filters that are made of expressions agree with them.
#include "config/filters.h"
#include "config/pattern.h"
#include "fuzz.h"

namespace baton::config {
namespace {

void check_search(const Pattern& pattern, const std::string& subject) {
    const auto group = pattern.first_group(subject);
    fuzz::require(group.has_value() == pattern.found_in(subject),
                  "a group is there when the pattern is found", subject);
    if (!group) return;
    fuzz::require(subject.contains(*group), "a group is a part of the text", *group);
    fuzz::require(pattern.groups() > 0 || group->empty(), "no group, no text", *group);
}

void check_filters(const std::string& expression, const std::vector<std::string>& subjects) {
    const std::vector<std::string> entries{expression, "", "*.", "10.0.0.1"};
    const auto one = std::span(entries).first(2);
    if (const auto filter = HostFilter::compile(one)) {
        for (const auto& subject : subjects) {
            const auto entry = filter->matching_entry(subject, 5432);
            fuzz::require(!entry || *entry == expression, "a filter names the entry that matches",
                          expression);
        }
    } else {
        fuzz::require_plain(filter.error());
    }
    if (const auto filter = ClusterFilter::compile(one)) {
        const auto alias = subjects.empty() ? std::string() : subjects.front();
        const bool matches = filter->matches(subjects, alias);
        fuzz::require(matches || expression != "*", "* matches every cluster");
        fuzz::require(matches || alias.empty() || expression != "alias=" + alias, "alias=X matches X", alias);
    } else {
        fuzz::require_plain(filter.error());
    }
    fuzz::require(!HostFilter::compile(entries) || entries[2] != "*.", "a bad entry is never swallowed");
}

}  // namespace
}  // namespace baton::config

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace baton;
    fuzz::Lines lines(fuzz::text_of(data, size));
    const std::string expression(lines.next());
    const auto subjects = lines.all();
    const auto pattern = config::Pattern::compile(expression);
    if (pattern) {
        fuzz::require(pattern->text() == expression, "a pattern keeps its text", expression);
        for (const auto& subject : subjects)
            config::check_search(*pattern, subject);
    } else {
        fuzz::require_plain(pattern.error());
    }
    config::check_filters(expression, subjects);
    return 0;
}
