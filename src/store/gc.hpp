#pragma once
// Garbage: blobs and layers live while an image or a container refers to them, or a Lease holds
// them. Safe from any thread; a Lease belongs to one.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "store/content.hpp"
#include "store/database.hpp"
#include "store/layers.hpp"

namespace coffer::store {

class Gc;

// Held while an image is put together: blobs and layers it names are not collected. At its end,
// those that no image came to use are removed. Name first, then ask whether it is there.
class Lease {
  public:
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Lease(Lease&&) = delete;
    Lease& operator=(Lease&&) = delete;

    void blob(std::string_view digest);
    void layer(std::string_view chain_id);

  private:
    friend class Gc;
    explicit Lease(Gc& gc) : gc_(&gc) {}
    Gc* gc_;
    std::set<std::string, std::less<>> blobs_;
    std::set<std::string, std::less<>> layers_;
};

// Something on disk that belongs to nothing, or that is missing or damaged.
struct Finding {
    std::string kind;     // blob, layer, container, partial: of a pull that broke off, or
                          // temporary: what a crash left half made
    std::string object;   // digest, chain id, container's id, or path
    std::string problem;  // what is wrong, and what helps if nothing was repaired
    bool repaired = false;
};

struct CheckOptions {
    bool deep = false;    // read every blob and compare its digest
    bool repair = false;  // remove what belongs to nothing, and blobs that are damaged
    // What has been in its place for a shorter time may be in the making.
    std::chrono::seconds settled = std::chrono::hours(1);
};

// Whether a path has been where it is for that long; false when it has gone.
bool is_settled(const std::string& path, std::chrono::seconds since);

class Gc {
  public:
    Gc(const Paths& paths, Database& database, Content& content, Layers& layers);
    ~Gc();
    Gc(const Gc&) = delete;
    Gc& operator=(const Gc&) = delete;
    Gc(Gc&&) = delete;
    Gc& operator=(Gc&&) = delete;

    std::unique_ptr<Lease> lease();

    // Calls `then` unless a lease holds the blob: Conflict. Leases wait meanwhile.
    Result<void> if_unheld(std::string_view digest, const std::function<Result<void>()>& then);

    // Removes those of the named that nothing uses, layers topmost first. Gives the chain ids of
    // the layers that went.
    Result<std::vector<std::string>> collect(const std::vector<std::string>& blobs,
                                             const std::vector<std::string>& layers);
    // The same for all there is: at start, when there are no leases.
    Result<void> sweep();

    // Nothing on a healthy store, whatever else goes on meanwhile.
    Result<std::vector<Finding>> check(const CheckOptions& options);

  private:
    friend class Lease;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::store
