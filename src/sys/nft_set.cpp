#include "sys/nft_set.hpp"

#include <endian.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <array>
#include <mutex>

#include "sys/fd.hpp"
#include "sys/nfnetlink.hpp"

namespace coffer::sys::nft {
namespace {

constexpr int kLongestTransaction = 32 * 1024 * 1024;  // bytes: all 65 536 ports, with room
constexpr const char* kAction = "change elements of nftables";

using nfnetlink::Message;

// NFPROTO_INET of linux/netfilter.h, which netinet/in.h excludes.
constexpr std::uint8_t kProtocolInet = 1;

std::uint8_t family_number(Family family) {
    switch (family) {
        case Family::Ip:
            return AF_INET;
        case Family::Inet:
            return kProtocolInet;
        case Family::Bridge:
            return AF_BRIDGE;
    }
    return AF_UNSPEC;
}

void require(bool good) {
    if (!good) abort_at(__FILE__, __LINE__, "netlink message too long");
}

// Several messages in one buffer: nf_tables takes all of them or none.
class Transaction {
  public:
    Transaction() {
        append(nfnetlink::new_message(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    }

    void add(const Element& element) { change(NFT_MSG_NEWSETELEM, NLM_F_CREATE, element); }
    void remove(const Element& element) { change(NFT_MSG_DELSETELEM, 0, element); }

    // What to send. The last change is answered when all are made, one that fails always.
    std::string finish() {
        reinterpret_cast<nlmsghdr*>(bytes_.data() + last_)->nlmsg_flags |= NLM_F_ACK;
        append(nfnetlink::new_message(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
        return std::move(bytes_);
    }

  private:
    static void put_data(nl_msg* message, int attribute, const std::string& bytes) {
        nlattr* data = nla_nest_start(message, attribute | NLA_F_NESTED);
        require(data != nullptr && nla_put(message, NFTA_DATA_VALUE, static_cast<int>(bytes.size()),
                                           bytes.data()) >= 0);
        nla_nest_end(message, data);
    }

    void change(int type, int flags, const Element& element) {
        const std::uint8_t family = family_number(element.family);
        const Message message =
            nfnetlink::new_message((NFNL_SUBSYS_NFTABLES << 8) | type, flags, family);
        nl_msg* raw = message.get();
        require(nla_put_string(raw, NFTA_SET_ELEM_LIST_TABLE, element.table.c_str()) >= 0 &&
                nla_put_string(raw, NFTA_SET_ELEM_LIST_SET, element.set.c_str()) >= 0);
        nlattr* list = nla_nest_start(raw, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED);
        nlattr* entry = nla_nest_start(raw, NFTA_LIST_ELEM | NLA_F_NESTED);
        require(list != nullptr && entry != nullptr);
        put_data(raw, NFTA_SET_ELEM_KEY, element.key);
        if (!element.key_end.empty()) put_data(raw, NFTA_SET_ELEM_KEY_END, element.key_end);
        if (!element.value.empty()) put_data(raw, NFTA_SET_ELEM_DATA, element.value);
        // In milliseconds, big endian.
        if (element.timeout.count() > 0)
            require(nla_put_u64(raw, NFTA_SET_ELEM_TIMEOUT,
                                htobe64(std::chrono::milliseconds(element.timeout).count())) >= 0);
        nla_nest_end(raw, entry);
        nla_nest_end(raw, list);
        last_ = bytes_.size();
        append(message);
    }

    void append(const Message& message) {
        const nlmsghdr* header = ::nlmsg_hdr(message.get());
        bytes_.append(reinterpret_cast<const char*>(header), NLMSG_ALIGN(header->nlmsg_len));
    }

    std::string bytes_;
    std::size_t last_ = 0;
};

Result<Fd> open_socket() {
    Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    const int size = kLongestTransaction;
    if (!fd || ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        return fail_errno("open a netfilter socket");
    return fd;
}

Result<void> commit(Transaction transaction) {
    // Kept while all goes well, because closing it waits for what the last transaction deleted.
    static std::mutex one_at_a_time;
    static Fd socket;
    const std::lock_guard lock(one_at_a_time);
    if (!socket) socket = TRY(open_socket());
    const std::string bytes = transaction.finish();
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    Result<void> done;
    if (::sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel),
                 sizeof kernel) < 0)
        done = fail_errno(kAction);
    else
        done = nfnetlink::receive(socket.get(), kAction, [](nlmsghdr*) {});
    if (!done) socket = Fd();  // further answers may be on their way
    return done;
}

}  // namespace

Result<void> add_elements(const std::vector<Element>& elements) {
    return replace_elements({}, elements);
}

Result<void> remove_elements(const std::vector<Element>& elements) {
    return replace_elements(elements, {});
}

Result<void> replace_elements(const std::vector<Element>& old, const std::vector<Element>& now) {
    if (old.empty() && now.empty()) return {};
    Transaction transaction;
    for (const Element& element : old) {
        transaction.add(element);  // or the kernel would miss one that is gone
        transaction.remove(
            {element.family, element.table, element.set, element.key, element.key_end, {}});
    }
    for (const Element& element : now) transaction.add(element);
    return commit(std::move(transaction));
}

std::string number8(std::uint8_t number) {
    return {static_cast<char>(number), 0, 0, 0};
}

std::string number16(std::uint16_t number) {
    return {static_cast<char>(number >> 8U), static_cast<char>(number & 0xffU), 0, 0};
}

std::string interface_name(std::string_view name) {
    std::string bytes(name.substr(0, IFNAMSIZ - 1));
    bytes.resize(IFNAMSIZ);
    return bytes;
}

}  // namespace coffer::sys::nft
