#include "network/sandbox.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

#include <deque>
#include <map>
#include <random>
#include <thread>

#include "base/log.hpp"
#include "base/sync.hpp"
#include "json/codec.hpp"
#include "sys/file.hpp"
#include "sys/netlink.hpp"
#include "sys/process.hpp"

namespace coffer::network {
namespace {

constexpr auto kCalm = std::chrono::milliseconds(100);

struct Reply {
    bool ok = false;
    std::string message;
};
void describe(json::Fields& f, const Reply& s) {
    f("ok", s.ok);
    f("message", s.message);
}

// What a container finds in its network namespace before anything is plugged in. Runs in a thread
// that is inside it.
Result<void> prepare_inside(std::uint32_t id_base) {
    auto socket = TRY(sys::netlink::Socket::open());
    sys::netlink::Batch batch;
    batch.set_up(1);  // lo
    TRY(socket.commit(batch));
    struct Sysctl {
        const char* path;
        std::string value;
    };
    for (const Sysctl& sysctl : {
             // IPv6 stays on lo. An interface that came up with it would believe any router.
             Sysctl{"ipv6/conf/default/disable_ipv6", "1"},
             Sysctl{"ipv6/conf/default/accept_ra", "0"},
             Sysctl{"ipv6/conf/default/autoconf", "0"},
             // A fresh container may get the address of one that has just gone: its neighbours must
             // not go on sending to the old port.
             Sysctl{"ipv4/conf/default/arp_notify", "1"},
             Sysctl{"ipv4/ip_unprivileged_port_start", "0"},
             Sysctl{"ipv4/ping_group_range", format("{} {}", id_base, id_base + kIdCount - 1)},
         }) {
        auto written =
            sys::write_existing(std::string("/proc/sys/net/") + sysctl.path, sysctl.value);
        if (!written && written.error().sys_errno != ENOENT) return written;  // no IPv6 here
    }
    return {};
}

Result<ino_t> inode_of(const sys::Fd& file) {
    struct stat status {};
    if (::fstat(file.get(), &status) != 0) return fail_errno("stat a namespace");
    return status.st_ino;
}

}  // namespace

struct SandboxPool::Impl {
    struct Held {
        unsigned holders = 1;
        ino_t userns = 0;  // the inode; 0: made by an engine before us
    };
    struct State {
        std::deque<Sandbox> ready;
        std::map<std::uint32_t, Held> held;  // ranges, of ready ones too
        std::uint32_t next = kFirstIdBase;
        bool stopping = false;
    };
    struct Helper {
        sys::Process process;
        sys::Fd socket;
    };

