#include "sys/netlink.hpp"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

namespace coffer::sys::netlink {
namespace {

// One request under construction: libnl's message, with the header of its family in front.
class Request {
  public:
    template <class Header>
    Request(int type, int flags, const Header& header)
        : message_(::nlmsg_alloc_simple(type, NLM_F_REQUEST | flags)) {
        if (message_ == nullptr) abort_at(__FILE__, __LINE__, "out of memory");
        Header copy = header;
        check(::nlmsg_append(message_, &copy, sizeof copy, NLMSG_ALIGNTO));
    }
    ~Request() { ::nlmsg_free(message_); }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    Request(Request&&) = delete;
    Request& operator=(Request&&) = delete;

    Request& put(int attribute, const std::string& text) {
        check(nla_put_string(message_, attribute, text.c_str()));
        return *this;
    }
    Request& put(int attribute, std::uint32_t number) {
        check(nla_put_u32(message_, attribute, number));
        return *this;
    }
    Request& put_byte(int attribute, std::uint8_t number) {
        check(nla_put_u8(message_, attribute, number));
        return *this;
    }
    Request& put_bytes(int attribute, const void* bytes, std::size_t size) {
        check(nla_put(message_, attribute, static_cast<int>(size), bytes));
        return *this;
    }
    template <class Body>
    Request& nest(int attribute, Body body) {
        nlattr* start = nla_nest_start(message_, attribute);
        if (start == nullptr) abort_at(__FILE__, __LINE__, "netlink message too long");
        body();
        nla_nest_end(message_, start);
        return *this;
    }
    template <class Header>
    Request& append(const Header& header) {
        Header copy = header;
        check(::nlmsg_append(message_, &copy, sizeof copy, NLMSG_ALIGNTO));
        return *this;
    }
    std::string_view bytes() const {
        const nlmsghdr* header = ::nlmsg_hdr(message_);
        return {reinterpret_cast<const char*>(header), NLMSG_ALIGN(header->nlmsg_len)};
    }

  private:
    static void check(int status) {
        if (status < 0) abort_at(__FILE__, __LINE__, "netlink message too long");
    }
    nl_msg* message_;
};

ifinfomsg link_header(int index = 0, bool up = false) {
    ifinfomsg header{};
    header.ifi_family = AF_UNSPEC;
    header.ifi_index = index;
    if (up) header.ifi_flags = header.ifi_change = IFF_UP;
    return header;
}

unsigned char family_of(std::string_view address) {
    return address.size() == 16 ? AF_INET6 : AF_INET;
}

rtmsg default_route(std::string_view gateway = {}) {
    rtmsg header{};
    header.rtm_family = family_of(gateway);
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_BOOT;
    header.rtm_scope = RT_SCOPE_UNIVERSE;
    header.rtm_type = RTN_UNICAST;
    return header;
}

Result<Fd> open_socket() {
    Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!fd) return fail_errno("open a netlink socket");
    const int on = 1;
    // Error texts from the kernel, and errors without a copy of the whole request.
    ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    // A listing may ask for a part.
    ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        return fail_errno("bind a netlink socket");
    return fd;
}

Result<void> send_all(int fd, const std::string& bytes) {
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    const ssize_t sent = ::sendto(fd, bytes.data(), bytes.size(), 0,
                                  reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
    if (sent < 0) return fail_errno("send netlink requests");
    return {};
}

std::string kernel_text(nlmsghdr* header) {
    if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
    const std::size_t offset = sizeof(nlmsgerr);
    const int length = static_cast<int>(header->nlmsg_len - NLMSG_HDRLEN - offset);
    auto* first = reinterpret_cast<nlattr*>(static_cast<char*>(::nlmsg_data(header)) + offset);
    const nlattr* text = ::nla_find(first, length, NLMSGERR_ATTR_MSG);
    return text == nullptr ? std::string() : std::string(::nla_get_string(text));
}

// Reads one datagram and calls `each` for every message in it.
template <class Each>
Result<void> receive(int fd, std::string& buffer, Each each) {
    buffer.resize(32 * 1024);
    ssize_t count = 0;
    do count = ::recv(fd, buffer.data(), buffer.size(), 0);
    while (count < 0 && errno == EINTR);
    if (count < 0) return fail_errno("receive netlink answers");
    int left = static_cast<int>(count);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); ::nlmsg_ok(header, left) != 0;
         header = ::nlmsg_next(header, &left))
        each(header);
    return {};
}

