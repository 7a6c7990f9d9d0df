#include "network/portmap.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace coffer::network {
namespace {

using ::testing::HasSubstr;

constexpr const char* kLoopback = "127.0.0.1";

PortRequest request_of(std::string_view host_port, std::string_view container_port,
                       std::string host_ip = {}) {
    PortRequest request = *parse_container_port(container_port);
    MUST(parse_host_port(host_port, request));
    request.host_ip = std::move(host_ip);
    return request;
}

// A port of the loopback that nothing uses at the moment.
std::uint16_t free_port(sys::Fd* keep = nullptr) {
    sys::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = ::inet_addr(kLoopback);
    socklen_t size = sizeof name;
    auto* address = reinterpret_cast<sockaddr*>(&name);
    if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), 1) != 0) return 0;
    ::getsockname(fd.get(), address, &size);
    if (keep != nullptr) *keep = std::move(fd);
    return ntohs(name.sin_port);
}

TEST(PortSpec, parses_docker_s_keys_and_ranges) {
    EXPECT_EQ(parse_container_port("80")->protocol, Protocol::Tcp);
    EXPECT_EQ(parse_container_port("53/UDP")->protocol, Protocol::Udp);
    EXPECT_EQ(parse_container_port("53/sctp")->container_port, 53);
    for (const char* bad : {"", "0", "65536", "80/", "80/icmp", "/tcp", "80-90", "-1", "8 0"})
        EXPECT_FALSE(parse_container_port(bad)) << bad;
    PortRequest request;
    ASSERT_TRUE(parse_host_port("8000-8010", request));
    EXPECT_EQ(request.host_port_first, 8000);
    EXPECT_EQ(request.host_port_last, 8010);
    ASSERT_TRUE(parse_host_port("", request));
    EXPECT_EQ(request.host_port_first, 0);
    for (const char* bad : {"8010-8000", "x", "80-", "-80", "65536", "1-65536", "80 "})
        EXPECT_FALSE(parse_host_port(bad, request)) << bad;
}

TEST(Portmap, gives_the_port_and_refuses_it_to_a_second_container) {
    Portmap map;
    const std::string port = format("{}", free_port());
    const auto first = map.allocate({request_of(port, "80")}, {"172.17.0.2"}, {kLoopback});
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_EQ((*first)[0].host_ip, kLoopback);
    EXPECT_EQ(format("{}", (*first)[0].host_port), port);
    EXPECT_EQ((*first)[0].container_ip, "172.17.0.2");
    const auto second =
        map.allocate({request_of(port, "80", "0.0.0.0")}, {"172.17.0.3"}, {kLoopback});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().message,
              "Bind for 0.0.0.0:" + port + " failed: port is already allocated");
    // Another protocol or another address is another port.
    EXPECT_TRUE(map.allocate({request_of(port, "80/udp")}, {"172.17.0.3"}, {kLoopback}));
    EXPECT_TRUE(map.allocate({request_of(port, "80", "127.0.0.2")}, {"172.17.0.3"}, {kLoopback}));
    map.release(*first);
    EXPECT_TRUE(map.allocate({request_of(port, "80")}, {"172.17.0.3"}, {kLoopback}));
}

TEST(Portmap, refuses_a_port_that_a_process_of_the_host_listens_on) {
    sys::Fd listener;
    const std::string port = format("{}", free_port(&listener));
    Portmap map;
    const auto result = map.allocate({request_of(port, "80")}, {"172.17.0.2"}, {kLoopback});
    ASSERT_FALSE(result);
    EXPECT_THAT(result.error().message, HasSubstr("address already in use"));
    listener.reset();
    EXPECT_TRUE(map.allocate({request_of(port, "80")}, {"172.17.0.2"}, {kLoopback}));
}

