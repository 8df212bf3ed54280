#include "cli/json_text.h"

#include "base/text.h"

namespace baton::cli {
namespace {

const json::value null_value;

void append_jq(std::string& out, const json::value& value) {
    if (const auto* array = value.if_array()) {
        out += array->empty() ? "[]" : "[ ";
        for (size_t i = 0; i < array->size(); ++i) {
            append_jq(out, (*array)[i]);
            out += i + 1 < array->size() ? ", " : " ]";
        }
    } else if (const auto* object = value.if_object()) {
        out += object->empty() ? "{}" : "{ ";
        size_t left = object->size();
        for (const auto& [name, inner] : *object) {
            out += json::serialize(json::value(name));
            out += ": ";
            append_jq(out, inner);
            out += --left > 0 ? ", " : " }";
        }
    } else {
        out += json::serialize(value);
    }
}

/// A text of the other side must not move the cursor, or worse: what controls a terminal stands as \xNN.
std::string for_terminal(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const size_t end = std::min(text.find_first_of("\n\t"), text.size());
        const auto plain = text.substr(0, end);
        out += printable(plain, plain.size() * 4);
        if (end < text.size()) out += text[end];
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

}  // namespace

std::string jq_line(const json::value& value) {
    std::string out;
    append_jq(out, value);
    return out;
}

const json::value& member(const json::value& value, std::string_view name) {
    const auto* object = value.if_object();
    if (object == nullptr) return null_value;
    const auto* found = object->if_contains(name);
    return found == nullptr ? null_value : *found;
}

const json::value& member_of(const json::value& value, std::initializer_list<std::string_view> names) {
    for (const auto name : names)
        if (const auto& found = member(value, name); !found.is_null()) return found;
    return null_value;
}

std::string text_of(const json::value& value) {
    if (const auto* text = value.if_string()) return for_terminal({text->data(), text->size()});
    return value.is_null() ? std::string() : json::serialize(value);
}

std::string text_of(const json::value& value, std::string_view name) {
    return text_of(member(value, name));
}

int64_t number_of(const json::value& value) {
    if (const auto* whole = value.if_int64()) return *whole;
    if (const auto* positive = value.if_uint64()) return static_cast<int64_t>(*positive);
    const auto* real = value.if_double();
    constexpr double most = 9e18;  // what is larger does not fit, and a cast would not say so
    return real != nullptr && *real > -most && *real < most ? static_cast<int64_t>(*real) : 0;
}

bool is_true(const json::value& value, std::string_view name) {
    const auto* flag = member(value, name).if_bool();
    return flag != nullptr && *flag;
}

std::string raw_key_text(const json::value& key) {
    std::string host = text_of(key, "Hostname");
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    const auto& port = member(key, "Port");
    return host + ":" + (port.is_null() ? "0" : text_of(port));
}

std::string key_text(const json::value& value) {
    if (value.is_string()) return text_of(value);
    const auto& key = member(value, "Key").is_object() ? member(value, "Key") : value;
    if (text_of(key, "Hostname").empty()) return {};
    return raw_key_text(key);
}

std::span<const json::value> elements(const json::value& value) {
    if (const auto* array = value.if_array()) return {array->data(), array->size()};
    if (value.is_null()) return {};
    return {&value, 1};
}

}  // namespace baton::cli