constexpr int kMaxAttribute = 64;
using Attributes = std::array<nlattr*, kMaxAttribute + 1>;
template <class Header>
Attributes attributes_of(nlmsghdr* header) {
    Attributes found{};
    ::nlmsg_parse(header, sizeof(Header), found.data(), kMaxAttribute, nullptr);
    return found;
}
std::string bytes_of(const nlattr* attribute) {
    if (attribute == nullptr) return {};
    return {static_cast<const char*>(::nla_data(attribute)),
            static_cast<std::size_t>(::nla_len(attribute))};
}

Link parse_link(nlmsghdr* header) {
    const auto* info = static_cast<const ifinfomsg*>(::nlmsg_data(header));
    const Attributes found = attributes_of<ifinfomsg>(header);
    Link link;
    link.index = info->ifi_index;
    link.up = (info->ifi_flags & IFF_UP) != 0;
    if (found[IFLA_IFNAME] != nullptr) link.name = ::nla_get_string(found[IFLA_IFNAME]);
    if (found[IFLA_MASTER] != nullptr)
        link.master = static_cast<int>(::nla_get_u32(found[IFLA_MASTER]));
    if (found[IFLA_MTU] != nullptr) link.mtu = ::nla_get_u32(found[IFLA_MTU]);
    if (found[IFLA_LINKINFO] != nullptr) {
        std::array<nlattr*, IFLA_INFO_MAX + 1> kinds{};
        ::nla_parse_nested(kinds.data(), IFLA_INFO_MAX, found[IFLA_LINKINFO], nullptr);
        if (kinds[IFLA_INFO_KIND] != nullptr) link.kind = ::nla_get_string(kinds[IFLA_INFO_KIND]);
    }
    return link;
}

// A unicast route of the main table.
std::optional<Route> parse_route(nlmsghdr* header) {
    const auto* info = static_cast<const rtmsg*>(::nlmsg_data(header));
    const bool is_v6 = info->rtm_family == AF_INET6;
    if ((info->rtm_family != AF_INET && !is_v6) || info->rtm_table != RT_TABLE_MAIN ||
        info->rtm_type != RTN_UNICAST)
        return std::nullopt;
    const Attributes found = attributes_of<rtmsg>(header);
    Route route;
    if (found[RTA_OIF] != nullptr) route.index = static_cast<int>(::nla_get_u32(found[RTA_OIF]));
    route.destination = bytes_of(found[RTA_DST]);
    route.destination.resize(is_v6 ? 16 : 4);
    route.prefix = info->rtm_dst_len;
    route.gateway = bytes_of(found[RTA_GATEWAY]);
    return route;
}

// Sends one request and hands every message of its answer to `each`.
template <class Each>
Result<void> query(int fd, std::uint32_t sequence, const Request& request, Each each) {
    std::string bytes(request.bytes());
    reinterpret_cast<nlmsghdr*>(bytes.data())->nlmsg_seq = sequence;
    TRY(send_all(fd, bytes));
    std::string buffer;
    int error = 0;
    for (bool done = false; !done;) {
        TRY(receive(fd, buffer, [&](nlmsghdr* header) {
            if (header->nlmsg_seq != sequence) return;
            if (header->nlmsg_type == NLMSG_DONE) {
                done = true;
            } else if (header->nlmsg_type == NLMSG_ERROR) {
                error = static_cast<const nlmsgerr*>(::nlmsg_data(header))->error;
                done = true;
            } else {
                each(header);
            }
        }));
    }
    if (error != 0) return fail_with(-error, "ask netlink");
    return {};
}

}  // namespace

