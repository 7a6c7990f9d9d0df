// Published ports.

#include <gtest/gtest.h>

#include "world.hpp"

namespace coffer::network::testing {
namespace {

constexpr auto kTcp = Server::Kind::Tcp;
constexpr auto kUdp = Server::Kind::Udp;

using Numbers = std::vector<std::uint16_t>;

class Ports : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { lan_ = new sys::Fd(make_lan()); }
    static void TearDownTestSuite() {
        delete lan_;
        shell("ip link delete lan0 2>/dev/null || true");  // it may have gone with the namespace
    }
    static int lan() { return lan_->get(); }
    std::string publish(Container& container, const std::vector<PortRequest>& ports) {
        auto done = engine.networks->publish(container.endpoint, ports);
        return done ? "" : done.error().message;
    }

    Engine engine;

  private:
    static inline sys::Fd* lan_ = nullptr;
};

TEST_F(Ports, are_published_on_loopback_only_unless_an_address_is_given) {
    Container a = connect(engine, "bridge", "a");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    ASSERT_EQ(publish(a, {port("8080", "80")}), "");
    ASSERT_EQ(a.endpoint.ports.size(), 1U);
    EXPECT_EQ(a.endpoint.ports[0].host_ip, "127.0.0.1");
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "172.17.0.1");
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), "");
    // A neighbour that routes loopback addresses to us.
    shell_in(lan(), "ip link set lo down; ip route add 127.0.0.1/32 via 192.0.2.1");
    EXPECT_EQ(ask_tcp(lan(), "127.0.0.1", 8080), "");
    shell_in(lan(),
             "ip link set lo up; ip route delete 127.0.0.1/32 via 192.0.2.1; "
             "ip address replace 169.254.169.254/32 dev lo");
    engine.networks->release(a.endpoint);
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "");
}

TEST_F(Ports, on_every_address_are_reached_from_everywhere) {
    Container a = connect(engine, "bridge", "a");
    Container b = connect(engine, "bridge", "b");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    ASSERT_EQ(publish(a, {port("8080", "80", "0.0.0.0")}), "");
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), kNeighbour) << "the container sees who asks";
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "172.17.0.1");
    EXPECT_EQ(ask_tcp(-1, kHostLan, 8080), kHostLan);
    EXPECT_EQ(ask_tcp(b.netns.get(), kHostLan, 8080), "172.17.0.1") << "another container";
    EXPECT_EQ(ask_tcp(b.netns.get(), "172.17.0.1", 8080), "172.17.0.1");
    EXPECT_EQ(ask_tcp(a.netns.get(), kHostLan, 8080), "172.17.0.1") << "the container itself";
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 80), "") << "only the published port";
}

TEST_F(Ports, on_one_address_are_there_and_nowhere_else) {
    Container a = connect(engine, "bridge", "a");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    ASSERT_EQ(publish(a, {port("8080", "80", kHostLan)}), "");
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), kNeighbour);
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "");
}

TEST_F(Ports, that_an_endpoint_gives_back_are_free) {
    Container a = connect(engine, "bridge", "a");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    ASSERT_EQ(publish(a, {port("8080", "80", "0.0.0.0"), port("8081", "80", "0.0.0.0")}), "");
    MUST(engine.networks->unpublish(a.endpoint, a.endpoint.ports));
    EXPECT_TRUE(a.endpoint.ports.empty());
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), "");
    EXPECT_EQ(publish(a, {port("8080", "80", "0.0.0.0")}), "");
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), kNeighbour);
}

TEST_F(Ports, conflict_as_in_docker) {
    Container a = connect(engine, "bridge", "a");
    Container b = connect(engine, "bridge", "b");
    ASSERT_EQ(publish(a, {port("8080", "80", "0.0.0.0")}), "");
    EXPECT_EQ(publish(b, {port("8080", "80", "0.0.0.0")}),
              "Bind for 0.0.0.0:8080 failed: port is already allocated");
    const Server on_host(-1, kTcp, "127.0.0.1", 8081);
    EXPECT_NE(publish(b, {port("8082", "80"), port("8081", "80")}).find("address already in use"),
              std::string::npos);
    EXPECT_TRUE(b.endpoint.ports.empty());
    EXPECT_EQ(publish(b, {port("8082", "80")}), "") << "nothing of the failed one is left";
}

