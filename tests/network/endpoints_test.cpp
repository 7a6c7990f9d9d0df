// Who reaches whom.

#include <gtest/gtest.h>

#include <chrono>

#include "network/bridge.hpp"
#include "world.hpp"

namespace coffer::network::testing {
namespace {

constexpr auto kTcp = Server::Kind::Tcp;

// One LAN for all tests: the host's side is a namespace of this process.
class Endpoints : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { lan_ = new sys::Fd(make_lan()); }
    static void TearDownTestSuite() {
        delete lan_;
        shell("ip link delete lan0 2>/dev/null || true");  // it may have gone with the namespace
    }
    static int lan() { return lan_->get(); }

  private:
    static inline sys::Fd* lan_ = nullptr;
};

TEST_F(Endpoints, get_the_first_addresses_of_the_first_free_pool) {
    Engine engine;
    const Container a = connect(engine, "bridge", "a");
    const Container b = connect(engine, "bridge", "b");
    EXPECT_EQ(a.endpoint.ip, "172.17.0.2");
    EXPECT_EQ(a.endpoint.gateway, "172.17.0.1");
    EXPECT_EQ(a.endpoint.prefix, 16U);
    EXPECT_EQ(a.endpoint.mac, "02:42:ac:11:00:02");
    EXPECT_EQ(b.endpoint.ip, "172.17.0.3");
    const std::string shown = shell_in(a.netns.get(), "ip -4 address show eth0; ip route");
    EXPECT_NE(shown.find("172.17.0.2/16"), std::string::npos) << shown;
    EXPECT_NE(shown.find("default via 172.17.0.1"), std::string::npos) << shown;
    engine.networks->release(a.endpoint);
    EXPECT_EQ(connect(engine, "bridge", "c").endpoint.ip, "172.17.0.2");
}

TEST_F(Endpoints, on_the_default_bridge_reach_the_host_and_out_but_not_each_other) {
    Engine engine;
    const Container a = connect(engine, "bridge", "a");
    const Container b = connect(engine, "bridge", "b");
    const Server in_b(b.netns.get(), kTcp, "0.0.0.0", 80);
    const Server on_host(-1, kTcp, "0.0.0.0", 81);
    const Server outside(lan(), kTcp, "0.0.0.0", 82);
    EXPECT_EQ(ask_tcp(-1, b.endpoint.ip, 80), "172.17.0.1") << "the host reaches a container";
    EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), "") << "no east-west";
    EXPECT_EQ(ask_tcp(a.netns.get(), "172.17.0.1", 81), a.endpoint.ip);
    EXPECT_EQ(ask_tcp(a.netns.get(), kNeighbour, 82), kHostLan) << "masqueraded";
    // Nor by way of the host: a static neighbour entry makes it route what it should not.
    shell_in(a.netns.get(), "ip route add " + b.endpoint.ip + "/32 via 172.17.0.1");
    EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), "");
}

TEST_F(Endpoints, on_the_default_bridge_talk_when_asked_to) {
    Engine engine;
    engine.config.icc = true;
    engine.restart({});
    const Container a = connect(engine, "bridge", "a");
    const Container b = connect(engine, "bridge", "b");
    const Server in_b(b.netns.get(), kTcp, "0.0.0.0", 80);
    EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), a.endpoint.ip);
}

TEST_F(Endpoints, of_one_named_network_talk_and_of_two_do_not) {
    Engine engine;
    NetworkSpec spec;
    spec.name = "front";
    const Network front = MUST(engine.networks->create(spec));
    EXPECT_EQ(front.subnets[0].subnet, "172.18.0.0/16");
    EXPECT_EQ(front.subnets[0].gateway, "172.18.0.1");
    spec.name = "back";
    MUST(engine.networks->create(spec));
    const Container a = connect(engine, "front", "a");
    const Container b = connect(engine, front.id.substr(0, 12), "b");
    const Container c = connect(engine, "back", "c");
    const Server in_b(b.netns.get(), kTcp, "0.0.0.0", 80);
    EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), a.endpoint.ip);
    EXPECT_EQ(ask_tcp(c.netns.get(), b.endpoint.ip, 80), "");
    const Server outside(lan(), kTcp, "0.0.0.0", 82);
    EXPECT_EQ(ask_tcp(c.netns.get(), kNeighbour, 82), kHostLan);
}

