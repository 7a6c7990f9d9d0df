#pragma once
// What the parts of Files share (private to src/engine).

#include <memory>
#include <set>

#include "base/rollback.hpp"
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
        std::unique_ptr<Rollback> mounted;      // its volumes, meanwhile
    };
    // Its files with all that is mounted there.
    Result<Prepared> prepare(const std::string& name) const;
    // Its own layers alone.
    Result<files::Request> layers_of(const Record& record) const;
    // What people call these containers.
    std::vector<std::string> names_of(const std::set<std::string>& ids) const;
    Result<files::Client> start(const files::Request& request, int pidfd,
                                const Cancel& cancel) const {
        return files::Client::start(program, request, pidfd, cancel);
    }
};

// What coffer-files writes, with what must stay as it is until the end.
class Archive : public FileArchive {
  public:
    Archive(Files::Impl::Prepared prepared, files::Client client, api::PathStat stat)
        : prepared_(std::move(prepared)), client_(std::move(client)), stat_(std::move(stat)) {}
    const api::PathStat& stat() const override { return stat_; }
    Result<std::size_t> read(char* to, std::size_t size) override { return client_.read(to, size); }

  private:
    Files::Impl::Prepared prepared_;
    files::Client client_;  // ends before the container may change
    api::PathStat stat_;
};

}  // namespace coffer::engine