TEST_F(Ports, udp_follows_the_port_to_its_next_owner) {
    Container a = connect(engine, "bridge", "a");
    auto in_a = std::make_unique<Server>(a.netns.get(), kUdp, "0.0.0.0", 53);
    ASSERT_EQ(publish(a, {port("5353", "53/udp", "0.0.0.0")}), "");
    EXPECT_EQ(ask_udp(lan(), kHostLan, 5353), kNeighbour);
    EXPECT_EQ(ask_udp(-1, "127.0.0.1", 5353), "172.17.0.1");
    const std::string before = shell("cat /proc/net/nf_conntrack 2>/dev/null || true");
    EXPECT_NE(before.find("dport=5353"), std::string::npos);
    engine.networks->release(a.endpoint);
    const std::string after = shell("cat /proc/net/nf_conntrack 2>/dev/null || true");
    EXPECT_EQ(after.find("dport=5353"), std::string::npos) << after;
    EXPECT_EQ(ask_udp(lan(), kHostLan, 5353), "");
    Container hole = connect(engine, "bridge", "hole");
    Container b = connect(engine, "bridge", "b");
    const Server in_b(b.netns.get(), kUdp, "0.0.0.0", 53);
    ASSERT_EQ(publish(b, {port("5353", "53/udp", "0.0.0.0")}), "");
    EXPECT_EQ(ask_udp(lan(), kHostLan, 5353), kNeighbour);
}

TEST_F(Ports, hundreds_at_once) {
    Container a = connect(engine, "bridge", "a");
    std::vector<PortRequest> ports;
    for (int i = 0; i < 300; ++i)
        ports.push_back(port(format("{}", 20000 + i), format("{}", 1000 + i)));
    ASSERT_EQ(publish(a, ports), "");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 1299);
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 20299), "172.17.0.1");
    engine.networks->release(a.endpoint);
    EXPECT_EQ(shell("nft list table inet coffer_t0").find("20299"), std::string::npos);
}

// Only some ports of the ranges have a server: were a range mapped to any of its ports, others
// would answer.
TEST_F(Ports, a_range_goes_port_by_port) {
    Container a = connect(engine, "bridge", "a");
    std::vector<std::unique_ptr<Server>> servers;
    for (const std::uint16_t number : Numbers{10000, 10001, 15000, 20000, 300, 301, 309})
        for (const auto kind : {kTcp, kUdp})
            servers.push_back(std::make_unique<Server>(a.netns.get(), kind, "0.0.0.0", number));
    const auto range = [](const char* host, const char* container, int count, const char* ip) {
        PortRequest request = port(host, container, ip);
        request.count = static_cast<std::uint16_t>(count);
        return request;
    };
    ASSERT_EQ(publish(a, {range("10000", "10000/udp", 10001, "0.0.0.0"),
                          range("10000", "10000/tcp", 10001, kHostLan),
                          range("3000", "300/tcp", 10, "0.0.0.0"),
                          range("3000", "300/udp", 10, kHostLan)}),
              "");
    for (const auto restarted : {false, true}) {
        if (restarted) engine.restart({MUST(decode_endpoint(encode(a.endpoint)))});
        for (const std::uint16_t number : Numbers{10000, 10001, 15000, 20000, 3000, 3001, 3009}) {
            EXPECT_EQ(ask_tcp(lan(), kHostLan, number), kNeighbour) << number;
            EXPECT_EQ(ask_udp(lan(), kHostLan, number), kNeighbour) << number;
        }
        for (const std::uint16_t number : Numbers{9999, 10002, 20001, 3002, 3008, 3010}) {
            EXPECT_EQ(ask_tcp(lan(), kHostLan, number), "") << number;
            EXPECT_EQ(ask_udp(lan(), kHostLan, number), "") << number;
        }
        EXPECT_EQ(ask_udp(-1, "127.0.0.1", 15000), "172.17.0.1");
        EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 15000), "") << "published at another address";
    }
    // One port of the middle is given back; the others stay.
    ASSERT_TRUE(engine.networks->unpublish(
        a.endpoint, {a.endpoint.ports[0].part(5000, 1), a.endpoint.ports[2].part(1, 1)}));
    EXPECT_EQ(a.endpoint.ports.size(), 6U);
    EXPECT_EQ(ask_udp(lan(), kHostLan, 15000), "");
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 3001), "");
    EXPECT_EQ(ask_udp(lan(), kHostLan, 10001), kNeighbour);
    EXPECT_EQ(ask_udp(lan(), kHostLan, 20000), kNeighbour);
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 3009), kNeighbour);
    Container b = connect(engine, "bridge", "b");
    const Server in_b(b.netns.get(), kUdp, "0.0.0.0", 53);
    ASSERT_EQ(publish(b, {port("15000", "53/udp", "0.0.0.0")}), "");
    EXPECT_EQ(ask_udp(lan(), kHostLan, 15000), kNeighbour);
}

