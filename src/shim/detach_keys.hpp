#pragma once
// The keys that leave an attached terminal: docker's text for them, and the search for them in what
// is typed. One thread.

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace coffer::shim {

inline constexpr std::string_view kDefaultDetachKeys = "ctrl-p,ctrl-q";

class DetachKeys {
  public:
    // "ctrl-p,ctrl-q", "a", "ctrl-@"; empty: the default.
    static Result<DetachKeys> parse(std::string_view text);

    // Appends to `pass_on` what belongs to the program: keys of a sequence that was begun wait for
    // the next ones. True once the sequence is complete; the rest of `typed` is dropped then.
    bool feed(std::string_view typed, std::string& pass_on);

  private:
    explicit DetachKeys(std::string keys) : keys_(std::move(keys)) {}
    std::string keys_;
    std::size_t matched_ = 0;
};

}  // namespace coffer::shim
