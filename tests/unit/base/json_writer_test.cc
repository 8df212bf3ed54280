#include "base/json_writer.h"

#include <gtest/gtest.h>

#include <limits>

namespace baton {
namespace {

std::string written(std::string_view text) {
    return JsonWriter().value(text).take();
}

struct EscapeCase {
    const char* what;
    std::string text;
    std::string json;
};

// Answers were compared with Go's encoding/json byte by byte.
TEST(JsonWriter, EscapesAsGoDoes) {
    const EscapeCase cases[] = {
        {"plain", "pg1:5432", R"("pg1:5432")"},
        {"quote and backslash", "a\"b\\c", R"("a\"b\\c")"},
        {"white", "a\nb\rc\td", R"("a\nb\rc\td")"},
        {"control", std::string("\0\x01\x1f\x7f", 4), std::string("\"\\u0000\\u0001\\u001f\x7f\"")},
        {"backspace and form feed", "\b\f", R"("\u0008\u000c")"},
        {"for browsers", "<a&b>", R"("\u003ca\u0026b\u003e")"},
        {"two bytes", "München", "\"München\""},
        {"three bytes", "数据库 – …", "\"数据库 – …\""},
        {"four bytes", "🐘", "\"🐘\""},
        {"line separators", "a\u2028b\u2029c", R"("a\u2028b\u2029c")"},
        {"the replacement itself", "\uFFFD", "\"\uFFFD\""},
        {"lone continuation", "a\x80z", R"("a\ufffdz")"},
        {"Latin-1", "M\xFCnchen", R"("M\ufffdnchen")"},
        {"cut short", "\xE2\x82", R"("\ufffd\ufffd")"},
        {"cut short before ASCII", "\xF0\x9F\x90!", R"("\ufffd\ufffd\ufffd!")"},
        {"overlong slash", "\xC0\xAF", R"("\ufffd\ufffd")"},
        {"overlong, three bytes", "\xE0\x80\x80", R"("\ufffd\ufffd\ufffd")"},
        {"surrogate", "\xED\xA0\x80", R"("\ufffd\ufffd\ufffd")"},
        {"above U+10FFFF", "\xF4\x90\x80\x80", R"("\ufffd\ufffd\ufffd\ufffd")"},
        {"never in UTF-8", "\xFE\xFF", R"("\ufffd\ufffd")"},
        {"empty", "", R"("")"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(written(c.text), c.json) << c.what;
}

TEST(JsonWriter, PutsCommasWhereTheyBelong) {
    JsonWriter json;
    json.begin_object().field("a", 1).key("b").begin_array().value("x").value(true).null().end_array();
    json.key("c").begin_object().end_object().key("d").begin_array().begin_object().end_object();
    json.begin_object().field("e", uint64_t{18446744073709551615ULL}).end_object().end_array().end_object();
    EXPECT_EQ(json.text(), R"({"a":1,"b":["x",true,null],"c":{},"d":[{},{"e":18446744073709551615}]})");
}

TEST(JsonWriter, Numbers) {
    EXPECT_EQ(JsonWriter().value(0.5).take(), "0.5");
    EXPECT_EQ(JsonWriter().value(-3).take(), "-3");
    EXPECT_EQ(JsonWriter().value(std::numeric_limits<double>::infinity()).take(), "null");
    EXPECT_EQ(JsonWriter().value(std::numeric_limits<double>::quiet_NaN()).take(), "null");
}

TEST(JsonWriter, KeysAreEscapedToo) {
    EXPECT_EQ(JsonWriter().begin_object().field("a\"<", "v").end_object().take(), "{\"a\\\"\\u003c\":\"v\"}");
}

TEST(JsonWriter, RawIsTakenAsItIs) {
    EXPECT_EQ(JsonWriter().begin_array().raw("{\"a\":1}").raw("2").end_array().take(), R"([{"a":1},2])");
}

}  // namespace
}  // namespace baton
