#include "json/reader.hpp"

#include <algorithm>

namespace coffer::json {

Result<const Object*> Reader::object() const {
    if (const Object* object = value_.if_object()) return object;
    return fail(Code::InvalidArgument, "{}: expected an object, got {}", where_,
                kind_name(value_.kind()));
}

Result<void> Reader::allow(std::initializer_list<std::string_view> keys) const {
    for (const Member& member : *TRY(object())) {
        if (std::find(keys.begin(), keys.end(), member.key) == keys.end())
            return fail(Code::InvalidArgument, "{}: unknown key \"{}\"", where_, member.key);
    }
    return {};
}

Result<std::string> Reader::text(std::string_view key) const {
    const Value* value = value_.find(key);
    if (value == nullptr) return std::string();
    if (value->if_string() == nullptr) return refuse(key, "a string", *value);
    return *value->if_string();
}

Result<bool> Reader::truth(std::string_view key) const {
    const Value* value = value_.find(key);
    if (value == nullptr) return false;
    const auto truth = value->to_bool();
    if (!truth) return refuse(key, "true or false", *value);
    return *truth;
}

Result<std::vector<std::string>> Reader::texts(std::string_view key) const {
    const Value* value = value_.find(key);
    if (value == nullptr) return std::vector<std::string>();
    if (value->if_string() != nullptr) return std::vector<std::string>{*value->if_string()};
    std::vector<std::string> texts;
    for (const Value& one : *TRY(list(key))) {
        if (one.if_string() == nullptr) return refuse(key, "strings", one);
        texts.push_back(*one.if_string());
    }
    return texts;
}

Result<std::vector<Reader>> Reader::objects(std::string_view key) const {
    std::vector<Reader> readers;
    if (value_.find(key) == nullptr) return readers;
    for (const Value& one : *TRY(list(key)))
        readers.emplace_back(one, format("{}.{}", inside(key), readers.size()));
    return readers;
}

Result<std::vector<std::pair<std::string, Reader>>> Reader::members() const {
    std::vector<std::pair<std::string, Reader>> members;
    for (const Member& member : *TRY(object()))
        members.emplace_back(member.key, Reader(member.value, inside(member.key)));
    return members;
}

Result<const Array*> Reader::list(std::string_view key) const {
    const Value* value = value_.find(key);
    if (value->if_array() == nullptr) return refuse(key, "a list", *value);
    return value->if_array();
}

std::string Reader::inside(std::string_view key) const {
    return format("{}{}{}", where_, separator_, key);
}

Failure Reader::refuse(std::string_view key, std::string_view wanted, const Value& got) const {
    return fail(Code::InvalidArgument, "{}: expected {}, got {}", inside(key), wanted,
                kind_name(got.kind()));
}

}  // namespace coffer::json
