#include "engine/filters.hpp"

#include <algorithm>

namespace coffer::engine {

const std::vector<std::string>& Filters::get(const std::string& key) const {
    static const std::vector<std::string> none;
    const auto found = values_.find(key);
    return found == values_.end() ? none : found->second;
}

bool Filters::matches(const std::string& key, std::string_view value) const {
    const auto& values = get(key);
    return values.empty() || std::find(values.begin(), values.end(), value) != values.end();
}

bool Filters::match_labels(const std::map<std::string, std::string>& labels) const {
    const auto holds = [&](const std::string& wanted) {
        const auto pair = cut(wanted, "=");
        const auto label = labels.find(pair ? std::string(pair->first) : wanted);
        return label != labels.end() && (!pair || label->second == pair->second);
    };
    const auto& wanted = get("label");
    const auto& unwanted = get("label!");
    return std::all_of(wanted.begin(), wanted.end(), holds) &&
           std::none_of(unwanted.begin(), unwanted.end(), holds);
}

Result<bool> Filters::boolean(const std::string& key, bool otherwise) const {
    const auto found = values_.find(key);
    if (found == values_.end()) return otherwise;
    const std::vector<std::string>& values = found->second;
    const bool yes =
        values == std::vector<std::string>{"1"} || values == std::vector<std::string>{"true"};
    const bool no =
        values == std::vector<std::string>{"0"} || values == std::vector<std::string>{"false"};
    if (yes || no) return yes;
    return fail(Code::InvalidArgument, "invalid filter '{}=[{}]'", key, join(values, " "));
}

Result<void> Filters::accept(const std::vector<std::string_view>& keys) const {
    for (const auto& [key, values] : values_) {
        if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
            return fail(Code::InvalidArgument, "invalid filter '{}'", key);
        }
    }
    return {};
}

}  // namespace coffer::engine