TEST_F(Endpoints, of_an_internal_network_stay_inside) {
    Engine engine;
    NetworkSpec spec;
    spec.name = "inner";
    spec.internal = true;
    MUST(engine.networks->create(spec));
    const Container a = connect(engine, "inner", "a");
    const Container b = connect(engine, "inner", "b");
    EXPECT_EQ(a.endpoint.gateway, "");
    const Server in_b(b.netns.get(), kTcp, "0.0.0.0", 80);
    const Server outside(lan(), kTcp, "0.0.0.0", 82);
    EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), a.endpoint.ip);
    shell_in(a.netns.get(), "ip route add default via 172.18.0.1");
    EXPECT_EQ(ask_tcp(a.netns.get(), kNeighbour, 82), "");
}

TEST_F(Endpoints, are_not_reached_from_the_lan) {
    Engine engine;
    const Container a = connect(engine, "bridge", "a");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    EXPECT_EQ(ask_tcp(lan(), a.endpoint.ip, 80), "");
}

TEST_F(Endpoints, do_not_reach_the_metadata_service_or_the_loopback_of_the_host) {
    Engine engine;
    const Container a = connect(engine, "bridge", "a");
    const Server metadata(lan(), kTcp, kMetadata, 80);
    EXPECT_EQ(ask_tcp(-1, kMetadata, 80), kHostLan) << "the host does";
    EXPECT_EQ(ask_tcp(a.netns.get(), kMetadata, 80), "");
    const Server local(-1, kTcp, "127.0.0.1", 83);
    EXPECT_EQ(ask_tcp(-1, "127.0.0.1", 83), "127.0.0.1");
    shell_in(a.netns.get(),
             "echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet; ip link set lo down;"
             "ip route add 127.0.0.1/32 via 172.17.0.1");
    EXPECT_EQ(ask_tcp(a.netns.get(), "127.0.0.1", 83), "");
}

TEST_F(Endpoints, pass_the_firewall_of_a_dockerd_beside_us) {
    shell(
        "nft 'table ip filter { chain DOCKER-USER { return; };"
        " chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }; "
        "}'");
    {
        Engine engine;
        NetworkSpec spec;
        spec.name = "named";
        MUST(engine.networks->create(spec));
        const Server outside(lan(), kTcp, "0.0.0.0", 82);
        const Container a = connect(engine, "bridge", "a");
        const Container b = connect(engine, "named", "b");
        EXPECT_EQ(ask_tcp(a.netns.get(), kNeighbour, 82), kHostLan);
        EXPECT_EQ(ask_tcp(b.netns.get(), kNeighbour, 82), kHostLan);
    }
    const std::string rules = shell("nft list chain ip filter DOCKER-USER");
    EXPECT_EQ(rules.find("br-"), std::string::npos) << "removed networks leave no rule\n" << rules;
    shell("nft delete table ip filter");
}

TEST_F(Endpoints, pass_the_firewall_of_a_dockerd_that_starts_later) {
    Engine engine;
    const Server outside(lan(), kTcp, "0.0.0.0", 82);
    const Container a = connect(engine, "bridge", "a");
    shell(
        "nft 'table ip filter { chain DOCKER-USER { return; };"
        " chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; }; "
        "}'");
    shell("sleep 0.5");
    EXPECT_EQ(ask_tcp(a.netns.get(), kNeighbour, 82), kHostLan);
    shell("nft delete table ip filter");
}

TEST_F(Endpoints, connect_only_once_and_with_a_free_address) {
    Engine engine;
    NetworkSpec spec;
    spec.name = "named";
    MUST(engine.networks->create(spec));
    ConnectOptions options;
    options.ip = "172.18.0.9";
    const Container a = connect(engine, "named", "a", options);
    EXPECT_EQ(a.endpoint.ip, "172.18.0.9");
    options.container_id = "b";
    options.netns_fd = a.netns.get();
    EXPECT_EQ(engine.networks->connect("named", options).error().message, "Address already in use");
    options.ip = "10.9.9.9";
    EXPECT_EQ(engine.networks->connect("named", options).error().code, Code::InvalidArgument);
    options.container_id = a.endpoint.container_id;
    EXPECT_EQ(engine.networks->connect("named", options).error().code, Code::Forbidden);
    options.container_id = "c";
    EXPECT_EQ(engine.networks->connect("nowhere", options).error().message,
              "network nowhere not found");
    // A step that fails half-way gives everything back: eth0 is there already.
    options.ip = "172.18.0.10";
    EXPECT_FALSE(engine.networks->connect("named", options));
    const Container d = connect(engine, "named", "d", [] {
        ConnectOptions again;
        again.ip = "172.18.0.10";
        return again;
    }());
    EXPECT_EQ(d.endpoint.ip, "172.18.0.10");
}

