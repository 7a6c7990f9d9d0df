// Root tests of src/network. Called as `network_root_test namespaces` it is the helper process that
// SandboxPool asks for namespaces.

#include <gtest/gtest.h>

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
    return RUN_ALL_TESTS();
}
