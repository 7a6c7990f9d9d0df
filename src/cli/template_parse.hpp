#pragma once
// The tree that a template's text becomes. Internal to cli/template*.cpp; plain data.

#include "cli/template.hpp"

namespace coffer::cli {

struct Operand;

struct Word {  // a command of a pipeline: a function or field with its arguments
    std::vector<Operand> parts;
};

struct Pipeline {
    std::vector<std::string> variables;  // "$x := ..." or "$i, $v := ..."
    bool assigns = false;                // "=" instead of ":="
    std::vector<Word> commands;
};

struct Operand {
    enum class Kind { Dot, Field, Variable, Constant, Function, Nested };
    Kind kind = Kind::Dot;
    std::string name;                 // of a variable or function
    std::vector<std::string> fields;  // after it
    json::Value constant;
    std::shared_ptr<Pipeline> nested;  // shared: Operand is copied while parsing
    std::size_t position = 0;          // for messages, as Go counts
    std::string source;                // for messages
};

struct Template::Node {
    enum class Kind { Text, Action, If, Range, With, Break, Continue };
    Kind kind = Kind::Text;
    std::string text;
    Pipeline pipeline;
    std::vector<std::unique_ptr<Node>> body;
    std::vector<std::unique_ptr<Node>> otherwise;
};

using TemplateNodes = std::vector<std::unique_ptr<Template::Node>>;
Result<TemplateNodes> parse_template(std::string_view text);
bool is_template_function(std::string_view name);

}  // namespace coffer::cli
