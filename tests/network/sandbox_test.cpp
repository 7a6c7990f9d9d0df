// The pool of sandboxes, over a helper process with the real wire format.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "network/sandbox.hpp"
#include "sys/file.hpp"
#include "sys/namespace.hpp"
#include "sys/netlink.hpp"
#include "sys/nft.hpp"
#include "world.hpp"

// The least helper: one child for each pair, made to end once the descriptors are taken.
int serve_namespaces() {
    using namespace coffer;
    for (;;) {
        const auto request = sys::receive_message(3);
        if (!request || request->payload.empty()) return 0;
        const std::string base = request->payload.substr(8, request->payload.size() - 9);
        auto ready = MUST(sys::make_pipe());
        auto hold = MUST(sys::make_pipe());
        const bool joins = !request->fds.empty();
        const pid_t child = ::fork();
        if (child == 0) {
            if (joins) ::setns(request->fds[0].get(), CLONE_NEWUSER);
            ::unshare(joins ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET);
            MUST(sys::write_all(ready.write.get(), "x"));
            hold.write.reset();
            char byte = 0;
            if (::read(hold.read.get(), &byte, 1) < 0) ::_exit(1);
            ::_exit(0);
        }
        char byte = 0;
        if (::read(ready.read.get(), &byte, 1) != 1) return 1;
        const std::string proc = format("/proc/{}/", child);
        if (!joins) {
            MUST(sys::write_existing(proc + "uid_map", "0 " + base + " 65536"));
            MUST(sys::write_existing(proc + "gid_map", "0 " + base + " 65536"));
        }
        const auto user = MUST(sys::open_file(proc + "ns/user", O_RDONLY));
        const auto net = MUST(sys::open_file(proc + "ns/net", O_RDONLY));
        std::vector<int> made = {net.get()};
        if (!joins) made.insert(made.begin(), user.get());
        MUST(sys::send_message(3, "{\"ok\":true}", made));
        hold.write.reset();
        ::waitpid(child, nullptr, 0);
    }
}

