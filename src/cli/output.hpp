#pragma once
// What commands print: lists in docker's tables or by a --format template, inspected objects, and
// the joined errors of a command over several names. One thread, but for for_each_name.

#include <functional>

#include "cli/api_client.hpp"
#include "cli/template.hpp"

namespace coffer::cli {

// Standard output; a reader that has gone is an error.
Result<void> print(std::string_view text);
Result<void> print_line(std::string_view text);
// Standard error.
void warn_line(std::string_view text);

struct Column {
    std::string_view field;
    std::string_view header;
};

struct Row {
    json::Value fields;  // an object with every column's field, in text
    json::Value labels;  // for {{.Label "name"}}
};

struct ListStyle {
    std::span<const Column> columns;
    std::string_view default_table;  // the template without its "table "
    std::string_view type_name;      // Go's, for errors
    std::string_view quiet_field = "ID";
};
// `format` as the user gave it: empty, "table", "table {{...}}", "json", "raw" or a template.
// `quiet` prints the style's field for it alone.
enum class Quiet { No, Yes };
Result<void> print_list(const ListStyle& style, std::string_view format, Quiet quiet,
                        const std::vector<Row>& rows);

// docker inspect: the objects that `get` finds for `names`, by a template or as indented JSON.
// Returns the exit status; errors are printed after the objects.
using GetObject = std::function<Result<std::string>(const std::string& name)>;
Result<int> print_inspected(const std::vector<std::string>& names, std::string_view format,
                            const GetObject& get);

// Runs `act` for every name, at the same time, and prints each name that worked, in order. The
// errors are joined by line ends, as docker does.
using NameAction = std::function<Result<void>(const std::string& name)>;
Result<int> for_each_name(const std::vector<std::string>& names, const NameAction& act);

// The same one after the other, with each error where it comes.
Result<int> one_by_one(const std::vector<std::string>& names, const NameAction& act);

// Asks on the terminal; false unless the answer is yes.
Result<bool> confirm(std::string_view question);

// "a=1,b=2" of an object, sorted.
std::string joined_labels(const json::Value& labels);

}  // namespace coffer::cli