TEST_F(Endpoints, survive_the_end_of_the_engine) {
    Engine engine;
    const Container a = connect(engine, "bridge", "a");
    const Container stale = connect(engine, "bridge", "stale");
    const Server in_a(a.netns.get(), kTcp, "0.0.0.0", 80);
    const Endpoint kept = MUST(decode_endpoint(encode(a.endpoint)));
    engine.restart({kept});
    EXPECT_EQ(ask_tcp(-1, a.endpoint.ip, 80), "172.17.0.1");
    EXPECT_EQ(connect(engine, "bridge", "b").endpoint.ip, "172.17.0.3")
        << "the stale one's is free";
    EXPECT_EQ(shell("ip link show " + stale.endpoint.host_ifname + " 2>/dev/null || true"), "")
        << "its interface is gone";
    engine.networks->release(kept);
}

TEST_F(Endpoints, leave_a_network_while_they_run) {
    Engine engine;
    const Container a = connect(engine, "bridge", "a");
    MUST(engine.networks->disconnect(a.endpoint));
    EXPECT_EQ(shell_in(a.netns.get(), "ip link show eth0 2>/dev/null || true"), "");
    EXPECT_EQ(connect(engine, "bridge", "b").endpoint.ip, a.endpoint.ip);
}

TEST_F(Endpoints, come_back_after_somebody_deleted_the_bridge) {
    Engine engine;
    shell("ip link delete t0");
    const Container a = connect(engine, "bridge", "a");
    const Server on_host(-1, kTcp, "0.0.0.0", 81);
    EXPECT_EQ(ask_tcp(a.netns.get(), "172.17.0.1", 81), a.endpoint.ip);
}

// A container sends under its own addresses alone, unless its network lets it.
TEST_F(Endpoints, cannot_take_the_address_of_a_neighbour) {
    Engine engine;
    for (const bool allowed : {false, true}) {
        NetworkSpec spec;
        spec.name = allowed ? "free" : "guarded";
        spec.enable_ipv6 = true;
        if (allowed) spec.options["coffer.network.spoofing"] = "allow";
        MUST(engine.networks->create(spec));
        const Container liar = connect(engine, spec.name, "liar");
        const Container victim = connect(engine, spec.name, "victim");
        const Container peer = connect(engine, spec.name, "peer");
        const auto reaches = [](const Container& from, const std::string& to) {
            return shell_in(from.netns.get(), "busybox ping -c1 -W1 " + to +
                                                  " >/dev/null 2>&1 && echo -n yes || true");
        };
        EXPECT_EQ(reaches(liar, peer.endpoint.ip), "yes");
        EXPECT_EQ(reaches(liar, peer.endpoint.ip6), "yes");
        // It takes an address that nobody has, and its own hardware address stays.
        const std::string base = liar.endpoint.ip.substr(0, liar.endpoint.ip.rfind('.'));
        const std::string base6 = liar.endpoint.ip6.substr(0, liar.endpoint.ip6.rfind(':'));
        shell_in(liar.netns.get(), format("ip address add {}.77/24 dev eth0; "
                                          "ip -6 address add {}:77/64 dev eth0 nodad",
                                          base, base6));
        EXPECT_EQ(reaches(peer, base + ".77"), allowed ? "yes" : "");
        EXPECT_EQ(reaches(peer, base6 + ":77"), allowed ? "yes" : "");
        EXPECT_EQ(reaches(liar, "-I " + base + ".77 " + peer.endpoint.ip), allowed ? "yes" : "");
        // And another hardware address.
        shell_in(liar.netns.get(), "ip link set eth0 address 02:42:00:00:00:77");
        shell_in(peer.netns.get(), "ip neigh flush all");
        EXPECT_EQ(reaches(liar, peer.endpoint.ip), allowed ? "yes" : "");
        engine.restart({liar.endpoint, victim.endpoint, peer.endpoint});
        EXPECT_EQ(reaches(liar, peer.endpoint.ip), allowed ? "yes" : "") << "after a restart";
        EXPECT_EQ(reaches(victim, peer.endpoint.ip), "yes");
    }
}

TEST_F(Endpoints, stay_apart_when_bridge_netfilter_is_switched) {
    if (::access("/proc/sys/net/bridge", F_OK) != 0) GTEST_SKIP() << "needs module br_netfilter";
    const std::string before = shell("cat /proc/sys/net/bridge/bridge-nf-call-iptables");
    for (const auto& [from, to] : {std::pair{"0", "1"}, std::pair{"1", "0"}}) {
        set_bridge_netfilter(from);
        Engine engine;
        const Container a = connect(engine, "bridge", "a");
        const Container b = connect(engine, "bridge", "b");
        const Server in_b(b.netns.get(), kTcp, "0.0.0.0", 80);
        set_bridge_netfilter(to);
        EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), "") << from << " to " << to;
        engine.restart({a.endpoint, b.endpoint});
        EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), "") << from << " to " << to;
    }
    set_bridge_netfilter(before.c_str());
}

