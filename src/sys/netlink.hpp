#pragma once
// Links, addresses and routes over rtnetlink. A Socket stays in the network namespace it was opened
// in, whichever thread uses it later; one thread at a time.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
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
// IP addresses are bytes in network order: 4 of IPv4, 16 of IPv6.
struct LinkAddress {
    int index = 0;
    std::string address;
    unsigned prefix = 0;
};
struct Route {
    int index = 0;
    std::string destination;
    unsigned prefix = 0;  // 0: the default route
    std::string gateway;  // empty: none
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
    std::string mac;      // empty: the kernel's choice, as below
    std::string peer_name;
    std::string peer_mac;
    bool no_arp = false;  // neither end asks for addresses
};
// The 6 bytes of a hardware address like "02:42:0a:01:00:02".
std::string mac_bytes(const std::string& text);
inline constexpr std::uint32_t kMainTable = 254;
// Which packets of IPv4 are routed by which table.
struct Rule {
    unsigned priority = 0;
    std::string iif;         // empty: any
    std::uint32_t mark = 0;  // all of these bits are set
    std::uint32_t table = 0;
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
    // Isolated: no frames to or from other isolated ports of the same bridge. Reflecting: what has
    // come in by the port may go out of it again.
    enum class PortOption : std::uint8_t { Isolated, Reflecting };
    void set_port(const std::string& name, PortOption option);
    // Usable at once: an IPv6 address is not looked for among the neighbours first.
    void add_address(int index, std::string_view address, unsigned prefix);
    void remove_address(int index, std::string_view address, unsigned prefix);
    // What would be sent faster (bytes per second) waits, for 50 ms at most, and is dropped then:
    // the token bucket of tc-tbf(8).
    void limit_rate(int index, std::uint64_t bytes_per_second);
    void set_up(int index);
    void set_mtu(int index, unsigned mtu);
    void add_default_route(std::string_view gateway);
    void remove_default_route(std::string_view gateway);
    // Everything, by that interface, in a table of its own.
    void add_route_to(int index, std::uint32_t table);
    void add_rule(const Rule& rule);  // one that is there is EEXIST
    void remove_rule(const Rule& rule);
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
    // Of both families; of one interface, or with 0 of all.
    Result<std::vector<LinkAddress>> addresses(int index = 0);
    // The unicast routes of the main table.
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
