#include "cli/template.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "cli/template_functions.hpp"
#include "cli/template_parse.hpp"

namespace coffer::cli {

namespace {

using json::Value;

std::vector<const json::Member*> sorted_members(const json::Object& object) {
    std::vector<const json::Member*> out;
    for (const json::Member& member : object) out.push_back(&member);
    std::sort(out.begin(), out.end(),
              [](const json::Member* a, const json::Member* b) { return a->key < b->key; });
    return out;
}

class Executor {
  public:
    Executor(std::string_view text, const TemplateData& data) : text_(text), data_(data) {
        variables_.emplace_back("$", data.root);
    }

    enum class Flow { Next, Break, Continue };

    Result<Flow> run(const TemplateNodes& nodes, const Value& dot) {
        for (const auto& node : nodes) {
            const Flow flow = TRY(run_node(*node, dot));
            if (flow != Flow::Next) return flow;
        }
        return Flow::Next;
    }

    std::string take_output() { return std::move(out_); }

  private:
    using Node = Template::Node;

    Result<Flow> run_node(const Node& node, const Value& dot) {
        const std::size_t depth = variables_.size();
        Flow flow = Flow::Next;
        switch (node.kind) {
            case Node::Kind::Text:
                out_ += node.text;
                return Flow::Next;
            case Node::Kind::Break:
                return Flow::Break;
            case Node::Kind::Continue:
                return Flow::Continue;
            case Node::Kind::Action: {
                const Value value = TRY(evaluate(node.pipeline, dot));
                if (node.pipeline.variables.empty()) out_ += template_text(value);
                return Flow::Next;  // its variables stay in scope
            }
            case Node::Kind::If:
            case Node::Kind::With: {
                const Value value = TRY(evaluate(node.pipeline, dot));
                const bool yes = is_truth(value);
                const bool with = node.kind == Node::Kind::With && yes;
                flow = TRY(run(yes ? node.body : node.otherwise, with ? value : dot));
                break;
            }
            case Node::Kind::Range:
                TRY(run_range(node, dot));
                break;
        }
        variables_.resize(depth);
        return flow;
    }

    Result<void> run_range(const Node& node, const Value& dot) {
        Pipeline plain = node.pipeline;
        plain.variables.clear();
        const Value list = TRY(evaluate(plain, dot));
        std::vector<std::pair<Value, const Value*>> items;
        if (const auto* array = list.if_array()) {
            for (std::size_t i = 0; i < array->size(); ++i) items.emplace_back(i, &(*array)[i]);
        } else if (const auto* object = list.if_object()) {
            for (const json::Member* member : sorted_members(*object)) {
                items.emplace_back(member->key, &member->value);
            }
        } else if (!list.is_null()) {
            return fail(Code::InvalidArgument, "template: :1: range can't iterate over {}",
                        template_text(list));
        }
        if (items.empty()) {
            TRY(run(node.otherwise, dot));
            return {};
        }
        const auto& names = node.pipeline.variables;
        for (const auto& [key, item] : items) {
            const std::size_t depth = variables_.size();
            if (names.size() == 2) variables_.emplace_back(names[0], key);
            if (!names.empty()) variables_.emplace_back(names.back(), *item);
            const Flow flow = TRY(run(node.body, *item));
            variables_.resize(depth);
            if (flow == Flow::Break) break;
        }
        return {};
    }

    Result<Value> evaluate(const Pipeline& pipeline, const Value& dot) {
        std::optional<Value> value;
        for (const Word& word : pipeline.commands) value = TRY(command(word, dot, value));
        if (pipeline.variables.size() == 1) {
            const std::string& name = pipeline.variables[0];
            const auto known = std::find_if(variables_.rbegin(), variables_.rend(),
                                            [&](const auto& v) { return v.first == name; });
            if (pipeline.assigns && known != variables_.rend()) {
                known->second = *value;
            } else {
                variables_.emplace_back(name, *value);
            }
        }
        return *std::move(value);
    }

    Result<Value> command(const Word& word, const Value& dot, const std::optional<Value>& piped) {
        const Operand& head = word.parts[0];
        Arguments args;
        if (head.kind == Operand::Kind::Function && (head.name == "and" || head.name == "or")) {
            return short_circuit(word, dot, piped);
        }
        for (std::size_t i = 1; i < word.parts.size(); ++i) {
            args.push_back(TRY(operand(word.parts[i], dot)));
        }
        if (piped) args.push_back(*piped);
        if (head.kind == Operand::Kind::Function) {
            if (data_.is_header && !args.empty()) return args[0];
            Result<Value> result = call_template_function(head.name, args);
            if (!result) {
                return at(head, format("error calling {}: {}", head.name, result.error().message));
            }
            return fields_of(head, *std::move(result));
        }
        if (head.kind == Operand::Kind::Field && !args.empty() && data_.method) {
            if (auto result = data_.method(head.fields[0], args)) return *std::move(result);
        }
        if (!args.empty())
            return at(head,
                      format("{} has arguments but cannot be invoked as function", head.source));
        return operand(head, dot);
    }