TEST_F(Ports, are_there_again_after_a_restart_and_stale_ones_are_not) {
    Container a = connect(engine, "bridge", "a");
    Container stale = connect(engine, "bridge", "stale");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    ASSERT_EQ(publish(a, {port("8080", "80")}), "");
    ASSERT_EQ(publish(stale, {port("8081", "80")}), "");
    engine.restart({MUST(decode_endpoint(encode(a.endpoint)))});
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "172.17.0.1");
    const std::string table = shell("nft list table inet coffer_t0");
    EXPECT_EQ(table.find("8081"), std::string::npos) << table;
    Container b = connect(engine, "bridge", "b");
    EXPECT_NE(publish(b, {port("8080", "80")}), "");
    EXPECT_EQ(publish(b, {port("8081", "80")}), "");
}

TEST_F(Ports, come_back_by_themselves_after_a_flush_of_all_rules) {
    Container a = connect(engine, "bridge", "a");
    Container b = connect(engine, "bridge", "b");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    ASSERT_EQ(publish(a, {port("8080", "80")}), "");
    for (const char* attack : {"nft flush ruleset", "nft flush table inet coffer_t0",
                               "nft flush chain inet coffer_t0 coffer_raw"}) {
        shell(attack);
        shell("sleep 0.5");
        EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "172.17.0.1") << attack;
        EXPECT_NE(shell("nft list chain inet coffer_t0 coffer_raw").find("127.0.0.0/8"),
                  std::string::npos);
        EXPECT_EQ(ask_tcp(b.netns.get(), a.endpoint.ip, 80), "") << attack;
    }
}

// The host's firewall, as ufw and others write it: what nobody lets in is dropped.
class HostFirewall : public Ports {
  protected:
    HostFirewall() {
        shell(
            "nft 'table ip filter {"
            "  chain INPUT { type filter hook input priority filter; policy drop;"
            "    iifname lo accept; ct state established,related accept; jump user; };"
            "  chain FORWARD { type filter hook forward priority filter; policy drop; };"
            "  chain user { };"
            "}'");
        shell("echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter");
        engine.config.respect_host_firewall = true;
        engine.restart({});
    }
    ~HostFirewall() override {
        shell("nft delete table ip filter; echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter");
        engine.config.respect_host_firewall = false;
        engine.restart({});
        EXPECT_EQ(shell("ip link | grep cfin || true"), "");
    }
    HostFirewall(const HostFirewall&) = delete;
    HostFirewall& operator=(const HostFirewall&) = delete;
    HostFirewall(HostFirewall&&) = delete;
    HostFirewall& operator=(HostFirewall&&) = delete;
    static void allow(const std::string& match) {
        shell("nft 'flush chain ip filter user; add rule ip filter user " + match + " accept'");
    }
};

