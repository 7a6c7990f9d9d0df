#pragma once
// Cuts output into lines as docker does: a newline ends a message, and so do 16 KiB without one.
// One thread.

#include <array>
#include <functional>

#include "logs/message.hpp"

namespace coffer::logs {

class Cutter {
  public:
    using Deliver = std::function<void(const Message&)>;

    // Output as it comes. What has no newline yet waits, at most 16 KiB.
    void feed(Stream stream, std::string_view bytes, const Deliver& deliver);
    // What waits for its newline.
    std::string_view waiting(Stream stream) const {
        return open_[static_cast<std::size_t>(stream)].text;
    }
    // The end of a stream: what waits for its newline goes without one.
    void end(Stream stream, const Deliver& deliver);

  private:
    struct Open {  // a line whose end has not come
        std::string text;
        std::optional<Part> part;  // the next one's, once a part has gone
        Time time;                 // of the first part
    };
    void deliver_line(Stream stream, Open& open, std::string_view text, const Deliver& deliver);
    void deliver_part(Stream stream, Open& open, std::string_view text, const Deliver& deliver);

    std::array<Open, 2> open_;
};

}  // namespace coffer::logs
