#include "runtime/args.hpp"

#include <algorithm>

namespace coffer::runtime {

std::string Args::get(std::string_view name) const {
    const auto found = flags.find(name);
    return found == flags.end() ? std::string() : found->second.back();
}

const std::vector<std::string>& Args::all(std::string_view name) const {
    static const std::vector<std::string> none;
    const auto found = flags.find(name);
    return found == flags.end() ? none : found->second;
}

Result<Args> parse_args(const std::vector<std::string>& words, const std::vector<Flag>& known) {
    Args args;
    std::size_t i = 0;
    for (; i < words.size(); ++i) {
        std::string_view word = words[i];
        if (word == "--") {
            ++i;
            break;
        }
        if (word.size() < 2 || word[0] != '-') break;
        word.remove_prefix(word[1] == '-' ? 2 : 1);
        const std::size_t equals = word.find('=');
        const std::string_view name = word.substr(0, equals);
        const auto flag = std::find_if(known.begin(), known.end(), [&](const Flag& f) {
            return f.name == name || (name.size() == 1 && f.letter == name[0]);
        });
        if (flag == known.end()) {
            return fail(Code::InvalidArgument, "flag provided but not defined: -{}", name);
        }
        std::vector<std::string>& values = args.flags[std::string(flag->name)];
        if (equals != std::string_view::npos) {
            const std::string_view value = word.substr(equals + 1);
            if (flag->takes_value) {
                values.emplace_back(value);
            } else if (value == "true") {
                values.emplace_back();
            } else if (value == "false") {
                args.flags.erase(std::string(flag->name));
            } else {
                return fail(Code::InvalidArgument, "invalid boolean value \"{}\" for -{}", value,
                            name);
            }
        } else if (!flag->takes_value) {
            values.emplace_back();
        } else if (++i == words.size()) {
            return fail(Code::InvalidArgument, "flag needs an argument: -{}", name);
        } else {
            values.push_back(words[i]);
        }
    }
    args.rest.assign(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
    return args;
}

}  // namespace coffer::runtime
