#include "base/quiet_log.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

MonoTime at(int s) {
    return MonoTime{} + seconds(s);
}

TEST(QuietLog, EachThingOfEachPlaceOnceInAWhile) {
    QuietLog log(seconds(60));
    EXPECT_TRUE(log.may("10.0.0.1", "no token", at(100)));
    EXPECT_FALSE(log.may("10.0.0.1", "no token", at(159)));
    EXPECT_TRUE(log.may("10.0.0.1", "no certificate", at(110))) << "another reason is news";
    EXPECT_TRUE(log.may("10.0.0.2", "no token", at(110)));
    EXPECT_TRUE(log.may("10.0.0.1", "no token", at(160)));
}

TEST(QuietLog, HasLimits) {
    QuietLog log(seconds(60));
    int said = 0;
    for (int n = 0; n < 100; ++n)
        said += log.may("10.0.0.1", std::to_string(n), at(1)) ? 1 : 0;
    EXPECT_EQ(said, 8);
    for (int n = 0; n < 5000; ++n)
        said += log.may(std::to_string(n), "x", at(1)) ? 1 : 0;
    EXPECT_EQ(said, 8 + 999);
    EXPECT_TRUE(log.may("10.0.0.9", "x", at(61))) << "the limits end with what was said";
}

}  // namespace
}  // namespace baton
