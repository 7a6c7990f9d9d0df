#pragma once
// The reading side of a connection, shared by server and client: a buffer before the channel, heads
// and bodies taken from it. Belongs to one thread.

#include "http/channel.hpp"
#include "http/wire.hpp"

namespace coffer::http {

class Input {
  public:
    explicit Input(Channel& channel);

    std::string_view buffered() const { return {buffer_.get() + begin_, end_ - begin_}; }
    void consume(std::size_t n);
    // Reads more into the buffer, which must not be full; 0 is the peer's end.
    Result<std::size_t> fill(Channel::Limit limit);
    // A whole head, or "" when the peer ended before its first byte. `idle` is the limit for the
    // first byte, `whole` for the rest. A head over kMaxHead fails and sets too_large().
    Result<std::string> read_head(Channel::Limit idle, Channel::Limit whole);
    bool too_large() const { return too_large_; }
    // What was read beyond the messages taken.
    std::string take_rest();
    Channel& channel() { return *channel_; }

  private:
    Channel* channel_;
    std::unique_ptr<char[]> buffer_;  // kMaxHead bytes, not cleared: pages cost when touched
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    bool too_large_ = false;
};

// A body in the framing that the head told.
class FramedBody final : public BodyReader {
  public:
    // `before_read` (may be empty) runs once, before the first byte is waited for.
    FramedBody(Input& input, Framing framing, std::function<Result<void>()> before_read,
               Channel::Limit stall = {})
        : input_(&input), framing_(framing), before_read_(std::move(before_read)), stall_(stall) {}

    Result<std::size_t> read(char* to, std::size_t size) override;
    bool at_end() const override;
    bool was_asked_for() const { return !before_read_; }

  private:
    Result<std::size_t> read_plain(char* to, std::size_t size);
    Result<std::size_t> read_chunked(char* to, std::size_t size);

    Input* input_;
    Framing framing_;
    ChunkDecoder chunks_;
    std::function<Result<void>()> before_read_;
    Channel::Limit stall_;  // for one read
    bool ended_ = false;    // UntilClose: the peer's end was seen
};

}  // namespace coffer::http
