#include "network/ipam.hpp"

#include <algorithm>

namespace coffer::network {
namespace {

std::uint32_t mask_of(unsigned length) {
    return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
}

Result<Address> parse_member(std::string_view text, const Prefix& prefix, std::string_view what) {
    const auto address = parse_address(text);
    if (!address) return fail(Code::InvalidArgument, "invalid {}: \"{}\"", what, text);
    if (!prefix.contains(*address))
        return fail(Code::InvalidArgument, "no matching subnet for {} {}", what, text);
    return *address;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
    const auto parts = split(text, '.');
    if (parts.size() != 4) return std::nullopt;
    Address address;
    for (const std::string& part : parts) {
        const auto number = parse_uint(part);
        // "010" is octal for some and decimal for others: refused, as Go does.
        if (!number || *number > 255 || (part.size() > 1 && part[0] == '0')) return std::nullopt;
        address.value = address.value << 8 | static_cast<std::uint32_t>(*number);
    }
    return address;
}

std::string to_string(Address address) {
    const std::uint32_t v = address.value;
    return format("{}.{}.{}.{}", v >> 24, v >> 16 & 255, v >> 8 & 255, v & 255);
}

Address Prefix::last() const {
    return {address.value | ~mask_of(length)};
}

bool Prefix::contains(Address other) const {
    return (other.value & mask_of(length)) == address.value;
}

bool Prefix::overlaps(const Prefix& other) const {
    return contains(other.address) || other.contains(address);
}

Prefix prefix_of(Address address, unsigned length) {
    return {Address{address.value & mask_of(length)}, length};
}

Interface interface_of(Address address, unsigned length) {
    return {address, prefix_of(address, length)};
}

std::optional<Interface> parse_interface(std::string_view text) {
    const auto sides = cut(text, "/");
    if (!sides) return std::nullopt;
    const auto address = parse_address(sides->first);
    const auto length = parse_uint(sides->second);
    if (!address || !length || *length > 32) return std::nullopt;
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

Result<AddressPool> parse_address_pool(std::string_view text) {
    AddressPool pool;
    bool has_base = false;
    for (const std::string& part : split(text, ',')) {
        const auto sides = cut(part, "=");
        const std::string_view key = sides ? sides->first : part;
        const std::string_view value = sides ? sides->second : "";
        if (key == "base") {
            const auto base = parse_interface(value);
            if (!base)
                return fail(Code::InvalidArgument, "invalid base of address pool: \"{}\"", value);
            pool.base = base->prefix;
            has_base = true;
        } else if (key == "size") {
            const auto size = parse_uint(value);
            if (!size || *size > 32)
                return fail(Code::InvalidArgument, "invalid size of address pool: \"{}\"", value);
            pool.size = static_cast<unsigned>(*size);
        } else {
            return fail(Code::InvalidArgument, "unexpected key '{}' in '{}'", key, part);
        }
    }
    if (!has_base || pool.size < pool.base.length || pool.size > 30)
        return fail(Code::InvalidArgument,
                    "invalid address pool \"{}\": want base=CIDR,size=N with N from the length of "
                    "the base to 30",
                    text);
    return pool;
}

std::vector<AddressPool> docker_address_pools() {
    std::vector<AddressPool> pools;
    for (const char* base : {"172.17.0.0/16", "172.18.0.0/16", "172.19.0.0/16", "172.20.0.0/14",
                             "172.24.0.0/14", "172.28.0.0/14"})
        pools.push_back({*parse_prefix(base), 16});
    pools.push_back({*parse_prefix("192.168.0.0/16"), 20});
    return pools;
}

Result<Prefix> choose_subnet(const std::vector<AddressPool>& pools,
                             const std::vector<Prefix>& used) {
    for (const AddressPool& pool : pools) {
        const std::uint64_t step = std::uint64_t{1} << (32 - pool.size);
        for (std::uint64_t at = pool.base.address.value; at <= pool.base.last().value; at += step) {
            const Prefix piece{Address{static_cast<std::uint32_t>(at)}, pool.size};
            if (std::none_of(used.begin(), used.end(),
                             [&](const Prefix& other) { return other.overlaps(piece); }))
                return piece;
        }
    }
    return fail(Code::Unavailable, "all predefined address pools have been fully subnetted");
}

Result<Subnet> Subnet::create(const SubnetConfig& config) {
    const auto prefix = parse_prefix(config.subnet);
    if (!prefix) {
        const auto loose = parse_interface(config.subnet);
        if (loose)
            return fail(Code::InvalidArgument, "invalid subnet {}: it should be {}", config.subnet,
                        to_string(loose->prefix));
        return fail(Code::InvalidArgument, "invalid CIDR address: {}", config.subnet);
    }
    Subnet subnet;
    subnet.prefix_ = *prefix;
    subnet.range_ = *prefix;
    if (!config.ip_range.empty()) {
        const auto range = parse_interface(config.ip_range);
        if (!range) return fail(Code::InvalidArgument, "invalid CIDR address: {}", config.ip_range);
        if (range->prefix.length < prefix->length || !prefix->contains(range->prefix.address))
            return fail(Code::InvalidArgument, "no matching subnet for range {}", config.ip_range);
        subnet.range_ = range->prefix;
    }
    if (prefix->length < 31) {
        subnet.taken_.insert(prefix->first());
        subnet.taken_.insert(prefix->last());
    }
    for (const auto& [name, text] : config.auxiliary)
        subnet.taken_.insert(TRY(parse_member(text, *prefix, "auxiliary address")));
    subnet.lowest_ = subnet.range_.first();
    if (config.gateway.empty()) {
        subnet.gateway_ = TRY(subnet.allocate());
    } else {
        subnet.gateway_ = TRY(parse_member(config.gateway, *prefix, "gateway"));
        if (!subnet.taken_.insert(subnet.gateway_).second)
            return fail(Code::InvalidArgument,
                        "failed to allocate gateway ({}): Address already in use", config.gateway);
    }
    return subnet;
}

Result<Address> Subnet::reserve(Address wanted) {
    if (!prefix_.contains(wanted))
        return fail(Code::InvalidArgument,
                    "invalid address {}: It does not belong to any of this network's subnets",
                    to_string(wanted));
    if (!taken_.insert(wanted).second) return fail(Code::Conflict, "Address already in use");
    return wanted;
}

Result<Address> Subnet::allocate() {
    const std::uint64_t last = range_.last().value;
    for (std::uint64_t at = lowest_.value; at <= last; ++at) {
        const Address address{static_cast<std::uint32_t>(at)};
        if (!taken_.insert(address).second) continue;
        lowest_ = address;
        return address;
    }
    return fail(Code::Unavailable, "no available IPv4 addresses on this network's address pools");
}

void Subnet::release(Address address) {
    if (!prefix_.contains(address) || address == gateway_) return;
    taken_.erase(address);
    if (address < lowest_ && range_.contains(address)) lowest_ = address;
}

std::string mac_of(Address address) {
    const std::uint32_t v = address.value;
    return format("02:42:{:02x}:{:02x}:{:02x}:{:02x}", v >> 24, v >> 16 & 255, v >> 8 & 255,
                  v & 255);
}

bool is_mac(std::string_view text) {
    const auto parts = split(text, ':');
    return parts.size() == 6 && std::all_of(parts.begin(), parts.end(), [](const auto& part) {
               return part.size() == 2 && is_hex(to_lower(part));
           });
}

}  // namespace coffer::network
