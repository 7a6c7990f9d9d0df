#include "json/codec.hpp"

#include <cstring>
#include <limits>

#include "base/text.hpp"
#include "json/writer.hpp"

namespace coffer::json {

namespace {

// Reads an integer or floating member of any width.
template <class Wide>
Wide load(const void* object, std::size_t bytes) {
    if constexpr (std::floating_point<Wide>) {
        if (bytes == sizeof(float)) return static_cast<Wide>(*static_cast<const float*>(object));
        return *static_cast<const double*>(object);
    } else {
        // Little-endian only, as all machines Linux containers are run on by this engine.
        std::make_unsigned_t<Wide> bits = 0;
        std::memcpy(&bits, object, bytes);
        const std::size_t spare = 8 * (sizeof(Wide) - bytes);
        return static_cast<Wide>(bits << spare) >> spare;
    }
}

bool is_empty(const Type& type, const void* object) {
    switch (type.shape) {
        case Shape::Bool:
            return !*static_cast<const bool*>(object);
        case Shape::Int:
            return load<std::int64_t>(object, type.bytes) == 0;
        case Shape::Uint:
            return load<std::uint64_t>(object, type.bytes) == 0;
        case Shape::Double:
            return load<double>(object, type.bytes) == 0;
        case Shape::String:
            return static_cast<const std::string*>(object)->empty();
        case Shape::Raw:
            return static_cast<const Value*>(object)->is_null();
        case Shape::Vector:
        case Shape::Map:
        case Shape::Pointer:
            return type.count(object) == 0;
        case Shape::Struct:
            return false;  // as in Go
    }
    return false;
}

const void* member(const void* object, const Field& field) {
    return static_cast<const char*>(object) + field.offset;
}

void encode_into(Writer& out, const Type& type, const void* object);

struct MapSink {
    Writer& out;
    const Type& element;
};

void encode_struct(Writer& out, const Type& type, const void* object) {
    out.begin_object();
    for (const Field& field : type.fields) {
        const Type& field_type = field.type();
        const void* at = member(object, field);
        const bool empty = field.policy != Policy::Always && is_empty(field_type, at);
        if (empty && field.policy == Policy::OmitEmpty) continue;
        out.key(field.key);
        if (empty)
            out.null();
        else
            encode_into(out, field_type, at);
    }
    out.end_object();
}

void encode_into(Writer& out, const Type& type, const void* object) {
    switch (type.shape) {
        case Shape::Bool:
            return out.boolean(*static_cast<const bool*>(object));
        case Shape::Int:
            return out.integer(load<std::int64_t>(object, type.bytes));
        case Shape::Uint:
            return out.integer(load<std::uint64_t>(object, type.bytes));
        case Shape::Double:
            return out.number(load<double>(object, type.bytes));
        case Shape::String:
            return out.string(*static_cast<const std::string*>(object));
        case Shape::Raw:
            return out.value(*static_cast<const Value*>(object));
        case Shape::Vector: {
            out.begin_array();
            const std::size_t count = type.count(object);
            for (std::size_t i = 0; i < count; ++i) {
                out.element();
                encode_into(out, type.element(), type.at(object, i));
            }
            return out.end_array();
        }
        case Shape::Map: {
            out.begin_object();
            MapSink sink{out, type.element()};
            const auto visit = [](void* context, const std::string& key, const void* element) {
                auto* to = static_cast<MapSink*>(context);
                to->out.key(key);
                encode_into(to->out, to->element, element);
            };
            type.each(object, visit, &sink);
            return out.end_object();
        }
        case Shape::Pointer:
            if (type.count(object) == 0) return out.null();
            return encode_into(out, type.element(), type.at(object, 0));
        case Shape::Struct:
            return encode_struct(out, type, object);
    }
}

// A failed decoding, its path still growing while the walk returns.
struct Mismatch {
    std::string path;
    std::string problem;

