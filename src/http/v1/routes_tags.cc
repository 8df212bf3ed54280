#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "http/v1/answer.h"
#include "http/v1/routes.h"

namespace baton::http::v1 {

namespace {

/// One term of a selector: `name`, `name=value`, `~name`, `~name=value`; `!` means the same as `~`.
struct TagTerm {
    std::string name;
    std::optional<std::string> value;
    bool negated = false;

    bool matches(const Instance& instance) const {
        const bool found = std::ranges::any_of(instance.tags, [&](const topology::Tag& t) {
            return t.name == name && (!value || t.value == *value);
        });
        return found != negated;
    }
};

Result<TagTerm> parse_term(std::string_view text) {
    auto rest = trim(text);
    TagTerm term;
    if (rest.starts_with('~') || rest.starts_with('!')) {
        term.negated = true;
        rest.remove_prefix(1);
    }
    const auto equals = rest.find('=');
    term.name = trim(rest.substr(0, equals));
    if (equals != std::string_view::npos) term.value = trim(rest.substr(equals + 1));
    if (term.name.empty()) {
        return fail(
            ErrorKind::invalid_argument,
            fmt::format("Unable to parse tag: '{}'; it is name, name=value, ~name or ~name=value", text));
    }
    return term;
}

Result<std::vector<TagTerm>> parse_selector(std::string_view text) {
    std::vector<TagTerm> terms;
    for (const auto& part : split(text, ',')) {
        const auto term = parse_term(part);
        if (!term) return std::unexpected(term.error());
        terms.push_back(*term);
    }
    return terms;
}

/// The tag of a request: :tagName and :tagValue, else ?tag=.
Result<TagTerm> term_of(const Request& request) {
    if (!request.params.contains("tagName")) return parse_term(text_query(request, "tag"));
    TagTerm term{.name = text_param(request, "tagName"), .value = {}};
    if (request.params.contains("tagValue")) term.value = text_param(request, "tagValue");
    return term;
}

Result<TagTerm> plain_term_of(const Request& request) {
    auto term = term_of(request);
    if (term && term->negated) {
        return fail(ErrorKind::invalid_argument,
                    fmt::format("A tag to change cannot be negated: ~{}", term->name));
    }
    return term;
}

Result<Response> tags(const View& view, const Request& request) {
    const auto instance = known_instance(view, request);
    if (!instance) return std::unexpected(instance.error());
    auto sorted = (*instance)->tags;
    std::ranges::sort(sorted);
    return bare(array_json(
        sorted, [](JsonWriter& out, const topology::Tag& t) { out.value(t.name + "=" + t.value); }));
}

Result<Response> tag_value(const View& view, const Request& request) {
    const auto instance = known_instance(view, request);
    if (!instance) return std::unexpected(instance.error());
    const auto term = plain_term_of(request);
    if (!term) return std::unexpected(term.error());
    const auto found = std::ranges::find((*instance)->tags, term->name, &topology::Tag::name);
    if (found == (*instance)->tags.end()) {
        return fail(ErrorKind::not_found,
                    fmt::format("tag {} not found for {}", term->name, (*instance)->key.text()));
    }
    return bare(text_json(found->value));
}

Result<Response> tagged(const View& view, const Request& request) {
    const auto terms = parse_selector(text_query(request, "tag"));
    if (!terms) return std::unexpected(terms.error());
    std::vector<InstanceKey> found;
    for (const auto& [id, cluster] : view.topology->clusters) {
        for (const auto& i : cluster->instances) {
            if (std::ranges::all_of(*terms, [&](const TagTerm& t) { return t.matches(*i); }))
                found.push_back(i->key);
        }
    }
    return bare(keys_json(found));
}

Task<Result<Response>> put_tag(const Context& context, const Request& request) {
    const auto instance = known_instance(*context.view(), request);
    if (!instance) co_return std::unexpected(instance.error());
    const auto term = plain_term_of(request);
    if (!term) co_return std::unexpected(term.error());
    const auto key = (*instance)->key;
    const topology::Tag tag{.name = term->name, .value = term->value.value_or("")};
    const auto done = co_await context.command<Result<void>>([&](Control& c) { return c.tag(key, tag); });
    if (!done) co_return std::unexpected(done.error());
    co_return ok(fmt::format("{} tagged with {}={}", key.text(), tag.name, tag.value), key_json(key));
}

Task<Result<Response>> remove(const Context& context, std::optional<InstanceKey> key, TagTerm term) {
    const auto removed = co_await context.command<Result<std::vector<InstanceKey>>>(
        [&](Control& c) { return c.untag(key, term.name, term.value); });
    if (!removed) co_return std::unexpected(removed.error());
    co_return ok(fmt::format("{} removed from {} instances", term.name, removed->size()),
                 keys_json(*removed));
}

Task<Result<Response>> untag(const Context& context, const Request& request) {
    const auto instance = known_instance(*context.view(), request);
    if (!instance) co_return std::unexpected(instance.error());
    const auto term = plain_term_of(request);
    if (!term) co_return std::unexpected(term.error());
    co_return co_await remove(context, (*instance)->key, *term);
}

Task<Result<Response>> untag_all(const Context& context, const Request& request) {
    const auto term = plain_term_of(request);
    if (!term) co_return std::unexpected(term.error());
    if (!term->value) {
        co_return fail(
            ErrorKind::invalid_argument,
            fmt::format("untag-all needs a value, so that no tag goes by mistake: {}=VALUE", term->name));
    }
    co_return co_await remove(context, std::nullopt, *term);
}

}  // namespace

std::vector<Route> tag_routes() {
    Table table;
    table
        .read("/api/tagged", tagged,
              "Instances that match ?tag=: name, name=value, ~name, ~name=value; a comma is AND.")
        .read("/api/tags/:host/:port", tags, "Tags of an instance.")
        .read("/api/tag-value/:host/:port /api/tag-value/:host/:port/:tagName", tag_value, "Value of a tag.")
        .ask("/api/tag/:host/:port /api/tag/:host/:port/:tagName/:tagValue", put_tag, "Tags an instance.")
        .ask("/api/untag/:host/:port /api/untag/:host/:port/:tagName", untag,
             "Removes a tag from an instance.")
        .ask("/api/untag-all /api/untag-all/:tagName/:tagValue", untag_all,
             "Removes a tag from all instances.");
    return table.take();
}

}  // namespace baton::http::v1
