// Who reaches what, and as whom: every pair of a client and a place, asked over TCP and UDP.

#include <gtest/gtest.h>

#include <thread>

#include "world.hpp"

namespace coffer::network::testing {
namespace {

struct Place {
    std::string name;
    std::string address;
    std::uint16_t port;
    // For each client, in their order: the address that the server sees, "" when it is not reached.
    std::vector<std::string> seen_as;
};

struct Client {
    std::string name;
    int netns;
};

// What went otherwise.
std::vector<std::string> differences(const Client& client, std::size_t number,
                                     const std::vector<Place>& places) {
    std::vector<std::string> found;
    for (const Place& place : places) {
        const std::string& expected = place.seen_as.at(number);
        const auto check = [&](const char* kind, const std::string& got) {
            if (got != expected)
                found.push_back(format("{} to {} ({}:{}, {}): '{}' instead of '{}'", client.name,
                                       place.name, place.address, place.port, kind, got, expected));
        };
        check("tcp", ask_tcp(client.netns, place.address, place.port));
        check("udp", ask_udp(client.netns, place.address, place.port));
    }
    return found;
}

// With and without bridged frames in the firewall's IP hooks.
class Reachability : public ::testing::TestWithParam<const char*> {
  protected:
    Reachability() : lan(make_lan()) {
        for (const char* name : {"net1", "inside"}) {
            NetworkSpec spec;
            spec.name = name;
            spec.internal = spec.name == "inside";
            MUST(engine.networks->create(spec));
        }
        a = connect(engine, "bridge", "a");
        b = connect(engine, "bridge", "b");
        c = connect(engine, "net1", "c");
        d = connect(engine, "net1", "d");
        e = connect(engine, "inside", "e");
        f = connect(engine, "inside", "f");
    }
    ~Reachability() override { shell("ip link delete lan0"); }
    Reachability(const Reachability&) = delete;
    Reachability& operator=(const Reachability&) = delete;
    Reachability(Reachability&&) = delete;
    Reachability& operator=(Reachability&&) = delete;

    std::string gateway(const char* network) {
        return MUST(engine.networks->get(network)).subnets.at(0).gateway;
    }
    void serve(int netns, const std::string& address, std::uint16_t port) {
        for (const auto kind : {Server::Kind::Tcp, Server::Kind::Udp})
            servers.push_back(std::make_unique<Server>(netns, kind, address, port));
    }
    static std::vector<PortRequest> both(std::string_view host, const std::string& host_ip) {
        return {port(host, "80/tcp", host_ip), port(host, "80/udp", host_ip)};
    }

    // All clients at once: most of it is waiting for what does not come.
    static void expect(const std::vector<Client>& clients, const std::vector<Place>& places) {
        std::vector<std::vector<std::string>> found(clients.size());
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < clients.size(); ++i)
            threads.emplace_back([&, i] { found[i] = differences(clients[i], i, places); });
        for (std::thread& thread : threads) thread.join();
        for (const auto& list : found)
            for (const std::string& text : list) ADD_FAILURE() << text;
    }

    struct Netfilter {
        explicit Netfilter(const char* value)
            : before(shell("cat /proc/sys/net/bridge/bridge-nf-call-iptables")) {
            set_bridge_netfilter(value);
        }
        ~Netfilter() { set_bridge_netfilter(before.c_str()); }
        Netfilter(const Netfilter&) = delete;
        Netfilter& operator=(const Netfilter&) = delete;
        Netfilter(Netfilter&&) = delete;
        Netfilter& operator=(Netfilter&&) = delete;
        std::string before;
    };

