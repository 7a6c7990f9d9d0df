#include "http/input.hpp"

#include <algorithm>
#include <cstring>

namespace coffer::http {

namespace {

constexpr char kTlsHandshake = 0x16;  // type of the first record (RFC 8446, 5.1)

}  // namespace

Input::Input(Channel& channel)
    : channel_(&channel), buffer_(std::make_unique_for_overwrite<char[]>(kMaxHead)) {}

void Input::consume(std::size_t n) {
    begin_ += n;
    if (begin_ == end_) begin_ = end_ = 0;
}

Result<std::size_t> Input::fill(Channel::Limit limit) {
    if (begin_ > 0) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    const std::size_t n = TRY(channel_->read(buffer_.get() + end_, kMaxHead - end_, limit));
    end_ += n;
    return n;
}

Result<std::string> Input::read_head(Channel::Limit idle, Channel::Limit whole) {
    const auto begun = std::chrono::steady_clock::now();
    std::size_t searched = 0;
    for (;;) {
        // An empty line before a request is allowed (RFC 9112, 2.2).
        while (buffered().starts_with("\r\n")) {
            consume(2);
            searched = 0;
        }
        // Who tries TLS first waits for a refusal before it goes on without.
        if (!buffered().empty() && buffered().front() == kTlsHandshake)
            return fail(Code::InvalidArgument, "TLS on a plain connection");
        if (const auto end = find_head_end(buffered(), searched)) {
            std::string head(buffered().substr(0, *end));
            consume(*end);
            return head;
        }
        searched = buffered().size();
        if (searched == kMaxHead) break;
        Channel::Limit limit = idle;
        if (searched > 0 && whole) {
            limit = *whole - std::chrono::duration_cast<std::chrono::milliseconds>(
                                 std::chrono::steady_clock::now() - begun);
            limit = std::max(*limit, std::chrono::milliseconds(0));
        }
        if (TRY(fill(limit)) > 0) continue;
        if (buffered().empty()) return std::string();
        return fail(Code::InvalidArgument, "the connection ended in the middle of a head");
    }
    too_large_ = true;
    return fail(Code::InvalidArgument, "header larger than {} bytes", kMaxHead);
}

std::string Input::take_rest() {
    std::string rest(buffered());
    begin_ = end_ = 0;
    return rest;
}

bool FramedBody::at_end() const {
    switch (framing_.kind) {
        case Framing::Kind::None:
            return true;
        case Framing::Kind::Length:
            return framing_.length == 0;
        case Framing::Kind::Chunked:
            return chunks_.done();
        case Framing::Kind::UntilClose:
            return ended_;
    }
    return true;
}

Result<std::size_t> FramedBody::read(char* to, std::size_t size) {
    if (at_end() || size == 0) return std::size_t{0};
    if (before_read_) {
        TRY(before_read_());
        before_read_ = nullptr;
    }
    return framing_.kind == Framing::Kind::Chunked ? read_chunked(to, size) : read_plain(to, size);
}

Result<std::size_t> FramedBody::read_plain(char* to, std::size_t size) {
    const bool counted = framing_.kind == Framing::Kind::Length;
    if (counted) size = std::min<std::uint64_t>(size, framing_.length);
    std::size_t n = std::min(size, input_->buffered().size());
    if (n > 0) {
        std::memcpy(to, input_->buffered().data(), n);
        input_->consume(n);
    } else {
        n = TRY(input_->channel().read(to, size, stall_));
    }
    if (counted) {
        if (n == 0) return fail(Code::Cancelled, "the peer hung up in the middle of the body");
        framing_.length -= n;
    } else if (n == 0) {
        ended_ = true;
    }
    return n;
}

Result<std::size_t> FramedBody::read_chunked(char* to, std::size_t size) {
    for (;;) {
        const std::string_view input = input_->buffered();
        const ChunkDecoder::Step step = TRY(chunks_.step(input, size));
        if (step.data.empty()) {
            input_->consume(step.consumed);
            if (chunks_.done()) return std::size_t{0};
            if (step.consumed == 0 && TRY(input_->fill(stall_)) == 0) {
                return fail(Code::Cancelled, "the peer hung up in the middle of the body");
            }
            continue;
        }
        std::memcpy(to, step.data.data(), step.data.size());
        const std::size_t n = step.data.size();
        input_->consume(step.consumed);
        return n;
    }
}

}  // namespace coffer::http
