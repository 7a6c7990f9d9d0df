#pragma once
// Structs to JSON and back. A struct is described once, by a free function in its own namespace:
//
//     struct PortBinding { std::string host_ip, host_port; };
//     void describe(json::Fields& f, const PortBinding& s);            // in the header
//
//     void describe(json::Fields& f, const PortBinding& s) {           // in the .cpp
//         f("HostIp", s.host_ip);
//         f("HostPort", s.host_port, json::kOmitEmpty);
//     }
//
// Calling describe() of a member inside embeds it: its fields stand among those of the outer
// struct (Go embedding). Members may be bool, integers, double, std::string, json::Value (raw),
// described structs and std::vector, std::map<std::string, T>, std::optional and std::unique_ptr
// of those. Tables are built once, at first use; all functions are safe from any thread.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "json/value.hpp"

namespace coffer::json {

// How a field is written. Reading is the same for all: an absent field leaves the member's default.
enum class Policy : std::uint8_t {
    Always,       // empty vector [], empty map {}, absent optional null
    OmitEmpty,    // left out when zero, false, "", empty or absent (a present optional is written)
    NullIfEmpty,  // null when zero, false, "", empty or absent: a nil slice or map of Go
};
inline constexpr Policy kOmitEmpty = Policy::OmitEmpty;
inline constexpr Policy kNullIfEmpty = Policy::NullIfEmpty;

// Go's struct{}: written {}, as the values of ExposedPorts and Volumes.
struct Empty {
    bool operator==(const Empty&) const = default;
};

enum class Shape : std::uint8_t {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Raw,
    Vector,
    Map,
    Pointer,
    Struct
};

struct Field;
// What the walkers need to know of a C++ type. The functions are set for the shapes that need them.
struct Type {
    using Visit = void (*)(void* context, const std::string& key, const void* element);

    Shape shape = Shape::Raw;
    std::size_t bytes = 0;               // of Int, Uint, Double
    const Type& (*element)() = nullptr;  // of Vector, Map, Pointer
    std::size_t (*count)(const void*) = nullptr;
    const void* (*at)(const void*, std::size_t) = nullptr;  // Vector, Pointer
    void (*each)(const void*, Visit, void*) = nullptr;      // Map
    void* (*add)(void*, std::string_view key) = nullptr;    // appends or sets; `key` for Map
    void (*clear)(void*) = nullptr;
    std::vector<Field> fields;  // of Struct
};

struct Field {
    std::string_view key;
    std::size_t offset;
    const Type& (*type)();
    Policy policy;
    bool or_string = false;
};

template <class T>
const Type& type_of();

// Collects the fields of one struct; handed to describe().
class Fields {
  public:
    explicit Fields(const void* sample) : sample_(static_cast<const char*>(sample)) {}

    // `key` must be a literal.
    template <class M>
    void operator()(std::string_view key, const M& member, Policy policy = Policy::Always) {
        const char* address = reinterpret_cast<const char*>(&member);
        list_.push_back({key, static_cast<std::size_t>(address - sample_), &type_of<M>, policy});
    }
    // The same for a list of strings for which a client may send one plain string.
    template <class M>
    void words(std::string_view key, const M& member, Policy policy = Policy::Always) {
        (*this)(key, member, policy);
        list_.back().or_string = true;
    }
    std::vector<Field> take() && { return std::move(list_); }

