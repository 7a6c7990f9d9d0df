#pragma once
// Garbage: blobs and layers live while an image or a container refers to them, or a Lease holds
// them. Safe from any thread; a Lease belongs to one.

#include <cstdint>
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

// What lies on disk without a row, and rows without their files; all zero on a healthy store.
struct StoreCheck {
    std::uint64_t orphan_blobs = 0;
    std::uint64_t orphan_layers = 0;
    std::uint64_t orphan_containers = 0;
    std::uint64_t unfinished = 0;  // temporary folders and trash
    std::uint64_t missing_blobs = 0;
    std::uint64_t missing_layers = 0;
    bool clean() const {
        return orphan_blobs + orphan_layers + orphan_containers + unfinished + missing_blobs +
                   missing_layers ==
               0;
    }
};

class Gc {
  public:
    Gc(const Paths& paths, Database& database, Content& content, Layers& layers);
    ~Gc();
    Gc(const Gc&) = delete;
    Gc& operator=(const Gc&) = delete;
    Gc(Gc&&) = delete;
    Gc& operator=(Gc&&) = delete;

    std::unique_ptr<Lease> lease();

    // Removes those of the named that nothing uses, layers topmost first. Gives the chain ids of
    // the layers that went.
    Result<std::vector<std::string>> collect(const std::vector<std::string>& blobs,
                                             const std::vector<std::string>& layers);
    // The same for all there is: at start, when there are no leases.
    Result<void> sweep();

    Result<StoreCheck> check(const std::vector<std::string>& known_containers) const;

  private:
    friend class Lease;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::store