TEST(TwoEngines, live_side_by_side) {
    Engine first("t0");
    Engine second("t1");
    const Container a = connect(first, "bridge", "a");
    const Container b = connect(second, "bridge", "b");
    EXPECT_EQ(a.endpoint.ip, "172.17.0.2");
    EXPECT_EQ(b.endpoint.ip, "172.18.0.2");
    const Server in_b(b.netns.get(), kTcp, "0.0.0.0", 80);
    EXPECT_EQ(ask_tcp(-1, b.endpoint.ip, 80), "172.18.0.1");
    EXPECT_EQ(ask_tcp(a.netns.get(), b.endpoint.ip, 80), "");
    first.restart({a.endpoint});
    EXPECT_EQ(ask_tcp(-1, b.endpoint.ip, 80), "172.18.0.1") << "the other table is untouched";
}

TEST(NetworksApi, refuses_what_docker_refuses) {
    Engine engine;
    Networks& networks = *engine.networks;
    const auto create = [&](const std::string& name, const std::string& subnet = {}) {
        NetworkSpec spec;
        spec.name = name;
        SubnetConfig config;
        config.subnet = subnet;
        spec.subnets = {config};
        return networks.create(spec);
    };
    EXPECT_EQ(create("bridge").error().code, Code::Forbidden);
    EXPECT_EQ(create("").error().code, Code::InvalidArgument);
    EXPECT_EQ(create("a b").error().code, Code::InvalidArgument);
    EXPECT_EQ(create("../x").error().code, Code::InvalidArgument);
    MUST(create("net", "10.77.0.0/24"));
    EXPECT_EQ(create("net").error().message, "network with name net already exists");
    EXPECT_EQ(create("other", "10.77.0.128/25").error().message,
              "invalid pool request: Pool overlaps with other one on this address space: "
              "10.77.0.128/25 overlaps 10.77.0.0/24 of network net");
    EXPECT_EQ(networks.remove("bridge").error().message,
              "bridge is a pre-defined network and cannot be removed");
    EXPECT_EQ(networks.remove("none").error().code, Code::Forbidden);
    EXPECT_EQ(networks.remove("nope").error().message, "network nope not found");
    const Container a = connect(engine, "net", "a");
    EXPECT_EQ(networks.remove("net").error().code, Code::Forbidden);
    networks.release(a.endpoint);
    const Network gone = MUST(networks.remove("net"));
    EXPECT_EQ(shell("ip link show " + gone.bridge + " 2>/dev/null || true"), "");
    EXPECT_EQ(shell("nft list table inet coffer_t0").find(gone.bridge), std::string::npos);
    MUST(create("other", "10.77.0.128/25"));
}

TEST(NetworksApi, keeps_networks_over_a_restart) {
    Engine engine;
    NetworkSpec spec;
    spec.name = "kept";
    spec.labels = {{"a", "b"}};
    const Network before = MUST(engine.networks->create(spec));
    const std::string bridge_id = engine.networks->get("bridge")->id;
    engine.restart({});
    const Network after = MUST(engine.networks->get("kept"));
    EXPECT_EQ(after.id, before.id);
    EXPECT_EQ(after.labels, before.labels);
    EXPECT_EQ(after.subnets[0].subnet, before.subnets[0].subnet);
    EXPECT_EQ(engine.networks->get("bridge")->id, bridge_id);
    EXPECT_EQ(engine.networks->list().size(), 4U);
}

TEST(NetworksApi, host_and_none_need_no_wires) {
    Engine engine;
    const Container a = connect(engine, "host", "a");
    const Container b = connect(engine, "none", "b");
    EXPECT_EQ(a.endpoint.ip, "");
    EXPECT_EQ(engine.networks->endpoints(b.endpoint.network_id).size(), 1U);
    engine.networks->release(b.endpoint);
    EXPECT_EQ(engine.networks->endpoints(b.endpoint.network_id).size(), 0U);
}

TEST(NetworksApi, honours_bip) {
    Engine engine;
    engine.config.bip = "10.55.0.7/24";
    engine.restart({});
    const Container a = connect(engine, "bridge", "a");
    EXPECT_EQ(a.endpoint.ip, "10.55.0.1");
    EXPECT_EQ(a.endpoint.gateway, "10.55.0.7");
    EXPECT_NE(shell("ip -4 -o address show t0").find("10.55.0.7/24"), std::string::npos);
    EXPECT_EQ(shell("ip -4 -o address show t0").find("172.17"), std::string::npos);
}

}  // namespace
}  // namespace coffer::network::testing
