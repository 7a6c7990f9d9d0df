#include "engine/collector.hpp"

#include <sys/statvfs.h>

#include <atomic>
#include <mutex>
#include <numeric>
#include <optional>

#include "base/log.hpp"
#include "base/sync.hpp"
#include "base/timers.hpp"
#include "engine/images.hpp"
#include "store/store.hpp"

namespace coffer::engine {

namespace {

constexpr auto kInterval = std::chrono::minutes(1);

}  // namespace

struct Collector::Impl {
    store::Store& store;
    Images& images;
    Timers& timers;
    WorkerPool& workers;
    CollectionRules rules;
    std::mutex collecting;  // one at a time
    // A collection may take minutes: those who have other work must not wait for it.
    std::optional<WorkerPool> own{std::in_place, 1};
    std::atomic<bool> looking = false;  // a look at the watermarks is on its way
    std::atomic<bool> ticking = false;
    std::atomic<bool> stopping = false;
    std::atomic<bool> told_in_vain = false;  // that it found too little

    Result<DiskFill> fill(Watermark::Unit unit) const {
        if (unit == Watermark::Unit::Bytes) return DiskFill{.images = TRY(store.image_usage())};
        struct statvfs status {};
        const std::string& root = store.paths().root();
        if (::statvfs(root.c_str(), &status) != 0)
            return fail_errno("stat file system of '{}'", root);
        const std::uint64_t used = status.f_blocks - status.f_bfree;
        return DiskFill{.size = (used + status.f_bavail) * status.f_frsize,
                        .used = used * status.f_frsize};
    }

    Result<api::Collection> run(const Watermark& target, bool dry_run) {
        const std::uint64_t beyond = bytes_beyond(target, TRY(fill(target.unit)));
        api::Collection done{.target = to_string(target), .items = {}};
        if (beyond > 0)
            done.items = TRY(images.collect(
                {.bytes = beyond, .rules = rules, .dry_run = dry_run, .stops = [this] {
                     return stopping.load();
                 }}));
        const std::int64_t freed =
            std::accumulate(done.items.begin(), done.items.end(), std::int64_t{0},
                            [](std::int64_t sum, const auto& item) { return sum + item.size; });
        done.missing = std::max<std::int64_t>(0, static_cast<std::int64_t>(beyond) - freed);
        return done;
    }

    Result<void> look() {
        if (!rules.high) return {};
        const std::scoped_lock lock(collecting);
        if (stopping || bytes_beyond(*rules.high, TRY(fill(rules.high->unit))) == 0) {
            told_in_vain = false;
            return {};
        }
        if (!told_in_vain)
            LOG_INFO("more than {} is in use: collects images down to {}", to_string(*rules.high),
                     to_string(*rules.low));
        const api::Collection done = TRY(run(*rules.low, false));
        // Once, not every minute.
        if (done.missing > 0 && !stopping && !told_in_vain.exchange(true))
            LOG_WARN("{} more than {} are in use, by what no collection may take",
                     human_size(static_cast<double>(done.missing)), done.target);
        if (done.missing == 0) LOG_INFO("collected {} images and parts", done.items.size());
        return {};
    }

    void look_soon() {
        if (!rules.high || looking.exchange(true)) return;
        own->submit([this] {
            looking = false;
            if (const auto done = look(); !done)
                LOG_WARN("collect images: {}", done.error().message);
        });
    }

    void tick() {
        if (const auto written = images.write_uses(); !written)
            LOG_WARN("write when images were used: {}", written.error().message);
        if (const auto pruned = store.content().prune_partials({}); !pruned)
            LOG_WARN("remove old parts of pulls: {}", pruned.error().message);
        look_soon();
    }

    // On the thread of the timers, which end before the workers do.
    void wait() {
        timers.after(kInterval, [this] {
            if (!ticking.exchange(true)) {
                workers.submit([this] {
                    tick();
                    ticking = false;
                });
            }
            wait();
        });
    }
};

Collector::Collector(store::Store& store, Images& images, Timers& timers, WorkerPool& workers,
                     CollectionRules rules)
    : impl_(new Impl{.store = store,
                     .images = images,
                     .timers = timers,
                     .workers = workers,
                     .rules = std::move(rules)}) {}

Collector::~Collector() {
    stop();
    impl_->own.reset();
    if (const auto written = impl_->images.write_uses(); !written)
        LOG_WARN("write when images were used: {}", written.error().message);
}

void Collector::begin() {
    impl_->images.on_growth([impl = impl_.get()] { impl->look_soon(); });
    impl_->wait();
}

void Collector::stop() {
    impl_->stopping = true;
}

Result<api::Collection> Collector::collect(const std::optional<Watermark>& target, Run run) {
    const auto& wanted = target ? target : impl_->rules.low;
    if (!wanted)
        return fail(Code::InvalidArgument,
                    "there is no low watermark: say what may stay in use, a part of the file "
                    "system (70%) or bytes of images (20g)");
    const std::scoped_lock lock(impl_->collecting);
    return impl_->run(*wanted, run == Run::Dry);
}

}  // namespace coffer::engine
