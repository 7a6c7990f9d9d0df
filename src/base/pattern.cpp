#include "base/pattern.hpp"

#include <regex.h>

#include <algorithm>

namespace coffer {

namespace {

constexpr std::size_t kLongest = 256;

// The compiled form of "x{255}{255}" is as large as it looks, and references back ("\\1") take
// exponential time; no name needs either.
bool is_modest(const std::string& text) {
    for (std::size_t i = 0; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && text[i + 1] >= '0' && text[i + 1] <= '9') return false;
    }
    return text.size() <= kLongest && std::count(text.begin(), text.end(), '{') <= 1;
}

}  // namespace

struct Pattern::Compiled {
    explicit Compiled(const std::string& text)
        : valid(is_modest(text) && ::regcomp(&regex, text.c_str(), REG_EXTENDED | REG_NOSUB) == 0) {
    }
    ~Compiled() {
        if (valid) ::regfree(&regex);
    }
    Compiled(const Compiled&) = delete;
    Compiled& operator=(const Compiled&) = delete;
    Compiled(Compiled&&) = delete;
    Compiled& operator=(Compiled&&) = delete;

    regex_t regex{};
    bool valid;
};

Pattern::Pattern(std::string text)
    : text_(std::move(text)), compiled_(std::make_shared<const Compiled>(text_)) {}

bool Pattern::is_valid() const {
    return compiled_->valid;
}

bool Pattern::found_in(const std::string& text) const {
    if (text == text_) return true;
    return compiled_->valid && ::regexec(&compiled_->regex, text.c_str(), 0, nullptr, 0) == 0;
}

}  // namespace coffer
