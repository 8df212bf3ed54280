#include "base/json_writer.h"

#include <fmt/format.h>

#include <cmath>

namespace baton {
namespace {

bool continues(std::string_view text, size_t at, unsigned char least = 0x80, unsigned char most = 0xBF) {
    if (at >= text.size()) return false;
    const auto byte = static_cast<unsigned char>(text[at]);
    return byte >= least && byte <= most;
}

/// Bytes of the character that `text` begins with; 0 if it is not UTF-8 (Unicode standard, table 3-7: no
/// overlong forms, no surrogates, nothing above U+10FFFF).
size_t utf8_length(std::string_view text) {
    const auto first = static_cast<unsigned char>(text[0]);
    if (first < 0x80) return 1;
    if (first >= 0xC2 && first <= 0xDF) return continues(text, 1) ? 2 : 0;
    if (first >= 0xE0 && first <= 0xEF) {
        const unsigned char least = first == 0xE0 ? 0xA0 : 0x80;
        const unsigned char most = first == 0xED ? 0x9F : 0xBF;
        return continues(text, 1, least, most) && continues(text, 2) ? 3 : 0;
    }
    if (first >= 0xF0 && first <= 0xF4) {
        const unsigned char least = first == 0xF0 ? 0x90 : 0x80;
        const unsigned char most = first == 0xF4 ? 0x8F : 0xBF;
        return continues(text, 1, least, most) && continues(text, 2) && continues(text, 3) ? 4 : 0;
    }
    return 0;
}

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
