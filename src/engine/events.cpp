#include "engine/events.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "sys/file.hpp"

namespace coffer::engine {

namespace {

constexpr std::size_t kRemembered = 256;
constexpr std::size_t kQueued = 4096;
constexpr std::size_t kMostLines = 4 * kRemembered;

std::string attribute(const Event& event, const std::string& name) {
    const auto found = event.attributes.find(name);
    return found == event.attributes.end() ? std::string() : found->second;
}

// By the beginning of an id or name. docker does not ask what kind of object it is.
bool names_actor(const Event& event, const Filters& filters, const std::string& type) {
    const auto& wanted = filters.get(type);
    const std::string name = attribute(event, "name");
    return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const auto& start) {
               return event.actor.starts_with(start) || (!name.empty() && name.starts_with(start));
           });
}

std::string without_tag(const std::string& name) {
    return name.substr(0, name.find(':', name.rfind('/') + 1));
}

// An image filter also matches the events of containers made from it, with or without the tag.
bool names_image(const Event& event, const Filters& filters) {
    const auto& wanted = filters.get("image");
    if (wanted.empty()) return true;
    const std::string name = attribute(event, event.type == "image" ? "name" : "image");
    for (const std::string& text :
         {event.actor, name, without_tag(event.actor), without_tag(name)}) {
        if (!text.empty() && filters.matches("image", text)) return true;
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

void describe(json::Fields& f, const Event& s) {
    f("type", s.type);
    f("action", s.action);
    f("actor", s.actor);
    f("attributes", s.attributes);
    f("time", s.time_ns);
}

Event network_event(std::string action, std::string id, const std::string& name,
                    const std::string& driver, std::map<std::string, std::string> others) {
    others["name"] = name;
    others["type"] = driver;
    return {"network", std::move(action), std::move(id), std::move(others)};
}

Event volume_event(std::string action, std::string name,
                   std::map<std::string, std::string> others) {
    others["driver"] = "local";
    return {"volume", std::move(action), std::move(name), std::move(others)};
}

Event prune_event(std::string type, std::uint64_t reclaimed) {
    return {std::move(type), "prune", "", {{"reclaimed", std::to_string(reclaimed)}}};
}

void Events::keep_in(std::string file) {
    const std::lock_guard lock(mutex_);
    file_ = std::move(file);
    const auto text = sys::read_file(file_);
    if (!text) return;
    for (const std::string& line : split(*text, '\n')) {
        // The last line may be cut off.
        auto event = json::decode<Event>(line);
        if (event) past_.push_back(*std::move(event));
        if (past_.size() > kRemembered) past_.pop_front();
    }
    lines_ = kMostLines;  // begin with a file of whole lines
}

// Appends; a file that has grown to several times of what is remembered is written anew.
void Events::write_locked(const Event& event) {
    if (file_.empty()) return;
    std::string text = json::encode(event) + "\n";
    if (lines_ >= kMostLines || !log_) {
        std::string all;
        for (const Event& past : past_) all += json::encode(past) + "\n";
        lines_ = past_.size();
        ignore(sys::replace_file(file_, all, 0600, sys::Flush::No), "the next event tries again");
        log_.reset(::open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    }
    ++lines_;
    if (log_) ignore(sys::write_all(log_.get(), text), "a full disk costs only the replay");
}

void Events::publish(Event event) {
    const std::lock_guard lock(mutex_);
    if (event.time_ns == 0) event.time_ns = now().time_since_epoch().count();
    std::erase_if(listeners_, [&](const std::weak_ptr<Subscription>& listener) {
        const auto alive = listener.lock();
        if (alive) alive->push(event);
        return !alive;
    });
    write_locked(event);
    past_.push_back(std::move(event));
    if (past_.size() > kRemembered) past_.pop_front();
}

std::size_t Events::listeners() {
    const std::lock_guard lock(mutex_);
    std::erase_if(listeners_, [](const auto& listener) { return listener.expired(); });
    return listeners_.size();
}

Result<Events::Replay> Events::subscribe(Time since) {
    sys::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("subscribe to events");
    Replay replay;
    replay.live = std::shared_ptr<Subscription>(new Subscription(std::move(wake)));
    const std::lock_guard lock(mutex_);
    if (since != kZeroTime) {
        std::copy_if(past_.begin(), past_.end(), std::back_inserter(replay.past),
                     [&](const Event& event) { return event.time() >= since; });
    }
    listeners_.push_back(replay.live);
    return replay;
}

bool Events::matches(const Event& event, const Filters& filters) {
    if (!filters.matches("type", event.type) || !filters.matches("scope", "local")) {
        return false;
    }
    if (!names_action(event, filters) || !names_image(event, filters)) return false;
    if (!filters.match_labels(event.attributes)) return false;
    for (const char* type : {"container", "network", "volume", "daemon", "plugin", "node",
                             "service", "secret", "config"}) {
        if (!names_actor(event, filters, type)) return false;
    }
    return true;
}

}  // namespace coffer::engine
