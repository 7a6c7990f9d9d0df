#include "world.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <thread>

#include "base/sync.hpp"
#include "sys/file.hpp"
#include "sys/netlink.hpp"
#include "sys/process.hpp"
#include "sys/socket_address.hpp"

namespace coffer::network::testing {
namespace {

constexpr int kPatience = 400;  // milliseconds

sys::SocketAddress name_of(const std::string& address, std::uint16_t port) {
    return sys::SocketAddress::parse(address, port).value_or(sys::SocketAddress());
}
std::string text_of(const sys::SocketAddress& name) {
    char text[INET6_ADDRSTRLEN] = "";
    ::getnameinfo(name.get(), name.size, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    return text;
}

// A socket made inside the namespace.
sys::Fd socket_in(int netns, int family, int type) {
    sys::Fd fd;
    const auto open = [&]() -> Result<void> {
        fd.reset(::socket(family, type | SOCK_CLOEXEC, 0));
        return {};
    };
    if (netns < 0)
        MUST(open());
    else
        MUST(sys::netlink::run_in_netns(netns, open));
    return fd;
}

bool readable(int fd) {
    pollfd poll{fd, POLLIN, 0};
    return ::poll(&poll, 1, kPatience) == 1;
}

}  // namespace

Result<std::vector<std::string>> MemoryRecords::load() {
    std::vector<std::string> all;
    for (const auto& [id, document] : documents) all.push_back(document);
    return all;
}
Result<void> MemoryRecords::save(const std::string& id, const std::string& document) {
    documents[id] = document;
    return {};
}
Result<void> MemoryRecords::remove(const std::string& id) {
    documents.erase(id);
    return {};
}

bool enter_fresh_netns() {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return false;
    auto socket = MUST(sys::netlink::Socket::open());
    sys::netlink::Batch batch;
    batch.set_up(1);
    MUST(socket.commit(batch));
    return true;
}

sys::Fd new_netns() {
    sys::Fd fd;
    std::thread([&fd] {
        if (::unshare(CLONE_NEWNET) != 0) return;
        fd.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
        auto socket = MUST(sys::netlink::Socket::open());
        sys::netlink::Batch batch;
        batch.set_up(1);
        MUST(socket.commit(batch));
    }).join();
    return fd;
}

struct Server::Impl {
    sys::Fd socket;
    Kind kind;
    Cancel cancel;
    std::thread thread;

