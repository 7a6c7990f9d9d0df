#include "command/command.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace coffer::command {

const Flag* FlagTable::find(std::string_view name) const {
    for (const auto& flags : parts()) {
        for (const Flag& flag : flags) {
            if (flag.name == name) return &flag;
        }
    }
    return nullptr;
}

const Flag* FlagTable::find(char shorthand) const {
    for (const auto& flags : parts()) {
        for (const Flag& flag : flags) {
            if (flag.shorthand == shorthand) return &flag;
        }
    }
    return nullptr;
}

std::vector<const Flag*> FlagTable::shown() const {
    std::vector<const Flag*> out;
    for (const auto& flags : parts()) {
        for (const Flag& flag : flags) {
            if (!flag.hidden && flag.same_as.empty()) out.push_back(&flag);
        }
    }
    std::sort(out.begin(), out.end(),
              [](const Flag* a, const Flag* b) { return a->name < b->name; });
    return out;
}

const Command* find_child(const Command& command, std::string_view name) {
    for (const Command* child : command.children) {
        if (child->name == name) return child;
        for (const std::string& other : split(child->other_names, ',')) {
            if (!other.empty() && other == name) return child;
        }
    }
    return nullptr;
}

Result<Topic> find_topic(const Command& root, std::span<const std::string> words) {
    Topic topic{&root, std::string(root.name)};
    for (const std::string& word : words) {
        const Command* child = find_child(*topic.command, word);
        if (child == nullptr) {
            return fail(Code::NotFound, "unknown help topic: {}",
                        join({words.begin(), words.end()}, " "));
        }
        topic.command = child;
        topic.path += " " + std::string(child->name);
    }
    return topic;
}

std::vector<const Command*> visible_children(const Command& command) {
    std::vector<const Command*> out;
    for (const Command* child : command.children) {
        if (!child->hidden) out.push_back(child);
    }
    std::sort(out.begin(), out.end(),
              [](const Command* a, const Command* b) { return a->name < b->name; });
    return out;
}

std::string use_line(const Command& command, std::string_view path) {
    if (command.arguments.empty()) return std::string(path);
    return format("{} {}", path, command.arguments);
}

}  // namespace coffer::command
