#include "sys/nft.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <mutex>
#include <thread>

#undef _GNU_SOURCE  // the next header defines it again, with another value
#include <nftables/libnftables.h>

namespace coffer::sys::nft {
namespace {

struct FreeContext {
    void operator()(nft_ctx* context) const { ::nft_ctx_free(context); }
};

bool is_structural(unsigned type) {
    switch (type & 0xffU) {
        case NFT_MSG_NEWTABLE:
        case NFT_MSG_DELTABLE:
        case NFT_MSG_NEWCHAIN:
        case NFT_MSG_DELCHAIN:
        case NFT_MSG_NEWRULE:
        case NFT_MSG_DELRULE:
            return true;
        default:
            return false;
    }
}

using Context = std::unique_ptr<nft_ctx, FreeContext>;

constexpr unsigned kText = NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_TERSE | NFT_CTX_OUTPUT_STATELESS;
constexpr unsigned kJson = NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_TERSE;

Result<Context> open_context() {
    Context context(::nft_ctx_new(NFT_CTX_DEFAULT));
    if (!context) return fail(Code::Internal, "nftables: out of memory");
    ::nft_ctx_output_set_flags(context.get(), kText);
    ::nft_ctx_buffer_output(context.get());
    ::nft_ctx_buffer_error(context.get());
    return context;
}

Result<void> apply(nft_ctx* context, const std::string& commands) {
    if (::nft_run_cmd_from_buffer(context, commands.c_str()) == 0) return {};
    const std::string_view text = trim(::nft_ctx_get_error_buffer(context));
    return fail(Code::Internal, "nftables: {}", text.substr(0, text.find('\n')));
}

// libnftables has global state in its parser, so one at a time. It waits by select(2), which knows
// no descriptor from FD_SETSIZE on and ends the process over one.
std::mutex one_at_a_time;

}  // namespace

Result<Watch> Watch::open() {
    Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
    if (!fd) return fail_errno("open a netfilter socket");
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    const int group = NFNLGRP_NFTABLES;
    if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
        return fail_errno("subscribe to changes of nftables");
    return Watch(std::move(fd));
}

// Whether anything that counts was in the messages that have come.
Result<bool> Watch::read() {
    bool changed = false;
    alignas(nlmsghdr) std::array<char, 32 * 1024> buffer{};
    for (;;) {
        const ssize_t size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == ENOBUFS) {  // too many to keep: one of them may have counted
            changed = true;
            continue;
        }
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return changed;
        if (size < 0) return fail_errno("read changes of nftables");
        auto left = static_cast<unsigned>(size);
        for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data());
             left >= sizeof *header && header->nlmsg_len >= sizeof *header &&
             header->nlmsg_len <= left;) {
            changed = changed || is_structural(header->nlmsg_type);
            const unsigned step = std::min(NLMSG_ALIGN(header->nlmsg_len), left);
            left -= step;
            header = reinterpret_cast<nlmsghdr*>(reinterpret_cast<char*>(header) + step);
        }
    }
}

Result<Watch::Event> Watch::wait(int stop_fd, std::chrono::milliseconds quiet) {
    for (bool changed = false;;) {
        std::array<pollfd, 2> polls{{{fd_.get(), POLLIN, 0}, {stop_fd, POLLIN, 0}}};
        const int ready =
            ::poll(polls.data(), polls.size(), changed ? static_cast<int>(quiet.count()) : -1);
        if (ready < 0 && errno != EINTR) return fail_errno("wait for changes of nftables");
        if (ready > 0 && polls[1].revents != 0) return Event::Stopped;
        if (ready == 0) return Event::Changed;
        if (TRY(read())) changed = true;
    }
}

namespace {

Result<std::string> run_for(unsigned output, const std::string& commands) {
    // Kept, because closing its socket waits for what the last transaction deleted: 7 to 15 ms.
    static Context context;
    const std::lock_guard lock(one_at_a_time);
    if (!context) context = TRY(open_context());
    ::nft_ctx_output_set_flags(context.get(), output);
    TRY(apply(context.get(), commands));
    return std::string(::nft_ctx_get_output_buffer(context.get()));
}

}  // namespace

Result<std::string> run(const std::string& commands) {
    return run_for(kText, commands);
}

Result<std::string> list_json(const std::string& commands) {
    return run_for(kJson, commands);
}

Result<void> run_here(const std::string& commands) {
    const auto work = [&]() -> Result<void> {
        // A low descriptor for the socket: in a copy of the file table, where 3 is made free.
        if (::unshare(CLONE_FILES) != 0) return fail_errno("copy the file table");
        ::close(3);
        const std::lock_guard lock(one_at_a_time);
        const Context context = TRY(open_context());
        return apply(context.get(), commands);
    };
    Result<void> result;
    std::thread([&] { result = work(); }).join();
    return result;
}

}  // namespace coffer::sys::nft
