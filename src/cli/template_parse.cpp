#include "cli/template_parse.hpp"

#include <charconv>

#include "base/text.hpp"
#include "cli/flags.hpp"

namespace coffer::cli {

namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

struct Token {
    enum class Kind { End, Name, Field, Variable, String, Number, Dot, Sign };
    Kind kind = Kind::End;
    std::string text;
    std::size_t position = 0;
    bool after_space = false;
};

class TemplateParser {
  public:
    explicit TemplateParser(std::string_view text) : text_(text) {}

    Result<TemplateNodes> run() {
        TemplateNodes nodes;
        const std::string end = TRY(read_block(nodes));
        if (!end.empty()) return error(format("unexpected {{{{{}}}}}", end));
        return nodes;
    }

  private:
    Failure error(std::string_view what) const {
        const std::string_view before = text_.substr(0, at_);
        const auto line = 1 + std::count(before.begin(), before.end(), '\n');
        return fail(Code::InvalidArgument, "template: :{}: {}", line, what);
    }

    // Reads nodes up to the end of the text ("") or to {{end}} or {{else...}}, which it returns.
    Result<std::string> read_block(TemplateNodes& nodes) {
        for (;;) {
            const std::size_t open = text_.find("{{", at_);
            std::string_view plain = text_.substr(
                at_, open == std::string_view::npos ? std::string_view::npos : open - at_);
            if (trim_next_) {
                while (!plain.empty() && is_space(plain.front())) plain.remove_prefix(1);
                trim_next_ = false;
            }
            if (open != std::string_view::npos && text_.substr(open + 2, 1) == "-" &&
                open + 3 < text_.size() && is_space(text_[open + 3])) {
                while (!plain.empty() && is_space(plain.back())) plain.remove_suffix(1);
            }
            if (!plain.empty()) {
                auto node = std::make_unique<Template::Node>();
                node->text = std::string(plain);
                nodes.push_back(std::move(node));
            }
            if (open == std::string_view::npos) {
                at_ = text_.size();
                return std::string();
            }
            at_ = open + 2;
            TRY(read_tokens());
            if (tokens_.size() == 1) {  // only the end: a comment
                if (was_comment_) continue;
                return error("missing value for command");
            }
            const std::string first = tokens_[0].kind == Token::Kind::Name ? tokens_[0].text : "";
            if (first == "end" || first == "else") {
                block_end_ = tokens_;
                return first;
            }
            nodes.push_back(TRY(read_action(first)));
        }
    }

    Result<std::unique_ptr<Template::Node>> read_action(const std::string& keyword) {
        using Kind = Template::Node::Kind;
        auto node = std::make_unique<Template::Node>();
        next_ = 0;
        node->kind = keyword == "if"         ? Kind::If
                     : keyword == "range"    ? Kind::Range
                     : keyword == "with"     ? Kind::With
                     : keyword == "break"    ? Kind::Break
                     : keyword == "continue" ? Kind::Continue
                                             : Kind::Action;
        if (node->kind == Kind::Break || node->kind == Kind::Continue) return node;
        if (node->kind != Kind::Action) ++next_;
        node->pipeline = TRY(read_pipeline());
        if (node->kind != Kind::Action) TRY(read_branches(*node));
        return node;
    }

    Result<void> read_branches(Template::Node& node) {
        const std::string end = TRY(read_block(node.body));
        if (end.empty()) return error("unexpected EOF");
        if (end == "end") return {};
        if (block_end_.size() > 2) {  // {{else if ...}}
            tokens_ = block_end_;
            tokens_.erase(tokens_.begin());
            const std::string keyword = tokens_[0].text;
            if (keyword != "if" && keyword != "with") return error("unexpected token in else");
            node.otherwise.push_back(TRY(read_action(keyword)));
            return {};
        }
        if (TRY(read_block(node.otherwise)) != "end") return error("expected end; found {{else}}");
        return {};
    }

    Result<Pipeline> read_pipeline() {
        Pipeline pipeline;
        if (peek().kind == Token::Kind::Variable) {
            const std::size_t start = next_;
            std::vector<std::string> names = {peek().text};
            ++next_;
            if (is_sign(",") && next_ + 1 < tokens_.size()) {
                names.push_back(tokens_[next_ + 1].text);
                next_ += 2;
            }
            if (is_sign(":=") || is_sign("=")) {
                pipeline.assigns = is_sign("=");
                pipeline.variables = std::move(names);
                ++next_;
            } else {
                next_ = start;
            }
        }
        for (;;) {
            pipeline.commands.push_back(TRY(read_command()));
            if (!is_sign("|")) break;
            ++next_;
        }
        if (peek().kind != Token::Kind::End && !is_sign(")")) {
            return error(format("unexpected {} in operand", quoted(peek().text)));
        }
        return pipeline;
    }

    Result<Word> read_command() {
        Word word;
        while (peek().kind != Token::Kind::End && !is_sign("|") && !is_sign(")")) {
            word.parts.push_back(TRY(read_operand()));
        }
        if (word.parts.empty()) return error("missing value for command");
        return word;
    }

