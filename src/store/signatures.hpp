#pragma once
// Signatures that came with an image or artifact, by the digest of the manifest or index that they
// are about; what they are worth is trust's business. They go with the last of that digest. Safe
// from any thread.

#include <string>
#include <string_view>
#include <vector>

#include "store/database.hpp"

namespace coffer::store {

struct KeptSignature {
    std::string payload;
    std::string signature;
    bool operator==(const KeptSignature&) const = default;
};

class Signatures {
  public:
    explicit Signatures(Database& database) : database_(&database) {}
    static Result<void> migrate(Database& database);

    // Before those that are there, which may be another repository's; of all no more than kMost.
    static constexpr std::size_t kMost = 128;
    Result<void> put(std::string_view digest, const std::vector<KeptSignature>& signatures);
    Result<std::vector<KeptSignature>> get(std::string_view digest) const;

  private:
    Database* database_;
};

}  // namespace coffer::store
