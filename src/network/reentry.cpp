#include "network/reentry.hpp"

#include "base/hash.hpp"
#include "network/bridge.hpp"
#include "sys/file.hpp"
#include "sys/netlink.hpp"

namespace coffer::network::reentry {
namespace {

using sys::netlink::Batch;
using sys::netlink::Socket;

// Both ends have it: without ARP a frame is sent to the sender's own address.
constexpr const char* kMac = "02:c0:ff:e2:00:01";
constexpr unsigned kMtu = 65535;  // of no interface is it larger
constexpr unsigned kPriority = 5200;
constexpr std::uint32_t kTable = 5200;

Result<void> write(const std::string& interface, const char* name, const char* value) {
    return sys::write_existing(format("/proc/sys/net/ipv4/conf/{}/{}", interface, name), value);
}

// One that is there already is no error.
Result<void> add_rule(Socket& socket, const sys::netlink::Rule& rule) {
    Batch batch;
    batch.add_rule(rule);
    auto added = socket.commit(batch);
    if (!added && added.error().sys_errno == EEXIST) return {};
    return added;
}

}  // namespace

Interfaces interfaces_of(const std::string& bridge) {
    const std::string name = "cfin" + sha256_hex(bridge).substr(0, 8);
    return {name + "0", name + "1"};
}

Result<void> ensure(const Interfaces& interfaces) {
    auto socket = TRY(Socket::open());
    if (!TRY(socket.find_link(interfaces.in))) {
        sys::netlink::Veth veth;
        veth.name = interfaces.out;
        veth.mac = veth.peer_mac = kMac;
        veth.mtu = kMtu;
        veth.peer_name = interfaces.in;
        veth.no_arp = true;
        Batch batch;
        batch.add_veth(veth);
        TRY(socket.commit(batch));
    }
    TRY(write(interfaces.in, "rp_filter", "0"));
    TRY(write(interfaces.in, "src_valid_mark", "1"));
    // The stricter of an interface's rp_filter and that of `all` counts, and distributions set the
    // latter. So the way back of a copy leads, for rp_filter alone, to where it came in.
    const auto link = TRY(socket.find_link(interfaces.in));
    if (!link) return fail(Code::Internal, "interface '{}' vanished", interfaces.in);
    Batch batch;
    batch.set_up(link->index);
    batch.add_route_to(link->index, kTable);
    TRY(socket.commit(batch));
    TRY(add_rule(socket, {kPriority, interfaces.in, kMark, sys::netlink::kMainTable}));
    return add_rule(socket, {kPriority + 1, "", kMark, kTable});
}

Result<void> remove(const Interfaces& interfaces) {
    auto socket = TRY(Socket::open());
    if (!TRY(socket.find_link(interfaces.in))) return {};
    Batch batch;  // the route goes with the interface
    batch.remove_rule({kPriority, interfaces.in, kMark, sys::netlink::kMainTable});
    ignore(socket.commit(batch), "somebody has taken it away");
    return bridge::remove_interface(interfaces.out);
}

}  // namespace coffer::network::reentry