struct Batch::Impl {
    std::string bytes;
    std::vector<std::string> what;  // one for each request, for messages

    void add(std::string description, const Request& request) {
        bytes += request.bytes();
        what.push_back(std::move(description));
    }
};

Batch::Batch() : impl_(std::make_unique<Impl>()) {}
Batch::~Batch() = default;
Batch::Batch(Batch&&) noexcept = default;
Batch& Batch::operator=(Batch&&) noexcept = default;

void Batch::add_bridge(const Bridge& bridge) {
    Request request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, link_header(0, true));
    request.put(IFLA_IFNAME, bridge.name);
    if (bridge.mtu != 0) request.put(IFLA_MTU, bridge.mtu);
    request.nest(IFLA_LINKINFO, [&] { request.put(IFLA_INFO_KIND, "bridge"); });
    impl_->add(format("create bridge '{}'", bridge.name), request);
}

std::string mac_bytes(const std::string& text) {
    std::string mac(6, '\0');
    for (std::size_t i = 0; i < mac.size() && i * 3 + 2 <= text.size(); ++i)
        mac[i] = static_cast<char>(std::stoul(text.substr(i * 3, 2), nullptr, 16));
    return mac;
}

void Batch::add_veth(const Veth& veth) {
    const auto put_mac = [](Request& request, const std::string& text) {
        if (text.empty()) return;
        const auto mac = mac_bytes(text);
        request.put_bytes(IFLA_ADDRESS, mac.data(), mac.size());
    };
    ifinfomsg header = link_header(0, true);
    ifinfomsg peer = link_header();
    if (veth.no_arp)
        for (ifinfomsg* each : {&header, &peer}) each->ifi_change = each->ifi_flags |= IFF_NOARP;
    Request request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header);
    put_mac(request, veth.mac);
    request.put(IFLA_IFNAME, veth.name);
    if (veth.master != 0) request.put(IFLA_MASTER, static_cast<std::uint32_t>(veth.master));
    if (veth.mtu != 0) request.put(IFLA_MTU, veth.mtu);
    request.nest(IFLA_LINKINFO, [&] {
        request.put(IFLA_INFO_KIND, "veth");
        request.nest(IFLA_INFO_DATA, [&] {
            request.nest(VETH_INFO_PEER, [&] {
                request.append(peer);
                request.put(IFLA_IFNAME, veth.peer_name);
                if (veth.mtu != 0) request.put(IFLA_MTU, veth.mtu);
                put_mac(request, veth.peer_mac);
                if (veth.peer_netns >= 0)
                    request.put(IFLA_NET_NS_FD, static_cast<std::uint32_t>(veth.peer_netns));
            });
        });
    });
    impl_->add(format("create interface '{}'", veth.name), request);
}

void Batch::set_port(const std::string& name, PortOption option) {
    // These are taken only by a change of an existing port, not at its creation.
    Request port(RTM_NEWLINK, NLM_F_ACK, link_header());
    port.put(IFLA_IFNAME, name);
    port.nest(IFLA_LINKINFO, [&] {
        port.put(IFLA_INFO_SLAVE_KIND, "bridge");
        const bool isolated = option == PortOption::Isolated;
        port.nest(IFLA_INFO_SLAVE_DATA,
                  [&] { port.put_byte(isolated ? IFLA_BRPORT_ISOLATED : IFLA_BRPORT_MODE, 1); });
    });
    impl_->add(format("set up port '{}' of its bridge", name), port);
}

