#pragma once
// IPv4 addresses: parsing, default pools, subnets and the addresses in them. Ipam belongs to one
// thread at a time (Networks keeps it behind its lock); the rest are pure functions.

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace coffer::network {

// An IPv4 address as a number in host order.
struct Address {
    std::uint32_t value = 0;
    auto operator<=>(const Address&) const = default;
};
std::optional<Address> parse_address(std::string_view text);
std::string to_string(Address address);

// An IPv4 prefix; host bits are zero.
struct Prefix {
    Address address;
    unsigned length = 0;

    Address first() const { return address; }
    Address last() const;
    bool contains(Address other) const;
    bool overlaps(const Prefix& other) const;
    auto operator<=>(const Prefix&) const = default;
};
// The one of that length, at most 32, that holds the address.
Prefix prefix_of(Address address, unsigned length);
// "10.0.0.7/8": the prefix 10.0.0.0/8 and the address 10.0.0.7.
struct Interface {
    Address address;
    Prefix prefix;
};
Interface interface_of(Address address, unsigned length);
std::optional<Interface> parse_interface(std::string_view text);
// As parse_interface, and host bits must be zero.
std::optional<Prefix> parse_prefix(std::string_view text);
std::string to_string(const Prefix& prefix);

// --default-address-pool base=10.0.0.0/8,size=24
struct AddressPool {
    Prefix base;
    unsigned size = 0;
};
Result<AddressPool> parse_address_pool(std::string_view text);
// docker's: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in pieces of 20 bits.
std::vector<AddressPool> docker_address_pools();

// One IPAM configuration of a network, in the words of the API; empty strings are not given.
struct SubnetConfig {
    std::string subnet;
    std::string ip_range;
    std::string gateway;
    std::map<std::string, std::string> auxiliary;  // name -> address that is never handed out
};

// The addresses of one subnet: the lowest free one first, as docker does.
class Subnet {
  public:
    // Checks the configuration (docker's texts); the gateway, when not given, is the first address.
    static Result<Subnet> create(const SubnetConfig& config);

    const Prefix& prefix() const { return prefix_; }
    Address gateway() const { return gateway_; }
    // Conflict "Address already in use", InvalidArgument when it is outside.
    Result<Address> reserve(Address wanted);
    // Unavailable when none is free.
    Result<Address> allocate();
    void release(Address address);

  private:
    Prefix prefix_;
    Prefix range_;
    Address gateway_;
    std::set<Address> taken_;
    Address lowest_;  // nothing below it in the range is free
};

// The first piece of the pools that overlaps nothing in `used`; Unavailable with docker's text
// when there is none.
Result<Prefix> choose_subnet(const std::vector<AddressPool>& pools,
                             const std::vector<Prefix>& used);

// "02:42:ac:11:00:02" for 172.17.0.2: the same address gives the same MAC, so no ARP cache is ever
// wrong about it.
std::string mac_of(Address address);
bool is_mac(std::string_view text);

}  // namespace coffer::network
