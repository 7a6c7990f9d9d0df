#include "json/value.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.hpp"
#include "json/writer.hpp"

namespace coffer::json {

std::string_view kind_name(Kind kind) {
    switch (kind) {
        case Kind::Null:
            return "null";
        case Kind::Bool:
            return "bool";
        case Kind::Int:
        case Kind::Uint:
        case Kind::Double:
            return "number";
        case Kind::String:
            return "string";
        case Kind::Array:
            return "array";
        case Kind::Object:
            return "object";
    }
    return "unknown";
}

Value::Value() noexcept = default;
Value::~Value() = default;
Value::Value(const Value& other) = default;
Value::Value(Value&& other) noexcept = default;
Value& Value::operator=(const Value& other) = default;
Value& Value::operator=(Value&& other) noexcept = default;

Value::Value(std::nullptr_t) noexcept {}
Value::Value(double value) : data_(value) {}
Value::Value(std::string value) : data_(std::move(value)) {}
Value::Value(std::string_view value) : data_(std::in_place_type<std::string>, value) {}
Value::Value(const char* value) : data_(std::in_place_type<std::string>, value) {}
Value::Value(Array value) : data_(std::move(value)) {}
Value::Value(Object value) : data_(std::move(value)) {}

void Value::set_bool(bool value) {
    data_ = value;
}

void Value::set_signed(std::int64_t value) {
    data_ = value;
}

void Value::set_unsigned(std::uint64_t value) {
    if (value > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
        data_ = value;
    else
        set_signed(static_cast<std::int64_t>(value));
}

std::optional<bool> Value::to_bool() const {
    if (const bool* value = std::get_if<bool>(&data_)) return *value;
    return std::nullopt;
}

std::optional<std::int64_t> Value::to_int() const {
    if (const auto* value = std::get_if<std::int64_t>(&data_)) return *value;
    return std::nullopt;
}

std::optional<std::uint64_t> Value::to_uint() const {
    if (const auto* value = std::get_if<std::uint64_t>(&data_)) return *value;
    const auto* value = std::get_if<std::int64_t>(&data_);
    if (value != nullptr && *value >= 0) return static_cast<std::uint64_t>(*value);
    return std::nullopt;
}

std::optional<double> Value::to_double() const {
    if (const auto* value = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*value);
    if (const auto* value = std::get_if<std::uint64_t>(&data_)) return static_cast<double>(*value);
    if (const auto* value = std::get_if<double>(&data_)) return *value;
    return std::nullopt;
}

const Value* Value::find(std::string_view key) const {
    const Object* object = if_object();
    if (object == nullptr) return nullptr;
    const auto found = std::ranges::find(*object, key, &Member::key);
    return found == object->end() ? nullptr : &found->value;
}

Value* Value::find(std::string_view key) {
    return const_cast<Value*>(std::as_const(*this).find(key));
}

const Value* Value::at_path(std::string_view dotted) const {
    const Value* here = this;
    for (const std::string& step : split(dotted, '.')) {
        if (const Array* array = here->if_array()) {
            const auto index = parse_uint(step);
            if (!index || *index >= array->size()) return nullptr;
            here = &(*array)[*index];
        } else {
            here = here->find(step);
            if (here == nullptr) return nullptr;
        }
    }
    return here;
}

Value& Value::set(std::string_view key, Value value) {
    if (!is_object()) data_.emplace<Object>();
    if (Value* present = find(key)) return *present = std::move(value);
    return std::get<Object>(data_).emplace_back(std::string(key), std::move(value)).value;
}

bool Value::operator==(const Value& other) const {
    if (kind() != other.kind()) return false;
    switch (kind()) {
        case Kind::Null:
            return true;
        case Kind::Bool:
            return to_bool() == other.to_bool();
        case Kind::Int:
            return to_int() == other.to_int();
        case Kind::Uint:
            return to_uint() == other.to_uint();
        case Kind::Double:
            return to_double() == other.to_double();
        case Kind::String:
            return *if_string() == *other.if_string();
        case Kind::Array:
            return *if_array() == *other.if_array();
        case Kind::Object:
            return *if_object() == *other.if_object();
    }
    return false;
}

bool Member::operator==(const Member& other) const {
    return key == other.key && value == other.value;
}

std::string write(const Value& value, const WriteOptions& options) {
    std::string out;
    Writer(out, options).value(value);
    return out;
}

}  // namespace coffer::json
