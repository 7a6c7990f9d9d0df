#include "runtime/args.hpp"

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

namespace {

constexpr command::Flag kHelp = command::toggle("help", 'h', "show help");

const command::Flag* find_flag(const command::FlagTable& known, std::string_view name) {
    if (name == "help" || name == "h") return &kHelp;
    return name.size() == 1 ? known.find(name[0]) : known.find(name);
}

}  // namespace

Result<Args> parse_args(std::span<const std::string> words, const command::FlagTable& known) {
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
        const command::Flag* flag = find_flag(known, name);
        if (flag == nullptr) {
            return fail(Code::InvalidArgument, "flag provided but not defined: -{}", name);
        }
        std::vector<std::string>& values = args.flags[std::string(flag->name)];
        if (equals != std::string_view::npos) {
            const std::string_view value = word.substr(equals + 1);
            if (!flag->is_switch()) {
                values.emplace_back(value);
            } else if (value == "true") {
                values.emplace_back();
            } else if (value == "false") {
                args.flags.erase(std::string(flag->name));
            } else {
                return fail(Code::InvalidArgument, "invalid boolean value \"{}\" for -{}", value,
                            name);
            }
        } else if (flag->is_switch()) {
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
