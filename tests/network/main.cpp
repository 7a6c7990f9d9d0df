// Root tests of src/network. Called as `network_root_test namespaces` it is the helper process that
// SandboxPool asks for namespaces. With BRIDGE_NETFILTER=1 the tests run with bridged frames going
// through the firewall's IP hooks, as beside docker.

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "world.hpp"

int serve_namespaces();

int main(int argc, char** argv) {
    if (argc == 2 && std::strcmp(argv[1], "namespaces") == 0) return serve_namespaces();
    ::testing::InitGoogleTest(&argc, argv);
    if (!coffer::network::testing::enter_fresh_netns()) {
        std::fputs("skipped: needs root\n", stderr);
        return 77;
    }
    const char* netfilter = std::getenv("BRIDGE_NETFILTER");
    coffer::network::testing::set_bridge_netfilter(netfilter == nullptr ? "0" : netfilter);
    return RUN_ALL_TESTS();
}
