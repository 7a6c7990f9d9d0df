#pragma once
// Pattern: a regular expression as users write it in filters: POSIX extended syntax, found anywhere
// in the text, without references back. Immutable; safe from any thread.

#include <memory>
#include <string>

namespace coffer {

class Pattern {
  public:
    // What is no regular expression is found only where it is the whole text.
    explicit Pattern(std::string text);
    bool is_valid() const;
    bool found_in(const std::string& text) const;

  private:
    struct Compiled;
    std::string text_;
    std::shared_ptr<const Compiled> compiled_;  // shared by copies, which never change it
};

}  // namespace coffer
