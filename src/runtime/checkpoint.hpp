#pragma once
// Containers to images on disk and back, by CRIU. The images are as much to be trusted as a
// program that runs as the caller: they hold kernel state that CRIU restores with all its rights.
// One thread.

#include "runtime/criu.hpp"
#include "runtime/lifecycle.hpp"

namespace coffer::runtime {

struct CheckpointOptions {
    std::string image_folder;
    std::string work_folder;  // for the log; empty: the image folder
    bool pre_dump = false;    // memory only, and the container goes on
    // What CRIU is told besides; checkpoint() and restore() fill in the rest.
    criu::Options criu_options;
};

// The container runs on where that is asked for, else it is gone.
Result<void> checkpoint(const Containers& containers, const std::string& id,
                        const CheckpointOptions& options);
// A new container of the bundle, whose processes are those of the images. It is to be waited for
// and removed, or left alone.
Result<Created> restore(const Containers& containers, const ContainerRequest& request,
                        const CheckpointOptions& options);

}  // namespace coffer::runtime
