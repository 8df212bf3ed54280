#include "base/json_writer.h"

#include <fmt/format.h>

#include <cmath>

#include "base/text.h"

namespace baton {
namespace {

/// Line breaks to JavaScript, and so escaped by Go.
bool is_line_separator(std::string_view character) {
    return character == "\u2028" || character == "\u2029";
}

/// Appends the character at `text`, which is not ASCII, and returns its length.
size_t append_multibyte(std::string& out, std::string_view text) {
    const size_t length = utf8_length(text);
    if (length == 0) {
        out += "\\ufffd";
        return 1;
    }
    const auto character = text.substr(0, length);
    if (is_line_separator(character)) {
        out += character.back() == '\xA8' ? "\\u2028" : "\\u2029";
    } else {
        out += character;
    }
    return length;
}

void append_ascii(std::string& out, char c) {
    switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            if (c < 0x20 || c == '<' || c == '>' || c == '&') {
                fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
            } else {
                out += c;
            }
    }
}

}  // namespace

void JsonWriter::separate() {
    if (need_comma_) out_ += ',';
    need_comma_ = true;
}

JsonWriter& JsonWriter::begin_object() {
    separate();
    out_ += '{';
    need_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end_object() {
    out_ += '}';
    need_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::begin_array() {
    separate();
    out_ += '[';
    need_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::end_array() {
    out_ += ']';
    need_comma_ = true;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    value(name);
    out_ += ':';
    need_comma_ = false;
    return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
    separate();
    out_ += '"';
    for (size_t at = 0; at < text.size();) {
        if (static_cast<unsigned char>(text[at]) < 0x80) {
            append_ascii(out_, text[at++]);
        } else {
            at += append_multibyte(out_, text.substr(at));
        }
    }
    out_ += '"';
    return *this;
}

JsonWriter& JsonWriter::value(bool v) {
    return raw(v ? "true" : "false");
}

JsonWriter& JsonWriter::value(double v) {
    return std::isfinite(v) ? raw(fmt::format("{}", v)) : null();
}

JsonWriter& JsonWriter::raw(std::string_view json) {
    separate();
    out_ += json;
    return *this;
}

}  // namespace baton
