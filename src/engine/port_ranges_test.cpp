#include "engine/port_ranges.hpp"

#include <gmock/gmock.h>

namespace coffer::engine {
namespace {

using Bindings = std::vector<api::PortBinding>;

api::PortMap row(int count, int host_first, int container_first, const std::string& protocol) {
    api::PortMap ports;
    for (int i = 0; i < count; ++i)
        ports[format("{}/{}", container_first + i, protocol)] =
            Bindings{{"", std::to_string(host_first + i)}};
    return ports;
}

std::vector<std::string> shown(const api::PortMap& ports) {
    std::vector<std::string> lines;
    for (const auto& [port, bindings] : ports) {
        std::string line = port;
        for (const auto& binding : bindings.value_or(Bindings()))
            line += format(" {}:{}", binding.host_ip, binding.host_port);
        lines.push_back(line);
    }
    return lines;
}

using Lines = std::vector<std::string>;

TEST(PortRanges, neighbours_in_a_row_are_one_entry) {
    api::PortMap ports = row(10001, 10000, 10000, "udp");
    EXPECT_EQ(shown(join_ports(ports)), Lines{"10000-20000/udp :10000-20000"});
    EXPECT_EQ(split_ports(join_ports(ports)).size(), ports.size());
    EXPECT_EQ(shown(split_ports(join_ports(ports))), shown(ports));
    // 99 and 100 are neighbours though their keys are not.
    EXPECT_EQ(shown(join_ports(row(3, 8000, 99, "tcp"))), Lines{"99-101/tcp :8000-8002"});
}

TEST(PortRanges, what_is_no_row_stays) {
    api::PortMap ports;
    ports["80/tcp"] = Bindings{{"", "8000"}};
    ports["81/tcp"] = Bindings{{"", "8002"}};           // not the next
    ports["82/tcp"] = Bindings{{"127.0.0.1", "8003"}};  // elsewhere
    ports["83/tcp"] = Bindings{{"127.0.0.1", "8004"}, {"::1", "8004"}};
    ports["84/tcp"] = Bindings{{"127.0.0.1", "8005"}, {"::1", "8005"}};  // of the one before
    ports["84/udp"] = Bindings{{"127.0.0.1", "8006"}};
    ports["85/tcp"] = Bindings{{"127.0.0.1", ""}, {"::1", ""}};  // any free one
    ports["86/tcp"] = Bindings{{"127.0.0.1", ""}, {"::1", ""}};
    ports["87/tcp"] = std::nullopt;
    ports["88/tcp"] = Bindings{};
    ports["x/tcp"] = Bindings{{"", "1"}};
    EXPECT_EQ(shown(join_ports(ports)),
              (Lines{"80/tcp :8000", "81/tcp :8002", "82/tcp 127.0.0.1:8003",
                     "83-84/tcp 127.0.0.1:8004-8005 ::1:8004-8005", "84/udp 127.0.0.1:8006",
                     "85/tcp 127.0.0.1: ::1:", "86/tcp 127.0.0.1: ::1:", "87/tcp", "88/tcp",
                     "x/tcp :1"}));
    EXPECT_EQ(shown(split_ports(join_ports(ports))), shown(ports));
}

TEST(PortRanges, what_takes_any_of_several_host_ports_is_no_row) {
    api::PortMap ports;
    ports["80/tcp"] = Bindings{{"", "8000-8005"}};
    ports["81/tcp"] = Bindings{{"", "8006-8010"}};
    EXPECT_EQ(shown(join_ports(ports)), (Lines{"80/tcp :8000-8005", "81/tcp :8006-8010"}));
}

TEST(PortRanges, exposed_ports_too) {
    const ExposedPorts ports{{"9/tcp", {}}, {"10/tcp", {}}, {"10/udp", {}}, {"12/tcp", {}}};
    EXPECT_EQ(join_ports(ports), (ExposedPorts{{"9-10/tcp", {}}, {"10/udp", {}}, {"12/tcp", {}}}));
    EXPECT_EQ(split_ports(join_ports(ports)), ports);
}

TEST(PortRanges, what_an_entry_asks_for) {
    const auto range = requests_of("80-90/tcp", {{"127.0.0.1", "8080-8090"}});
    ASSERT_TRUE(range);
    EXPECT_EQ(range->at(0).container_port, 80);
    EXPECT_EQ(range->at(0).count, 11);
    EXPECT_EQ(range->at(0).host_port_first, 8080);
    EXPECT_EQ(range->at(0).host_port_last, 8080);
    // One port that takes the first free one of a range.
    const auto one = requests_of("80/tcp", {{"", "8080-8090"}, {"", ""}});
    ASSERT_TRUE(one);
    ASSERT_EQ(one->size(), 2U);
    EXPECT_EQ(one->at(0).count, 1);
    EXPECT_EQ(one->at(0).host_port_last, 8090);
    EXPECT_FALSE(requests_of("80-90/icmp", {{"", "1-11"}}));
}

}  // namespace
}  // namespace coffer::engine