TEST(Portmap, all_or_none) {
    sys::Fd listener;
    const std::string busy = format("{}", free_port(&listener));
    const std::string free = format("{}", free_port());
    Portmap map;
    EXPECT_FALSE(map.allocate({request_of(free, "80"), request_of(busy, "81")}, {"172.17.0.2"},
                              {kLoopback}));
    EXPECT_TRUE(map.allocate({request_of(free, "80")}, {"172.17.0.2"}, {kLoopback}));
}

TEST(Portmap, takes_the_first_free_port_of_a_range) {
    sys::Fd listener;
    const std::uint16_t busy = free_port(&listener);
    ASSERT_LT(busy, 65533);
    Portmap map;
    const std::string range = format("{}-{}", busy, busy + 3);
    const auto ports = map.allocate({request_of(range, "80")}, {"172.17.0.2"}, {kLoopback});
    ASSERT_TRUE(ports);
    EXPECT_GT((*ports)[0].host_port, busy);
}

TEST(Portmap, random_ports_differ_and_lie_in_the_dynamic_range) {
    Portmap map;
    const auto ports =
        map.allocate({request_of("", "80"), request_of("", "81"), request_of("", "82/udp")},
                     {"172.17.0.2"}, {kLoopback});
    ASSERT_TRUE(ports);
    for (const PublishedPort& port : *ports) EXPECT_GE(port.host_port, 49153);
    EXPECT_NE((*ports)[0].host_port, (*ports)[1].host_port);
}

TEST(Portmap, restored_ports_are_taken) {
    Portmap map;
    const std::uint16_t port = free_port();
    const PublishedPort known{Protocol::Tcp, kLoopback, port, "172.17.0.2", 80};
    ASSERT_TRUE(map.restore({known}));
    EXPECT_FALSE(map.restore({known}));
    EXPECT_FALSE(map.allocate({request_of(format("{}", port), "80")}, {"172.17.0.3"}, {kLoopback}));
}

PortRequest range_of(std::string_view host_port, std::string_view container_port, int count) {
    PortRequest request = request_of(host_port, container_port, "127.0.0.1");
    request.count = static_cast<std::uint16_t>(count);
    return request;
}

TEST(PublishedPorts, are_taken_apart_and_found) {
    const PublishedPort range{Protocol::Udp, "0.0.0.0", 100, "172.17.0.2", 200, 10};
    const auto left = without({range}, {range.part(3, 2), range.at(9)});
    ASSERT_EQ(left.size(), 2U);
    EXPECT_EQ(left[0], range.part(0, 3));
    EXPECT_EQ(left[1], range.part(5, 4));
    EXPECT_EQ(left[1].container_port, 205);
    EXPECT_TRUE(without({range}, {range}).empty());
    PublishedPort other = range.at(3);
    other.host_ip = "127.0.0.1";
    EXPECT_EQ(without({range}, {other}), std::vector<PublishedPort>{range});
    EXPECT_TRUE(touching({range}, {other}).empty());
    EXPECT_EQ(touching({range}, {range.at(9)}), std::vector<PublishedPort>{range});
    const PublishedPort last{Protocol::Udp, "0.0.0.0", 65000, "172.17.0.2", 65000, 536};
    EXPECT_EQ(without({last}, {last.at(535)}), std::vector<PublishedPort>{last.part(0, 535)});
}

