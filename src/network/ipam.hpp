#pragma once
// Addresses of networks: default pools, subnets and the addresses in them. A Subnet belongs to one
// thread at a time (Networks keeps it behind its lock); the rest are pure functions.

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "network/address.hpp"

namespace coffer::network {

// --default-address-pool base=10.0.0.0/8,size=24
struct AddressPool {
    Prefix base;
    unsigned size = 0;
};
Result<AddressPool> parse_address_pool(std::string_view text);
// 172.17.0.0/16 to 172.19.0.0/16 whole, as docker begins; then, where docker goes on with whole
// ones and ends after 31 networks, pieces of 24 bits: 172.20.0.0 to 172.31.0.0 and 192.168.0.0/16.
std::vector<AddressPool> standard_address_pools();
// An engine's own unique local addresses (RFC 4193): a /48 made from a text that no other engine
// has, in pieces of 64 bits.
AddressPool local_ipv6_pool(std::string_view unique);

// One IPAM configuration of a network, in the words of the API; empty strings are not given.
struct SubnetConfig {
    std::string subnet;
    std::string ip_range;
    std::string gateway;
    std::map<std::string, std::string> auxiliary;  // name -> address that is never handed out
};

// Checks one configuration with docker's texts; what is not given passes.
Result<void> check(const SubnetConfig& config);

// The addresses of one subnet: the lowest free one first, as docker does.
class Subnet {
  public:
    // Of a configuration with a subnet; the gateway, when not given, is the first address.
    static Result<Subnet> create(const SubnetConfig& config);

    const Prefix& prefix() const { return prefix_; }
    Address gateway() const { return gateway_; }
    // Conflict "Address already in use", InvalidArgument when it is outside.
    Result<Address> reserve(Address wanted);
    // Unavailable when none is free.
    Result<Address> allocate();
    void release(Address address);
    // How many addresses nobody can have any more, and how many allocate() may still give; both
    // end at 2^64 - 1.
    std::uint64_t in_use() const;
    std::uint64_t available() const;

  private:
    Prefix prefix_;
    Prefix range_;
    Address gateway_;
    std::set<Address> taken_;
    Address lowest_;  // nothing below it in the range is free
};

// The first piece of the pools of one family that overlaps nothing in `used`; of `length` bits, or
// with 0 of the size that the pool says. Unavailable with docker's text when there is none.
Result<Prefix> choose_subnet(const std::vector<AddressPool>& pools, std::vector<Prefix> used,
                             Family family, unsigned length = 0);

// "02:42:ac:11:00:02" for 172.17.0.2: the same address gives the same MAC, so no ARP cache is ever
// wrong about it.
std::string mac_of(Address address);
bool is_mac(std::string_view text);

}  // namespace coffer::network