namespace coffer::network::testing {
namespace {

SandboxPoolOptions options_with(unsigned ready) {
    SandboxPoolOptions options;
    options.helper = {"/proc/self/exe", "namespaces"};
    options.ready = ready;
    return options;
}

std::string sysctl(const Sandbox& sandbox, const std::string& name) {
    std::string text;
    MUST(sys::netlink::run_in_netns(sandbox.netns.get(), [&]() -> Result<void> {
        text = TRY(sys::read_file("/proc/sys/net/" + name));
        return {};
    }));
    return text;
}

TEST(SandboxPool, gives_namespaces_with_their_own_ids_and_settings) {
    auto pool = MUST(SandboxPool::create(options_with(0)));
    const Sandbox a = MUST(pool->take());
    const Sandbox b = MUST(pool->take());
    EXPECT_NE(a.id_base, b.id_base);
    EXPECT_EQ(a.id_base % kIdCount, 0U);
    EXPECT_GE(a.id_base, kFirstIdBase);
    EXPECT_LE(b.id_base, kLastIdBase);
    EXPECT_EQ(sysctl(a, "ipv4/ip_unprivileged_port_start"), "0\n");
    EXPECT_EQ(sysctl(a, "ipv4/ping_group_range"), format("{}\t{}\n", a.id_base, a.id_base + 65535));
    EXPECT_EQ(sysctl(a, "ipv6/conf/default/disable_ipv6"), "1\n");
    EXPECT_EQ(sysctl(a, "ipv6/conf/lo/disable_ipv6"), "0\n");
    const Server local(a.netns.get(), Server::Kind::Tcp, "127.0.0.1", 80);
    EXPECT_EQ(ask_tcp(a.netns.get(), "127.0.0.1", 80), "127.0.0.1") << "lo is up";
    EXPECT_EQ(ask_tcp(b.netns.get(), "127.0.0.1", 80), "") << "another namespace";
}

TEST(SandboxPool, never_gives_a_reserved_range) {
    auto pool = MUST(SandboxPool::create(options_with(0)));
    const Sandbox first = MUST(pool->take());
    const std::uint32_t next =
        first.id_base == kLastIdBase ? kFirstIdBase : first.id_base + kIdCount;
    MUST(pool->reserve(next));
    MUST(pool->reserve(next));  // of two who share it
    EXPECT_FALSE(pool->reserve(0));
    EXPECT_FALSE(pool->reserve(kFirstIdBase + 1));
    EXPECT_FALSE(pool->reserve(kLastIdBase + kIdCount));
    pool->release(next);
    EXPECT_NE(MUST(pool->take()).id_base, next) << "the other still has it";
}

TEST(SandboxPool, gives_a_network_in_the_user_namespace_of_another) {
    auto pool = MUST(SandboxPool::create(options_with(0)));
    const Sandbox owner = MUST(pool->take());
    sys::Fd userns = MUST(owner.userns.duplicate());
    const Sandbox guest = MUST(pool->join(std::move(userns), owner.id_base));
    EXPECT_EQ(guest.id_base, owner.id_base);
    EXPECT_FALSE(MUST(sys::ns::same(guest.netns.get(), owner.netns.get())));
    EXPECT_TRUE(MUST(sys::ns::is_owned_by(guest.netns.get(), owner.userns.get())));
    EXPECT_EQ(sysctl(guest, "ipv4/ip_unprivileged_port_start"), "0\n");

    // One that has given its range back is not joined, whoever has the range now.
    pool->release(owner.id_base);
    pool->release(owner.id_base);
    userns = MUST(owner.userns.duplicate());
    EXPECT_FALSE(pool->join(std::move(userns), owner.id_base));
    MUST(pool->reserve(owner.id_base));
    const Sandbox other = MUST(pool->take());
    userns = MUST(owner.userns.duplicate());
    EXPECT_FALSE(pool->join(std::move(userns), other.id_base));
}

TEST(SandboxPool, keeps_a_stock) {
    auto pool = MUST(SandboxPool::create(options_with(3)));
    pool->warm();
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(pool->take());
}

TEST(SandboxPool, fails_with_a_helper_that_is_none) {
    SandboxPoolOptions options;
    options.helper = {"/bin/true"};
    auto pool = MUST(SandboxPool::create(options));
    EXPECT_FALSE(pool->take());
    options.helper = {"/nonexistent"};
    pool = MUST(SandboxPool::create(options));
    EXPECT_FALSE(pool->take());
}

// libnftables waits by select(2), which ends the process over a descriptor from FD_SETSIZE on.
TEST(Nft, serves_an_engine_with_many_descriptors) {
    MUST(sys::nft::run("add table inet many"));
    std::vector<sys::Fd> many;
    while (many.empty() || many.back().get() < FD_SETSIZE)
        many.push_back(MUST(sys::open_file("/dev/null", O_RDONLY)));
    const sys::Fd other = new_netns();
    MUST(sys::netlink::run_in_netns(other.get(),
                                    [] { return sys::nft::run_here("add table inet there"); }));
    const std::string here = MUST(sys::nft::list_json("list tables"));
    EXPECT_NE(here.find("\"many\""), std::string::npos) << here;
    EXPECT_EQ(here.find("\"there\""), std::string::npos) << here;
    const std::string there = shell_in(other.get(), "nft list tables");
    EXPECT_NE(there.find("inet there"), std::string::npos) << there;
    EXPECT_NE(MUST(sys::nft::run("list tables")).find("inet many"), std::string::npos);
    MUST(sys::nft::run("delete table inet many"));
}

TEST(SandboxPool, serves_the_network) {
    auto pool = MUST(SandboxPool::create(options_with(0)));
    Engine engine;
    const Sandbox sandbox = MUST(pool->take());
    ConnectOptions options;
    options.container_id = "a";
    options.netns_fd = sandbox.netns.get();
    const Endpoint endpoint = MUST(engine.networks->connect("bridge", options));
    const Server on_host(-1, Server::Kind::Tcp, "0.0.0.0", 81);
    EXPECT_EQ(ask_tcp(sandbox.netns.get(), endpoint.gateway, 81), endpoint.ip);
    engine.networks->release(endpoint);
}

}  // namespace
}  // namespace coffer::network::testing
