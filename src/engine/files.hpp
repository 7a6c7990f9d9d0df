#pragma once
// Files: those of a container, for cp, diff and export, and images made of them. Safe from any
// thread. The engine looks up no name of a container itself: coffer-files does, with the rights of
// the container's root (src/files).

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/container.hpp"
#include "base/sync.hpp"
#include "engine/images.hpp"

namespace coffer::engine {

class Containers;
struct Core;

// A tar that is read as it is made. Gone before the Cancel it was made with.
class FileArchive {
  public:
    virtual ~FileArchive() = default;
    FileArchive() = default;
    FileArchive(const FileArchive&) = delete;
    FileArchive& operator=(const FileArchive&) = delete;
    FileArchive(FileArchive&&) = delete;
    FileArchive& operator=(FileArchive&&) = delete;

    virtual const api::PathStat& stat() const = 0;  // of read()
    virtual Result<std::size_t> read(char* to, std::size_t size) = 0;
};

struct WriteOptions {
    bool keep_kinds = false;  // noOverwriteDirNonDir
    bool own = false;         // copyUIDGID: the files become those of the container's user
};

struct CommitOptions {
    std::string container;
    std::string repository;  // empty: no name
    std::string tag;
    std::string comment;
    std::string author;
    std::vector<std::string> changes;            // Dockerfile instructions
    std::optional<api::ContainerConfig> config;  // instead of the container's
    bool pause = true;
};

class Files {
  public:
    // `program` is the path of coffer-files.
    Files(Core& core, Containers& containers, std::string program);
    ~Files();
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;
    Files(Files&&) = delete;
    Files& operator=(Files&&) = delete;

    // A running container is seen as its processes see it, another one with its volumes and binds
    // in place. It cannot start while somebody reads or writes.
    Result<api::PathStat> stat(const std::string& container, const std::string& path,
                               const Cancel& cancel);
    Result<std::unique_ptr<FileArchive>> read(const std::string& container, const std::string& path,
                                              const Cancel& cancel);
    Result<void> write(const std::string& container, const std::string& path,
                       const WriteOptions& options, const ReadBytes& tar, const Cancel& cancel);
    // Without what is mounted in it.
    Result<std::unique_ptr<FileArchive>> read_root(const std::string& container,
                                                   const Cancel& cancel);
    Result<std::vector<api::ChangeItem>> changes(const std::string& container,
                                                 const Cancel& cancel);
    // Gives the image's id.
    Result<std::string> commit(const CommitOptions& options, const Cancel& cancel);

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
