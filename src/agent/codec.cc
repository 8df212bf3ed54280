// The names of members are in codec_members.h; here is how each type of value stands in JSON.
#include "agent/codec.h"

#include <array>
#include <boost/json.hpp>
#include <limits>

#include "agent/codec_members.h"
#include "base/json_writer.h"
#include "base/text.h"

namespace baton::agent {

namespace {

namespace json = boost::json;
using std::chrono::microseconds;

/// In the order of Frame's alternatives.
constexpr std::array<std::string_view, std::variant_size_v<Frame>> kinds{
    "hello",  "beat",  "progress", "done",  "welcome", "refusal",
    "answer", "order", "cancel",   "vouch", "vouched"};

/// A hundred years, so that nothing overflows that is calculated from it.
constexpr microseconds longest = std::chrono::hours(24 * 365 * 100);
/// No life of a manager is so late; beyond, numbers of orders would overflow.
constexpr uint64_t epoch_limit = 1'000'000'000'000;
/// Spans that somebody asked for.
constexpr milliseconds shortest_span{1};
constexpr milliseconds longest_span = std::chrono::hours(24 * 7);

/// How many values an enumeration has; they begin with 0.
template <class E>
constexpr size_t values_of = 0;
template <>
constexpr size_t values_of<topology::Engine> = static_cast<size_t>(topology::Engine::mariadb) + 1;
template <>
constexpr size_t values_of<ServerState> = static_cast<size_t>(ServerState::hung) + 1;
template <>
constexpr size_t values_of<DiskHealth> = static_cast<size_t>(DiskHealth::read_only) + 1;
template <>
constexpr size_t values_of<Hold> = static_cast<size_t>(Hold::fenced) + 1;
template <>
constexpr size_t values_of<Verb> = static_cast<size_t>(Verb::wal_past) + 1;
template <>
constexpr size_t values_of<ErrorKind> = static_cast<size_t>(ErrorKind::internal) + 1;

template <class T>
concept Whole = std::integral<T> && !std::same_as<T, bool>;
template <class T>
concept Word = std::is_enum_v<T>;

// ---- writing

class Writer {
  public:
    explicit Writer(JsonWriter& out) : out_(out) {}

    template <class T>
    void operator()(std::string_view name, const T& value) {
        out_.key(name);
        put(value);
    }
    /// What is not there is not written.
    template <class T>
    void operator()(std::string_view name, const std::optional<T>& value) {
        if (value) (*this)(name, *value);
    }
    template <class T>
    void required(std::string_view name, const T& value) {
        (*this)(name, value);
    }

  private:
    void put(bool value) { out_.value(value); }
    void put(Whole auto value) { out_.value(value); }
    void put(const std::string& text) { out_.value(std::string_view(text)); }
    void put(Word auto word) { out_.value(to_string(word)); }
    void put(Lsn lsn) { out_.value(lsn.text()); }
    void put(const InstanceKey& key) { out_.value(key.valid() ? key.text() : ""); }
    void put(Duration d) {
        out_.value(std::clamp(std::chrono::duration_cast<microseconds>(d), microseconds(0), longest).count());
    }
    void put(milliseconds d) { out_.value(std::clamp(d, shortest_span, longest_span).count()); }
    template <class T>
    void put(const std::vector<T>& list) {
        out_.begin_array();
        for (const auto& item : list)
            put(item);
        out_.end_array();
    }
    template <class T>
        requires std::is_class_v<T>
    void put(const T& object) {
        out_.begin_object();
        members(*this, object);
        out_.end_object();
    }

    JsonWriter& out_;
};

// ---- reading

/// Reads the members of one object; keeps the first error of all of them.
class Reader {
  public:
    Reader(const json::object& object, std::string path, std::optional<Error>& error)
        : object_(object), path_(std::move(path)), error_(error) {}

    template <class T>
    void operator()(std::string_view name, T& value) {
        if (const auto* found = find(name)) take(*found, path_ + std::string(name), value);
    }
    template <class T>
    void required(std::string_view name, T& value) {
        if (const auto* found = find(name)) return take(*found, path_ + std::string(name), value);
        complain(path_ + std::string(name), "is missing");
    }

  private:
    const json::value* find(std::string_view name) const {
        return error_ ? nullptr : object_.if_contains(json::string_view(name.data(), name.size()));
    }
    void complain(const std::string& path, std::string_view what) {
        if (!error_) error_ = Error{ErrorKind::invalid_argument, std::string(what), path, ""};
    }
    std::optional<int64_t> whole(const json::value& from, const std::string& path, int64_t least,
                                 int64_t most) {
        boost::system::error_code code;
        const auto number = from.is_int64() || from.is_uint64() ? from.to_number<int64_t>(code) : least - 1;
        if (!code && number >= least && number <= most) return number;
        complain(path,
                 "must be a whole number from " + std::to_string(least) + " to " + std::to_string(most));
        return std::nullopt;
    }
    std::optional<std::string_view> text(const json::value& from, const std::string& path) {
        if (const auto* found = from.if_string()) return std::string_view(found->data(), found->size());
        complain(path, "must be text");
        return std::nullopt;
    }

