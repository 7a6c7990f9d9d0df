#include "network/address.hpp"

#include <arpa/inet.h>

#include <array>

#include "base/text.hpp"

namespace coffer::network {
namespace {

AddressNumber all_ones(Family family) {
    return family == Family::V4 ? 0xffffffffU : ~AddressNumber{0};
}

// The bits of the host's part.
AddressNumber host_mask(Family family, unsigned length) {
    const unsigned bits = bits_of(family) - length;
    return bits == 128 ? ~AddressNumber{0} : (AddressNumber{1} << bits) - 1;
}

std::string to_string_v6(AddressNumber value) {
    std::array<unsigned, 8> groups{};
    for (std::size_t i = 0; i < groups.size(); ++i)
        groups[i] = static_cast<unsigned>(value >> (112 - 16 * i) & 0xffffU);
    // The first of the longest runs of two or more zeros is left out.
    std::size_t start = groups.size();
    std::size_t length = 1;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        std::size_t end = i;
        while (end < groups.size() && groups[end] == 0) ++end;
        if (end - i > length) {
            start = i;
            length = end - i;
        }
    }
    std::string text;
    for (std::size_t i = 0; i < groups.size(); ++i) {
        if (i == start) {
            text += "::";
            i += length - 1;
            continue;
        }
        if (!text.empty() && text.back() != ':') text += ':';
        text += format("{:x}", groups[i]);
    }
    return text;
}

}  // namespace

std::string Address::bytes() const {
    std::string out;
    for (unsigned bits = bits_of(family); bits > 0; bits -= 8)
        out += static_cast<char>(value >> (bits - 8) & 0xffU);
    return out;
}

Address advance(Address address, AddressNumber count) {
    address.value = (address.value + count) & all_ones(address.family);
    return address;
}

std::optional<Address> address_from_bytes(std::string_view bytes) {
    if (bytes.size() != 4 && bytes.size() != 16) return std::nullopt;
    Address address{bytes.size() == 4 ? Family::V4 : Family::V6, 0};
    for (const char byte : bytes)
        address.value = address.value << 8U | static_cast<unsigned char>(byte);
    return address;
}

std::optional<Address> parse_address(std::string_view text) {
    // The C library takes a text up to its first zero byte.
    if (text.find('\0') != std::string_view::npos) return std::nullopt;
    const bool is_v6 = text.find(':') != std::string_view::npos;
    std::array<char, 16> bytes{};
    if (::inet_pton(is_v6 ? AF_INET6 : AF_INET, std::string(text).c_str(), bytes.data()) != 1)
        return std::nullopt;
    return address_from_bytes({bytes.data(), is_v6 ? 16U : 4U});
}

std::optional<Address> parse_ipv4(std::string_view text) {
    const auto address = parse_address(text);
    return address && address->is_v4() ? address : std::nullopt;
}

std::optional<Address> parse_ipv6(std::string_view text) {
    const auto address = parse_address(text);
    return address && address->is_v6() ? address : std::nullopt;
}

std::string to_string(Address address) {
    const std::uint32_t v = address.v4();
    std::string dotted = format("{}.{}.{}.{}", v >> 24, v >> 16 & 255, v >> 8 & 255, v & 255);
    if (address.is_v4()) return dotted;
    const bool is_mapped = address.value >> 32 == 0xffffU;
    return is_mapped ? "::ffff:" + dotted : to_string_v6(address.value);
}

Address Prefix::last() const {
    return {address.family, address.value | host_mask(address.family, length)};
}

bool Prefix::contains(Address other) const {
    return other.family == address.family &&
           (other.value & ~host_mask(address.family, length)) == address.value;
}

bool Prefix::contains(const Prefix& other) const {
    return other.length >= length && contains(other.address);
}

bool Prefix::overlaps(const Prefix& other) const {
    return contains(other.address) || other.contains(address);
}

Prefix prefix_of(Address address, unsigned length) {
    address.value &= ~host_mask(address.family, length);
    return {address, length};
}

Interface interface_of(Address address, unsigned length) {
    return {address, prefix_of(address, length)};
}

std::optional<Interface> parse_interface(std::string_view text) {
    const auto sides = cut(text, "/");
    if (!sides) return std::nullopt;
    const auto address = parse_address(sides->first);
    const auto length = parse_uint(sides->second);
    if (!address || !length || *length > bits_of(address->family)) return std::nullopt;
    return interface_of(*address, static_cast<unsigned>(*length));
}

std::optional<Prefix> parse_prefix(std::string_view text) {
    const auto both = parse_interface(text);
    if (!both || both->address != both->prefix.address) return std::nullopt;
    return both->prefix;
}

std::string to_string(const Prefix& prefix) {
    return format("{}/{}", to_string(prefix.address), prefix.length);
}

std::string to_string(const Interface& interface) {
    return format("{}/{}", to_string(interface.address), interface.prefix.length);
}

}  // namespace coffer::network
