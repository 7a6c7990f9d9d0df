#include "archive/unpack.hpp"
#include "archive/unpack_wire.hpp"
#include "sys/process.hpp"

namespace coffer::archive {

Result<AppliedLayer> unpack_jailed(const std::string& program, const UnpackRequest& request) {
    auto answer = TRY(sys::make_pipe());
    sys::SpawnOptions options;
    options.argv = to_arguments(request);
    options.argv.insert(options.argv.begin(), program);
    options.fds = {{0, request.input_fd}, {1, answer.write.get()}, {3, request.target_fd}};
    sys::Process process = TRY(sys::spawn(options));
    answer.write.reset();
    // Names of opaque folders; a layer of a million such is not for us.
    const auto text = sys::read_all(answer.read.get(), 64U << 20U);
    if (!text) return wrap(text.error(), "read the unpacker's answer");
    const auto status = TRY(process.wait());
    if (text->empty()) {
        return fail(Code::Internal, "unpacker ended without an answer, status {}",
                    status.value_or(-1));
    }
    AppliedLayer layer = TRY(parse_answer(*text));
    // It has said what it read; what was asked for is for us to check.
    if (!request.diff_id.empty() && layer.diff_id != request.diff_id) {
        return fail(Code::InvalidArgument, "layer has diff id {}, not the expected {}",
                    layer.diff_id, request.diff_id);
    }
    TRY(mark_opaque(request.target_fd, layer.opaque));
    return layer;
}

}  // namespace coffer::archive
