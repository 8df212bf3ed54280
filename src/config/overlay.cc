#include "config/overlay.h"

#include <fmt/core.h>

#include <boost/json/serialize.hpp>
#include <cmath>

#include "base/text.h"
#include "config/credentials_file.h"
#include "config/json_file.h"

namespace baton::config {
namespace {

namespace json = boost::json;

constexpr size_t longest_shown_value = 100;

std::optional<int64_t> as_integer(const json::value& v) {
    if (v.is_int64()) return v.get_int64();
    const bool integral = v.is_double() && std::floor(v.get_double()) == v.get_double();
    if (integral && std::abs(v.get_double()) < 9e15) return static_cast<int64_t>(v.get_double());
    return std::nullopt;
}

/// Numbers count as text where the rule is about ports: both 5433 and "5433" are in use.
std::optional<Texts> as_texts(const json::value& v, const Rule& rule) {
    if (!v.is_array()) return std::nullopt;
    Texts texts;
    for (const auto& entry : v.get_array()) {
        if (entry.is_string()) {
            texts.emplace_back(entry.get_string());
        } else if (rule.kind == Rule::Kind::ports && as_integer(entry)) {
            texts.push_back(std::to_string(*as_integer(entry)));
        } else {
            return std::nullopt;
        }
    }
    return texts;
}

std::optional<TextMap> as_map(const json::value& v) {
    if (!v.is_object()) return std::nullopt;
    TextMap map;
    for (const auto& [name, entry] : v.get_object()) {
        if (!entry.is_string()) return std::nullopt;
        map[std::string(name)] = std::string(entry.get_string());
    }
    return map;
}

std::optional<RouterList> as_routers(const json::value& v) {
    auto routers = read_routers(v);
    return routers ? std::optional(std::move(*routers)) : std::nullopt;
}

template <class T>
std::optional<Value> wrap(std::optional<T> value) {
    return value ? std::optional<Value>(std::move(*value)) : std::nullopt;
}

/// The JSON value in the key's type, or nothing when it has another.
std::optional<Value> convert(const Key& key, const json::value& v) {
    switch (key.member.index()) {
        case 0:
            return v.is_bool() ? std::optional<Value>(v.get_bool()) : std::nullopt;
        case 1:
            return wrap(as_integer(v));
        case 2:
            return v.is_number() ? std::optional<Value>(v.to_number<double>()) : std::nullopt;
        case 3:
            return v.is_string() ? std::optional<Value>(std::string(v.get_string())) : std::nullopt;
        case 4:
            return wrap(as_texts(v, key.rule));
        case 6:
            return wrap(as_routers(v));
        default:
            return wrap(as_map(v));
    }
}

std::string_view kind_of(const json::value& v) {
    switch (v.kind()) {
        case json::kind::bool_:
            return "a boolean";
        case json::kind::string:
            return "a string";
        case json::kind::array:
            return "a list";
        case json::kind::object:
            return "an object";
        default:
            return "a number";
    }
}

/// What is wrong with a value of another type: of an object in a list, where in it.
std::string complaint_about(const Key& key, const json::value& v) {
    if (key.member.index() == 6 && v.is_array()) return read_routers(v).error().message;
    return fmt::format("it is {}", kind_of(v));
}

std::string shown(const Key& key, const json::value& v) {
    if (key.is(secret)) return "(hidden)";
    return printable(json::serialize(v), longest_shown_value);
}

Error bad_value(const Key& key, const json::value& v, std::string_view complaint, const std::string& file) {
    return {
        .kind = ErrorKind::invalid_argument,
        .message = fmt::format("{} = {}: {}; allowed: {}", key.name, shown(key, v), complaint, key.allowed()),
        .who = file};
}

/// NAME of `${NAME}`, or "".
std::string variable_name(std::string_view text) {
    const bool is_variable = text.size() > 3 && text.starts_with("${") && text.ends_with('}');
    return is_variable ? std::string(text.substr(2, text.size() - 3)) : std::string();
}

}  // namespace

Overlay::Overlay(Config base, const Environment& environment) : environment_(environment) {
    report_.loaded.values = std::move(base);
}

void Overlay::add_file(const std::string& path) {
    const auto text = read_file(path);
    if (text) {
        add_text(*text, path);
    } else {
        report_.errors.push_back(text.error());
    }
}

void Overlay::add_text(std::string_view text, const std::string& name) {
    report_.loaded.files.push_back(name);
    const auto parsed = parse_object(text, name);
    if (!parsed) {
        report_.errors.push_back(parsed.error());
        return;
    }
    for (const auto& [key, value] : parsed->object)
        take(key, value, name);
    if (!parsed->text_after_end) return;
    report_.loaded.warnings.push_back(
        {WarningKind::text_after_end,
         {},
         fmt::format("{}: what follows the closing brace of the configuration is ignored", name)});
}

void Overlay::take(const std::string& name, const json::value& value, const std::string& file) {
    if (const Key* key = find_key(name)) {
        if (!value.is_null()) take_known(*key, value, file);
    } else if (is_deprecated(name)) {
        deprecated_.insert(name);
    } else {
        warn_unknown(name, file);
    }
}

void Overlay::take_known(const Key& key, const json::value& value, const std::string& file) {
    auto converted = convert(key, value);
    if (!converted) {
        report_.errors.push_back(bad_value(key, value, complaint_about(key, value), file));
        return;
    }
    if (const auto complaint = violation(key.rule, *converted)) {
        report_.errors.push_back(bad_value(key, value, *complaint, file));
        return;
    }
    Config& config = report_.loaded.values;
    if (auto* map = std::get_if<TextMap>(&*converted)) map->merge(std::get<TextMap>(key.value(config)));
    key.set(config, normalised(key.rule, std::move(*converted)));
    set_in_[key.name] = file;
    if (!key.is(used)) unused_.insert(std::string(key.name));
}

void Overlay::warn_unknown(const std::string& name, const std::string& file) {
    const auto near = nearest_name(name, key_names());
    const std::string hint = near ? fmt::format("; did you mean {}?", *near) : std::string();
    report_.loaded.warnings.push_back(
        {WarningKind::unknown_key,
         {name},
         fmt::format("{}: unknown key \"{}\" is ignored{}", file, printable(name), hint)});
}

/// `text` with what its environment variable holds, where it names one.
void Overlay::replace_variable(const Key& key, std::string& text, const std::string& file) {
    const std::string variable = variable_name(text);
    if (variable.empty()) return;
    if (auto value = environment_(variable)) {
        text = std::move(*value);
        return;
    }
    report_.errors.push_back(
        {.kind = ErrorKind::invalid_argument,
         .message = fmt::format("{}: the environment variable {} is not set", key.name, printable(variable)),
         .who = file});
}

void Overlay::replace_variables() {
    for (const auto& key : keys()) {
        const auto set = set_in_.find(key.name);
        if (!key.from_environment() || set == set_in_.end()) continue;
        auto value = key.value(report_.loaded.values);
        if (auto* routers = std::get_if<RouterList>(&value)) {
            for (auto& router : *routers)
                replace_variable(key, router.Password, set->second);
        } else {
            replace_variable(key, std::get<std::string>(value), set->second);
        }
        key.set(report_.loaded.values, std::move(value));
    }
}

void Overlay::read_credentials() {
    Config& config = report_.loaded.values;
    const std::string& path = config.PostgreSQLTopologyCredentialsConfigFile;
    if (path.empty()) return;
    auto credentials = read_credentials_file(path, environment_);
    if (!credentials) {
        Error error = credentials.error();
        error.message = fmt::format("PostgreSQLTopologyCredentialsConfigFile: {}", error.message);
        report_.errors.push_back(std::move(error));
        return;
    }
    if (credentials->user) config.PostgreSQLTopologyUser = std::move(*credentials->user);
    if (credentials->password) config.PostgreSQLTopologyPassword = std::move(*credentials->password);
}

void Overlay::summarise_warnings() {
    const auto summarise = [&](WarningKind kind, const std::set<std::string>& names, std::string_view text) {
        if (names.empty()) return;
        Texts list(names.begin(), names.end());
        report_.loaded.warnings.push_back({kind, list, fmt::format("{}: {}", text, join(list, ", "))});
    };
    summarise(WarningKind::unused_key, unused_, "accepted, but this version of Baton does not use");
    summarise(WarningKind::deprecated_key, deprecated_, "accepted, but without effect for a long time");
}

Report Overlay::finish() && {
    replace_variables();
    read_credentials();
    const Effect effect{report_.loaded.values, set_in_, report_.errors, report_.loaded.warnings};
    make_effective(effect);
    check_together(effect);
    summarise_warnings();
    for (const auto& [name, file] : set_in_)
        report_.loaded.set_keys.emplace_back(name);
    return std::move(report_);
}

}  // namespace baton::config
