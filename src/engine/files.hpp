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
#include "api/volume.hpp"
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

// One change of files after the other, as they are found; nullopt at their end. Gone before the
// Cancel it was made with.
using NextChange = std::function<Result<std::optional<api::ChangeItem>>()>;

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
    Result<NextChange> changes(const std::string& container, const Cancel& cancel);
    // What an image has otherwise than another one; an empty `base`: than the layers below its
    // topmost.
    Result<NextChange> image_changes(const std::string& image, const std::string& base,
                                     const Cancel& cancel);
    // Gives the image's id.
    Result<std::string> commit(const CommitOptions& options, const Cancel& cancel);

    // Of volumes, whether somebody uses them or not.
    Result<std::unique_ptr<FileArchive>> read_volume(const std::string& name, const Cancel& cancel);
    // Into an empty one, made where there is none; Conflict while a container runs with it.
    Result<void> write_volume(const std::string& name, const ReadBytes& tar, const Cancel& cancel);
    // A new volume with the same files, size and labels, and more labels. Blocks are shared where
    // the file system can.
    Result<api::VolumeCopy> copy_volume(const std::string& name, const std::string& copy,
                                        const std::map<std::string, std::string>& labels,
                                        const Cancel& cancel);
    // Conflict, with the names of the containers that have it.
    // Into a volume NAME.LABEL like any other, marked with what it is a copy of; without a label
    // with the time.
    Result<api::VolumeCopy> snapshot_volume(const std::string& name, const std::string& label,
                                            const Cancel& cancel);
    Result<void> rename_volume(const std::string& name, const std::string& new_name);
    Result<std::vector<api::VolumeUse>> volume_usage() const;

    struct Impl;

  private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::engine