    void take(const json::value& from, const std::string& path, bool& value) {
        if (const auto* found = from.if_bool()) {
            value = *found;
        } else {
            complain(path, "must be true or false");
        }
    }
    void take(const json::value& from, const std::string& path, uint64_t& value) {
        boost::system::error_code code;
        const bool is_whole = from.is_int64() || from.is_uint64();
        const auto number = is_whole ? from.to_number<uint64_t>(code) : 0;
        if (!is_whole || code) return complain(path, "must be a whole number from 0");
        if (path.ends_with("epoch") && number > epoch_limit)
            return complain(path, "is higher than any epoch can be");
        value = number;
    }
    template <Whole T>
    void take(const json::value& from, const std::string& path, T& value) {
        if (const auto number = whole(from, path, 0, std::numeric_limits<T>::max()))
            value = static_cast<T>(*number);
    }
    void take(const json::value& from, const std::string& path, Duration& value) {
        if (const auto number = whole(from, path, 0, longest.count())) value = microseconds(*number);
    }
    void take(const json::value& from, const std::string& path, milliseconds& value) {
        if (const auto number = whole(from, path, shortest_span.count(), longest_span.count()))
            value = milliseconds(*number);
    }
    void take(const json::value& from, const std::string& path, std::string& value) {
        if (const auto found = text(from, path)) value = *found;
    }
    template <Word E>
    void take(const json::value& from, const std::string& path, E& value) {
        const auto word = text(from, path);
        if (!word) return;
        for (size_t n = 0; n < values_of<E>; ++n) {
            if (to_string(static_cast<E>(n)) != *word) continue;
            value = static_cast<E>(n);
            return;
        }
        complain(path, "does not know \"" + printable(*word, 40) + "\"");
    }
    void take(const json::value& from, const std::string& path, Lsn& value) {
        const auto found = text(from, path);
        if (!found) return;
        if (const auto lsn = topology::parse_lsn(*found)) {
            value = *lsn;
        } else {
            complain(path, "must be a position such as 16/B374D848");
        }
    }
    /// "" is no server at all.
    void take(const json::value& from, const std::string& path, InstanceKey& value) {
        const auto found = text(from, path);
        if (!found) return;
        value = {};
        if (found->empty()) return;
        if (auto key = topology::parse_instance_key(*found, 0)) {
            value = std::move(*key);
        } else {
            complain(path, "must be host:port: " + key.error().message);
        }
    }
    template <class T>
    void take(const json::value& from, const std::string& path, std::optional<T>& value) {
        if (from.is_null()) return value.reset();
        take(from, path, value.emplace());
    }
    template <class T>
    void take(const json::value& from, const std::string& path, std::vector<T>& list) {
        const auto* items = from.if_array();
        if (!items) return complain(path, "must be a list");
        list.clear();
        for (const auto& item : *items) {
            take(item, path + "[" + std::to_string(list.size()) + "]", list.emplace_back());
            if (error_) return;
        }
    }
    template <class T>
        requires std::is_class_v<T>
    void take(const json::value& from, const std::string& path, T& object) {
        const auto* found = from.if_object();
        if (!found) return complain(path, "must be an object");
        Reader reader(*found, path + ".", error_);
        members(reader, object);
    }

    const json::object& object_;
    const std::string path_;
    std::optional<Error>& error_;
};

std::unexpected<Error> bad(std::string message, std::string who) {
    return fail(ErrorKind::invalid_argument, std::move(message), std::move(who));
}

/// The frame with its kind's defaults.
template <size_t n = 0>
std::optional<Frame> frame_of(std::string_view kind) {
    if constexpr (n < kinds.size()) {
        if (kinds[n] == kind) return Frame(std::in_place_index<n>);
        return frame_of<n + 1>(kind);
    } else {
        return std::nullopt;
    }
}

}  // namespace

std::string to_text(const Frame& frame) {
    JsonWriter out;
    out.begin_object().field("kind", kinds[frame.index()]);
    Writer writer(out);
    std::visit([&](const auto& alternative) { members(writer, alternative); }, frame);
    out.end_object();
    return out.take();
}

Result<Frame> parse_frame(std::string_view line) {
    if (line.size() > frame_limit) return bad("longer than a frame may be", "");
    // What does not parse is not repeated: it may hold the token.
    boost::system::error_code code;
    const json::value parsed = json::parse(json::string_view(line.data(), line.size()), code);
    if (code) return bad("not JSON: " + code.message(), "");
    const auto* object = parsed.if_object();
    if (!object) return bad("a frame is an object", "");
    const auto* kind = object->if_contains("kind");
    if (!kind) return bad("is missing", "kind");
    if (!kind->is_string()) return bad("must be text", "kind");
    const auto& word = kind->get_string();
    auto frame = frame_of({word.data(), word.size()});
    if (!frame) return bad("there is no frame \"" + printable({word.data(), word.size()}, 40) + "\"", "kind");
    std::optional<Error> error;
    Reader reader(*object, "", error);
    std::visit([&](auto& alternative) { members(reader, alternative); }, *frame);
    if (error) return std::unexpected(std::move(*error));
    return *std::move(frame);
}

}  // namespace baton::agent
