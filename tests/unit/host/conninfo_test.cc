#include "host/conninfo.h"

#include <gtest/gtest.h>

namespace baton::host {
namespace {

TEST(HostConninfo, BothForms) {
    struct Case {
        std::string text, written;
    };
    const std::vector<Case> cases = {
        {"", ""},
        {" host=db1  port = 5433 ", "host=db1 port=5433"},
        {"user=u password='a b\\'c\\\\' host=''", "user=u password='a b\\'c\\\\' host=''"},
        {"options='-c x=port=99' future_field=3", "options='-c x=port=99' future_field=3"},
        {"password=a\\ b", "password='a b'"},
        {"postgresql://u:p%40%20x@db1:5433/post%2Fgres?sslmode=require&application_name=n%203",
         "user=u password='p@ x' host=db1 port=5433 dbname=post/gres sslmode=require application_name='n 3'"},
        {"postgres://[::1]:5,db2/?connect_timeout=3", "host=::1,db2 port=5, connect_timeout=3"},
        {"postgresql://", ""},
    };
    for (const auto& c : cases) {
        const auto parsed = Conninfo::parse(c.text);
        ASSERT_TRUE(parsed) << c.text;
        EXPECT_EQ(parsed->text(), c.written);
        EXPECT_EQ(Conninfo::parse(c.written)->text(), c.written);
    }
}

TEST(HostConninfo, WhatIsNone) {
    for (const std::string text : {"host", "host=a b", "=x", "password='abc", "postgresql://h/?x",
                                   "postgresql://h/%zz", "postgresql://u:%00@h"}) {
        const auto parsed = Conninfo::parse(text);
        ASSERT_FALSE(parsed) << text;
        EXPECT_EQ(parsed.error().kind, ErrorKind::invalid_argument);
        EXPECT_EQ(parsed.error().message.find("abc"), std::string::npos);
    }
}

TEST(HostConninfo, LeadsToOneServer) {
    auto c = *Conninfo::parse(
        "host=a,b hostaddr=1.2.3.4 port=1,2 target_session_attrs=read-write user=u password=secret");
    c.lead_to({"db2", 5433});
    EXPECT_EQ(c.take_password(), "secret");
    EXPECT_EQ(c.text(), "host=db2 port=5433 user=u");
    EXPECT_EQ(password_line("a:b\\c"), "*:*:*:*:a\\:b\\\\c\n");
}

}  // namespace
}  // namespace baton::host