namespace {
void put_address(Request& request, std::string_view address, unsigned prefix) {
    request.put_bytes(IFA_LOCAL, address.data(), address.size());
    request.put_bytes(IFA_ADDRESS, address.data(), address.size());
    if (address.size() != 4 || prefix >= 31) return;
    std::uint32_t number = 0;
    std::memcpy(&number, address.data(), sizeof number);
    request.put(IFA_BROADCAST, number | htonl(0xffffffffU >> prefix));
}
ifaddrmsg address_header(int index, std::string_view address, unsigned prefix) {
    ifaddrmsg header{};
    header.ifa_family = family_of(address);
    header.ifa_prefixlen = static_cast<unsigned char>(prefix);
    header.ifa_scope = RT_SCOPE_UNIVERSE;
    header.ifa_index = static_cast<unsigned>(index);
    if (header.ifa_family == AF_INET6) header.ifa_flags = IFA_F_NODAD;
    return header;
}
}  // namespace

void Batch::add_address(int index, std::string_view address, unsigned prefix) {
    Request request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
                    address_header(index, address, prefix));
    put_address(request, address, prefix);
    impl_->add("add an address", request);
}

void Batch::remove_address(int index, std::string_view address, unsigned prefix) {
    Request request(RTM_DELADDR, NLM_F_ACK, address_header(index, address, prefix));
    put_address(request, address, prefix);
    impl_->add("remove an address", request);
}

void Batch::limit_rate(int index, std::uint64_t bytes_per_second) {
    // A large packet of a virtual interface is not cut up for its size alone.
    constexpr std::uint64_t kLeastBurst = 64 << 10;
    constexpr std::uint64_t kBurstsPerSecond = 250;
    constexpr std::uint64_t kWaitsPerSecond = 20;  // 50 ms
    const auto fit = [](std::uint64_t number) {
        return static_cast<std::uint32_t>(std::min<std::uint64_t>(number, UINT32_MAX));
    };
    const std::uint64_t burst = std::max(bytes_per_second / kBurstsPerSecond, kLeastBurst);
    tcmsg header{};
    header.tcm_family = AF_UNSPEC;
    header.tcm_ifindex = index;
    header.tcm_parent = TC_H_ROOT;
    tc_tbf_qopt bucket{};
    bucket.rate.rate = fit(bytes_per_second);
    bucket.limit = fit(bytes_per_second / kWaitsPerSecond + burst);
    Request request(RTM_NEWQDISC, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header);
    request.put(TCA_KIND, "tbf");
    request.nest(TCA_OPTIONS, [&] {
        request.put_bytes(TCA_TBF_PARMS, &bucket, sizeof bucket);
        request.put_bytes(TCA_TBF_RATE64, &bytes_per_second, sizeof bytes_per_second);
        request.put(TCA_TBF_BURST, fit(burst));
    });
    impl_->add(format("limit the rate of interface {}", index), request);
}

void Batch::set_up(int index) {
    const Request request(RTM_NEWLINK, NLM_F_ACK, link_header(index, true));
    impl_->add("set an interface up", request);
}

void Batch::set_mtu(int index, unsigned mtu) {
    Request request(RTM_NEWLINK, NLM_F_ACK, link_header(index));
    request.put(IFLA_MTU, mtu);
    impl_->add("set the mtu of an interface", request);
}

void Batch::add_default_route(std::string_view gateway) {
    Request request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, default_route(gateway));
    request.put_bytes(RTA_GATEWAY, gateway.data(), gateway.size());
    impl_->add("add the default route", request);
}

void Batch::remove_default_route(std::string_view gateway) {
    Request request(RTM_DELROUTE, NLM_F_ACK, default_route(gateway));
    request.put_bytes(RTA_GATEWAY, gateway.data(), gateway.size());
    impl_->add("remove the default route", request);
}

void Batch::add_route_to(int index, std::uint32_t table) {
    rtmsg header = default_route();
    header.rtm_table = RT_TABLE_UNSPEC;  // it is in the attribute
    header.rtm_scope = RT_SCOPE_LINK;
    Request request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header);
    request.put(RTA_OIF, static_cast<std::uint32_t>(index));
    request.put(RTA_TABLE, table);
    impl_->add("add a route", request);
}

