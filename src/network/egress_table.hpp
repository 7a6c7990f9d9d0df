#pragma once
// EgressTable: the egress policies in force, in an nftables table of their own, which is there only
// while a policy is. Safe from any thread.
//
// The first packet of a connection that a container begins meets the chain of its network, then its
// own; what one of them refuses is rejected, so that the program learns it at once. Connections to
// the host itself count too. What was allowed once goes on. The addresses that stand for a name are
// elements that the kernel forgets in time.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "network/egress.hpp"

namespace coffer::network {

// Whom a policy is for: all that comes out of a bridge, or what comes from one interface there,
// whatever addresses it has.
struct EgressSubject {
    std::string key;  // an id of hex digits: of the network or the endpoint
    std::string bridge;
    std::string mac = {};  // of the interface; nothing else may send under it. Empty: all
};

struct EgressCount {
    std::string rule;  // as written; "allow" or "deny" for the default
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
};
struct EgressReport {
    std::string policy;
    std::vector<EgressCount> counts;             // of first packets, in the order of the rules
    std::map<std::string, std::uint64_t> names;  // refused (in audit: what would be), how often
};

class EgressTable {
  public:
    explicit EgressTable(std::string table);
    ~EgressTable();
    EgressTable(const EgressTable&) = delete;
    EgressTable& operator=(const EgressTable&) = delete;
    EgressTable(EgressTable&&) = delete;
    EgressTable& operator=(EgressTable&&) = delete;

    // Puts what has been added so far in force, in place of what an engine before left there.
    Result<void> start();
    // Before anything can be sent. Another policy of the same key is replaced; "" removes it.
    Result<void> set(const EgressSubject& subject, const std::string& policy);
    void remove(const std::string& key);
    // Makes the table again when somebody has changed it.
    Result<void> check();

    // Whether there is any policy at all.
    bool is_empty() const;
    // Whether all policies of these keys let the name be asked; counts what they do not.
    bool may_ask(const std::vector<std::string>& keys, std::string_view name);
    // What a name server has answered: from now on the rules for that name mean these addresses.
    void learn(const std::vector<std::string>& keys, std::string_view name,
               const std::vector<Address>& addresses, std::uint32_t ttl);

    // nullopt for a key without a policy.
    Result<std::optional<EgressReport>> report(const std::string& key);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::network