    Netfilter netfilter{GetParam()};
    Engine engine;
    sys::Fd lan;
    Container a, b, c, d, e, f;
    std::vector<std::unique_ptr<Server>> servers;
};

TEST_P(Reachability, is_as_the_networks_say) {
    for (const Container* container : {&a, &c, &e}) serve(container->netns.get(), "0.0.0.0", 80);
    serve(-1, "127.0.0.1", 7000);
    serve(-1, "0.0.0.0", 7001);
    serve(lan.get(), "0.0.0.0", 9000);
    ASSERT_TRUE(engine.networks->publish(a.endpoint, both("8080", "0.0.0.0")));
    ASSERT_TRUE(engine.networks->publish(c.endpoint, both("8081", "0.0.0.0")));
    ASSERT_TRUE(engine.networks->publish(a.endpoint, both("8082", kHostLan)));
    ASSERT_TRUE(engine.networks->publish(a.endpoint, both("8083", "127.0.0.1")));

    const std::vector<Client> clients = {
        {"the LAN", lan.get()}, {"the host", -1},     {"a", a.netns.get()}, {"b", b.netns.get()},
        {"c", c.netns.get()},   {"d", d.netns.get()}, {"e", e.netns.get()}, {"f", f.netns.get()}};
    const std::string own_a = a.endpoint.ip, own_b = b.endpoint.ip, own_c = c.endpoint.ip,
                      own_d = d.endpoint.ip, own_e = e.endpoint.ip, own_f = f.endpoint.ip;
    const std::string gw0 = gateway("bridge"), gw1 = gateway("net1"), gw2 = gateway("inside");
    const std::string host = kHostLan, far = kNeighbour, no, local = "127.0.0.1";
    // Answers to one of the same bridge would not pass the host: it is seen as the gateway.
    const std::vector<Place> places = {
        {"published everywhere", host, 8080, {far, host, gw0, gw0, own_c, own_d, no, no}},
        {"the same, of net1", host, 8081, {far, host, own_a, own_b, gw1, gw1, no, no}},
        {"by its gateway", gw0, 8080, {far, gw0, gw0, gw0, own_c, own_d, no, no}},
        {"by the gateway of inside", gw2, 8080, {far, gw2, gw0, gw0, own_c, own_d, no, no}},
        {"by loopback", local, 8081, {no, gw1, no, no, no, no, no, no}},
        {"published at one address", host, 8082, {far, host, gw0, gw0, own_c, own_d, no, no}},
        {"at another address", gw0, 8082, {no, no, no, no, no, no, no, no}},
        {"published on loopback", local, 8083, {no, gw0, no, no, no, no, no, no}},
        {"at the address of the LAN", host, 8083, {no, no, no, no, no, no, no, no}},
        {"a itself", a.endpoint.ip, 80, {no, gw0, own_a, no, no, no, no, no}},
        {"c itself", c.endpoint.ip, 80, {no, gw1, no, no, own_c, own_d, no, no}},
        {"e itself", e.endpoint.ip, 80, {no, gw2, no, no, no, no, own_e, own_f}},
        {"loopback of the host", local, 7000, {no, local, no, no, no, no, no, no}},
        {"the host", host, 7001, {far, host, own_a, own_b, own_c, own_d, no, no}},
        {"the host, from inside", gw2, 7001, {far, gw2, own_a, own_b, own_c, own_d, own_e, own_f}},
        {"a port that nobody has", host, 80, {no, no, no, no, no, no, no, no}},
        {"the LAN", far, 9000, {far, host, host, host, host, host, no, no}},
        {"metadata", kMetadata, 9000, {kMetadata, host, no, no, no, no, no, no}},
    };
    expect(clients, places);
}

TEST_P(Reachability, is_as_the_networks_say_over_ipv6) {
    for (const char* name : {"six1", "six2", "inside6"}) {
        NetworkSpec spec;
        spec.name = name;
        spec.enable_ipv6 = true;
        spec.internal = spec.name == "inside6";
        MUST(engine.networks->create(spec));
    }
    Container g = connect(engine, "six1", "g"), h = connect(engine, "six1", "h"),
              i = connect(engine, "six2", "i"), j = connect(engine, "inside6", "j"),
              k = connect(engine, "inside6", "k");
    for (const Container* container : {&g, &j}) serve(container->netns.get(), "::", 80);
    serve(-1, "::1", 7000);
    serve(-1, "::", 7001);
    serve(lan.get(), "::", 9000);
    ASSERT_TRUE(engine.networks->publish(g.endpoint, both("8080", "::")));
    ASSERT_TRUE(engine.networks->publish(g.endpoint, both("8082", kHostLan6)));
    EXPECT_FALSE(engine.networks->publish(g.endpoint, both("8083", "::1")));

    const std::vector<Client> clients = {
        {"the LAN", lan.get()}, {"the host", -1},     {"g", g.netns.get()}, {"h", h.netns.get()},
        {"i", i.netns.get()},   {"j", j.netns.get()}, {"k", k.netns.get()}};
    const auto gateway6 = [&](const char* network) {
        return MUST(engine.networks->get(network)).subnets.at(1).gateway;
    };
    const std::string own_g = g.endpoint.ip6, own_h = h.endpoint.ip6, own_i = i.endpoint.ip6,
                      own_j = j.endpoint.ip6, own_k = k.endpoint.ip6;
    const std::string gw1 = gateway6("six1"), gw2 = gateway6("six2"), gw3 = gateway6("inside6");
    const std::string host = kHostLan6, far = kNeighbour6, no, local = "::1";
    const std::vector<Place> places = {
        {"published everywhere", host, 8080, {far, host, gw1, gw1, own_i, no, no}},
        {"by its gateway", gw1, 8080, {far, gw1, gw1, gw1, own_i, no, no}},
        {"by the gateway of inside", gw3, 8080, {far, gw3, gw1, gw1, own_i, no, no}},
        {"by loopback", local, 8080, {no, no, no, no, no, no, no}},
        {"published at one address", host, 8082, {far, host, gw1, gw1, own_i, no, no}},
        {"at another address", gw1, 8082, {no, no, no, no, no, no, no}},
        {"g itself", own_g, 80, {no, gw1, own_g, own_h, no, no, no}},
        {"j itself", own_j, 80, {no, gw3, no, no, no, own_j, own_k}},
        {"loopback of the host", local, 7000, {no, local, no, no, no, no, no}},
        {"the host", host, 7001, {far, host, own_g, own_h, own_i, no, no}},
        {"the host, from inside", gw3, 7001, {far, gw3, own_g, own_h, own_i, own_j, own_k}},
        {"a port that nobody has", host, 80, {no, no, no, no, no, no, no}},
        {"the LAN", far, 9000, {far, host, host, host, host, no, no}},
    };
    expect(clients, places);
}

INSTANTIATE_TEST_SUITE_P(BridgeNetfilter, Reachability, ::testing::Values("0", "1"));

}  // namespace
}  // namespace coffer::network::testing
