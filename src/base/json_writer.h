#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace baton {

/// Writes compact JSON into one string, keys in the order of the calls. Strings are escaped as Go's encoder
/// does (`<`, `>`, `&` become \u003c \u003e \u0026; each byte that is not UTF-8 becomes \ufffd), because
/// scripts compare answers byte by byte. Not thread-safe.
class JsonWriter {
  public:
    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);
    JsonWriter& value(std::string_view text);
    JsonWriter& value(const char* text) { return value(std::string_view(text)); }
    JsonWriter& value(bool v);
    JsonWriter& value(std::integral auto v) { return raw(std::to_string(v)); }
    JsonWriter& value(double v);
    JsonWriter& null() { return raw("null"); }
    /// Text that is JSON already.
    JsonWriter& raw(std::string_view json);

    template <class T>
    JsonWriter& field(std::string_view name, const T& v) {
        key(name);
        return value(v);
    }

    const std::string& text() const { return out_; }
    std::string take() { return std::move(out_); }
    void reserve(size_t bytes) { out_.reserve(bytes); }

  private:
    void separate();

    std::string out_;
    bool need_comma_ = false;
};

}  // namespace baton
