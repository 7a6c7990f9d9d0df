#include "archive/unpack.hpp"

#include <array>
#include <condition_variable>
#include <thread>

#include "archive/compress.hpp"
#include "base/hash.hpp"
#include "base/sync.hpp"

namespace coffer::archive {

namespace {

constexpr std::size_t kBufferSize = 1U << 20U;
constexpr std::size_t kBuffers = 4;

// Counts and hashes what passes, and keeps decoded bytes in proportion to it.
class MeteredSource : public Source {
  public:
    MeteredSource(Source& inner, bool hashing) : inner_(&inner), hashing_(hashing) {}
    Result<std::string_view> next() override {
        const std::string_view chunk = TRY(inner_->next());
        if (hashing_) hash_.update(chunk);
        bytes_ += chunk.size();
        return chunk;
    }
    std::uint64_t bytes() const { return bytes_; }
    std::string digest() { return "sha256:" + hash_.finish_hex(); }

  private:
    Source* inner_;
    bool hashing_;
    Sha256 hash_;
    std::uint64_t bytes_ = 0;
};

// Decodes on a thread of its own into a few buffers that go round.
class PipelinedSource : public Source {
  public:
    explicit PipelinedSource(const UnpackRequest& request)
        : request_(&request), thread_([this] { produce(); }) {}
    ~PipelinedSource() override {
        state_.lock()->stopped = true;
        changed_.notify_all();
        thread_.join();
    }
    PipelinedSource(const PipelinedSource&) = delete;
    PipelinedSource& operator=(const PipelinedSource&) = delete;
    PipelinedSource(PipelinedSource&&) = delete;
    PipelinedSource& operator=(PipelinedSource&&) = delete;

    Result<std::string_view> next() override {
        auto state = state_.lock();
        if (state->taken) {
            state->taken = false;
            ++state->first;
            changed_.notify_all();
        }
        state.wait(changed_, [&] { return state->first != state->last || state->ended; });
        if (state->first != state->last) {
            state->taken = true;
            const std::size_t slot = state->first % kBuffers;
            return std::string_view(buffers_[slot]).substr(0, state->sizes[slot]);
        }
        if (state->error) return fail(*state->error);
        return std::string_view();
    }

  private:
    struct State {
        std::uint64_t first = 0;  // buffers [first, last) are full
        std::uint64_t last = 0;
        std::array<std::size_t, kBuffers> sizes{};
        bool taken = false;  // the consumer still reads the first one
        bool ended = false;
        bool stopped = false;
        std::optional<Error> error;
    };

    void produce() {
        const auto result = decode();
        auto state = state_.lock();
        state->ended = true;
        if (!result) state->error = result.error();
        changed_.notify_all();
    }

    Result<void> decode() {
        FdSource file(request_->input_fd);
        MeteredSource metered(file, !request_->digest.empty());
        DecodingSource decoded(metered);
        std::uint64_t total = 0;
        for (;;) {
            std::size_t slot = 0;
            {
                auto state = state_.lock();
                state.wait(changed_,
                           [&] { return state->last - state->first < kBuffers || state->stopped; });
                if (state->stopped) return fail(Code::Cancelled, "unpack stopped");
                slot = state->last % kBuffers;
            }
            std::string& buffer = buffers_[slot];
            buffer.resize(kBufferSize);
            const std::size_t n = TRY(decoded.read(buffer));
            total += n;
            if (total > kBufferSize && total / request_->ratio > metered.bytes()) {
                return fail(Code::InvalidArgument,
                            "layer expands to more than {} times its compressed size",
                            request_->ratio);
            }
            if (n == 0) return check_digest(metered.digest());
            auto state = state_.lock();
            state->sizes[slot] = n;
            ++state->last;
            changed_.notify_all();
        }
    }

    Result<void> check_digest(const std::string& digest) const {
        if (request_->digest.empty() || request_->digest == digest) return {};
        return fail(Code::InvalidArgument, "layer has digest {}, not the expected {}", digest,
                    request_->digest);
    }

    const UnpackRequest* request_;
    std::array<std::string, kBuffers> buffers_;
    Sync<State> state_;
    std::condition_variable changed_;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace

Result<AppliedLayer> unpack_here(const UnpackRequest& request) {
    PipelinedSource tar(request);
    AppliedLayer layer = TRY(apply_layer(tar, request.target_fd, request.limits));
    if (!request.diff_id.empty() && request.diff_id != layer.diff_id) {
        return fail(Code::InvalidArgument, "layer has diff id {}, not the expected {}",
                    layer.diff_id, request.diff_id);
    }
    return layer;
}

}  // namespace coffer::archive
