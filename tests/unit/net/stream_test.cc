#include <gtest/gtest.h>

#include "net/stream_impl.h"

namespace baton::net {

namespace {

TEST(AddressText, ShowsIpv4ClientsAsIpv4) {
    const auto text = [](const char* address) { return address_text(asio::ip::make_address(address)); };
    EXPECT_EQ(text("::ffff:192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(text("192.0.2.1"), "192.0.2.1");
    EXPECT_EQ(text("2001:db8::1"), "2001:db8::1");
}

}  // namespace

}  // namespace baton::net
