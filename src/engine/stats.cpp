#include "engine/stats.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <thread>

#include "base/log.hpp"
#include "engine/containers_impl.hpp"

namespace coffer::engine {

namespace {

constexpr std::chrono::milliseconds kPeriod(1000);
constexpr std::chrono::hours kIdle(1);

// Nothing but who it is: the sample of a container that does not run.
api::StatsResponse idle(const Record& record) {
    api::StatsResponse sample;
    sample.name = "/" + record.name;
    sample.id = record.id;
    return sample;
}

}  // namespace

// One watched container.
struct Watched {
    std::shared_ptr<Container> container;
    std::vector<std::weak_ptr<Stats::Watch>> watches;
    Stats::Sample last;
    std::chrono::steady_clock::time_point due = {};
};

struct Stats::Impl {
    explicit Impl(Containers& all) : containers(all) {}

    struct State {
        std::map<std::string, Watched> watched;  // by container id
        bool end = false;
    };

    Containers& containers;
    Sync<State> state;
    std::condition_variable changed;
    std::thread sampler;  // started by the first watch

    std::map<std::string, Watched> take_due();
    void work();
    Sample sample(const Watched& watched) const;
};

Stats::Sample Stats::Impl::sample(const Watched& watched) const {
    const auto record = watched.container->record();
    auto now =
        record->is_running() ? sample_stats(*record) : Result<api::StatsResponse>(idle(*record));
    // Its cgroup goes a moment before its record says so.
    if (!now) now = idle(*record);
    if (watched.last && now->read != api::StatsResponse().read) {
        now->preread = watched.last->read;
        now->precpu_stats = watched.last->cpu_stats;
    }
    return std::make_shared<const api::StatsResponse>(*std::move(now));
}

// Forgets whom nobody watches; then waits until somebody is due and gives copies of all who are.
// Empty at the end.
std::map<std::string, Watched> Stats::Impl::take_due() {
    auto locked = state.lock();
    auto& all = locked->watched;
    auto next = std::chrono::steady_clock::now() + kIdle;
    for (auto entry = all.begin(); entry != all.end();) {
        auto& watches = entry->second.watches;
        std::erase_if(watches, [](const auto& watch) { return watch.expired(); });
        if (!watches.empty()) next = std::min(next, entry->second.due);
        entry = watches.empty() ? all.erase(entry) : std::next(entry);
    }
    const auto anybody_due = [&] {
        return locked->end || std::any_of(all.begin(), all.end(), [](const auto& entry) {
                   return entry.second.due <= std::chrono::steady_clock::now();
               });
    };
    locked.wait_for(changed, next - std::chrono::steady_clock::now(), anybody_due);
    std::map<std::string, Watched> due;
    const auto now = std::chrono::steady_clock::now();
    for (auto& [id, watched] : all) {
        if (locked->end || watched.due > now) continue;
        // Late ones keep their rhythm, unless they are so late that two would follow at once.
        watched.due = std::max(watched.due + kPeriod, now + kPeriod / 2);
        due.emplace(id, watched);
    }
    return due;
}

// Samples without the lock: a slow read of one must not stop the others' coming and going.
void Stats::Impl::work() {
    while (!state.lock()->end) {
        for (auto& [id, watched] : take_due()) {
            const bool removed = watched.container->removed();
            const Sample now = removed ? nullptr : sample(watched);
            for (const auto& watch : watched.watches) {
                if (const auto alive = watch.lock()) alive->tell({now, removed});
            }
            auto locked = state.lock();
            const auto entry = locked->watched.find(id);
            if (entry != locked->watched.end()) entry->second.last = now;
        }
    }
}

Stats::Stats(Containers& containers) : impl_(std::make_unique<Impl>(containers)) {}

Stats::~Stats() {
    impl_->state.lock()->end = true;
    impl_->changed.notify_all();
    if (impl_->sampler.joinable()) impl_->sampler.join();
}

Stats::Watch::News Stats::Watch::take() {
    auto news = news_.lock();
    std::uint64_t count = 0;
    static_cast<void>(!::read(wake_.get(), &count, sizeof count));
    return {std::exchange(news->sample, nullptr), news->removed};
}

void Stats::Watch::tell(News news) {
    *news_.lock() = std::move(news);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_.get(), &one, sizeof one));
}

Result<api::StatsResponse> Stats::once(const std::string& name) const {
    const auto record = TRY(impl_->containers.impl().find(name))->record();
    if (!record->is_running()) return idle(*record);
    return sample_stats(*record);
}

Result<std::shared_ptr<Stats::Watch>> Stats::watch(const std::string& name) {
    const auto container = TRY(impl_->containers.impl().find(name));
    sys::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("watch container {}", name);
    auto watch = std::shared_ptr<Watch>(new Watch(std::move(wake)));
    {
        auto locked = impl_->state.lock();
        Watched& watched = locked->watched[container->id()];
        if (!watched.container) watched.due = std::chrono::steady_clock::now();
        watched.container = container;
        watched.watches.push_back(watch);
        // Whoever comes second gets what is known at once.
        if (watched.last) watch->tell({watched.last, false});
        if (!impl_->sampler.joinable()) {
            impl_->sampler = std::thread([impl = impl_.get()] { impl->work(); });
        }
    }
    impl_->changed.notify_all();
    return watch;
}

}  // namespace coffer::engine