  private:
    const char* sample_;
    std::vector<Field> list_;
};

inline void describe(Fields&, const Empty&) {}

// The conversions behind the templates below; compiled once.
std::string encode_as(const Type& type, const void* object, const WriteOptions& options);
Value to_value_as(const Type& type, const void* object);
Result<void> decode_as(const Type& type, void* object, const Value& value);
Result<void> decode_text_as(const Type& type, void* object, std::string_view text);

template <class T>
std::string encode(const T& object, const WriteOptions& options = {}) {
    return encode_as(type_of<T>(), &object, options);
}
template <class T>
Value to_value(const T& object) {
    return to_value_as(type_of<T>(), &object);
}
// Field names match exactly or else without case; unknown ones are ignored; null leaves a default
// (and empties an optional, a vector or a map). Errors name the path:
// "HostConfig.Memory: expected a number, got string".
template <class T>
Result<T> decode(std::string_view text) {
    T object{};
    TRY(decode_text_as(type_of<T>(), &object, text));
    return object;
}
template <class T>
Result<T> decode_value(const Value& value) {
    T object{};
    TRY(decode_as(type_of<T>(), &object, value));
    return object;
}

namespace detail {

template <class T>
struct TypeOf {  // any struct with describe()
    static Type make() {
        static_assert(
            requires(Fields & f, const T& s) { describe(f, s); }, "T needs describe()");
        const T sample{};
        Fields fields(&sample);
        describe(fields, sample);
        Type type;
        type.shape = Shape::Struct;
        type.fields = std::move(fields).take();
        return type;
    }
};
template <class T>
requires std::is_arithmetic_v<T>
struct TypeOf<T> {
    static Type make() {
        Type type;
        type.shape = std::same_as<T, bool>     ? Shape::Bool
                     : std::floating_point<T>  ? Shape::Double
                     : std::signed_integral<T> ? Shape::Int
                                               : Shape::Uint;
        type.bytes = sizeof(T);
        return type;
    }
};
template <class T>
requires std::is_enum_v<T>
struct TypeOf<T> {  // its number; that it is one of the enumerators is for the caller to check
    static Type make() { return TypeOf<std::underlying_type_t<T>>::make(); }
};
template <>
struct TypeOf<std::string> {
    static Type make() {
        Type type;
        type.shape = Shape::String;
        return type;
    }
};
template <>
struct TypeOf<Value> {
    static Type make() { return {}; }
};
template <class E>
struct TypeOf<std::vector<E>> {
    using V = std::vector<E>;
    static_assert(!std::same_as<E, bool>, "vector<bool> has no elements to point to");
    static Type make() {
        Type type;
        type.shape = Shape::Vector;
        type.element = &type_of<E>;
        type.count = [](const void* v) { return static_cast<const V*>(v)->size(); };
        type.at = [](const void* v, std::size_t i) -> const void* {
            return &(*static_cast<const V*>(v))[i];
        };
        type.add = [](void* v, std::string_view) -> void* {
            return &static_cast<V*>(v)->emplace_back();
        };
        type.clear = [](void* v) { static_cast<V*>(v)->clear(); };
        return type;
    }
};
template <class E>
struct TypeOf<std::map<std::string, E>> {
    using M = std::map<std::string, E>;
    static Type make() {
        Type type;
        type.shape = Shape::Map;
        type.element = &type_of<E>;
        type.count = [](const void* m) { return static_cast<const M*>(m)->size(); };
        type.each = [](const void* m, Type::Visit visit, void* context) {
            for (const auto& [key, element] : *static_cast<const M*>(m))
                visit(context, key, &element);
        };
        type.add = [](void* m, std::string_view key) -> void* {
            return &(*static_cast<M*>(m))[std::string(key)];
        };
        type.clear = [](void* m) { static_cast<M*>(m)->clear(); };
        return type;
    }
};
template <class P, class E>
Type make_pointer() {
    Type type;
    type.shape = Shape::Pointer;
    type.element = &type_of<E>;
    type.count = [](const void* p) { return *static_cast<const P*>(p) ? std::size_t{1} : 0; };
    type.at = [](const void* p, std::size_t) -> const void* { return &**static_cast<const P*>(p); };
    type.clear = [](void* p) { static_cast<P*>(p)->reset(); };
    return type;
}
template <class E>
struct TypeOf<std::optional<E>> {
    using P = std::optional<E>;
    static Type make() {
        Type type = make_pointer<P, E>();
        type.add = [](void* p, std::string_view) -> void* {
            return &static_cast<P*>(p)->emplace();
        };
        return type;
    }
};
template <class E>
struct TypeOf<std::unique_ptr<E>> {
    using P = std::unique_ptr<E>;
    static Type make() {
        Type type = make_pointer<P, E>();
        type.add = [](void* p, std::string_view) -> void* {
            *static_cast<P*>(p) = std::make_unique<E>();
            return static_cast<P*>(p)->get();
        };
        return type;
    }
};

}  // namespace detail

template <class T>
const Type& type_of() {
    static const Type type = detail::TypeOf<T>::make();
    return type;
}

}  // namespace coffer::json
