#include "sys/nft.hpp"

#include <nftables/libnftables.h>

#include <memory>
#include <mutex>

namespace coffer::sys::nft {
namespace {

struct FreeContext {
    void operator()(nft_ctx* context) const { ::nft_ctx_free(context); }
};

}  // namespace

Result<std::string> run(const std::string& commands) {
    // libnftables has global state in its parser, so one at a time. The context is kept, because
    // closing its socket waits for what the last transaction deleted: 7 to 15 ms.
    static std::mutex one_at_a_time;
    static std::unique_ptr<nft_ctx, FreeContext> context;
    const std::lock_guard lock(one_at_a_time);
    if (!context) {
        context.reset(::nft_ctx_new(NFT_CTX_DEFAULT));
        if (!context) return fail(Code::Internal, "nftables: out of memory");
        ::nft_ctx_output_set_flags(context.get(), NFT_CTX_OUTPUT_HANDLE);
        ::nft_ctx_buffer_output(context.get());
        ::nft_ctx_buffer_error(context.get());
    }
    if (::nft_run_cmd_from_buffer(context.get(), commands.c_str()) != 0) {
        const std::string_view text = trim(::nft_ctx_get_error_buffer(context.get()));
        return fail(Code::Internal, "nftables: {}", text.substr(0, text.find('\n')));
    }
    return std::string(::nft_ctx_get_output_buffer(context.get()));
}

}  // namespace coffer::sys::nft
