// The order in which containers start with the engine and end with it: compose's dependencies.
#include <algorithm>
#include <set>

#include "base/log.hpp"
#include "base/sync.hpp"
#include "base/timers.hpp"
#include "engine/containers_impl.hpp"

namespace coffer::engine {

namespace {

// Then those that still wait start without what they depend on.
constexpr std::chrono::minutes kWaitLimit(5);
constexpr unsigned kMostStops = 64;  // at a time

}  // namespace

void Containers::Impl::start_in_order(const std::vector<std::shared_ptr<Container>>& containers) {
    std::vector<std::shared_ptr<const Record>> records;
    for (const auto& container : all()) records.push_back(container->record());
    const Dependencies graph = dependencies_of(records);
    {
        auto locked = waiting.lock();
        for (const auto& container : containers) {
            if (const auto found = graph.find(container->id()); found != graph.end()) {
                locked->insert(*found);
            }
        }
    }
    start_settled();
    if (waiting.lock()->empty()) return;
    core.timers.after(kWaitLimit, [this] {
        core.workers.submit([this] {
            for (const auto& [id, wanted] : std::exchange(*waiting.lock(), {})) {
                LOG_WARN("container {} starts before what it depends on", id);
                start_now(id);
            }
        });
    });
}

void Containers::Impl::start_settled() {
    const auto settled = [&](const Dependency& wanted) {
        const auto other = find(wanted.id);
        return !other || is_settled(*(*other)->record(), wanted.condition);
    };
    std::vector<std::string> ready;
    {
        auto locked = waiting.lock();
        std::erase_if(*locked, [&](const auto& entry) {
            if (!std::all_of(entry.second.begin(), entry.second.end(), settled)) return false;
            ready.push_back(entry.first);
            return true;
        });
    }
    for (const std::string& id : ready) start_now(id);
}

void Containers::Impl::start_now(const std::string& id) {
    const auto container = find(id);
    if (!container) return;
    const Container::Claim claim(*container);
    // Somebody may have ended it, or started it by hand, meanwhile.
    if ((*container)->record()->status == "restarting") {
        plan_restart(*container, std::chrono::milliseconds(0));
    }
}

std::vector<std::shared_ptr<Container>> Containers::Impl::take_last(
    std::vector<std::shared_ptr<Container>>& containers) {
    std::vector<std::shared_ptr<const Record>> records;
    records.reserve(containers.size());
    for (const auto& container : containers) records.push_back(container->record());
    std::set<std::string> wanted;
    for (const auto& [id, dependencies] : dependencies_of(records)) {
        for (const Dependency& dependency : dependencies) wanted.insert(dependency.id);
    }
    const auto last = std::stable_partition(
        containers.begin(), containers.end(),
        [&](const auto& container) { return wanted.contains(container->id()); });
    std::vector<std::shared_ptr<Container>> taken(last, containers.end());
    containers.erase(last, containers.end());
    return taken;
}

void Containers::stop_all() {
    impl_->stopping = true;
    std::vector<std::shared_ptr<Container>> left = impl_->all();
    std::erase_if(left, [](const auto& container) {
        const Container::Claim after_a_start(container);
        return !container->record()->is_running();
    });
    const EndRequest request{.action = "shutdown", .by = "engine", .is_final = false};
    while (!left.empty()) {
        // Its end waits for the jobs.
        WorkerPool together(0, kMostStops);
        for (const auto& container : Impl::take_last(left)) {
            together.submit([this, container, request] {
                const auto stopped = impl_->stop(container, {}, request);
                if (stopped || stopped.error().code == Code::NotModified) return;
                LOG_WARN("stop container {}: {}", container->id(), stopped.error().message);
            });
        }
    }
}

}  // namespace coffer::engine