    Result<Operand> read_operand() {
        Operand out;
        const Token token = peek();
        ++next_;
        out.position = token.position;
        out.source = token.text;
        switch (token.kind) {
            case Token::Kind::Dot:
                break;
            case Token::Kind::Field:
                out.kind = Operand::Kind::Field;
                out.fields.push_back(token.text.substr(1));
                break;
            case Token::Kind::Variable:
                out.kind = Operand::Kind::Variable;
                out.name = token.text;
                break;
            case Token::Kind::String:
                out.kind = Operand::Kind::Constant;
                out.constant = token.text;
                break;
            case Token::Kind::Number:
                TRY(read_number(token.text, out));
                break;
            case Token::Kind::Name:
                TRY(read_name(token.text, out));
                break;
            case Token::Kind::Sign:
                if (token.text != "(") {
                    return error(format("unexpected {} in operand", quoted(token.text)));
                }
                out.kind = Operand::Kind::Nested;
                out.nested = std::make_shared<Pipeline>(TRY(read_pipeline()));
                if (!is_sign(")")) return error("unclosed left paren");
                ++next_;
                break;
            case Token::Kind::End:
                return error("unexpected EOF");
        }
        bool first_more = true;
        while (peek().kind == Token::Kind::Field && !peek().after_space) {
            if (first_more) out.position = peek().position;
            first_more = false;
            out.source += peek().text;
            out.fields.push_back(peek().text.substr(1));
            ++next_;
        }
        return out;
    }

    Result<void> read_number(const std::string& text, Operand& out) {
        out.kind = Operand::Kind::Constant;
        if (const auto whole = parse_int(text)) {
            out.constant = *whole;
            return {};
        }
        double real = 0;
        const char* end = text.data() + text.size();
        if (std::from_chars(text.data(), end, real).ptr != end) {
            return error(format("bad number syntax: {}", quoted(text)));
        }
        out.constant = real;
        return {};
    }

    Result<void> read_name(const std::string& name, Operand& out) {
        out.kind = Operand::Kind::Constant;
        if (name == "true" || name == "false") {
            out.constant = name == "true";
        } else if (name == "nil") {
            out.constant = nullptr;
        } else if (is_template_function(name)) {
            out.kind = Operand::Kind::Function;
            out.name = name;
        } else {
            return error(format("function {} not defined", quoted(name)));
        }
        return {};
    }

    const Token& peek() const { return tokens_[std::min(next_, tokens_.size() - 1)]; }
    bool is_sign(std::string_view text) const {
        return peek().kind == Token::Kind::Sign && peek().text == text;
    }

    Result<void> read_tokens() {
        tokens_.clear();
        was_comment_ = false;
        if (text_.substr(at_, 1) == "-" && at_ + 1 < text_.size() && is_space(text_[at_ + 1])) {
            ++at_;
        }
        bool space = false;
        for (;;) {
            const std::size_t before = at_;
            while (at_ < text_.size() && is_space(text_[at_])) ++at_;
            space = at_ > before;
            const std::string_view rest = text_.substr(at_);
            if (rest.empty()) return error("unclosed action");
            if (rest.starts_with("/*")) {
                const std::size_t end = rest.find("*/");
                if (end == std::string_view::npos) return error("unclosed comment");
                at_ += end + 2;
                was_comment_ = true;
                continue;
            }
            if (rest.starts_with("}}") || (space && rest.starts_with("-}}"))) {
                trim_next_ = rest[0] == '-';
                tokens_.push_back(Token{Token::Kind::End, "EOF", at_, space});
                at_ += trim_next_ ? 3 : 2;
                return {};
            }
            Token token = TRY(read_token(rest));
            token.after_space = space;
            tokens_.push_back(std::move(token));
        }
    }

    std::size_t name_length(std::string_view rest, std::size_t from) const {
        while (from < rest.size() && is_name(rest[from])) ++from;
        return from;
    }

    Result<Token> read_token(std::string_view rest) {
        Token token{Token::Kind::Sign, {}, at_, false};
        const char c = rest[0];
        const char second = rest.size() > 1 ? rest[1] : '\0';
        std::size_t length = 1;
        if (c == '"' || c == '`') return read_string(rest);
        if (c == '.' && is_name(second) && !(second >= '0' && second <= '9')) {
            token.kind = Token::Kind::Field;
            length = name_length(rest, 1);
        } else if (c == '.') {
            token.kind = Token::Kind::Dot;
        } else if (c == '$') {
            token.kind = Token::Kind::Variable;
            length = name_length(rest, 1);
        } else if ((c >= '0' && c <= '9') ||
                   ((c == '-' || c == '+') && second >= '0' && second <= '9')) {
            token.kind = Token::Kind::Number;
            while (length < rest.size() && (is_name(rest[length]) || rest[length] == '.')) ++length;
        } else if (is_name(c)) {
            token.kind = Token::Kind::Name;
            length = name_length(rest, 0);
        } else if (rest.starts_with(":=")) {
            length = 2;
        } else if (std::string_view("()|,=").find(c) == std::string_view::npos) {
            return error(format("unexpected {} in operand", quoted(rest.substr(0, 1))));
        }
        token.text = std::string(rest.substr(0, length));
        at_ += length;
        return token;
    }

    Result<Token> read_string(std::string_view rest) {
        Token token{Token::Kind::String, {}, at_, false};
        const char quote = rest[0];
        std::size_t i = 1;
        for (; i < rest.size() && rest[i] != quote; ++i) {
            if (quote == '`' || rest[i] != '\\') {
                token.text += rest[i];
                continue;
            }
            ++i;
            const char escaped = i < rest.size() ? rest[i] : '\0';
            switch (escaped) {
                case 'n':
                    token.text += '\n';
                    break;
                case 't':
                    token.text += '\t';
                    break;
                case 'r':
                    token.text += '\r';
                    break;
                case '"':
                case '\\':
                    token.text += escaped;
                    break;
                default:
                    return error("invalid syntax");
            }
        }
        if (i >= rest.size()) return error("unterminated quoted string");
        at_ += i + 1;
        return token;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool trim_next_ = false;
    bool was_comment_ = false;
    std::vector<Token> tokens_;
    std::vector<Token> block_end_;
    std::size_t next_ = 0;
};

}  // namespace

Result<TemplateNodes> parse_template(std::string_view text) {
    return TemplateParser(text).run();
}

}  // namespace coffer::cli