TEST_F(HostFirewall, decides_who_outside_reaches_a_published_port) {
    Container a = connect(engine, "bridge", "a");
    Container b = connect(engine, "bridge", "b");
    std::vector<std::unique_ptr<Server>> servers;
    for (const std::uint16_t number : Numbers{80, 9000, 9050, 9100})
        for (const auto kind : {kTcp, kUdp})
            servers.push_back(std::make_unique<Server>(a.netns.get(), kind, "0.0.0.0", number));
    PortRequest range = port("9000", "9000/udp", "0.0.0.0");
    range.count = 101;
    ASSERT_EQ(publish(a, {port("8080", "80/tcp", "0.0.0.0"), port("8080", "80/udp", "0.0.0.0"),
                          port("8081", "80/tcp", kHostLan), range}),
              "");
    for (const auto restarted : {false, true}) {
        if (restarted)
            engine.restart({MUST(decode_endpoint(encode(a.endpoint))),
                            MUST(decode_endpoint(encode(b.endpoint)))});
        shell("nft flush chain ip filter user");
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), "");
        EXPECT_EQ(ask_udp(lan(), kHostLan, 8080), "");
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8081), "");
        EXPECT_EQ(ask_udp(lan(), kHostLan, 9050), "");
        // From the host and its containers, as without.
        EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "172.17.0.1");
        EXPECT_EQ(ask_tcp(-1, kHostLan, 8080), kHostLan);
        EXPECT_EQ(ask_tcp(b.netns.get(), kHostLan, 8080), "172.17.0.1");
        // By the port that the host shows, not by that of the container.
        allow("tcp dport 80");
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), "");
        allow("tcp dport 8080");
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), kNeighbour);
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), kNeighbour);
        EXPECT_EQ(ask_udp(lan(), kHostLan, 8080), "");
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8081), "");
        allow("iifname lan0 ip saddr 192.0.2.2");
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8081), kNeighbour);
        EXPECT_EQ(ask_udp(lan(), kHostLan, 8080), kNeighbour);
        for (const std::uint16_t number : Numbers{9000, 9050, 9100})
            EXPECT_EQ(ask_udp(lan(), kHostLan, number), kNeighbour);
        allow("ip saddr 192.0.2.3");
        EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), "");
    }
    allow("iifname lan0");
    ASSERT_TRUE(
        engine.networks->unpublish(a.endpoint, {a.endpoint.ports[0], a.endpoint.ports[3].at(50)}));
    EXPECT_EQ(ask_tcp(lan(), kHostLan, 8080), "");
    EXPECT_EQ(ask_udp(lan(), kHostLan, 9050), "");
    EXPECT_EQ(ask_udp(lan(), kHostLan, 9100), kNeighbour);
    // What is flushed is closed, and comes back.
    for (const char* attack :
         {"nft delete table ip coffer_t0", "nft delete table inet coffer_t0"}) {
        shell(attack);
        shell("sleep 0.5");
        EXPECT_EQ(ask_udp(lan(), kHostLan, 9000), kNeighbour) << attack;
    }
    // Containers get out though the host forwards nothing by itself.
    const Server outside(lan(), kTcp, "0.0.0.0", 9000);
    EXPECT_EQ(ask_tcp(a.netns.get(), kNeighbour, 9000), kHostLan);
}

TEST_F(Ports, heal_a_table_that_somebody_flushed) {
    Container a = connect(engine, "bridge", "a");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    ASSERT_EQ(publish(a, {port("8080", "80")}), "");
    shell("nft delete table inet coffer_t0");
    ASSERT_EQ(publish(a, {port("8081", "80")}), "");  // at the latest now
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8080), "172.17.0.1");
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 8081), "172.17.0.1");
}

}  // namespace
}  // namespace coffer::network::testing
