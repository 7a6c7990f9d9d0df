// Any bytes as YAML: what is accepted is a document that JSON can hold, and reads as itself: JSON
// is YAML, too.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "json/value.hpp"
#include "json/writer.hpp"
#include "yaml/parse.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto value =
        coffer::yaml::parse(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!value) return 0;
    // What is no UTF-8 cannot be written as JSON that says the same.
    const auto again = coffer::json::parse(coffer::json::write(*value));
    if (!again && value->is_object()) std::abort();
    return 0;
}