    void serve() {
        for (;;) {
            pollfd polls[2] = {{socket.get(), POLLIN, 0}, {cancel.fd(), POLLIN, 0}};
            ::poll(polls, 2, -1);
            if (polls[1].revents != 0) return;
            sys::SocketAddress peer;
            peer.size = sizeof peer.storage;
            auto* address = reinterpret_cast<sockaddr*>(&peer.storage);
            if (kind == Kind::Tcp) {
                const sys::Fd client(::accept4(socket.get(), address, &peer.size, SOCK_CLOEXEC));
                ignore(sys::write_all(client.get(), text_of(peer)), "the client asks again");
            } else {
                char buffer[64];
                ::recvfrom(socket.get(), buffer, sizeof buffer, 0, address, &peer.size);
                const std::string text = text_of(peer);
                ::sendto(socket.get(), text.data(), text.size(), 0, peer.get(), peer.size);
            }
        }
    }
};

Server::Server(int netns, Kind kind, const std::string& address, std::uint16_t port)
    : impl_(std::make_unique<Impl>()) {
    impl_->kind = kind;
    const auto name = name_of(address, port);
    impl_->socket = socket_in(netns, name.family(), kind == Kind::Tcp ? SOCK_STREAM : SOCK_DGRAM);
    const int on = 1;
    ::setsockopt(impl_->socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(impl_->socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(impl_->socket.get(), name.get(), name.size) != 0)
        ADD_FAILURE() << "bind " << address << ":" << port << ": " << errno_text(errno);
    if (kind == Kind::Tcp) ::listen(impl_->socket.get(), 16);
    impl_->thread = std::thread([this] { impl_->serve(); });
}
Server::~Server() {
    impl_->cancel.cancel();
    impl_->thread.join();
}

std::string ask_tcp(int netns, const std::string& address, std::uint16_t port) {
    const auto name = name_of(address, port);
    const sys::Fd fd = socket_in(netns, name.family(), SOCK_STREAM | SOCK_NONBLOCK);
    ::connect(fd.get(), name.get(), name.size);
    char buffer[64];
    if (!readable(fd.get())) return "";
    const ssize_t size = ::recv(fd.get(), buffer, sizeof buffer, 0);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : "";
}

std::string ask_udp(int netns, const std::string& address, std::uint16_t port) {
    const auto name = name_of(address, port);
    const sys::Fd fd = socket_in(netns, name.family(), SOCK_DGRAM);
    ::sendto(fd.get(), "x", 1, 0, name.get(), name.size);
    char buffer[64];
    if (!readable(fd.get())) return "";
    const ssize_t size = ::recv(fd.get(), buffer, sizeof buffer, 0);
    return size > 0 ? std::string(buffer, static_cast<std::size_t>(size)) : "";
}

sys::Fd make_lan() {
    sys::Fd lan = new_netns();
    auto host = MUST(sys::netlink::Socket::open());
    sys::netlink::Batch batch;
    sys::netlink::Veth veth;
    veth.name = "lan0";
    veth.peer_name = "eth0";
    veth.peer_netns = lan.get();
    batch.add_veth(veth);
    MUST(host.commit(batch));
    shell(
        format("ip address add {}/24 dev lan0; ip route add default via {}; "
               "ip address add {}/64 dev lan0 nodad; ip -6 route add default via {}",
               kHostLan, kNeighbour, kHostLan6, kNeighbour6));
    shell_in(lan.get(),
             format("ip address add {}/24 dev eth0; ip address add {}/32 dev lo; "
                    "ip link set eth0 up; ip route add default via {}; "
                    "ip address add {}/64 dev eth0 nodad; ip -6 route add default via {}",
                    kNeighbour, kMetadata, kHostLan, kNeighbour6, kHostLan6));
    return lan;
}

std::string shell(const std::string& command) {
    sys::SpawnOptions options;
    options.argv = {"/bin/sh", "-c", command};
    options.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    auto output = sys::run(options, "", std::chrono::seconds(10));
    if (!output) return output.error().message;
    EXPECT_EQ(output->status, 0) << command << "\n" << output->err;
    return output->out;
}

std::string shell_in(int netns, const std::string& command) {
    std::string out;
    MUST(sys::netlink::run_in_netns(netns, [&]() -> Result<void> {
        out = shell(command);
        return {};
    }));
    return out;
}

void set_bridge_netfilter(const char* value) {
    shell(format("for knob in /proc/sys/net/bridge/bridge-nf-call-ip*; do echo {} >$knob; done",
                 value));
}

Engine::Engine(std::string bridge) {
    config.bridge = std::move(bridge);
    restart({});
}

void Engine::restart(const std::vector<Endpoint>& running) {
    networks.reset();
    networks = MUST(Networks::open(config, records));
    for (const Endpoint& endpoint : running) MUST(networks->restore(endpoint));
    MUST(networks->start());
}

Engine::~Engine() {
    for (const Network& network : networks->list()) {
        for (const Endpoint& endpoint : networks->endpoints(network.id))
            networks->release(endpoint);
        if (network.driver == "bridge" && network.name != "bridge")
            ignore(networks->remove(network.id), "reported by the final check");
    }
    shell("ip link delete " + config.bridge + "; nft delete table inet coffer_" + config.bridge +
          "; nft delete table bridge coffer_" + config.bridge + " 2>/dev/null || true");
}

Container connect(Engine& engine, const std::string& network, const std::string& name,
                  ConnectOptions options) {
    Container container;
    container.netns = new_netns();
    options.container_id = name + "-id";
    options.container_name = name;
    options.netns_fd = container.netns.get();
    auto endpoint = engine.networks->connect(network, options);
    if (endpoint)
        container.endpoint = std::move(*endpoint);
    else
        ADD_FAILURE() << endpoint.error().message;
    return container;
}

PortRequest port(std::string_view host, std::string_view container, std::string host_ip) {
    PortRequest request = MUST(parse_container_port(container));
    MUST(parse_host_port(host, request));
    request.host_ip = std::move(host_ip);
    return request;
}

}  // namespace coffer::network::testing
