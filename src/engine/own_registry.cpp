#include "engine/own_registry.hpp"

#include "base/log.hpp"
#include "engine/own_registry_impl.hpp"

namespace coffer::engine {

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kTidyInterval = std::chrono::seconds(10);
constexpr auto kIdleUpload = std::chrono::minutes(30);
constexpr auto kWaitingBlob = std::chrono::hours(1);
constexpr std::size_t kMaxName = 255;  // as in docker-registry

}  // namespace

OwnRegistry::Impl::Impl(store::Store& store_, Images& images_, OwnRegistryOptions options_)
    : store(store_), images(images_), options(std::move(options_)) {
    tidier = std::thread([this] {
        auto over = ending.lock();
        while (!over.wait_for(end, kTidyInterval, [&] { return *over; })) tidy();
    });
}

OwnRegistry::Impl::~Impl() {
    *ending.lock() = true;
    end.notify_all();
    tidier.join();
}

// What nobody came back for. Leases end outside of the lock: they remove files.
void OwnRegistry::Impl::tidy() {
    const auto now = Clock::now();
    std::vector<std::shared_ptr<Upload>> idle;
    std::vector<WaitingBlob> unused;
    {
        auto all = uploads.lock();
        for (auto it = all->begin(); it != all->end();) {
            // Nobody writes to one of which this is the only owner.
            const bool over =
                it->second.use_count() == 1 && now - it->second->touched.load() > kIdleUpload;
            if (over) idle.push_back(std::move(it->second));
            it = over ? all->erase(it) : std::next(it);
        }
    }
    {
        auto all = waiting.lock();
        for (auto it = all->begin(); it != all->end();) {
            const bool over = now - it->second.touched > kWaitingBlob;
            if (over) unused.push_back(std::move(it->second));
            it = over ? all->erase(it) : std::next(it);
        }
    }
    const auto expired = store.manifests().expire(options.keep_untagged);
    if (!expired) LOG_WARN("registry: remove untagged manifests: {}", expired.error().message);
    if (expired && *expired > 0) LOG_INFO("registry: removed {} untagged manifests", *expired);
}

std::string OwnRegistry::Impl::canonical(const std::string& repository) const {
    return options.name + "/" + repository;
}

std::optional<std::string> OwnRegistry::Impl::sha256_of(const std::string& digest) const {
    return is_digest(digest) ? std::optional(digest) : store.manifests().find_alias(digest);
}

OwnRegistry::OwnRegistry(store::Store& store, Images& images, OwnRegistryOptions options)
    : impl_(std::make_unique<Impl>(store, images, std::move(options))) {}

OwnRegistry::~OwnRegistry() = default;

bool OwnRegistry::is_repository(const std::string& repository) const {
    if (repository.size() > kMaxName) return false;
    const auto reference = oci::parse_reference_as_given(impl_->canonical(repository));
    return reference && reference->path == repository && reference->object().empty();
}

}  // namespace coffer::engine
