#include "network/bridge_guard.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace coffer::network::guard {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Port port() {
    return {.name = "cof1",
            .mac = "02:42:0a:01:00:02",
            .addresses = {*parse_address("10.1.0.2"), *parse_address("fd00::2")}};
}

TEST(BridgeGuard, knows_the_addresses_of_a_port) {
    const std::string text = replace_table("t", {port()});
    EXPECT_THAT(text,
                HasSubstr("add element bridge t coffer_macs { \"cof1\" . 02:42:0a:01:00:02 }"));
    EXPECT_THAT(text, HasSubstr("add element bridge t coffer_senders4 { \"cof1\" . 10.1.0.2 }"));
    EXPECT_THAT(text, HasSubstr("add element bridge t coffer_senders6 { \"cof1\" . fd00::2 }"));
    EXPECT_THAT(text, HasSubstr("coffer_senders6 { \"cof1\" . fe80::42:aff:fe01:2 }"));
    EXPECT_THAT(text,
                HasSubstr("coffer_targets6 { \"cof1\" . 0xfd000000000000000000000000000002 }"));
    EXPECT_THAT(text, Not(HasSubstr("add element bridge t coffer_isolated")));
}

TEST(BridgeGuard, leaves_a_port_alone_that_may_spoof) {
    Port free = port();
    free.pins_mac = free.pins_addresses = false;
    EXPECT_TRUE(elements_of("t", free).empty());
    free.isolated = true;
    const auto elements = elements_of("t", free);
    ASSERT_EQ(elements.size(), 1U);
    EXPECT_EQ(elements[0].set, "coffer_isolated");
    EXPECT_EQ(elements[0].key, "cof1" + std::string(12, '\0'));
}

TEST(BridgeGuard, gives_the_kernel_the_bytes_of_the_same) {
    for (const auto& element : elements_of("t", port())) {
        if (element.set != "coffer_macs") continue;
        EXPECT_EQ(element.key,
                  "cof1" + std::string(12, '\0') + std::string("\x02\x42\x0a\x01\0\x02\0\0", 8));
    }
}

}  // namespace
}  // namespace coffer::network::guard
