#pragma once
// One object of a file that people write, all of whose keys must be known. What is wrong is told
// with the file and the place in it: "file: registries.0.prefix: expected a string, got number".
// Borrows the document; safe from any thread.

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "json/value.hpp"

namespace coffer::json {

class Reader {
  public:
    // Of a key it is said in which object, so: "file: registries.0.prefix".
    Reader(const Value& value, std::string where, std::string_view separator = ".")
        : value_(value), where_(std::move(where)), separator_(separator) {}

    // It is an object, with no other keys than these.
    Result<void> allow(std::initializer_list<std::string_view> keys) const;
    // What is absent is empty, false, or a list of nothing.
    Result<std::string> text(std::string_view key) const;
    Result<bool> truth(std::string_view key) const;
    // One string stands for a list of it.
    Result<std::vector<std::string>> texts(std::string_view key) const;
    // The objects of a list.
    Result<std::vector<Reader>> objects(std::string_view key) const;
    // The objects of an object, whatever their keys are.
    Result<std::vector<std::pair<std::string, Reader>>> members() const;
    bool has(std::string_view key) const { return value_.find(key) != nullptr; }
    const Value& value() const { return value_; }
    const std::string& where() const { return where_; }

  private:
    Result<const Object*> object() const;
    Result<const Array*> list(std::string_view key) const;
    std::string inside(std::string_view key) const;
    Failure refuse(std::string_view key, std::string_view wanted, const Value& got) const;

    const Value& value_;
    std::string where_;
    std::string_view separator_;
};

}  // namespace coffer::json