    Result<Value> short_circuit(const Word& word, const Value& dot,
                                const std::optional<Value>& piped) {
        const bool stop_at = word.parts[0].name == "or";
        Value value;
        for (std::size_t i = 1; i < word.parts.size(); ++i) {
            value = TRY(operand(word.parts[i], dot));
            if (is_truth(value) == stop_at) return value;
        }
        return piped ? *piped : value;
    }

    Result<Value> operand(const Operand& part, const Value& dot) {
        switch (part.kind) {
            case Operand::Kind::Dot:
            case Operand::Kind::Field:
                return fields_of(part, dot);
            case Operand::Kind::Constant:
                return part.constant;
            case Operand::Kind::Nested:
                return fields_of(part, TRY(evaluate(*part.nested, dot)));
            case Operand::Kind::Function:
                return call_template_function(part.name, {});
            case Operand::Kind::Variable:
                break;
        }
        for (auto i = variables_.rbegin(); i != variables_.rend(); ++i) {
            if (i->first == part.name) return fields_of(part, i->second);
        }
        return fail(Code::InvalidArgument, "template: :1: undefined variable {}",
                    "\"" + part.name + "\"");
    }

    Result<Value> fields_of(const Operand& part, const Value& from) const {
        const Value* value = &from;
        for (const std::string& name : part.fields) {
            if (value->is_null()) {
                return at(part, format("nil data; no entry for key \"{}\"", name));
            }
            const Value* next = value->find(name);
            if (next == nullptr) {
                if (value == &data_.root && !data_.type_name.empty()) {
                    return at(part,
                              format("can't evaluate field {} in type {}", name, data_.type_name));
                }
                if (!value->is_object()) {
                    return at(part, format("can't evaluate field {} in type interface {{}}", name));
                }
                return at(part, format("map has no entry for key \"{}\"", name));
            }
            value = next;
        }
        return *value;
    }

    Failure at(const Operand& part, std::string_view what) const {
        const std::string_view before = text_.substr(0, part.position);
        const auto line = 1 + std::count(before.begin(), before.end(), '\n');
        const std::size_t start = before.rfind('\n');
        const std::size_t column =
            start == std::string_view::npos ? before.size() : before.size() - start - 1;
        return fail(Code::InvalidArgument, "template: :{}:{}: executing \"\" at <{}>: {}", line,
                    column, part.source, what);
    }

    std::string_view text_;
    const TemplateData& data_;
    std::vector<std::pair<std::string, Value>> variables_;
    std::string out_;
};

bool uses_field(const Pipeline& pipeline, std::string_view field) {
    for (const Word& word : pipeline.commands) {
        for (const Operand& part : word.parts) {
            if (part.nested && uses_field(*part.nested, field)) return true;
            if (std::find(part.fields.begin(), part.fields.end(), field) != part.fields.end()) {
                return true;
            }
            // {{json .}} reads them all.
            if (part.kind == Operand::Kind::Dot && part.fields.empty()) return true;
        }
    }
    return false;
}

bool uses_field(const TemplateNodes& nodes, std::string_view field) {
    return std::any_of(nodes.begin(), nodes.end(), [&](const auto& node) {
        return uses_field(node->pipeline, field) || uses_field(node->body, field) ||
               uses_field(node->otherwise, field);
    });
}

}  // namespace

Template::Template(std::string text) : text_(std::move(text)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::parse(std::string_view text) {
    Template out{std::string(text)};
    out.nodes_ = TRY_CONTEXT(parse_template(text), "template parsing error");
    return out;
}

Result<std::string> Template::execute(const TemplateData& data) const {
    Executor executor(text_, data);
    TRY_CONTEXT(executor.run(nodes_, data.root), "template parsing error");
    return executor.take_output();
}

bool Template::uses(std::string_view field) const {
    return uses_field(nodes_, field);
}

std::string template_text(const Value& value) {
    switch (value.kind()) {
        case json::Kind::Null:
            return "<no value>";
        case json::Kind::String:
            return *value.if_string();
        case json::Kind::Bool:
            return *value.to_bool() ? "true" : "false";
        case json::Kind::Int:
        case json::Kind::Uint:
        case json::Kind::Double:
            return json::write(value);
        case json::Kind::Array: {
            std::vector<std::string> items;
            for (const Value& item : *value.if_array()) items.push_back(template_text(item));
            return "[" + join(items, " ") + "]";
        }
        case json::Kind::Object: {
            std::vector<std::string> items;
            for (const json::Member* member : sorted_members(*value.if_object())) {
                items.push_back(member->key + ":" + template_text(member->value));
            }
            return "map[" + join(items, " ") + "]";
        }
    }
    return {};
}

}  // namespace coffer::cli