    Mismatch& under(std::string_view step) {
        if (path.empty() || path.front() == '[')
            path.insert(0, step);
        else
            path = std::string(step) + "." + path;
        return *this;
    }
};
using Outcome = std::optional<Mismatch>;  // nullopt when all went well

Outcome mismatch(std::string_view expected, const Value& value) {
    return Mismatch{{}, format("expected {}, got {}", expected, kind_name(value.kind()))};
}

Outcome decode_into(const Type& type, void* object, const Value& value);

template <class Wide>
Outcome decode_integer(const Type& type, void* object, const Value& value) {
    if (value.kind() != Kind::Int && value.kind() != Kind::Uint) {
        if (value.kind() == Kind::Double)
            return Mismatch{{}, format("number {} is no integer that fits", write(value))};
        return mismatch("a number", value);
    }
    std::optional<Wide> wide;
    if constexpr (std::signed_integral<Wide>)
        wide = value.to_int();
    else
        wide = value.to_uint();
    Wide again{};
    if (wide) {
        std::memcpy(&again, &*wide, sizeof(Wide));
        again = load<Wide>(&again, type.bytes);
    }
    if (!wide || again != *wide)
        return Mismatch{{}, format("number {} is out of range", write(value))};
    std::memcpy(object, &*wide, type.bytes);
    return std::nullopt;
}

// The field called `key`: documents mostly come in the order of the fields, so the search starts
// at `next`; then an exact match anywhere, then one without case, as Go does it.
const Field* find_field(const std::vector<Field>& fields, std::string_view key, std::size_t& next) {
    const auto hit = [&](std::size_t i) {
        next = i + 1;
        return &fields[i];
    };
    if (next < fields.size() && fields[next].key == key) return hit(next);
    for (std::size_t i = 0; i < fields.size(); ++i)
        if (fields[i].key == key) return hit(i);
    for (std::size_t i = 0; i < fields.size(); ++i)
        if (equals_ignoring_case(fields[i].key, key)) return hit(i);
    return nullptr;
}

Outcome decode_struct(const Type& type, void* object, const Value& value) {
    const Object* members = value.if_object();
    if (members == nullptr) return mismatch("an object", value);
    std::size_t next = 0;
    for (const Member& each : *members) {
        const Field* field = find_field(type.fields, each.key, next);
        if (field == nullptr) continue;
        void* at = static_cast<char*>(object) + field->offset;
        const bool lone = field->or_string && each.value.if_string() != nullptr;
        if (Outcome bad = decode_into(field->type(), at, lone ? Array{each.value} : each.value))
            return bad->under(field->key);
    }
    return std::nullopt;
}

Outcome decode_vector(const Type& type, void* object, const Value& value) {
    const Array* items = value.if_array();
    if (items == nullptr) return mismatch("an array", value);
    type.clear(object);
    for (std::size_t i = 0; i < items->size(); ++i)
        if (Outcome bad = decode_into(type.element(), type.add(object, {}), (*items)[i]))
            return bad->under(format("[{}]", i));
    return std::nullopt;
}

Outcome decode_map(const Type& type, void* object, const Value& value) {
    const Object* members = value.if_object();
    if (members == nullptr) return mismatch("an object", value);
    type.clear(object);
    for (const Member& each : *members)
        if (Outcome bad = decode_into(type.element(), type.add(object, each.key), each.value))
            return bad->under(each.key);
    return std::nullopt;
}

Outcome decode_into(const Type& type, void* object, const Value& value) {
    if (value.is_null() && type.shape != Shape::Raw) {
        if (type.clear != nullptr) type.clear(object);
        return std::nullopt;
    }
    switch (type.shape) {
        case Shape::Bool: {
            const auto flag = value.to_bool();
            if (!flag) return mismatch("a bool", value);
            *static_cast<bool*>(object) = *flag;
            return std::nullopt;
        }
        case Shape::Int:
            return decode_integer<std::int64_t>(type, object, value);
        case Shape::Uint:
            return decode_integer<std::uint64_t>(type, object, value);
        case Shape::Double: {
            const auto number = value.to_double();
            if (!number) return mismatch("a number", value);
            if (type.bytes == sizeof(float))
                *static_cast<float*>(object) = static_cast<float>(*number);
            else
                *static_cast<double*>(object) = *number;
            return std::nullopt;
        }
        case Shape::String: {
            const std::string* text = value.if_string();
            if (text == nullptr) return mismatch("a string", value);
            *static_cast<std::string*>(object) = *text;
            return std::nullopt;
        }
        case Shape::Raw:
            *static_cast<Value*>(object) = value;
            return std::nullopt;
        case Shape::Vector:
            return decode_vector(type, object, value);
        case Shape::Map:
            return decode_map(type, object, value);
        case Shape::Pointer:
            return decode_into(type.element(), type.add(object, {}), value);
        case Shape::Struct:
            return decode_struct(type, object, value);
    }
    return std::nullopt;
}

}  // namespace

std::string encode_as(const Type& type, const void* object, const WriteOptions& options) {
    std::string out;
    Writer writer(out, options);
    encode_into(writer, type, object);
    return out;
}

Value to_value_as(const Type& type, const void* object) {
    // Through the text: rare (templates, raw members), and so there is one encoder only.
    return parse(encode_as(type, object, {}), {.depth = 10'000}).value_or(Value());
}

Result<void> decode_as(const Type& type, void* object, const Value& value) {
    Outcome bad = decode_into(type, object, value);
    if (!bad) return {};
    if (bad->path.empty()) return fail(Code::InvalidArgument, "{}", bad->problem);
    return fail(Code::InvalidArgument, "{}: {}", bad->path, bad->problem);
}

Result<void> decode_text_as(const Type& type, void* object, std::string_view text) {
    const Value value = TRY(parse(text));
    return decode_as(type, object, value);
}

}  // namespace coffer::json
