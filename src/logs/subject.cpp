// What the options say about the container itself: its attributes and its tag.

#include <algorithm>

#include "base/pattern.hpp"
#include "logs/options.hpp"

namespace coffer::logs {

namespace {

std::map<std::string, std::string> to_map(const std::vector<std::string>& env) {
    std::map<std::string, std::string> out;
    for (const std::string& entry : env) {
        const auto sides = cut(entry, "=");
        if (sides) out[std::string(sides->first)] = sides->second;
    }
    return out;
}

Result<void> add_matching(Attributes& attributes, const Options& options, const std::string& name,
                          const std::map<std::string, std::string>& from) {
    if (const auto names = options.find(name); names != options.end() && !names->second.empty()) {
        for (const std::string& wanted : split(names->second, ',')) {
            const auto found = from.find(wanted);
            if (found != from.end()) attributes[wanted] = found->second;
        }
    }
    const auto text = options.find(name + "-regex");
    if (text == options.end() || text->second.empty()) return {};
    const Pattern pattern(text->second);
    if (!pattern.is_valid()) {
        return fail(Code::InvalidArgument, "error parsing regexp: `{}`", text->second);
    }
    for (const auto& [key, value] : from) {
        if (pattern.found_in(key)) attributes[key] = value;
    }
    return {};
}

std::string short_id(std::string_view id) {
    if (const auto sides = cut(id, ":")) id = sides->second;
    return std::string(id.substr(0, 12));
}

// What stands between the braces of one action.
Result<std::string> evaluate(std::string_view action, const Subject& subject) {
    const Origin& origin = subject.origin;
    const std::pair<std::string_view, std::string> fields[] = {
        {".ID", short_id(origin.container_id)},  {".FullID", origin.container_id},
        {".Name", origin.container_name},        {".FullName", origin.container_name},
        {".ImageID", short_id(origin.image_id)}, {".ImageFullID", origin.image_id},
        {".ImageName", origin.image_name},       {".Command", origin.command},
        {".Hostname", origin.hostname},          {".DaemonName", "coffer"},
        {".ContainerID", origin.container_id},   {".ContainerName", "/" + origin.container_name},
        {".ContainerImageID", origin.image_id},  {".ContainerImageName", origin.image_name}};
    for (const auto& [name, value] : fields) {
        if (action == name) return value;
    }
    constexpr std::string_view kLabel = "index .ContainerLabels \"";
    if (action.starts_with(kLabel) && action.ends_with('"') && action.size() > kLabel.size()) {
        action.remove_prefix(kLabel.size());
        const auto found = subject.labels.find(std::string(action.substr(0, action.size() - 1)));
        return found == subject.labels.end() ? std::string() : found->second;
    }
    if (action.starts_with('.')) {
        return fail(
            Code::InvalidArgument,
            "template: log-tag:1: executing \"log-tag\" at <{}>: can't evaluate field {} in "
            "type *logger.Info",
            action, action.substr(1));
    }
    return fail(Code::InvalidArgument,
                "template: log-tag:1: '{}' is not supported: a tag may have fields such as "
                "{{{{.Name}}}} and {{{{index .ContainerLabels \"key\"}}}}",
                action);
}

}  // namespace

Result<Attributes> find_attributes(const Options& options, const Subject& subject) {
    Attributes attributes;
    TRY(add_matching(attributes, options, "labels", subject.labels));
    TRY(add_matching(attributes, options, "env", to_map(subject.env)));
    return attributes;
}

Result<std::string> expand_tag(std::string_view text, const Subject& subject) {
    std::string out;
    for (;;) {
        const auto before = cut(text, "{{");
        if (!before) return out + std::string(text);
        out += before->first;
        const auto action = cut(before->second, "}}");
        if (!action) {
            return fail(Code::InvalidArgument, "template: log-tag:1: unclosed action");
        }
        std::string_view inside = action->first;
        text = action->second;
        if (inside.starts_with("- ")) {
            inside.remove_prefix(2);
            out.erase(out.find_last_not_of(" \t\r\n") + 1);
        }
        if (inside.ends_with(" -")) {
            inside.remove_suffix(2);
            text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
        }
        out += TRY(evaluate(trim(inside), subject));
    }
}

}  // namespace coffer::logs