TEST(Portmap, a_range_is_taken_as_one_and_given_back_in_parts) {
    for (const int count : {10, 10001}) {
        Portmap map;
        const auto ports =
            map.allocate({range_of("20000", "10000/udp", count)}, {"172.17.0.2"}, {""});
        ASSERT_TRUE(ports) << ports.error().message;
        ASSERT_EQ(ports->size(), 1U);
        EXPECT_EQ((*ports)[0].host_port_last(), 20000 + count - 1);
        // The lowest port that is not free is named.
        EXPECT_EQ(
            map.allocate({range_of("19990", "80/udp", 15)}, {"172.17.0.3"}, {""}).error().message,
            "Bind for 127.0.0.1:20000 failed: port is already allocated");
        EXPECT_EQ(map.allocate({request_of("20009", "80/udp", "0.0.0.0")}, {"172.17.0.3"}, {""})
                      .error()
                      .message,
                  "Bind for 0.0.0.0:20009 failed: port is already allocated");
        map.release({(*ports)[0].part(4, 2)});
        EXPECT_TRUE(map.allocate({range_of("20004", "80/udp", 2)}, {"172.17.0.3"}, {""}));
        EXPECT_FALSE(map.allocate({request_of("20003", "80/udp")}, {"172.17.0.3"}, {kLoopback}));
        EXPECT_FALSE(map.allocate({request_of("20006", "80/udp")}, {"172.17.0.3"}, {kLoopback}));
        map.release({(*ports)[0].part(0, 4)});
        EXPECT_TRUE(map.allocate({request_of("20003", "80/udp")}, {"172.17.0.3"}, {kLoopback}));
    }
}

TEST(Portmap, a_long_range_is_refused_where_a_process_of_the_host_listens) {
    sys::Fd listener;
    const std::uint16_t busy = free_port(&listener);
    const int first = busy - 500;
    Portmap map;
    const auto wanted = range_of(format("{}", first), "1000", 1000);
    const auto refused = map.allocate({wanted}, {"172.17.0.2"}, {""});
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr("address already in use"));
    // Unless something else listens in it, as it may on a busy machine.
    EXPECT_THAT(refused.error().message, HasSubstr("failed to bind host port 127.0.0.1:"));
}

TEST(Portmap, a_port_without_an_address_is_one_of_both_families) {
    Portmap map;
    const std::vector<std::string> both = {"172.17.0.2", "fd00::2"};
    const std::vector<std::string> anywhere = {"0.0.0.0", "::"};
    const std::uint16_t port = free_port();
    const auto ports = map.allocate({request_of(format("{}", port), "80")}, both, anywhere);
    ASSERT_TRUE(ports) << ports.error().message;
    ASSERT_EQ(ports->size(), 2U);
    EXPECT_EQ((*ports)[1], (PublishedPort{Protocol::Tcp, "::", port, "fd00::2", 80}));
    EXPECT_EQ(
        map.allocate({request_of(format("{}", port), "80", "fd00::9")}, both, {}).error().message,
        format("Bind for [fd00::9]:{} failed: port is already allocated", port));
    // On a network without IPv6 it is one of IPv4.
    const auto one = map.allocate({request_of("", "80")}, {"172.17.0.3"}, anywhere);
    ASSERT_TRUE(one);
    EXPECT_EQ(one->size(), 1U);
    // Both or none: what was taken for IPv4 is given back.
    const std::string other = format("{}", free_port());
    ASSERT_TRUE(map.allocate({request_of(other, "80", "fd00::9")}, both, {}));
    EXPECT_FALSE(map.allocate({request_of(other, "80")}, both, anywhere));
    EXPECT_TRUE(map.allocate({request_of(other, "80", "0.0.0.0")}, both, {}));
    // A random port is free in both.
    const auto random = map.allocate({request_of("", "80")}, both, anywhere);
    ASSERT_TRUE(random);
    EXPECT_EQ((*random)[0].host_port, (*random)[1].host_port);
}

TEST(Portmap, refuses_addresses_that_it_cannot_publish_on) {
    Portmap map;
    EXPECT_THAT(map.allocate({request_of("80", "80", "::1")}, {"fd00::2"}, {}).error().message,
                ::testing::StartsWith("cannot publish on '::1'"));
    EXPECT_EQ(map.allocate({request_of("80", "80", "::")}, {"172.17.0.2"}, {}).error().message,
              "cannot publish on '::': the network has no IPv6");
    EXPECT_EQ(map.allocate({request_of("80", "80", "host")}, {"172.17.0.2"}, {}).error().code,
              Code::InvalidArgument);
}

}  // namespace
}  // namespace coffer::network
