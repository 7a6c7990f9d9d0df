#pragma once
// Fetching what a plan names into the store: blobs three at a time, each unpacked while it is being
// received, layers in order. Safe from any thread; two transfers that want one blob share it.

#include <condition_variable>
#include <functional>
#include <set>
#include <string>

#include "base/sync.hpp"
#include "registry/resolve.hpp"
#include "store/store.hpp"

namespace coffer::registry {

enum class LayerStep {
    AlreadyExists,
    PullingFsLayer,
    Waiting,
    Downloading,
    VerifyingChecksum,
    DownloadComplete,
    Extracting,
    PullComplete,
};
struct LayerUpdate {
    std::string digest;
    LayerStep step = LayerStep::PullingFsLayer;
    std::uint64_t current = 0;  // of Downloading and Extracting
    std::uint64_t total = 0;
};
// Called from several threads.
using OnLayer = std::function<void(const LayerUpdate&)>;

// Blobs that are being fetched, by digest. Shared by all transfers into one store.
class InFlight {
  public:
    // Waits until nobody else fetches the blob, then marks it. Fails when cancelled.
    Result<void> claim(const std::string& digest, const Cancel& cancel,
                       const std::function<void()>& before_waiting);
    void release(const std::string& digest);

  private:
    Sync<std::set<std::string>> busy_;
    std::condition_variable changed_;
};

struct TransferTarget {
    store::Store& store;
    InFlight& in_flight;
};
// A blob that is not unpacked; it goes on where an earlier try broke off. The lease holds it then.
Result<void> fetch_blob(Repository& repository, const TransferTarget& target, store::Lease& lease,
                        const oci::Descriptor& descriptor, const OnLayer& on_layer,
                        const Cancel& cancel);

// Gives the id of the image, which is in the store then, without a name. On failure nothing stays
// that was not there before.
Result<std::string> fetch_image(Repository& repository, const TransferTarget& target,
                                const Plan& plan, const OnLayer& on_layer, const Cancel& cancel);

}  // namespace coffer::registry