namespace {

fib_rule_hdr rule_header() {
    fib_rule_hdr header{};
    header.family = AF_INET;
    header.action = FR_ACT_TO_TBL;
    return header;
}

void put_rule(Request& request, const Rule& rule) {
    request.put(FRA_PRIORITY, static_cast<std::uint32_t>(rule.priority));
    if (!rule.iif.empty()) request.put(FRA_IIFNAME, rule.iif);
    request.put(FRA_FWMARK, rule.mark);
    request.put(FRA_FWMASK, rule.mark);
    request.put(FRA_TABLE, rule.table);
}

}  // namespace

void Batch::add_rule(const Rule& rule) {
    Request request(RTM_NEWRULE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, rule_header());
    put_rule(request, rule);
    impl_->add("add a routing rule", request);
}

void Batch::remove_rule(const Rule& rule) {
    Request request(RTM_DELRULE, NLM_F_ACK, rule_header());
    put_rule(request, rule);
    impl_->add("remove a routing rule", request);
}

void Batch::remove_link(int index) {
    const Request request(RTM_DELLINK, NLM_F_ACK, link_header(index));
    impl_->add("remove an interface", request);
}

Result<Socket> Socket::open() {
    return Socket(TRY(open_socket()));
}

Result<Socket> Socket::open_in(int netns_fd) {
    Fd fd;
    auto entered = run_in_netns(netns_fd, [&fd]() -> Result<void> {
        fd = TRY(open_socket());
        return {};
    });
    if (!entered) return fail(std::move(entered).error());
    return Socket(std::move(fd));
}

Result<void> Socket::commit(const Batch& batch) {
    const std::size_t count = batch.impl_->what.size();
    if (count == 0) return {};
    const std::uint32_t first = sequence_ + 1;
    std::string bytes = batch.impl_->bytes;
    for (std::size_t at = 0; at < bytes.size();) {
        auto* header = reinterpret_cast<nlmsghdr*>(bytes.data() + at);
        header->nlmsg_seq = ++sequence_;
        at += NLMSG_ALIGN(header->nlmsg_len);
    }
    TRY(send_all(fd_.get(), bytes));
    std::optional<Failure> failure;
    std::string buffer;
    for (std::size_t answered = 0; answered < count;) {
        TRY(receive(fd_.get(), buffer, [&](nlmsghdr* header) {
            const std::uint32_t place = header->nlmsg_seq - first;
            if (header->nlmsg_type != NLMSG_ERROR || place >= count) return;
            ++answered;
            const int error = static_cast<const nlmsgerr*>(::nlmsg_data(header))->error;
            if (error == 0 || failure) return;
            const std::string text = kernel_text(header);
            const std::string& what = batch.impl_->what[place];
            failure = text.empty() ? fail_with(-error, "{}", what)
                                   : fail_with(-error, "{}: {}", what, text);
        }));
    }
    if (failure) return *std::move(failure);
    return {};
}

Result<std::vector<Link>> Socket::links() {
    std::vector<Link> links;
    TRY(query(fd_.get(), ++sequence_, Request(RTM_GETLINK, NLM_F_DUMP, link_header()),
              [&](nlmsghdr* header) { links.push_back(parse_link(header)); }));
    return links;
}

Result<std::optional<Link>> Socket::find_link(const std::string& name) {
    std::optional<Link> link;
    Request request(RTM_GETLINK, NLM_F_ACK, link_header());
    request.put(IFLA_IFNAME, name);
    auto asked = query(fd_.get(), ++sequence_, request,
                       [&](nlmsghdr* header) { link = parse_link(header); });
    if (!asked && asked.error().sys_errno != ENODEV)
        return wrap(std::move(asked).error(), format("find interface '{}'", name));
    return link;
}

