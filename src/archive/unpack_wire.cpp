#include "archive/unpack_wire.hpp"

#include "base/hash.hpp"

namespace coffer::archive {

namespace {

constexpr char kEnd = '\0';  // of each field: names cannot hold it

}  // namespace

std::vector<std::string> to_arguments(const UnpackRequest& request) {
    const TarLimits& limits = request.limits;
    std::vector<std::string> out = {request.digest, request.diff_id};
    for (const std::uint64_t number :
         {request.ratio, limits.entries, limits.stream_bytes, limits.content_bytes,
          limits.pax_bytes, std::uint64_t{limits.name_bytes}, std::uint64_t{limits.depth},
          std::uint64_t{limits.sparse_extents}}) {
        out.push_back(std::to_string(number));
    }
    return out;
}

Result<UnpackRequest> parse_arguments(const std::vector<std::string>& arguments) {
    if (arguments.size() != 10) return fail(Code::InvalidArgument, "usage: started by cofferd");
    std::vector<std::uint64_t> numbers;
    for (std::size_t i = 2; i < arguments.size(); ++i) {
        const auto number = parse_uint(arguments[i]);
        if (!number) return fail(Code::InvalidArgument, "invalid number '{}'", arguments[i]);
        numbers.push_back(*number);
    }
    return UnpackRequest{.input_fd = 0,
                         .target_fd = 3,
                         .digest = arguments[0],
                         .diff_id = arguments[1],
                         .limits = {.entries = numbers[1],
                                    .stream_bytes = numbers[2],
                                    .content_bytes = numbers[3],
                                    .pax_bytes = numbers[4],
                                    .name_bytes = numbers[5],
                                    .depth = numbers[6],
                                    .sparse_extents = numbers[7]},
                         .ratio = numbers[0]};
}

std::string to_answer(const Result<AppliedLayer>& result) {
    std::string out;
    const auto put = [&](std::string_view field) { out.append(field).push_back(kEnd); };
    if (!result) {
        put("error");
        put(std::to_string(static_cast<int>(result.error().code)));
        put(std::to_string(result.error().sys_errno));
        put(result.error().message);
        return out;
    }
    put("ok");
    put(result->diff_id);
    for (const std::uint64_t number :
         {result->stream_bytes, result->size, result->entries, result->dropped}) {
        put(std::to_string(number));
    }
    for (const std::string& folder : result->opaque) put(folder);
    return out;
}

Result<AppliedLayer> parse_answer(std::string_view text) {
    const auto invalid = [] { return fail(Code::Internal, "unpacker gave no valid answer"); };
    if (!text.ends_with(kEnd)) return invalid();
    text.remove_suffix(1);
    const std::vector<std::string> fields = split(text, kEnd);
    const auto number = [&](std::size_t index) { return parse_uint(fields[index]); };
    if (fields[0] == "error" && fields.size() == 4 && number(1) && number(2) &&
        *number(1) <= static_cast<std::uint64_t>(Code::Internal) && *number(2) < 4096) {
        return fail(Error{static_cast<Code>(*number(1)), static_cast<int>(*number(2)),
                          to_utf8(fields[3].substr(0, 8192))});
    }
    if (fields[0] != "ok" || fields.size() < 6 || !is_digest(fields[1])) return invalid();
    for (std::size_t i = 2; i < 6; ++i) {
        if (!number(i)) return invalid();
    }
    AppliedLayer layer;
    layer.diff_id = fields[1];
    layer.stream_bytes = *number(2);
    layer.size = *number(3);
    layer.entries = *number(4);
    layer.dropped = *number(5);
    layer.opaque.assign(fields.begin() + 6, fields.end());
    return layer;
}

}  // namespace coffer::archive
