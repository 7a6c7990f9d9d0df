// The command line about itself: help, completion for shells, manual pages. All of it comes from
// the table of commands.
#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "cli/commands/commands.hpp"
#include "cli/manual.hpp"
#include "cli/output.hpp"
#include "cli/terminal.hpp"
#include "sys/file.hpp"

namespace coffer::cli {

namespace {

constexpr std::array kManFlags = {
    text("output", 'o', "Write it and the pages of all commands below it to files in a folder"),
};

// clang-format off
constexpr std::string_view kBash =
    R"end(# bash completion of coffer; put it in /etc/bash_completion.d
_coffer() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    local IFS=$'\n'
    COMPREPLY=($(coffer __complete -- "${words[@]}" 2>/dev/null | cut -f1))
    [ ${#COMPREPLY[@]} -eq 0 ] && compopt -o default
}
complete -F _coffer coffer
)end";
constexpr std::string_view kZsh =
    R"end(#compdef coffer
# zsh completion of coffer; put it in a folder of $fpath as _coffer, or source it
_coffer() {
    local -a found
    found=(${(f)"$(coffer __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    # "word<tab>note" is "word:note" there, and a colon of the word is escaped.
    found=("${(@)found//:/\\:}")
    found=("${(@)found/$'\t'/:}")
    if (( ${#found} )); then
        _describe coffer found
    else
        _files
    fi
}
if [[ $funcstack[1] == _coffer ]]; then
    _coffer "$@"
else
    compdef _coffer coffer
fi
)end";
constexpr std::string_view kFish =
    R"end(# fish completion of coffer; put it in ~/.config/fish/completions
function __coffer_complete
    set -l words (commandline -opc) (commandline -ct)
    coffer __complete -- $words[2..-1] 2>/dev/null
end
complete -c coffer -a '(__coffer_complete)'
)end";
// clang-format on

Result<int> completion(Invocation& call) {
    const std::string& shell = call.args[0];
    if (shell == "bash") {
        TRY(print(kBash));
    } else if (shell == "zsh") {
        TRY(print(kZsh));
    } else if (shell == "fish") {
        TRY(print(kFish));
    } else {
        return fail(Code::InvalidArgument, "unsupported shell type {}", quoted(shell));
    }
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

// Prints "word<tab>description" for what may follow; the last argument is the word at the cursor.
Result<int> complete(Invocation& call) {
    std::vector<std::string> words = call.args;
    const std::string current = words.empty() ? "" : words.back();
    if (!words.empty()) words.pop_back();
    const Command* command = &kRoot;
    for (const std::string& word : words) {
        const Command* child = find_child(*command, word);
        if (child != nullptr) command = child;
    }
    std::string out;
    const auto offer = [&](std::string_view word, std::string_view note) {
        if (!word.starts_with(current)) return;
        out += format("{}\t{}\n", word, note.substr(0, note.find('\n')));
    };
    if (current.starts_with('-')) {
        for (const Flag* flag : command->flags.shown())
            offer("--" + std::string(flag->name), flag->help);
    } else if (command->run == nullptr) {
        for (const Command* child : visible_children(*command)) {
            offer(child->name, child->summary);
        }
    } else {
        for (const std::string& name : object_names(call.api, command->completes)) {
            offer(name, "");
        }
    }
    TRY(print(out));
    return 0;
}

struct Topic {
    const Command* command;
    std::string path;
};

Result<Topic> find_topic(const std::vector<std::string>& words) {
    Topic topic{&kRoot, std::string(kRoot.name)};
    for (const std::string& word : words) {
        const Command* child = find_child(*topic.command, word);
        if (child == nullptr) {
            return fail(Code::NotFound, "unknown help topic: {}", join(words, " "));
        }
        topic.command = child;
        topic.path += " " + std::string(child->name);
    }
    return topic;
}

// Writes the page of `topic` and of all commands below it to `folder`.
Result<void> write_pages(const Topic& topic, const std::string& folder) {
    TRY(sys::write_file(format("{}/{}.1", folder, page_name(topic.path)),
                        manual_page(*topic.command, topic.path), 0644));
    for (const Command* child : visible_children(*topic.command)) {
        TRY(write_pages({child, format("{} {}", topic.path, child->name)}, folder));
    }
    return {};
}

Result<int> man(Invocation& call) {
    const Topic topic = TRY(find_topic(call.args));
    if (const std::string folder = call.flags.text("output"); !folder.empty()) {
        TRY(sys::make_dirs(folder));
        TRY(write_pages(topic, folder));
        return 0;
    }
    TRY(print(manual_page(*topic.command, topic.path)));
    return 0;
}

Result<int> help(Invocation& call) {
    const Topic topic = TRY(find_topic(call.args));
    const unsigned columns = window_size(0).columns;
    TRY(print(help_text(*topic.command, topic.path, columns != 0 ? columns : 80)));
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
