#pragma once
// What the parts of Files share (private to src/engine).

#include "engine/containers_impl.hpp"
#include "engine/files.hpp"
#include "files/client.hpp"

namespace coffer::engine {

struct Files::Impl {
    Core& core;
    Containers::Impl& containers;
    std::string program;

    // A request that is about a container, with what keeps the container as it is meanwhile.
    struct Prepared {
        files::Request request;
        std::shared_ptr<const Record> record;
        sys::Fd pidfd;                          // of a running one
        std::optional<Container::Claim> claim;  // of one that does not run, where it matters
    };
    // Its files with all that is mounted there.
    Result<Prepared> prepare(const std::string& name) const;
    // Its own layers alone.
    Result<files::Request> layers_of(const Record& record) const;
    Result<files::Client> start(const files::Request& request, int pidfd,
                                const Cancel& cancel) const {
        return files::Client::start(program, request, pidfd, cancel);
    }
};

}  // namespace coffer::engine
