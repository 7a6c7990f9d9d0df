#pragma once
// The part of Go's text/template that --format needs, over JSON values: fields, index, pipelines,
// if, range, with, variables and docker's functions (json, join, upper, truncate, ...). A parsed
// Template is constant and may be shared between threads.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.hpp"

namespace coffer::cli {

struct TemplateData {
    const json::Value& root;
    // Methods of the root that take arguments: {{.Label "a.b"}}.
    std::function<std::optional<json::Value>(std::string_view name,
                                             const std::vector<json::Value>& args)>
        method = {};
    // Go's name of the root's type, for the error about an unknown field; empty: a plain map.
    std::string_view type_name = {};
    // In the header of a table the functions hand their first argument through.
    bool is_header = false;
};

class Template {
  public:
    struct Node;

    static Result<Template> parse(std::string_view text);
    Template(Template&&) noexcept;
    Template& operator=(Template&&) noexcept;
    Template(const Template&) = delete;
    Template& operator=(const Template&) = delete;
    ~Template();

    Result<std::string> execute(const TemplateData& data) const;
    // True if a field of that name is read anywhere.
    bool uses(std::string_view field) const;

  private:
    explicit Template(std::string text);
    std::string text_;
    std::vector<std::unique_ptr<Node>> nodes_;
};

// As {{.}} prints it: strings bare, [a b], map[k:v], <no value>.
std::string template_text(const json::Value& value);

}  // namespace coffer::cli
