// Any bytes as a JSON document: what is read must be written and read again without a change, and
// the documents that clients and images bring must decode without harm.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/container.hpp"
#include "json/codec.hpp"

namespace {

template <class T>
void decode_twice(const coffer::json::Value& value) {
    const auto first = coffer::json::decode_value<T>(value);
    if (!first) return;
    const std::string text = coffer::json::encode(*first);
    const auto second = coffer::json::decode<T>(text);
    if (!second || coffer::json::encode(*second) != text) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto value = coffer::json::parse(text);
    if (!value) return 0;
    const std::string written = coffer::json::write(*value);
    const auto again = coffer::json::parse(written);
    if (!again || coffer::json::write(*again) != written) std::abort();
    decode_twice<coffer::api::ContainerCreateRequest>(*value);
    decode_twice<coffer::api::ContainerInspect>(*value);
    return 0;
}
