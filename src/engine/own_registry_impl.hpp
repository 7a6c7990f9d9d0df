#pragma once
// The inside of OwnRegistry, shared by the files that implement it.

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>

#include "engine/own_registry.hpp"
#include "store/store.hpp"

namespace coffer::engine {

// A blob that has begun to come. The file has no name before its end, so nothing is left of it by a
// crash.
struct Upload {
    explicit Upload(std::string repository_, store::ContentWriter writer_)
        : repository(std::move(repository_)), writer(std::move(writer_)) {}
    std::string repository;
    std::mutex writing;  // held by who writes
    store::ContentWriter writer;
    // Written by all who find it.
    std::atomic<std::chrono::steady_clock::time_point> touched = std::chrono::steady_clock::now();
};

// A blob that has come and waits for a manifest.
struct WaitingBlob {
    std::unique_ptr<store::Lease> lease;
    std::chrono::steady_clock::time_point touched;
};

struct OwnRegistry::Impl {
    store::Store& store;
    Images& images;
    OwnRegistryOptions options;
    // By id. Shared with the requests that work on them.
    Sync<std::map<std::string, std::shared_ptr<Upload>>> uploads;
    Sync<std::map<std::pair<std::string, std::string>, WaitingBlob>>
        waiting;                              // (repository, digest)
    std::mutex naming;                        // held while a tag and what it names are changed
    std::counting_semaphore<> unpackings{4};  // each is some processes; the others wait
    Sync<bool> ending;
    std::condition_variable end;
    std::thread tidier;

    Impl(store::Store& store_, Images& images_, OwnRegistryOptions options_);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    Impl(Impl&&) = delete;
    Impl& operator=(Impl&&) = delete;

    // "a/b" -> "host:5000/a/b"; "" -> what all begin with.
    std::string canonical(const std::string& repository) const;
    // The sha256 of a digest; nullopt for a sha512 that was never seen.
    std::optional<std::string> sha256_of(const std::string& digest) const;
    Result<bool> has_blob(const std::string& repository, const std::string& sha256);
    Result<void> keep_waiting(const std::string& repository, const std::string& sha256);
    void stop_waiting(const std::string& repository, const std::vector<store::KeptBlob>& blobs);
    Result<std::shared_ptr<Upload>> find_upload(const std::string& repository,
                                                const std::string& id);

    // The digest that a tag or digest stands for; takes in an image that was only tagged here.
    Result<std::string> resolve(const std::string& repository, const std::string& object);
    Result<std::optional<std::string>> take_in_tagged(const std::string& repository,
                                                      const std::string& tag);
    Result<Manifest> read_manifest(const std::string& repository, const std::string& digest) const;
    // What it refers to, held by the lease.
    Result<std::vector<store::KeptBlob>> blobs_of(const std::string& repository,
                                                  const oci::Manifest& manifest,
                                                  store::Lease& lease);
    Result<std::vector<store::KeptBlob>> manifests_of(const std::string& repository,
                                                      const oci::Index& index, store::Lease& lease);
    // Makes an image of it and gives its id; says why not.
    Result<std::string> make_image(const std::string& repository, const Manifest& manifest,
                                   store::Lease& lease);
    Result<void> name_image_locked(const std::string& repository, const std::string& tag,
                                   const std::string& digest, const std::string& id);
    Result<bool> drop_tag_locked(const std::string& repository, const std::string& tag);
    void tidy();
};

}  // namespace coffer::engine
