#pragma once
// A repository at all the hosts that may have it: each question goes to the first, and to the next
// one when that has no answer. Safe from any thread.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "registry/client.hpp"
#include "registry/registries.hpp"

namespace coffer::registry {

struct RepositoryOptions {
    Credentials credentials;  // that the client sent along for the registry
    TransportLimits limits;
    std::chrono::milliseconds first_pause{250};  // see ClientOptions
};

class Repository {
  public:
    // Fails when the registry is blocked, or its configuration cannot be read. `registries` and
    // `cancel` must outlive it.
    static Result<std::unique_ptr<Repository>> open(Registries& registries,
                                                    const oci::Reference& reference,
                                                    const RepositoryOptions& options,
                                                    const Cancel& cancel);
    ~Repository();
    Repository(const Repository&) = delete;
    Repository& operator=(const Repository&) = delete;
    Repository(Repository&&) = delete;
    Repository& operator=(Repository&&) = delete;

    // GET or HEAD of a tag's or digest's manifest. What a host gives for a digest has that digest,
    // or it is the last host's answer.
    Result<Reply> manifest(HttpMethod method, const std::string& object,
                           const std::vector<std::string>& accept, std::size_t limit);
    // GET <path>, of what depends on tags ("tags/list") or on nothing but digests
    // ("referrers/...").
    enum class About { Tags, Content };
    Result<Reply> get(About about, const std::string& path, const std::vector<std::string>& accept,
                      std::size_t limit);
    // See Client::download; what one host began, another may end. Of a blob that was wrong in the
    // end, reject() tells that its hosts be passed over for a while.
    Result<void> download(const std::string& digest, std::uint64_t size, std::uint64_t received,
                          const Client::Sink& sink);
    void reject();
    // The first of the addresses of a layer that no registry need have which gives it; see
    // Client::download_from.
    Result<void> download_from(const std::vector<std::string>& urls, const std::string& digest,
                               std::uint64_t size, std::uint64_t received,
                               const Client::Sink& sink);
    // Ends what runs, and all that comes, with Code::Cancelled.
    void abort();

    // The host to push to, and the repository's name there. NotFound when no host takes pushes.
    struct Target {
        Client& client;
        std::string repository;
    };
    Result<Target> push_target();

  private:
    struct Impl;
    explicit Repository(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::registry
