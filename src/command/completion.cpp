#include "command/completion.hpp"

#include "base/text.hpp"

namespace coffer::command {

namespace {

// % stands for the program.
// clang-format off
constexpr std::string_view kBash =
    R"end(# bash completion of %; put it in /etc/bash_completion.d
_%() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}")
    local IFS=$'\n'
    COMPREPLY=($(% __complete -- "${words[@]}" 2>/dev/null | cut -f1))
    [ ${#COMPREPLY[@]} -eq 0 ] && compopt -o default
}
complete -F _% %
)end";
constexpr std::string_view kZsh =
    R"end(#compdef %
# zsh completion of %; put it in a folder of $fpath as _%, or source it
_%() {
    local -a found
    found=(${(f)"$(% __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)"})
    # "word<tab>note" is "word:note" there, and a colon of the word is escaped.
    found=("${(@)found//:/\\:}")
    found=("${(@)found/$'\t'/:}")
    if (( ${#found} )); then
        _describe % found
    else
        _files
    fi
}
if [[ $funcstack[1] == _% ]]; then
    _% "$@"
else
    compdef _% %
fi
)end";
constexpr std::string_view kFish =
    R"end(# fish completion of %; put it in ~/.config/fish/completions
function __%_complete
    set -l words (commandline -opc) (commandline -ct)
    % __complete -- $words[2..-1] 2>/dev/null
end
complete -c % -a '(__%_complete)'
)end";
// clang-format on

}  // namespace

Result<std::string> completion_script(std::string_view program, std::string_view shell) {
    for (const auto& [name, script] :
         {std::pair{"bash", kBash}, std::pair{"zsh", kZsh}, std::pair{"fish", kFish}}) {
        if (name == shell) return join(split(script, '%'), program);
    }
    return fail(Code::InvalidArgument, "unsupported shell type \"{}\"", shell);
}

std::string completions(const Command& root, std::span<const std::string> words,
                        const Names& names) {
    const std::string current = words.empty() ? "" : words.back();
    const Command* command = &root;
    for (const std::string& word : words.first(words.empty() ? 0 : words.size() - 1)) {
        if (const Command* child = find_child(*command, word)) command = child;
    }
    std::string out;
    const auto offer = [&](std::string_view word, std::string_view note) {
        if (!word.starts_with(current)) return;
        out += format("{}\t{}\n", word, note.substr(0, note.find('\n')));
    };
    if (current.starts_with('-')) {
        for (const Flag* flag : command->flags.shown()) {
            offer("--" + std::string(flag->name), flag->help);
        }
    } else if (command->is_group()) {
        for (const Command* child : visible_children(*command)) offer(child->name, child->summary);
    } else {
        for (const std::string& name : names(command->completes)) offer(name, "");
    }
    return out;
}

}  // namespace coffer::command
