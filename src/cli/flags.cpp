#include "cli/flags.hpp"

#include <algorithm>

#include "cli/checks.hpp"

namespace coffer::cli {

namespace {

class Parser {
  public:
    Parser(FlagTable table, std::span<const std::string> args, Interspersed interspersed)
        : table_(table),
          args_(args),
          interspersed_(interspersed),
          out_{Values(table), {}, {}, {}} {}

    Result<ParsedFlags> run() {
        while (!args_.empty() && !out_.help) {
            const std::string word = take();
            if (word.size() < 2 || word[0] != '-') {
                out_.args.push_back(word);
                if (interspersed_ == Interspersed::No) break;
            } else if (word == "--") {
                break;
            } else if (word[1] == '-') {
                TRY(read_long(word));
            } else {
                TRY(read_bundle(word.substr(1)));
            }
        }
        out_.args.insert(out_.args.end(), args_.begin(), args_.end());
        return std::move(out_);
    }

  private:
    std::string take() {
        std::string word = args_.front();
        args_ = args_.subspan(1);
        return word;
    }

    Result<void> read_long(const std::string& word) {
        const std::string_view body = std::string_view(word).substr(2);
        if (body[0] == '-' || body[0] == '=') {
            return fail(Code::InvalidArgument, "bad flag syntax: {}", word);
        }
        const auto sides = cut(body, "=");
        const std::string_view name = sides ? sides->first : body;
        if (name == "help") {
            out_.help = true;
            return {};
        }
        const Flag* flag = table_.find(name);
        if (flag == nullptr) {
            return fail(Code::InvalidArgument, "unknown flag: --{}", name);
        }
        if (sides) return out_.values.add(*flag, sides->second);
        if (flag->is_switch()) return out_.values.add(*flag, "true");
        if (args_.empty()) {
            return fail(Code::InvalidArgument, "flag needs an argument: {}", word);
        }
        return out_.values.add(*flag, take());
    }

    Result<void> read_bundle(std::string_view letters) {
        while (!letters.empty()) {
            const Flag* flag = table_.find(letters[0]);
            if (flag == nullptr) {
                if (letters[0] == 'h') {
                    out_.help = true;
                    out_.notice = "Flag shorthand -h has been deprecated, use --help";
                    return {};
                }
                return fail(Code::InvalidArgument, "unknown shorthand flag: '{}' in -{}",
                            letters[0], letters);
            }
            if (letters.size() > 2 && letters[1] == '=') {
                return out_.values.add(*flag, letters.substr(2));
            }
            if (flag->is_switch()) {
                TRY(out_.values.add(*flag, "true"));
                letters.remove_prefix(1);
                continue;
            }
            if (letters.size() > 1) return out_.values.add(*flag, letters.substr(1));
            if (args_.empty()) {
                return fail(Code::InvalidArgument, "flag needs an argument: '{}' in -{}",
                            letters[0], letters);
            }
            return out_.values.add(*flag, take());
        }
        return {};
    }

    FlagTable table_;
    std::span<const std::string> args_;
    Interspersed interspersed_;
    ParsedFlags out_;
};

}  // namespace

const Flag& Values::flag_of(std::string_view name) const {
    const Flag* flag = table_.find(name);
    if (flag == nullptr) abort_at(__FILE__, __LINE__, format("no flag '{}' in the table", name));
    return *flag;
}

bool Values::given(std::string_view name) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Entry& entry) { return entry.flag->name == name; });
}

std::string Values::text(std::string_view name) const {
    for (const Entry& entry : entries_) {
        if (entry.flag->name == name) return entry.values.back();
    }
    return std::string(flag_of(name).default_value);
}

bool Values::is_set(std::string_view name) const {
    return text(name) == "true";
}

std::int64_t Values::number(std::string_view name) const {
    return parse_int(text(name)).value_or(0);
}

std::vector<std::string> Values::list(std::string_view name) const {
    for (const Entry& entry : entries_) {
        if (entry.flag->name == name) return entry.values;
    }
    const Flag& flag = flag_of(name);
    if (flag.default_value.empty()) return {};
    return {std::string(flag.default_value)};
}

Result<void> Values::add(const Flag& flag, std::string_view value) {
    const Check check = flag.is_switch() ? &check_bool : flag.check;
    std::string kept(value);
    if (check != nullptr) {
        Result<std::string> checked = check(value);
        if (!checked) {
            const std::string shown = flag.shorthand != 0
                                          ? format("-{}, --{}", flag.shorthand, flag.name)
                                          : format("--{}", flag.name);
            return fail(Code::InvalidArgument, "invalid argument {} for {} flag: {}", quoted(value),
                        quoted(shown), checked.error().message);
        }
        kept = *std::move(checked);
    }
    const Flag& target = flag.same_as.empty() ? flag : flag_of(flag.same_as);
    for (Entry& entry : entries_) {
        if (entry.flag != &target) continue;
        if (!target.repeat) entry.values.clear();
        entry.values.push_back(std::move(kept));
        return {};
    }
    entries_.push_back(Entry{&target, {std::move(kept)}});
    return {};
}

Result<ParsedFlags> parse_flags(FlagTable table, std::span<const std::string> args,
                                Interspersed interspersed) {
    return Parser(table, args, interspersed).run();
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\r':
                out += "\\r";
                break;
            default:
                if (byte < 0x20 || byte == 0x7F) {
                    out += format("\\x{:02x}", byte);
                } else {
                    out += c;
                }
        }
    }
    return out + "\"";
}

}  // namespace coffer::cli