    explicit Impl(SandboxPoolOptions given) : options(std::move(given)) {
        // Engines that run side by side should not give out the same ranges.
        constexpr std::uint32_t kRanges = (kLastIdBase - kFirstIdBase) / kIdCount + 1;
        state.lock()->next = kFirstIdBase + std::random_device{}() % kRanges * kIdCount;
    }
    ~Impl() {
        state.lock()->stopping = true;
        changed.notify_all();
        if (worker.joinable()) worker.join();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    Impl(Impl&&) = delete;
    Impl& operator=(Impl&&) = delete;

    Result<std::uint32_t> take_range();
    Result<Sandbox> make();
    // The namespaces in a sandbox; of a new one both, else the network within `userns`.
    Result<std::vector<sys::Fd>> ask(std::uint32_t id_base, int userns = -1);
    Result<Sandbox> make_in(std::uint32_t id_base, sys::Fd userns);
    void release(std::uint32_t id_base);
    void fill();

    SandboxPoolOptions options;
    Sync<State> state;
    std::condition_variable changed;
    Sync<Helper> helper;
    std::thread worker;
};

Result<std::uint32_t> SandboxPool::Impl::take_range() {
    auto locked = state.lock();
    const std::uint32_t start = locked->next;
    do {
        const std::uint32_t candidate = locked->next;
        locked->next = candidate == kLastIdBase ? kFirstIdBase : candidate + kIdCount;
        if (locked->held.try_emplace(candidate).second) return candidate;
    } while (locked->next != start);
    return fail(Code::Unavailable, "every id range is taken by a running container");
}

// One request and its answer; a helper that has died is started once more.
Result<std::vector<sys::Fd>> SandboxPool::Impl::ask(std::uint32_t id_base, int userns) {
    std::vector<int> given;
    if (userns >= 0) given.push_back(userns);
    const std::string request = format("{{\"base\":{}}}", id_base);
    auto locked = helper.lock();
    for (bool fresh = false;; fresh = true) {
        if (!locked->socket) {
            auto pair = TRY(sys::make_socketpair(SOCK_SEQPACKET));
            sys::SpawnOptions spawn;
            spawn.argv = options.helper;
            spawn.fds = {{3, pair.theirs.get()}};
            locked->process = TRY_CONTEXT(sys::spawn(spawn), "start the namespace helper");
            locked->socket = std::move(pair.ours);
            fresh = true;
        }
        auto answer = sys::send_message(locked->socket.get(), request, given)
                          ? sys::receive_message(locked->socket.get())
                          : Result<sys::Message>(sys::Message{});
        if (answer && !answer->payload.empty()) {
            const auto reply = TRY(json::decode<Reply>(answer->payload));
            if (!reply.ok || answer->fds.size() != (userns < 0 ? 2U : 1U)) {
                return fail(Code::Internal, "namespace helper: {}", reply.message);
            }
            return std::move(answer->fds);
        }
        *locked = {};
        if (fresh) return fail(Code::Internal, "the namespace helper has ended");
    }
}

Result<Sandbox> SandboxPool::Impl::make_in(std::uint32_t id_base, sys::Fd userns) {
    std::vector<sys::Fd> made = TRY(ask(id_base, userns.get()));
    Sandbox sandbox;
    sandbox.userns = userns ? std::move(userns) : std::move(made.front());
    sandbox.netns = std::move(made.back());
    sandbox.id_base = id_base;
    TRY_CONTEXT(sys::netlink::run_in_netns(sandbox.netns.get(),
                                           [id_base] { return prepare_inside(id_base); }),
                "prepare a network namespace");
    return sandbox;
}

Result<Sandbox> SandboxPool::Impl::make() {
    const std::uint32_t id_base = TRY(take_range());
    auto made = make_in(id_base, {});
    if (!made) {
        release(id_base);
        return made;
    }
    const auto inode = inode_of(made->userns);
    if (inode) state.lock()->held[id_base].userns = *inode;
    return made;
}

void SandboxPool::Impl::release(std::uint32_t id_base) {
    auto locked = state.lock();
    const auto range = locked->held.find(id_base);
    if (range != locked->held.end() && --range->second.holders == 0) locked->held.erase(range);
}

void SandboxPool::Impl::fill() {
    auto locked = state.lock();
    while (!locked->stopping) {
        if (locked->ready.size() >= options.ready) {
            locked.wait(changed,
                        [&] { return locked->stopping || locked->ready.size() < options.ready; });
            // Who took it is starting a container: that needs the processors and the kernel's lock
            // over all networks more than the stock does, as long as there is one.
            locked.wait_for(changed, kCalm, [&] {
                return locked->stopping || locked->ready.size() <= options.ready / 2;
            });
            continue;
        }
        locked.unlock();
        auto made = make();
        locked = state.lock();
        if (made) {
            locked->ready.push_back(std::move(*made));
            continue;
        }
        LOG_WARN("fill the stock of sandboxes: {}", made.error().message);
        locked.wait_for(changed, std::chrono::seconds(5), [&] { return locked->stopping; });
    }
}

SandboxPool::SandboxPool(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SandboxPool::~SandboxPool() = default;

Result<std::unique_ptr<SandboxPool>> SandboxPool::create(SandboxPoolOptions options) {
    if (options.helper.empty()) return fail(Code::InvalidArgument, "no namespace helper given");
    return std::unique_ptr<SandboxPool>(
        new SandboxPool(std::make_unique<Impl>(std::move(options))));
}

Result<void> SandboxPool::reserve(std::uint32_t id_base) {
    if (id_base < kFirstIdBase || id_base > kLastIdBase || id_base % kIdCount != 0)
        return fail(Code::InvalidArgument, "{:#x} is no id range of ours", id_base);
    auto locked = impl_->state.lock();
    const auto [range, added] = locked->held.try_emplace(id_base);
    if (!added) ++range->second.holders;
    return {};
}

Result<Sandbox> SandboxPool::join(sys::Fd userns, std::uint32_t id_base) {
    const ino_t inode = TRY(inode_of(userns));
    {
        // Whose container has ended may have lost its range to another meanwhile.
        auto locked = impl_->state.lock();
        const auto range = locked->held.find(id_base);
        if (range == locked->held.end() ||
            (range->second.userns != 0 && range->second.userns != inode)) {
            return fail(Code::Conflict, "the user namespace of {:#x} has ended", id_base);
        }
        ++range->second.holders;
    }
    auto made = impl_->make_in(id_base, std::move(userns));
    if (!made) release(id_base);
    return made;
}

void SandboxPool::warm() {
    if (impl_->options.ready == 0 || impl_->worker.joinable()) return;
    impl_->worker = std::thread([impl = impl_.get()] {
        try {
            impl->fill();
        } catch (const std::exception& error) {
            LOG_ERROR("the sandbox worker ends: {}", error.what());
        }
    });
}

Result<Sandbox> SandboxPool::take() {
    {
        auto locked = impl_->state.lock();
        if (!locked->ready.empty()) {
            Sandbox sandbox = std::move(locked->ready.front());
            locked->ready.pop_front();
            locked.unlock();
            impl_->changed.notify_one();
            return sandbox;
        }
    }
    return impl_->make();
}

void SandboxPool::release(std::uint32_t id_base) {
    impl_->release(id_base);
}

}  // namespace coffer::network