Result<std::vector<LinkAddress>> Socket::addresses(int index) {
    std::vector<LinkAddress> addresses;
    ifaddrmsg header{};
    header.ifa_index = static_cast<unsigned>(index);
    TRY(query(fd_.get(), ++sequence_, Request(RTM_GETADDR, NLM_F_DUMP, header),
              [&](nlmsghdr* answer) {
                  const auto* info = static_cast<const ifaddrmsg*>(::nlmsg_data(answer));
                  const Attributes found = attributes_of<ifaddrmsg>(answer);
                  const auto* own = found[IFA_LOCAL];  // IPv6 has it where there is a peer
                  addresses.push_back({static_cast<int>(info->ifa_index),
                                       bytes_of(own == nullptr ? found[IFA_ADDRESS] : own),
                                       info->ifa_prefixlen});
              }));
    return addresses;
}

Result<std::vector<Route>> Socket::routes() {
    std::vector<Route> routes;
    TRY(query(fd_.get(), ++sequence_, Request(RTM_GETROUTE, NLM_F_DUMP, rtmsg{}),
              [&](nlmsghdr* answer) {
                  if (const auto route = parse_route(answer)) routes.push_back(*route);
              }));
    return routes;
}

Result<void> run_in_netns(int netns_fd, const std::function<Result<void>()>& work) {
    Result<void> result;
    std::thread([&] {
        if (::setns(netns_fd, CLONE_NEWNET) != 0)
            result = fail_errno("enter a network namespace");
        else
            result = work();
    }).join();
    return result;
}

namespace {

// An address of any family, as it is asked for again.
struct KeptAddress {
    ifaddrmsg header{};
    std::vector<std::pair<int, std::string>> attributes;
};

KeptAddress keep(nlmsghdr* answer) {
    KeptAddress kept;
    kept.header = *static_cast<const ifaddrmsg*>(::nlmsg_data(answer));
    const Attributes found = attributes_of<ifaddrmsg>(answer);
    for (const int type : {IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST}) {
        const nlattr* attribute = found[static_cast<std::size_t>(type)];
        if (attribute == nullptr) continue;
        kept.attributes.emplace_back(type,
                                     std::string(static_cast<const char*>(::nla_data(attribute)),
                                                 static_cast<std::size_t>(::nla_len(attribute))));
    }
    return kept;
}

}  // namespace

Result<void> move_link(const std::string& name, int netns_fd, const std::string& new_name) {
    Socket ours = TRY(Socket::open());
    Socket theirs = TRY(Socket::open_in(netns_fd));
    const auto link = TRY(ours.find_link(name));
    if (!link) return fail(Code::NotFound, "no interface '{}'", name);
    std::vector<KeptAddress> addresses;
    TRY(query(ours.fd_.get(), ++ours.sequence_, Request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{}),
              [&](nlmsghdr* answer) {
                  const auto* info = static_cast<const ifaddrmsg*>(::nlmsg_data(answer));
                  if (static_cast<int>(info->ifa_index) == link->index &&
                      info->ifa_scope == RT_SCOPE_UNIVERSE &&
                      (info->ifa_flags & IFA_F_PERMANENT) != 0) {
                      addresses.push_back(keep(answer));
                  }
              }));
    const std::vector<Link> before = TRY(theirs.links());
    Batch move;
    Request request(RTM_NEWLINK, NLM_F_ACK, link_header(link->index));
    request.put(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns_fd)).put(IFLA_IFNAME, new_name);
    move.impl_->add(format("move interface '{}' as '{}'", name, new_name), request);
    TRY(ours.commit(move));

    // Its number may have been taken there: it is the one that is new.
    int index = 0;
    for (const Link& now : TRY(theirs.links())) {
        if (std::none_of(before.begin(), before.end(),
                         [&](const Link& old) { return old.index == now.index; })) {
            index = now.index;
        }
    }
    Batch configure;
    for (const KeptAddress& kept : addresses) {
        ifaddrmsg header = kept.header;
        header.ifa_index = static_cast<unsigned>(index);
        Request add(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, header);
        for (const auto& [type, bytes] : kept.attributes) {
            add.put_bytes(type, bytes.data(), bytes.size());
        }
        configure.impl_->add(format("give interface '{}' its addresses", name), add);
    }
    configure.set_up(index);
    return theirs.commit(configure);
}

}  // namespace coffer::sys::netlink
