#include "network/sandbox.hpp"

#include <sys/socket.h>

#include <deque>
#include <random>
#include <set>
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

}  // namespace

struct SandboxPool::Impl {
    struct State {
        std::deque<Sandbox> ready;
        std::set<std::uint32_t> taken;  // ready ones too
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
    Result<sys::Message> ask(std::uint32_t id_base);
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
        if (locked->taken.insert(candidate).second) return candidate;
    } while (locked->next != start);
    return fail(Code::Unavailable, "every id range is taken by a running container");
}

// One request and its answer; a helper that has died is started once more.
Result<sys::Message> SandboxPool::Impl::ask(std::uint32_t id_base) {
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
        auto answer = sys::send_message(locked->socket.get(), request)
                          ? sys::receive_message(locked->socket.get())
                          : Result<sys::Message>(sys::Message{});
        if (answer && !answer->payload.empty()) return answer;
        *locked = {};
        if (fresh) return fail(Code::Internal, "the namespace helper has ended");
    }
}

Result<Sandbox> SandboxPool::Impl::make() {
    const std::uint32_t id_base = TRY(take_range());
    const auto create = [&]() -> Result<Sandbox> {
        sys::Message message = TRY(ask(id_base));
        const auto reply = TRY(json::decode<Reply>(message.payload));
        if (!reply.ok || message.fds.size() != 2)
            return fail(Code::Internal, "namespace helper: {}", reply.message);
        Sandbox sandbox;
        sandbox.userns = std::move(message.fds[0]);
        sandbox.netns = std::move(message.fds[1]);
        sandbox.id_base = id_base;
        auto prepared = sys::netlink::run_in_netns(sandbox.netns.get(),
                                                   [id_base] { return prepare_inside(id_base); });
        if (!prepared) return wrap(std::move(prepared).error(), "prepare a network namespace");
        return sandbox;
    };
    auto made = create();
    if (!made) state.lock()->taken.erase(id_base);
    return made;
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
    if (!impl_->state.lock()->taken.insert(id_base).second)
        return fail(Code::Conflict, "the id range {:#x} is taken already", id_base);
    return {};
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
    impl_->state.lock()->taken.erase(id_base);
}

}  // namespace coffer::network
