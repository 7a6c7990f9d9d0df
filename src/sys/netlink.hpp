#pragma once
// Links, addresses and routes over rtnetlink. A Socket stays in the network namespace it was opened
// in, whichever thread uses it later; one thread at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace coffer::sys::netlink {

struct Link {
    int index = 0;
    std::string name;
    std::string kind;  // "bridge", "veth", ...; empty for hardware and lo
    int master = 0;    // index of the bridge it is a port of
    unsigned mtu = 0;
    bool up = false;
};
// IPv4 only, in host byte order.
struct LinkAddress {
    int index = 0;
    std::uint32_t address = 0;
    unsigned prefix = 0;
};
struct Route {
    int index = 0;
    std::uint32_t destination = 0;
    unsigned prefix = 0;  // 0: the default route
    std::uint32_t gateway = 0;
};

struct Bridge {
    std::string name;
    unsigned mtu = 0;  // 0: the kernel's default
};
struct Veth {
    std::string name;  // the end in the socket's namespace
    int master = 0;    // bridge that it becomes a port of
    unsigned mtu = 0;
    int peer_netns = -1;  // borrowed; the peer is born there
    std::string peer_name;
    std::string peer_mac;
};

// Requests that go to the kernel in one sendmsg and are answered together.
class Batch {
  public:
    Batch();
    ~Batch();
    Batch(Batch&&) noexcept;
    Batch& operator=(Batch&&) noexcept;
    Batch(const Batch&) = delete;
    Batch& operator=(const Batch&) = delete;

    void add_bridge(const Bridge& bridge);
    void add_veth(const Veth& veth);  // up; its peer is down
    // No frames to or from other isolated ports of the same bridge.
    void isolate_port(const std::string& name);
    void add_address(int index, std::uint32_t address, unsigned prefix);
    void remove_address(int index, std::uint32_t address, unsigned prefix);
    void set_up(int index);
    void set_mtu(int index, unsigned mtu);
    void add_default_route(std::uint32_t gateway);
    void remove_default_route(std::uint32_t gateway);
    // Waits for the kernel's RCU: 20 ms for a veth, more for a bridge. A veth goes faster with its
    // namespace.
    void remove_link(int index);

  private:
    friend class Socket;
    friend Result<void> move_link(const std::string& name, int netns_fd,
                                  const std::string& new_name);
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

class Socket {
  public:
    static Result<Socket> open();
    // Opened by a short-lived thread that joins the namespace: no thread of ours changes its own.
    static Result<Socket> open_in(int netns_fd);

    // The first request that failed decides the error; later ones of the batch were still tried.
    Result<void> commit(const Batch& batch);
    Result<std::vector<Link>> links();
    Result<std::optional<Link>> find_link(const std::string& name);
    Result<std::vector<LinkAddress>> addresses();
    // The main table.
    Result<std::vector<Route>> routes();

  private:
    friend Result<void> move_link(const std::string& name, int netns_fd,
                                  const std::string& new_name);
    explicit Socket(Fd fd) : fd_(std::move(fd)) {}
    Fd fd_;
    std::uint32_t sequence_ = 0;
};

// Moves an interface of our network namespace into another, with its permanent global addresses,
// and sets it up there. `new_name` may hold "%d" for a number that the kernel chooses.
Result<void> move_link(const std::string& name, int netns_fd, const std::string& new_name);

// Runs `work` in a short-lived thread inside the network namespace (for /proc/sys/net) and gives
// its result.
Result<void> run_in_netns(int netns_fd, const std::function<Result<void>()>& work);

}  // namespace coffer::sys::netlink
