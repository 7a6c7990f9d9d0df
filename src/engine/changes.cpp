#include "engine/changes.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "json/codec.hpp"
#include "network/portmap.hpp"

namespace coffer::engine {

namespace {

using Words = std::vector<std::string>;

bool is_name_character(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::string lookup(const Words& env, std::string_view name) {
    for (const auto& entry : env) {
        const auto pair = cut(entry, "=");
        if (pair && pair->first == name) return std::string(pair->second);
    }
    return {};
}

// Words in the manner of a shell: quotes, backslashes, $NAME and ${NAME} outside of single quotes.
class WordReader {
  public:
    WordReader(std::string_view text, const Words& env) : rest_(trim(text)), env_(env) {}

    // The next word, or all that is left when `whole`; nullopt at the end.
    Result<std::optional<std::string>> next(bool whole) {
        rest_ = trim(rest_);
        if (rest_.empty()) return std::optional<std::string>();
        std::string word;
        char quote = 0;
        while (!rest_.empty()) {
            const char c = take();
            if (quote == 0 && !whole && (c == ' ' || c == '\t')) return std::optional(word);
            if (c == quote) {
                quote = 0;
            } else if (quote == 0 && (c == '"' || c == '\'')) {
                quote = c;
            } else if (c == '\\' && quote != '\'' && !rest_.empty()) {
                word += take();
            } else if (c == '$' && quote != '\'') {
                word += expand();
            } else {
                word += c;
            }
        }
        if (quote != 0) return fail(Code::InvalidArgument, "unexpected end of statement: quote");
        return std::optional(word);
    }

  private:
    char take() {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }
    std::string expand() {
        const bool braces = rest_.starts_with('{');
        const auto start = braces ? std::size_t{1} : std::size_t{0};
        auto end = start;
        while (end < rest_.size() && is_name_character(rest_[end])) ++end;
        const bool closed = !braces || (end < rest_.size() && rest_[end] == '}');
        if (end == start || !closed) return "$";
        std::string value = lookup(env_, rest_.substr(start, end - start));
        rest_.remove_prefix(end + (braces ? 1 : 0));
        return value;
    }

    std::string_view rest_;
    const Words& env_;
};

Result<Words> words_of(std::string_view text, const Words& env) {
    WordReader reader(text, env);
    Words words;
    for (auto word = TRY(reader.next(false)); word; word = TRY(reader.next(false)))
        words.push_back(std::move(*word));
    return words;
}

Result<std::string> text_of(std::string_view text, const Words& env) {
    WordReader reader(text, env);
    return TRY(reader.next(true)).value_or("");
}

// ["a", "b"]; nullopt when it is something else.
std::optional<Words> exec_form(std::string_view text) {
    if (!text.starts_with('[')) return std::nullopt;
    auto words = json::decode<Words>(text);
    if (!words) return std::nullopt;
    return std::move(*words);
}

Words command_of(std::string_view text, const oci::RunConfig& config) {
    if (auto words = exec_form(text)) return std::move(*words);
    Words words = config.shell.empty() ? Words{"/bin/sh", "-c"} : config.shell;
    words.emplace_back(text);
    return words;
}

// "a=1 b='2 3'", or the older "a rest of the line".
Result<std::vector<std::pair<std::string, std::string>>> pairs_of(std::string_view instruction,
                                                                  std::string_view text,
                                                                  const Words& env) {
    std::vector<std::pair<std::string, std::string>> pairs;
    const auto first = split_fields(text);
    if (first.empty())
        return fail(Code::InvalidArgument, "{} requires at least one argument", instruction);
    if (first.front().find('=') == std::string::npos) {
        if (first.size() < 2)
            return fail(Code::InvalidArgument, "{} must have two arguments", instruction);
        const auto value = trim(trim(text).substr(first.front().size()));
        pairs.emplace_back(first.front(), TRY(text_of(value, env)));
        return pairs;
    }
    for (const auto& word : TRY(words_of(text, env))) {
        const auto pair = cut(word, "=");
        if (!pair || pair->first.empty())
            return fail(Code::InvalidArgument,
                        "Syntax error - can't find = in \"{}\". Must be of "
                        "the form: name=value",
                        word);
        pairs.emplace_back(pair->first, pair->second);
    }
    return pairs;
}

Result<void> expose(std::string_view word, oci::RunConfig& config) {
    const auto parts = cut(word, "/");
    const std::string protocol = parts ? to_lower(parts->second) : "tcp";
    const auto range = network::parse_port_range(parts ? parts->first : word);
    if (!range || !network::parse_protocol(protocol))
        return fail(Code::InvalidArgument, "Invalid containerPort: {}", word);
    for (unsigned port = range->first; port <= range->last; ++port)
        config.exposed_ports[format("{}/{}", port, protocol)] = {};
    return {};
}

Result<void> set_healthcheck(std::string_view text, oci::RunConfig& config) {
    oci::Healthcheck check;
    while (text.starts_with("--")) {
        const auto end = text.find_first_of(" \t");
        const std::string_view flag = text.substr(2, end == std::string_view::npos ? end : end - 2);
        text = end == std::string_view::npos ? std::string_view() : trim(text.substr(end));
        const auto pair = cut(flag, "=");
        if (!pair) return fail(Code::InvalidArgument, "Missing a value on flag: {}", flag);
        if (pair->first == "retries") {
            const auto count = parse_int(pair->second);
            if (!count || *count < 1)
                return fail(Code::InvalidArgument, "--retries must be at least 1 (not {})",
                            pair->second);
            check.retries = *count;
            continue;
        }
        std::int64_t* field = pair->first == "interval"         ? &check.interval
                              : pair->first == "timeout"        ? &check.timeout
                              : pair->first == "start-period"   ? &check.start_period
                              : pair->first == "start-interval" ? &check.start_interval
                                                                : nullptr;
        if (field == nullptr) return fail(Code::InvalidArgument, "Unknown flag: {}", pair->first);
        const auto time = parse_duration(pair->second);
        if (!time) return fail(Code::InvalidArgument, "invalid duration \"{}\"", pair->second);
        *field = time->count();
    }
    const auto words = split_fields(text);
    const std::string kind = words.empty() ? std::string() : to_lower(words.front());
    if (kind == "none" && words.size() == 1) {
        check.test = {"NONE"};
    } else if (kind == "cmd" && words.size() > 1) {
        const auto command = trim(text.substr(words.front().size()));
        if (auto exec = exec_form(command)) {
            check.test = std::move(*exec);
            check.test.insert(check.test.begin(), "CMD");
        } else {
            check.test = {"CMD-SHELL", std::string(command)};
        }
    } else {
        return fail(Code::InvalidArgument, "Unknown type \"{}\" in HEALTHCHECK (try CMD)", kind);
    }
    config.healthcheck = std::move(check);
    return {};
}

void set_env(oci::RunConfig& config, const std::string& name, const std::string& value) {
    const std::string entry = name + "=" + value;
    for (auto& existing : config.env) {
        if (existing.starts_with(name + "=")) {
            existing = entry;
            return;
        }
    }
    config.env.push_back(entry);
}

Result<void> apply(std::string_view change, oci::RunConfig& config, bool& command_set) {
    const auto words = split_fields(change);
    if (words.empty()) return fail(Code::InvalidArgument, "file with no instructions");
    const std::string instruction = to_lower(words.front());
    std::string upper = instruction;
    std::transform(upper.begin(), upper.end(), upper.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    const std::string_view rest = trim(trim(change).substr(words.front().size()));
    if (instruction == "cmd") {
        config.cmd = command_of(rest, config);
        command_set = true;
    } else if (instruction == "entrypoint") {
        config.entrypoint = command_of(rest, config);
        if (!command_set) config.cmd.reset();
    } else if (instruction == "env") {
        for (const auto& [name, value] : TRY(pairs_of(upper, rest, config.env)))
            set_env(config, name, value);
    } else if (instruction == "label") {
        for (const auto& [name, value] : TRY(pairs_of(upper, rest, config.env)))
            config.labels[name] = value;
    } else if (instruction == "expose") {
        for (const auto& word : TRY(words_of(rest, config.env))) TRY(expose(word, config));
    } else if (instruction == "user") {
        config.user = TRY(text_of(rest, config.env));
    } else if (instruction == "workdir") {
        const std::string path = TRY(text_of(rest, config.env));
        const bool absolute = path.starts_with('/');
        const std::string base = config.working_dir.empty() ? "/" : config.working_dir;
        config.working_dir = absolute ? path : base + (base.ends_with('/') ? "" : "/") + path;
    } else if (instruction == "volume") {
        const auto exec = exec_form(rest);
        for (const auto& word : exec ? *exec : TRY(words_of(rest, config.env)))
            config.volumes[word] = {};
    } else if (instruction == "stopsignal") {
        config.stop_signal = TRY(text_of(rest, config.env));
    } else if (instruction == "onbuild") {
        config.on_build.emplace_back(rest);
    } else if (instruction == "healthcheck") {
        TRY(set_healthcheck(rest, config));
    } else {
        return fail(Code::InvalidArgument, "{} is not a valid change command", upper);
    }
    return {};
}

}  // namespace

bool has_variable(const std::vector<std::string>& env, const std::string& entry) {
    const std::string name = entry.substr(0, entry.find('='));
    for (const std::string& other : env) {
        if (other.substr(0, other.find('=')) == name) return true;
    }
    return false;
}

Result<void> apply_changes(const std::vector<std::string>& changes, oci::RunConfig& config) {
    bool command_set = false;
    for (const auto& change : changes) TRY(apply(change, config, command_set));
    return {};
}

}  // namespace coffer::engine
