#include "engine/events.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

namespace coffer::engine {

namespace {

constexpr std::size_t kRemembered = 256;
constexpr std::size_t kQueued = 4096;

std::string attribute(const Event& event, const std::string& name) {
    const auto found = event.attributes.find(name);
    return found == event.attributes.end() ? std::string() : found->second;
}

// A filter on an object of `type`: by id, id prefix or name.
bool names_actor(const Event& event, const Filters& filters, const std::string& type) {
    if (!filters.has(type)) return true;
    if (event.type != type) return false;
    const std::string name = attribute(event, "name");
    for (const std::string& wanted : filters.get(type)) {
        if (wanted == event.actor || wanted == name) return true;
        if (!wanted.empty() && event.actor.starts_with(wanted)) return true;
    }
    return false;
}

// An image filter also matches the events of containers made from it, with or without the tag.
bool names_image(const Event& event, const Filters& filters) {
    if (!filters.has("image")) return true;
    const std::string name = event.type == "image" ? event.actor : attribute(event, "image");
    const std::string untagged = name.substr(0, name.find(':', name.rfind('/') + 1));
    for (const std::string& wanted : filters.get("image")) {
        if (wanted == name || wanted == untagged || wanted == attribute(event, "name")) return true;
    }
    return false;
}

// "exec_create: ls" is found by "exec_create" too.
bool names_action(const Event& event, const Filters& filters) {
    return filters.matches("event", event.action) ||
           filters.matches("event", event.action.substr(0, event.action.find(':')));
}

}  // namespace

std::vector<Event> Events::Subscription::take() {
    const std::lock_guard lock(mutex_);
    std::uint64_t count = 0;
    static_cast<void>(!::read(wake_.get(), &count, sizeof count));
    std::vector<Event> events(std::make_move_iterator(queue_.begin()),
                              std::make_move_iterator(queue_.end()));
    queue_.clear();
    return events;
}

void Events::Subscription::push(const Event& event) {
    const std::lock_guard lock(mutex_);
    if (queue_.size() == kQueued) queue_.pop_front();
    queue_.push_back(event);
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake_.get(), &one, sizeof one));
}

void Events::publish(Event event) {
    const std::lock_guard lock(mutex_);
    if (event.time == Time{}) event.time = now();
    std::erase_if(listeners_, [&](const std::weak_ptr<Subscription>& listener) {
        const auto alive = listener.lock();
        if (alive) alive->push(event);
        return !alive;
    });
    past_.push_back(std::move(event));
    if (past_.size() > kRemembered) past_.pop_front();
}

Result<Events::Replay> Events::subscribe(Time since) {
    sys::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("subscribe to events");
    Replay replay;
    replay.live = std::shared_ptr<Subscription>(new Subscription(std::move(wake)));
    const std::lock_guard lock(mutex_);
    if (since != kZeroTime) {
        std::copy_if(past_.begin(), past_.end(), std::back_inserter(replay.past),
                     [&](const Event& event) { return event.time >= since; });
    }
    listeners_.push_back(replay.live);
    return replay;
}

Result<void> Events::accept_filters(const Filters& filters) {
    return filters.accept({"config", "container", "daemon", "event", "image", "label", "network",
                           "node", "plugin", "scope", "secret", "service", "type", "volume"});
}

bool Events::matches(const Event& event, const Filters& filters) {
    if (!filters.matches("type", event.type) || !filters.matches("scope", "local")) return false;
    if (!names_action(event, filters) || !names_image(event, filters)) return false;
    if (!filters.match_labels(event.attributes)) return false;
    for (const char* type : {"container", "network", "volume", "daemon", "plugin"}) {
        if (!names_actor(event, filters, type)) return false;
    }
    return true;
}

}  // namespace coffer::engine
