#include "shim/detach_keys.hpp"

namespace coffer::shim {

namespace {

// One of docker's names for a key; nullopt when it is none.
std::optional<char> key_of(std::string_view name) {
    constexpr std::string_view kControl = "ctrl-";
    if (name.size() == 1) return name[0];
    if (name.size() != kControl.size() + 1 || !name.starts_with(kControl)) return std::nullopt;
    const char key = name.back();
    if (key >= 'a' && key <= 'z') return static_cast<char>(key - 'a' + 1);
    constexpr std::string_view kSpecial = "@abcdefghijklmnopqrstuvwxyz[\\]^_";
    const std::size_t place = kSpecial.find(key);
    if (place == std::string_view::npos) return std::nullopt;
    return static_cast<char>(place);
}

}  // namespace

Result<DetachKeys> DetachKeys::parse(std::string_view text) {
    std::string keys;
    for (const std::string& name : split(text.empty() ? kDefaultDetachKeys : text, ',')) {
        const auto key = key_of(name);
        if (!key) return fail(Code::InvalidArgument, "Unknown character: '{}'", name);
        keys.push_back(*key);
    }
    return DetachKeys(std::move(keys));
}

bool DetachKeys::feed(std::string_view typed, std::string& pass_on) {
    for (const char key : typed) {
        if (key == keys_[matched_]) {
            if (++matched_ == keys_.size()) return true;
            continue;
        }
        pass_on.append(keys_, 0, matched_);
        matched_ = 0;
        // What broke the sequence may begin it anew.
        if (key == keys_[0] && keys_.size() > 1) {
            matched_ = 1;
        } else {
            pass_on.push_back(key);
        }
    }
    return false;
}

}  // namespace coffer::shim
