#pragma once
// A JSON document as a value, its strict parser and its writer. Plain data: safe to share between
// threads as long as nobody changes it.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace coffer::json {

enum class Kind : std::uint8_t { Null, Bool, Int, Uint, Double, String, Array, Object };
// "null", "bool", "number", "string", "array" or "object", for messages.
std::string_view kind_name(Kind kind);

class Value;
struct Member;
using Array = std::vector<Value>;
using Object = std::vector<Member>;  // keeps the order of the document; keys are unique

class Value {
  public:
    Value() noexcept;
    ~Value();
    Value(const Value& other);
    Value(Value&& other) noexcept;
    Value& operator=(const Value& other);
    Value& operator=(Value&& other) noexcept;

    // Implicit on purpose: Object{{"Id", id}, {"Pid", 12}} reads as the document it makes.
    // NOLINTBEGIN(google-explicit-constructor)
    Value(std::nullptr_t) noexcept;
    template <std::same_as<bool> B>
    Value(B value) : Value() {
        set_bool(value);
    }
    template <std::integral I>
    requires(!std::same_as<I, bool>) Value(I value) : Value() {
        if constexpr (std::signed_integral<I>)
            set_signed(value);
        else
            set_unsigned(value);
    }
    Value(double value);
    Value(std::string value);
    Value(std::string_view value);
    Value(const char* value);
    Value(Array value);
    Value(Object value);
    // NOLINTEND(google-explicit-constructor)

    Kind kind() const { return static_cast<Kind>(data_.index()); }
    bool is_null() const { return kind() == Kind::Null; }
    bool is_object() const { return kind() == Kind::Object; }
    bool is_array() const { return kind() == Kind::Array; }

    // The content when it is of that kind, else nullptr or nullopt.
    const std::string* if_string() const { return std::get_if<std::string>(&data_); }
    const Array* if_array() const { return std::get_if<Array>(&data_); }
    Array* if_array() { return std::get_if<Array>(&data_); }
    const Object* if_object() const { return std::get_if<Object>(&data_); }
    Object* if_object() { return std::get_if<Object>(&data_); }
    std::optional<bool> to_bool() const;
    std::optional<std::int64_t> to_int() const;  // only whole numbers that fit
    std::optional<std::uint64_t> to_uint() const;
    std::optional<double> to_double() const;  // any number

    // The member of an object, exact name; nullptr when absent or when this is no object.
    const Value* find(std::string_view key) const;
    Value* find(std::string_view key);
    // Follows names and array indexes: at_path("State.Health.Log.0"); nullptr when nothing is
    // there.
    const Value* at_path(std::string_view dotted) const;
    // Sets or appends a member; null and non-object values become an object first.
    Value& set(std::string_view key, Value value);

    bool operator==(const Value& other) const;

  private:
    void set_bool(bool value);
    void set_signed(std::int64_t value);
    void set_unsigned(std::uint64_t value);

    std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array,
                 Object>
        data_;  // Uint holds only what does not fit Int
};

struct Member {
    std::string key;
    Value value;
    bool operator==(const Member& other) const;
};

enum class RepeatedKeys : std::uint8_t { LastStays, Refused };
struct ParseLimits {
    std::size_t depth = 256;
    std::size_t bytes = std::size_t{256} << 20;
    RepeatedKeys repeated = RepeatedKeys::LastStays;
};
// Exactly one document in valid UTF-8.
Result<Value> parse(std::string_view text, const ParseLimits& limits = {});

enum class Escape : std::uint8_t {
    Html,  // <, >, & and U+2028/9 as \u003c etc.: what json.Marshal of Go writes
    Plain,
};
struct WriteOptions {
    Escape escape = Escape::Html;
    int indent = 0;  // spaces a level; 0 writes one line
};
std::string write(const Value& value, const WriteOptions& options = {});

}  // namespace coffer::json
