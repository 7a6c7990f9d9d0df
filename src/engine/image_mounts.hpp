#pragma once
// Images mounted on the host without a container: read-only, nosuid, nodev. The kernel's table of
// mounts alone says what is mounted, so that it outlives the engine, and nothing else. Who may ask
// for it is for the caller to decide. Safe from any thread.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace coffer::engine {

struct ImageMount {
    std::string image;  // id
    std::string path;
    std::uint64_t mount = 0;  // its number in the kernel's table
};

class ImageMounts {
  public:
    // `folder` is for those that are given no place of their own; `engine` is a name that no other
    // engine on this machine has.
    ImageMounts(std::string folder, std::string engine)
        : folder_(std::move(folder)), engine_(std::move(engine)) {}

    // At start: folders in which nothing is mounted any more.
    void tidy() const;
    Result<std::vector<ImageMount>> list() const;
    Result<std::vector<ImageMount>> of(std::string_view image) const;

    // A place to mount at: an absolute path of a folder. May hang with the file system it is on, as
    // open() may.
    static Result<sys::Fd> open_place(const std::string& path);
    // `layers` are folders, top first. Without a place it is mounted in a folder of ours, once: a
    // second time gives the same. Conflict when an image is mounted at the place.
    Result<ImageMount> mount(const std::string& image, const std::vector<std::string>& layers,
                             sys::Fd place) const;
    // What is to be unmounted.
    static Result<sys::Fd> open(const ImageMount& mount);
    // Who is in it goes on with what is open.
    Result<void> unmount(const ImageMount& mount, const sys::Fd& place) const;

  private:
    std::string source_of(std::string_view image) const;
    Result<sys::Fd> open_own(const std::string& image) const;

    std::string folder_;
    std::string engine_;
};

}  // namespace coffer::engine
