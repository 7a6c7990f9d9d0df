// The command line about itself: help, completion for shells, manual pages. All of it comes from
// the table of commands.
#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "cli/commands/commands.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "command/completion.hpp"
#include "command/manual.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kManFlags = {
    text("output", 'o', "Write it and the pages of all commands below it to files in a folder"),
};

Result<int> completion(Invocation& call) {
    const std::string script = TRY(command::completion_script(kRoot.name, call.args[0]));
    TRY(print(script));
    return 0;
}

// Names of what a command works on, asked from the daemon; none when it does not answer.
std::vector<std::string> object_names(Api& api, Completes what) {
    std::vector<std::string> out;
    const auto ask = [&](std::string_view path, Query query) {
        const Result<json::Value> reply = api.get(std::string(path), std::move(query));
        return reply ? *reply : json::Value();
    };
    switch (what) {
        case Completes::Containers:
        case Completes::RunningContainers: {
            Query query;
            if (what == Completes::Containers) query.emplace("all", "1");
            for (const json::Value& item : array_of(ask("/containers/json", query), "")) {
                for (const json::Value& name : array_of(item, "Names")) {
                    const std::string text = template_text(name);
                    out.push_back(text.starts_with('/') ? text.substr(1) : text);
                }
            }
            break;
        }
        case Completes::Images:
            for (const json::Value& item : array_of(ask("/images/json", {}), "")) {
                for (const json::Value& tag : array_of(item, "RepoTags")) {
                    out.push_back(template_text(tag));
                }
            }
            break;
        case Completes::Networks:
        case Completes::Volumes: {
            const bool volumes = what == Completes::Volumes;
            const json::Value reply = ask(volumes ? "/volumes" : "/networks", {});
            for (const json::Value& item : array_of(reply, volumes ? "Volumes" : "")) {
                out.push_back(text_of(item, "Name"));
            }
            break;
        }
        case Completes::Nothing:
        case Completes::Files:
            break;
    }
    return out;
}

Result<int> complete(Invocation& call) {
    TRY(print(command::completions(kRoot, call.args,
                                   [&](Completes what) { return object_names(call.api, what); })));
    return 0;
}

Result<int> man(Invocation& call) {
    const command::Topic topic = TRY(command::find_topic(kRoot, call.args));
    if (const std::string folder = call.flags.text("output"); !folder.empty()) {
        TRY(sys::make_dirs(folder));
        for (const auto& page : command::manual_pages(*topic.command, topic.path)) {
            TRY(sys::write_file(format("{}/{}", folder, page.file), page.text, 0644));
        }
        return 0;
    }
    TRY(print(command::manual_page(*topic.command, topic.path)));
    return 0;
}

Result<int> help(Invocation& call) {
    const command::Topic topic = TRY(command::find_topic(kRoot, call.args));
    const unsigned columns = window_size(0).columns;
    TRY(print(command::help_text(*topic.command, topic.path, columns != 0 ? columns : 80)));
    return 0;
}

}  // namespace

namespace commands {

constinit const Command kCompletion{
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Print the completion script for a shell",
    .run = &completion,
    .min_args = 1,
    .max_args = 1,
};
constinit const Command kComplete{
    .name = "__complete",
    .arguments = "WORD...",
    .summary = "Print what may follow on a command line",
    .run = &complete,
    .max_args = kAnyNumber,
    .hidden = true,
};
constinit const Command kMan{
    .name = "man",
    .arguments = "[OPTIONS] [COMMAND...]",
    .summary = "Print the manual page of a command, for man(1)",
    .run = &man,
    .flags = {kManFlags},
    .max_args = kAnyNumber,
};
constinit const Command kHelp{
    .name = "help",
    .arguments = "[COMMAND...]",
    .summary = "Help about the command",
    .run = &help,
    .max_args = kAnyNumber,
    .hidden = true,
};

}  // namespace commands

}  // namespace coffer::cli
