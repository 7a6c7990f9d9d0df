// coffer-oci about its own command line: help, completion for shells, manual pages.

#include <cstdio>

#include "command/completion.hpp"
#include "command/manual.hpp"
#include "runtime/command_table.hpp"
#include "sys/file.hpp"

namespace coffer::runtime {

void print_help(const command::Command& command, const std::string& path) {
    constexpr std::size_t kColumns = 100;
    fmt::print("{}", command::help_text(command, path, kColumns));
}

Result<int> help_command(const Containers&, const Args& args) {
    const command::Topic topic = TRY(command::find_topic(kRoot, args.rest));
    print_help(*topic.command, topic.path);
    return 0;
}

Result<int> completion_command(const Containers&, const Args& args) {
    const std::string shell = TRY(one_id(args, "completion"));
    const std::string script = TRY(command::completion_script(kRoot.name, shell));
    fmt::print("{}", script);
    return 0;
}

Result<int> complete_command(const Containers& containers, const Args& args) {
    const auto ids = [&](command::Completes what) {
        std::vector<std::string> names;
        if (what != command::Completes::Containers) return names;
        if (const auto all = containers.list()) {
            for (const Inspection& container : *all) names.push_back(container.state.id);
        }
        return names;
    };
    fmt::print("{}", command::completions(kRoot, args.rest, ids));
    return 0;
}

Result<int> man_command(const Containers&, const Args& args) {
    const command::Topic topic = TRY(command::find_topic(kRoot, args.rest));
    const std::string folder = args.get("output");
    if (folder.empty()) {
        fmt::print("{}", command::manual_page(*topic.command, topic.path));
        return 0;
    }
    TRY(sys::make_dirs(folder));
    for (const command::Page& page : command::manual_pages(*topic.command, topic.path)) {
        TRY(sys::write_file(format("{}/{}", folder, page.file), page.text, 0644));
    }
    return 0;
}

}  // namespace coffer::runtime
