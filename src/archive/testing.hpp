#pragma once
// For tests: tar archives built entry by entry.

#include <unistd.h>

#include <string>
#include <string_view>

#include "archive/tar.hpp"

namespace coffer::archive::testing {

class TarBuilder {
  public:
    TarBuilder()
        : writer_([this](std::string_view bytes) -> Result<void> {
              bytes_.append(bytes);
              return {};
          }) {}

    TarBuilder& file(const std::string& name, std::string_view content, std::uint32_t mode = 0644) {
        MUST(writer_.add_file(entry(EntryType::Regular, name, mode), content));
        return *this;
    }
    TarBuilder& folder(const std::string& name, std::uint32_t mode = 0755) {
        MUST(writer_.add(entry(EntryType::Directory, name, mode)));
        return *this;
    }
    TarBuilder& link(EntryType type, const std::string& name, const std::string& target) {
        TarEntry made = entry(type, name, 0777);
        made.link_target = target;
        MUST(writer_.add(made));
        return *this;
    }
    TarBuilder& symlink(const std::string& name, const std::string& target) {
        return link(EntryType::Symlink, name, target);
    }
    TarBuilder& hardlink(const std::string& name, const std::string& target) {
        return link(EntryType::HardLink, name, target);
    }
    TarBuilder& add(const TarEntry& made, std::string_view content = {}) {
        MUST(writer_.add_file(made, content));
        return *this;
    }
    TarBuilder& raw(std::string_view bytes) {
        bytes_.append(bytes);
        return *this;
    }
    std::string finish() {
        MUST(writer_.finish());
        return std::move(bytes_);
    }

    // Owned by who runs the test, so that no privilege is needed.
    static TarEntry entry(EntryType type, const std::string& name, std::uint32_t mode) {
        TarEntry made;
        made.type = type;
        made.name = name;
        made.mode = mode;
        made.uid = ::getuid();
        made.gid = ::getgid();
        made.mtime = Time(std::chrono::seconds(1'600'000'000));
        return made;
    }

  private:
    std::string bytes_;
    TarWriter writer_;
};

}  // namespace coffer::archive::testing
