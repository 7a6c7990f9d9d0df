#pragma once
// IPv4 and IPv6 addresses and prefixes. Values and pure functions, safe from any thread.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace coffer::network {

__extension__ using AddressNumber = unsigned __int128;

enum class Family : std::uint8_t { V4, V6 };

// An address as a number in host order; those of IPv4 come before those of IPv6. An IPv4 address
// that is written as an IPv6 one (::ffff:1.2.3.4) is an IPv6 address.
struct Address {
    Family family = Family::V4;
    AddressNumber value = 0;

    constexpr bool is_v4() const { return family == Family::V4; }
    constexpr bool is_v6() const { return family == Family::V6; }
    // 0.0.0.0 or ::
    bool is_unspecified() const { return value == 0; }
    // Of an IPv4 address, in host order.
    std::uint32_t v4() const { return static_cast<std::uint32_t>(value); }
    // 4 or 16 bytes in network order.
    std::string bytes() const;
    auto operator<=>(const Address&) const = default;
};
constexpr unsigned bits_of(Family family) {
    return family == Family::V4 ? 32 : 128;
}
constexpr Address ipv4(std::uint32_t host_order) {
    return {Family::V4, host_order};
}
// The address `count` further; wraps at the end of the family.
Address advance(Address address, AddressNumber count);

// Without a zone.
std::optional<Address> parse_address(std::string_view text);
std::optional<Address> parse_ipv4(std::string_view text);
std::optional<Address> parse_ipv6(std::string_view text);
// nullopt unless there are 4 or 16 bytes.
std::optional<Address> address_from_bytes(std::string_view bytes);
// IPv6 as in RFC 5952.
std::string to_string(Address address);

// A prefix; host bits are zero.
struct Prefix {
    Address address;
    unsigned length = 0;

    Family family() const { return address.family; }
    Address first() const { return address; }
    Address last() const;
    bool contains(Address other) const;
    bool contains(const Prefix& other) const;
    bool overlaps(const Prefix& other) const;
    auto operator<=>(const Prefix&) const = default;
};
// The one of that length, at most that of the family, that holds the address.
Prefix prefix_of(Address address, unsigned length);
// "10.0.0.7/8": the prefix 10.0.0.0/8 and the address 10.0.0.7.
struct Interface {
    Address address;
    Prefix prefix;
    auto operator<=>(const Interface&) const = default;
};
Interface interface_of(Address address, unsigned length);
std::optional<Interface> parse_interface(std::string_view text);
// As parse_interface, and host bits must be zero.
std::optional<Prefix> parse_prefix(std::string_view text);
std::string to_string(const Prefix& prefix);
std::string to_string(const Interface& interface);

}  // namespace coffer::network
