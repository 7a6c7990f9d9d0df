#include "cli/output.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/table.hpp"
#include "cli/terminal.hpp"

namespace coffer::cli {

namespace {

std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char next = i + 1 < text.size() ? text[i + 1] : '\0';
        if (text[i] == '\\' && (next == 't' || next == 'n')) {
            out += next == 't' ? '\t' : '\n';
            ++i;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string header_of_label(const std::string& name) {
    std::string word = name.substr(name.rfind('.') + 1);
    std::replace(word.begin(), word.end(), '-', ' ');
    std::replace(word.begin(), word.end(), '_', ' ');
    return word;
}

Result<std::string> header_line(const Template& pattern, const ListStyle& style) {
    json::Value names{json::Object{}};
    for (const Column& column : style.columns) names.set(column.field, column.header);
    return pattern.execute({.root = names,
                            .method =
                                [](std::string_view, const std::vector<json::Value>& args) {
                                    const std::string* name = args[0].if_string();
                                    return std::optional<json::Value>(
                                        name != nullptr ? header_of_label(*name) : "");
                                },
                            .type_name = {},
                            .is_header = true});
}

}  // namespace

Result<void> print(std::string_view text) {
    return sys::write_all(STDOUT_FILENO, text);
}

Result<void> print_line(std::string_view text) {
    return print(std::string(text) + "\n");
}

void warn_line(std::string_view text) {
    ignore(sys::write_all(STDERR_FILENO, std::string(text) + "\n"), "nowhere left to tell it");
}

Result<void> print_list(const ListStyle& style, std::string_view format, Quiet quiet,
                        const std::vector<Row>& rows) {
    std::string pattern(format);
    bool table = false;
    if (quiet == Quiet::Yes) {
        pattern = "{{." + std::string(style.quiet_field) + "}}";
    } else if (pattern.empty() || pattern == "table") {
        pattern = std::string(style.default_table);
        table = true;
    } else if (pattern.starts_with("table")) {
        pattern = pattern.substr(5);
        table = true;
    } else if (pattern == "json") {
        pattern = "{{json .}}";
    }
    const Template parsed = TRY(Template::parse(unescape(trim(pattern))));
    std::string lines;
    for (const Row& row : rows) {
        const auto label = [&row](
                               std::string_view name,
                               const std::vector<json::Value>& args) -> std::optional<json::Value> {
            if (name != "Label" || args[0].if_string() == nullptr) return std::nullopt;
            const json::Value* found = row.labels.find(*args[0].if_string());
            return found != nullptr ? *found : json::Value("");
        };
        lines += TRY(
            parsed.execute({.root = row.fields, .method = label, .type_name = style.type_name}));
        lines += "\n";
    }
    if (!table) return print(lines);
    const std::string header = TRY(header_line(parsed, style));
    return print(align_columns(header + "\n" + lines));
}

Result<int> print_inspected(const std::vector<std::string>& names, std::string_view format,
                            const GetObject& get) {
    const bool plain = format.empty() || format == "json";
    std::optional<Template> pattern;
    if (!plain) {
        Result<Template> parsed = Template::parse(format);
        if (!parsed) {
            warn_line(parsed.error().message);
            return 64;
        }
        pattern = *std::move(parsed);
    }
    json::Array found;
    std::string rendered;
    std::vector<std::string> errors;
    for (const std::string& name : names) {
        const Result<std::string> text = get(name);
        const Result<json::Value> object =
            text ? json::parse(*text) : Result<json::Value>(fail(text.error()));
        if (!object) {
            errors.push_back(object.error().message);
        } else if (plain) {
            found.push_back(*object);
        } else if (Result<std::string> line = pattern->execute({.root = *object})) {
            rendered += *line + "\n";
        } else {
            errors.push_back(line.error().message);
        }
    }
    if (!plain) {
        TRY(print(rendered.empty() ? "\n" : rendered));
    } else {
        const json::WriteOptions options{.escape = json::Escape::Plain,
                                         .indent = format.empty() ? 4 : 0};
        TRY(print_line(found.empty() ? "[]" : json::write(found, options)));
    }
    if (errors.empty()) return 0;
    warn_line(join(errors, "\n"));
    return 1;
}

Result<int> for_each_name(const std::vector<std::string>& names, const NameAction& act) {
    std::vector<Result<void>> results(names.size());
    if (names.size() == 1) {
        results[0] = act(names[0]);
    } else {
        constexpr std::size_t kMost = 50;
        WorkerPool workers(static_cast<unsigned>(std::min(names.size(), kMost)));
        for (std::size_t i = 0; i < names.size(); ++i) {
            workers.submit([&, i] { results[i] = act(names[i]); });
        }
    }
    std::vector<std::string> errors;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (results[i]) {
            TRY(print_line(names[i]));
        } else {
            errors.push_back(results[i].error().message);
        }
    }
    if (errors.empty()) return 0;
    return fail(Code::Internal, "{}", join(errors, "\n"));
}

Result<int> one_by_one(const std::vector<std::string>& names, const NameAction& act) {
    int status = 0;
    for (const std::string& name : names) {
        if (const auto done = act(name)) {
            TRY(print_line(name));
        } else {
            warn_line(done.error().message);
            status = 1;
        }
    }
    return status;
}

Result<bool> confirm(std::string_view question) {
    TRY(print(format("{} [y/N] ", question)));
    std::string answer;
    char c = 0;
    while (::read(STDIN_FILENO, &c, 1) == 1 && c != '\n') answer += c;
    return equals_ignoring_case(trim(answer), "y");
}

std::string joined_labels(const json::Value& labels) {
    std::vector<std::string> words;
    for (const json::Member& label : object_of(labels, "")) {
        words.push_back(label.key + "=" + template_text(label.value));
    }
    std::sort(words.begin(), words.end());
    return join(words, ",");
}

}  // namespace coffer::cli
