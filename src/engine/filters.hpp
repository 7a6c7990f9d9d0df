#pragma once
// Filters: the parsed `filters` parameter of the API: a key has a set of values. Immutable once
// built; plain data.

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::engine {

class Filters {
  public:
    Filters() = default;
    explicit Filters(std::map<std::string, std::vector<std::string>> values)
        : values_(std::move(values)) {}

    bool empty() const { return values_.empty(); }
    // With a value: an empty list is as if the key were absent.
    bool has(const std::string& key) const { return !get(key).empty(); }
    // The values of a key; none when it is absent.
    const std::vector<std::string>& get(const std::string& key) const;
    // True when the key is absent or one of its values is `value`.
    bool matches(const std::string& key, std::string_view value) const;
    // "k" or "k=v" values against labels: all of them must hold. `key` is "label" or "label!".
    bool match_labels(const std::map<std::string, std::string>& labels) const;
    // The single boolean of a key: "1", "true" or "0", "false"; `otherwise` when absent.
    Result<bool> boolean(const std::string& key, bool otherwise) const;
    // Fails with docker's text "invalid filter 'x'" for a key that is not accepted.
    Result<void> accept(const std::vector<std::string_view>& keys) const;

  private:
    std::map<std::string, std::vector<std::string>> values_;
};

}  // namespace coffer::engine
